"""A workpaper: what one notebook shows, section by section, made from a snapshot and its results."""

import html
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import msgspec
import numpy as np
import pandas as pd

from auditkit import evaluate, kinds
from auditkit.declare import kinds_of
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.evaluate import Result, Results, Snapshot, declared
from auditkit.frameworks import control_matrix, controls
from auditkit.report import charts, narrative
from auditkit.report.frames import flat
from auditkit.resources import folder

SHOWN = 25
# The runner looks for this in the last output: a notebook that stopped before has no end.
END = "auditkit-end-of-workpaper"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notebook:
    """One entry of data/notebooks.toml."""

    name: str
    file: str
    title: str
    objective: str
    criteria: tuple[str, ...]
    checks: tuple[str, ...]
    tables: tuple[str, ...]
    chart: str


@cache
def notebooks() -> Mapping[str, Notebook]:
    """The evidence notebooks by name, in order."""
    declared = tomllib.loads((folder("data") / "notebooks.toml").read_text())
    return msgspec.convert({name: {"name": name, **entry} for name, entry in declared.items()}, dict[str, Notebook])


def reports(notebook: Notebook, id: str) -> bool:
    """Whether a notebook reports a check: it names the id, or its prefix and no other notebook names the id."""
    if id in notebook.checks:
        return True
    return id.partition("-")[0] in notebook.checks and not any(id in n.checks for n in notebooks().values())


class Html:
    """A piece of HTML that a notebook displays; everything from the cluster in it is escaped."""

    def __init__(self, text: str) -> None:
        self.text = text

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return "<Html: shown in a notebook>"


class Workpaper:
    """The sections of one evidence notebook, in the order that an auditor reads a workpaper."""

    def __init__(
        self, notebook: Notebook, snapshot: Snapshot, results: Results, engagement: Engagement, *, packed: bool
    ) -> None:
        self.notebook, self.snapshot, self.engagement = notebook, snapshot, engagement
        self.packed = packed
        self.all = results
        self.tested = [r for id, r in results.items() if not notebook.checks or reports(notebook, id)]

    def objective(self) -> Html:
        """Title block: entity, system, cluster, time, preparer."""
        engagement, origin = self.engagement, self.snapshot.origin
        rows = {
            "Workpaper": self.notebook.title,
            "Entity": engagement.entity,
            "System": engagement.system,
            "Cluster": origin.cluster,
            "As of": f"{origin.taken_at:%Y-%m-%d %H:%M:%S} UTC ({origin.dated_by})" if origin.taken_at else "undated",
            "Prepared by": f"auditkit, run by management ({engagement.preparer or 'preparer not named'})",
            "Reviewed by": "",
        }
        return Html(f"<p>{_e(self.notebook.objective)}</p>" + _facts(rows))

    def criteria(self) -> Html:
        """The controls whose checks this workpaper performs, and their criteria."""
        ids = {r.check.id for r in self.tested}
        rows = [
            {
                "Control": c.id,
                "Activity": c.title,
                "Criteria": ", ".join([*c.primary, *c.supporting]),
                "Tests": ", ".join(sorted(ids & set(c.checks))),
            }
            for c in controls(self.engagement)
            if ids & set(c.checks)
        ]
        return Html(_table(pd.DataFrame(rows, columns=["Control", "Activity", "Criteria", "Tests"])))

    def source(self) -> Html:
        """The evidence card: source, identity, time, digest, and how each kind that was needed was read."""
        origin, snapshot = self.snapshot.origin, self.snapshot
        card = {
            "Source": origin.source,
            "Server": origin.server or "files",
            "Kubernetes": origin.version or "unknown",
            "Cluster UID": origin.cluster_uid or "unknown",
            "Read as": origin.identity.username or "unknown",
            "Basis": origin.basis,
            "Snapshot digest": snapshot.digest,
        }
        return Html(_facts(card) + f"<p>{_e(narrative.completeness(snapshot))}</p>" + _table(self._coverage()))

    def _coverage(self) -> pd.DataFrame:
        tables = {read for r in self.tested for read in r.check.reads} | set(self.notebook.tables)
        needed = (
            kinds.ALL if self.notebook.name in ("scope", "conclusion") else {k for t in tables for k in kinds_of(t)}
        )
        rows = []
        for kind in sorted(needed, key=kinds.resource):
            c = self.snapshot.state(kind)
            if c.state == "not served" and self.notebook.name != "scope":
                continue
            command = f"kubectl get {kinds.resource(kind)}{' -A' if kind.namespaced else ''} --no-headers | wc -l"
            rows.append(
                {
                    "Kind": c.resource,
                    "State": c.state,
                    "Objects": c.seen,
                    "Kept": c.kept,
                    "Note": c.note,
                    "Count it yourself": command,
                }
            )
        return pd.DataFrame(rows, columns=["Kind", "State", "Objects", "Kept", "Note", "Count it yourself"])

    def procedure(self) -> Html:
        """How each test is done, with its source for re-performance."""
        intro = "<p>Inspection of configuration by re-performable tests. Every row of each population is examined; nothing is sampled.</p>"
        blocks = [
            f"<details><summary><b>{_e(r.check.id)}</b> {_e(r.check.title)} — population: <code>{_e(r.check.population)}</code>"
            f"{_e(_settings(r))}</summary><p>{_e(r.check.rationale)}</p><p><b>Mends it:</b> {_e(r.check.fix)}</p>"
            f"<pre>{_e(r.check.source)}</pre></details>"
            for r in self.tested
        ]
        return Html(intro + "".join(blocks))

    def population(self) -> Html:
        """The first rows of the tables that this workpaper rests on; the whole of them is in the pack."""
        return Html("".join(self._shown(name) for name in self.notebook.tables))

    def _shown(self, name: str) -> str:
        frame, table = self.snapshot.tables[name], declared(name)
        where = (
            f'<a href="../tables/{name}.parquet">tables/{name}.parquet</a>'
            if self.packed
            else f"<code>snap.tables.{name}</code>"
        )
        wide = frame[[c.name for c in table.columns][:9]]
        lead = (
            f"<h4>{_e(name)}</h4><p>{_e(table.title)} {narrative.count(len(frame), 'row')}; all columns: {where}.</p>"
        )
        return lead + _table(wide.head(SHOWN)) + _rest(len(frame))

    def results(self) -> Html:
        """One row per test."""
        ids = [r.check.id for r in self.tested]
        frame = self.all.frame
        shown = frame[frame["id"].isin(ids)].rename(columns=str.capitalize)
        return Html(_table(shown))

    def chart(self) -> charts.Picture:
        """The figure of this workpaper."""
        return charts.draw(self.notebook.chart, self.snapshot, self.tested)

    def exceptions(self) -> Html:
        """The exceptions of each test that has any, the first of them shown."""
        found = [r for r in self.tested if len(r.exceptions)]
        if not found:
            return Html(f"<p>{_e(narrative.conclude(self.tested, self.snapshot))}</p>")
        return Html("".join(self._exceptions_of(r) for r in found))

    def _exceptions_of(self, result: Result) -> str:
        key = declared(result.check.population).key
        names = list(
            dict.fromkeys(["exception_id", *(c for c in ("kind", "namespace", "name") if c in result.population), *key])
        )
        file = f"results/exceptions/{result.check.id}.csv"
        where = f' Whole list: <a href="../{file}">{file}</a>.' if self.packed else ""
        head = f"<h4>{_e(result.check.id)} {_e(result.check.title)}</h4><p>{_e(narrative.sentence(result))}{where}</p>"
        return head + _table(result.exceptions[names].head(SHOWN)) + _rest(len(result.exceptions))

    def conclusion(self) -> Html:
        """The sentence over all tests of this workpaper, and one per test that is not clean."""
        notable = [r for r in self.tested if r.conclusion != "no exceptions"]
        items = "".join(f"<li>{_e(narrative.sentence(r))}</li>" for r in notable)
        text = f"<p><b>{_e(narrative.conclude(self.tested, self.snapshot))}</b></p>"
        return Html(text + (f"<ul>{items}</ul>" if self.notebook.name != "conclusion" else ""))

    def matrix(self) -> Html:
        """Every control with its criteria, tests and management's result; the workbook has all columns."""
        frame = control_matrix(self.all, controls(self.engagement))
        return Html(
            _table(frame[["Control", "Title", "Primary criteria", "Rows tested", "Exceptions", "Management's result"]])
        )

    def caveats(self) -> Html:
        """What this evidence cannot show; the end of the workpaper."""
        items = "".join(f"<li>{_e(c)}</li>" for c in narrative.CAVEATS)
        mark = f'<p id="{END}">End of workpaper {_e(self.notebook.name)}; snapshot {_e(self.snapshot.digest[:16])}.</p>'
        return Html(f"<ul>{items}</ul>{mark}")


def workpaper(
    name: str, snapshot: Snapshot, results: Results, engagement: Engagement, *, packed: bool = False
) -> Workpaper:
    """The workpaper of this name; UsageError names the known ones."""
    try:
        notebook = notebooks()[name]
    except KeyError:
        raise UsageError(f"no workpaper {name!r}; there are: {', '.join(notebooks())}") from None
    return Workpaper(notebook, snapshot, results, engagement, packed=packed)


def _e(value: object) -> str:
    return html.escape(str(value))


def _facts(rows: Mapping[str, object]) -> str:
    cells = "".join(f"<tr><th scope='row'>{_e(k)}</th><td>{_e(v)}</td></tr>" for k, v in rows.items())
    return f"<table class='facts'>{cells}</table>"


def _table(frame: pd.DataFrame) -> str:
    """The frame as an HTML table: lists joined, missing values as a dash, everything escaped."""
    if frame.empty:
        return "<p class='none'>None.</p>"
    head = "".join(f"<th scope='col'>{_e(c)}</th>" for c in frame.columns)
    rows = ["".join(f"<td>{_cell(v)}</td>" for v in row) for row in frame.itertuples(index=False, name=None)]
    return f"<table class='list'><thead><tr>{head}</tr></thead><tbody>{''.join(f'<tr>{r}</tr>' for r in rows)}</tbody></table>"


def _cell(value: object) -> str:
    if isinstance(value, (list, tuple)) or not pd.isna(value):  # type: ignore[call-overload]
        text = ("yes" if value else "no") if isinstance(value, bool | np.bool_) else str(flat(value))
        shown = _e(text if len(text) <= 160 else text[:157] + "…")
        return f"<span class='long'>{shown}</span>" if len(text) > 32 else shown
    return "–"


def _rest(total: int) -> str:
    return f"<p class='rest'>The first {SHOWN} of {total:,} rows are shown.</p>" if total > SHOWN else ""


def _settings(result: Result) -> str:
    return " — settings: " + ", ".join(f"{k} = {v}" for k, v in result.settings.items()) if result.settings else ""


def evaluated(snapshot: Snapshot, engagement: Engagement) -> Results:
    """All checks with the engagement's settings."""
    return evaluate.run(snapshot.tables, settings=engagement.settings)
