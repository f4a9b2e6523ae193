"""Two snapshots compared object by object; what controllers did is counted with the object that it follows from."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from auditkit.analysis.owners import is_mirror
from auditkit.capture.snapshot import Snapshot
from auditkit.kinds import Kind
from auditkit.kinds.certificates import Secret
from auditkit.period.fields import Field, differing
from auditkit.period.intervals import whole
from auditkit.period.managers import Write, all_of, controllers, new_writes
from auditkit.period.origins import Key, Origins

CONTROLLERS, NOT_COMPARABLE = "by controllers", "not comparable"


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


def differences(before: Snapshot, after: Snapshot, deployers: Iterable[str]) -> Iterator[Change]:
    """Every difference of its own, with the number of objects that controllers changed along with it."""
    return _folded(_compared(before, after), Origins(before, after), tuple(deployers))


def _compared(before: Snapshot, after: Snapshot) -> Iterator[Change]:
    start, end = before.origin.taken_at, after.origin.taken_at
    backwards = bool(start and end and end < start)
    for kind in dict.fromkeys([*before.objects, *after.objects]):
        states = _not_comparable(before, after, kind)
        if states:
            yield Change(change=NOT_COMPARABLE, kind=kind, states=states)
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
    if created and start and created < start:  # it says that it was there when it was not: a restored object
        created = None
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


def _folded(found: Iterable[Change], origins: Origins, deployers: Iterable[str]) -> Iterator[Change]:
    """Changes of their own, with the number of objects that controllers changed with each; the rest by owner."""
    own: list[Change] = []
    followers: Counter[Key] = Counter()
    for one in found:
        owner = _follows(one, origins, deployers)
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


def _follows(one: Change, origins: Origins, deployers: Iterable[str]) -> Key | None:
    """The object that a change by controllers follows from; None where it is a change of its own."""
    obj = one.new or one.old
    if obj is None:  # a kind that cannot be compared
        return None
    if is_mirror(obj):  # its kubelet reads it from a file that a person wrote
        return None
    theirs = all_of(one.writes, controllers())
    if one.change in ("changed", "unseen") and (theirs or (not one.writes and of_status(one))):
        return origins.top(one.new) or one.key
    owner = origins.top(obj)
    silent = not one.writes and one.change in ("added", "removed", "recreated")
    if owner and (silent or all_of(one.writes, (*controllers(), *deployers))):
        return owner
    return origins.namespace_of(one, theirs)


def of_status(one: Change, *beside: str) -> bool:
    """Whether fields differ, and only those of status and `beside`."""
    paths = [path for path, _, _ in one.fields if path not in beside]
    return bool(paths) and all(path.startswith("status.") for path in paths)
