"""CSV text: what people's programs write is read as they meant it, and one broken row costs one row."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cleanmails.errors import InvalidError
from cleanmails.rules import csvtext

CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=12)


def read(data: bytes, size: int = 7):
    """The rows of a file that comes in pieces of `size` bytes."""
    return list(csvtext.rows(data[at : at + size] for at in range(0, len(data), size)))


def cells(data: bytes, size: int = 7):
    return [row.cells for row in read(data, size)]


@given(
    table=st.lists(st.lists(CELLS, min_size=2, max_size=5), min_size=1, max_size=6),
    end=st.sampled_from(["\n", "\r\n"]),
    size=st.integers(1, 40),
)
def test_what_was_written_as_csv_is_read_again(table, end, size):
    out = io.StringIO()
    csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL).writerows(table)
    expected = [row for row in table if "".join(row).strip()]
    assert cells(out.getvalue().encode(), size) == expected


@given(data=st.binary(max_size=300), size=st.integers(1, 50))
def test_any_bytes_are_read_or_refused_and_pieces_do_not_matter(data, size):
    def attempt(pieces):
        try:
            return read(data, pieces)
        except InvalidError as error:
            return error.faults

    assert attempt(size) == attempt(1_000)


@given(data=st.text('ab, "\n\r\0;\u00e4', max_size=60))
def test_what_is_cut_at_its_delimiters_is_what_the_csv_module_reads(data):
    # A line in a piece of its own is cut where it has no quote; in one piece with a quoted line, all go by the csv module.
    quoted = b'"x","y"\n' + data.encode()
    assert read(quoted, 1) == read(quoted, 1_000)


def test_a_first_line_with_a_cell_that_is_too_large_is_a_row_with_a_fault():
    (row,) = read(b"email," + b"x" * 140_000)
    assert row.fault


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_line_end_is_one(end):
    assert cells(f"a,b{end}1,2{end}3,4".encode()) == [["a", "b"], ["1", "2"], ["3", "4"]]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_in_the_first_line(delimiter):
    assert cells(f'"a, b; c"{delimiter}d\n1{delimiter}2\n'.encode()) == [["a, b; c", "d"], ["1", "2"]]


def test_a_spreadsheets_note_on_the_delimiter_is_heeded():
    rows = read(b"sep=;\r\na;b\r\n1;2\r\n")
    assert [(row.line, row.cells) for row in rows] == [(2, ["a", "b"]), (3, ["1", "2"])]


def test_a_byte_order_mark_is_no_part_of_the_first_name():
    assert cells("\ufeffemail,x\n".encode(), size=2) == [["email", "x"]]


def test_lines_that_are_not_utf8_are_read_as_windows_1252():
    data = "Zoë,1\n".encode() + "Jürgen,€\n".encode("cp1252") + "Łukasz,3\n".encode()
    assert cells(data) == [["Zoë", "1"], ["Jürgen", "€"], ["Łukasz", "3"]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("size", [1, 7, 100])
def test_utf16_is_read_by_its_mark_in_pieces_of_any_size(encoding, size):
    data = "\ufeffemail\tname\r\nzoe@example.com\tZoë \U0001f600\r\n".encode(encoding)
    assert cells(data, size) == [["email", "name"], ["zoe@example.com", "Zoë \U0001f600"]]


def test_lines_are_counted_where_rows_begin():
    rows = read(b'a,b\n"1\n2\n3",x\n\n , \nlast,y\n')
    assert [(row.line, row.cells) for row in rows] == [(1, ["a", "b"]), (2, ["1\n2\n3", "x"]), (7, ["last", "y"])]


def test_a_quote_that_is_never_closed_costs_one_row():
    rows = read(b'a,b\n"open,1\nfine,2\nfine,3\n')
    assert [(row.line, bool(row.fault)) for row in rows] == [(1, False), (2, True), (3, False), (4, False)]
    assert rows[1].raw == '"open,1'


def test_a_quote_that_is_never_closed_does_not_swallow_a_long_file():
    data = b'a,b\n"open,1\n' + b"fine,2\n" * 5_000
    rows = read(data, size=4_096)
    assert len(rows) == 5_002
    assert [row.line for row in rows if row.fault] == [2]


def test_each_row_that_opens_a_quote_is_told_of():
    rows = read(b"a,b\n" + b'x","y\n' * 300, size=500)
    assert [row.line for row in rows] == list(range(1, 302))
    assert all(row.fault for row in rows[1:])


def test_a_stray_quote_costs_one_row():
    rows = read(b'a,b\n"Joe "The Man" Smith",1\n6" pipe,2\n')
    assert [(row.line, row.cells, bool(row.fault)) for row in rows] == [
        (1, ["a", "b"], False),
        (2, [], True),
        (3, ['6" pipe', "2"], False),
    ]


def test_a_cell_of_a_hundred_thousand_characters_and_more_costs_one_row():
    rows = read(b"a,b\n" + b"x" * 200_000 + b",1\nfine,2\n", size=65_536)
    assert [(row.line, bool(row.fault)) for row in rows] == [(1, False), (2, True), (3, False)]
    assert len(rows[1].raw) == 2_000


def test_a_file_without_line_ends_is_refused_before_it_fills_the_memory():
    taken = 0

    def endless():
        nonlocal taken
        while True:
            taken += 65_536
            yield b"x" * 65_536

    with pytest.raises(InvalidError):
        list(csvtext.rows(endless()))
    assert taken < 2_000_000


def test_nothing_is_no_row():
    assert read(b"") == read(b"\n\r\n  \n") == []


def test_what_is_written_is_read_again():
    table = [["line", "reason"], [2, 'He said "no", twice'], [3, "a\nb"]]
    assert cells(csvtext.written(table).encode()) == [[str(cell) for cell in row] for row in table]


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_nothing_that_is_written_is_a_formula(cell):
    assert cells(csvtext.written([["x", cell]]).encode()) == [["x", "'" + cell]]
