"""Workbooks: rows as their owner sees them, whatever stands in the cells, and no file that takes the machine down."""

import io
import zipfile
from datetime import date, datetime

import pytest
from openpyxl import Workbook

from cleanmails.errors import InvalidError
from cleanmails.rules import xlsx

SHEET = "xl/worksheets/sheet1.xml"


def book(*table, title=None):
    made = Workbook()
    for row in table:
        made.active.append(row)
    if title:
        made.active.title = title
    out = io.BytesIO()
    made.save(out)
    return out


def repacked(file, changes):
    """The workbook with some of its parts replaced, or added."""
    out = io.BytesIO()
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in {*old.namelist(), *changes}:
            new.writestr(name, changes[name] if name in changes else old.read(name))
    return out


def cells(file):
    return [row.cells for row in xlsx.rows(file)]


def refused(file):
    with pytest.raises(InvalidError) as caught:
        list(xlsx.rows(file))
    return [fault.code for fault in caught.value.faults]


def test_cells_are_text_as_people_read_them():
    row = [
        "ada@example.com",
        7,
        7.0,
        7.5,
        True,
        date(2030, 1, 31),
        datetime.fromisoformat("2030-01-31T09:30"),
        None,
        "x",
    ]
    assert cells(book(row)) == [
        ["ada@example.com", "7", "7", "7.5", "TRUE", "2030-01-31", "2030-01-31T09:30:00", "", "x"]
    ]


def test_rows_have_the_numbers_of_the_sheet_and_empty_ones_are_none():
    found = list(xlsx.rows(book(["email"], [], [None, "  "], ["ada@example.com", None])))
    assert [(row.line, row.cells, row.raw) for row in found] == [
        (1, ["email"], "email"),
        (4, ["ada@example.com"], "ada@example.com"),
    ]


def test_a_formula_is_its_value_and_without_one_it_is_nothing():
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="str"><f>LOWER("ADA@EXAMPLE.COM")</f><v>ada@example.com</v></c><c r="B1"><f>1+1</f></c>'
        '<c r="C1" t="inlineStr"><is><t>=1+1</t></is></c></row></sheetData></worksheet>'
    )
    assert cells(repacked(book(["x"]), {SHEET: sheet})) == [["ada@example.com", "", "=1+1"]]


def test_the_first_visible_sheet_counts():
    made = Workbook()
    made.active.append(["hidden"])
    made.active.sheet_state = "hidden"
    made.create_sheet("Leads").append(["email"])
    out = io.BytesIO()
    made.save(out)
    assert cells(out) == [["email"]]


@pytest.mark.parametrize("data", [b"PK\x03\x04", b"PK\x03\x04" + b"\0" * 500, b""])
def test_what_only_begins_like_a_workbook_is_refused(data):
    assert refused(io.BytesIO(data)) == ["not_xlsx"]


def test_a_workbook_that_is_cut_off_is_refused():
    assert refused(io.BytesIO(book(["email"]).getvalue()[:-100])) == ["not_xlsx"]


def test_an_archive_without_a_workbook_is_refused():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert refused(out) == ["not_xlsx"]


@pytest.mark.parametrize("broken", ["<worksheet", "<a><b></a>", "\0"])
@pytest.mark.asvs("5.2.2")
def test_a_sheet_that_is_no_xml_is_refused(broken):
    assert refused(repacked(book(["email"]), {SHEET: broken})) == ["not_xlsx"]


@pytest.mark.asvs("5.2.3")
def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch):
    monkeypatch.setattr(xlsx, "MOST_SHEET", 100_000)
    monkeypatch.setattr(xlsx, "MOST_BESIDE", 100_000)
    assert refused(repacked(book(["email"]), {SHEET: b" " * 200_000})) == ["too_large_inside"]
    assert refused(repacked(book(["email"]), {"xl/sharedStrings.xml": b" " * 200_000})) == ["too_large_inside"]


@pytest.mark.asvs("1.5.1")
def test_entities_that_grow_without_end_are_refused():
    bomb = '<!DOCTYPE x [<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    sheet = (
        bomb
        + ']><worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1">'
        + '<c r="A1" t="inlineStr"><is><t>&a11;</t></is></c></row></sheetData></worksheet>'
    )
    assert refused(repacked(book(["email"]), {SHEET: sheet})) == ["not_xlsx"]


def test_a_cell_far_to_the_right_costs_no_more_than_its_row():
    sheet = (
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData>'
        '<row r="1"><c r="A1" t="inlineStr"><is><t>email</t></is></c><c r="XFD1"><v>1</v></c></row></sheetData></worksheet>'
    )
    assert cells(repacked(book(["x"]), {SHEET: sheet})) == [["email"]]
