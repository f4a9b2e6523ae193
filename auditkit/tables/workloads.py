"""Workloads: one row a top owner, its pods folded into it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, Owned, Owners, ended, is_mirror, owned
from auditkit.analysis.podsecurity import undetermined, violations
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.pods import Affinity, PodSpec
from auditkit.kinds.workloads import (
    CronJob,
    DaemonSet,
    Deployment,
    Pod,
    ReplicaSet,
    ReplicationController,
    StatefulSet,
    pod_template,
)

# Labels that name who answers for a workload, the most explicit first.
OWNER_LABELS = ("owner", "team", "app.kubernetes.io/managed-by-team", "app.kubernetes.io/part-of")


class _Columns:
    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Deployment, StatefulSet, DaemonSet, CronJob, Job, or what else no collected object owns."]
    name: Annotated[str, "Name."]
    owner: Annotated[str | None, "Value of the first label that names an owner, a team or a system."]
    labels: Annotated[list[str], "Names of its labels."]
    created: Annotated[datetime | None, "When it was created."]
    naked: Annotated[bool, "A pod that nothing controls: it is not replaced when it ends."]
    static: Annotated[bool, "The image of a static pod, which its kubelet reads from a file."]
    pods: Annotated[int, "Pods that have not ended."]
    nodes: Annotated[int, "Nodes that they run on."]
    replicas: Annotated[int | None, "Pods wanted; missing where no number is set (CronJob, Pod)."]
    ready: Annotated[int | None, "Pods ready, by its status."]
    strategy: Annotated[str | None, "How it replaces its pods: RollingUpdate, Recreate or OnDelete."]
    host_network: Annotated[bool, "A pod shares the node's network."]
    host_pid: Annotated[bool, "A pod shares the node's processes."]
    host_ipc: Annotated[bool, "A pod shares the node's IPC."]
    user_namespace: Annotated[bool, "hostUsers is false in every pod."]
    share_process_namespace: Annotated[bool, "Containers of a pod see each other's processes."]
    host_aliases: Annotated[bool, "A pod has lines of its own in /etc/hosts."]
    ephemeral_containers: Annotated[list[str], "Ephemeral (debug) containers of its pods."]
    runtime_class: Annotated[str | None, "runtimeClassName; missing unless every pod has the same one."]
    anti_affinity: Annotated[bool, "Every pod prefers or requires to lie apart from others."]
    topology_spread: Annotated[bool, "Every pod has topologySpreadConstraints."]
    level: Annotated[str, "Highest level of the Pod Security Standards that pods and template meet."]
    violations: Annotated[list[str], "Rules of either level that a pod or the template does not meet."]
    first_violation: Annotated[str | None, "The first fault against the next level: field and message."]
    level_unknown: Annotated[bool, "A member that Kubernetes 1.36 does not know could lower the level."]


_KEY = ("namespace", "kind", "name")


@table("workloads", kinds=POD_KINDS, key=_KEY)
class WorkloadRow(_Columns):
    """One row per workload: what a person made that makes pods, or a pod that nothing collected owns.

    Its columns are those of its pods that have not ended, else of its template; what is bad in one pod is bad
    in the row. The level of the Pod Security Standards (latest rules) is that of pods and template together.
    """

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            yield (*one.key, *_identity(one), *_numbers(one), *_pods(one), *_level(one))


@view("scalable_workloads", key=_KEY)
class ScalableWorkload(_Columns):
    """Workloads whose number of pods somebody sets, but for those set to none."""

    @staticmethod
    def frame(workloads: pd.DataFrame) -> pd.DataFrame:
        kinds = ["Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"]
        return workloads[workloads["kind"].isin(kinds) & (workloads["replicas"] > 0)]


@view("replicated_workloads", key=_KEY)
class ReplicatedWorkload(_Columns):
    """Workloads of two or more pods, which an eviction or the loss of a node or zone need not stop."""

    @staticmethod
    def frame(scalable_workloads: pd.DataFrame) -> pd.DataFrame:
        return scalable_workloads[scalable_workloads["replicas"] > 1]


@view("system_workloads", key=_KEY)
class SystemWorkload(_Columns):
    """Workloads of kube-system."""

    @staticmethod
    def frame(workloads: pd.DataFrame) -> pd.DataFrame:
        return workloads[workloads["namespace"] == "kube-system"]


@table("pods", kinds=POD_KINDS, key=("namespace", "pod"))
class PodRow:
    """One row per pod that has not ended, with the workload that it belongs to."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the top owner; Pod where nothing collected owns it."]
    name: Annotated[str, "Name of the top owner."]
    pod: Annotated[str, "Name of the pod."]
    node: Annotated[str | None, "Node that it was bound to."]
    phase: Annotated[str | None, "Pending, Running or Unknown."]
    ip: Annotated[str | None, "Its address."]
    service_account: Annotated[str, "ServiceAccount."]
    created: Annotated[datetime | None, "When it was created."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        owners = objects.once(Owners)
        for pod in objects[Pod]:
            if not ended(pod):
                top, spec, status = owners.top(pod), pod.spec or PodSpec(), pod.status
                place = (spec.node_name, status.phase if status else None, status.pod_ip if status else None)
                named = (top.namespace, top.kind, top.name, pod.name)
                yield (*named, *place, account(spec), pod.metadata.creation_timestamp)


@table("cronjobs", kinds=(CronJob,), key=("namespace", "name"))
class CronJobRow:
    """One row per CronJob."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "CronJob."]
    name: Annotated[str, "Name."]
    schedule: Annotated[str | None, "When it runs."]
    suspended: Annotated[bool, "It does not run."]
    last_run: Annotated[datetime | None, "When it last started a Job."]
    last_success: Annotated[datetime | None, "When a Job of it last succeeded."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for job in objects[CronJob]:
            spec, status = job.spec, job.status
            plan = (spec.schedule, bool(spec.suspend)) if spec else (None, False)
            past = (status.last_schedule_time, status.last_successful_time) if status else (None, None)
            yield job.namespace, job.kind, job.name, *plan, *past


def account(spec: PodSpec) -> str:
    """The ServiceAccount of a pod (k8s.io/kubernetes/plugin/pkg/admission/serviceaccount: `default` where none is set)."""
    return spec.service_account_name or spec.service_account or "default"


def _identity(one: Owned) -> Iterator[Any]:
    """From `owner` to `static`."""
    owner, labels = one.owner, one.owner.labels
    pod = isinstance(owner, Pod)
    yield next((labels[name] for name in OWNER_LABELS if name in labels), None)
    yield sorted(labels)
    yield owner.metadata.creation_timestamp
    controlled = any(ref.controller for ref in owner.metadata.owner_references or ())
    yield pod and not controlled and not is_mirror(owner)
    yield pod and is_mirror(owner)


def _numbers(one: Owned) -> Iterator[Any]:
    """From `pods` to `strategy`."""
    owner = one.owner
    ready, strategy = None, None
    if isinstance(owner, Deployment | StatefulSet | ReplicaSet | ReplicationController):
        ready = (owner.status.ready_replicas or 0) if owner.status else None
    elif isinstance(owner, DaemonSet) and owner.status:
        ready = owner.status.number_ready
    if isinstance(owner, Deployment | StatefulSet | DaemonSet) and owner.spec:
        chosen = owner.spec.strategy or owner.spec.update_strategy
        strategy = (chosen.type if chosen else None) or "RollingUpdate"
    yield len(one.pods)
    yield len({pod.spec.node_name for pod in one.pods if pod.spec and pod.spec.node_name})
    yield one.wanted
    yield ready
    yield strategy


def _pods(one: Owned) -> Iterator[Any]:
    """From `host_network` to `topology_spread`."""
    specs = one.specs or (PodSpec(),)
    yield any(spec.host_network for spec in specs)
    yield any(spec.host_pid for spec in specs)
    yield any(spec.host_ipc for spec in specs)
    yield all(spec.host_users is False for spec in specs)
    yield any(spec.share_process_namespace for spec in specs)
    yield any(spec.host_aliases for spec in specs)
    yield sorted({container.name for spec in specs for container in spec.ephemeral_containers or ()})
    yield specs[0].runtime_class_name if len({spec.runtime_class_name for spec in specs}) == 1 else None
    yield all(_lies_apart(spec.affinity) for spec in specs)
    yield all(spec.topology_spread_constraints for spec in specs)


def _lies_apart(affinity: Affinity | None) -> bool:
    rule = affinity.pod_anti_affinity if affinity else None
    return bool(
        rule
        and (
            rule.required_during_scheduling_ignored_during_execution
            or rule.preferred_during_scheduling_ignored_during_execution
        )
    )


def _level(one: Owned) -> Iterator[Any]:
    """From `level` to `level_unknown`."""
    judged = [*one.made, *((pod_template(one.owner),) if one.pods and not isinstance(one.owner, Pod) else ())]
    baseline = [fault for made in judged for fault in violations(made, level="baseline")]
    restricted = [fault for made in judged for fault in violations(made, level="restricted")]
    first = next(iter(baseline or restricted), None)
    yield "privileged" if baseline else "baseline" if restricted else "restricted"
    yield sorted({fault.check for fault in (*baseline, *restricted)})
    yield f"{first.path}: {first.message}" if first else None
    yield any(undetermined(made) for made in judged)
