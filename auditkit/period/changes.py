"""What changed between two snapshots of a cluster: which object, which fields, by which manager."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.snapshot import Snapshot
from auditkit.engagement import Changes, managers
from auditkit.errors import UsageError
from auditkit.memory import collection_paused
from auditkit.period import tickets as _tickets
from auditkit.period.differences import CONTROLLERS, NOT_COMPARABLE, Change, differences, of_status
from auditkit.period.frames import Capture, framed
from auditkit.period.managers import all_of, controllers, tracked_by


class ChangeRow:
    """One row per object that changed between two snapshots, or kind that cannot be compared.

    What controllers of Kubernetes and agreed deployers did to objects that others own (ReplicaSets and Pods of a
    Deployment, EndpointSlices of a Service) and to status is no change of its own: it is counted as `followed` with the
    owner's row, or in a row `by controllers` where the owner itself did not change.
    """

    change: Annotated[
        str,
        "added; removed; recreated (other uid, same name); changed; unseen (written, or generation moved, and no kept field differs); by controllers; not comparable (a kind not read in one of the snapshots).",
    ]
    group: Annotated[str, "API group; empty for the core group."]
    kind: Annotated[str, "Kind."]
    namespace: Annotated[str, "Namespace; empty for a cluster-scoped object."]
    name: Annotated[str, "Name; empty where a kind cannot be compared."]
    uid: Annotated[str, "uid, of a recreated object the new one."]
    fields: Annotated[list[str], "Paths of the kept fields that differ."]
    before: Annotated[list[str], "Their values before, JSON; missing where the field was not there."]
    after: Annotated[list[str], "Their values after, likewise."]
    manager: Annotated[str | None, "The latest manager among `writes`: the name that a client gave itself."]
    operation: Annotated[str | None, "Its operation: Apply or Update."]
    at: Annotated[
        datetime | None,
        "When it wrote; of an added or recreated object when that was created. Missing where nothing says.",
    ]
    writes: Annotated[
        list[str],
        "Every known write between the snapshots: manager, operation, subresource, time; writes of status are left out.",
    ]
    not_before: Annotated[datetime | None, "The snapshot before; of an added or recreated object its creation."]
    not_after: Annotated[datetime | None, "The snapshot after; of an added or recreated object its creation."]
    seen_at: Annotated[datetime | None, "The snapshot after: the first that shows it."]
    month: Annotated[str | None, "Month of `at`, else of `seen_at`, as 2026-08: samples can be drawn of each."]
    generation_before: Annotated[int | None, "metadata.generation before."]
    generation_after: Annotated[int | None, "metadata.generation after."]
    tracked_by: Annotated[str | None, "Argo CD or Flux, by the object's tracking annotation or labels."]
    drift: Annotated[
        bool | None,
        "Tracked, and changed by a manager that is neither GitOps', agreed nor of Kubernetes; missing where it is not known who.",
    ]
    followed: Annotated[int, "Objects that controllers changed, made or removed along with it."]
    ticket: Annotated[str | None, "id of the ticket that matches best."]
    requester: Annotated[str | None, "Who asked for it."]
    approver: Annotated[str | None, "Who approved it."]
    approved_at: Annotated[datetime | None, "When it was approved."]
    self_approved: Annotated[bool | None, "Approved by who asked for it; missing without a ticket."]
    explained: Annotated[
        bool | None,
        "False is an exception of CC8.1: no ticket, and not by an agreed deployer, or self-approved. Missing where it cannot be told.",
    ]
    why: Annotated[str, "Why, in words; where a kind cannot be compared the state of its list."]


def changes(
    before: Snapshot,
    after: Snapshot,
    *,
    tickets: pd.DataFrame | None = None,
    lacking: str = "",
    agreed: Changes | None = None,
) -> pd.DataFrame:
    """What changed (ChangeRow), sorted by kind and name; without `tickets` only agreed deployers explain a change.

    `tickets` is the table of that name; `lacking` says in which way it is not complete. Objects are compared as they are
    kept, so no secret value is among the values. Snapshots of two clusters raise UsageError. In the wrong order they
    give the reverse: nobody is named then, as no write is known to be undone.
    """
    settings = agreed or Changes()
    uids = {one.origin.cluster_uid for one in (before, after)} - {""}
    if len(uids) > 1:
        raise UsageError(
            f"{before.origin.cluster} and {after.origin.cluster} are two clusters (uids {', '.join(sorted(uids))})"
        )
    with collection_paused():
        found = list(differences(before, after, settings.deployers))
    found.sort(key=lambda one: (one.kind.group, one.kind.kind, one.namespace, one.name))
    frame = framed((_row(one, settings, after.origin.taken_at) for one in found), ChangeRow)
    if tickets is None:
        tickets, lacking = _tickets.frame_of(()), "no tickets were given"
    return _tickets.explain(frame, tickets, settings, lacking)


class Compared:
    """Compares each capture with the one before it, oldest first; the last snapshot is held, and what changed.

    `lacking` says of the time of a capture in which way `tickets` is not complete for it.
    """

    def __init__(
        self,
        *,
        tickets: pd.DataFrame | None = None,
        lacking: Callable[[datetime | None], str] = lambda _: "",
        agreed: Changes | None = None,
    ) -> None:
        self._tickets, self._lacking, self._agreed = tickets, lacking, agreed
        self._found: list[pd.DataFrame] = []
        self._last: Snapshot | None = None

    def step(self, snapshot: Snapshot) -> None:
        """Take in the next capture."""
        if self._last is not None:
            said = self._lacking(snapshot.origin.taken_at)
            found = changes(self._last, snapshot, tickets=self._tickets, lacking=said, agreed=self._agreed)
            self._found.append(found)
        self._last = snapshot

    def frame(self) -> pd.DataFrame:
        """What changed (ChangeRow), from capture to capture."""
        return pd.concat(self._found, ignore_index=True) if self._found else framed((), ChangeRow)


def over(
    pairs: Iterable[tuple[Capture, Snapshot]],
    *,
    tickets: pd.DataFrame | None = None,
    lacking: str = "",
    agreed: Changes | None = None,
) -> pd.DataFrame:
    """The changes of a period: from each capture to the next, oldest first; two snapshots are held at a time."""
    compared = Compared(tickets=tickets, lacking=lambda _: lacking, agreed=agreed)
    for _, snapshot in pairs:
        compared.step(snapshot)
    return compared.frame()


def exceptions(frame: pd.DataFrame) -> pd.DataFrame:
    """The changes that are exceptions of CC8.1: those known to be unexplained. What is not known stays in the frame."""
    return frame[frame["explained"].eq(False).fillna(False)].reset_index(drop=True)


def _row(one: Change, settings: Changes, seen_at: datetime | None) -> tuple[Any, ...]:
    last = one.writes[-1] if one.writes else None
    obj = one.new or one.old
    tracked = tracked_by(obj) if obj else None
    return (
        one.change,
        one.kind.group,
        one.kind.kind,
        one.namespace,
        one.name,
        obj.metadata.uid if obj else "",
        [path for path, _, _ in one.fields],
        [value for _, value, _ in one.fields],
        [value for _, _, value in one.fields],
        last.manager if last else None,
        last.operation if last else None,
        one.at,
        [f"{write} {write.time:%Y-%m-%dT%H:%M:%SZ}" if write.time else str(write) for write in one.writes],
        one.not_before,
        one.not_after,
        seen_at,
        f"{one.at or seen_at:%Y-%m}" if one.at or seen_at else None,
        one.old.metadata.generation if one.old else None,
        one.new.metadata.generation if one.new else None,
        tracked,
        _drift(one, tracked, settings),
        one.followed,
        *[None] * 5,
        *_first_said(one, settings),
    )


def _first_said(one: Change, settings: Changes) -> tuple[bool | None, str]:
    """Whether it is explained, and why, before any ticket is looked at."""
    if one.change == NOT_COMPARABLE:
        return None, one.states
    if one.change == CONTROLLERS:
        return True, "controllers of Kubernetes, which follow what others wrote"
    if not one.writes:
        return None, "nothing says who; the audit log of the API server would"
    names = ", ".join(dict.fromkeys(write.manager for write in one.writes))
    if all_of(one.writes, (*controllers(), *settings.deployers)):
        return True, f"by {names}, agreed"
    return False, f"by {names}, not an agreed deployer"


def _drift(one: Change, tracked: str | None, settings: Changes) -> bool | None:
    if one.change == NOT_COMPARABLE:
        return None
    if tracked is None or one.change == CONTROLLERS or of_status(one, "metadata.generation"):
        return False
    if not one.writes:  # pruned by its deployer, or deleted by a person
        return None
    return not all_of(one.writes, (*managers()["gitops"], *controllers(), *settings.deployers))
