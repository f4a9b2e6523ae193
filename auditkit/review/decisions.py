"""Judges what reviewers decided: by whom, when, why, and whether what they decided was done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Annotated, Any, NamedTuple

import numpy as np
import pandas as pd

from auditkit.analysis.activity import is_person
from auditkit.period.frames import framed
from auditkit.report.frames import records
from auditkit.review.access import Held
from auditkit.review.granting import Place, known_names

CHOICES = ("keep", "modify", "revoke", "unknown")
EXCEPTION, UNDETERMINED, OK = "exception", "undetermined", "no exception"
TESTS = ("decided", "untouched", "independent", "dated", "reasoned", "carried_out")


@dataclass(frozen=True, kw_only=True, slots=True)
class Terms:
    """What was agreed of a review: days from which and to which a decision counts, business days (Monday to Friday,
    holidays are not known) within which a change is made, and the people who may grant access, where stated.
    """

    first: date
    last: date
    revoke_days: int
    provisioners: tuple[str, ...] = ()


class Decision:
    """What people wrote in one row of the workbook; the text as it stands there."""

    row: Annotated[str, "Id of the row."]
    decision: Annotated[str | None, "keep, modify, revoke or unknown."]
    reviewer: Annotated[str | None, "Who decided."]
    reviewed_on: Annotated[str | None, "Day, as 2026-10-02."]
    reason: Annotated[str | None, "Why."]
    ticket: Annotated[str | None, "Ticket of the change."]
    edited: Annotated[list[str], "Computed cells of the row that are not as they were written."]


class Finding(Decision):
    """One row per row of the listing, and per row that somebody added: each test in words, and what it comes to."""

    subject: Annotated[str, "Kind and name of the subject."]
    role: Annotated[str, "Kind and name of the role."]
    scope: Annotated[str, "Namespace in which it holds, or whole cluster."]
    binding: Annotated[str, "Kind and name of the binding."]
    content: Annotated[str | None, "Hash of what the row gave when it was decided."]
    decided: Annotated[str, "There is a decision, by a named reviewer."]
    untouched: Annotated[str, "The computed cells are as auditkit wrote them."]
    independent: Annotated[str, "The reviewer is neither the subject, nor a member of it, nor who granted it."]
    dated: Annotated[str, "Decided between listing and the last day that counts."]
    reasoned: Annotated[str, "A change has a reason and a ticket."]
    carried_out: Annotated[str, "A change was made within the agreed days, by later complete captures."]
    conclusion: Annotated[str, "exception, undetermined or no exception."]
    exceptions: Annotated[list[str], "What is an exception."]
    undetermined: Annotated[list[str], "What cannot be told."]


class Said(NamedTuple):
    """What one test says; `verdict` "" where it does not apply."""

    verdict: str
    text: str


_NOT_ASKED = Said("", "not applicable")
# Groups of Kubernetes in which everybody or no person is; who is in system:masters no list says.
_NO_LIST = (
    "system:authenticated",
    "system:unauthenticated",
    "system:serviceaccounts",
    "system:nodes",
    "system:bootstrappers",
)


def judged(
    decisions: pd.DataFrame,
    listing: pd.DataFrame,
    later: Sequence[Held],
    *,
    people: pd.DataFrame,
    terms: Terms,
    taken_at: datetime,
    changed_at: Mapping[Place, tuple[datetime, str]] | None = None,
) -> pd.DataFrame:
    """One row per row of `decisions` (Decision) and of `listing` (access.Listed, taken at `taken_at`) that is no stock: Finding.

    `later` are the captures after the listing, in order; `people` the directory (`person`, `names`) of that time;
    `changed_at` time and verb of the last write of each binding since, where a complete audit log tells. Unknown is
    undetermined, never passed.
    """
    names = known_names(people)
    known: dict[str, Any] = {row.row: row for row in records(listing)}
    written: dict[str, Any] = {row.row: row for row in records(decisions)}
    closing = _Closing(later, set(known), taken_at, changed_at or {}, terms.revoke_days)
    rows = [_judge(written.get(id), row, names, terms, closing) for id, row in known.items() if not row.stock]
    rows += [_added(row) for id, row in written.items() if id not in known]
    return framed(rows, Finding)


def _judge(written: Any, row: Any, names: Mapping[str, str], terms: Terms, closing: "_Closing") -> tuple[Any, ...]:
    entry = [None if written is None or pd.isna(v := getattr(written, c)) else v for c in _ENTRY]
    decision, reviewer, on, reason, ticket = entry
    edited = written.edited if written is not None else []
    day = parsed(on)
    settled = decision in ("keep", "modify", "revoke")
    change = decision in ("modify", "revoke")
    said = {
        "decided": _decided(written, decision, reviewer),
        "untouched": Said(EXCEPTION, f"edited by hand: {', '.join(edited)}") if edited else Said(OK, "as written"),
        "independent": _independent(row, str(reviewer), names, terms) if reviewer else _NOT_ASKED,
        "dated": _dated(on, day, terms, closing.taken_at) if decision else _NOT_ASKED,
        "reasoned": _reasoned(reason, ticket) if change else _NOT_ASKED,
        "carried_out": closing.said(row, str(decision), day) if change else _NOT_ASKED,
    }
    if settled and not reviewer:
        said["independent"] = Said(UNDETERMINED, "nobody is named")
    place = (f"{row.subject_kind} {row.identity}".strip(), row.role, row.namespace or "whole cluster")
    return (row.row, *entry, edited, *place, f"{row.kind} {row.name}", row.content, *_concluded(said))


def _concluded(said: Mapping[str, Said]) -> tuple[Any, ...]:
    found = {
        verdict: [one.text for one in said.values() if one.verdict == verdict] for verdict in (EXCEPTION, UNDETERMINED)
    }
    conclusion = next((verdict for verdict, texts in found.items() if texts), OK)
    return (*(said[test].text for test in TESTS), conclusion, found[EXCEPTION], found[UNDETERMINED])


_ENTRY = ("decision", "reviewer", "reviewed_on", "reason", "ticket")


def _added(written: Any) -> tuple[Any, ...]:
    said = dict.fromkeys(TESTS, _NOT_ASKED)
    edited = f"edited by hand: {', '.join(written.edited)}"
    said["untouched"] = Said(EXCEPTION, edited if written.edited else "a row that auditkit did not write")
    entry = (None if pd.isna(v := getattr(written, c)) else v for c in _ENTRY)
    return (written.row, *entry, written.edited, "not in the listing", "", "", "", None, *_concluded(said))


def _decided(written: Any, decision: str | None, reviewer: str | None) -> Said:
    if written is None:
        return Said(EXCEPTION, "the row was taken out of the workbook")
    if decision is None:
        return Said(EXCEPTION, "no decision")
    if decision not in CHOICES:
        return Said(EXCEPTION, f"{decision!r} is no decision; there are {', '.join(CHOICES)}")
    if decision == "unknown":
        return Said(EXCEPTION, "decided unknown: whether the access is needed was not established")
    return Said(OK, decision) if reviewer else Said(EXCEPTION, f"{decision}, but no reviewer is named")


def _independent(row: Any, reviewer: str, names: Mapping[str, str], terms: Terms) -> Said:
    """Neither the subject, nor among its members, nor who granted it; unknown where one of these cannot be told.

    A reviewer whom the directory does not have cannot be told from the subject: a display name hides who it is.
    """
    person = names.get(reviewer.strip().casefold())
    own = {one.casefold() for one in (row.identity, *row.people)}
    if {reviewer.strip().casefold(), (person or "").casefold()} & own:
        member = f" as a member of {row.identity}" if row.subject_kind == "Group" else ""
        return Said(EXCEPTION, f"refused: {reviewer} reviews their own access{member}; somebody else must decide")
    who = person or reviewer.strip()
    if who.casefold() in {one.casefold() for one in row.provisioners}:
        return Said(EXCEPTION, f"refused: {reviewer} granted this access ({row.granted_by}); somebody else must decide")
    if person is None:
        return Said(
            UNDETERMINED, f"{reviewer} is not known to the identity provider: write the name that they sign in with"
        )
    if row.subject_kind == "Group" and not (isinstance(row.members, list) or row.identity.startswith(_NO_LIST)):
        return Said(UNDETERMINED, f"whether {reviewer} is a member of {row.identity} is not known: {row.standing}")
    if row.subject_kind == "User" and not row.people and is_person(row.identity) is not False:
        return Said(UNDETERMINED, f"who {row.identity} is, is not known to the identity provider")
    if not row.granters_known:
        unknown = f"who granted it is not known ({row.granted_by})"
        stated = {names.get(one.casefold(), one).casefold() for one in terms.provisioners}
        if not stated:
            return Said(UNDETERMINED, f"{unknown}; state who may grant access: review.provisioners")
        if who.casefold() in stated:
            return Said(UNDETERMINED, f"{unknown}, and {reviewer} may grant access")
        return Said(OK, f"{who} is not the subject; {unknown}, {who} is none of those who may, as stated")
    return Said(OK, f"{who} is neither the subject nor who granted it")


def parsed(text: object) -> date | None:
    """A day as it was written, 2026-10-02 with or without a time; None where it is none."""
    try:
        return datetime.fromisoformat(str(text).strip()).date()
    except ValueError:
        return None


def _dated(text: str | None, day: date | None, terms: Terms, taken_at: datetime) -> Said:
    if text is None:
        return Said(EXCEPTION, "no date")
    if day is None:
        return Said(EXCEPTION, f"{text!r} is no date; write it as 2026-10-02")
    if day < taken_at.astimezone(UTC).date():
        return Said(EXCEPTION, f"decided {day}, before the listing was taken on {taken_at:%Y-%m-%d}")
    if not terms.first <= day <= terms.last:
        return Said(EXCEPTION, f"decided {day}, outside {terms.first} to {terms.last}")
    return Said(OK, f"{day}")


def _reasoned(reason: str | None, ticket: str | None) -> Said:
    missing = [name for name, value in (("reason", reason), ("ticket", ticket)) if not value]
    return Said(EXCEPTION, f"without {' and '.join(missing)}") if missing else Said(OK, "reason and ticket are there")


class _Closing:
    """What later captures say of a change: made or not at each, and so when."""

    def __init__(
        self,
        later: Sequence[Held],
        listed: set[str],
        taken_at: datetime,
        changed_at: Mapping[Place, tuple[datetime, str]],
        days: int,
    ) -> None:
        self.taken_at, self._changed_at, self._days = taken_at, changed_at, days
        self._later = [(one, {row.row: row for row in records(one.rows)}) for one in later]
        self._new: list[dict[tuple[str, str, str], list[Any]]] = [{} for _ in later]
        self._bindings: list[set[tuple[str, str, str]]] = []
        for found, (_, rows) in zip(self._new, self._later, strict=True):
            self._bindings.append({(row.kind, row.namespace, row.name) for row in rows.values()})
            for row in (row for id, row in rows.items() if id not in listed):
                found.setdefault(_right(row), []).append(row)

    def said(self, row: Any, decision: str, day: date | None) -> Said:
        """Whether what was decided is so in the later captures, and since when; a change before the day counts."""
        if day is None:
            return Said(UNDETERMINED, "without a date nothing says when it was due")
        due = due_by(day, self._days)
        states = [self._done(number, row, decision) for number in range(len(self._later))]
        times = [one.taken_at for one, _ in self._later]
        told = [number for number, done in enumerate(states) if done is not None]
        verb = "removed" if decision == "revoke" else "changed"
        if not told:
            return Said(UNDETERMINED, f"no later complete capture shows whether it was {verb} by {due:%Y-%m-%d}")
        if not states[told[-1]]:
            return self._not_done(row, verb, told[-1], due)
        before = max((times[n] for n in told if not states[n]), default=self.taken_at)
        first = next(n for n in told if times[n] > before)
        at = self._written(row, first) if decision == "revoke" else None
        at = at if at and before < at <= times[first] else None
        if (at or times[first]) <= due:
            return Said(OK, f"{verb} by {at or times[first]:%Y-%m-%d %H:%M}" + (" (audit log)" if at else ""))
        if (at or before) > due:
            when = f"on {at:%Y-%m-%d} (audit log)" if at else f"after {before:%Y-%m-%d}"
            return Said(EXCEPTION, f"{verb} late, {when}; it was due {due:%Y-%m-%d}")
        between = f"between {before:%Y-%m-%d} and {times[first]:%Y-%m-%d}"
        return Said(UNDETERMINED, f"{verb} {between}; whether by {due:%Y-%m-%d} is not known")

    def _not_done(self, row: Any, verb: str, number: int, due: datetime) -> Said:
        at, rows = self._later[number][0].taken_at, self._later[number][1]
        again = None if row.row in rows else self._given_again(number, row)
        how = f"given again by {again.kind} {again.name}" if again else "still as it was"
        if at > due:
            return Said(EXCEPTION, f"not {verb} by {due:%Y-%m-%d}: {how} on {at:%Y-%m-%d}")
        return Said(UNDETERMINED, f"not yet {verb} on {at:%Y-%m-%d}, due {due:%Y-%m-%d}: a later capture must show it")

    def _done(self, number: int, row: Any, decision: str) -> bool | None:
        """Whether it is done in one capture; None where that capture cannot tell."""
        one, rows = self._later[number]
        now = rows.get(row.row) or self._given_again(number, row)
        if now is None:
            return True if one.whole else None
        if decision == "revoke":
            return False
        told = [_differs(row.rules, now.rules)]
        if row.subject_kind == "Group":
            told.append(_differs(row.members, now.members))
        return True if True in told else None if None in told else False

    def _given_again(self, number: int, row: Any) -> Any:
        """A binding that was not in the listing and gives the subject the same role there, or everywhere."""
        found = self._new[number].get(_right(row), [])
        return next((one for one in found if one.namespace in (row.namespace, "")), None)

    def _written(self, row: Any, number: int) -> datetime | None:
        """When the binding that is gone was deleted, or written last where it is there without the subject."""
        at, verb = self._changed_at.get((row.kind, row.namespace, row.name), (None, ""))
        there = (row.kind, row.namespace, row.name) in self._bindings[number]
        return at if (verb != "delete") == there else None


def _right(row: Any) -> tuple[str, str, str]:
    """Who has which role; a ServiceAccount is the user of its name."""
    return "Group" if row.subject_kind == "Group" else "User", row.identity, row.role_id


def _differs(before: Any, after: Any) -> bool | None:
    if isinstance(before, list) and isinstance(after, list):
        return sorted(before) != sorted(after)
    return before != after if isinstance(before, str) and isinstance(after, str) else None


def due_by(day: date, business_days: int) -> datetime:
    """The last moment of the day that lies so many business days after another (Monday to Friday)."""
    due = np.busday_offset(np.datetime64(day), business_days, roll="backward")
    return datetime.combine(date.fromisoformat(str(due)), time.max, UTC)
