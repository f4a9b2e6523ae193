"""Sheets of tests, exceptions, populations and access; a listing too long for a sheet goes into files."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import pandas as pd

from auditkit import seal
from auditkit.declare import GIVEN, Check
from auditkit.engagement import Engagement, in_scope
from auditkit.evaluate import Result, Results, Snapshot, declared
from auditkit.frameworks import Control
from auditkit.report import narrative, procedure
from auditkit.report.frames import said, write_csv, write_parquet
from auditkit.report.workbook import Link, Sheet
from auditkit.report.workpaper import Notebook, notebooks, reports

TESTS, EXCEPTIONS, POPULATIONS, IPE = "Tests", "Exceptions", "Populations", "IPE"
# Rows of a sheet; longer listings are files, linked with hash and count.
LISTED = 10_000
_BINDING = ("kind", "namespace", "name")
_EXCEPTION = [
    *("Exception id", "Test", "Controls", "Expected", "Severity", "Kind", "Namespace", "Name", "Part", "Condition"),
    *("Waiver", "Criteria"),
]


@dataclass(frozen=True, kw_only=True)
class Tests:
    """The results as the workbook lists them: by test, its controls, its workpaper, its place in each sheet."""

    results: Results
    exceptions: Mapping[str, pd.DataFrame]
    controls: Mapping[str, Sequence[Control]]
    workpaper: Mapping[str, Notebook]

    @classmethod
    def of(cls, results: Results, controls: Sequence[Control]) -> "Tests":
        papers = [n for n in notebooks().values() if n.checks]
        return cls(
            results=results,
            exceptions={id: result.exceptions for id, result in results.items()},
            controls={id: [c for c in controls if id in c.checks] for id in results},
            workpaper={
                id: next((n for n in papers if reports(n, id)), list(notebooks().values())[-1]) for id in results
            },
        )

    @property
    def order(self) -> list[str]:
        return list(self.results)

    @property
    def waivers(self) -> pd.Series:
        """The waiver of each exception that has one."""
        none: pd.Series = pd.Series(dtype="string")
        found: pd.Series = pd.concat([none, *(rows["waiver"].dropna() for rows in self.exceptions.values())])
        return found

    @cached_property
    def first_exception(self) -> dict[str, int]:
        """The row of its first exception in the sheet Exceptions, by test; those beyond the sheet are left out."""
        found, row = {}, 0
        for id, rows in self.exceptions.items():
            if len(rows) and row < LISTED:
                found[id] = row
            row += len(rows)
        return found

    def control_ids(self, id: str) -> str:
        return ", ".join(c.id for c in self.controls[id])

    def criteria(self, id: str) -> str:
        return ", ".join(sorted({criterion for c in self.controls[id] for criterion in c.primary}))


def tests(snapshot: Snapshot, every: Tests) -> Sheet:
    """One row a test: what it says, what it found, how it is done."""
    first, rows = every.first_exception, []
    for number, (id, r) in enumerate(every.results.items()):
        count, paper = len(every.exceptions[id]), every.workpaper[id]
        rows.append(
            {
                "Test": id,
                "Title": r.title,
                "Severity": r.check.severity,
                "Conclusion": r.conclusion,
                "Population": Link.row(len(r.population), POPULATIONS, number),
                "Exceptions": Link.row(count, EXCEPTIONS, first[id]) if id in first else count,
                "Of them waived": r.waived,
                "Undetermined": len(r.undetermined),
                "Note": _note(r, snapshot),
                "Controls": every.control_ids(id),
                "Criteria": every.criteria(id),
                "Workpaper": Link(text=paper.reference, target=f"{paper.page}#{id}"),
                "Tables": ", ".join(r.check.reads),
                "Decided by": ", ".join(procedure.decisive(r.check)),
                "Settings": procedure.settings(r.settings),
                "Why": r.check.rationale,
                "Remedy": r.check.fix,
                "Procedure": procedure.source(r),
            }
        )
    note = "One row a test; its procedure is applied to every row of the population. True is an exception, missing is undetermined."
    return Sheet(
        name=TESTS,
        note=note,
        frame=pd.DataFrame(rows),
        auditor=("Tickmark", "Auditor ref"),
        fixed=2,
        listing=True,
        widest=34,
        widths={"Procedure": 110, "Note": 40, "Why": 90, "Remedy": 60},
    )


def _note(result: Result, snapshot: Snapshot) -> str:
    """The note of a result and, where evidence is missing, how to get it."""
    if result.conclusion != "not collected":
        return result.note
    return f"{result.note}. To get it: {narrative.ways(result, snapshot)}"


def exceptions(pack: Path, snapshot: Snapshot, engagement: Engagement, every: Tests) -> Sheet:
    """One row an exception, with the values that made it one."""
    found = [_rows(id, every) for id, rows in every.exceptions.items() if len(rows)]
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=_EXCEPTION)
    uids, places = _uids(snapshot), frame[["Kind", "Namespace", "Name"]].fillna("")
    frame["UID"] = [uids.get(place, "") for place in places.itertuples(index=False, name=None)]
    frame["Cluster"] = snapshot.origin.cluster
    frame["In scope"] = in_scope(engagement, frame["Namespace"])
    note = f"{narrative.count(len(frame), 'exception')}; an id stays the same from run to run. Expected is what the test states, condition what was found; a waiver accepts an exception, which stays one."
    return listed(
        pack,
        Sheet(
            name=EXCEPTIONS,
            note=note,
            frame=frame,
            people=("Status", "Cause", "Management response", "Compensating control", "Owner", "Due", "Ticket"),
            auditor=("Tickmark", "Auditor ref"),
            fixed=2,
            listing=True,
            widest=36,
            widths={
                "Expected": 32,
                "Kind": 24,
                "Namespace": 16,
                "Name": 26,
                "Part": 26,
                "Condition": 40,
                "Controls": 8,
            },
            choices={"Status": ("open", "accepted", "remediated", "false positive")},
        ),
    )


def _uids(snapshot: Snapshot) -> dict[tuple[str, str, str], str]:
    """The UID of each object by kind, namespace and name; none where two groups have a kind of that name."""
    found: dict[tuple[str, str, str], str] = {}
    for kind in snapshot.objects:
        for one in snapshot.objects[kind]:
            place = (kind.kind, one.namespace, one.name)
            found[place] = "" if place in found else one.metadata.uid
    return found


def _rows(id: str, every: Tests) -> pd.DataFrame:
    """The exceptions of one test: the object, the part of it that the row is, and the condition."""
    result = every.results[id]
    found = every.exceptions[id]
    return pd.DataFrame(
        {
            "Exception id": found["exception_id"],
            "Test": Link.row(id, TESTS, every.order.index(id)),
            "Controls": every.control_ids(id),
            "Expected": result.title,
            "Severity": result.check.severity,
            **{c.capitalize(): found.get(c, "") for c in ("kind", "namespace", "name")},
            "Part": procedure.part(found, procedure.key(result.check)),
            "Condition": _conditions(result.check, found),
            "Waiver": found["waiver"],
            "Criteria": every.criteria(id),
        },
        index=found.index,
    )


def _conditions(check: Check, found: pd.DataFrame) -> pd.Series:
    """The values that the test looked at, those of the row's name among them, and the tables it compared them with."""
    values, source = procedure.conditions(check, found), check.source
    key = procedure.key(check)
    named = [column for column in key if re.search(rf"\b{column}\b", source)]
    # Kind, namespace and name have columns of their own: they are repeated where nothing else decides.
    shown = [c for c in named if c not in ("kind", "namespace", "name")] if (values != "").any() else named or key
    text = pd.Series("", index=found.index, dtype="string")
    for column in shown:
        text = text + column + ": " + pd.Series([said(v) for v in found[column]], found.index, dtype="string") + "; "
    others = [name for name in check.reads[1:] if name not in GIVEN]
    beside = f"; compared with {', '.join(others)}" if others else ""
    return (text + values).str.removesuffix("; ") + beside


def waivers(snapshot: Snapshot, covered: pd.Series, *, what: str = "Exceptions") -> Sheet:
    """One row a waiver: what it covers, who approved it, whether it holds, and of how many rows `covered` names it."""
    frame = snapshot.tables["waivers"]
    rows = pd.DataFrame(
        {
            "Waiver": frame["id"],
            "Test": frame["check"],
            "Scope": frame["scope"].map(said),
            f"{what} covered": frame["id"].map(covered.value_counts()).fillna(0).astype("Int64"),
            "Holds": frame["in_force"],
            "Approved": frame["approved"],
            "Expired": frame["expired"],
            "Reason": frame["reason"],
            "Requester": frame["requester"],
            "Approver": frame["approver"],
            "Approved on": frame["approved_on"],
            "Expires": frame["expires"],
            "Compensating control": frame["compensating_control"],
            "Ticket": frame["ticket"],
        }
    )
    supplied = not snapshot.tables.incomplete(["waivers"])
    note = (
        "Exceptions that the entity has approved: they stay exceptions and are counted. One that does not hold covers nothing; "
        + ("tests ADM-90 to ADM-92 are of the waivers themselves." if supplied else "no waivers were supplied.")
    )
    return Sheet(name="Waivers", note=note, frame=rows, auditor=("Tickmark", "Auditor ref"), fixed=2, widest=40)


def populations(pack: Path, snapshot: Snapshot, every: Tests) -> Sheet:
    """One row a test: its population, with links to every row and its verdict, and to where the table comes from."""
    first, rows = every.first_exception, []
    tables = {name: number for number, name in enumerate(snapshot.tables)}
    for number, (id, r) in enumerate(every.results.items()):
        verdicts, table = f"results/populations/{id}.parquet", f"tables/{r.check.population}.csv"
        csv, count = f"results/exceptions/{id}.csv", len(every.exceptions[id])
        unjudged = f"results/undetermined/{id}.csv"
        rows.append(
            {
                "Test": Link.row(id, TESTS, number),
                "Title": r.title,
                "Table": Link.row(r.check.population, IPE, tables[r.check.population]),
                "One row": declared(r.check.population).title,
                "Rows": len(r.population),
                "Exceptions": Link.row(count, EXCEPTIONS, first[id]) if id in first else count,
                "Undetermined": len(r.undetermined),
                "Complete": "no" if r.conclusion == "not collected" or "incomplete" in r.note else "yes",
                "Rows with verdict": Link(text=verdicts, target=verdicts),
                "Rows as CSV": Link(text=table, target=table),
                "Exceptions as CSV": Link(text=csv, target=csv) if count else "",
                "Rows not judged as CSV": Link(text=unjudged, target=unjudged) if len(r.undetermined) else "",
                "sha256 of rows with verdict": seal.sha256(pack / verdicts),
            }
        )
    note = "Nothing is sampled: the linked Parquet file has each row that a test judged, with its verdict and exception id."
    return Sheet(
        name=POPULATIONS, note=note, frame=pd.DataFrame(rows), auditor=("Auditor ref",), listing=True, widest=40
    )


def access(pack: Path, snapshot: Snapshot, engagement: Engagement) -> Sheet:
    """Who holds which role where, with the powers that its rules give: the listing of an access review."""
    grants = snapshot.tables["grants"]
    held = powers(grants).rename("powers").reset_index()
    rows = snapshot.tables["bindings"].merge(held, on=list(_BINDING), how="left")
    rows = rows.sort_values(["subject_kind", "identity", "namespace", "role_id"], kind="stable", ignore_index=True)
    missing = set(grants.loc[~grants["role_exists"], "role_id"])
    frame = pd.DataFrame(
        {
            "Subject kind": rows["subject_kind"],
            "Subject": rows["identity"].fillna(rows["subject"]).fillna("nobody: the binding has no subjects"),
            "Where": rows["namespace"].where(rows["namespace"] != "", "whole cluster"),
            "Role": rows["role_kind"] + " " + rows["role"],
            "Role is missing": ["yes" if id in missing else "" for id in rows["role_id"]],
            "Powers": rows["powers"],
            "Binding": rows["kind"] + " " + rows["name"],
            "Made by Kubernetes": rows["stock"],
            "Binding created": rows["created"],
            "In scope": in_scope(engagement, rows["namespace"]),
        }
    )
    note = (
        f"Who holds what: {narrative.count(len(frame), 'binding')} of subjects, one row a subject of a binding; it may have been added after the "
        "binding was created. Table grants has a row for every rule of it; the identity provider knows who is in a group."
    )
    return listed(
        pack,
        Sheet(
            name="Access listing",
            note=note,
            frame=frame,
            people=("Owner", "Justification", "Decision", "Reviewer", "Reviewed on", "Ticket"),
            auditor=("Tickmark", "Auditor ref"),
            fixed=2,
            listing=True,
            widest=40,
            choices={"Decision": ("keep", "modify", "revoke", "unknown")},
        ),
    )


def powers(grants: pd.DataFrame) -> pd.Series:
    """What the rules of its role give power over, in words, by kind, namespace and name of each binding."""
    flags = [
        c.name for c in declared("roles").columns if c.dtype == "boolean" and c.name in grants and c.name != "stock"
    ]
    held = grants[flags].fillna(False).groupby([grants[c] for c in _BINDING]).any()
    text = pd.Series("", index=held.index, dtype="string")
    for flag in flags:
        text = text + held[flag].map({True: f", {flag.replace('_', ' ')}", False: ""}).astype("string")
    # Whoever may do everything may do each of the others.
    return text.str.removeprefix(", ").mask(held["all_powerful"].astype(bool), "all powerful")


def listed(pack: Path, sheet: Sheet) -> Sheet:
    """The sheet or, where it is too long, its first rows with all of them as files under listings/."""
    rows = len(sheet.frame)
    if rows <= LISTED:
        return sheet
    stem = sheet.name.lower().replace(" ", "-")
    plain = sheet.frame.map(said).astype("string")
    files = []
    for suffix, save in (("csv", write_csv), ("parquet", write_parquet)):
        path = f"listings/{stem}.{suffix}"
        save(plain, pack / path)
        files.append(Link(text=f"{path}: {rows:,} rows, sha256 {seal.sha256(pack / path)}", target=path))
    note = f"{sheet.note} The first {LISTED:,} are listed here, all {rows:,} in the files linked below."
    return replace(sheet, note=note, frame=sheet.frame.head(LISTED), files=files)
