"""The control matrix workbook: which sheets it has, and those by control and by criterion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import frameworks
from auditkit.engagement import Engagement
from auditkit.evaluate import CONCLUSIONS, Results, Snapshot
from auditkit.frameworks import NOT_RUN, Control, Framework
from auditkit.report import listings, narrative, provenance, source
from auditkit.report.listings import EXCEPTIONS, Tests
from auditkit.report.workbook import Cover, Link, Sheet
from auditkit.report.workbook import write as write_workbook

NAME = "control-matrix.xlsx"
# Always in the workbook, whatever frameworks the engagement names beside them.
TSC, CIS = "soc2-2017", "cis-1.12"


def facts(snapshot: Snapshot, engagement: Engagement, identity: str) -> list[tuple[str, str]]:
    """Label and text of what identifies a pack."""
    origin, period, scope = snapshot.origin, engagement.period, engagement.scope
    excluded = f", without {', '.join(scope.exclude_namespaces)}" if scope.exclude_namespaces else ""
    return [
        ("Entity", engagement.entity),
        ("System", engagement.system),
        ("Report", engagement.report),
        ("Period", f"{period.start} to {period.end}" if period else "not stated"),
        (
            "Scope",
            f"clusters: {', '.join(scope.clusters) or 'all'}; namespaces: {', '.join(scope.namespaces)}{excluded}",
        ),
        ("Cluster", origin.cluster),
        ("Cluster UID", origin.cluster_uid or "unknown"),
        ("Kubernetes", origin.version or "unknown"),
        ("As of", narrative.as_of(snapshot)),
        ("Read as", source.read_as(snapshot)),
        ("Source", source.described(snapshot)),
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
        _controls(snapshot, results, controls, tests),
        _criteria(results, frameworks.load(TSC), controls),
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
        ("Prepared at", "the time in run.json beside this file; a workbook made again is the same byte for byte"),
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
        ("", "What this evidence cannot show"),
        *((str(n), caveat) for n, caveat in enumerate(narrative.CAVEATS, start=1)),
    ]
    return Cover(title="SOC 2 control matrix: Kubernetes", rows=rows)


def _controls(snapshot: Snapshot, results: Results, controls: tuple[Control, ...], tests: Tests) -> Sheet:
    matrix = frameworks.control_matrix(results, controls)
    category = {r.id: r.category for r in frameworks.load(TSC).requirement}
    first = tests.first_exception
    rows = []
    for control, row in zip(controls, matrix.to_dict("records"), strict=True):
        ids = [id for id in control.checks if id in results]
        populations = dict.fromkeys(results[id].check.population for id in ids)
        papers = sorted({tests.workpaper[id].reference for id in ids})
        found = next((first[id] for id in tests.order if id in ids and id in first), None)
        rows.append(
            {
                **{name: row[name] for name in ("Control", "Title", "Control activity")},
                **{name: row[name] for name in ("Primary criteria", "Supporting criteria")},
                "Category": ", ".join(dict.fromkeys(category[id] for id in control.primary)),
                **{
                    name: row[name]
                    for name in ("Risk addressed", "Control owner", "Frequency", "Nature", "Type", "Key")
                },
                "System": snapshot.origin.cluster,
                "Procedure": "; ".join(_procedure(control)),
                "Test of design: steps": "Agree the statement to what its tests inspect (sheet Tests, column Procedure)."
                if ids
                else "",
                "Test of operation: steps": "\n".join(_steps(control)),
                "Population": "; ".join(f"{name} {len(snapshot.tables[name]):,}" for name in populations),
                "Sample": "none: every row is tested" if ids else "",
                "Rows tested": row["Rows tested"],
                "Exceptions": row["Exceptions"],
                "Rate %": round(100 * row["Exceptions"] / row["Rows tested"], 1) if row["Rows tested"] else None,
                "Undetermined": row["Undetermined"],
                "Results of tests": _counts(row),
                "Management's result": row["Management's result"],
                "Evidence": "; ".join([*papers, *(f"IPE-{name}" for name in populations)]),
                "Exception refs": Link.row(f"{row['Exceptions']:,} in sheet {EXCEPTIONS}", EXCEPTIONS, found)
                if found is not None
                else "",
            }
        )
    return Sheet(
        name="Control matrix",
        note="One row a control activity; it takes the most serious conclusion of its tests. Tests show the state at one "
        "time; operation over a period needs the snapshots of the period.",
        frame=pd.DataFrame(rows),
        people=(
            *("Test of design: result", "Compensating control", "Management response", "Ticket"),
            *("Prepared by, date", "Reviewed by, date"),
        ),
        auditor=("Auditor ref", "Auditor conclusion"),
        fixed=2,
        widest=34,
    )


def _procedure(control: Control) -> list[str]:
    tested = ["inspection of configuration", "re-performance"] if control.checks else []
    return tested + (["inquiry and inspection of records, by hand"] if control.manual else [])


def _steps(control: Control) -> list[str]:
    tested = [f"Tests {', '.join(control.checks)}."] if control.checks else []
    return tested + [f"By hand: {step}" for step in control.manual]


def _counts(row: Mapping[Any, Any]) -> str:
    """How many tests ended how, from the columns that frameworks give."""
    return narrative.worded((name, row[f"Tests: {name}"]) for name in (*CONCLUSIONS, NOT_RUN))


def _criteria(results: Results, framework: Framework, controls: tuple[Control, ...]) -> Sheet:
    covered = frameworks.coverage(results, framework, controls)
    known = {c.id: c for c in controls}
    rows = []
    for row in covered.to_dict("records"):
        named = [known[id] for id in row["Controls"].split(", ") if id]
        rows.append(
            {
                **{name: row[name] for name in ("Requirement", "Title", "Category", "Source")},
                "Controls": row["Controls"],
                "Number of controls": len(named),
                "Evidenced by the cluster": sum(bool(c.checks) for c in named),
                "With manual procedures": sum(bool(c.manual) for c in named),
                "Results of tests": _counts(row),
                **{name: row[name] for name in ("Exceptions", "Undetermined", "Management's result")},
                "Gaps": _gap(row),
                **{name: row[name] for name in ("Evidence", "Remains manual")},
            }
        )
    return Sheet(
        name="TSC coverage",
        note="All 61 criteria (our own short titles): what the cluster evidences, and what remains for other sources.",
        frame=pd.DataFrame(rows),
        people=("In scope",),
        auditor=("Auditor ref",),
        fixed=2,
        widest=36,
        choices={"In scope": ("yes", "no")},
    )


def _gap(row: Mapping[Any, Any]) -> str:
    """What the tests leave open; counts of tests stand in a column of their own."""
    if not row["Tests"]:
        return "no evidence from the cluster"
    open_ = sum(row[f"Tests: {name}"] for name in ("error", "not collected", NOT_RUN))
    supporting = "supporting evidence only" if row["Note"].startswith("supporting evidence only") else ""
    return "; ".join(filter(None, [supporting, f"{narrative.count(open_, 'test')} without evidence" if open_ else ""]))


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
