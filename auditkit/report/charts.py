"""Charts of a workpaper: the only user of matplotlib.

A chart is a function of a snapshot and the workpaper's results; its title says what is drawn, and the line
under it what was found, made from the data. Both are the picture's alternative text.
"""

from collections.abc import Callable, Mapping, Sequence, Sized
from io import BytesIO
from types import MappingProxyType
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from auditkit.analysis.access import Access
from auditkit.analysis.holder import SINK
from auditkit.analysis.means import IS_ADMIN
from auditkit.analysis.reachability import Reachability
from auditkit.capture.snapshot import INCOMPLETE
from auditkit.evaluate import CONCLUSIONS, Conclusion, Result, Snapshot

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
# Bars of one chart: of more, those that matter most are drawn, and the chart says so.
MOST = 40
# Days: the span that the timeline of certificates calls soon, as CERT-01 does by default.
SOON = 30


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

    @property
    def alt(self) -> str:
        """What the picture says to who cannot see it: its title, and what was found."""
        return ". ".join(filter(None, [self.figure.get_suptitle(), *(a.get_title("left") for a in self.figure.axes)]))

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.figure.savefig(buffer, format="png", metadata={"Software": None})
        return buffer.getvalue()

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"image/png": self._repr_png_()}, {"image/png": {"alt": self.alt}}

    def __repr__(self) -> str:
        return f"<Picture: {self.alt}>"


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
    figure = _figure(len(shown))
    axes = figure.subplots()
    _stack(axes, rows.div(rows.sum(axis=1), axis=0) * 100, [COLOURS[str(part)] for part in rows])
    for position, (found, total) in enumerate(zip(rows["exception"], rows.sum(axis=1), strict=True)):
        axes.text(101, position, f"{found:,} of {total:,}", va="center", fontsize=8)
    axes.set_xlim(0, 118)
    said = f"{(rows['exception'] > 0).sum()} of {len(shown)} tests with a population have exceptions"
    return _titled(figure, "Share of each population that is an exception", said, "per cent of rows")


def coverage(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """How the request for each kind ended."""
    states = pd.Series([c.state for c in snapshot.coverage]).value_counts()
    figure = _figure(len(states))
    axes = figure.subplots()
    colours = [COLOURS["exception"] if state in INCOMPLETE else COLOURS["ink"] for state in states.index]
    axes.bar_label(axes.barh(list(states.index), states.to_numpy(), color=colours), padding=3, fontsize=8)
    axes.invert_yaxis()
    missing = [c.resource for c in snapshot.incomplete]
    rest = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    said = f"incomplete: {', '.join(missing[:3])}{rest}" if missing else "nothing was denied, failed or partial"
    return _titled(figure, "How the request for each kind of object ended", said, "kinds")


def levels(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Workloads of each namespace by the Pod Security level that they meet, beside the level that is enforced."""
    rows = snapshot.tables["pod_security"]
    met = rows["level"].mask(rows["level_unknown"].fillna(True).astype(bool)).fillna("unknown")
    order = ["privileged", "baseline", "restricted", "unknown"]
    counts = pd.crosstab(rows["namespace"], met).reindex(columns=order, fill_value=0)
    enforced = rows.groupby("namespace")["enforced"].first().fillna("unknown")
    worst = counts.sort_values(order[:2], ascending=False, kind="stable").index[:MOST].sort_values()
    some, counts = _some(counts, worst), counts.loc[worst]
    figure = _figure(len(counts))
    axes = figure.subplots()
    colours = [COLOURS["exception"], COLOURS["undetermined"], COLOURS["ok"], COLOURS["quiet"]]
    _stack(axes, counts, colours, labels=[f"enforced: {enforced[name]}" for name in counts.index])
    below = int(rows["below"].fillna(False).sum())
    open_ = int((met == "privileged").sum())
    said = f"{open_} of {len(rows)} workloads do not meet baseline; {below} meet less than is enforced{some}"
    said += _lacking(snapshot, "pod_security")
    return _titled(figure, "Pod Security level that the workloads of each namespace meet", said, "workloads")


def expiry(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """When each certificate ends, seen from the time of the snapshot; equal certificates are one line."""
    rows = snapshot.tables["certificates"].dropna(subset=["not_before", "not_after"])
    rows = rows.sort_values("not_after").drop_duplicates("sha256").reset_index(drop=True)
    every, rows = rows, rows.head(MOST)
    now = snapshot.origin.taken_at
    figure = _figure(len(rows))
    axes = figure.subplots()
    if rows.empty or now is None:
        axes.axis("off")
        said = "no certificate was read" if rows.empty else "the snapshot is undated"
        said += _lacking(snapshot, "certificates")
        return _titled(figure, "Certificates by the day they end", said, "")
    left = (rows["not_after"] - pd.Timestamp(now)).dt.days
    colours = ["exception" if d < 0 else "undetermined" if d < SOON else "ok" for d in left]
    names = rows["namespace"].where(rows["namespace"] == "", rows["namespace"] + "/") + rows["name"]
    names = names.where(~rows["is_ca"].fillna(False), names + " (CA)")
    axes.hlines(range(len(rows)), rows["not_before"], rows["not_after"], colors=[COLOURS[c] for c in colours], lw=6)
    for position, (end, days) in enumerate(zip(rows["not_after"], left, strict=True)):
        text = f" {end:%Y-%m-%d} (expired)" if days < 0 else f" {end:%Y-%m-%d} (in {days:,} days)"
        axes.text(end, position, text, va="center", fontsize=7, bbox={"color": "white", "pad": 0.6}, zorder=3)
    axes.axvline(now, color=COLOURS["ink"], lw=1.2, ls="--")  # type: ignore[arg-type]
    axes.set_yticks(range(len(rows)), [_short(name) for name in names])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.16)
    soon = int(((left >= 0) & (left < SOON)).sum())
    said = f"{int((left < 0).sum())} of {len(every)} certificates have expired, {soon} end within {SOON} days"
    said += _some(every, rows) + _lacking(snapshot, "certificates")
    return _titled(
        figure, "Certificates by the day they end", said, f"dashed: {now:%Y-%m-%d}, the time of the snapshot"
    )


def registries(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Containers by registry, with those named by digest, by tag, and by a tag that moves."""
    images = snapshot.tables["images"]
    by = images["registry"].fillna("not a reference")
    moving = images["mutable"].fillna(False).astype(bool)
    pinned = images["digest"].notna()
    parts = {"named by a digest": pinned, "by a tag": ~pinned & ~moving, "by latest or no tag": moving & ~pinned}
    counts = pd.DataFrame(parts).groupby(by).sum()
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    every, counts = counts, counts.head(MOST)
    figure = _figure(len(counts))
    colours = [COLOURS["ok"], COLOURS["undetermined"], COLOURS["exception"]]
    _stack(figure.subplots(), counts, colours, labels=[f"{n:,}" for n in counts.sum(axis=1)])
    said = f"{int(pinned.sum())} of {len(images)} containers name a digest; {len(every)} registries"
    said += _some(every, counts) + _lacking(snapshot, "images")
    return _titled(figure, "Where images come from, and how they are named", said, "containers")


def policies(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Which policies hold in each namespace: yes, no, or not known."""
    tables = snapshot.tables
    psa = tables["psa"].set_index("name")
    labelled = (psa["enforce"].isin(["baseline", "restricted"]) & psa["enforce_valid"]).astype("boolean")
    network, limits = (tables[name].set_index("name") for name in ("namespace_network", "namespace_limits"))
    engines = tables["namespace_engines"].set_index("name")
    held = pd.DataFrame(
        {
            "Pod Security\nbaseline or more": labelled.mask(psa["enforce"].isna()),
            "policy engine\non pods": engines["governed"],
            "ingress denied\nby default": network["default_deny_ingress"],
            "egress denied\nby default": network["default_deny_egress"],
            "limits of\ncontainers": limits["limits_containers"],
            "quota of CPU\nand memory": limits["quota_cpu"] & limits["quota_memory"],
        },
        index=psa.index,
    )
    for column, name in zip(
        held, ("psa", "namespace_engines", *["namespace_network"] * 2, *["namespace_limits"] * 2), strict=True
    ):
        if tables.incomplete([name]):
            held[column] = pd.NA
    policed = held.fillna(False).astype(bool).sum(axis=1)
    every, held = held, held.loc[policed.sort_values(kind="stable").index[:MOST].sort_values()]
    figure = _figure(len(held))
    axes = figure.subplots()
    for x, column in enumerate(held):
        for y, value in enumerate(held[column]):
            word = "–" if pd.isna(value) else "yes" if value else "no"
            colour = {"yes": COLOURS["ok"], "no": COLOURS["exception"], "–": COLOURS["quiet"]}[word]
            _tile(axes, x, y, word, colour, dark=word == "no", size=8)
    axes.set_xticks(range(held.shape[1]), [str(column) for column in held])
    axes.set_yticks(range(len(held)), [_short(name) for name in held.index])
    axes.xaxis.tick_top()
    axes.set_ylim(len(held) - 0.4, -0.6)
    said = (
        f"{int((policed == 0).sum())} of {len(every)} namespaces are under none of these policies{_some(every, held)}"
    )
    return _titled(figure, "Policies that hold in each namespace", said, "–: not known, or a namespace of the system")


def settings(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """One tile a test, in the row of the component that it inspects."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.check.population.replace("_", " "), []).append(result)
    ordered = sorted(rows.items(), key=lambda item: (item[1][0].check.id.partition("-")[0], -len(item[1])))
    figure = _figure(len(ordered), width=11)
    axes = figure.subplots()
    for y, (_, tests) in enumerate(ordered):
        for x, result in enumerate(tests):
            dark = result.conclusion in ("error", "exceptions")
            id = result.check.id.replace("-", "\n")
            _tile(axes, x, y, id, CONCLUDED[result.conclusion], dark=dark, size=5.5)
    axes.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.set_xticks([])
    there = [c for c in CONCLUSIONS if any(r.conclusion == c for r in results)]
    handles = [Patch(color=CONCLUDED[c], label=c) for c in there]
    axes.legend(handles=handles, frameon=False, loc="lower right", fontsize=8)
    found = sum(r.conclusion == "exceptions" for r in results)
    said = f"{found} of {len(results)} tests have exceptions"
    return _titled(figure, "Tests of the platform by what they inspect", said, "one tile a test")


def conclusions(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Tests by topic and conclusion."""
    pairs = pd.DataFrame(
        {"topic": [r.check.id.partition("-")[0] for r in results], "conclusion": [r.conclusion for r in results]}
    )
    there = [c for c in CONCLUSIONS if (pairs["conclusion"] == c).any()]
    counts = pd.crosstab(pairs["topic"], pairs["conclusion"]).reindex(columns=there)
    figure = _figure(len(counts))
    totals = [f"{n}" for n in counts.sum(axis=1)]
    _stack(figure.subplots(), counts, [CONCLUDED[c] for c in there], labels=totals)
    clean = int((pairs["conclusion"] == "no exceptions").sum())
    said = f"{clean} of {len(results)} tests without exceptions"
    return _titled(figure, "Tests by topic and conclusion", said, "tests")


def _figure(bars: int, *, width: float = 9) -> Figure:
    return Figure(figsize=(width, max(2.4, 1.3 + 0.27 * bars)), layout="constrained", dpi=110)


def _stack(axes: Axes, counts: pd.DataFrame, colours: Sequence[str], *, labels: Sequence[str] = ()) -> None:
    """Stacked bars, one a row of `counts`, a part a column; `labels` stand at the ends."""
    left = pd.Series(0.0, index=counts.index)
    for part, colour in zip(counts, colours, strict=True):
        bars = axes.barh(counts.index.astype(str), counts[part], left=left, color=colour, label=str(part))
        left = left + counts[part]
    if labels and len(counts):
        axes.bar_label(bars, labels=list(labels), padding=3, fontsize=8)
        axes.margins(x=0.18)
    axes.invert_yaxis()
    axes.figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=4, loc="outside lower left", fontsize=8)


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
    return _titled(figure, "Who is or can become cluster-admin, and through whom", what, "")


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
                x, y, _short(node, 70), fontsize=7.5, va="bottom", color=COLOURS["ink"], parse_math=False, bbox=_BEHIND
            )
            does = how.rstrip(":") + (", on a condition" if condition else "")
            colour = COLOURS["exception"] if how == IS_ADMIN else "#555555"
            axes.text(x, y, _short(does, 70), fontsize=6.5, va="top", color=colour, parse_math=False, bbox=_BEHIND)
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
    said = f"{open_:,} of {matrix.size:,} pairs are allowed on some port"
    unit = "to a pod of; pods on a node's own network reach every pod of that node"
    _titled(figure, "Which namespaces NetworkPolicies let connect to which", said, unit)
    axes.spines["bottom"].set_visible(False)
    return figure


def _tile(axes: Axes, x: int, y: int, text: str, colour: str, *, dark: bool, size: float) -> None:
    axes.barh(y, 0.94, left=x - 0.47, height=0.88, color=colour)
    ink = "white" if dark else "black"
    axes.text(x, y, text, ha="center", va="center", fontsize=size, color=ink, linespacing=0.95)


def _short(text: str, most: int = 40) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _lacking(snapshot: Snapshot, table: str) -> str:
    """Which kinds the table rests on that were not completely read: a picture of a part must say so."""
    lacking = [f"{c.resource} {c.state}" for c in snapshot.tables.incomplete([table]).values()]
    return f"; incomplete: {', '.join(lacking)}" if lacking else ""


def _some(every: Sized, drawn: Sized) -> str:
    return f"; {len(drawn)} of {len(every)} are drawn" if len(drawn) < len(every) else ""


def _titled(figure: Figure, title: str, said: str, unit: str) -> Figure:
    """Title, what was found, and unit; no line that carries no data."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold", color=COLOURS["ink"])
    axes = figure.axes[0]
    axes.set_title(said[:1].upper() + said[1:], loc="left", fontsize=9)
    axes.set_xlabel(unit, fontsize=8)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0, labelsize=8)
    axes.tick_params(axis="x", labelsize=8)
    return figure


Chart = Callable[[Snapshot, Sequence[Result]], Figure]
CHARTS: Mapping[str, Chart] = MappingProxyType(
    {
        "access_paths": access_paths,
        "conclusions": conclusions,
        "coverage": coverage,
        "expiry": expiry,
        "levels": levels,
        "policies": policies,
        "reachability": reachability,
        "registries": registries,
        "settings": settings,
        "verdicts": verdicts,
    }
)
