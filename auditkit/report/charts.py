"""Charts of a workpaper: the only user of matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType

import pandas as pd
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from auditkit.analysis.reachability import Reachability
from auditkit.evaluate import CONCLUSIONS, Result, Snapshot

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


class Picture:
    """A figure that a notebook shows, whatever its matplotlib backend; the same figure gives the same bytes."""

    def __init__(self, figure: Figure) -> None:
        self.figure = figure

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def __repr__(self) -> str:
        return "<Picture: shown in a notebook>"


def draw(name: str, snapshot: Snapshot, results: Sequence[Result]) -> Picture:
    """The chart of this name over the tables and results of a snapshot."""
    return Picture(CHARTS[name](snapshot, results))


def verdicts(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Rows with and without exceptions, one bar a test that has a population."""
    shown = [r for r in results if len(r.population)]
    rows = pd.DataFrame(
        {
            "exception": [len(r.exceptions) for r in shown],
            "undetermined": [len(r.undetermined) for r in shown],
            "ok": [len(r.population) - len(r.exceptions) - len(r.undetermined) for r in shown],
        },
        index=[r.check.id for r in shown],
    )
    shares = rows.div(rows.sum(axis=1), axis=0) * 100
    figure = _figure(len(shown))
    labels = [f"{e:,} of {t:,}" for e, t in zip(rows["exception"], rows.sum(axis=1), strict=True)]
    _stacked(figure, shares, labels)
    _titled(figure, "Share of each population that is an exception", "per cent of rows; numbers are exceptions of rows")
    return figure


def coverage(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """How the request for each kind ended."""
    states = pd.Series([c.state for c in snapshot.coverage]).value_counts()
    figure = _figure(len(states))
    _bars(figure, states)
    _titled(figure, "How the request for each kind of object ended", "kinds")
    return figure


def registries(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Containers by registry, with those named by digest, by tag, and by a tag that moves."""
    images = snapshot.tables["images"]
    by = images["registry"].fillna("not a reference")
    moving = images["mutable"].fillna(False).astype(bool)
    pinned = images["digest"].notna()
    counts = pd.DataFrame({"digest": pinned, "tag": ~pinned & ~moving, "latest or no tag": moving}).groupby(by).sum()
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False).index]
    figure = _figure(len(counts))
    axes = figure.subplots()
    left = pd.Series(0, index=counts.index)
    for named, colour in zip(counts, (COLOURS["ok"], COLOURS["undetermined"], COLOURS["exception"]), strict=True):
        drawn = axes.barh(counts.index, counts[named], left=left, color=colour, label=f"named by {named}")
        left = left + counts[named]
    axes.bar_label(drawn, labels=[str(n) for n in left], padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    _quiet(axes)
    _titled(figure, "Where images come from, and how they are named", "containers")
    return figure


def conclusions(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Tests by topic and conclusion."""
    pairs = pd.DataFrame(
        {"topic": [r.check.id.partition("-")[0] for r in results], "conclusion": [r.conclusion for r in results]}
    )
    counts = pd.crosstab(pairs["topic"], pairs["conclusion"]).reindex(
        columns=[c for c in CONCLUSIONS if (pairs["conclusion"] == c).any()]
    )
    figure = _figure(len(counts))
    axes = figure.subplots()
    left = pd.Series(0, index=counts.index)
    for conclusion, colour in zip(
        counts, ("#b3392f", "#7a5195", "#e3c567", "#c9d1d9", "#8899a6", "#9bb8d3", "#5b8db8"), strict=False
    ):
        axes.barh(counts.index, counts[conclusion], left=left, color=colour, label=conclusion)
        left = left + counts[conclusion]
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower right", fontsize=8)
    _quiet(axes)
    _titled(figure, "Tests by topic and conclusion", "tests")
    return figure


def reachability(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Which namespace may connect to which: a cell is marked where a pod of the row reaches a pod of the column."""
    matrix = Reachability.from_tables(snapshot.tables).matrix(by="namespace")
    shown = min(len(matrix), 100)
    figure = Figure(figsize=(max(9, 2 + 0.24 * shown), 2.4 + 0.24 * shown), layout="constrained", dpi=110)
    axes = figure.subplots()
    parts = {
        "allowed on some port": (matrix.fillna(False).astype(bool), COLOURS["ink"], "o", "white"),
        "not allowed": (~matrix.fillna(True).astype(bool), COLOURS["quiet"], "", ""),
        "not known": (matrix.isna(), COLOURS["undetermined"], "$?$", "black"),
    }
    cells = sum(number * part[0].to_numpy(int) for number, part in enumerate(parts.values()))
    colours = ListedColormap([colour for _, colour, _, _ in parts.values()])
    axes.pcolormesh(
        cells, cmap=colours, vmin=-0.5, vmax=2.5, edgecolor="white", linewidth=min(2, 40 / (len(matrix) + 1))
    )
    for word, (found, colour, mark, ink) in parts.items():
        axes.scatter([], [], marker="s", s=60, color=colour, label=word)
        rows, columns = found.to_numpy(bool).nonzero()
        if len(rows) and mark:
            axes.scatter(columns + 0.5, rows + 0.5, marker=mark, s=min(14, 900 / len(matrix)), color=ink, linewidth=0)
    axes.set_ylim(max(len(matrix), 1), 0)
    places = [n + 0.5 for n in range(len(matrix))]
    axes.set_xticks(places, list(matrix.columns), rotation=90)
    axes.set_yticks(places, list(matrix.index))
    axes.xaxis.tick_top()
    axes.tick_params(axis="x", length=0)
    axes.set_ylabel("from a pod of", fontsize=8)
    figure.legend(frameon=False, ncols=3, loc="outside lower left", fontsize=8)
    _quiet(axes)
    axes.spines["bottom"].set_visible(False)
    _titled(
        figure,
        "Which namespaces NetworkPolicies let connect to which",
        "to a pod of; pods on a node's own network reach every pod of that node",
    )
    return figure


def _figure(bars: int) -> Figure:
    return Figure(figsize=(9, max(2.2, 0.9 + 0.27 * bars)), layout="constrained", dpi=110)


def _bars(figure: Figure, values: pd.Series) -> None:
    axes = figure.subplots()
    drawn = axes.barh([str(i) for i in values.index], values.to_numpy(), color=COLOURS["ink"])
    axes.bar_label(drawn, padding=3, fontsize=8)
    axes.invert_yaxis()
    _quiet(axes)


def _stacked(figure: Figure, shares: pd.DataFrame, labels: Sequence[str]) -> None:
    axes = figure.subplots()
    left = pd.Series(0.0, index=shares.index)
    for part in shares:
        axes.barh(shares.index, shares[part], left=left, color=COLOURS[str(part)], label=part)
        left = left + shares[part]
    for position, label in enumerate(labels):
        axes.text(101, position, label, va="center", fontsize=8)
    axes.set_xlim(0, 118)
    axes.invert_yaxis()
    axes.legend(frameon=False, ncols=3, loc="lower left", bbox_to_anchor=(0, 1), fontsize=8)
    _quiet(axes)


def _quiet(axes: object) -> None:
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)  # type: ignore[attr-defined]
    axes.tick_params(axis="y", length=0, labelsize=8)  # type: ignore[attr-defined]
    axes.tick_params(axis="x", labelsize=8)  # type: ignore[attr-defined]


def _titled(figure: Figure, title: str, unit: str) -> None:
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=COLOURS["ink"])
    figure.axes[0].set_xlabel(unit, fontsize=8)


Chart = Callable[[Snapshot, Sequence[Result]], Figure]
CHARTS: Mapping[str, Chart] = MappingProxyType(
    {
        "verdicts": verdicts,
        "coverage": coverage,
        "conclusions": conclusions,
        "registries": registries,
        "reachability": reachability,
    }
)
