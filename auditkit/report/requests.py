"""The auditor's request list (PBC): where a pack answers each request, and what is missing."""

from collections.abc import Mapping, Sequence
from functools import cache

import msgspec
import pandas as pd

from auditkit.engagement import Engagement
from auditkit.evaluate import Snapshot
from auditkit.report.workbook import Link, Sheet
from auditkit.report.workpaper import Notebook, papers
from auditkit.resources import data

SHEET = "PBC list"


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One entry of data/requests.toml."""

    id: int
    title: str
    kind: str
    criteria: tuple[str, ...]
    workpapers: tuple[str, ...]
    by_hand: str
    tables: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()
    listings: tuple[str, ...]
    over_period: bool = False


@cache
def requests() -> tuple[Request, ...]:
    """The requests, in order."""
    return msgspec.convert(data("requests.toml")["request"], tuple[Request, ...])


def sheet(snapshot: Snapshot, engagement: Engagement) -> Sheet:
    """One row a request: what the pack of one snapshot has for it, what is missing, and what only people can provide."""
    known = papers(engagement)
    return listed([_row(request, snapshot, known) for request in requests()])


def listed(rows: Sequence[Mapping[str, object]]) -> Sheet:
    """The sheet of these rows, one a request."""
    return Sheet(
        name=SHEET,
        note="What auditors commonly ask to be provided, in our own words: where this pack answers, what it lacks, and what no "
        "cluster shows. Whether a request is provided and accepted is for people to say.",
        frame=pd.DataFrame(rows),
        people=("Status", "Owner", "Requested on", "Due", "Provided on"),
        auditor=("Auditor ref", "Auditor comment"),
        fixed=2,
        widest=44,
        choices={"Status": ("open", "provided", "accepted", "returned")},
    )


def _row(request: Request, snapshot: Snapshot, known: Mapping[str, Notebook]) -> dict[str, object]:
    papers = [known[name] for name in request.workpapers if name in known]
    missing = lacking(request, snapshot)
    missing += ["shown for one time only, not over the period"] if request.over_period else []
    return {
        **asked(request),
        "This pack": "complete but for what people provide" if not missing else "in part",
        "Missing here": "; ".join(missing),
        "Workpaper": Link(text=", ".join(p.reference for p in papers), target=papers[0].page),
        "Tables": ", ".join(request.tables),
        "Imports": ", ".join(request.imports),
        "Rows": "; ".join(f"{name} {len(snapshot.tables[name]):,}" for name in request.tables),
        "Remains with people": request.by_hand,
    }


def asked(request: Request) -> dict[str, object]:
    """What an auditor asks."""
    return {
        "Request": request.id,
        "What is asked": request.title,
        "Type": request.kind,
        "Criteria": ", ".join(request.criteria),
    }


def lacking(request: Request, snapshot: Snapshot) -> list[str]:
    """The tables and imports of a request that a snapshot does not have completely."""
    there = {one.about.source: one.about.state for one in snapshot.imports}
    found = [f"table {name} is not complete" for name in request.tables if snapshot.tables.incomplete([name])]
    return found + [
        f"import {name}: {there.get(name, 'not supplied')}"
        for name in request.imports
        if there.get(name) != "collected"
    ]
