"""The workbooks of an access review: what reviewers fill, what is read back, and what it came to."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.evaluate import Snapshot
from auditkit.period.frames import framed
from auditkit.report import narrative
from auditkit.report.workbook import Cover, Sheet, entries, write
from auditkit.review.decisions import CHOICES, EXCEPTION, TESTS, Decision, Terms
from auditkit.review.merge import ADDED, MISSING, edited_by_hand

REVIEW, MEMBERS, STOCK, FINDINGS = "Review", "Members", "Made by Kubernetes", "Findings"
ENTRIES = ("Decision", "Reviewer", "Reviewed on", "Reason", "Ticket")
_RULES = (
    ("keep", "The access is needed as it is."),
    ("modify", "The role, or who is in the group, changes; reason and ticket are asked for."),
    ("revoke", "The access is removed; reason and ticket are asked for."),
    ("unknown", "Whether it is needed is not known: it counts as an exception until somebody knows."),
)


def write_review(
    path: Path,
    listing: pd.DataFrame,
    snapshot: Snapshot,
    engagement: Engagement,
    *,
    quarter: str,
    terms: Terms,
    previous: Mapping[str, str],
) -> None:
    """Write the workbook that reviewers fill: one row per subject of a binding that Kubernetes did not make itself."""
    own = listing[~listing["stock"].astype(bool)].reset_index(drop=True)
    frame = computed(own)
    frame.insert(list(frame).index("In scope"), "Previous decision", [previous.get(row, "") for row in own["row"]])
    review = Sheet(
        name=REVIEW,
        note=f"{narrative.count(len(own), 'row')}; each is decided: {', '.join(CHOICES)}. Nobody decides on their own access or on what they granted. "
        f"Reviewed on is a day from {terms.first} to {terms.last}; the reviewer is written as the identity provider names them. "
        "Last used is by the audit log, which names one of several bindings that allow a request.",
        frame=frame,
        people=ENTRIES,
        fixed=2,
        widest=34,
        widths={"Effective risk": 40, "Way to cluster-admin": 40, "People and status": 36},
        choices={"Decision": CHOICES},
    )
    stock = computed(listing[listing["stock"].astype(bool)].reset_index(drop=True))
    beside = Sheet(
        name=STOCK,
        note=f"{narrative.count(len(stock), 'row')} that Kubernetes ships with exactly this role and these subjects: listed so that nothing is left out, and not decided on.",
        frame=stock[["Row", "Subject", "Kind", "Role", "Where", "Binding", "Effective risk"]],
        fixed=2,
        widest=44,
    )
    cover = Cover(
        title=f"Access review {quarter}",
        footer=f"{quarter} · {narrative.taken(snapshot)}",
        rows=_facts(listing, snapshot, engagement, quarter, terms),
    )
    write(path, cover, [review, _members(snapshot), beside], created=snapshot.origin.taken_at)


def _facts(
    listing: pd.DataFrame, snapshot: Snapshot, engagement: Engagement, quarter: str, terms: Terms
) -> list[tuple[str, Any]]:
    lacking = snapshot.tables.incomplete(["grants", "idp_users", "idp_groups", "leavers", "grants_used"])
    return [
        ("Entity", engagement.entity),
        ("System", engagement.system),
        ("Quarter", quarter),
        ("Cluster", snapshot.origin.cluster),
        ("Listing as of", narrative.as_of(snapshot)),
        ("Snapshot digest", snapshot.digest),
        ("Rows", f"{len(listing):,}, of them {int((~listing['stock'].astype(bool)).sum()):,} to decide"),
        (
            "Not complete",
            "; ".join(f"{c.resource} {c.state}" for c in lacking.values()) or "all that it rests on is complete",
        ),
        ("Decisions count", f"from {terms.first} to {terms.last}"),
        ("Changes are made", f"within {terms.revoke_days} business days; a later capture must show it"),
        ("", "What a decision means"),
        *_RULES,
        ("", "Sign-off"),
        ("Reviewed and approved by, date", None),
        ("Blue", "Cells of reviewers: unlocked. All others are computed and locked; what is edited there is found"),
    ]


def computed(rows: pd.DataFrame) -> pd.DataFrame:
    """The computed columns of the sheet, of rows of the listing (access.Listed)."""
    return pd.DataFrame(
        {
            "Row": rows["row"],
            "Subject": rows["identity"].where(rows["identity"] != "", "nobody"),
            "Kind": rows["subject_kind"],
            "People and status": rows["standing"],
            "Owner": rows["owner"].fillna(""),
            "Role": rows["role"],
            "Where": rows["namespace"].where(rows["namespace"] != "", "whole cluster"),
            "Binding": rows["kind"] + " " + rows["name"],
            "Effective risk": rows["powers"],
            "Way to cluster-admin": rows["way"],
            "Granted by": rows["granted_by"],
            "Granted": rows["began"].fillna("binding created " + rows["created"].dt.strftime("%Y-%m-%d")).fillna(""),
            "First seen": rows["first_seen"],
            "Last used": rows["last_used_said"],
            "In scope": rows["in_scope"],
            "Content": rows["content"],
        }
    )


def _members(snapshot: Snapshot) -> Sheet:
    members = snapshot.tables["group_members"]
    members = members[members["person"].notna()].drop_duplicates(["identity", "person"], ignore_index=True)
    frame = pd.DataFrame(
        {
            "Group": members["identity"],
            "Person": members["person"],
            "Account": members["status"].fillna("not known"),
            "Closed on": members["terminated_on"],
            "Second factor": members["mfa"],
            "Last login": members["last_login"],
        }
    ).sort_values(["Group", "Person"], kind="stable", ignore_index=True)
    note = "Who is in the groups that bindings name, by the identity provider's exports, groups within groups resolved."
    return Sheet(name=MEMBERS, note=note, frame=frame, fixed=2)


def read_decisions(filled: Path, original: Path) -> pd.DataFrame:
    """What people wrote into `filled` (Decision), and what of the computed cells of `original` they edited.

    A row of another sheet than the review's, or one that was added twice, stands for itself: nothing it says is a decision.
    Raises UsageError where the file is no workbook or not one of a review.
    """
    grids, source = entries.read(filled), entries.read(original)
    if REVIEW not in grids or not set(ENTRIES) <= set(grids[REVIEW].columns):
        raise UsageError(
            f"{filled}: has no sheet {REVIEW} with its columns; give the workbook that `review prepare` wrote, filled"
        )
    edited: dict[str, list[str]] = {}
    for what, sheet, place, column, _, _ in edited_by_hand(grids, source):
        if sheet != REVIEW:
            edited.setdefault(f"sheet {sheet}", []).append(f"{place} {column or what}".strip())
        elif what not in (ADDED, MISSING):
            edited.setdefault(place, []).append(column)
    rows: list[tuple[Any, ...]] = []
    for key, cells in grids[REVIEW].rows.items():
        row = " | ".join(key)
        rows.append((row, *decision(cells), edited.pop(row, [])))
    rows += [(place, None, None, None, None, None, cells_) for place, cells_ in edited.items()]
    return framed(rows, Decision)


def decision(cells: Mapping[str, Any]) -> tuple[str | None, ...]:
    """Decision (in small letters), reviewer, day, reason and ticket of one row, as text."""
    texts = [_text(cells.get(name)) for name in ENTRIES]
    return (texts[0].lower() if texts[0] else None, *texts[1:])


def _text(value: Any) -> str | None:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d}"
    return (str(value).strip() or None) if value is not None else None


def previous(rows: pd.DataFrame, listing: pd.DataFrame) -> dict[str, str]:
    """The decision of the review before in words, by row; `rows` have Decision's columns, `content`, `exceptions`."""
    now = dict(zip(listing["row"], listing["content"], strict=True))
    found: dict[str, str] = {}
    row: Any
    for row in rows.itertuples(index=False):
        if row.row not in now or pd.isna(row.decision):
            continue
        texts = [f"{row.decision} by {_or(row.reviewer)} on {_or(row.reviewed_on)}"]
        texts += [f"reason: {row.reason}"] if not pd.isna(row.reason) else []
        texts += [f"ticket {row.ticket}"] if not pd.isna(row.ticket) else []
        texts += [f"exception: {text}" for text in row.exceptions]
        texts += ["what it gives has changed since"] if row.content != now[row.row] else []
        found[row.row] = "; ".join(texts)
    return found


def _or(value: Any) -> str:
    return "nobody named" if pd.isna(value) else str(value)


def write_findings(path: Path, findings: pd.DataFrame, facts: Sequence[tuple[str, Any]], title: str) -> None:
    """Write the workbook of what the review came to: exceptions first."""
    order = findings.sort_values("conclusion", key=lambda c: c.map(_ORDER), kind="stable", ignore_index=True)
    names = {"row": "Row", "subject": "Subject", "role": "Role", "scope": "Where", "binding": "Binding"}
    names |= {"conclusion": "Conclusion", "exceptions": "Exceptions", "undetermined": "Undetermined"}
    names |= dict(zip(("decision", "reviewer", "reviewed_on", "reason", "ticket"), ENTRIES, strict=True))
    names |= {test: test.replace("_", " ").capitalize() for test in TESTS}
    frame = order[list(names)].rename(columns=names)
    note = "One row per row of the listing, and per row that somebody added or edited elsewhere: the decision as written, each test of it in words."
    sheet = Sheet(
        name=FINDINGS,
        note=note,
        frame=frame,
        people=("Management response",),
        auditor=("Tickmark", "Auditor ref"),
        fixed=2,
        widest=36,
    )
    write(path, Cover(title=title, rows=facts, footer=title), [sheet], created=None)


_ORDER = {EXCEPTION: 0, "undetermined": 1, "no exception": 2}
