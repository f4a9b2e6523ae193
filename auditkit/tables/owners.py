"""Follows ownerReferences from a pod to the object that a person made."""

from collections.abc import Iterator

from auditkit.capture.snapshot import Objects
from auditkit.kinds import Kind
from auditkit.kinds.workloads import (
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    Pod,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    Workload,
)

# What makes pods, and what makes those.
MAKERS: tuple[type[Workload], ...] = (
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    Job,
    ReplicaSet,
    ReplicationController,
)
POD_KINDS: tuple[type[Kind], ...] = (Pod, *MAKERS)


class Owners:
    """The top owner of every pod and workload of a snapshot, found by uid."""

    def __init__(self, objects: Objects) -> None:
        self._by_uid = {o.metadata.uid: o for kind in MAKERS for o in objects[kind] if o.metadata.uid}

    def top(self, obj: Kind) -> Kind:
        """The collected object at the end of the chain of controllers; the object itself where there is none."""
        seen = set()
        while obj.metadata.uid not in seen:
            seen.add(obj.metadata.uid)
            references = obj.metadata.owner_references or ()
            owner = next((self._by_uid[r.uid] for r in references if r.controller and r.uid in self._by_uid), None)
            if owner is None:
                return obj
            obj = owner
        return obj


def finished(pod: Pod) -> bool:
    """Whether a pod has ended: it runs no more, and its owner's template stands for it."""
    return bool(pod.status and pod.status.phase in ("Succeeded", "Failed"))


def tops(objects: Objects, owners: Owners) -> Iterator[Workload]:
    """Every workload that no collected workload owns."""
    for kind in MAKERS:
        for obj in objects[kind]:
            if owners.top(obj) is obj:
                yield obj
