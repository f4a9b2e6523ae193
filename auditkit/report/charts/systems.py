"""Charts of the systems that an estate is run with: mesh, logging and monitoring, backups."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from auditkit.evaluate import Result, Snapshot
from auditkit.report.charts.drawing import COLOURS, MOST, answers, lacking, short, sized, some, titled

# Days: copies older than this are late, as AVL-70 has it by default.
LATE = 7
# A text on a bar.
_LABEL = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.85}


def mesh(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """What the mesh enforces before each workload: a proxy, encryption, and who may call."""
    encrypted = snapshot.tables["mesh_workloads"].set_index(["namespace", "kind", "name"])
    callers = snapshot.tables["mesh_callers"].set_index(["namespace", "kind", "name"])
    held = pd.DataFrame(
        {
            "a proxy before\nevery pod": encrypted["proxied"],
            "encrypted\ntraffic only": encrypted["encrypted"],
            "only calls that\na policy allows": ~callers["open"].reindex(encrypted.index),
        }
    )
    held.index = pd.Index([f"{namespace}/{name} ({kind})" for namespace, kind, name in held.index], dtype=object)
    failing = held.eq(False).fillna(False).astype(bool).any(axis=1)
    every, held = held, held.loc[failing.sort_values(ascending=False, kind="stable").index[:MOST].sort_values()]
    figure = sized(len(held))
    answers(figure.subplots(), held)
    whole = int(every.fillna(False).astype(bool).all(axis=1).sum())
    said = f"{whole} of {len(every)} workloads in namespaces of the mesh have all three; {int(failing.sum())} lack one"
    said = said if len(every) else "no namespace is in a mesh"
    said += some(every, held) + lacking(snapshot, "mesh_workloads")
    return titled(figure, "What the mesh enforces before each workload", said, "–: not known, or no pod runs")


def watched(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Which nodes agents reach, and for which topics there are alerts."""
    nodes = snapshot.tables["node_logging"].set_index("name")
    detection = snapshot.tables["node_detection"].set_index("name")
    held = pd.DataFrame({"logs\ncollected": nodes["covered"], "threats\ndetected": detection["covered"]})
    missed = held.eq(False).fillna(False).astype(bool).any(axis=1)
    every, held = held, held.loc[missed.sort_values(ascending=False, kind="stable").index[:MOST].sort_values()]
    topics = snapshot.tables["alert_topics"]
    figure = sized(max(len(held), len(topics)), width=11)
    left, right = figure.subplots(1, 2, width_ratios=[2, 3])
    answers(left, held)
    counts = topics["alerts"].map(len)
    colours = [COLOURS["ok"] if count else COLOURS["exception"] for count in counts]
    right.barh(range(len(topics)), counts.clip(lower=0.05), color=colours)
    for place, (count, names) in enumerate(zip(counts, topics["alerts"], strict=True)):
        right.text(max(count, 0.05), place, f" {short(', '.join(names), 60) or 'no alert'}", va="center", fontsize=7)
    right.set_yticks(range(len(topics)), list(topics["title"]))
    right.set_xlim(0, max([4, *(counts * 1.7)]))
    right.invert_yaxis()
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    right.set_title("" if len(topics) else "No PrometheusRule in the cluster", loc="left", fontsize=9)
    right.tick_params(axis="y", length=0, labelsize=8)
    right.tick_params(axis="x", labelsize=8)
    right.set_xlabel("alerts by topic", fontsize=8)
    for side in ("top", "right", "left"):
        right.spines[side].set_visible(False)
    reached = [int(every[column].fillna(False).astype(bool).sum()) for column in every]
    said = f"of {len(every)} nodes the logs of {reached[0]} are collected, threats detected on {reached[1]};\n"
    said += f"of {len(topics)} topics {int((counts == 0).sum())} raise no alert{some(every, held)}"
    said += lacking(snapshot, "node_logging")
    return titled(figure, "Nodes that agents reach, and what raises an alert", said, "–: not known")


def copies(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """How long ago the data of each claim was last copied."""
    listed = snapshot.tables["volume_copies"]
    order = listed["age_days"].fillna(float("inf")).sort_values(ascending=False, kind="stable").index
    every = listed.loc[order].reset_index(drop=True)
    rows = every.head(MOST)
    figure = sized(len(rows))
    axes = figure.subplots()
    ages = rows["age_days"].astype(float)
    longest = max(ages.max() if ages.notna().any() else 0.0, LATE * 2.0)
    late = ages.isna() | (ages > LATE)
    unknown = ~rows["known"].astype(bool)
    colours = [
        COLOURS["quiet"] if u else COLOURS["exception"] if overdue else COLOURS["ok"]
        for u, overdue in zip(unknown, late, strict=True)
    ]
    axes.barh(range(len(rows)), ages.fillna(longest), color=colours)
    for place, row in enumerate(rows.itertuples()):
        axes.text(longest * 0.01, place, f" {_told(row)}", va="center", fontsize=7.5, color="black", bbox=_LABEL)
    axes.axvline(LATE, color=COLOURS["ink"], lw=1.2, ls="--")
    axes.set_yticks(
        range(len(rows)), [short(f"{n}/{c}", 46) for n, c in zip(rows["namespace"], rows["name"], strict=True)]
    )
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    whole = every["age_days"].astype(float)
    said = f"{int((whole <= LATE).sum())} of {len(every)} claims were copied within {LATE} days, "
    said += (
        f"{int(whole.isna().sum())} have no copy" if every["known"].any() else "the cluster has no backups or snapshots"
    )
    said += some(every, rows) + lacking(snapshot, "volume_copies")
    return titled(figure, "Age of the last copy of data in volumes", said, f"days; dashed: {LATE} days")


def _told(row: Any) -> str:
    if not row.known:
        return "not known: no backups or snapshots in the cluster"
    if pd.isna(row.copied_at):
        return "no copy" if pd.isna(row.maybe_at) else "perhaps: a backup that may leave it out"
    how = "Backup" if row.copied_at == row.backed_up_at else "VolumeSnapshot"
    return f"{row.copied_at:%Y-%m-%d %H:%M}, {how}"
