"""Charts of single things: points."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure

from auditkit.declare import CHECKS
from auditkit.evaluate import Result, Snapshot
from auditkit.report.charts.drawing import COLOURS, lacking, sized, titled

SLA = "IMG-82"
UNKNOWN = "unknown"
# How a finding stands: its colour and its mark, that tell it apart in grey print as well.
STANDINGS: Mapping[str, tuple[str, str]] = {
    "later than agreed": (COLOURS["exception"], "X"),
    "in time": (COLOURS["ok"], "o"),
    "no correction": (COLOURS["undetermined"], "D"),
    "closed by VEX": (COLOURS["quiet"], "s"),
}
# Places of points of one age, before they lie upon each other: in the middle first, then below and above it.
LANES = (0, 0.13, -0.13, 0.26, -0.26, 0.39, -0.39)


def ageing(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Age of the vulnerabilities of images that run, by severity, beside the days in which each is to be mended."""
    settings = next((r.settings for r in results if r.check.id == SLA), CHECKS[SLA].settings)
    every = snapshot.tables["image_vulnerabilities"]
    # One package of one image is one finding, however many workloads run it.
    same = ["image", "digest", "vulnerability", "package", "version"]
    found = every.dropna(subset="vulnerability").drop_duplicates(same)
    found = found.assign(severity=found.severity.fillna(UNKNOWN), standing=_standing(found, settings))
    order = [name for name in (*settings, "negligible", UNKNOWN) if name in settings or (found.severity == name).any()]
    figure = sized(2 * len(order))
    axes = figure.subplots()
    dated = found.dropna(subset="age_days").sort_values(["age_days", "vulnerability", "package", "image"])
    lane = dated.groupby(["severity", "age_days"]).cumcount() % len(LANES)
    height = dated.severity.map(order.index).astype(float) + lane.map(dict(enumerate(LANES)))
    for standing, (colour, mark) in STANDINGS.items():
        rows = dated.standing == standing
        label = f"{standing} ({int((found.standing == standing).sum())})"
        ages = dated.age_days[rows].astype(float)
        axes.scatter(
            ages, height[rows], c=colour, marker=mark, s=34, label=label, edgecolors=COLOURS["ink"], linewidths=0.4
        )
    for position, name in enumerate(order):
        if name in settings:
            axes.vlines(
                settings[name], position - 0.42, position + 0.42, colors=COLOURS["ink"], linestyles="--", lw=1.2
            )
            axes.text(settings[name], position - 0.43, f" {settings[name]} days", fontsize=7, va="top")
    axes.set_yticks(range(len(order)), [f"{name} ({int((found.severity == name).sum())})" for name in order])
    axes.set_ylim(len(order) - 0.45, -0.55)
    axes.set_xlim(left=0)
    figure.legend(*axes.get_legend_handles_labels(), frameon=False, ncols=4, loc="outside lower left", fontsize=8)
    title = "Age of vulnerabilities in images that run, and the days in which they are to be mended"
    said = _said(snapshot, found) + lacking(snapshot, "image_vulnerabilities")
    return titled(figure, title, said, "days since publication, else since the first scan that found it")


def _standing(found: pd.DataFrame, days: Mapping[str, int]) -> pd.Series:
    late = (found.age_days > found.severity.map(dict(days)).astype("Int64")).fillna(False).astype(bool)
    standing = pd.Series("in time", index=found.index).mask(late, "later than agreed")
    return standing.mask(found.fixed_version.isna(), "no correction").mask(found.closed, "closed by VEX")


def _said(snapshot: Snapshot, found: pd.DataFrame) -> str:
    scans = snapshot.tables["running_scans"].drop_duplicates(["image", "digest"])
    scanned = int(scans.scanned.fillna(False).sum())
    late = int((found.standing == "later than agreed").sum())
    said = f"{len(found)} findings in the {scanned} of {len(scans)} images that were scanned; "
    said += f"{late} with a correction are later than agreed,\n"
    unknown = int(found.exploited.isna().sum())
    said += f"{int(found.exploited.fillna(False).sum())} known to be exploited"
    said += f", of {unknown} it is not known" if unknown else ""
    undated = int(found.age_days.isna().sum())
    return said + (f"; {undated} without a date are not drawn" if undated else "")
