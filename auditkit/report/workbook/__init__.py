"""Writes the Excel control matrix from a template of named styles: the only user of openpyxl."""

import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
from openpyxl.cell.cell import Cell
from openpyxl.drawing.spreadsheet_drawing import SpreadsheetDrawing
from openpyxl.formatting.rule import CellIsRule
from openpyxl.styles import Font, PatternFill, Protection
from openpyxl.utils import get_column_letter
from openpyxl.workbook.workbook import Workbook
from openpyxl.worksheet._writer import WorksheetWriter
from openpyxl.worksheet.datavalidation import DataValidation
from openpyxl.worksheet.hyperlink import Hyperlink
from openpyxl.worksheet.page import PageMargins
from openpyxl.worksheet.worksheet import Worksheet
from openpyxl.writer.excel import ExcelWriter

from auditkit.report.frames import flat
from auditkit.resources import folder

TEMPLATE = "control-matrix.xlsx"
CELL_LIMIT = 32_767
CUT = " […cut: the full text is in the Parquet file]"
# Excel takes none of these; openpyxl refuses them.
# What Excel would read as the code of a character (ECMA-376 part 1, 22.9.2.19): its first _ is written as one.
ESCAPED = re.compile("_(?=x[0-9A-Fa-f]{4}_)")
_PIECE = re.compile("[^ -]+[ -]*|[ -]+")
CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
# The instant that zip entries and document properties carry, so that equal content gives equal bytes.
FIXED = datetime(2000, 1, 1)


# Widths in characters, heights in points; Excel takes no row above 409.
NARROWEST, WIDEST, ENTRY_WIDTH = 7, 56, 18
LINE_HEIGHT, TALLEST = 13, 409
# Letters of running text, at the size of the template's styles, in a width that holds one figure of the default style.
LETTERS = 1.2
HASH = 40
# Characters that a landscape page holds at two thirds of the size: what is wider takes several pages.
PAGE_WIDTH, NOTE_WIDTH = 230, 150
# Lines of a cell beside those on paper: a longer one is cut until somebody makes its row higher.
BESIDE = 3
HEADER = 4
# Red, green and blue together below which letters are white.
DARK = 300
# Excel takes 255 characters of a footer with its codes, and reads "&&" as one.
FOOTER = 110


@dataclass(frozen=True, kw_only=True, slots=True)
class Sheet:
    """One sheet: a note, a frame as filterable list, and blank unlocked columns for management and the auditor.

    The first `fixed` columns stay while one scrolls, and stand on every printed page. On paper a `listing` has its first
    columns, as many as fit a page, and any other sheet all of them, on several pages. `files` are linked
    under the note; columns are as wide as what they hold, up to `widest` characters or their own of `widths`; `choices` are the values that an entry column offers,
    `shades` the colours (RRGGBB) of cells with a text.
    """

    name: str
    note: str
    frame: pd.DataFrame
    auditor: Sequence[str] = ()
    people: Sequence[str] = ()
    fixed: int = 1
    listing: bool = False
    widest: int = WIDEST
    widths: Mapping[str, int] = field(default_factory=dict)
    files: Sequence["Link"] = ()
    choices: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shades: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A cell that leads somewhere: its text or number, and a path beside the workbook or `#'Sheet'!A1` within."""

    text: str | int
    target: str

    @classmethod
    def row(cls, text: str | int, sheet: str, number: int) -> "Link":
        """A link to the `number`th row (from 0) of a sheet's list."""
        return cls(text=text, target=f"#'{sheet}'!A{HEADER + 1 + number}")

    def __str__(self) -> str:
        return str(self.text)


@dataclass(frozen=True, kw_only=True, slots=True)
class Cover:
    """The first sheet: title and label/value rows; a row without label is a heading, one without value an entry.

    `footer` stands on every printed page of the workbook, after the sheet's name.
    """

    title: str
    footer: str = ""
    rows: Sequence[tuple[str, Any]]


def write(path: Path, cover: Cover, sheets: Sequence[Sheet], *, created: datetime | None) -> None:
    """Write the workbook into a folder that is not published yet."""
    path.write_bytes(made(cover, sheets, created=created))


def made(cover: Cover, sheets: Sequence[Sheet], *, created: datetime | None) -> bytes:
    """The workbook as a file; the same content gives the same bytes."""
    book = openpyxl.load_workbook(folder("templates") / TEMPLATE)
    _cover(book, cover, sheets)
    for sheet in sheets:
        add_sheet(book, sheet, cover.footer)
    stamp = created.replace(tzinfo=None) if created else FIXED
    book.properties.created = book.properties.modified = stamp
    book.properties.creator = "auditkit"
    book.properties.title = cover.title
    return archived(book)


def archived(book: Workbook) -> bytes:
    """An open workbook as a file; the same content gives the same bytes."""
    draft = BytesIO()
    with zipfile.ZipFile(draft, "w") as archive:
        _InMemory(book, archive).save()
    return _timeless(draft)


def add_sheet(book: Workbook, sheet: Sheet, footer: str = "") -> None:
    """Add a sheet to an open workbook that has the template's styles."""
    _sheet(book.create_sheet(sheet.name), sheet, footer)


class _InMemory(ExcelWriter):  # type: ignore[misc]
    """Writes sheets without temporary files: on a full disk openpyxl's leave a traceback behind."""

    def write_worksheet(self, ws: Worksheet) -> None:
        out = BytesIO()
        writer = WorksheetWriter(ws, out)
        writer.write()
        ws._drawing, ws._rels = SpreadsheetDrawing(), writer._rels
        self._archive.writestr(ws.path[1:], out.getvalue())
        self.manifest.append(ws)


# Labels of the cover that show what a colour means.
_LEGEND = {"Yellow": "auditor header", "Blue": "people header"}


def _cover(book: Workbook, cover: Cover, sheets: Sequence[Sheet]) -> None:
    ws = book["Cover"]
    ws["A1"].value = cover.title
    ws["A1"].style = "title"
    leads = [(Link(text=s.name, target=f"#'{s.name}'!{get_column_letter(s.fixed + 1)}1"), s.note) for s in sheets]
    rows = [*cover.rows, ("", "Sheets"), *leads]
    for number, (label, value) in enumerate(rows, start=3):
        heading = not label
        put(ws.cell(number, 1), value if heading else label, "heading" if heading else "label")
        if value is None:
            _entry(ws.cell(number, 2), "people entry")
        elif not heading:
            put(ws.cell(number, 2), value, _LEGEND.get(str(label), "text"))
            ws.row_dimensions[number].height = _height((value,), (100,))
    ws.column_dimensions["A"].width, ws.column_dimensions["B"].width = 28, 100
    _printable(ws, cover.title, cover.footer, pages=0)
    ws.protection.sheet = True


def _sheet(ws: Worksheet, sheet: Sheet, footer: str) -> None:
    columns = [*sheet.frame.columns, *sheet.people, *sheet.auditor]
    # Beside the fixed columns: what stands in those is printed on every page, and cut there.
    put(ws.cell(1, sheet.fixed + 1), sheet.name, "title")
    for n, link in enumerate(sheet.files, start=sheet.fixed + 1):
        put(ws.cell(3, n), link, "text")
    for n, name in enumerate(columns, start=1):
        style = "auditor header" if name in sheet.auditor else "people header" if name in sheet.people else "header"
        put(ws.cell(HEADER, n), name, style)
    values = [sheet.frame[name].tolist() for name in sheet.frame]
    widths = [
        _width(name, column, sheet.widths.get(name, sheet.widest))
        for name, column in zip(sheet.frame.columns, values, strict=True)
    ]
    widths += [ENTRY_WIDTH] * len([*sheet.people, *sheet.auditor])
    for n, width in enumerate(widths, start=1):
        ws.column_dimensions[get_column_letter(n)].width = width
    printed = _printed(widths) if sheet.listing else len(columns)
    _note(ws, sheet, widths[:printed], columns[printed - 1] if printed < len(columns) else "")
    ws.row_dimensions[HEADER].height = max(2 * LINE_HEIGHT + 4, _height(columns, widths))
    for r, row in enumerate(zip(*values, strict=True), start=HEADER + 1):
        ws.row_dimensions[r].height = max(
            _height(row[:printed], widths[:printed]),
            _height(row[printed:], widths[printed:], most=BESIDE),
        )
        for c, value in enumerate(row, start=1):
            put(ws.cell(r, c), value, "text")
        for c, name in enumerate(columns[len(row) :], start=len(row) + 1):
            _entry(ws.cell(r, c), "people entry" if name in sheet.people else "entry")
    last = HEADER + max(len(sheet.frame), 1)
    for name, allowed in sheet.choices.items():
        letter = get_column_letter(columns.index(name) + 1)
        offered = DataValidation(type="list", formula1=f'"{",".join(allowed)}"', allow_blank=True)
        offered.add(f"{letter}{HEADER + 1}:{letter}{last}")
        ws.add_data_validation(offered)
    for text, colour in sheet.shades.items():
        fill = PatternFill(bgColor=colour, fill_type="solid")
        font = Font(color="FFFFFF") if sum(bytes.fromhex(colour)) < DARK else None
        area = f"{get_column_letter(sheet.fixed + 1)}{HEADER + 1}:{get_column_letter(len(columns))}{last}"
        ws.conditional_formatting.add(area, CellIsRule(operator="equal", formula=[f'"{text}"'], fill=fill, font=font))
    ws.freeze_panes = ws.cell(HEADER + 1, sheet.fixed + 1)
    ws.auto_filter.ref = f"A{HEADER}:{get_column_letter(len(columns))}{last}"
    ws.print_area = f"A1:{get_column_letter(printed)}{last}"
    ws.print_title_rows = f"{HEADER}:{HEADER}"
    ws.print_title_cols = f"A:{get_column_letter(sheet.fixed)}"
    kept = sum(widths[: sheet.fixed])
    pages = 1 if sheet.listing else -(-(sum(widths) - kept) // (PAGE_WIDTH - kept))
    _printable(ws, sheet.name, footer, pages=pages)
    for allowed_ in ("autoFilter", "sort", "formatColumns", "formatRows"):
        setattr(ws.protection, allowed_, False)
    ws.protection.sheet = True


def _printed(widths: Sequence[int]) -> int:
    """How many columns, from the first, fit a page."""
    fitting = [n for n in range(1, len(widths) + 1) if sum(widths[:n]) <= PAGE_WIDTH]
    return max(fitting, default=1)


def _note(ws: Worksheet, sheet: Sheet, widths: Sequence[int], until: str) -> None:
    """The note beside the fixed columns, over as many more as a page can show; `until` is the last column on paper, if not all."""
    text = f"{sheet.note} On paper: the columns up to {until}." if until else sheet.note
    first = last = sheet.fixed + 1
    while last < len(widths) and sum(widths[first - 1 : last + 1]) <= NOTE_WIDTH:
        last += 1
    cell = ws.cell(2, first)
    put(cell, text, "note")
    if last > first:
        ws.merge_cells(start_row=2, end_row=2, start_column=first, end_column=last)
    ws.row_dimensions[2].height = _height((text,), (sum(widths[first - 1 : last]),))


def _entry(cell: Cell, style: str) -> None:
    """A blank cell that people fill."""
    cell.style, cell.protection = style, Protection(locked=False)


def _width(name: str, values: Sequence[Any], widest: int) -> int:
    """Characters that hold the longest line of a column, within reason; a heading may take two lines."""
    longest = max((len(line) for v in values[:500] for line in _shown(v).splitlines()), default=0)
    return max(
        min(NARROWEST, widest), min(widest, longest + 2), min(len(name) + 2, max(len(w) for w in name.split()) + 4)
    )


def _height(row: Sequence[Any], widths: Sequence[int], *, most: int = TALLEST) -> float:
    """Points that hold the tallest cell, or its first `most` lines: spreadsheets do not agree on sizing rows themselves."""
    lines = (
        sum(_lines(line, max(1, int(LETTERS * (width - 1)))) for line in _shown(v).splitlines() or [""])
        for v, width in zip(row, widths, strict=False)
    )
    return float(min(TALLEST, LINE_HEIGHT * min(most, max(lines, default=1)) + 3))


def _lines(text: str, room: int) -> int:
    """Lines of `room` letters that a text takes, broken after blanks and hyphens; a longer word is broken anywhere."""
    if len(text) * LETTERS <= room:
        return 1
    lines, used = 1, 0
    for piece in _PIECE.findall(text):
        # Hashes are figures, which are wider than letters.
        wide = len(piece) if len(piece) < HASH else int(len(piece) * LETTERS)
        if used and used + len(piece.rstrip(" ")) > room:
            lines, used = lines + 1, 0
        used += wide
        lines, used = lines + (used - 1) // room, (used - 1) % room + 1
    return lines


def _shown(value: Any) -> str:
    """The text of a cell as it is seen; a time takes what its format shows of it."""
    if isinstance(value, datetime) and value is not pd.NaT:
        return f"{value:%Y-%m-%d}" if _is_day(value) else f"{value:%Y-%m-%d %H:%M}"
    return str(flat(value))


def _is_day(value: datetime) -> bool:
    """Whether a time is the beginning of a day, and shown as the day."""
    return (value.hour, value.minute, value.second) == (0, 0, 0)


def put(cell: Cell, value: Any, style: str) -> None:
    """Set a cell: text is always text, whatever it begins with; times are UTC without zone, as Excel knows them."""
    cell.style, linked = style, isinstance(value, Link)
    if isinstance(value, Link):
        if value.target.startswith("#"):
            cell.hyperlink = Hyperlink(ref=cell.coordinate, location=value.target[1:])
        else:
            cell.hyperlink = value.target
        cell.style = "link"
        value = value.text
    if value is None or value is pd.NA or value is pd.NaT:
        return
    if isinstance(value, datetime):
        cell.value, cell.style = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value, "number"
        cell.number_format = "yyyy-mm-dd" if _is_day(value) else "yyyy-mm-dd hh:mm"
        return
    value = flat(value)
    if isinstance(value, bool):
        cell.value = "yes" if value else "no"
    elif isinstance(value, (int, float)):
        cell.value, cell.style = value, "number link" if linked else "number"
    else:
        text = _text(str(value))
        cell.value = text
        cell.data_type = "s"
        if text.startswith(("=", "+", "-", "@")):
            cell.quotePrefix = True


def _text(value: str) -> str:
    text = ESCAPED.sub("_x005F_", CONTROL.sub("\N{REPLACEMENT CHARACTER}", value))
    return text if len(text) <= CELL_LIMIT else text[: CELL_LIMIT - len(CUT)] + CUT


def _printable(ws: Worksheet, title: str, footer: str, *, pages: int) -> None:
    """A4, `pages` wide and as long as it must be; a cover (0 wide) is upright."""
    ws.page_setup.orientation = "landscape" if pages else "portrait"
    ws.page_setup.paperSize = ws.PAPERSIZE_A4
    ws.page_setup.fitToWidth, ws.page_setup.fitToHeight = max(pages, 1), 0
    ws.page_setup.pageOrder = "overThenDown"
    ws.sheet_properties.pageSetUpPr.fitToPage = True
    ws.page_margins = PageMargins(left=0.4, right=0.4, top=0.45, bottom=0.55, header=0.2, footer=0.25)
    said = " · ".join(filter(None, [title, footer]))
    said = said if len(said) <= FOOTER else said[: FOOTER - 1] + "…"
    ws.oddFooter.left.text, ws.oddFooter.right.text = CONTROL.sub("", said).replace("&", "&&"), "Page &P of &N"
    ws.oddFooter.left.size = ws.oddFooter.right.size = 8
    ws.sheet_view.showGridLines = False


def _timeless(draft: BytesIO) -> bytes:
    """The archive again with fixed times, in order of names."""
    final = BytesIO()
    with zipfile.ZipFile(draft) as old, zipfile.ZipFile(final, "w") as new:
        for name in sorted(old.namelist(), key=lambda n: (n != "[Content_Types].xml", n)):
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            new.writestr(entry, old.read(name))
    return final.getvalue()
