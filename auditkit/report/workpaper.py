"""A workpaper: what one notebook shows, section by section, made from a snapshot and its results."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import msgspec
import pandas as pd

from auditkit import evaluate, frameworks, kinds
from auditkit.capture import tool
from auditkit.capture.snapshot import INCOMPLETE, Coverage
from auditkit.declare import CHECKS, records_of, rests_on
from auditkit.engagement import Engagement
from auditkit.errors import UsageError, instead
from auditkit.evaluate import Result, Results, Snapshot, declared
from auditkit.report import charts, derivation, narrative, procedure, source
from auditkit.report.page import Html, escape, facts, items, prose, table
from auditkit.resources import data

# Rows shown of a population and of a test's exceptions; the whole of both is linked.
ROWS, FOUND = 15, 10
# Columns of a population that fit a page; those that tests look at are at least five.
COLUMNS = 9
# More columns than these that name a row are said in one, as the workbook does.
NAMING = 6
# A test with its counts, as sentences name it: RBAC-01 (5 of 114).
_COUNTED = re.compile(r"\b[A-Z]+-\d+(?= \()")
# The runner looks for this in the last output: a notebook that stopped before has no end.
END = "auditkit-end-of-workpaper"


@dataclass(frozen=True, kw_only=True, slots=True)
class Notebook:
    """One entry of data/notebooks.toml or period-notebooks.toml; `folder` is where it lies below notebooks/."""

    name: str
    file: str
    title: str
    objective: str
    criteria: tuple[str, ...]
    checks: tuple[str, ...]
    tables: tuple[str, ...]
    chart: str
    # The framework whose requirements it lists: its tests are theirs, wherever they are reported.
    framework: str = ""
    folder: str = ""

    @property
    def source(self) -> str:
        """Its file below notebooks/."""
        return f"{self.folder}/{self.file}".lstrip("/")

    @property
    def reference(self) -> str:
        """The workpaper's number, by which the workbook names it: WP-10."""
        return f"WP-{self.file[:2]}"

    @property
    def page(self) -> str:
        """Its page in the pack."""
        return f"binder/{self.file.removesuffix('.ipynb')}.html"


def _named(rows: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    """The columns that name a row; where they are many, the object's and one `part`, so that a table fits its page."""
    many = len(columns) > NAMING
    named = [c for c in columns if c in procedure.PLACE] if many else columns
    # Of objects of the whole cluster no namespace is worth a column.
    named = [c for c in named if c != "namespace" or (rows[c].fillna("") != "").any()]
    return rows[named].assign(part=procedure.part(rows, columns)) if many else rows[named]


@cache
def notebooks() -> Mapping[str, Notebook]:
    """The evidence notebooks by name, in order."""
    return read("notebooks.toml")


def papers(engagement: Engagement) -> Mapping[str, Notebook]:
    """The notebooks of an engagement: one that lists a framework lists the version that is chosen, or is left out."""
    versions = {n.name: engagement.version(n.framework) if n.framework else "" for n in notebooks().values()}
    return {name: replace(notebooks()[name], framework=of) for name, of in versions.items() if of is not None}


def read(name: str) -> Mapping[str, Notebook]:
    """The notebooks that a file of data/ declares, by name."""
    declared = {notebook: {"name": notebook, **entry} for notebook, entry in data(name).items()}
    return msgspec.convert(declared, dict[str, Notebook])


def reports(notebook: Notebook, id: str) -> bool:
    """Whether a notebook reports a check: it names the id, or its prefix and no other notebook names the id."""
    if id in notebook.checks:
        return True
    return id.partition("-")[0] in notebook.checks and not any(id in n.checks for n in notebooks().values())


def tested(notebook: Notebook, results: Results) -> list[Result]:
    """The results that a notebook reports; one that names no checks brings together those of its framework, or all."""
    return [results[id] for id in results if id in _reported(notebook)]


@cache
def _reported(notebook: Notebook) -> frozenset[str]:
    if notebook.framework:
        return frozenset(id for r in frameworks.load(notebook.framework).requirement for id in r.checks)
    return frozenset(id for id in CHECKS if not notebook.checks or reports(notebook, id))


class Workpaper:
    """The sections of one evidence notebook, in the order that an auditor reads a workpaper."""

    def __init__(
        self, notebook: Notebook, snapshot: Snapshot, results: Results, engagement: Engagement, *, packed: bool
    ) -> None:
        self.notebook, self.snapshot, self.engagement = notebook, snapshot, engagement
        self.packed = packed
        self.all = results
        self.tested = tested(notebook, results)

    def __repr__(self) -> str:
        return f"<Workpaper {self.notebook.reference} {self.notebook.title} of {self.snapshot.origin.cluster}: {len(self.tested)} tests; call a section: .results(), .exceptions(), .chart(), ...>"

    def objective(self) -> Html:
        """Title block: entity, system, period, cluster, time, preparer, reviewer."""
        engagement, origin = self.engagement, self.snapshot.origin
        period = engagement.period
        rows = {
            "Workpaper": f"{self.notebook.reference} {self.notebook.title}",
            "Entity": engagement.entity,
            "System": engagement.system,
            "Report": engagement.report,
            "Period": f"{period.start} to {period.end}" if period else "not stated",
            "Cluster": origin.cluster,
            "As of": narrative.as_of(self.snapshot),
            "Prepared by": f"management ({engagement.preparer or 'preparer not named'}), with {tool()}",
            "Prepared at": "the time on index.html, from run.json" if self.packed else "",
            "Reviewed by, date": "",
        }
        return Html(f"<p>{escape(self.notebook.objective)}</p>" + facts(rows))

    def criteria(self) -> Html:
        """The controls whose checks this workpaper performs, and what their criteria ask for."""
        ids = {r.check.id for r in self.tested}
        known = [c for c in frameworks.controls(self.engagement) if ids & set(c.checks)]
        rows = [
            {
                "Control": c.id,
                "Activity": c.statement,
                "Primary criteria": ", ".join(c.primary),
                "Supporting": ", ".join(c.supporting),
                "Tests here": f"{len(ids & set(c.checks))} of {len(c.checks)}",
            }
            for c in known
        ]
        named = {id for c in known for id in c.primary}
        titles = [
            f"<b>{escape(r.id)}</b> {escape(r.title)}"
            for r in frameworks.load(frameworks.SOC2).requirement
            if r.id in named
        ]
        return Html(table(pd.DataFrame(rows)) + f"<p class='legend'>{'; '.join(titles)}.</p>")

    def source(self) -> Html:
        """The evidence card: source, identity, time, digest; what is missing; how each kind needed was read."""
        needed = self._needed()
        text = facts(source.card(self.snapshot)) + f"<p>{escape(narrative.completeness(self.snapshot))}</p>"
        if not self.notebook.checks:
            return Html(text + self._missing(needed) + "<p>WP-00 lists every kind.</p>")
        return Html(text + self._missing(needed) + self._imported() + self._read(needed))

    def _needed(self) -> list[Coverage]:
        """Coverage of the kinds that these tests and tables rest on; in scope and conclusion of all there is."""
        if self.notebook.name == "scope" or not self.notebook.checks:
            asked = {c.resource for c in self.snapshot.coverage}
            unasked = [self.snapshot.state(k) for k in kinds.ALL if kinds.resource(k) not in asked]
            return sorted([*self.snapshot.coverage, *unasked], key=lambda c: c.resource)
        tables = {read for r in self.tested for read in r.check.reads} | set(self.notebook.tables)
        needed = {kind for name in tables for kind in rests_on(name)}
        states = {kinds.resource(kind): self.snapshot.state(kind) for kind in needed}
        return [states[resource] for resource in sorted(states)]

    def _missing(self, needed: list[Coverage]) -> str:
        """Kinds that tests need and that were not completely read, which tests that stops, and the way out."""
        found = {c.resource: (c, list[str]()) for c in needed if c.state in INCOMPLETE}
        for r in self.tested:
            # Several kinds of records may come out of one import.
            lacking = {c.resource: c for c in self.snapshot.tables.incomplete(r.check.reads).values()}
            for resource, c in lacking.items():
                found.setdefault(resource, (c, []))[1].append(r.check.id)
        rows = [
            {
                "Missing": c.resource,
                "Why": f"{c.state}: {c.note}" if c.note else c.state,
                "Tests that need it": tests,
                "How to get it": Html(prose(narrative.remedy(c))),
            }
            for c, tests in found.values()
        ]
        return f"<h3>Missing evidence</h3>{table(pd.DataFrame(rows))}" if rows else ""

    def _imported(self) -> str:
        """The documents of others that these tests rest on: file and hash, tool, date, counts."""
        tables = {read for r in self.tested for read in r.check.reads} | set(self.notebook.tables)
        sources = {record.source for name in tables for record in records_of(name)}
        rows = [
            {
                "Import": one.about.source,
                "State": f"{one.about.state}: {one.about.note}" if one.about.note else one.about.state,
                "Made with": " ".join(filter(None, [one.about.format, one.about.tool])),
                "Made at": f"{one.about.made_at:%Y-%m-%d %H:%M} ({one.about.dated_by})" if one.about.made_at else "",
                "Supplied by": one.about.by,
                "Records": one.about.rows,
                "Files (sha256)": [f"{f.name} ({f.sha256[:16]})" for f in one.about.files],
            }
            for one in self.snapshot.imports
            if one.about.source in sources
        ]
        return f"<h3>Imported documents</h3>{table(pd.DataFrame(rows))}" if rows else ""

    def _read(self, needed: list[Coverage]) -> str:
        """How the request for each kind ended, with the command that counts the same population."""
        whole = {kinds.resource(kind) for kind in kinds.ALL if not kind.namespaced}
        shown = [c for c in needed if c.state not in ("not served", "not read", "not supplied")]
        rows = [
            {
                "Kind": c.resource,
                "State": c.state,
                "Objects": c.seen,
                "Kept": c.kept,
                "Count it yourself": ""
                if c.resource.startswith("imports/") or (c.resource.startswith("*.") and not c.kind)
                else f"kubectl get {kinds.asked_as(c.resource)}{'' if c.resource in whole else ' -A'} --no-headers | wc -l",
            }
            for c in shown
        ]
        absent = [c.resource for c in needed if c.state == "not served"]
        tested_ = {name for r in self.tested for name in _resources(r)}
        unread = [f"{c.resource} ({c.seen:,})" for c in needed if c.state == "not read" and c.resource not in tested_]
        text = table(pd.DataFrame(rows), code=["Count it yourself"])
        text += f"<p class='rest'>Not served by this cluster: {escape(', '.join(absent))}.</p>" if absent else ""
        return text + (
            f"<p class='rest'>Listed but not read, as no test uses them (objects): {escape(', '.join(unread))}.</p>"
            if unread
            else ""
        )

    def procedure(self) -> Html:
        """How each test is done, with its source for re-performance; the last workpaper refers to the others."""
        if not self.notebook.checks:
            others = [n for n in notebooks().values() if n.checks]
            mine = {r.check.id for r in self.tested}
            rows = [
                {
                    "Workpaper": Html(self._link(n, f"{n.reference} {n.title}")),
                    "Tests": len(mine & {r.check.id for r in tested(n, self.all)}),
                }
                for n in others
            ]
            return Html("<p>Each test is described where it is reported.</p>" + table(pd.DataFrame(rows)))
        intro = (
            "<p>Inspection of configuration by tests that can be performed again: each predicate below is applied to every "
            "row of its population, nothing is sampled. True is an exception; missing is a row that cannot be judged.</p>"
        )
        read = derivation.behind(dict.fromkeys(name for r in self.tested for name in r.check.reads))
        made = (
            "<h3>How the tables come about</h3><p>What these tests read, down to the objects: the rows by their source, "
            "and the engines by the file that holds them in auditkit, with the rule that each follows.</p>"
        )
        return Html(intro + "".join(map(self._how, self.tested)) + made + "".join(map(_made, read)))

    def _how(self, result: Result) -> str:
        check = result.check
        columns = {c.name: c.doc for c in declared(check.population).columns}
        rows = {"Population": f"{check.population}: {declared(check.population).title}"}
        rows |= {f"Column {name}": columns[name] for name in procedure.decisive(check)}
        rows |= {f"Beside {name}": text for name, text in procedure.reads(check)[1:]}
        rows |= {"Settings": procedure.settings(result.settings)} if result.settings else {}
        rows |= {"Why": check.rationale, "Remedy": check.fix}
        return (
            f"<details class='test'><summary><b>{escape(check.id)}</b> {prose(result.title)}</summary>"
            f"<div id='how-{check.id}'>{facts(rows)}<pre>{escape(procedure.source(result))}</pre></div></details>"
        )

    def population(self) -> Html:
        """Every population of this workpaper with its size and files, and the first rows of the main ones."""
        names = dict.fromkeys([*self.notebook.tables, *(r.check.population for r in self.tested)])
        rows = [
            {
                "Table": name,
                "What": Html(prose(declared(name).title)),
                "Rows": len(self.snapshot.tables[name]),
                "Complete": "no" if self.snapshot.tables.incomplete([name]) else "yes",
                "Tests": sum(r.check.population == name for r in self.tested),
                "All rows": Html(self._files(name)),
            }
            for name in names
        ]
        return Html(table(pd.DataFrame(rows)) + "".join(self._shown(name) for name in self.notebook.tables))

    def _files(self, name: str) -> str:
        if not self.packed:
            return f"<code>snap.tables.{name}</code>"
        return f'<a href="../tables/{name}.csv">CSV</a>&nbsp;<a href="../tables/{name}.parquet">Parquet</a>'

    def _shown(self, name: str) -> str:
        frame, declaration = self.snapshot.tables[name], declared(name)
        read = [column for r in self.tested for column in procedure.decisive(r.check)]
        place = procedure.place(declaration)
        spare = [c.name for c in declaration.columns if c.name not in place]
        # The columns that most tests look at, in the table's order.
        wanted = sorted(spare, key=lambda c: -read.count(c))[: max(COLUMNS - len(place), 5)]
        beside = [c for c in spare if c in wanted]
        lead = f"<h3>{escape(name)}</h3><p>{prose(declaration.title)} All columns: {self._files(name)}.</p>"
        return lead + table(_named(frame, place).join(frame[beside]), shown=ROWS)

    def results(self) -> Html:
        """One row per test."""
        frame = self.all.frame[self.all.frame["id"].isin([r.check.id for r in self.tested])]
        cells = {
            "Test": [Html(self._lead(r)) for r in self.tested],
            "Title": [Html(prose(r.title)) for r in self.tested],
            **{name.capitalize(): frame[name] for name in ("severity", "conclusion", "population", "exceptions")},
            "Undetermined": frame["undetermined"],
        }
        notes = {"Note": frame["note"]} if frame["note"].any() else {}
        return Html(table(pd.DataFrame({**cells, **notes})))

    def _lead(self, result: Result) -> str:
        """The id of a test, leading to its rows, else to its procedure; from an overview to the workpaper that reports it."""
        id = result.check.id
        if not self.notebook.checks:
            return self._link(next(n for n in notebooks().values() if n.checks and reports(n, id)), id, f"#{id}")
        if len(result.exceptions) + len(result.undetermined):
            return f'<a href="#{id}">{id}</a>'
        return f'<a id="{id}" href="#how-{id}">{id}</a>'

    def _link(self, paper: Notebook, text: str, anchor: str = "") -> str:
        """A link to another workpaper of the pack."""
        return f'<a href="{paper.page.partition("/")[2]}{anchor}">{escape(text)}</a>' if self.packed else escape(text)

    def _linked(self, text: str) -> str:
        """HTML in which each test that is named with its counts leads to its rows."""
        leads = {r.check.id: self._lead(r) for r in self.tested if len(r.exceptions) + len(r.undetermined)}
        return _COUNTED.sub(lambda m: leads.get(m[0], m[0]), text)

    def chart(self, name: str = "") -> charts.Picture:
        """The figure of this workpaper, or another by its name."""
        own = self.notebook.chart
        framework = self.notebook.framework if name in ("", own) else ""
        return charts.draw(name or own, self.snapshot, self.tested, **({"framework": framework} if framework else {}))

    def exceptions(self) -> Html:
        """The exceptions of each test that has any, the first of them shown; and the rows that could not be judged."""
        found = [r for r in self.tested if len(r.exceptions) or len(r.undetermined)]
        if not found:
            return Html(f"<p>{escape(narrative.conclude(self.tested, self.snapshot))}</p>")
        return Html("".join(self._found(r) for r in found))

    def _found(self, result: Result) -> str:
        check, open_ = result.check, result.undetermined
        text = f"<h3 id='{check.id}'>{escape(check.id)} {prose(result.title)}</h3>"
        text += f"<p>{escape(narrative.sentence(result, named=False))} {self._follow(result)}</p>"
        text += f"<p><b>Why:</b> {prose(check.rationale)} <b>Remedy:</b> {prose(check.fix)}</p>"
        text += self._legend(result)
        if len(result.exceptions):
            shown = self._first(result, result.exceptions).rename(columns={"exception_id": "exception"})
            if result.waived:
                shown["waiver"] = result.exceptions["waiver"].head(FOUND)
            text += table(shown) + self._rest(result.exceptions, "Exceptions")
        if len(open_):
            text += "<p>Rows that this evidence does not decide:</p>"
            text += table(self._first(result, open_).drop(columns="exception_id")) + self._rest(open_, "")
        return text

    def _legend(self, result: Result) -> str:
        """What a row of the population is, what the columns that stand under condition mean, and the settings that applied."""
        declared_ = declared(result.check.population)
        docs = {c.name: c.doc for c in declared_.columns}
        said = [f"<b>{escape(name)}</b>: {prose(docs[name])}" for name in procedure.decisive(result.check)]
        said += [f"<b>Settings</b>: {escape(procedure.settings(result.settings))}."] if result.settings else []
        return f"<p class='legend'>{prose(declared_.title)} {' '.join(said)}</p>"

    def _first(self, result: Result, rows: pd.DataFrame) -> pd.DataFrame:
        shown = _named(rows.head(FOUND), procedure.key(result.check))
        shown.insert(0, "exception_id", rows["exception_id"].head(FOUND))
        conditions = procedure.conditions(result.check, rows.head(FOUND))
        return shown.assign(condition=conditions) if (conditions != "").any() else shown

    def _rest(self, rows: pd.DataFrame, sheet: str) -> str:
        """How many of these rows are shown, and the sheet of the workbook that has all."""
        if len(rows) <= FOUND:
            return ""
        all_ = f" All of them: <a href='../control-matrix.xlsx'>workbook</a>, sheet {sheet}." if sheet else ""
        return f"<p class='rest'>The first {FOUND} of {len(rows):,} rows are shown.{all_ if self.packed else ''}</p>"

    def _follow(self, result: Result) -> str:
        """Where the procedure of a test and its rows are."""
        id = result.check.id
        if not self.packed:
            return f'<a href="#how-{id}">Procedure</a>.'
        files = [
            ("exceptions (CSV)", f"exceptions/{id}.csv", len(result.exceptions)),
            ("rows not judged (CSV)", f"undetermined/{id}.csv", len(result.undetermined)),
            ("all rows with their verdict (Parquet)", f"populations/{id}.parquet", 1),
        ]
        links = [f'<a href="../results/{path}">{text}</a>' for text, path, rows in files if rows]
        return f'<a href="#how-{id}">Procedure</a>; {", ".join(links)}.'

    def conclusion(self) -> Html:
        """The sentence over all tests of this workpaper; its tests with exceptions by severity; its controls."""
        text = f"<p><b>{escape(narrative.conclude(self.tested, self.snapshot))}</b></p>"
        text += self._linked(items(narrative.gravest(self.tested)))
        text += items(narrative.missing(self.tested, self.snapshot))
        open_ = [r for r in self.tested if r.conclusion == "error" or len(r.undetermined)]
        text += self._linked(items(narrative.sentence(r) for r in open_))
        return Html(text + (self.matrix().text if self.notebook.checks else ""))

    def matrix(self) -> Html:
        """The controls that these tests belong to, with management's result over all tests of each."""
        frame = frameworks.control_matrix(self.all, frameworks.controls(self.engagement))
        ids = {r.check.id for r in self.tested}
        own = [bool(ids & set(tests.split(", "))) for tests in frame["Tests"]]
        rows = frame[own] if self.notebook.checks else frame
        by_hand = [Html("<br>".join(map(escape, text.splitlines()))) for text in rows["Manual procedures"]]
        counts = ["Rows tested", "Exceptions", "Undetermined"]
        shown = rows[["Control", "Title", *counts, "Management's result", "Note"]].assign(
            **{"By hand": pd.Series(by_hand, rows.index, dtype=object)}
        )
        note = (
            "<p class='rest'>Over all tests of each control, here and elsewhere. By hand: what remains to be done whatever "
            "the tests found. The auditor's conclusion is not stated.</p>"
        )
        return Html(table(shown) + note)

    def coverage(self) -> Html:
        """Every requirement with where its evidence comes from, and management's result.

        The workpaper of a framework lists its items; another the criteria, then each chosen framework without a workpaper.
        """
        if self.notebook.framework:
            return Html(self._covered(frameworks.load(self.notebook.framework), "Tests"))
        elsewhere = {frameworks.SOC2, *(n.framework for n in papers(self.engagement).values())}
        beside = [f for f in frameworks.chosen(self.engagement) if f.name not in elsewhere]
        text = self._covered(frameworks.load(frameworks.SOC2), "Controls")
        return Html(text + "".join(f"<h3>{escape(f.title)}</h3>{self._covered(f, 'Tests')}" for f in beside))

    def _covered(self, framework: frameworks.Framework, by: str) -> str:
        frame = frameworks.coverage(self.all, framework, frameworks.controls(self.engagement))
        return table(
            frame[["Requirement", "Title", "Source", by, "Exceptions", "Management's result", "Remains manual"]]
        )

    def caveats(self) -> Html:
        """What this evidence cannot show; the end of the workpaper."""
        reference = f"{self.notebook.reference} {self.notebook.name}; snapshot {self.snapshot.digest[:16]}"
        return Html(items(narrative.CAVEATS) + f'<p id="{END}">End of workpaper {escape(reference)}.</p>')


def workpaper(
    name: str, snapshot: Snapshot, engagement: Engagement, results: Results | None = None, *, packed: bool = False
) -> Workpaper:
    """The workpaper of this name, its tests run unless their results are given; UsageError names the known ones."""
    known = papers(engagement)
    if name not in known:
        raise UsageError(f"no workpaper {name!r}; {instead(name, known)}")
    return Workpaper(known[name], snapshot, results or evaluated(snapshot, engagement, name), engagement, packed=packed)


def _made(name: str) -> str:
    """What makes a table, folded away."""
    table_ = declared(name)
    read = table_.reads or [*dict.fromkeys(map(kinds.resource, rests_on(name)))]
    rows = {"What": table_.doc, "Made from": ", ".join(read)}
    rows |= {f"Engine {file}": text for file, text in derivation.engines(name)}
    return (
        f"<details class='made'><summary><b>{escape(name)}</b> {prose(table_.title)}</summary>"
        f"{facts(rows)}<pre>{escape(derivation.source(name))}</pre></details>"
    )


def _resources(result: Result) -> set[str]:
    return {kinds.resource(kind) for read in result.check.reads for kind in rests_on(read)}


def evaluated(snapshot: Snapshot, engagement: Engagement, name: str | None = None) -> Results:
    """All checks with the engagement's settings, or those that a workpaper and the controls in it rest on."""
    return evaluate.run(snapshot.tables, _needed(name, engagement) if name else None, settings=engagement.settings)


def _needed(name: str, engagement: Engagement) -> list[str]:
    own = _reported(papers(engagement)[name])
    return sorted(own.union(*(c.checks for c in frameworks.controls(engagement) if own & set(c.checks))))
