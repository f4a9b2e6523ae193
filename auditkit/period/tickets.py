"""Tickets of a change system, matched to changes by object and time."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from auditkit.capture.imports.tickets import Ticket
from auditkit.capture.snapshot import Objects
from auditkit.engagement import Changes
from auditkit.kinds import Record
from auditkit.period.differences import CONTROLLERS, NOT_COMPARABLE
from auditkit.period.frames import framed
from auditkit.period.spans import text
from auditkit.tables.tickets import Tickets

# How well a ticket matches, best first: approved before, perhaps so, by its own requester, not in time.
BEFORE, PERHAPS, SELF, NOT = range(4)


def frame_of(tickets: Iterable[Record]) -> pd.DataFrame:
    """The table `tickets` of these records."""
    return framed(Tickets.rows(Objects({}, records={Ticket: tuple(tickets)})), Tickets)


def explain(frame: pd.DataFrame, tickets: pd.DataFrame, settings: Changes, lacking: str) -> pd.DataFrame:
    """Changes (ChangeRow) with their tickets (table `tickets`), and what these say of `explained`.

    A ticket matches a change of an object that it names if it was approved before, at most `ticket_days` days. Where
    the time of the change is not known, a ticket approved between the two snapshots may have come before or after: the
    change is then not known to be explained; nor where the ticket does not say who asked. A self-approved ticket explains
    nothing, whoever made the change. Where tickets are `lacking` (why), a change without one is not known to be unexplained.
    """
    frame = frame.copy()
    best = _best(frame, tickets, settings).set_index("row")
    said = [_said(one, lacking) for one in frame.join(best.add_suffix("_found")).itertuples()]
    matched = best[best["rank"] != NOT]
    frame[["explained", "why"]] = pd.DataFrame(said, index=frame.index, columns=["explained", "why"], dtype=object)
    for name in ("ticket", "requester", "approver", "approved_at", "self_approved"):
        frame.loc[matched.index, name] = matched[name]
    return frame.astype({"explained": "boolean", "why": "string"})


def _said(one: Any, lacking: str) -> tuple[bool | None, str]:
    """Whether a change is explained and why, by what was said before its ticket was looked at, and by the ticket."""
    before = None if pd.isna(one.explained) else bool(one.explained)
    explained = None if lacking and before is False else before
    rest = f"; {lacking}" if lacking and explained is None and one.change != NOT_COMPARABLE else ""
    if pd.isna(one.rank_found):
        unnamed = explained is not True and one.change != NOT_COMPARABLE
        return explained, one.why + (rest or ("; no ticket names it" if unnamed else ""))
    if one.rank_found == NOT:
        return explained, f"{one.why}; {one.ticket_found} {one.late_found}{rest}"
    approved = f"{one.ticket_found} was approved by {one.approver_found} at {text(one.approved_at_found)}"
    if one.rank_found == SELF:
        return False, f"{approved}, who had asked for it; {one.why}"
    if one.rank_found == BEFORE:
        return True, f"{approved}; {one.why}"
    return explained or None, f"{approved}, {one.doubt_found}; {one.why}"


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
    alone = (found["approver"].str.casefold() == found["requester"].str.casefold()).astype("boolean")
    found["rank"] = NOT
    found.loc[perhaps, "rank"] = PERHAPS
    found.loc[before & alone.notna(), "rank"] = BEFORE
    found.loc[(perhaps | before) & alone.fillna(False), "rank"] = SELF
    found["self_approved"] = alone
    found["doubt"] = "perhaps after the change"
    found.loc[alone.isna(), "doubt"] = "who asked for it is not known"
    found["late"] = f"was approved more than {settings.ticket_days} days before"
    found.loc[found["approved_at"] > found["latest"], "late"] = "was approved after the change"
    found.loc[~approved, "late"] = "names it and is not approved"
    found = found.sort_values(["row", "rank", "approved_at", "ticket"], ascending=[True, True, False, True])
    return found.drop_duplicates("row", ignore_index=True)
