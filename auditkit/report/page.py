"""Pieces of HTML that a workpaper is made of; everything that comes from a cluster is escaped."""

import html
import re
from collections.abc import Iterable, Mapping

import pandas as pd

from auditkit.report.frames import said

# A longer text is cut in a page; the whole of it is in the files.
LONGEST = 240
# In a page a digest is told by its beginning; the whole of it is in the files.
_DIGEST = re.compile(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}")
_CODE = re.compile("`([^`]+)`")
# A text up to this long stays on one line, and so does every day with its time.
WHOLE = 16
_DAY = re.compile(r"\d{4}-\d\d-\d\d(?: \d\d:\d\d)?")
# A word longer than this may break after these; a part of it that is longer still, such as a hash, breaks anywhere.
_SEPARATOR = re.compile(r"(?<=[:/.@_,=\]])(?=\w)")
LONG = 32


class Html:
    """A piece of HTML that a notebook displays."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return "<Html: shown in a notebook>"


def escape(value: object) -> str:
    return html.escape(str(value))


def prose(text: str) -> str:
    """A sentence in which `backticks` hold code."""
    return _CODE.sub(r"<code>\1</code>", escape(text))


def facts(rows: Mapping[str, object]) -> str:
    """Labels and values, one row each."""
    cells = "".join(f"<tr><th scope='row'>{escape(k)}</th><td>{prose(str(v))}</td></tr>" for k, v in rows.items())
    return f"<table class='facts'>{cells}</table>"


def table(frame: pd.DataFrame, *, code: Iterable[str] = (), shown: int | None = None) -> str:
    """The frame as a list, its first `shown` rows; columns in `code` hold commands, an Html is not escaped again."""
    if frame.empty:
        return "<p class='none'>None.</p>"
    numbers = [str(dtype) in ("Int64", "int64", "Float64", "float64") for dtype in frame.dtypes]
    commands = set(code)
    head = "".join(
        f"<th scope='col'{_class('number' if n else '')}>{escape(c)}</th>"
        for c, n in zip(frame.columns, numbers, strict=True)
    )
    rows = (
        "".join(
            f"<td{_class('number' if n else '')}>{_cell(v, command=c in commands)}</td>"
            for v, n, c in zip(row, numbers, frame.columns, strict=True)
        )
        for row in frame.head(shown or len(frame)).itertuples(index=False, name=None)
    )
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    rest = (
        f"<p class='rest'>The first {shown} of {len(frame):,} rows are shown.</p>"
        if shown and len(frame) > shown
        else ""
    )
    return f"<table class='list'><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}"


def items(sentences: Iterable[str]) -> str:
    """Sentences as a list; nothing where there are none."""
    points = "".join(f"<li>{prose(s)}</li>" for s in sentences)
    return f"<ul>{points}</ul>" if points else ""


def _class(name: str) -> str:
    return f" class='{name}'" if name else ""


def _cell(value: object, *, command: bool) -> str:
    if isinstance(value, Html):
        return value.text
    text = _DIGEST.sub(r"\1…", said(value))
    cut = text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"
    shown = escape(cut)
    if command:
        return f"<code>{shown}</code>" if text else ""
    if len(text) <= WHOLE:
        return f"<span class='whole'>{shown}</span>" if " " in text or "-" in text else shown
    return _DAY.sub(r"<span class='whole'>\g<0></span>", " ".join(map(_word, cut.split(" "))))


def _word(word: str) -> str:
    """A word of a cell with the places where a long one may break."""
    if len(word) <= LONG:
        return escape(word)
    parts = _SEPARATOR.split(word)
    text = "<wbr>".join(map(escape, parts))
    return f"<span class='long'>{text}</span>" if max(map(len, parts)) > LONG else text
