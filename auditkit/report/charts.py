"""Charts of a workpaper: the only user of matplotlib."""

from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from types import MappingProxyType

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from auditkit.analysis.access import Access
from auditkit.analysis.holder import SINK
from auditkit.analysis.means import IS_ADMIN
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


# Whom a way leads to, what is done, and on what condition.
Way = tuple[str, str, str]
# More than these make no picture: the table escalation_paths has all.
DRAWN = 60
SUBJECTS = ("User", "Group", "ServiceAccount")
# A line that passes behind a long text does not strike it through.
_BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}


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


def access_paths(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Who is cluster-admin, and who becomes it and through whom: the shortest way of each, as a tree.

    Left out are subjects that hold only what Kubernetes ships, but for those that others go through.
    """
    graph = Access.from_tables(snapshot.tables).paths().graph
    ways = {a: (b, d["how"], d["condition"]) for a, b, d in graph.edges(data=True) if d["best"]}
    # In the graph's order: the nearest first.
    subjects = [node for node, data in graph.nodes(data=True) if not data["stock"] and data["kind"] in SUBJECTS]
    drawn: set[str] = set()
    for node in subjects[:DRAWN]:
        while node != SINK:
            drawn.add(node)
            node = ways[node][0]
    places: dict[str, tuple[float, float]] = {}
    rows = _place(SINK, {node: ways[node] for node in drawn}, places, 0, 0)
    columns = max(2, -min(x for x, _ in places.values()))
    figure = Figure(figsize=(5.5 * columns, 1.2 + 0.31 * max(rows, 3)), layout="constrained", dpi=110)
    _tree(figure.subplots(), places, ways, rows)
    count = f"the nearest {DRAWN} of {len(subjects):,}" if len(subjects) > DRAWN else f"{len(subjects)}"
    what = f"{count} subjects; those that hold only what Kubernetes ships are left out"
    _titled(figure, f"Who is or can become cluster-admin, and through whom\n{what}", "")
    return figure


def _place(node: str, ways: Mapping[str, Way], places: dict[str, tuple[float, float]], depth: int, row: float) -> float:
    """Give a node and all that lead to it a column and a row, each leaf a row of its own; the next free row."""
    before = sorted(
        (n for n, way in ways.items() if way[0] == node), key=lambda n: (ways[n][1] != IS_ADMIN, ways[n][1], n)
    )
    first = row
    for one in before:
        row = _place(one, ways, places, depth + 1, row)
    row = row if before else row + 1
    places[node] = -float(depth), (first + row) / 2
    return row


def _tree(axes: Axes, places: Mapping[str, tuple[float, float]], ways: Mapping[str, Way], rows: float) -> None:
    """Names above what each does, and lines to whom it becomes; cluster-admin is the bar on the right."""
    left = min(-1.0, *(x for x, _ in places.values()))
    for node, (x, y) in places.items():
        if node != SINK:
            to, how, condition = ways[node]
            end = places[to] if to != SINK else (-0.3, y)
            style, colour = ("--", COLOURS["undetermined"]) if condition else ("-", COLOURS["ink"])
            axes.plot([x + 0.5, end[0] - 0.02], [y, end[1]], style, color=colour, linewidth=0.7)
            axes.text(
                x, y, _short(node), fontsize=7.5, va="bottom", color=COLOURS["ink"], parse_math=False, bbox=_BEHIND
            )
            does = how.rstrip(":") + (", on a condition" if condition else "")
            colour = COLOURS["exception"] if how == IS_ADMIN else "#555555"
            axes.text(x, y, _short(does), fontsize=6.5, va="top", color=colour, parse_math=False, bbox=_BEHIND)
    axes.axvspan(-0.3, -0.24, color=COLOURS["exception"])
    axes.text(-0.27, rows / 2, SINK, rotation=90, color="white", ha="center", va="center", fontsize=9)
    axes.set_xlim(left - 0.02, -0.22)
    axes.set_ylim(rows, 0)
    axes.set_axis_off()


def _short(text: str) -> str:
    return text if len(text) <= 70 else text[:69] + "…"


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
        "access_paths": access_paths,
        "reachability": reachability,
    }
)
