"""What a value of ours shows in a notebook: a line, facts, and the beginning of a table; text of a cluster is escaped."""

import html
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

# Rows and columns that fit a cell's output; the frame itself has all.
ROWS, COLUMNS = 12, 10
# JupyterLab puts text to the right.
LEFT = "style='text-align:left'"


def shown(
    title: str,
    facts: Mapping[str, object] | None = None,
    frame: "pd.DataFrame | None" = None,
    *,
    whole: str = "",
    rows: int = ROWS,
) -> str:
    """A title, labels with their values (those that say nothing left out), and the first rows of a frame; `whole` is
    the expression that gives all of it."""
    text = f"<p><b>{html.escape(title)}</b></p>"
    said = {k: v for k, v in (facts or {}).items() if str(v)}
    if said:
        cells = "".join(
            f"<tr><th {LEFT}>{html.escape(k)}</th><td {LEFT}>{html.escape(str(v))}</td></tr>" for k, v in said.items()
        )
        text += f"<table>{cells}</table>"
    if frame is None or frame.empty:
        return text
    first = frame.iloc[:rows, :COLUMNS].astype(object)
    body = first.where(first.notna(), "").to_html(index=False, border=0, justify="left")
    text += body.replace("<td>", f"<td {LEFT}>").replace("<th>", f"<th {LEFT}>")
    if len(frame) > rows or frame.shape[1] > COLUMNS:
        text += f"<p>{min(rows, len(frame))} of {len(frame):,} rows; all with every column: <code>{html.escape(whole)}</code></p>"
    return text
