"""What keeps workloads available: disruption budgets and the workloads they cover, autoscalers and their targets."""

from collections import defaultdict
from collections.abc import Iterator
from math import ceil
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.analysis.selectors import matches
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import AutoscalerSpec, HorizontalPodAutoscaler, PodDisruptionBudget
from auditkit.kinds.workloads import Deployment, ReplicaSet, ReplicationController, StatefulSet

_TARGETS = (Deployment, StatefulSet, ReplicaSet, ReplicationController)
_TARGET_KINDS = frozenset((kind.group, kind.kind) for kind in _TARGETS)


@table("disruption_budgets", kinds=(PodDisruptionBudget,), key=("namespace", "name"))
class DisruptionBudget:
    """One row per PodDisruptionBudget."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "PodDisruptionBudget."]
    name: Annotated[str, "Name."]
    min_available: Annotated[str | None, "minAvailable, a number or a percentage."]
    max_unavailable: Annotated[str | None, "maxUnavailable, a number or a percentage."]
    expected_pods: Annotated[int | None, "Pods that it counts, by its status."]
    disruptions_allowed: Annotated[int | None, "Evictions it allows at this moment, by its status."]
    blocks: Annotated[
        bool | None, "It allows no eviction even where every pod is healthy; missing where the pods are not counted."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[PodDisruptionBudget]:
            least, most = (one.spec.min_available, one.spec.max_unavailable) if one.spec else (None, None)
            counted = one.status.expected_pods if one.status else None
            allowed = one.status.disruptions_allowed if one.status else None
            texts = (None if value is None else str(value) for value in (least, most))
            yield one.namespace, one.kind, one.name, *texts, counted, allowed, _blocks(least, most, counted)


@table("budget_matches", kinds=(*POD_KINDS, PodDisruptionBudget), key=("namespace", "kind", "name", "budget"))
class BudgetMatch:
    """One row per workload and PodDisruptionBudget of its namespace that selects its newest pod, else its template.

    A null selector selects nothing, an empty one everything (policy/v1).
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the workload."]
    name: Annotated[str, "Name of the workload."]
    budget: Annotated[str, "Name of the PodDisruptionBudget."]
    certain: Annotated[bool, "The selector was understood; otherwise it may or may not select the pods."]
    lets_all_go: Annotated[bool, "It lets all pods that it counts be evicted at once."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        budgets: defaultdict[str, list[PodDisruptionBudget]] = defaultdict(list)
        for budget in objects[PodDisruptionBudget]:
            budgets[budget.namespace].append(budget)
        for one in objects.once(owned):
            metadata = one.made[0].metadata
            labels = (metadata.labels if metadata else None) or {}
            for budget in budgets[one.owner.namespace]:
                selected = matches(budget.spec.selector if budget.spec else None, labels)
                if selected is not False:
                    yield *one.key, budget.name, selected is True, _lets_all_go(budget)


@table("autoscalers", kinds=(HorizontalPodAutoscaler,), key=("namespace", "name"))
class Autoscaler:
    """One row per HorizontalPodAutoscaler."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "HorizontalPodAutoscaler."]
    name: Annotated[str, "Name."]
    target: Annotated[str | None, "KIND.GROUP/NAMESPACE/NAME that it scales."]
    target_known: Annotated[bool, "The target is of a kind that Kubernetes brings."]
    min_replicas: Annotated[int | None, "minReplicas."]
    max_replicas: Annotated[int | None, "maxReplicas."]
    current: Annotated[int | None, "Pods that its target has, by its status."]
    desired: Annotated[int | None, "Pods that it asks for, by its status."]
    at_maximum: Annotated[
        bool | None, "It asks for as many as it may, and may ask for more than the least; missing without a status."
    ]
    needs: Annotated[
        list[str], "Resources that it compares with what containers request: cpu, memory; CONTAINER: cpu of one alone."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[HorizontalPodAutoscaler]:
            spec = one.spec
            ref = spec.scale_target_ref if spec else None
            limits = (spec.min_replicas, spec.max_replicas) if spec else (None, None)
            watched = (*limits, *_counts(one), _compared(spec))
            if ref is None:
                yield one.namespace, one.kind, one.name, None, False, *watched
                continue
            group, kind = (ref.api_version or "").rpartition("/")[0], ref.kind or ""
            target = _target(group, kind, one.namespace, ref.name)
            yield one.namespace, one.kind, one.name, target, (group, kind) in _TARGET_KINDS, *watched


def _counts(one: HorizontalPodAutoscaler) -> tuple[int | None, int | None, bool | None]:
    """Current and desired pods, and whether no more may be asked for."""
    spec, status = one.spec, one.status
    current, desired = (status.current_replicas, status.desired_replicas) if status else (None, None)
    if spec is None or spec.max_replicas is None or desired is None:
        return current, desired, None
    return current, desired, (spec.min_replicas or 1) < spec.max_replicas <= desired


def _compared(spec: AutoscalerSpec | None) -> list[str]:
    """Resources of metrics of type Utilization, a share of the request; v1 and no metrics at all mean CPU.

    (k8s.io/kubernetes/pkg/apis/autoscaling/v2/defaults.go SetDefaults_HorizontalPodAutoscaler)
    """
    if spec is None or not spec.metrics:
        return ["cpu"]
    resources = [r for metric in spec.metrics for r in (metric.resource, metric.container_resource) if r]
    shares = [r for r in resources if r.name and r.target and r.target.type == "Utilization"]
    return sorted({f"{r.container}: {r.name}" if r.container else str(r.name) for r in shares})


@view("autoscaled_containers", key=("namespace", "kind", "name", "role", "container", "variant", "autoscaler"))
class AutoscaledContainer:
    """One row per container of a workload that an autoscaler scales by a share of what containers request."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the workload."]
    name: Annotated[str, "Name of the workload."]
    role: Annotated[str, "main or sidecar: init containers do not count."]
    container: Annotated[str, "Name of the container."]
    variant: Annotated[int, "As in `containers`."]
    autoscaler: Annotated[str, "HorizontalPodAutoscaler that scales it."]
    needs: Annotated[list[str], "Resources that it compares with the request."]
    missing: Annotated[
        bool | None,
        "The container requests one of them not: the autoscaler cannot compute. Missing where no pod runs: a LimitRange may add it.",
    ]

    @staticmethod
    def frame(autoscalers: pd.DataFrame, containers: pd.DataFrame) -> pd.DataFrame:
        scaling = autoscalers[autoscalers.needs.astype(bool) & autoscalers.target_known]
        parts = scaling.target.str.extract(r"^(?P<kind>[^.]*)\.[^/]*/(?P<namespace>[^/]*)/(?P<name>.*)$").astype(
            "string"
        )
        parts = parts.assign(autoscaler=scaling.name, needs=scaling.needs)
        counted = containers[containers.role.isin(["main", "sidecar"])]
        rows = counted.merge(parts, on=["namespace", "kind", "name"])
        missing, compared = (pd.Series(False, index=rows.index, dtype="boolean") for _ in range(2))
        for resource in ("cpu", "memory"):
            pairs = zip(rows.container, rows.needs, strict=True)
            watched = [not {resource, f"{container}: {resource}"}.isdisjoint(needs) for container, needs in pairs]
            needed = pd.Series(watched, index=rows.index, dtype="boolean")
            # A limit alone is the request too (core/v1 SetDefaults_Pod).
            missing |= needed & rows[f"{resource}_request"].isna() & rows[f"{resource}_limit"].isna()
            compared |= needed
        return rows.assign(missing=missing.mask(missing & ~rows.running))[compared]


@table("scale_targets", kinds=_TARGETS, key=("target",))
class ScaleTarget:
    """One row per object that an autoscaler can scale, of the kinds that Kubernetes brings."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind."]
    name: Annotated[str, "Name."]
    target: Annotated[str, "KIND.GROUP/NAMESPACE/NAME, as `autoscalers.target` names it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for kind in _TARGETS:
            for one in objects[kind]:
                yield one.namespace, one.kind, one.name, _target(kind.group, kind.kind, one.namespace, one.name)


def _target(group: str, kind: str, namespace: str, name: str) -> str:
    return f"{kind}.{group}/{namespace}/{name}"


def _blocks(least: int | str | None, most: int | str | None, counted: int | None) -> bool | None:
    """Whether healthy pods may not be evicted; a percentage rounds up, and a budget of neither number allows nothing.

    (k8s.io/kubernetes/pkg/controller/disruption/disruption.go getExpectedPodCount, updatePdbStatus)
    """
    if most is not None or least is None:
        return most is None or str(most) in ("0", "0%")
    if str(least) in ("0", "0%"):
        return False
    if str(least) == "100%":
        return True
    if counted is None:
        return None
    share = isinstance(least, str) and least.endswith("%")
    needed = ceil(int(str(least).rstrip("%")) * counted / 100) if share else int(least)
    return counted > 0 and needed >= counted


def _lets_all_go(budget: PodDisruptionBudget) -> bool:
    least, most = (budget.spec.min_available, budget.spec.max_unavailable) if budget.spec else (None, None)
    if most is None:
        return str(least) in ("0", "0%")
    counted = budget.status.expected_pods if budget.status else None
    return most == "100%" or (bool(counted) and isinstance(most, int) and most >= (counted or 0))
