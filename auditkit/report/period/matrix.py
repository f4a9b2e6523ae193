"""The control matrix of a period: how each control operated, slot by slot of the schedule, and the sheets beside it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import frameworks
from auditkit.capture import tool
from auditkit.capture.imports import Loaded
from auditkit.engagement import Engagement
from auditkit.frameworks import Control
from auditkit.period.effectiveness import together
from auditkit.period.whole import Period
from auditkit.report import listings as one
from auditkit.report import provenance
from auditkit.report.controls import stated
from auditkit.report.matrix import NAME, standing
from auditkit.report.period import listings, words
from auditkit.report.period.paper import notebooks
from auditkit.report.workbook import Cover, Link, Sheet
from auditkit.report.workbook import write as write_workbook

# From a control to what an auditor decides on, for the first page of the pack.
TRAIL = (
    ("Coverage", "Sheets Period coverage and Gaps: on which days there is evidence, and on which there is none."),
    ("Control", "Sheet Control matrix: in how many slots it had exceptions, and how many deviations there are."),
    ("Deviation", "Sheet Deviations: when each began and ended, within which bounds. Filter by control."),
    ("Change", "Sheet Changes: what changed, by which client, and which ticket explains it."),
    ("Sample", "Sheet Period populations: the files to draw from; sheet Samples is the register of what was drawn."),
    (
        "Management's response",
        "Blue columns of Deviations and Control matrix, for people. Yellow ones are the auditor's, and blank.",
    ),
)
GLOSSARY = (
    ("Slot", "A time at which the schedule of the engagement expects a capture of each cluster."),
    (
        "Captured, late, partial, missed",
        "How a slot ended: in time and complete; complete, after the tolerance; evidence of a kind missing; no capture.",
    ),
    (
        "Gap",
        "A time between two captures in which a slot was missed, or that is longer than the tolerance of the engagement.",
    ),
    (
        "Deviation",
        "An exception followed over captures, from first to last seen; when it comes again, that is another occurrence.",
    ),
    (
        "Rate with exceptions",
        "Slots with exceptions / (slots with exceptions + clean slots); slots that were missed or not concluded are in neither.",
    ),
    ("Began, Ended", "Known exactly where one time stands, else only that it lies between the two."),
    (
        "Explained",
        "A change with a ticket approved before it, or by a deployer that is agreed, or by Kubernetes following another change.",
    ),
    ("Drift", "A change of an object that GitOps tracks, by another manager."),
)


def facts(period: Period, engagement: Engagement, identity: str) -> list[tuple[str, str]]:
    """Label and text of what identifies the pack of a period."""
    stated_, frame = engagement.period, period.captures
    first, last = frame["taken_at"].min(), frame["taken_at"].max()
    lacking = words.left_out(period, engagement)
    return [
        ("Entity", engagement.entity),
        ("System", engagement.system),
        ("Report", engagement.report),
        ("Period", f"{stated_.start} to {stated_.end}, schedule {stated_.schedule}" if stated_ else "not stated"),
        ("Judged until", f"{period.until:%Y-%m-%d %H:%M} UTC: slots after it are not expected yet"),
        ("Clusters" if len(period.clusters) > 1 else "Cluster", _clusters(period)),
        *([("In scope, not in this pack", lacking)] if lacking else []),
        (
            "Captures",
            f"{len(frame):,}, from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M} UTC; each is named by its digest in inputs/captures.json",
        ),
        ("Tool", tool()),
        ("Run id", identity),
    ]


def _clusters(period: Period) -> str:
    known = {name: ", ".join(set(rows["cluster_uid"].dropna())) for name, rows in period.captures.groupby("cluster")}
    return "; ".join(
        f"{name} (UID of kube-system: {known[name] or 'unknown'})" if name in known else f"{name} (no capture)"
        for name in period.clusters
    )


def write(pack: Path, period: Period, engagement: Engagement, identity: str) -> None:
    """Write control-matrix.xlsx into the pack, and under listings/ what is too long for a sheet."""
    controls = frameworks.controls(engagement)
    if not period.lasts:
        raise ValueError("a workbook is written of a period that was computed, not of one read from a pack")
    last = max(period.lasts.values(), key=lambda one: str(one.origin.taken_at))
    sheets = [
        _controls(period, controls),
        listings.tests(period, controls),
        listings.days(period),
        listings.gaps(period),
        listings.deviations(pack, period, engagement),
        one.waivers(last, period.deviations["waiver"].dropna(), what="Deviations"),
        listings.changes(pack, period),
        listings.populations(pack, period),
        listings.samples(pack, period),
        listings.access(pack, period, engagement),
        listings.pbc(period),
        provenance.imports(_judged(period)),
        listings.dictionary(),
        provenance.glossary(GLOSSARY),
    ]
    write_workbook(pack / NAME, _cover(period, engagement, identity), sheets, created=last.origin.taken_at)


def _judged(period: Period) -> list[Loaded]:
    """The imports as the last captures have them: of clusters that differ the one that has it in part."""
    every = [one for last in period.lasts.values() for one in last.imports]
    found = {one.about.source: one for one in sorted(every, key=lambda one: one.about.state == "partial")}
    return list(found.values())


def _cover(period: Period, engagement: Engagement, identity: str) -> Cover:
    rows: list[tuple[str, Any]] = [
        *facts(period, engagement, identity),
        ("", "What was found"),
        ("Coverage", words.covered(period)),
        *(("Missed", text) for text in words.missed(period)[:12]),
        *(("Partial", text) for text in words.partial(period)[:12]),
        ("Controls", words.concluded(period)),
        ("Changes", words.changed(period)),
        ("Access", words.granted(period)),
        *standing(engagement),
        ("", "What this evidence cannot show"),
        *((str(n), caveat) for n, caveat in enumerate(words.caveats(period), start=1)),
    ]
    footer = f"run {identity} · {words.clusters(period)}, {period.captures['taken_at'].min():%Y-%m-%d} to {period.captures['taken_at'].max():%Y-%m-%d}"
    return Cover(title="SOC 2 control matrix over a period", rows=rows, footer=footer)


def _controls(period: Period, controls: Sequence[Control]) -> Sheet:
    several = len(period.clusters) > 1
    rows = [
        _control(control, row, period)
        for control, row in zip(controls, together(period.controls).to_dict("records"), strict=True)
    ]
    return Sheet(
        name="Control matrix",
        note="One row a control activity and how it operated over the period, in the slots of the schedule"
        f"{', of all clusters together: the result is the first in order of precedence' if several else ''}. What is proposed is auditkit's "
        "draft until management confirms it or states its own. Whether a control operated effectively is the auditor's to say.",
        frame=pd.DataFrame(rows),
        people=(
            *("Confirmed by management", "Compensating control", "Management response"),
            *("Ticket", "Prepared by, date", "Reviewed by, date"),
        ),
        auditor=("Auditor ref", "Auditor conclusion"),
        fixed=2,
        widest=34,
        widths={"Title": 24, "Primary criteria": 14, "Supporting criteria": 14, "Test of operation: steps": 100},
    )


def _control(control: Control, row: Mapping[Any, Any], period: Period) -> dict[str, Any]:
    own = period.deviations[period.deviations["controls"].map(lambda ids: control.id in ids).astype(bool)]
    tested = bool(control.checks)
    return {
        "Control": control.id,
        "Title": control.title,
        "Control activity": control.statement,
        "Primary criteria": ", ".join(control.primary),
        "Supporting criteria": ", ".join(control.supporting),
        "Management's result": row["result"],
        "Note": row["note"],
        "Slots expected": row["expected"] if tested else None,
        "Slots captured": row["captured"] if tested else None,
        "With exceptions": row["with_exceptions"] if tested else None,
        "Clean": row["clean"] if tested else None,
        "Not concluded": row["not_concluded"] if tested else None,
        "Nothing to test": row["nothing_to_test"] if tested else None,
        "Rate with exceptions": None if pd.isna(row["rate"]) else round(float(row["rate"]), 3),
        "Deviations": row["deviations"] if tested else None,
        "Still open": row["open"] if tested else None,
        "Of them waived": int(own["waiver"].notna().sum()) if tested else None,
        "Came again": int(own["recurred"].sum()) if tested else None,
        "Risk addressed": control.risk,
        "Control owner": stated(control, "owner"),
        **{name.capitalize(): stated(control, name) for name in ("frequency", "nature", "type", "key")},
        "Test of operation: steps": "\n".join(_steps(control)),
        "Sample": "none: every capture and every row is tested" if tested else "",
        "Evidence": Link(text="WP-P1, WP-P4", target=notebooks()["effectiveness"].page) if tested else "",
    }


def _steps(control: Control) -> list[str]:
    tested = [f"Tests {', '.join(control.checks)} on every capture."] if control.checks else []
    return tested + [f"By hand: {step}" for step in control.manual]
