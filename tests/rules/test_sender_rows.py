"""Rows of senders: what columns may be called, and what a row says."""

import pytest

from cleanmails.errors import InvalidError
from cleanmails.rules import csvtext, sender_rows


def read(text):
    rows = csvtext.rows([text.encode()])
    known = sender_rows.columns(next(rows).cells)
    return list(sender_rows.senders(rows, known)), known.ignored


def one(text):
    ((row,), _) = read(text)
    assert row.fault is None
    return row.fields


def test_the_names_of_other_tools_are_understood():
    fields = one(
        "Email,First Name,Last Name,IMAP Username,IMAP Password,IMAP Host,IMAP Port,SMTP Username,SMTP Password,SMTP Host,SMTP Port,Daily Limit\n"
        "ann@b.example,Ann,Miller,ann,in,imap.b.example,993,ann,out,smtp.b.example,465,40\n"
    )
    assert fields == {
        "address": "ann@b.example", "name": "Ann Miller", "imap_username": "ann", "imap_password": "in", "imap_host": "imap.b.example", "imap_port": 993,
        "imap_security": "tls", "smtp_username": "ann", "smtp_password": "out", "smtp_host": "smtp.b.example", "smtp_port": 465, "smtp_security": "tls",
        "daily_limit": 40,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("row", "host", "inbox"),
    [
        ("ann@gmail.com,,", "smtp.gmail.com", "imap.gmail.com"),
        ("ann@b.example,zoho-eu,", "smtppro.zoho.eu", "imappro.zoho.eu"),
        ("ann@gmail.com,,smtp.b.example", "smtp.b.example", None),
        ("ann@b.example,,", None, None),
        ("ann@b.example,nobody,", None, None),
    ],
)
def test_a_known_provider_says_where_its_servers_are(row, host, inbox):
    fields = one(f"address;provider;host\n{row.replace(',', ';')}\n")
    assert (fields.get("smtp_host"), fields.get("imap_host")) == (host, inbox)


@pytest.mark.parametrize(
    ("port", "security", "expected"),
    [
        ("465", "", "tls"),
        ("587", "", "starttls"),
        ("25", "", None),
        ("587", "SSL", "tls"),
        ("25", "None", "plain"),
        ("25", "odd", "odd"),
    ],
)
def test_the_security_is_named_or_follows_from_the_port(port, security, expected):
    assert one(f"address,smtp_port,encryption\na@b.example,{port},{security}\n").get("smtp_security") == expected


def test_a_ramp_up_is_gathered_and_what_is_no_number_stays_to_be_told():
    fields = one("address,ramp_start,ramp_step_per_day,ramp_ceiling,daily_limit\na@b.example,5,3,,many\n")
    assert fields["ramp_up"] == {"start": 5, "step_per_day": 3}
    assert fields["daily_limit"] == "many"


def test_columns_that_mean_nothing_are_named_and_broken_rows_cost_themselves_only():
    rows, ignored = read('address,Warmup Enabled,\na@b.example,true,x\n"oops\nb@b.example,false,\nc@b.example,1,2,3\n')
    assert ignored == ["Warmup Enabled"]
    assert [row.fault and row.fault.code for row in rows] == [None, "row", None, "row"]


def test_a_file_without_addresses_or_with_too_many_rows_is_refused():
    with pytest.raises(InvalidError) as caught:
        read("name,host\nAnn,x\n")
    assert caught.value.faults[0].code == "no_address_column"
    with pytest.raises(InvalidError) as caught:
        read("address\n" + "a@b.example\n" * 1001)
    assert caught.value.faults[0].code == "too_many_rows"
