"""What columns mean: proposed from names and from what stands in them, and chosen by a person, with every slip told."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.errors import InvalidError
from cleanmails.records import Arrival
from cleanmails.rules import csvtext, rows


def propose(text):
    return rows.propose(csvtext.rows([text.encode()]))


def targets(text):
    return [column.target for column in propose(text).columns]


def codes(call, *given):
    with pytest.raises(InvalidError) as caught:
        call(*given)
    return [(fault.field, fault.code) for fault in caught.value.faults]


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("E-Mail,First name,Surname,Company", ["email", "first_name", "last_name", "company"]),
        ("email,name,Job Title,Job title", ["email", "first_name", "job_title", "job_title_2"]),
        ("Full name,Work email", ["full_name", "email"]),
        ("Full name,Work email,Last name", ["full_name", "email", "last_name"]),
        ("email,email,,City", ["email", "email_2", None, "city"]),
    ],
)
def test_columns_are_known_by_their_names(header, expected):
    assert targets(header + "\n") == expected


def test_a_full_name_fills_what_the_others_leave_empty():
    known = rows.chosen(["full_name", "email", "last_name"])
    table = csvtext.rows([b"Ada King Lovelace,ada@example.com,Byron\nBob B,bob@example.com,\n"])
    leads = [rows.verdict(row, known) for row in table]
    assert [(lead.first_name, lead.last_name) for lead in leads] == [("Ada", "Byron"), ("Bob", "B")]


def test_addresses_are_known_by_what_they_are():
    assert targets("Contact,Reach\nAda,ada@example.com\nBob,bob@example.com\n") == ["contact", "email"]


def test_a_file_without_a_header_is_noticed():
    found = propose("Ada,ada@example.com,London\nBob,bob@example.com,\n")
    assert found.header is False
    assert [(each.name, each.target, each.filled) for each in found.columns] == [
        ("", "column_1", 2),
        ("", "email", 2),
        ("", "column_3", 1),
    ]
    assert found.rows[0] == ["Ada", "ada@example.com", "London"]


def test_a_file_without_addresses_proposes_none():
    assert targets("name,phone\nAda,1\n") == ["first_name", "phone"]


def test_a_preview_is_small():
    found = propose("email,x\n" + "".join(f"p{n}@example.com,{'y' * 500}\n" for n in range(50)))
    assert len(found.rows) == rows.FIRST_ROWS + 1
    assert max(len(cell) for row in found.rows for cell in row) == 200


@pytest.mark.parametrize(
    ("text", "code"), [("", "empty"), ("email" + ",x" * 10_000, "too_many_columns"), ('"a', "header")]
)
def test_what_is_no_table_is_refused(text, code):
    assert codes(propose, text) == [("file", code)]


def test_every_slip_of_a_choice_is_told():
    assert codes(rows.chosen, ["first_name", "Name", "???", None, "unsubscribe url"]) == [
        ("columns[1]", "same_field"),
        ("columns[2]", "field_name"),
        ("columns[4]", "own_field"),
        ("columns", "no_email_column"),
    ]


def test_rows_are_read_as_chosen():
    known = rows.chosen([None, "E-Mail".replace("-", ""), "full_name", "Job Title"])
    [row] = csvtext.rows([b"x;ada@example.com;Ada King Lovelace;Analyst"])
    lead = rows.verdict(row, known)
    assert (lead.email, lead.first_name, lead.last_name) == ("ada@example.com", "Ada", "King Lovelace")
    assert lead.fields == {"job_title": "Analyst"}


CELLS = st.sampled_from(
    (
        "",
        " ",
        "ada@example.com",
        " ADA@Example.com ",
        "no address",
        "\u212aim@example.com",
        "j\xf6rg@example.com",
        "Ada King",
        'a"\\b',
        "tab\there",
        "%s",
        "\0",
    )
)
HUGE = "x" * 5_000


@given(table=st.lists(st.lists(CELLS | st.just(HUGE), min_size=3, max_size=7), max_size=6))
def test_rows_column_by_column_are_what_they_are_one_by_one(table):
    known = rows.chosen(["email", "full_name", "last_name", "company", "city", "job%"])
    given = [csvtext.Row(line, cells, f"{line}", None) for line, cells in enumerate(table, 1)]
    found = rows.verdicts(given, known)
    columns = (found.line, found.email, found.first_name, found.last_name, found.company, found.fields, found.raw)
    names = ("line", "email", "first_name", "last_name", "company", "fields", "raw")
    alike = [
        Arrival(**dict(zip(names, each, strict=True)) | {"fields": msgspec.json.decode(each[5])})
        for each in zip(*columns, strict=True)
    ]
    expected = [rows.verdict(row, known) for row in given]
    assert sorted([*alike, *found.others], key=lambda each: each.line) == expected
