"""Columns come out of Postgres as they went in, however they were written."""

from datetime import UTC

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanmails.ledger.columns import columns

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]) | st.sampled_from('"\\{},\n N'))
KINDS = {
    "bigint": st.integers(-(2**63), 2**63 - 1),
    "timestamptz": st.none() | st.datetimes(timezones=st.just(UTC)),
    "text": st.none() | TEXTS,
}


@pytest.fixture
def connection(database_url):
    """One of its own: a pool's threads throw dice, too, and hypothesis takes them for ours."""
    with psycopg.connect(database_url) as db:
        yield db


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_column_is_read_as_it_was_written(connection, kind, data):
    written = data.draw(st.lists(KINDS[kind]))
    values = columns(("a",), [(value,) for value in written])
    assert connection.execute(f"SELECT %(a)s::{kind}[]", values).fetchone() == (written,)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        ([], "{}"),
        ([1, 2], "{1,2}"),
        (["a", "NULL", "b c,{}"], '{"a","NULL","b c,{}"}'),
        (["a", None], '{"a",NULL}'),
        (['"'], ['"']),
        ([b"a"], [b"a"]),
        ([True], [True]),
    ],
)
def test_plain_columns_are_one_text(column, text):
    assert columns(("a",), [(value,) for value in column]) == {"a": text}
