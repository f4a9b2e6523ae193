"""Reads what people wrote into a workbook, and writes their cells into another."""

import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import openpyxl
from openpyxl.cell.cell import Cell
from openpyxl.utils import get_column_letter
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from auditkit.errors import UsageError
from auditkit.report.workbook import HEADER, Sheet, add_sheet, archived, put

COVER = "Cover"
# Bytes of a workbook, unpacked: what auditkit writes stays far below.
LARGEST = 256 << 20
_ENTRY = ("people header", "auditor header")
_COVER_ENTRY = "people entry"
# A row's name where its first column does not tell it from others; of these columns those that the sheet has.
KEYS: Mapping[str, tuple[str, ...]] = {
    "Access listing": ("Subject kind", "Subject", "Where", "Role", "Binding"),
    "Populations": ("Test", "Table"),
    "Tests": ("Cluster", "Test"),
    "Period coverage": ("Cluster", "Month"),
    "Gaps": ("Cluster", "What", "From"),
    "Deviations": ("Cluster", "Exception id", "Occurrence"),
    "Changes": ("Cluster", "Seen at", "Change", "Kind", "Namespace", "Name"),
    "Access review": ("Cluster", "Subject kind", "Subject", "Where", "Role", "Binding", "First seen"),
    "Members": ("Group", "Person"),
}
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")

Key = tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grid:
    """The list of one sheet: cells by row and column, those that people fill (`entries`) among them.

    A row is named by the text of its key columns, and by a number where several have the same. `places` are row and
    column of each cell in the sheet. `repeated` are columns with the heading of one before them, each with its letter.
    """

    sheet: str
    columns: tuple[str, ...]
    entries: frozenset[str]
    rows: Mapping[Key, Mapping[str, Any]] = field(repr=False)
    places: Mapping[tuple[Key, str], tuple[int, int]] = field(repr=False)
    repeated: tuple[str, ...] = ()


def read(path: Path) -> dict[str, Grid]:
    """The lists of a workbook that auditkit wrote, by sheet; the Cover's list are its labels.

    Which columns are people's is known only of a workbook as auditkit wrote it: other programs drop its styles.

    Raises UsageError where the file is no workbook.
    """
    return {ws.title: _cover(ws) if ws.title == COVER else _grid(ws) for ws in _open(path).worksheets}


def _open(path: Path) -> Workbook:
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST:
            raise ValueError(f"it unpacks to more than {LARGEST >> 20} MiB")
        with warnings.catch_warnings(action="ignore"):
            return openpyxl.load_workbook(path)
    except Exception as error:  # openpyxl raises whatever it stumbles over
        why = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(f"{path}: is no workbook (.xlsx) that can be read: {why}") from None


def _grid(ws: Worksheet) -> Grid:
    # Of the cells that are there: a sheet whose last cell somebody touched has a million empty rows.
    filled = sorted(place for place, cell in ws._cells.items() if cell.value is not None)
    head: dict[int, str] = {}
    repeated = []
    for column in (column for row, column in filled if row == HEADER):
        name = str(ws.cell(HEADER, column).value)
        if name in head.values():
            name = f"{name} ({get_column_letter(column)})"
            repeated.append(name)
        head[column] = name
    entries = frozenset(name for n, name in head.items() if _style(ws.cell(HEADER, n)) in _ENTRY)
    named = [name for name in KEYS.get(ws.title, ()) if name in head.values()] or list(head.values())[:1]
    rows: dict[Key, dict[str, Any]] = {}
    places: dict[tuple[Key, str], tuple[int, int]] = {}
    seen: Counter[Key] = Counter()
    for number in dict.fromkeys(row for row, column in filled if row > HEADER and column in head):
        row = {name: plain(ws.cell(number, column).value) for column, name in head.items()}
        if all(value is None for value in row.values()):
            continue
        key = tuple(str(row.get(name) or "") for name in named)
        seen[key] += 1
        key = key if seen[key] == 1 else (*key, str(seen[key]))
        rows[key] = row
        places |= {(key, name): (number, column) for column, name in head.items()}
    return Grid(
        sheet=ws.title,
        columns=tuple(head.values()),
        entries=entries,
        rows=rows,
        places=places,
        repeated=tuple(repeated),
    )


def _cover(ws: Worksheet) -> Grid:
    """The Cover as a list: label and value; only a value that people fill is an entry."""
    rows: dict[Key, dict[str, Any]] = {}
    places: dict[tuple[Key, str], tuple[int, int]] = {}
    for row in sorted(row for row, column in ws._cells if row >= 3 and column == 1):
        label, value = ws.cell(row, 1), ws.cell(row, 2)
        if label.value is not None:
            column = "Entry" if _style(value) == _COVER_ENTRY else "Value"
            rows[(str(label.value),)] = {column: plain(value.value)}
            places[(str(label.value),), column] = (value.row, value.column)
    return Grid(sheet=ws.title, columns=("Entry", "Value"), entries=frozenset(["Entry"]), rows=rows, places=places)


def _style(cell: Cell) -> str:
    """The name of a cell's style; "" where another program has written the file without ours."""
    try:
        return str(cell.style)
    except IndexError:
        return ""


def plain(value: Any) -> Any:
    """A cell's value as two programs agree on it: text without Excel's escapes, times to the second, empty is None."""
    if isinstance(value, str):
        text, before = value.replace("\r\n", "\n"), ""
        while text != before:  # LibreOffice writes one escape less than it read
            text, before = _ESCAPE.sub(lambda m: chr(int(m[1], 16)), text), text
        return text or None
    if isinstance(value, datetime):
        return (value + timedelta(milliseconds=500)).replace(microsecond=0)
    return int(value) if isinstance(value, float) and value.is_integer() else value


def fill(path: Path, cells: Mapping[tuple[str, int, int], Any], beside: Sequence[Sheet]) -> bytes:
    """The workbook at `path` with these cells (sheet, row, column) set and sheets added; the same gives the same bytes."""
    book = _open(path)
    for (sheet, row, column), value in cells.items():
        cell = book[sheet].cell(row, column)
        protection = copy(cell.protection)
        put(cell, value, cell.style)
        cell.protection = protection
    for sheet_ in beside:
        if sheet_.name in book.sheetnames:
            del book[sheet_.name]
        add_sheet(book, sheet_)
    return archived(book)
