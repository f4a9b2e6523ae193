"""A workpaper of a period: what one notebook shows, section by section, made from the frames of a pack."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pandas as pd

from auditkit import frameworks
from auditkit.capture import tool
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.period import changes as _changes
from auditkit.period import coverage, departures, differences, effectiveness, intervals, spans, tickets
from auditkit.period.effectiveness import together
from auditkit.period.whole import LISTINGS, Period, whole
from auditkit.report import narrative
from auditkit.report.charts import Picture
from auditkit.report.charts import period as charts
from auditkit.report.page import Html, escape, facts, items, prose, table
from auditkit.report.period import found, words
from auditkit.report.period.saved import FOLDER
from auditkit.report.workpaper import END, Notebook, read

# Rows shown of a frame; the whole of it is linked.
ROWS = 15
# What makes each frame: shown as the procedure, so that anybody can perform it again.
MADE: Mapping[str, Sequence[Callable[..., Any] | type]] = {
    "captures": (whole,),
    "coverage": (coverage.slots, coverage.coverage),
    "gaps": (coverage.gaps,),
    "controls": (effectiveness.Tested, effectiveness._Counted),
    "checks": (effectiveness.Tested, effectiveness._Counted),
    "deviations": (effectiveness._Followed, spans.Spans),
    "changes": (_changes.changes, differences.differences, tickets.explain),
    "objects": (intervals.ObjectSpans, spans.Spans),
    "bindings": (intervals.GrantSpans, spans.Spans),
    "grants": (intervals.GrantSpans, spans.Spans),
    "departures": (departures.Departures, spans.Spans),
}


@cache
def notebooks() -> Mapping[str, Notebook]:
    """The notebooks of a period by name, in order."""
    return read("period-notebooks.toml")


class Workpaper:
    """The sections of one notebook over a period, in the order that an auditor reads a workpaper."""

    def __init__(self, notebook: Notebook, period: Period, engagement: Engagement) -> None:
        self.notebook, self.period, self.engagement = notebook, period, engagement

    def objective(self) -> Html:
        """Title block: entity, system, period, clusters, preparer, reviewer."""
        engagement, stated = self.engagement, self.engagement.period
        rows = {
            "Workpaper": f"{self.notebook.reference} {self.notebook.title}",
            "Entity": engagement.entity,
            "System": engagement.system,
            "Report": engagement.report,
            "Period": f"{stated.start} to {stated.end}" if stated else "not stated",
            "Schedule": stated.schedule if stated else "",
            "Gap tolerance": _tolerance(engagement),
            "Judged until": f"{self.period.until:%Y-%m-%d %H:%M} UTC",
            "Clusters" if len(self.period.clusters) > 1 else "Cluster": ", ".join(self.period.clusters),
            "Prepared by": f"management ({engagement.preparer or 'preparer not named'}), with {tool()}",
            "Prepared at": "the time on index.html, from run.json",
            "Reviewed by, date": "",
        }
        return Html(f"<p>{escape(self.notebook.objective)}</p>" + facts(rows))

    def criteria(self) -> Html:
        """The controls of this workpaper's criteria, and what the criteria ask for."""
        known = [c for c in self._controls() if set(c.primary) & set(self.notebook.criteria)]
        rows = [
            {
                "Control": c.id,
                "Activity": c.statement,
                "Primary criteria": ", ".join(c.primary),
                "Frequency": c.frequency,
            }
            for c in known
        ]
        asked = frameworks.load("soc2-2017").requirement
        titles = [f"<b>{escape(r.id)}</b> {escape(r.title)}" for r in asked if r.id in self.notebook.criteria]
        return Html(table(pd.DataFrame(rows)) + f"<p class='legend'>{'; '.join(titles)}.</p>")

    def source(self) -> Html:
        """The captures, which slots they leave open, and the imports."""
        frame = self.period.captures
        columns = self.period.with_cluster("taken_at", "added_at", "state", "objects", "incomplete", "imports", "tool")
        shown = frame[columns].assign(digest=frame["digest"].str[:16])
        text = f"<p>{escape(words.covered(self.period))}</p>" + items(
            [*words.missed(self.period), *words.partial(self.period)]
        )
        text += "<h3>Captures</h3>" + table(found.worded(shown), shown=4 * ROWS)
        text += (
            "<p class='rest'>The captures stay in the store; each is named by its digest (inputs/captures.json).</p>"
        )
        rows = [
            {
                "Import": one.about.source,
                "Made at": f"{one.about.made_at:%Y-%m-%d} ({one.about.dated_by})" if one.about.made_at else "undated",
                "Supplied by": one.about.by,
                "Records": one.about.rows,
                "As read": f"{one.about.state}: {one.about.note}" if one.about.note else one.about.state,
                "Partial for": f"{self._partial(one.about.source)} of {len(frame)} captures",
                "Files (sha256)": [f"{f.name} ({f.sha256[:16]})" for f in one.about.files],
            }
            for one in self.period.imports
        ]
        return Html(text + "<h3>Imported documents</h3>" + table(pd.DataFrame(rows)))

    def procedure(self) -> Html:
        """How each frame is made: what a row is, what its columns mean, the code."""
        intro = (
            "Every capture of the period is read, none is sampled. What follows says how each listing comes about, down to "
            "the code that made it; `auditkit verify . --reperform --store DIR` makes all of them again."
        )
        return Html(f"<p>{prose(intro)}</p>" + "".join(_how(name) for name in self.notebook.tables))

    def population(self) -> Html:
        """Every listing of this workpaper with its size and files, of all clusters together, and the first rows."""
        frames = self.period.frames
        rows = [
            {
                "Listing": name,
                "What": Html(prose(title(name))),
                "Rows": len(frames[name]),
                "All rows": Html(_files(name)),
            }
            for name in self.notebook.tables
        ]
        return Html(table(pd.DataFrame(rows)) + "".join(self._shown(name) for name in self.notebook.tables))

    def _shown(self, name: str) -> str:
        frame = found.readable(self.period, name, self.period.frames[name])
        return f"<h3>{escape(name)}</h3>" + table(frame, shown=ROWS)

    def results(self) -> Html:
        """What was found, counted."""
        return Html(found.RESULTS[self.notebook.name](self.period))

    def chart(self, name: str = "") -> Picture:
        """The figure of this workpaper, or another by its name."""
        return charts.draw(name or self.notebook.chart, self.period)

    def exceptions(self) -> Html:
        """What an auditor follows up, row by row."""
        return Html(found.EXCEPTIONS[self.notebook.name](self.period))

    def conclusion(self) -> Html:
        """One sentence over what this workpaper shows, and management's result of its controls."""
        own = [c.id for c in self._controls() if set(c.primary) & set(self.notebook.criteria)]
        frame = together(self.period.controls)
        rows = frame if self.notebook.name == "effectiveness" else frame[frame["control"].isin(own)]
        columns = ["control", "title", "expected", "captured", "deviations", "open", "result", "note"]
        note = "<p class='rest'>Management's result over the period. Whether a control operated effectively is the auditor's to say.</p>"
        return Html(
            f"<p><b>{escape(found.SENTENCE[self.notebook.name](self.period))}</b></p>{table(found.worded(rows[columns]))}{note}"
        )

    def caveats(self) -> Html:
        """What this evidence cannot show; the end of the workpaper."""
        reference = (
            f"{self.notebook.reference} {self.notebook.name}; {narrative.count(len(self.period.captures), 'capture')}"
        )
        return Html(items(words.caveats(self.period)) + f'<p id="{END}">End of workpaper {escape(reference)}.</p>')

    def _controls(self) -> tuple[frameworks.Control, ...]:
        return frameworks.controls(self.engagement)

    def _partial(self, source: str) -> int:
        return sum(source in sources for sources in self.period.captures["imports"])


def workpaper(name: str, period: Period, engagement: Engagement) -> Workpaper:
    """The workpaper of this name over a period; UsageError names the known ones."""
    if name not in notebooks():
        raise UsageError(f"no workpaper {name!r} of a period; there are: {', '.join(notebooks())}")
    return Workpaper(notebooks()[name], period, engagement)


def _tolerance(engagement: Engagement) -> str:
    days = engagement.period.gap_tolerance_days if engagement.period else None
    return "none: every missed slot exceeds it" if days is None else f"{days:g} days between two captures"


def title(name: str) -> str:
    """What a row of a listing is."""
    return (inspect.getdoc(LISTINGS[name].rows) or "").partition("\n")[0]


def _files(name: str) -> str:
    return f'<a href="../{FOLDER}/{name}.csv">CSV</a>&nbsp;<a href="../{FOLDER}/{name}.parquet">Parquet</a>'


def _how(name: str) -> str:
    rows = {"What": inspect.getdoc(LISTINGS[name].rows) or "", "Key": ", ".join(LISTINGS[name].key)}
    rows |= {f"Column {column.name}": column.doc for column in LISTINGS[name].columns}
    code = "\n\n".join(inspect.getsource(made) for made in MADE[name])
    return (
        f"<details class='made'><summary><b>{escape(name)}</b> {prose(title(name))}</summary>"
        f"{facts(rows)}<pre>{escape(code)}</pre></details>"
    )
