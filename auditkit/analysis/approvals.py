"""Which ticket approved a change: by the object that it names, and by the time."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import NamedTuple

from auditkit.analysis.selectors import some

_TAIL = re.compile(r"[:#/]")


class Approval(NamedTuple):
    """A ticket that was approved, when and by whom; `own` is True where who asked for it approved it, None where that is not known."""

    ticket: str
    approved_at: datetime
    own: bool | None
    approver: str


Approvals = Mapping[str, tuple[Approval, ...]]


def named(kind: str, namespace: str, name: str) -> str:
    """An object as tickets name it: Kind/namespace/name, or Kind/name of what has no namespace."""
    return "/".join(part for part in (kind, namespace, name) if part)


def by_object(
    tickets: Iterable[tuple[str, str | None, str | None, datetime | None, Iterable[str] | None]],
) -> Approvals:
    """Approved tickets by the objects that they name, in order of approval.

    A ticket is id, requester, approver, when it was approved, and the objects; without approver or time it approves nothing.
    """
    found: dict[str, list[Approval]] = {}
    for id, requester, approver, approved_at, objects in tickets:
        if approver is None or approved_at is None:
            continue
        own = None if requester is None else requester.casefold() == approver.casefold()
        for one in objects or ():
            found.setdefault(one, []).append(Approval(id, approved_at, own, approver))
    return {one: tuple(sorted(approvals, key=lambda a: a.approved_at)) for one, approvals in found.items()}


def approval(approvals: Approvals, kind: str, namespace: str, name: str, at: datetime, by: str = "") -> Approval | None:
    """The last approval of an object at or before a time; one by another person goes before one's own.

    One's own it is too where who made the change (`by`) approved it.
    """
    before = [
        a._replace(own=some((a.own, _same(a.approver, by))))
        for a in approvals.get(named(kind, namespace, name), ())
        if a.approved_at <= at
    ]
    return next((a for a in reversed(before) if a.own is False), before[-1] if before else None)


def _same(approver: str, user: str) -> bool | None:
    """Whether a name of the ticket system is a user's, whatever stands before that up to a colon, # or /.

    None where one is the other's up to the @: that may be the same person.
    """
    name, whole = approver.casefold(), user.casefold()
    tail = _TAIL.split(whole)[-1]
    if name in (whole, tail):
        return True
    alike = name.partition("@")[0] == tail.partition("@")[0] and ("@" in name) != ("@" in tail)
    return None if alike and tail else False
