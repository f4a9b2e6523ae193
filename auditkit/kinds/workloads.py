"""Pods and what makes them: the kinds that have a pod template."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from auditkit.kinds.base import Kind, ObjectMeta, Struct, read
from auditkit.kinds.pods import Container, LabelSelector, PodSpec, PodStatus, Volume

__all__ = [
    "WORKLOADS", "Container", "CronJob", "DaemonSet", "Deployment", "Job", "LabelSelector", "Pod", "PodSpec",
    "PodStatus", "PodTemplate", "PodTemplateSpec", "ReplicaSet", "ReplicationController", "StatefulSet", "Volume",
    "Workload", "pod_template",
]  # fmt: skip


class Pod(Kind):
    plural, kind = "pods", "Pod"
    spec: PodSpec | None = None
    status: PodStatus | None = None


class PodTemplateSpec(Struct):
    metadata: ObjectMeta | None = None
    spec: PodSpec | None = None


class PodTemplate(Kind):
    plural, kind = "podtemplates", "PodTemplate"
    template: PodTemplateSpec | None = None


class Strategy(Struct):
    type: str | None = None


class ReplicaStatus(Struct):
    replicas: int | None = None
    ready_replicas: int | None = None


class ReplicationControllerSpec(Struct):
    replicas: int | None = None
    selector: dict[str, str] | None = None
    template: PodTemplateSpec | None = None


class ReplicationController(Kind):
    plural, kind = "replicationcontrollers", "ReplicationController"
    spec: ReplicationControllerSpec | None = None
    status: ReplicaStatus | None = None


class WorkloadSpec(Struct):
    """spec of a Deployment, ReplicaSet, StatefulSet or DaemonSet."""

    replicas: int | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec | None = None
    strategy: Strategy | None = None
    update_strategy: Strategy | None = None
    paused: bool | None = None


class ReplicaSet(Kind):
    group, plural, kind = "apps", "replicasets", "ReplicaSet"
    spec: WorkloadSpec | None = None
    status: ReplicaStatus | None = None


class Deployment(Kind):
    group, plural, kind = "apps", "deployments", "Deployment"
    spec: WorkloadSpec | None = None
    status: ReplicaStatus | None = None


class StatefulSet(Kind):
    group, plural, kind = "apps", "statefulsets", "StatefulSet"
    spec: WorkloadSpec | None = None
    status: ReplicaStatus | None = None


class DaemonSetStatus(Struct):
    desired_number_scheduled: int | None = None
    number_ready: int | None = None
    number_available: int | None = None


class DaemonSet(Kind):
    group, plural, kind = "apps", "daemonsets", "DaemonSet"
    spec: WorkloadSpec | None = None
    status: DaemonSetStatus | None = None


class JobSpec(Struct):
    suspend: bool | None = None
    selector: LabelSelector | None = None
    template: PodTemplateSpec | None = None


class JobCondition(Struct):
    type: str = ""
    status: str = ""


class JobStatus(Struct):
    active: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    start_time: datetime | None = None
    completion_time: datetime | None = None
    conditions: list[JobCondition] | None = None


class Job(Kind):
    group, plural, kind = "batch", "jobs", "Job"
    spec: JobSpec | None = None
    status: JobStatus | None = None


class JobTemplate(Struct):
    metadata: ObjectMeta | None = None
    spec: JobSpec | None = None


class CronJobSpec(Struct):
    schedule: str | None = None
    time_zone: str | None = None
    suspend: bool | None = None
    job_template: JobTemplate | None = None


class CronJobStatus(Struct):
    last_schedule_time: datetime | None = None
    last_successful_time: datetime | None = None


class CronJob(Kind):
    group, plural, kind = "batch", "cronjobs", "CronJob"
    spec: CronJobSpec | None = None
    status: CronJobStatus | None = None


Workload = Pod | PodTemplate | ReplicationController | ReplicaSet | Deployment | StatefulSet | DaemonSet | Job | CronJob
WORKLOADS: Mapping[str, type[Kind]] = {
    kind.kind: kind
    for kind in (
        Pod,
        PodTemplate,
        ReplicationController,
        ReplicaSet,
        Deployment,
        StatefulSet,
        DaemonSet,
        Job,
        CronJob,
    )
}


def pod_template(obj: Workload | Mapping[str, Any]) -> Pod | PodTemplateSpec:
    """What a workload makes its pods from, as an object with `metadata` and `spec`; a Pod is its own.

    `obj` is a Struct or a manifest (a dict with `kind`). Raises TypeError where it makes no pods,
    msgspec.ValidationError where the manifest is malformed.
    """
    if isinstance(obj, Mapping):
        kind = WORKLOADS.get(str(obj.get("kind") or "Pod"))
        if kind is None:
            raise TypeError(f"a {obj['kind']} makes no pods")
        obj = read(kind, obj)  # type: ignore[assignment]
    if isinstance(obj, Pod):
        return obj
    if isinstance(obj, PodTemplate):
        return obj.template or PodTemplateSpec()
    spec: Any = getattr(obj, "spec", None)
    if isinstance(obj, CronJob):
        spec = spec.job_template.spec if spec and spec.job_template else None
    elif not isinstance(obj, ReplicationController | ReplicaSet | Deployment | StatefulSet | DaemonSet | Job):
        raise TypeError(f"a {type(obj).__name__} makes no pods")
    return (spec.template if spec else None) or PodTemplateSpec()
