"""The rows of a table over time, against plain Python that does the same row by row."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.store import rows

AT = datetime(2026, 10, 31, 6, tzinfo=UTC)
SCHEMA = pa.schema([("namespace", pa.string()), ("n", pa.int64()), ("tags", pa.list_(pa.string()))])
KEY = ("namespace", "n")
KEYS = st.tuples(st.sampled_from(["a", "b", "", None]), st.integers(0, 2))
TAGS = st.one_of(st.none(), st.lists(st.sampled_from(["x", "y", "x\x1fy"]), max_size=2))
ROWS = st.dictionaries(KEYS, TAGS, max_size=6)


def table(values: dict[Any, Any]) -> pa.Table:
    return pa.Table.from_pylist([{"namespace": a, "n": n, "tags": tags} for (a, n), tags in values.items()], SCHEMA)


def plain(rows_: pa.Table) -> dict[Any, Any]:
    return {(row["namespace"], row["n"]): row["tags"] for row in rows_.to_pylist()}


@settings(max_examples=50, deadline=None)
@given(ROWS, ROWS)
def test_changes_are_those_of_the_rows_by_key(before: dict[Any, Any], after: dict[Any, Any]) -> None:
    found = rows.changes(table(before), table(after), KEY, AT).to_pylist()
    expected = {key: "added" for key in after if key not in before}
    expected |= {key: "changed" for key in after if key in before and before[key] != after[key]}
    expected |= {key: "removed" for key in before if key not in after}
    assert {(row["namespace"], row["n"]): row["change"] for row in found} == expected
    assert len(found) == len(expected)
    values = {**before, **after}
    assert all(row["tags"] == values[row["namespace"], row["n"]] and row["captured_at"] == AT for row in found)


@settings(max_examples=50, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=4))
def test_the_history_gives_the_last_rows_again(captures: list[dict[Any, Any]]) -> None:
    current, history = SCHEMA.empty_table(), []
    for day, values in enumerate(captures):
        history.append(rows.changes(current, table(values), KEY, AT + timedelta(days=day)))
        current = table(values)
    assert plain(rows.last(pa.concat_tables(history), KEY)) == captures[-1]


def test_of_rows_with_one_key_the_first_stays() -> None:
    twice = pa.concat_tables([table({("a", 1): ["x"], ("b", 1): []}), table({("a", 1): ["y"]})])
    assert plain(rows.distinct(twice, KEY)) == {("a", 1): ["x"], ("b", 1): []}
