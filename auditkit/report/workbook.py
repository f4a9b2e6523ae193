"""Writes the Excel control matrix from a template of named styles: the only user of openpyxl."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.cell.cell import Cell
from openpyxl.styles import Protection
from openpyxl.utils import get_column_letter
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet.worksheet import Worksheet

from auditkit.report.frames import flat
from auditkit.resources import folder

TEMPLATE = "control-matrix.xlsx"
CELL_LIMIT = 32_767
CUT = " […cut: the full text is in the Parquet file]"
# Excel takes none of these; openpyxl refuses them.
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# The instant that zip entries and document properties carry, so that equal content gives equal bytes.
FIXED = datetime(2000, 1, 1)


# Widths in characters, heights in points; Excel takes no row above 409.
NARROWEST, WIDEST, ENTRY_WIDTH = 8, 56, 22
LINE_HEIGHT, TALLEST = 13, 409


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One sheet: a note, a frame as filterable list, and blank unlocked columns for management and the auditor."""

    name: str
    note: str
    frame: pd.DataFrame
    auditor: Sequence[str] = ()
    people: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A cell that leads somewhere: its text, and a path beside the workbook or `#'Sheet'!A1` within."""

    text: str
    target: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, kw_only=True, slots=True)
class Cover:
    """The first sheet: title and label/value rows; a row without label is a heading."""

    title: str
    rows: Sequence[tuple[str, Any]]


def write(path: Path, cover: Cover, sheets: Sequence[Sheet], *, created: datetime | None) -> None:
    """Write the workbook; the same content gives the same bytes."""
    book = openpyxl.load_workbook(folder("templates") / TEMPLATE)
    _cover(book, cover, sheets)
    for sheet in sheets:
        _sheet(book.create_sheet(sheet.name), sheet)
    stamp = created.replace(tzinfo=None) if created else FIXED
    book.properties.created = book.properties.modified = stamp
    book.properties.creator = "auditkit"
    book.properties.title = cover.title
    draft = path.with_suffix(".draft")
    book.save(draft)
    _rewrite(draft, path, stamp)
    draft.unlink()


def _cover(book: Workbook, cover: Cover, sheets: Sequence[Sheet]) -> None:
    ws = book["Cover"]
    ws["A1"].value = cover.title
    ws["A1"].style = "title"
    rows = [*cover.rows, ("", "Sheets"), *((s.name, Link(text=s.note, target=f"#'{s.name}'!A1")) for s in sheets)]
    for number, (label, value) in enumerate(rows, start=3):
        heading = not label
        _put(ws.cell(number, 1), value if heading else label, "heading" if heading else "label")
        if not heading:
            _put(ws.cell(number, 2), value, "text")
            ws.row_dimensions[number].height = _height((value,), (100,))
    ws.column_dimensions["A"].width, ws.column_dimensions["B"].width = 28, 100
    _printable(ws, cover.title, landscape=False)
    ws.protection.sheet = True


def _sheet(ws: Worksheet, sheet: Sheet) -> None:
    columns = [*sheet.frame.columns, *sheet.people, *sheet.auditor]
    _put(ws.cell(1, 1), sheet.name, "title")
    _put(ws.cell(2, 1), sheet.note, "note")
    header = 4
    for n, name in enumerate(columns, start=1):
        style = "auditor header" if name in sheet.auditor else "people header" if name in sheet.people else "header"
        _put(ws.cell(header, n), name, style)
    values = [sheet.frame[name].tolist() for name in sheet.frame]
    widths = [_width(name, column) for name, column in zip(sheet.frame.columns, values, strict=True)]
    for n, width in enumerate([*widths, *[ENTRY_WIDTH] * len([*sheet.people, *sheet.auditor])], start=1):
        ws.column_dimensions[get_column_letter(n)].width = width
    ws.row_dimensions[header].height = 2 * LINE_HEIGHT + 4
    for r, row in enumerate(zip(*values, strict=True), start=header + 1):
        ws.row_dimensions[r].height = _height(row, widths)
        for c, value in enumerate(row, start=1):
            _put(ws.cell(r, c), value, "text")
        for c in range(len(row) + 1, len(columns) + 1):
            cell = ws.cell(r, c)
            cell.style, cell.protection = "entry", Protection(locked=False)
    last = header + len(sheet.frame)
    ws.freeze_panes = ws.cell(header + 1, 2)
    ws.auto_filter.ref = f"A{header}:{get_column_letter(len(columns))}{max(last, header + 1)}"
    ws.print_title_rows = f"{header}:{header}"
    _printable(ws, sheet.name, landscape=True)
    for allowed in ("autoFilter", "sort", "formatColumns", "formatRows"):
        setattr(ws.protection, allowed, False)
    ws.protection.sheet = True


def _width(name: str, values: Sequence[Any]) -> int:
    """Characters that hold the longest line of a column, within reason; a heading may take two lines."""
    longest = max((len(line) for v in values[:500] for line in str(flat(v)).splitlines()), default=0)
    return max(NARROWEST, min(WIDEST, longest + 2), min(len(name), max(len(w) for w in name.split()) + 4))


def _height(row: Sequence[Any], widths: Sequence[int]) -> float:
    """Points that hold the tallest cell: spreadsheets do not agree on sizing rows themselves."""
    lines = (
        sum(-(-max(1, len(line)) // max(1, width - 1)) for line in str(flat(v)).splitlines() or [""])
        for v, width in zip(row, widths, strict=True)
    )
    return float(min(TALLEST, LINE_HEIGHT * max(lines, default=1) + 3))


def _put(cell: Cell, value: Any, style: str) -> None:
    """Set a cell: text is always text, whatever it begins with; times are UTC without zone, as Excel knows them."""
    cell.style = style
    if isinstance(value, Link):
        cell.value = _text(value.text)
        if value.target.startswith("#"):
            cell.hyperlink = openpyxl.worksheet.hyperlink.Hyperlink(ref=cell.coordinate, location=value.target[1:])
        else:
            cell.hyperlink = value.target
        cell.style = "link"
        value = value.text
    if value is None or value is pd.NA or value is pd.NaT:
        return
    if isinstance(value, pd.Timestamp):
        cell.value, cell.number_format = value.tz_convert(None).to_pydatetime(), "yyyy-mm-dd hh:mm"
        return
    value = flat(value)
    if isinstance(value, bool):
        cell.value = "yes" if value else "no"
    elif isinstance(value, (int, float)):
        cell.value = value
    else:
        text = _text(str(value))
        cell.value = text
        cell.data_type = "s"
        if text.startswith(("=", "+", "-", "@")):
            cell.quotePrefix = True


def _text(value: str) -> str:
    text = CONTROL.sub("\N{REPLACEMENT CHARACTER}", value)
    return text if len(text) <= CELL_LIMIT else text[: CELL_LIMIT - len(CUT)] + CUT


def _printable(ws: Worksheet, title: str, *, landscape: bool) -> None:
    ws.page_setup.orientation = "landscape" if landscape else "portrait"
    ws.page_setup.paperSize = ws.PAPERSIZE_A3 if landscape else ws.PAPERSIZE_A4
    ws.page_setup.fitToWidth, ws.page_setup.fitToHeight = 1, 0
    ws.sheet_properties.pageSetUpPr.fitToPage = True
    ws.oddFooter.left.text, ws.oddFooter.right.text = title.replace("&", "&&"), "Page &P of &N"
    ws.sheet_view.showGridLines = False


def _rewrite(source: Path, target: Path, stamp: datetime) -> None:
    """Zip again with fixed times; openpyxl sets `modified` to the clock when it saves."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as new:
        for name in sorted(old.namelist(), key=lambda n: (n != "[Content_Types].xml", n)):
            content = old.read(name)
            if name == "docProps/core.xml":
                modified = f"{stamp:%Y-%m-%dT%H:%M:%SZ}".encode()
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + modified, content)
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, content)
