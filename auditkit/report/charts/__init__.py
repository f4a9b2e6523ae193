"""Charts of a workpaper: the only user of matplotlib.

A chart is a function of a snapshot and the workpaper's results; its title says what is drawn, and the line
under it what was found, made from the data. Both are the picture's alternative text.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib.figure import Figure

from auditkit.errors import UsageError, instead
from auditkit.evaluate import Result, Snapshot
from auditkit.report.charts.bars import conclusions, coverage, expiry, levels, registries, requirements, verdicts
from auditkit.report.charts.drawing import Picture, as_written
from auditkit.report.charts.identity import people
from auditkit.report.charts.points import ageing
from auditkit.report.charts.relations import access_paths, reachability
from auditkit.report.charts.systems import copies, mesh, watched
from auditkit.report.charts.tiles import enforcement, policies, settings
from auditkit.report.charts.timelines import activity

__all__ = ["CHARTS", "Picture", "draw"]

Chart = Callable[..., Figure]
CHARTS: Mapping[str, Chart] = MappingProxyType(
    {
        "access_paths": access_paths,
        "ageing": ageing,
        "activity": activity,
        "conclusions": conclusions,
        "copies": copies,
        "coverage": coverage,
        "enforcement": enforcement,
        "expiry": expiry,
        "levels": levels,
        "mesh": mesh,
        "people": people,
        "policies": policies,
        "reachability": reachability,
        "registries": registries,
        "requirements": requirements,
        "settings": settings,
        "verdicts": verdicts,
        "watched": watched,
    }
)


def draw(name: str, snapshot: Snapshot, results: Sequence[Result], **options: Any) -> Picture:
    """The chart of this name over the tables and results of a snapshot; UsageError names the known ones."""
    if name not in CHARTS:
        raise UsageError(f"no chart {name}; {instead(name, CHARTS)}")
    with as_written():
        return Picture(CHARTS[name](snapshot, results, **options))
