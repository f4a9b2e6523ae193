"""Folds pods to the object that a person made: the top of the chain of their controllers."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime

from auditkit.analysis.objects import Objects
from auditkit.kinds import Kind
from auditkit.kinds.pods import PodSpec
from auditkit.kinds.workloads import (
    CronJob,
    DaemonSet,
    Deployment,
    Job,
    Pod,
    PodTemplateSpec,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    Workload,
    pod_template,
)

MAKERS: tuple[type[Workload], ...] = (
    Deployment,
    StatefulSet,
    DaemonSet,
    CronJob,
    Job,
    ReplicaSet,
    ReplicationController,
)
POD_KINDS: tuple[type[Workload], ...] = (Pod, *MAKERS)

_UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Owned:
    """A top owner and its pods that have not ended, newest first."""

    owner: Workload
    pods: tuple[Pod, ...]

    @property
    def key(self) -> tuple[str, str, str]:
        """Namespace, kind and name: how every table here names the owner."""
        return self.owner.namespace, self.owner.kind, self.owner.name

    @property
    def made(self) -> tuple[Pod | PodTemplateSpec, ...]:
        """What there is to judge: the pods as they run, or the template where none runs."""
        return self.pods or (pod_template(self.owner),)

    @property
    def wanted(self) -> int | None:
        """Pods that it asks for, 1 where no number is set (apps/v1/defaults.go); None where it asks for no number."""
        owner = self.owner
        if isinstance(owner, Deployment | StatefulSet | ReplicaSet | ReplicationController):
            replicas = owner.spec.replicas if owner.spec else None
            return 1 if replicas is None else replicas
        return owner.status.desired_number_scheduled if isinstance(owner, DaemonSet) and owner.status else None

    @property
    def specs(self) -> tuple[PodSpec, ...]:
        return tuple(made.spec for made in self.made if made.spec)


class Owners:
    """The top owner of every pod and workload of a snapshot."""

    def __init__(self, objects: Objects) -> None:
        makers = [obj for kind in MAKERS for obj in objects[kind]]
        self._by_uid = {obj.metadata.uid: obj for obj in makers if obj.metadata.uid}
        # Manifests have no uid: they are found by name.
        self._by_name = {(obj.kind, obj.namespace, obj.name): obj for obj in makers if not obj.metadata.uid}

    def top(self, obj: Workload) -> Workload:
        """The last collected object of the chain of controllers; the object itself where its owner was not collected."""
        seen: set[int] = set()
        while id(obj) not in seen:
            seen.add(id(obj))
            for ref in obj.metadata.owner_references or ():
                owner = self._by_uid.get(ref.uid) or self._by_name.get((ref.kind, obj.namespace, ref.name))
                if ref.controller and owner:
                    obj = owner
                    break
        return obj


def owned(objects: Objects) -> tuple[Owned, ...]:
    """Every top owner with its pods; a pod that nothing collected owns is its own, also after it has ended."""
    owners = Owners(objects)
    pods: defaultdict[int, list[Pod]] = defaultdict(list)
    for pod in objects[Pod]:
        if not ended(pod):
            pods[id(owners.top(pod))].append(pod)
    return tuple(
        Owned(obj, tuple(sorted(pods[id(obj)], key=created, reverse=True)))
        for kind in POD_KINDS
        for obj in objects[kind]
        if owners.top(obj) is obj
    )


def created(obj: Kind) -> datetime:
    """When an object was created, for sorting: one that does not say comes first."""
    return obj.metadata.creation_timestamp or _UNDATED


def ended(pod: Pod) -> bool:
    """Whether a pod runs no more."""
    return bool(pod.status and pod.status.phase in ("Succeeded", "Failed"))


def is_mirror(made: Kind | PodTemplateSpec) -> bool:
    """Whether this is the API's image of a static pod, which its kubelet reads from a file."""
    return bool(made.metadata and "kubernetes.io/config.mirror" in (made.metadata.annotations or {}))
