"""From which object a change by controllers follows: its top owner, or the namespace that came or went with it."""

from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

from auditkit import kinds
from auditkit.capture.snapshot import Snapshot
from auditkit.kinds import Kind

Key = tuple[type[Kind], str, str]


class Changed(Protocol):
    """What is asked about: a difference between the two snapshots."""

    @property
    def change(self) -> str: ...
    @property
    def kind(self) -> type[Kind]: ...
    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def old(self) -> Kind | None: ...
    @property
    def new(self) -> Kind | None: ...


class Origins:
    """Owners and namespaces in two snapshots; a kind is indexed when an object first names it as its owner."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self._sides = (before, after)
        self.window: tuple[datetime | None, datetime | None] = (before.origin.taken_at, after.origin.taken_at)
        self._owners: dict[str, dict[str, Kind]] = {}
        self._named: dict[type[Kind], tuple[dict[tuple[str, str], Kind], ...]] = {}

    def both(self, key: Key) -> tuple[Kind | None, Kind | None]:
        """An object before and after, by kind, namespace and name."""
        kind, *name = key
        if kind not in self._named:
            self._named[kind] = tuple({(o.namespace, o.name): o for o in side.objects[kind]} for side in self._sides)
        old, new = (found.get((name[0], name[1])) for found in self._named[kind])
        return old, new

    def top(self, obj: Kind | None) -> Key | None:
        """The last collected object of the chain of controllers, other than the object itself."""
        found, seen = obj, set()
        while found and found.metadata.uid not in seen:
            seen.add(found.metadata.uid)
            refs = (ref for ref in found.metadata.owner_references or () if ref.controller)
            owner = next((o for ref in refs if (o := self._by_uid(ref.kind).get(ref.uid))), None)
            if owner is None:
                break
            found = owner
        return (type(found), found.namespace, found.name) if found is not None and found is not obj else None

    def namespace_of(self, one: Changed, theirs: bool) -> Key | None:
        """The namespace that an object came or went with: made by a controller (`theirs`), or removed with it."""
        namespace = kinds.BY_RESOURCE["namespaces"]
        if not one.namespace or one.change not in ("added", "removed"):
            return None
        old, new = self.both((namespace, "", one.namespace))
        made = one.change == "added" and (theirs or _of_namespace(one.kind, one.name))
        removed = one.change == "removed" and old is not None and (new is None or new.metadata.uid != old.metadata.uid)
        return (namespace, "", one.namespace) if made or removed else None

    def _by_uid(self, kind: str) -> dict[str, Kind]:
        """The objects of a kind by uid, in either snapshot."""
        if kind not in self._owners:
            every: Iterable[type[Kind]] = [one for one in kinds.ALL if one.kind == kind]
            found = (obj for side in self._sides for one in every for obj in side.objects[one])
            self._owners[kind] = {obj.metadata.uid: obj for obj in found if obj.metadata.uid}
        return self._owners[kind]


def _of_namespace(kind: type[Kind], name: str) -> bool:
    """What a controller makes in every namespace: kubernetes pkg/controller/serviceaccount, rootcacertpublisher."""
    return (kind.kind, name) in (("ServiceAccount", "default"), ("ConfigMap", "kube-root-ca.crt"))
