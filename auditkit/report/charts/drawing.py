"""What every chart is drawn with: colours, stacked bars, tiles, titles, and the picture that a notebook shows."""

import textwrap
from collections.abc import Mapping, Sequence, Sized
from contextlib import AbstractContextManager
from io import BytesIO
from types import MappingProxyType
from typing import Any

import pandas as pd
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from auditkit.evaluate import Conclusion, Snapshot

# Distinct in grey print too; a colour never stands alone, each bar is labelled.
COLOURS = MappingProxyType(
    {
        "ok": "#9bb8d3",
        "undetermined": "#e3c567",
        "exception": "#b3392f",
        "quiet": "#c9d1d9",
        "ink": "#1f3a5f",
    }
)

CONCLUDED: Mapping[Conclusion, str] = MappingProxyType(
    {
        "error": "#5e2a6e",
        "exceptions": "#b3392f",
        "not collected": "#e8a0c0",
        "undetermined": "#e3c567",
        "inherited": "#c9d1d9",
        "no population": "#e6e9ec",
        "no exceptions": "#9bb8d3",
    }
)
# Letters of the line under a title that an inch of the figure holds, beside the names of its rows.
LETTERS = 11
# Bars of one chart: of more, those that matter most are drawn, and the chart says so.
MOST = 40


def as_written() -> AbstractContextManager[None]:
    """Text is drawn as it is: a name with $ in it is no formula."""
    return rc_context({"text.parse_math": False})


class Picture:
    """A figure that a notebook shows, whatever its matplotlib backend; the same figure gives the same bytes."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    @property
    def alt(self) -> str:
        """What the picture says to who cannot see it: its title, and what was found."""
        texts = [self.figure.get_suptitle(), *(a.get_title("left") for a in self.figure.axes)]
        return ". ".join(filter(None, texts)).replace("\n", " ")

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        with as_written():
            self.figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"image/png": self._repr_png_()}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"


def sized(bars: int, *, width: float = 9) -> Figure:
    """A figure that is as high as so many bars need."""
    return Figure(figsize=(width, max(2.4, 1.3 + 0.27 * bars)), layout="constrained", dpi=110)


def stack(axes: Axes, counts: pd.DataFrame, colours: Sequence[str], *, labels: Sequence[str] = ()) -> None:
    """Stacked bars, one a row of `counts`, a part a column; `labels` stand at the ends."""
    left = pd.Series(0.0, index=counts.index)
    for part, colour in zip(counts, colours, strict=True):
        bars = axes.barh(counts.index.astype(str), counts[part], left=left, color=colour, label=str(part))
        left = left + counts[part]
    if labels and len(counts):
        axes.bar_label(bars, labels=list(labels), padding=3, fontsize=8)
        axes.margins(x=0.18)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=4, loc="outside lower left", fontsize=8)


def tile(axes: Axes, x: int, y: int, text: str, colour: str, *, dark: bool, size: float) -> None:
    """A coloured tile with a text at column `x` and row `y`; on a `dark` one the text is white."""
    axes.barh(y, 0.94, left=x - 0.47, height=0.88, color=colour)
    ink = "white" if dark else "black"
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=ink, linespacing=0.95)


def answers(axes: Axes, held: pd.DataFrame, *, size: float = 8) -> None:
    """Tiles of a table of nullable booleans: yes, no, or – where it is not known; its index names the rows."""
    for x, column in enumerate(held):
        for y, value in enumerate(held[column]):
            word = "–" if pd.isna(value) else "yes" if value else "no"
            colour = {"yes": COLOURS["ok"], "no": COLOURS["exception"], "–": COLOURS["quiet"]}[word]
            tile(axes, x, y, word, colour, dark=word == "no", size=size)
    axes.set_xticks(range(held.shape[1]), [str(column) for column in held])
    axes.set_yticks(range(len(held)), [short(str(name), 46) for name in held.index])
    axes.xaxis.tick_top()
    axes.set_ylim(max(len(held), 1) - 0.4, -0.6)


def short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def lacking(snapshot: Snapshot, table: str) -> str:
    """Which kinds the table rests on that were not completely read: a picture of a part must say so."""
    lacking = [f"{c.resource} {c.state}" for c in snapshot.tables.incomplete([table]).values()]
    return f"; incomplete: {', '.join(lacking)}" if lacking else ""


def some(every: Sized, drawn: Sized) -> str:
    """What a picture of a part says of it; empty where all is drawn."""
    return f"; {len(drawn)} of {len(every)} are drawn" if len(drawn) < len(every) else ""


def titled(figure: Figure, title: str, said: str, unit: str) -> Figure:
    """Title, what was found, and unit; no line that carries no data."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=COLOURS["ink"])
    axes = figure.axes[0]
    wide = int(figure.get_figwidth() * LETTERS)
    text = "\n".join(part for line in said.splitlines() for part in textwrap.wrap(line, wide))
    axes.set_title(text[:1].upper() + text[1:], loc="left", fontsize=9)
    axes.set_xlabel(unit, fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.tick_params(axis="x", labelsize=8)
    return figure
