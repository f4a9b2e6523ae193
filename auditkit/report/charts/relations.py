"""Charts of who reaches whom: subjects on their way to cluster-admin, namespaces over the network."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from auditkit.analysis.access import Access
from auditkit.analysis.holder import SINK
from auditkit.analysis.means import IS_ADMIN
from auditkit.analysis.reachability import Reachability
from auditkit.evaluate import Result, Snapshot
from auditkit.report.charts.drawing import COLOURS, short, titled

# Whom a way leads to, what is done, and on what condition.
Way = tuple[str, str, str]
# More than these make no picture: the table escalation_paths has all.
DRAWN = 60
SUBJECTS = ("User", "Group", "ServiceAccount")
# A line that passes behind a long text does not strike it through.
_BEHIND = {"facecolor": "white", "edgecolor": "none", "pad": 0.6}


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
    every = [node for node, data in graph.nodes(data=True) if data["kind"] in SUBJECTS]
    open_ = sum(_conditional(node, ways) for node in subjects)
    what = f"{count} of the {len(every)} subjects of escalation_paths, {open_} of them on a condition; "
    what += f"{len(every) - len(subjects)} hold only what Kubernetes ships and are left out"
    return titled(figure, "Who is or can become cluster-admin, and through whom", what, "")


def _conditional(node: str, ways: Mapping[str, Way]) -> bool:
    """Whether the way of a node hangs on what a snapshot cannot tell."""
    to, _, condition = ways[node]
    return bool(condition) or (to != SINK and _conditional(to, ways))


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
            axes.text(x, y, short(node, 70), fontsize=7.5, va="bottom", color=COLOURS["ink"], bbox=_BEHIND)
            does = how.rstrip(":") + (", on a condition" if condition else "")
            colour = COLOURS["exception"] if how == IS_ADMIN else "#555555"
            axes.text(x, y, short(does, 70), fontsize=6.5, va="top", color=colour, bbox=_BEHIND)
    axes.axvspan(-0.3, -0.24, color=COLOURS["exception"])
    axes.text(-0.27, rows / 2, SINK, rotation=90, color="white", ha="center", va="center", fontsize=9)
    axes.set_xlim(left - 0.02, -0.22)
    axes.set_ylim(rows, 0)
    axes.set_axis_off()


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
    open_ = int(matrix.fillna(False).astype(bool).to_numpy().sum())
    unknown = int(matrix.isna().to_numpy().sum())
    said = f"{open_:,} of {matrix.size:,} pairs are allowed on some port, {unknown:,} are not known"
    unit = "to a pod of; pods on a node's own network reach every pod of that node"
    titled(figure, "Which namespaces NetworkPolicies let connect to which", said, unit)
    axes.spines["bottom"].set_visible(False)
    return figure
