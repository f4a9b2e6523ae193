"""Sheets that list what a period holds: days and gaps, deviations, changes, access, populations and samples."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import seal
from auditkit.capture import IMPORTS
from auditkit.engagement import Engagement, in_scope, matches
from auditkit.frameworks import Control
from auditkit.kinds import Record
from auditkit.period.whole import LISTINGS, Period
from auditkit.report import requests
from auditkit.report.charts.period import DAYS, by_day
from auditkit.report.frames import records, said
from auditkit.report.listings import listed
from auditkit.report.narrative import count
from auditkit.report.period import words
from auditkit.report.period.paper import notebooks, title
from auditkit.report.period.saved import FOLDER
from auditkit.report.provenance import TYPES
from auditkit.report.requests import Request
from auditkit.report.workbook import Link, Sheet

# A longer value of a change is cut in its sheet.
LONGEST = 240
POPULATIONS = "Period populations"


def days(period: Period) -> Sheet:
    """A heat map: one row a cluster and month, one column a day, with the worst status of its slots."""
    held = by_day(period.coverage).map(lambda status: DAYS[status][1] if status else "")
    held.columns = pd.Index([str(number) for number in held.columns])
    counts = {f"Days {status}": (held == letter).sum(axis=1) for status, (_, letter) in DAYS.items()}
    frame = held.assign(**counts).reset_index(names=["Cluster", "Month"])
    legend = ", ".join(f"{letter}: {status}" for status, (_, letter) in DAYS.items())
    return Sheet(
        name="Period coverage",
        note=f"One cell a day, {legend}; blank is outside the period; of several slots of a day the worst. {words.covered(period)}",
        frame=frame,
        auditor=("Auditor ref",),
        fixed=2,
        widths={str(number): 4 for number in range(1, 32)},
        shades={letter: colour.lstrip("#").upper() for colour, letter in DAYS.values()},
    )


def _by_cluster(period: Period, sheet: Sheet) -> Sheet:
    """A sheet whose first column is the cluster: it stays where there are several, and is left out where there is one."""
    if len(period.clusters) > 1:
        return replace(sheet, fixed=sheet.fixed + 1)
    return replace(sheet, frame=sheet.frame.drop(columns="Cluster", errors="ignore"))


def _in_scope(engagement: Engagement, frame: pd.DataFrame) -> pd.Series:
    """Whether cluster and namespace of each row are in scope."""
    stated = engagement.scope.clusters or ["*"]
    known = {name: matches(name, stated) for name in set(frame["cluster"])}
    return in_scope(engagement, frame["namespace"].fillna("")) & frame["cluster"].map(known).astype("boolean")


def gaps(period: Period) -> Sheet:
    """Missed slots as ranges, and captures with missing evidence, in order of time."""
    rows = [
        {
            "Cluster": one.cluster,
            "What": f"{count(one.missed, 'slot')} missed" if one.missed else "longer than the tolerance",
            "From": one.start,
            "To": one.end,
            "Days": round(one.days, 1),
            "First missed": one.first_missed,
            "Last missed": one.last_missed,
            "Beyond the tolerance": bool(one.exceeds),
            "Longest": bool(one.longest),
            "Not completely read": "",
        }
        for one in records(period.gaps)
    ]
    rows += [
        {
            "Cluster": one.cluster,
            "What": "capture with missing evidence",
            "From": one.taken_at,
            "To": one.taken_at,
            "Not completely read": said(one.incomplete),
        }
        for one in records(period.captures[period.captures["state"] == "partial"])
    ]
    frame = pd.DataFrame(rows, columns=list(rows[0]) if rows else ["What", "From", "To", "Not completely read"])
    sheet = Sheet(
        name="Gaps",
        note="What the schedule expected and the captures do not give. Nothing is inferred for it; only people can say why.",
        frame=frame.sort_values(["Cluster", "From"], kind="stable", ignore_index=True) if rows else frame,
        people=("Cause", "Other evidence of these days", "Owner"),
        auditor=("Auditor ref",),
        fixed=1,
    )
    return _by_cluster(period, sheet)


def deviations(pack: Path, period: Period, engagement: Engagement) -> Sheet:
    """One row a deviation: when it began and ended, with the bounds, and whether it came again."""
    frame = period.deviations
    rows = pd.DataFrame(
        {
            "Cluster": frame["cluster"],
            "Exception id": frame["exception_id"],
            "Occurrence": frame["occurrence"],
            "Test": frame["check"],
            "Expected": frame["title"],
            "Severity": frame["severity"],
            "Row": frame["row"],
            "State": frame["state"].map({"present": "open", "unknown": "not known"}).fillna(frame["state"]),
            "First seen": frame["first_seen"],
            "Last seen": frame["last_seen"],
            "Began": words.began(frame),
            "Ended": words.ended(frame),
            "Days at least": frame["days_at_least"].round(1),
            "Days at most": frame["days_at_most"].round(1),
            "Came again": frame["recurred"],
            "Waiver": frame["waiver"],
            "Captures that show it": frame["captures"],
            "Not known in captures": frame["unknown"],
            "Controls": frame["controls"],
            "Namespace": frame["namespace"],
            "In scope": _in_scope(engagement, frame),
        }
    )
    order = {name: n for n, name in enumerate(("critical", "high", "medium", "low", "info"))}
    rows = rows.sort_values("Severity", key=lambda column: column.map(order), kind="stable", ignore_index=True)
    sheet = Sheet(
        name="Deviations",
        note=f"{words.deviated(period)} Gravest first; a waiver accepts a deviation, which stays one. Between captures nothing is seen: began and ended say within which bounds.",
        frame=rows,
        people=("Cause", "Remediation", "Owner", "Due", "Ticket", "Remediation confirmed by, date"),
        auditor=("Tickmark", "Auditor ref"),
        fixed=2,
        listing=True,
        widest=36,
        widths={"Expected": 28, "Began": 24, "Ended": 24},
    )
    return listed(pack, _by_cluster(period, sheet))


def changes(pack: Path, period: Period) -> Sheet:
    """One row a change, from capture to capture."""
    frame = period.changes
    told = frame["explained"].map({True: "yes", False: "no"}).fillna("cannot be told")
    rows = pd.DataFrame(
        {
            "Cluster": frame["cluster"],
            "Seen at": frame["seen_at"],
            "Change": frame["change"],
            "Kind": frame["kind"],
            "Namespace": frame["namespace"],
            "Name": frame["name"],
            "Explained": told,
            "Why": frame["why"],
            "Ticket": frame["ticket"],
            "Manager": frame["manager"],
            "When": frame["at"],
            "Not before": frame["not_before"],
            "Not after": frame["not_after"],
            "Drift from GitOps": frame["drift"],
            "Fields": frame["fields"],
            "Before": frame["before"].map(_cut),
            "After": frame["after"].map(_cut),
            "Writes": frame["writes"].map(_cut),
            "Followed by controllers": frame["followed"],
            "Requester": frame["requester"],
            "Approver": frame["approver"],
            "Approved at": frame["approved_at"],
            "Approved by the requester": frame["self_approved"],
        }
    )
    sheet = Sheet(
        name="Changes",
        note=f"{words.changed(period)} A manager is the name that a client gave itself; the audit log of the API server names users. Long values are cut here, and whole in period/changes.",
        frame=rows,
        people=("Explanation", "Owner", "Ticket that was missing"),
        auditor=("Tickmark", "Auditor ref"),
        fixed=5,
        listing=True,
        widest=34,
        widths={"Why": 44, "Before": 60, "After": 60, "Writes": 60},
    )
    return listed(pack, _by_cluster(period, sheet))


def _cut(values: object) -> str:
    text = said(values)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def access(pack: Path, period: Period, engagement: Engagement) -> Sheet:
    """One row a subject of a binding and unbroken time that it was bound."""
    frame, everything = period.bindings, words.privileged(period.grants)
    named = ["cluster", "kind", "namespace", "name", "identity"]
    powerful = set(everything[named].itertuples(index=False, name=None))
    left = set(period.departures[named].itertuples(index=False, name=None))
    places = list(frame[named].itertuples(index=False, name=None))
    rows = pd.DataFrame(
        {
            "Cluster": frame["cluster"],
            "Subject kind": frame["subject_kind"],
            "Subject": frame["identity"],
            "Where": frame["namespace"].where(frame["namespace"] != "", "whole cluster"),
            "Role": frame["role_kind"] + " " + frame["role"],
            "Binding": frame["kind"] + " " + frame["name"],
            "First seen": frame["first_seen"],
            "Last seen": frame["last_seen"],
            "State": frame["state"],
            "Began": words.began(frame),
            "Ended": words.ended(frame),
            "May do everything": ["yes" if place in powerful else "" for place in places],
            "Of somebody who left": ["yes" if place in left else "" for place in places],
            "In scope": _in_scope(engagement, frame),
        }
    )
    rows = rows.sort_values(
        ["Cluster", "Subject kind", "Subject", "Where", "Role", "First seen"], kind="stable", ignore_index=True
    )
    sheet = Sheet(
        name="Access review",
        note=f"{words.granted(period)} Who is in a group, the identity provider knows.",
        frame=rows,
        people=("Owner", "Justification", "Decision", "Reviewer", "Reviewed on", "Ticket"),
        auditor=("Tickmark", "Auditor ref"),
        fixed=2,
        listing=True,
        widest=40,
        choices={"Decision": ("keep", "modify", "revoke", "unknown")},
    )
    return listed(pack, _by_cluster(period, sheet))


def populations(pack: Path, period: Period) -> Sheet:
    """One row a population of the period: its file, rows and hash, from which `auditkit sample` draws."""
    rows = [
        {
            "Population": name,
            "What a row is": title(name),
            "Rows": len(frame),
            "File": Link(text=f"{FOLDER}/{name}.parquet", target=f"{FOLDER}/{name}.parquet"),
            "As CSV": Link(text=f"{FOLDER}/{name}.csv", target=f"{FOLDER}/{name}.csv"),
            "sha256 of the file": seal.sha256(pack / FOLDER / f"{name}.parquet"),
            "Key": ", ".join(LISTINGS[name].key),
        }
        for name, frame in period.frames.items()
    ]
    rows += [
        _import(pack, f"import {one.about.source}", record) | {"Rows": len(found)}
        for one in period.imports
        for record, found in one.records.items()
    ]
    of_all = ", of all clusters together" if len(period.clusters) > 1 else ""
    note = (
        f"Every population of the period, whole{of_all}. `auditkit sample FILE --seed TEXT --size N --out sample.xlsx` draws from "
        "a file, and anybody draws the same again."
    )
    return Sheet(
        name=POPULATIONS, note=note, frame=pd.DataFrame(rows), auditor=("Tickmark", "Auditor ref"), fixed=1, widest=66
    )


def _import(pack: Path, name: str, record: type[Record]) -> dict[str, Any]:
    path = f"{IMPORTS}/{record.plural}.jsonl.zst"
    return {
        "Population": name,
        "What a row is": (record.__doc__ or "").partition("\n")[0],
        "File": Link(text=path, target=path),
        "As CSV": "",
        "sha256 of the file": seal.sha256(pack / path),
        "Key": "",
    }


def samples(pack: Path, period: Period) -> Sheet:
    """A blank register of samples, one row a population."""
    frame = pd.DataFrame(
        [
            {
                "Population": name,
                "Rows": len(rows),
                "sha256 of the file": seal.sha256(pack / FOLDER / f"{name}.parquet"),
                "Nothing is sampled by auditkit": "every capture and every row is tested",
            }
            for name, rows in period.frames.items()
        ]
    )
    return Sheet(
        name="Samples",
        note="A register for samples that people draw: which file, method, size and seed; the sample itself is a workbook of `auditkit sample`.",
        frame=frame,
        people=("Sample (workbook)", "Method", "Size", "Seed", "Drawn by, date"),
        auditor=("Items tested", "Deviations", "Result", "Auditor ref"),
        fixed=1,
        widths={"sha256 of the file": 66},
        choices={"Method": ("random", "systematic", "stratified", "all", "list")},
    )


def pbc(period: Period) -> Sheet:
    """One row a request: the listings of the period that answer it, and what is missing."""
    return requests.listed([_request(one, period) for one in requests.requests()])


def _request(request: Request, period: Period) -> dict[str, Any]:
    papers = [n for n in notebooks().values() if set(n.tables) & set(request.listings)]
    missing = [
        words.of_cluster(period, name) + text
        for name, last in period.lasts.items()
        for text in requests.lacking(request, last)
    ]
    exceeded = int(period.gaps["exceeds"].sum())
    missing += [f"{count(exceeded, 'gap')} beyond the tolerance"] if exceeded else []
    missing += [] if request.over_period else ["the state as of a date is in the pack of one capture (`auditkit run`)"]
    return {
        **requests.asked(request),
        "This pack": "complete but for what people provide" if not missing else "in part",
        "Missing here": "; ".join(missing),
        "Workpaper": Link(text=", ".join(n.reference for n in papers), target=papers[0].page),
        "Listings": Link(text=", ".join(request.listings), target=f"{FOLDER}/{request.listings[0]}.csv"),
        "Imports": ", ".join(request.imports),
        "Rows": "; ".join(f"{name} {len(period.frames[name]):,}" for name in request.listings),
        "Remains with people": request.by_hand,
    }


def dictionary() -> Sheet:
    """One row a column of every listing."""
    rows = [
        {
            "Listing": name,
            "Column": column.name,
            "Type": TYPES[column.dtype],
            "Key": "yes" if column.name in listing.key else "",
            "Meaning": column.doc,
        }
        for name, listing in LISTINGS.items()
        for column in listing.columns
    ]
    note = "Every column of every listing of the period; the key names a row."
    return Sheet(name="Data dictionary", note=note, frame=pd.DataFrame(rows), fixed=2, listing=True, widest=90)


def tests(period: Period, controls: Sequence[Control]) -> Sheet:
    """One row a test and cluster over the period."""
    frame = period.checks
    named = {id: ", ".join(c.id for c in controls if id in c.checks) for id in set(frame["check"])}
    rows = pd.DataFrame(
        {
            "Cluster": frame["cluster"],
            "Test": frame["check"],
            "Title": frame["title"],
            "Severity": frame["severity"],
            "Management's result": frame["result"],
            "Slots expected": frame["expected"],
            "Slots captured": frame["captured"],
            "With exceptions": frame["with_exceptions"],
            "Clean": frame["clean"],
            "Not concluded": frame["not_concluded"],
            "Nothing to test": frame["nothing_to_test"],
            "Rate with exceptions": frame["rate"].round(3),
            "Deviations": frame["deviations"],
            "Still open": frame["open"],
            "Note": frame["note"],
            "Controls": frame["check"].map(named),
        }
    )
    note = "One row a test, performed on every capture of the period; slots are those of the schedule."
    sheet = Sheet(
        name="Tests", note=note, frame=rows, auditor=("Tickmark", "Auditor ref"), fixed=2, listing=True, widest=40
    )
    return _by_cluster(period, sheet)
