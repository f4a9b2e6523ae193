"""The rows of a table over time: which are new, other or gone since the capture before."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from auditkit.declare import Table

TYPES: Mapping[str, pa.DataType] = MappingProxyType(
    {
        "string": pa.string(),
        "boolean": pa.bool_(),
        "Int64": pa.int64(),
        "Float64": pa.float64(),
        "datetime64[us, UTC]": pa.timestamp("us", tz="UTC"),
        "object": pa.list_(pa.string()),
    }
)
WHEN = pa.field("captured_at", TYPES["datetime64[us, UTC]"])
CHANGE = pa.field("change", TYPES["string"])
FIRST, ADDED, CHANGED, REMOVED = "first", "added", "changed", "removed"

Places = npt.NDArray[np.int64]


def schema(table: Table) -> pa.Schema:
    """The columns of a table's rows."""
    return pa.schema([(column.name, TYPES[column.dtype]) for column in table.columns])


def of_frame(frame: pd.DataFrame, table: Table) -> pa.Table:
    """A frame in the dtypes that its table declares."""
    columns = [pa.array(frame[field.name], type=field.type, from_pandas=True) for field in schema(table)]
    return pa.Table.from_arrays(columns, schema=schema(table))


def distinct(rows: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows without those whose key an earlier one has."""
    first = np.unique(_keys(rows, key), return_index=True)[1]
    return rows if len(first) == rows.num_rows else rows.take(np.sort(first))


def changes(before: pa.Table, after: pa.Table, key: Sequence[str], at: datetime, new: str = ADDED) -> pa.Table:
    """The rows of `after` that are new or other than in `before`, and those of `before` that are gone; keys are distinct.

    `captured_at` and `change` come first; `new` is what a new row is called.
    """
    count = before.num_rows
    both = pa.concat_tables([before, after])
    codes = np.stack([_codes(both[name]) for name in both.column_names])
    keys = _combined(codes[[both.column_names.index(name) for name in key]])
    old = np.full(keys.max(initial=-1) + 1, -1)
    old[keys[:count]] = np.arange(count)
    was = old[keys[count:]]
    other = (codes[:, was] != codes[:, count:]).any(axis=0) & (was >= 0)
    gone = before.take(np.setdiff1d(np.arange(count), was))
    found = [
        _marked(after.take(np.flatnonzero(was < 0)), at, new),
        _marked(after.take(np.flatnonzero(other)), at, CHANGED),
        # Rows read back from files lie in another order than those of a frame; what is written must not.
        _marked(gone.sort_by([(name, "ascending") for name in key]), at, REMOVED),
    ]
    return pa.concat_tables(found)


def last(history: pa.Table, key: Sequence[str]) -> pa.Table:
    """The rows that are there at the end of a history, in order of time: of each key the last, unless removed."""
    rows = history.drop_columns([WHEN.name, CHANGE.name])
    keys = _keys(rows, key)
    place = np.full(keys.max(initial=-1) + 1, -1)
    place[keys] = np.arange(len(keys))
    there = np.asarray(pc.not_equal(history[CHANGE.name], REMOVED))
    return rows.take(np.sort(place[there[place]]))


def _marked(rows: pa.Table, at: datetime, change: str) -> pa.Table:
    count = rows.num_rows
    times, words = pa.array([at] * count, WHEN.type), pa.array([change] * count, CHANGE.type)
    return rows.add_column(0, WHEN, times).add_column(1, CHANGE, words)


def _codes(values: pa.ChunkedArray) -> Places:
    """A number a value, the same for equal ones; a missing value has one too."""
    if pa.types.is_list(values.type):
        texts = [None if value is None else tuple(value) for value in values.to_pylist()]
        cells = np.empty(len(texts), dtype=object)
        cells[:] = texts
        return np.asarray(pd.factorize(cells, use_na_sentinel=False)[0], dtype=np.int64)
    whole = pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
    return np.asarray(pc.dictionary_encode(whole, null_encoding="encode").indices, dtype=np.int64)


def _keys(rows: pa.Table, key: Sequence[str]) -> Places:
    return _combined(np.stack([_codes(rows[name]) for name in key]))


def _combined(codes: Places) -> Places:
    """One number a column of codes, the same for equal columns."""
    found = np.zeros(codes.shape[1], dtype=np.int64)
    for row in codes:
        found = np.unique(found * (row.max(initial=0) + 1) + row, return_inverse=True)[1]
    return found
