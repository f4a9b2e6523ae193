"""What is printed: text of a cluster never acts on the terminal."""

import json
import re
from typing import Any

import click

from auditkit.errors import UsageError

# Control characters but newline and tab, marks that turn the direction of text, and halves of characters.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


# Characters of a cell in a list for people; --json has all of it.
LONGEST = 80


def printable(text: str) -> str:
    """Text of a cluster as it may stand on a terminal: what would act there is shown escaped, as JSON does."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    click.echo(printable(text), err=err, nl=nl)


def show(frame: Any, as_json: bool) -> None:
    """A frame as a table for people, or as a list of JSON objects."""
    if as_json:
        show_json(records(frame))
    else:
        say("none" if frame.empty else listed(frame))


def listed(frame: Any) -> str:
    """A frame as lines for people: text to the left, numbers to the right, no cell but the last longer than LONGEST."""
    numbers = [dtype.kind in "iuf" for dtype in frame.dtypes]
    rows = [[str(c) for c in frame], *map(_cells, frame.itertuples(index=False, name=None))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(v.rjust(w) if n else v.ljust(w) for v, w, n in zip(row, widths, numbers, strict=True)) for row in rows
    )
    return "\n".join(line.rstrip() for line in lines)


def _cells(row: tuple[Any, ...]) -> list[str]:
    from auditkit.report.frames import flat

    texts = [str(flat(v)) if isinstance(v, list) or _plain(v) is not None else "" for v in row]
    return [t if len(t) <= LONGEST else t[: LONGEST - 1] + "…" for t in texts[:-1]] + texts[-1:]


def having(frame: Any, word: str, *columns: str) -> Any:
    """The rows that have the word, in letters of any case, in one of these columns. Raises UsageError where none has."""
    rows = frame[[any(word.lower() in str(value).lower() for value in row) for row in frame[[*columns]].to_numpy()]]
    if rows.empty:
        raise UsageError(f"{word}: nothing that is listed has this in its {' or '.join(columns)}")
    return rows


def records(frame: Any) -> list[dict[str, Any]]:
    """The rows as dicts that JSON can hold; lists stay lists."""
    from auditkit.report.frames import flat

    return [
        {k: v if isinstance(v, (list, dict)) else _plain(flat(v)) for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    import pandas as pd

    return None if value is pd.NaT or (not isinstance(value, str) and pd.isna(value)) else value


def show_json(value: Any) -> None:
    say(json.dumps(value, indent=1, ensure_ascii=False, default=str))
