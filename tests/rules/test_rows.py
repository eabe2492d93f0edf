"""Rows: columns are found by their names, and each row is a lead or says why it is none."""

import pytest

from cleanmails.errors import InvalidError
from cleanmails.rules import csvtext, rows


def leads(text: str):
    return list(rows.arrivals(csvtext.rows([text.encode()])))


def header(*names: str) -> rows.Columns:
    return rows.columns(names)


@pytest.mark.parametrize("name", ["email", "E-Mail", " EMAIL ", "Email Address", "e_mail", "Work email", "mail"])
def test_the_column_of_addresses_is_found(name):
    assert header("Company", name).email == 1


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("First Name", "first_name"), ("firstname", "first_name"), ("Name", "first_name"), ("Given name", "first_name"),
        ("LAST_NAME", "last_name"), ("Surname", "last_name"), ("Company name", "company"), ("Organisation", "company"),
    ],
)  # fmt: skip
def test_the_columns_of_names_are_found(name, field):
    assert getattr(header("email", name), field) == 1


def test_the_better_name_wins_and_the_other_column_is_kept():
    known = header("Surname", "Last name", "Work email", "Email")
    assert (known.last_name, known.email) == (1, 3)
    assert known.fields == (("surname", 0), ("work_email", 2))


def test_other_columns_become_fields_with_names_of_their_own():
    known = header("email", "Job Title", "job-title", "", "Email", "Straße")
    assert known.fields == (("job_title", 1), ("job_title_2", 2), ("column_4", 3), ("email_2", 4), ("strasse", 5))


def test_a_table_without_addresses_is_refused_and_its_names_are_told():
    with pytest.raises(InvalidError) as caught:
        header("Name", "Phone")
    assert caught.value.faults[0].code == "no_email_column"
    assert "Name, Phone" in caught.value.faults[0].message


def test_a_table_without_a_header_is_refused():
    with pytest.raises(InvalidError):
        leads("ada@example.com,Ada\nbob@example.com,Bob\n")


@pytest.mark.parametrize(
    ("text", "code"),
    [("", "empty"), ("\n\n", "empty"), ('"email,name\n', "header"), ("," * 500 + "email\n", "too_many_columns")],
)
def test_what_is_no_table_of_leads_is_refused(text, code):
    with pytest.raises(InvalidError) as caught:
        leads(text)
    assert caught.value.faults[0].code == code
    assert caught.value.faults[0].field == "file"


def test_a_header_alone_is_a_table_of_nobody():
    assert leads("email,name\n") == []


def test_a_row_becomes_a_lead():
    [lead] = leads(
        'E-mail;First name;Last name;Company;Job title;Note\n ADA@Example.com ; Ada ;Lovelace;"Engines; Ltd";Analyst;\n'
    )
    assert (lead.line, lead.email, lead.first_name, lead.last_name) == (2, "ada@example.com", "Ada", "Lovelace")
    assert (lead.company, lead.fields, lead.fault) == ("Engines; Ltd", {"job_title": "Analyst"}, None)


def test_a_short_row_has_nothing_in_what_it_lacks():
    [lead] = leads("email,name,city\nada@example.com\n")
    assert (lead.first_name, lead.fields, lead.fault) == ("", {}, None)


@pytest.mark.parametrize(
    ("row", "word"),
    [
        ("ada,Ada", "@-sign"),
        (",Ada", "empty"),
        ("ada@example.com,Ada,1,2", "4 cells"),
        ("ada@example.com,A\0da", "NUL"),
        (f"ada@example.com,{'x' * 5_000}", "longer"),
        ('ada@example.com,"Ada" L', "quote"),
    ],
)
def test_a_row_that_is_no_lead_says_why(row, word):
    bad, good = leads(f"email,name\n{row}\nbob@example.com,Bob\n")
    assert (bad.line, bad.email) == (2, "")
    assert word in bad.fault
    assert bad.raw == row[:2_000].replace("\0", "\ufffd")
    assert good.email == "bob@example.com"


def test_empty_cells_behind_the_last_column_are_no_fault():
    [lead] = leads("email,name\nada@example.com,Ada,,\n")
    assert lead.fault is None
