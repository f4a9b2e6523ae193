"""What changed between two snapshots of a cluster: which object, which fields, by which manager."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import is_mirror
from auditkit.capture.snapshot import Snapshot
from auditkit.engagement import Changes, managers
from auditkit.errors import UsageError
from auditkit.kinds import Kind
from auditkit.kinds.certificates import Secret
from auditkit.period import tickets as _tickets
from auditkit.period.fields import Field, differing
from auditkit.period.frames import Capture, framed
from auditkit.period.intervals import whole
from auditkit.period.managers import Write, all_of, controllers, new_writes, tracked_by
from auditkit.period.origins import Key, Origins

CONTROLLERS = "by controllers"


class ChangeRow:
    """One row per object that changed between two snapshots, or kind that cannot be compared.

    What controllers of Kubernetes and agreed deployers did to objects that others own (ReplicaSets and Pods of a
    Deployment, EndpointSlices of a Service) and to status is no change of its own: it is counted as `followed` with the
    owner's row, or in a row `by controllers` where the owner itself did not change.
    """

    change: Annotated[str, "added; removed; recreated (other uid, same name); changed; unseen (written, or generation moved, and no kept field differs); by controllers; not comparable (a kind not read in one of the snapshots)."]
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
    at: Annotated[datetime | None, "When it wrote; of an added or recreated object when that was created. Missing where nothing says."]
    writes: Annotated[list[str], "Every known write between the snapshots: manager, operation, subresource, time; writes of status are left out."]
    not_before: Annotated[datetime | None, "The snapshot before; of an added or recreated object its creation."]
    not_after: Annotated[datetime | None, "The snapshot after; of an added or recreated object its creation."]
    generation_before: Annotated[int | None, "metadata.generation before."]
    generation_after: Annotated[int | None, "metadata.generation after."]
    tracked_by: Annotated[str | None, "Argo CD or Flux, by the object's tracking annotation or labels."]
    drift: Annotated[bool | None, "Tracked, and changed by a manager that is neither GitOps', agreed nor of Kubernetes; missing where it is not known who."]
    followed: Annotated[int, "Objects that controllers changed, made or removed along with it."]
    ticket: Annotated[str | None, "id of the ticket that matches best."]
    requester: Annotated[str | None, "Who asked for it."]
    approver: Annotated[str | None, "Who approved it."]
    approved_at: Annotated[datetime | None, "When it was approved."]
    self_approved: Annotated[bool | None, "Approved by who asked for it; missing without a ticket."]
    explained: Annotated[bool | None, "False is an exception of CC8.1: no ticket, and not by an agreed deployer, or self-approved. Missing where it cannot be told."]
    why: Annotated[str, "Why, in words; where a kind cannot be compared the state of its list."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One difference between two snapshots; `old` or `new` is None where there is no such object."""

    change: str
    kind: type[Kind]
    namespace: str = ""
    name: str = ""
    old: Kind | None = None
    new: Kind | None = None
    fields: tuple[Field, ...] = ()
    writes: tuple[Write, ...] = ()
    not_before: datetime | None = None
    not_after: datetime | None = None
    at: datetime | None = None
    followed: int = 0
    states: str = ""

    @property
    def key(self) -> Key:
        return self.kind, self.namespace, self.name


def changes(
    before: Snapshot, after: Snapshot, *, tickets: pd.DataFrame | None = None, agreed: Changes | None = None
) -> pd.DataFrame:
    """What changed (ChangeRow), sorted by kind and name; without `tickets` only agreed deployers explain a change.

    Objects are compared as they are kept, so no secret value is among the values. Snapshots of two clusters raise
    UsageError. In the wrong order they give the reverse: nobody is named then, as no write is known to be undone.
    """
    settings = agreed or Changes()
    uids = {one.origin.cluster_uid for one in (before, after)} - {""}
    if len(uids) > 1:
        raise UsageError(f"{before.origin.cluster} and {after.origin.cluster} are two clusters (uids {', '.join(sorted(uids))})")
    found = list(_folded(_compared(before, after), Origins(before, after), settings))
    found.sort(key=lambda one: (one.kind.group, one.kind.kind, one.namespace, one.name))
    frame = framed((_row(one, settings) for one in found), ChangeRow)
    return _tickets.explain(frame, tickets, settings)


def over(
    pairs: Iterable[tuple[Capture, Snapshot]], *, tickets: pd.DataFrame | None = None, agreed: Changes | None = None
) -> pd.DataFrame:
    """The changes of a period: from each capture to the next, oldest first; two snapshots are held at a time."""
    found, last = [], None
    for _, snapshot in pairs:
        if last is not None:
            found.append(changes(last, snapshot, tickets=tickets, agreed=agreed))
        last = snapshot
    return pd.concat(found, ignore_index=True) if found else framed((), ChangeRow)


def exceptions(frame: pd.DataFrame) -> pd.DataFrame:
    """The changes that are exceptions of CC8.1: those known to be unexplained. What is not known stays in the frame."""
    return frame[frame["explained"].eq(False).fillna(False)].reset_index(drop=True)


def _compared(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    start, end = before.origin.taken_at, after.origin.taken_at
    backwards = bool(start and end and end < start)
    for kind in dict.fromkeys([*before.objects, *after.objects]):
        states = _not_comparable(before, after, kind)
        if states:
            yield Change(change="not comparable", kind=kind, states=states)
            continue
        if before.objects[kind] == after.objects[kind]:
            continue
        olds, news = _by_name(before, kind), _by_name(after, kind)
        for key in {*olds, *news}:
            old, new = olds.get(key), news.get(key)
            if old == new:
                continue
            found = _change(kind, key, old, new, (start, end))
            if backwards:
                found = replace(found, writes=(), at=None, not_before=end, not_after=start)
            # Where neither differs, status was written and nothing in it changed: a heartbeat.
            if found.change != "unseen" or found.fields or found.writes:
                yield found


def _not_comparable(before: Snapshot, after: Snapshot, kind: type[Kind]) -> str:
    """Why a kind cannot be compared; empty where it can."""
    named = (("before", before), ("after", after))
    states = [f"{side}: {one.state(kind).state}" for side, one in named if not whole(one, kind)]
    if not states and kind is Secret and before.origin.options != after.origin.options:
        states = ["taken with other options for Secrets"]
    return ", ".join(states)


def _by_name(snapshot: Snapshot, kind: type[Kind]) -> Mapping[tuple[str, str], Kind]:
    return {(obj.namespace, obj.name): obj for obj in snapshot.objects[kind]}


def _change(
    kind: type[Kind],
    key: tuple[str, str],
    old: Kind | None,
    new: Kind | None,
    window: tuple[datetime | None, datetime | None],
) -> Change:
    start, end = window
    uids = [one.metadata.uid for one in (old, new) if one]
    again = len(set(uids)) == 2 and all(uids)
    fields = tuple(differing(old, new)) if old and new else ()
    visible = [path for path, _, _ in fields if path != "metadata.generation"]
    change = "recreated" if again else "changed" if visible else "unseen"
    change = change if old and new else "added" if new else "removed"
    written = () if new is None else new_writes(None if again else old, new)
    created = new.metadata.creation_timestamp if new and change in ("added", "recreated") else None
    times = [write.time for write in written if write.time]
    return Change(
        change=change,
        kind=kind,
        namespace=key[0],
        name=key[1],
        old=old,
        new=new,
        fields=fields,
        writes=written,
        not_before=created or start,
        not_after=created or end,
        at=created or (max(times) if times else None),
    )


def _folded(found: Iterable[Change], origins: Origins, settings: Changes) -> Iterator[Change]:
    """Changes of their own, with the number of objects that controllers changed with each; the rest by owner."""
    own: list[Change] = []
    followers: Counter[Key] = Counter()
    for one in found:
        owner = _follows(one, origins, settings) if one.change != "not comparable" else None
        if owner is None:
            own.append(one)
        elif owner == one.key:
            own.append(replace(one, change=CONTROLLERS))
        else:
            followers[owner] += 1
    for one in own:
        yield replace(one, followed=followers.pop(one.key, 0)) if one.name else one
    for (kind, namespace, name), count in followers.items():
        old, new = origins.both((kind, namespace, name))
        start, end = origins.window
        yield Change(
            change=CONTROLLERS,
            kind=kind,
            namespace=namespace,
            name=name,
            old=old,
            new=new,
            not_before=start,
            not_after=end,
            followed=count,
        )


def _follows(one: Change, origins: Origins, settings: Changes) -> Key | None:
    """The object that a change by controllers follows from; None where it is a change of its own."""
    obj = one.new or one.old
    assert obj is not None
    if is_mirror(obj):  # its kubelet reads it from a file that a person wrote
        return None
    theirs = all_of(one.writes, controllers())
    if one.change in ("changed", "unseen"):
        if theirs or (not one.writes and _of_status(one)):
            return origins.top(one.new) or one.key
    owner = origins.top(obj)
    silent = not one.writes and one.change in ("added", "removed", "recreated")
    if owner and (silent or all_of(one.writes, (*controllers(), *settings.deployers))):
        return owner
    return origins.namespace_of(one, theirs)


def _of_status(one: Change, *beside: str) -> bool:
    """Whether fields differ, and only those of status and `beside`."""
    paths = [path for path, _, _ in one.fields if path not in beside]
    return bool(paths) and all(path.startswith("status.") for path in paths)


def _row(one: Change, settings: Changes) -> tuple[Any, ...]:
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
    if one.change == "not comparable":
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
    if one.change == "not comparable":
        return None
    if tracked is None or one.change == CONTROLLERS or _of_status(one, "metadata.generation"):
        return False
    if not one.writes:  # pruned by its deployer, or deleted by a person
        return None
    return not all_of(one.writes, (*managers()["gitops"], *controllers(), *settings.deployers))
