"""The control matrix workbook: which sheets it has, and those by control and by criterion."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import frameworks
from auditkit.engagement import Engagement
from auditkit.evaluate import CONCLUSIONS, Results, Snapshot
from auditkit.frameworks import NOT_RUN, Control, Framework
from auditkit.report import listings, narrative, procedure, provenance
from auditkit.report.listings import EXCEPTIONS, Tests
from auditkit.report.workbook import Cover, Link, Sheet
from auditkit.report.workbook import write as write_workbook

NAME = "control-matrix.xlsx"
# A snapshot is of one time: nothing in it tests operation over a period.
TEST = "Configuration test at the as-of date"
# Always in the workbook, whatever frameworks the engagement names beside them.
TSC, CIS = "soc2-2017", "cis-1.12"


def facts(snapshot: Snapshot, engagement: Engagement, identity: str) -> list[tuple[str, str]]:
    """Label and text of what identifies a pack."""
    origin, period, scope = snapshot.origin, engagement.period, engagement.scope
    clusters = ", ".join(scope.clusters) or "this one; no register of clusters supplied"
    namespaces = "all" if scope.namespaces == ["*"] else ", ".join(scope.namespaces)
    namespaces += f", without {', '.join(scope.exclude_namespaces)}" if scope.exclude_namespaces else ""
    return [
        ("Entity", engagement.entity),
        ("System", engagement.system),
        ("Report", f"SOC 2 type {engagement.type}" if "type" in engagement.model_fields_set else "not stated"),
        ("Period", f"{period.start} to {period.end}" if period else "not stated"),
        ("Scope", f"clusters: {clusters}; namespaces: {namespaces}"),
        ("Cluster", origin.cluster),
        ("Cluster UID", origin.cluster_uid or "unknown"),
        ("Kubernetes", origin.version or "unknown"),
        ("As of", narrative.as_of(snapshot)),
        ("Read as", origin.identity.username or "unknown"),
        ("Source", f"{origin.source} ({origin.basis})"),
        ("Tool", origin.tool),
        ("Snapshot digest", snapshot.digest),
        ("Run id", identity),
    ]


def write(pack: Path, snapshot: Snapshot, results: Results, engagement: Engagement, identity: str) -> None:
    """Write control-matrix.xlsx into the pack, and under listings/ what is too long for a sheet."""
    controls = frameworks.controls(engagement)
    tests = Tests.of(results, controls)
    beside = [f for f in frameworks.chosen(engagement) if f.name not in (TSC, CIS)]
    sheets = [
        _controls(snapshot, controls, tests),
        _criteria(frameworks.load(TSC), controls, tests),
        *(_coverage(results, framework, controls) for framework in [frameworks.load(CIS), *beside]),
        listings.tests(snapshot, tests),
        listings.exceptions(pack, snapshot, engagement, tests),
        listings.populations(pack, tests),
        listings.access(pack, snapshot, engagement),
        provenance.ipe(pack, snapshot, tests),
        provenance.index(pack, tests, without=NAME),
        provenance.dictionary(snapshot),
        provenance.glossary(),
    ]
    write_workbook(
        pack / NAME, _cover(snapshot, results, engagement, identity), sheets, created=snapshot.origin.taken_at
    )


def _cover(snapshot: Snapshot, results: Results, engagement: Engagement, identity: str) -> Cover:
    rows: list[tuple[str, Any]] = [
        *facts(snapshot, engagement, identity),
        ("", "Result of management's tests"),
        ("Tests", narrative.conclude(list(results.values()), snapshot)),
        ("Completeness", narrative.completeness(snapshot)),
        ("", "Standing of this workbook"),
        ("Prepared by", f"management ({engagement.preparer or 'preparer not named'}), with auditkit"),
        ("Reviewed by, date", None),
        (
            "Integrity",
            "manifest.json beside this file holds its hash and those of all files; VERIFY.md says how to check them",
        ),
        ("Yellow", "Columns of the auditor: blank and unlocked; auditkit never writes there"),
        (
            "Blue",
            "Columns of management: blank and unlocked; all other cells are computed and locked, without a password",
        ),
        (
            "(proposed)",
            "auditkit's draft of an attribute of a control: not management's until confirmed or stated in its own file",
        ),
        ("", "What this evidence cannot show"),
        *((str(n), caveat) for n, caveat in enumerate(narrative.CAVEATS, start=1)),
    ]
    return Cover(title="SOC 2 control matrix: Kubernetes", rows=rows)


def _controls(snapshot: Snapshot, controls: tuple[Control, ...], tests: Tests) -> Sheet:
    matrix = frameworks.control_matrix(tests.results, controls)
    rows = [
        _control(control, row, snapshot, tests)
        for control, row in zip(controls, matrix.to_dict("records"), strict=True)
    ]
    return Sheet(
        name="Control matrix",
        note="One row a control activity; it takes the most serious conclusion of its tests, which show the state at one time, "
        "not operation over a period. What is proposed is auditkit's draft until management confirms it or states its own. "
        "A test may serve several controls: counts of controls do not add up.",
        frame=pd.DataFrame(rows),
        people=(
            *("Confirmed by management", "Test of design: result", "Compensating control", "Management response"),
            *("Ticket", "Prepared by, date", "Reviewed by, date"),
        ),
        auditor=("Auditor ref", "Auditor conclusion"),
        fixed=2,
        widest=34,
        widths={"Title": 24, "Primary criteria": 14, "Supporting criteria": 14},
    )


def _control(control: Control, row: Mapping[Any, Any], snapshot: Snapshot, tests: Tests) -> dict[str, Any]:
    """One row: what one reads first, then how it was tested."""
    ids = [id for id in control.checks if id in tests.results]
    populations = dict.fromkeys(tests.results[id].check.population for id in ids)
    papers = sorted({tests.workpaper[id].reference for id in ids})
    examined, found = _objects(tests, ids)
    return {
        "Control": control.id,
        "Title": control.title,
        "Control activity": control.statement,
        "Primary criteria": ", ".join(control.primary),
        "Supporting criteria": ", ".join(control.supporting),
        "Management's result": row["Management's result"],
        f"{TEST}: result": _counts(row),
        "Objects examined": examined,
        "Objects with exceptions": found,
        "Exceptions": row["Exceptions"] if ids else None,
        "Undetermined": row["Undetermined"] if ids else None,
        "Exception refs": _references(tests, ids),
        "Risk addressed": control.risk,
        "Control owner": stated(control, "owner"),
        **{name.capitalize(): stated(control, name) for name in ("frequency", "nature", "type", "key")},
        "Category": ", ".join(dict.fromkeys(_categories()[id] for id in control.primary)),
        "System": snapshot.origin.cluster,
        "Procedure": "; ".join(_procedure(control)),
        "Test of design: steps": "\n".join(_design(control, tests, ids)),
        f"{TEST}: steps": "\n".join(_steps(control)),
        "Population": "; ".join(f"{name} {len(snapshot.tables[name]):,}" for name in populations),
        "Sample": "none: every row is tested" if ids else "",
        "Evidence": "; ".join([*papers, *(f"IPE-{name}" for name in populations)]),
    }


def _objects(tests: Tests, ids: list[str]) -> tuple[int | None, int | None]:
    """Distinct objects in the populations of these tests, and those of them with an exception."""
    if not ids:
        return None, None
    place = ["kind", "namespace", "name"]
    examined = pd.concat([tests.results[id].population[place] for id in ids]).drop_duplicates()
    found = pd.concat([tests.exceptions[id][place] for id in ids]).drop_duplicates()
    return len(examined), len(found)


def _references(tests: Tests, ids: list[str]) -> Link | str:
    """Tests with exceptions and how many, leading to the first of them in the sheet."""
    text = ", ".join(f"{id} ({len(tests.exceptions[id]):,})" for id in ids if len(tests.exceptions[id]))
    first = next((tests.first_exception[id] for id in tests.order if id in ids and id in tests.first_exception), None)
    return text if first is None else Link.row(text, EXCEPTIONS, first)


def stated(control: Control, key: str) -> str:
    """An attribute of a control, marked where it is not the entity's own word."""
    value = getattr(control, key)
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return text if key in control.stated else f"{text} (proposed)"


@cache
def _categories() -> dict[str, str]:
    return {r.id: r.category for r in frameworks.load(TSC).requirement}


def _procedure(control: Control) -> list[str]:
    tested = ["inspection of configuration", "re-performance"] if control.checks else []
    return tested + (["inquiry and inspection of records, by hand"] if control.manual else [])


def _design(control: Control, tests: Tests, ids: list[str]) -> list[str]:
    """A draft of how to inspect the design of this control: who to ask, what to look at, against which risk."""
    looked: dict[str, list[str]] = {}
    for id in ids:
        check = tests.results[id].check
        looked.setdefault(check.population, []).extend(procedure.decisive(check))
    seen = "; ".join(f"{name}: {', '.join(dict.fromkeys(columns)) or 'name'}" for name, columns in looked.items())
    steps = [f"Ask the {control.owner} how this is ensured, and inspect the policy that says: {control.statement}"]
    steps += [f"Trace one row of each table to the cluster, and what its tests look at: {seen}."] if seen else []
    steps += [f"Inspect the record of one case: {step}" for step in control.manual]
    return [*steps, f"Consider what remains of the risk: {control.risk}"]


def _steps(control: Control) -> list[str]:
    tested = [f"Tests {', '.join(control.checks)}."] if control.checks else []
    return tested + [f"By hand: {step}" for step in control.manual]


def _counts(row: Mapping[Any, Any]) -> str:
    """How many tests ended how, from the columns that frameworks give."""
    return narrative.worded((name, row[f"Tests: {name}"]) for name in (*CONCLUSIONS, NOT_RUN))


def _criteria(framework: Framework, controls: tuple[Control, ...], tests: Tests) -> Sheet:
    covered = frameworks.coverage(tests.results, framework, controls)
    known = {c.id: c for c in controls}
    rows = []
    for row in covered.to_dict("records"):
        primary = [known[id] for id in row["Primary controls"].split(", ") if id]
        rows.append(
            {
                **{name: row[name] for name in ("Requirement", "Title", "Category", "Source", "Management's result")},
                **{name: row[name] for name in ("Primary controls", "Supporting controls")},
                "Primary with tests": sum(bool(c.checks) for c in primary),
                "Primary with manual procedures": sum(bool(c.manual) for c in primary),
                "Results of primary tests": _counts(row) if row["Tests"] else "",
                **{name: row[name] for name in ("Exceptions", "Undetermined")},
                "Supporting tests": _number(row["Supporting tests"]),
                "Exceptions of supporting tests": row["Supporting exceptions"],
                "Gaps": _gap(row),
                "Evidence in this pack": _papers(row, tests),
                **{name: row[name] for name in ("Evidence that a cluster can give", "Remains manual")},
            }
        )
    return Sheet(
        name="TSC coverage",
        note="All 61 criteria (our own short titles). Result, exceptions and undetermined are those of tests of primary "
        "controls; a test may serve several criteria, so they do not add up. What a cluster can give is not all here.",
        frame=pd.DataFrame(rows),
        people=("In scope",),
        auditor=("Auditor ref",),
        fixed=2,
        widest=36,
        choices={"In scope": ("yes", "no")},
    )


def _number(ids: str) -> int:
    return len(ids.split(", ")) if ids else 0


def _papers(row: Mapping[Any, Any], tests: Tests) -> str:
    """The workpapers with tests of a requirement that were run."""
    ids = [id for name in ("Tests", "Supporting tests") for id in row[name].split(", ") if id in tests.results]
    return ", ".join(sorted({tests.workpaper[id].reference for id in ids}))


def _gap(row: Mapping[Any, Any]) -> str:
    """What the tests leave open; counts of tests stand in a column of their own."""
    if not row["Tests"]:
        return "supporting tests only" if row["Supporting tests"] else "no evidence from the cluster"
    open_ = sum(row[f"Tests: {name}"] for name in ("error", "not collected", NOT_RUN))
    manual = next((part for part in row["Note"].split("; ") if part.startswith("tests alone")), "")
    return "; ".join(filter(None, [manual, f"{narrative.count(open_, 'test')} without evidence" if open_ else ""]))


def _coverage(results: Results, framework: Framework, controls: tuple[Control, ...]) -> Sheet:
    covered = frameworks.coverage(results, framework, controls)
    covered["Results of tests"] = [_counts(row) for row in covered.to_dict("records")]
    columns = ("Requirement", "Title", "Category", "Source", "Tests", "Results of tests", "Exceptions", "Undetermined")
    return Sheet(
        name="CIS coverage" if framework.name == CIS else f"{framework.name[:22]} coverage",
        note=f"{framework.title}: one row an item, in our own words; checks that answer it, or why it is manual.",
        frame=covered[[*columns, "Management's result", "Remains manual"]],
        auditor=("Auditor ref",),
        fixed=2,
        widest=40,
    )
