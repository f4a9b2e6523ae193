"""Charts of a period: days, slots of controls, and lines over time with their uncertainty."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC
from types import MappingProxyType
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from auditkit.period.coverage import STATUSES
from auditkit.period.effectiveness import together
from auditkit.period.whole import Period
from auditkit.report.charts.drawing import COLOURS, MOST, Picture, as_written, short, sized, some, stack, tile, titled
from auditkit.report.frames import records
from auditkit.report.narrative import count
from auditkit.report.period import words

# Colour and letter of a day; a colour never stands alone.
DAYS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "captured": (COLOURS["ok"], "c"),
        "late": (COLOURS["undetermined"], "l"),
        "partial": ("#e8a0c0", "p"),
        "missed": (COLOURS["exception"], "m"),
    }
)


def by_day(coverage: pd.DataFrame) -> pd.DataFrame:
    """The worst status of each day's slots: one row a cluster and month ("2026-07"), one column a day of the month (1 to 31)."""
    worst = coverage.assign(
        rank=coverage["status"].map(list(STATUSES).index),
        month=[f"{slot:%Y-%m}" for slot in coverage["slot"]],
        day=coverage["slot"].dt.day,
    )
    table = worst.pivot_table(index=["cluster", "month"], columns="day", values="rank", aggfunc="max")
    return table.reindex(columns=range(1, 32)).map(lambda rank: "" if pd.isna(rank) else STATUSES[int(rank)])


def days(period: Period) -> Figure:
    """One tile a day of the period, a row a month, of several clusters a block each: captured, late, partial or missed."""
    held = by_day(period.coverage)
    # The name of a cluster takes a row above its months.
    names = period.clusters if len(period.clusters) > 1 else ()
    places = [row + sum(name <= cluster for name in names) for row, (cluster, _) in enumerate(held.index)]
    rows = len(held) + len(names)
    figure = Figure(figsize=(11, 1.7 + 0.42 * rows), layout="constrained", dpi=110)
    axes = figure.subplots()
    for name in names:
        above = min(y for y, (cluster, _) in zip(places, held.index, strict=True) if cluster == name) - 1
        axes.text(-0.47, above, name, va="center", fontsize=9, color=COLOURS["ink"])
    for y, statuses in zip(places, held.to_numpy(), strict=True):
        for x, status in enumerate(statuses):
            if status:
                colour, letter = DAYS[status]
                tile(axes, x, y, letter, colour, dark=status == "missed", size=8)
    axes.set_xticks(range(31), [str(n) for n in range(1, 32)])
    axes.set_yticks(places, [month for _, month in held.index])
    axes.xaxis.tick_top()
    axes.set_ylim(rows - 0.4, -0.6)
    axes.set_xlim(-0.6, 30.6)
    handles = [Patch(color=colour, label=f"{letter} {name}") for name, (colour, letter) in DAYS.items()]
    figure.legend(handles=handles, frameon=False, ncols=4, loc="outside lower left", fontsize=8)
    title = f"Days of the period with a capture: {words.clusters(period)}"
    said = words.covered(period)
    # What is told of several clusters is longer than a line.
    return titled(
        figure, title, said.replace(". ", ".\n", 1) if names else said, "day of the month; of several slots the worst"
    )


def slots(period: Period) -> Figure:
    """How the slots of each control ended, one bar a control."""
    frame = together(period.controls)
    tested = frame[frame["checks"].map(len) > 0]
    parts = pd.DataFrame(
        {
            "with exceptions": tested["with_exceptions"],
            "not concluded": tested["not_concluded"],
            "clean": tested["clean"],
            "nothing to test": tested["nothing_to_test"],
        }
    ).astype(int)
    parts.index = pd.Index(
        [f"{id} {short(title, 38)}" for id, title in zip(tested["control"], tested["title"], strict=True)]
    )
    every = parts.sort_values(["with exceptions", "not concluded"], ascending=False, kind="stable")
    shown = every.head(MOST)
    figure = sized(len(shown), width=11)
    colours = [COLOURS["exception"], COLOURS["undetermined"], COLOURS["ok"], COLOURS["quiet"]]
    axes = figure.subplots()
    deviations = dict(zip(parts.index, zip(tested["deviations"], tested["open"], strict=True), strict=True))
    labels = [f"{count(deviations[name][0], 'deviation')}, {deviations[name][1]:,} open" for name in shown.index]
    stack(axes, shown, colours, labels=labels)
    axes.margins(x=0.32)
    of_all = f", of {len(period.clusters)} clusters together" if len(period.clusters) > 1 else ""
    expected, captured = (int(frame[name].max()) if len(frame) else 0 for name in ("expected", "captured"))
    said = f"{captured} of {expected} expected slots were captured; {int((every['with exceptions'] > 0).sum())} of {len(every)} "
    said += f"tested controls have a slot with exceptions{some(every, shown)}"
    return titled(figure, "Captured slots of each control", said, f"slots of the schedule{of_all}")


def access(period: Period) -> Figure:
    """When each subject could do everything, and what leavers kept: one line a grant, thin where it is not certain."""
    every = words.privileged(period.grants)
    kept = period.departures.assign(left=True)
    rows = pd.concat([every.assign(left=False), kept], ignore_index=True)
    where = rows["namespace"].map(lambda name: f" in {name}" if name else "")
    rows["label"] = rows["identity"].astype("string") + where + " (" + rows["name"].astype("string") + ")"
    rows = rows.assign(moved=words.moved(period, rows)).sort_values(
        ["left", "moved", "first_seen"], ascending=False, kind="stable"
    )
    colours = [
        "exception" if left else "undetermined" if moved else "ink"
        for left, moved in zip(rows["left"], rows["moved"], strict=True)
    ]
    notes = [
        f"left {one.last_working_day:%Y-%m-%d}, kept at least {one.days_at_least:.0f} days" if one.left else _span(one)
        for one in records(rows)
    ]
    figure = _timeline(period, rows, rows["label"], colours, notes)
    said = f"{count(len(every), 'grant')} of everything: {int((rows['moved'] & ~rows['left']).sum())} began or ended in the period; "
    said += f"{count(len(kept), 'binding')} that leavers kept{some(rows, rows.head(MOST))}"
    key = {"all of the period": "ink", "began or ended in it": "undetermined", "kept by a leaver": "exception"}
    return _keyed(period, figure, key, "Access to everything, and of people who left", said)


def changes(period: Period) -> Figure:
    """The changes that nothing explains or of which it is not known: a point where the time is known, else its bounds."""
    frame = period.changes
    every = frame[~frame["explained"].fillna(False)].copy()
    every["earliest"] = every["at"].fillna(every["not_before"])
    every["latest"] = every["at"].fillna(every["not_after"])
    every = every.sort_values("latest", kind="stable", ignore_index=True)
    shown = every.head(MOST)
    figure = sized(max(len(shown), 1), width=11)
    axes = figure.subplots()
    for y, one in enumerate(records(shown)):
        colour = COLOURS["undetermined" if pd.isna(one.explained) else "exception"]
        axes.hlines(y, one.earliest, one.latest, color=colour, lw=2)
        axes.plot([one.earliest, one.latest], [y, y], "o", color=colour, ms=5)
        text = one.manager if isinstance(one.manager, str) else "nothing says who"
        axes.text(one.latest, y, f"  {one.change}, {text}", va="center", fontsize=7)
    place = shown["namespace"].where(shown["namespace"] == "", shown["namespace"] + "/") + shown["name"]
    axes.set_yticks(range(len(shown)), _led(period, shown, shown["kind"] + " " + place))
    _dated(period, axes, len(shown))
    key = {"not explained": "exception", "cannot be told": "undetermined"}
    return _keyed(
        period,
        figure,
        key,
        "Changes without an explanation",
        f"{words.changed(period)}{some(every, shown)}".replace(": ", ":\n", 1),
    )


def deviations(period: Period) -> Figure:
    """The gravest deviations that began or ended within the period, one line each."""
    frame = period.deviations
    moved = frame[words.moved(period, frame)]
    order = {name: n for n, name in enumerate(("critical", "high", "medium", "low", "info"))}
    every = moved.assign(rank=moved["severity"].map(order)).sort_values(["rank", "first_seen", "check"], kind="stable")
    shown = every.head(MOST)
    colours = [
        "exception" if one.state == "present" else "undetermined" if one.state == "unknown" else "ok"
        for one in records(shown)
    ]
    notes = [f"{one.severity}, {_span(one)}" for one in records(shown)]
    figure = _timeline(period, shown, shown["check"] + " " + shown["row"], colours, notes)
    said = f"{words.deviated(period)}\n{len(frame) - len(moved):,} were there all the time and are; {len(moved):,} began or ended within the period{some(every, shown)}"
    key = {"open": "exception", "not known": "undetermined", "ended": "ok"}
    return _keyed(period, figure, key, "Deviations that began or ended within the period, gravest first", said)


def _led(period: Period, rows: pd.DataFrame, labels: pd.Series) -> list[str]:
    """The labels of rows in short, each after its cluster where there are several."""
    named = zip(rows["cluster"], labels, strict=True)
    return [words.of_cluster(period, cluster) + short(label, 52) for cluster, label in named]


def _span(one: Any) -> str:
    state = {"present": "open", "unknown": "not known"}.get(one.state, one.state)
    return f"seen {one.first_seen:%m-%d} to {one.last_seen:%m-%d}, {state}"


def _timeline(
    period: Period, rows: pd.DataFrame, labels: pd.Series, colours: Sequence[str], notes: Sequence[str]
) -> Figure:
    """One line an interval: thick while captures show it, thin where it may have been there."""
    shown = rows.head(MOST)
    figure = sized(max(len(shown), 1), width=11)
    axes = figure.subplots()
    starts = period.start(shown)
    for y, (one, start, colour) in enumerate(zip(records(shown), starts, colours, strict=False)):
        began = start if pd.isna(one.began_not_before) else max(one.began_not_before, start)
        gone = one.last_seen if pd.isna(one.ended_not_after) else one.ended_not_after
        axes.hlines(y, min(began, one.first_seen), gone, color=COLOURS[colour], lw=1.2)
        axes.hlines(y, one.first_seen, one.last_seen, color=COLOURS[colour], lw=6)
        axes.plot([one.first_seen], [y], "o", color=COLOURS[colour], ms=5)
        axes.text(1.01, y, short(notes[y], 48), va="center", fontsize=7, transform=axes.get_yaxis_transform())
    axes.set_yticks(range(len(shown)), _led(period, shown, labels.head(len(shown))))
    _dated(period, axes, len(shown))
    return figure


def _dated(period: Period, axes: Axes, rows: int) -> None:
    """The time axis, with a dotted line at each capture."""
    for at in period.captures["taken_at"]:
        axes.axvline(at, color=COLOURS["quiet"], lw=0.8, ls=":", zorder=0)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator, tz=UTC, show_offset=False))  # type: ignore[no-untyped-call]
    axes.set_ylim(max(rows, 1) - 0.4, -0.6)


def _keyed(period: Period, figure: Figure, key: Mapping[str, str], title: str, said: str) -> Figure:
    handles = [Line2D([], [], color=COLOURS[colour], lw=5, label=name) for name, colour in key.items()]
    figure.legend(handles=handles, frameon=False, ncols=4, loc="outside lower left", fontsize=8)
    return titled(
        figure, title, said, f"{period.captures['taken_at'].max():%Y}; dotted: captures; thin: may have been there"
    )


Chart = Callable[[Period], Figure]
CHARTS: Mapping[str, Chart] = MappingProxyType(
    {"access": access, "changes": changes, "days": days, "deviations": deviations, "slots": slots}
)


def draw(name: str, period: Period) -> Picture:
    """The chart of this name over a period."""
    with as_written():
        return Picture(CHARTS[name](period))
