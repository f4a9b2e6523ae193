"""The tables of a cluster's captures as Parquet by month: per table the rows that are new, other or gone.

Derived: whatever is in tables/ can be deleted, and is made again of the captures.
"""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from auditkit.capture import tool
from auditkit.declare import TABLES, Table, records_of
from auditkit.errors import AuditkitError
from auditkit.evaluate import Snapshot
from auditkit.store import rows
from auditkit.store.history import Capture, History, moment
from auditkit.store.publish import locked

DICTIONARY, CAPTURES = "dictionary.json", "captures"
COMPLETE, INCOMPLETE, NOT_COMPARED = "complete", "incomplete", "not compared"
LOG = pa.schema(
    [
        rows.WHEN,
        ("capture", pa.string()),
        ("digest", pa.string()),
        ("table", pa.string()),
        ("state", pa.string()),
        ("lacking", pa.list_(pa.string())),
        ("rows", pa.int64()),
        ("repeated", pa.int64()),
    ]
)


def refresh(history: History) -> int:
    """Bring tables/ up to the captures; returns how many were read for it.

    What is there is kept up to the first capture that it does not know or that is no more; all is made again where
    another version of auditkit or other columns made it, or a file cannot be read. A run that is cut off is made good by
    the next. Raises UsageError where a capture is damaged, AuditkitError where nothing can be written, RetryLater where another run writes to the cluster's folder.
    """
    folder = history.path / "tables"
    with locked(history.path.resolve()):
        # Looked at again: another run may have added a capture since.
        current = History(history.path)
        try:
            try:
                return _refreshed(current, folder)
            except _Damaged:
                shutil.rmtree(folder)
                return _refreshed(current, folder)
        except OSError as error:
            raise AuditkitError(
                f"{folder}: {error.strerror or error}; the captures are as they were, and the next run brings the tables up to them"
            ) from None


class _Damaged(Exception):
    """A file of tables/ is no Parquet."""


def _refreshed(history: History, folder: Path) -> int:
    dictionary = _dictionary()
    if not (folder / DICTIONARY).is_file() or (folder / DICTIONARY).read_bytes() != dictionary:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / DICTIONARY).write_bytes(dictionary)
    start = _first_other(history, _read(folder / CAPTURES, LOG))
    if start is None:
        return 0
    # The list of captures first: what it does not name is made again.
    log = _cut(folder / CAPTURES, LOG, start)
    states = _states(log)
    kept = [_Rows.cut(folder / name, table, start, states.get(name)) for name, table in _kept().items()]
    count = 0
    for month, captured in groupby(history.between(start), key=lambda pair: f"{pair[0].taken_at:%Y-%m}"):
        entries = [_entry(one, capture, snapshot) for capture, snapshot in captured for one in kept]
        for one in kept:
            one.write(month)
        _append(folder / CAPTURES / f"{month}.parquet", [pa.Table.from_pylist(entries, schema=LOG)])
        count += len(entries) // len(kept)
    return count


@dataclass(kw_only=True, slots=True)
class _Rows:
    """One table while captures are gone through: its rows in the last one compared, what is to be written.

    `lacking` is what the last one compared had not completely read; None where none was compared.
    """

    folder: Path
    table: Table
    current: pa.Table
    lacking: frozenset[str] | None
    found: list[pa.Table] = field(default_factory=list)

    @classmethod
    def cut(cls, folder: Path, table: Table, start: datetime, lacking: frozenset[str] | None) -> "_Rows":
        schema = rows.schema(table)
        history = _cut(folder, pa.schema([rows.WHEN, rows.CHANGE, *schema]), start)
        return cls(folder=folder, table=table, current=rows.last(history, table.key), lacking=lacking)

    def compare(self, now: pa.Table, lacking: frozenset[str], at: datetime, *, comparable: bool) -> str:
        """Take the rows of the next capture; the state says whether they could be compared.

        Rows may be missing, or other, where less was read than before: those of such a capture are left out.
        """
        if self.lacking is not None and not (comparable and lacking <= self.lacking):
            return NOT_COMPARED
        if not now.equals(self.current):
            new = rows.ADDED if lacking == self.lacking else rows.FIRST
            self.found.append(rows.changes(self.current, now, self.table.key, at, new))
        self.current, self.lacking = now, lacking
        return INCOMPLETE if lacking else COMPLETE

    def write(self, month: str) -> None:
        _append(self.folder / f"{month}.parquet", [one for one in self.found if one.num_rows])
        self.found = []


def _entry(one: _Rows, capture: Capture, snapshot: Snapshot) -> dict[str, Any]:
    """Compare a table with that of the capture before; the row of the list of captures that says so."""
    frame = snapshot.tables[one.table.name]
    now = rows.distinct(rows.of_frame(frame, one.table), one.table.key)
    missing = snapshot.tables.incomplete([one.table.name]).values()
    lacking = frozenset(
        f"{c.resource} {c.state}" + (f" ({c.note})" if c.state == "excluded" and c.note else "") for c in missing
    )
    # Of a kind that is denied or excluded nothing was read, this time as before; of these, any part.
    comparable = not any(c.state in ("partial", "failed") for c in missing)
    state = one.compare(now, lacking, capture.taken_at, comparable=comparable)
    return {
        "captured_at": capture.taken_at,
        "capture": capture.name,
        "digest": capture.digest,
        "table": one.table.name,
        "state": state,
        "lacking": sorted(lacking),
        "rows": len(frame),
        "repeated": len(frame) - now.num_rows,
    }


def _first_other(history: History, log: pa.Table) -> datetime | None:
    """From when on the tables are not those of the captures; None where they are."""
    listed = log.select(["capture", "digest"]).group_by(["capture", "digest"]).aggregate([])
    known = set(zip(listed["capture"].to_pylist(), listed["digest"].to_pylist(), strict=True))
    other = known ^ {(capture.name, capture.digest) for capture in history.captures}
    return min((moment(name) for name, _ in other), default=None)


def _states(log: pa.Table) -> Mapping[str, frozenset[str]]:
    """Per table, what the last capture that was compared had not completely read."""
    compared = log.filter(pc.not_equal(log["state"], NOT_COMPARED)).select(["table", "lacking"])
    frame = compared.to_pandas().drop_duplicates("table", keep="last")
    return {table: frozenset(lacking) for table, lacking in zip(frame["table"], frame["lacking"], strict=True)}


def _read(folder: Path, schema: pa.Schema) -> pa.Table:
    return pa.concat_tables(
        [schema.empty_table(), *(_table(path, schema) for path in sorted(folder.glob("*.parquet")))]
    )


def _cut(folder: Path, schema: pa.Schema, start: datetime) -> pa.Table:
    """The rows of a folder before `start`, the others deleted."""
    kept = [schema.empty_table()]
    for path in sorted(folder.glob("*.parquet")):
        there = _table(path, schema)
        before = there.filter(pc.less(there[rows.WHEN.name], pa.scalar(start, rows.WHEN.type)))
        if not before.num_rows:
            path.unlink()
        elif before.num_rows < there.num_rows:
            _write(path, before)
        kept.append(before)
    return pa.concat_tables(kept)


def _append(path: Path, found: Sequence[pa.Table]) -> None:
    if found:
        _write(path, pa.concat_tables([*([_table(path, found[0].schema)] if path.exists() else []), *found]))


def _table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        return pq.read_table(path, schema=schema)
    except (pa.ArrowException, OSError):
        raise _Damaged(path) from None


def _write(path: Path, table: pa.Table) -> None:
    """Replace a file at once: who reads it meanwhile has the old one or the new one."""
    path.parent.mkdir(exist_ok=True)
    # Hidden: who reads the folder as a whole passes over it.
    draft = path.with_name(f".{path.stem}.draft")
    pq.write_table(table, draft, compression="zstd", store_schema=False)
    draft.replace(path)


def _kept() -> Mapping[str, Table]:
    """The tables of the cluster alone, by name: not those that need documents of others, which no capture holds."""
    return {name: table for name, table in sorted(TABLES.items()) if not records_of(name)}


def _dictionary() -> bytes:
    """What made the tables, and for each table its key and what its columns mean."""
    tables = {
        table.name: {
            "row": table.title,
            "key": table.key,
            "columns": {column.name: column.doc for column in table.columns},
            "types": {column.name: column.dtype for column in table.columns},
        }
        for table in _kept().values()
    }
    return (
        msgspec.json.format(msgspec.json.encode({"made_by": tool(), "tables": tables}, order="sorted"), indent=1)
        + b"\n"
    )
