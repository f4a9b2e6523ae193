"""The control matrix workbook: which sheets it has, and those by control and by criterion."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import frameworks
from auditkit.engagement import Engagement
from auditkit.evaluate import Results, Snapshot
from auditkit.frameworks import CIS, SOC2, Control, Framework
from auditkit.report import listings, narrative, provenance, requests, source
from auditkit.report.controls import controls_sheet, counted
from auditkit.report.listings import Tests
from auditkit.report.workbook import Cover, Sheet
from auditkit.report.workbook import write as write_workbook
from auditkit.tally import NOT_RUN

NAME = "control-matrix.xlsx"


def facts(snapshot: Snapshot, engagement: Engagement, identity: str) -> list[tuple[str, str]]:
    """Label and text of what identifies a pack."""
    origin, period, scope = snapshot.origin, engagement.period, engagement.scope
    clusters = ", ".join(scope.clusters) or "this one; no register of clusters supplied"
    namespaces = "all" if scope.namespaces == ["*"] else ", ".join(scope.namespaces)
    namespaces += f", without {', '.join(scope.exclude_namespaces)}" if scope.exclude_namespaces else ""
    return [
        ("Entity", engagement.entity),
        ("System", engagement.system),
        ("Report", engagement.report),
        ("Period", f"{period.start} to {period.end}" if period else "not stated"),
        ("Scope", f"clusters: {clusters}; namespaces: {namespaces}"),
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
    beside = [f for f in frameworks.chosen(engagement) if f.name != SOC2]
    sheets = [
        controls_sheet(snapshot, controls, tests),
        _criteria(frameworks.load(SOC2), controls, tests),
        *(_coverage(results, framework, controls) for framework in beside),
        listings.tests(snapshot, tests),
        listings.exceptions(pack, snapshot, engagement, tests),
        listings.waivers(snapshot, tests.waivers),
        listings.populations(pack, snapshot, tests),
        listings.access(pack, snapshot, engagement),
        requests.sheet(snapshot, engagement),
        provenance.ipe(pack, snapshot, tests),
        provenance.imports(snapshot.imports),
        provenance.index(pack, tests, without=NAME),
        provenance.dictionary(snapshot),
        provenance.glossary(),
    ]
    write_workbook(
        pack / NAME, _cover(snapshot, results, engagement, identity), sheets, created=snapshot.origin.taken_at
    )


def standing(engagement: Engagement) -> list[tuple[str, str | None]]:
    """Rows of a Cover: who prepared the workbook and who reviews it, what its hashes prove, what its colours mean."""
    return [
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
    ]


def _cover(snapshot: Snapshot, results: Results, engagement: Engagement, identity: str) -> Cover:
    rows: list[tuple[str, Any]] = [
        *facts(snapshot, engagement, identity),
        ("", "Result of management's tests"),
        ("Tests", narrative.conclude(list(results.values()), snapshot)),
        ("Completeness", narrative.completeness(snapshot)),
        *standing(engagement),
        (
            "(proposed)",
            "auditkit's draft of an attribute of a control: not management's until confirmed or stated in its own file",
        ),
        ("", "What this evidence cannot show"),
        *((str(n), caveat) for n, caveat in enumerate(narrative.CAVEATS, start=1)),
    ]
    footer = f"run {identity} · {narrative.taken(snapshot)}"
    return Cover(title="SOC 2 control matrix: Kubernetes", rows=rows, footer=footer)


def _criteria(framework: Framework, controls: tuple[Control, ...], tests: Tests) -> Sheet:
    covered = frameworks.coverage(tests.results, framework, controls)
    known = {c.id: c for c in controls}
    rows = []
    for row in covered.to_dict("records"):
        primary = [known[id] for id in row["Primary controls"].split(", ") if id]
        rows.append(
            {
                **{name: row[name] for name in ("Requirement", "Title", "Category", "Source", "Management's result")},
                "Primary controls": row["Primary controls"],
                "Results of primary tests": counted(row) if row["Tests"] else "",
                **{name: row[name] for name in ("Exceptions", "Undetermined", "Supporting controls")},
                "Supporting tests": _number(row["Supporting tests"]),
                "Exceptions of supporting tests": row["Supporting exceptions"],
                "Primary with tests": sum(bool(c.checks) for c in primary),
                "Primary with manual procedures": sum(bool(c.manual) for c in primary),
                "Gaps": _gap(row),
                "Evidence in this pack": _papers(row, tests),
                **{n: row[n] for n in ("Why these controls", "Evidence that a cluster can give", "Remains manual")},
            }
        )
    return Sheet(
        name="TSC coverage",
        note="All 61 criteria (our own short titles). Result, exceptions and undetermined are those of tests of primary "
        "controls; a test may serve several criteria, so they do not add up. What a cluster can give is said in general: what this pack has of it stands beside.",
        frame=pd.DataFrame(rows),
        people=("In scope",),
        auditor=("Auditor ref",),
        fixed=2,
        widest=36,
        widths={
            "Category": 20,
            "Primary controls": 20,
            "Supporting controls": 24,
            "Why these controls": 70,
            "Remains manual": 60,
        },
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
    covered["Results of tests"] = [counted(row) for row in covered.to_dict("records")]
    columns = ("Requirement", "Title", "Category", "Source", "Tests", "Results of tests", "Exceptions", "Undetermined")
    return Sheet(
        name="CIS coverage" if framework.name == CIS else f"{framework.name[:22]} coverage",
        note=f"{framework.title}: one row an item, in our own words; checks that answer it, or why it is manual.",
        frame=covered[[*columns, "Management's result", "Remains manual"]],
        auditor=("Auditor ref",),
        fixed=2,
        widest=40,
    )
