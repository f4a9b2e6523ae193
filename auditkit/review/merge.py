"""Merge-back: what people wrote into a control matrix goes into the next one, by the names of its rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import seal, store
from auditkit.errors import UsageError, VerificationError
from auditkit.report import matrix
from auditkit.report.workbook import Sheet, entries
from auditkit.report.workbook.entries import Grid, Key

REPORT = "Merge report"
COLUMNS = ("What", "Sheet", "Row", "Column", "Text of people", "Beside it", "Meaning")
CARRIED, CONFLICT, ORPHAN, TAMPERED = "carried", "conflict", "orphan", "computed cell edited"
MISSING, ADDED, CHANGED = "row removed", "row added", "row has changed"
SIGNED = "sign-off not carried"
MEANING = {
    CARRIED: "Taken over from the edited workbook.",
    CONFLICT: "The newer workbook has another text there, which was kept; this one was not taken over.",
    ORPHAN: "The row is not in the newer workbook: its text is kept here, and taken over again when the row comes back.",
    TAMPERED: "A computed cell is not as auditkit wrote it: it was edited by hand. The newer workbook has its own value.",
    MISSING: "A row that auditkit wrote is not in the edited workbook.",
    ADDED: "A row that auditkit did not write is in the edited workbook.",
    SIGNED: "Who signs the cover signs for the workbook that it stands in: the newer one is signed anew.",
    CHANGED: "What auditkit computed for the row is other than when the text was written: read it again.",
}
# Columns whose computed values move from run to run without a change of what a text answers.
_LOOSE = frozenset({"sha256", "sha256 of table", "sha256 of rows with verdict", "sha256 of files", "Size"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Merge:
    """What a merge does: `cells` (sheet, row, column in the newer workbook) to set, and `report` of COLUMNS."""

    cells: Mapping[tuple[str, int, int], Any] = field(repr=False)
    report: pd.DataFrame

    def count(self, what: str) -> int:
        return int((self.report["What"] == what).sum())

    def __str__(self) -> str:
        counts = self.report["What"].value_counts(sort=False)
        return "; ".join(f"{n:,} {what}" for what, n in counts.items()) or "nothing was written by people"


def merged(edited: Mapping[str, Grid], original: Mapping[str, Grid], newer: Mapping[str, Grid]) -> Merge:
    """Carry the entries of `edited` into `newer`; `original` is the workbook as auditkit wrote it, before people edited it.

    An entry that `newer` has already is never overwritten. Texts that an earlier merge could not place (its report in
    `edited`) are tried again, and stay in the report.
    """
    rows: list[tuple[str, str, str, str, Any, Any]] = []
    cells: dict[tuple[str, int, int], Any] = {}
    rows += edited_by_hand(edited, original)
    for sheet, key, column, text, before in _written(edited, original):
        target = newer.get(sheet)
        key = _there(key, target)
        there = target.rows.get(key) if target else None
        what, beside = SIGNED if sheet == entries.COVER else ORPHAN, None
        if what == ORPHAN and target is not None and there is not None and column in target.entries:
            present = there.get(column)
            what, beside = (CONFLICT, present) if present not in (None, text) else (CARRIED, None)
            if what == CARRIED:
                cells[sheet, *target.places[key, column]] = text
                rows += _changed(sheet, key, column, text, before, target)
        rows.append((what, sheet, _named(key), column, text, beside))
    unique = list(dict.fromkeys(rows))
    order = [TAMPERED, MISSING, ADDED, CONFLICT, ORPHAN, SIGNED, CHANGED, CARRIED]
    unique.sort(key=lambda row: order.index(row[0]))
    report = pd.DataFrame([(*row, MEANING[row[0]]) for row in unique], columns=list(COLUMNS), dtype=object)
    return Merge(cells=cells, report=report)


def _written(
    edited: Mapping[str, Grid], original: Mapping[str, Grid]
) -> Iterator[tuple[str, Key, str, Any, Mapping[str, Any] | None]]:
    """What people wrote: sheet, row, column, text, and the row as auditkit computed it then."""
    for name, grid in edited.items():
        if name == REPORT:
            for row in grid.rows.values():
                if row.get("What") in (ORPHAN, CONFLICT, SIGNED):
                    yield row["Sheet"], (str(row["Row"]),), row["Column"], row["Text of people"], None
            continue
        source = original.get(name)
        for key, cells in grid.rows.items():
            before = source.rows.get(key) if source else None
            for column, text in cells.items():
                if text is not None and _people(column, source, key):
                    yield name, key, "Entry" if name == entries.COVER else column, text, before


def _people(column: str, source: Grid | None, key: Key) -> bool:
    """Whether a cell is people's: auditkit left it blank for them, or did not write its column or sheet at all."""
    if source is None:
        return True
    if source.sheet == entries.COVER:
        return "Entry" in source.rows.get(key, {"Entry": None})
    return column in source.entries or column not in source.columns


def edited_by_hand(
    edited: Mapping[str, Grid], original: Mapping[str, Grid]
) -> Iterator[tuple[str, str, str, str, Any, Any]]:
    """Computed cells of `original` that `edited` has otherwise, and rows that it lacks or has beside: columns of REPORT.

    A heading that stands there twice is one that was edited: which of its columns was read nobody could tell.
    """
    for name, source in original.items():
        grid = edited.get(name)
        if grid is None:
            yield MISSING, name, "(the whole sheet)", "", None, None
            continue
        for column in grid.repeated:
            yield TAMPERED, name, "(heading)", column, None, None
        for key, computed in source.rows.items():
            found = grid.rows.get(key)
            if found is None:
                yield MISSING, name, _named(key), "", None, None
                continue
            for column in (c for c in computed if c not in source.entries):
                if found.get(column) != computed[column]:
                    yield TAMPERED, name, _named(key), column, found.get(column), computed[column]
        for key in grid.rows.keys() - source.rows.keys():
            yield ADDED, name, _named(key), "", None, None


def _changed(
    sheet: str, key: Key, column: str, text: Any, before: Mapping[str, Any] | None, target: Grid
) -> Iterator[tuple[str, str, str, str, Any, Any]]:
    """Where the computed part of a row is other than what the text was written beside."""
    now = target.rows[key]
    if before is None:
        return
    moved = [c for c in target.columns if c in before and c not in target.entries | _LOOSE and now[c] != before[c]]
    if moved:
        yield CHANGED, sheet, _named(key), column, text, ", ".join(moved)


def _named(key: Key) -> str:
    return " | ".join(key)


def _there(key: Key, grid: Grid | None) -> Key:
    """The row of `grid` with this key, or with the one text that a report makes of it."""
    if grid is None or key in grid.rows:
        return key
    return next((known for known in grid.rows if _named(known) == _named(key)), key)


def merge(edited: Path, original: Path, newer: Path, out: Path) -> Merge:
    """Write `newer` with what people wrote into `edited` as a new file; its last sheet is the report.

    `original` and `newer` are packs, or workbooks of packs. Raises UsageError where one is no workbook or `out` exists,
    VerificationError where a pack is not as it was sealed.
    """
    source, target = _workbook(original), _workbook(newer)
    if not edited.is_file():
        raise UsageError(f"{edited}: no such file; give the workbook that people edited")
    done = merged(entries.read(edited), entries.read(source), entries.read(target))
    note = "What the merge of people's cells did, row by row. Texts that found no place stay here, and are tried again at the next merge."
    report = Sheet(name=REPORT, note=note, frame=done.report, widest=50, fixed=1)
    store.publish_file(out, entries.fill(target, done.cells, [report]))
    return done


def _workbook(place: Path) -> Path:
    if not place.is_dir():
        return place
    verdict = seal.verify(place)
    if not verdict.ok:
        raise VerificationError(str(verdict))
    if not (place / matrix.NAME).is_file():
        raise UsageError(f"{place}: holds no {matrix.NAME}; give the pack of a run, or the workbook")
    return place / matrix.NAME
