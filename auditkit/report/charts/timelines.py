"""Charts over time: what was done on each day, and the days of which nothing is known."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, datestr2num
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from auditkit.evaluate import Result, Snapshot
from auditkit.report.charts.drawing import COLOURS, lacking, sized, titled


def activity(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Requests of the audit log by kind and day, those of people apart; days without an event are shaded."""
    rows, days = snapshot.tables["audit_activity"], snapshot.tables["audit_days"]
    title = "Activity by the audit log, day by day"
    figure = sized(9, width=11)
    axes = figure.subplots()
    if days.empty:
        axes.axis("off")
        return titled(figure, title, f"no audit log is there{lacking(snapshot, 'audit_days')}", "")
    lanes = _lanes(rows)
    for y, of in enumerate(lanes.values()):
        axes.axhline(y, color=COLOURS["quiet"], lw=0.6, zorder=1)
        for person, colour, offset in ((True, "exception", -0.14), (False, "ink", 0.14)):
            counts = of[of["person"].fillna(True) == person].groupby("day")["requests"].sum()
            size = counts.astype(float).clip(upper=400) ** 0.5 * 9 + 12
            axes.scatter(
                _dates(counts.index),
                [y + offset] * len(counts),
                s=size,
                color=COLOURS[colour],
                alpha=0.75,
                lw=0,
                zorder=3,
            )
    silent = _shade(axes, days)
    axes.set_yticks(range(len(lanes)), [f"{name} ({of['requests'].sum():,})" for name, of in lanes.items()])
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    locator = AutoDateLocator()  # type: ignore[no-untyped-call]
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    handles = [
        Line2D([], [], marker="o", lw=0, color=COLOURS["exception"], label="people"),
        Line2D([], [], marker="o", lw=0, color=COLOURS["ink"], label="ServiceAccounts and components"),
        Patch(color=COLOURS["quiet"], alpha=0.6, label="no event in the log"),
    ]
    figure.legend(handles=handles, frameon=False, ncols=3, loc="outside lower left", fontsize=8)
    first, last = days["name"].iloc[0], days["name"].iloc[-1]
    said = f"{days['lines'].sum():,} lines from {first} to {last}, the longest gap {days['silence'].max():,} hours; "
    said += f"{silent} of {len(days)} days have no event{lacking(snapshot, 'audit_activity')}"
    return titled(figure, title, said, "a dot is a day; its area grows with the requests")


def _lanes(rows: pd.DataFrame) -> Mapping[str, pd.DataFrame]:
    """The kinds of requests that are drawn, one line each; a request may be on several."""
    done = rows["succeeded"].fillna(True)
    named = {
        "Secrets read": done & (rows["what"] == "secret read"),
        "ways into pods": done & rows["what"].isin(["exec", "ephemeral container"]),
        "rights changed": done & (rows["what"] == "rbac"),
        "policies changed": done & (rows["what"] == "policy"),
        "workloads changed": done & (rows["what"] == "workload"),
        "other changes": done & (rows["what"] == "change"),
        "tokens, certificates": done & rows["what"].isin(["token", "certificate"]),
        "in another's name": done & rows["impersonated"].notna(),
        "without a name": done & (rows["user"] == "system:anonymous"),
        "refused": rows["denied"],
    }
    return {name: rows[mask.fillna(False).astype(bool)] for name, mask in named.items()}


def _shade(axes: Axes, days: pd.DataFrame) -> int:
    """Shade the days without an event, and say how many they are."""
    silent = _dates(days.loc[days["lines"] == 0, "name"])
    for day in silent:
        axes.axvspan(day - 0.5, day + 0.5, color=COLOURS["quiet"], alpha=0.6, lw=0, zorder=0)
    every = _dates(days["name"])
    axes.set_xlim(every[0] - 2, every[-1] + 2)
    return len(silent)


def _dates(days: Iterable[str]) -> list[float]:
    """Days as matplotlib counts them."""
    return [float(datestr2num(day)) for day in days]  # type: ignore[no-untyped-call]
