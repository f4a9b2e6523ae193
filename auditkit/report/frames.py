"""Tables as files: Parquet with an explicit schema, CSV that no spreadsheet takes for formulas."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditkit.store.rows import TYPES

# A spreadsheet that opens a CSV runs a cell that begins so.
RISKY = ("=", "+", "-", "@", "\t", "\r", "\n")


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write the frame; the dtypes of declare.DTYPES have one Arrow type each, so that equal frames give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    schema = pa.schema([(name, TYPES[str(dtype)]) for name, dtype in frame.dtypes.items()])
    arrays = [_arrow(frame[name], field.type) for name, field in zip(frame.columns, schema, strict=True)]
    pq.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")


# The dtypes of declare.DTYPES by the Arrow types that are written; times have theirs of themselves.
_DTYPES = {
    pa.string(): pd.StringDtype(),
    pa.bool_(): pd.BooleanDtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.float64(): pd.Float64Dtype(),
}


def read_frame(table: pa.Table) -> pd.DataFrame:
    """The frame that `write_parquet` wrote, in its dtypes; a list is a list again."""
    names: list[str] = table.column_names
    lists = [field.name for field in table.schema if pa.types.is_list(field.type)]
    frame: pd.DataFrame = table.drop_columns(lists).to_pandas(types_mapper=_DTYPES.get)
    frame = frame.assign(**{name: pd.Series(table[name].to_pylist(), frame.index, dtype=object) for name in lists})
    return frame[names]


def _arrow(values: pd.Series, type_: pa.DataType) -> pa.Array:
    found = pa.array(_plain(values) if values.dtype == object else values.array, type=type_)
    # Text is handed over in the chunks that it was put together from: equal values shall give equal bytes.
    return found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found


def _plain(values: pd.Series) -> list[object]:
    """Python values with None for missing; a list stays a list."""
    if values.dtype == object:
        return [list(v) if isinstance(v, (list, tuple)) else None for v in values]
    if str(values.dtype).startswith("datetime"):
        return [None if v is pd.NaT else v.to_pydatetime() for v in values]
    return list(values.array.to_numpy(dtype=object, na_value=None))


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """Write the frame as UTF-8 CSV; text that a spreadsheet would run gets a leading apostrophe."""
    path.parent.mkdir(parents=True, exist_ok=True)
    guarded = {name: [guarded_text(v) for v in _plain(frame[name])] for name in frame}
    # As objects: pandas would make 1.0 of a number beside a missing one.
    pd.DataFrame(guarded, columns=frame.columns, dtype=object).to_csv(path, index=False, lineterminator="\n")


def guarded_text(value: object) -> object:
    text = flat(value)
    return f"'{text}" if isinstance(text, str) and text.startswith(RISKY) else text


def unguarded(value: object) -> object:
    """A text as it was before `guarded_text`; one that began with an apostrophe before such a character loses that."""
    risky = isinstance(value, str) and value.startswith("'") and value[1:].startswith(RISKY)
    return value[1:] if risky and isinstance(value, str) else value


def flat(value: object) -> object:
    """A cell's value as one text, number, boolean or None: lists are joined, times are ISO."""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value)
    if isinstance(value, pd.Timestamp):
        return value.isoformat()
    return value


def records(frame: pd.DataFrame) -> Iterator[Any]:
    """The rows, each with its columns as attributes."""
    return iter(frame.itertuples(index=False))


def said(value: object) -> str:
    """A value as people read it: lists joined, yes or no, times to the minute, midnight as its day, a dash where it is missing."""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(v) for v in value) or "none"
    if pd.isna(value):  # type: ignore[call-overload]
        return "–"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    return f"{value:%Y-%m-%d %H:%M}".removesuffix(" 00:00") if isinstance(value, pd.Timestamp) else str(value)
