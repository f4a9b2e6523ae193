"""Tickets of a change system, matched to changes by object and time."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd

from auditkit.engagement import Changes
from auditkit.errors import Faults, UsageError
from auditkit.period.differences import CONTROLLERS, NOT_COMPARABLE
from auditkit.period.frames import framed
from auditkit.period.spans import text

COLUMNS = ("id", "title", "requester", "approver", "approved_at", "objects")
# How well a ticket matches, best first: approved before, perhaps before, by its own requester, not in time.
BEFORE, PERHAPS, SELF, NOT = range(4)


class TicketRow:
    """One row per ticket."""

    id: Annotated[str, "Its id in the change system."]
    title: Annotated[str | None, "What was asked for."]
    requester: Annotated[str | None, "Who asked for it."]
    approver: Annotated[str | None, "Who approved it; missing where nobody did."]
    approved_at: Annotated[datetime | None, "When it was approved."]
    objects: Annotated[list[str], "The objects that it names: Kind/namespace/name, or Kind/name."]


def read(path: Path) -> pd.DataFrame:
    """Tickets (TicketRow) of a CSV file with a header; objects are separated by `;`, times are ISO 8601, else UTC.

    Raises UsageError where it cannot be read, Faults with all lines that are wrong.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise UsageError(f"{path}, line 1: no column {', '.join(missing)}; tickets have: {', '.join(COLUMNS)}")
            lines = [(reader.line_num, line) for line in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    faults: list[str] = []
    rows = [_ticket(number, line, faults) for number, line in lines]
    ids = [row[0] for row in rows]
    faults += [f"{id}: stands there {ids.count(id)} times" for id in dict.fromkeys(ids) if id and ids.count(id) > 1]
    if faults:
        raise Faults(str(path), faults)
    return framed(rows, TicketRow)


def _ticket(number: int, line: dict[str, Any], faults: list[str]) -> tuple[Any, ...]:
    values = {name: (line[name] or "").strip() for name in COLUMNS}
    objects = [part.strip() for part in values["objects"].split(";") if part.strip()]
    if not values["id"] or None in line:
        faults.append(f"line {number}: {'no id' if not values['id'] else 'more cells than the header has'}")
    faults += [f"line {number}: {one} is not Kind/namespace/name" for one in objects if one.count("/") not in (1, 2)]
    approved = None
    if values["approved_at"]:
        try:
            approved = datetime.fromisoformat(values["approved_at"])
            approved = approved if approved.tzinfo else approved.replace(tzinfo=UTC)
        except ValueError:
            faults.append(
                f"line {number}: approved_at {values['approved_at']} is not a time, e.g. 2026-10-31T06:00:00Z"
            )
    return values["id"], *(values[n] or None for n in ("title", "requester", "approver")), approved, objects


def explain(frame: pd.DataFrame, tickets: pd.DataFrame | None, settings: Changes) -> pd.DataFrame:
    """Changes (ChangeRow) with their tickets, and what these say of `explained`.

    A ticket matches a change of an object that it names if it was approved before, at most `ticket_days` days. Where
    the time of the change is not known, a ticket approved between the two snapshots may have come before or after: the
    change is then not known to be explained. A self-approved ticket explains nothing, whoever made the change.
    """
    frame = frame.copy()
    if tickets is None:
        open_ = frame["explained"].eq(False).fillna(False)
        frame.loc[open_, "explained"] = pd.NA
        frame.loc[open_, "why"] += "; no tickets were given"
        return frame
    best = _best(frame, tickets, settings).set_index("row")
    said = [_said(one) for one in frame.join(best.add_suffix("_found")).itertuples()]
    matched = best[best["rank"] != NOT]
    frame[["explained", "why"]] = pd.DataFrame(said, index=frame.index, columns=["explained", "why"], dtype=object)
    for name in ("ticket", "requester", "approver", "approved_at", "self_approved"):
        frame.loc[matched.index, name] = matched[name]
    return frame.astype({"explained": "boolean", "why": "string"})


def _said(one: Any) -> tuple[bool | None, str]:
    """Whether a change is explained and why, by what was said before its ticket was looked at, and by the ticket."""
    explained = None if pd.isna(one.explained) else bool(one.explained)
    if pd.isna(one.rank_found):
        unnamed = explained is not True and one.change != NOT_COMPARABLE
        return explained, f"{one.why}; no ticket names it" if unnamed else one.why
    if one.rank_found == NOT:
        return explained, f"{one.why}; {one.ticket_found} {one.late_found}"
    approved = f"{one.ticket_found} was approved by {one.approver_found} at {text(one.approved_at_found)}"
    if one.rank_found == SELF:
        return False, f"{approved}, who had asked for it; {one.why}"
    if one.rank_found == BEFORE:
        return True, f"{approved}; {one.why}"
    return explained or None, f"{approved}, perhaps after the change; {one.why}"


def _best(frame: pd.DataFrame, tickets: pd.DataFrame, settings: Changes) -> pd.DataFrame:
    """One row per change that a ticket names: row (position), the best ticket, rank, and why it is not in time."""
    own = frame[~frame["change"].isin([CONTROLLERS, NOT_COMPARABLE])]
    place = own["namespace"].where(own["namespace"] == "", own["namespace"] + "/")
    changed = pd.DataFrame(
        {
            "row": own.index,
            "object": own["kind"] + "/" + place + own["name"],
            "earliest": own["at"].fillna(own["not_before"]),
            "latest": own["at"].fillna(own["not_after"]),
        }
    )
    named = tickets[["id", "requester", "approver", "approved_at", "objects"]].explode("objects")
    named = named.rename(columns={"id": "ticket", "objects": "object"}).astype({"object": "string"})
    found = changed.merge(named, on="object")
    window = pd.Timedelta(days=settings.ticket_days)
    approved = found["approver"].notna() & found["approved_at"].notna()
    before = approved & (found["approved_at"] <= found["earliest"]) & (found["approved_at"] >= found["latest"] - window)
    perhaps = approved & (found["approved_at"] <= found["latest"])
    perhaps &= found["approved_at"] >= found["earliest"] - window
    alone = (found["approver"].str.casefold() == found["requester"].str.casefold()).fillna(False).astype("boolean")
    found["rank"] = NOT
    found.loc[perhaps, "rank"] = PERHAPS
    found.loc[before, "rank"] = BEFORE
    found.loc[(perhaps | before) & alone, "rank"] = SELF
    found["self_approved"] = alone
    found["late"] = f"was approved more than {settings.ticket_days} days before"
    found.loc[found["approved_at"] > found["latest"], "late"] = "was approved after the change"
    found.loc[~approved, "late"] = "names it and is not approved"
    found = found.sort_values(["row", "rank", "approved_at", "ticket"], ascending=[True, True, False, True])
    return found.drop_duplicates("row", ignore_index=True)
