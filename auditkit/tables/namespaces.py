"""Namespaces: the boundaries that policies, quotas and ownership are written for."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import LimitRange, Namespace, ResourceQuota
from auditkit.kinds.pods import Quantity

# Labels that say who answers for an object, what data it handles, which environment it is: the first that is there.
OWNER = ("owner", "team", "app.kubernetes.io/owner", "app.kubernetes.io/managed-by-team", "cost-center")
CLASSIFICATION = ("data-classification", "classification", "data-sensitivity")
ENVIRONMENT = ("environment", "env", "app.kubernetes.io/environment", "stage")
APPLICATION = ("app.kubernetes.io/name", "app.kubernetes.io/part-of", "app.kubernetes.io/instance")

# Made by every cluster itself (k8s.io/kubernetes pkg/controlplane/controller/systemnamespaces).
SYSTEM = frozenset(["kube-system", "kube-public", "kube-node-lease"])


def first_label(labels: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    """The value of the first of these labels that is there and not empty."""
    return next((labels[name] for name in names if labels.get(name)), None)


class _Place:
    namespace: Annotated[str, "Namespace of the object; empty for a Namespace."]
    kind: Annotated[str, "Kind of the object, e.g. Deployment; Pod where nothing owns it."]
    name: Annotated[str, "Name of the object."]


class _Labels:
    owner: Annotated[str | None, f"Who answers for it: the first of the labels {', '.join(OWNER)}."]
    classification: Annotated[str | None, f"Which data it handles: the first of {', '.join(CLASSIFICATION)}."]
    environment: Annotated[str | None, f"The first of {', '.join(ENVIRONMENT)}."]


def _labels(labels: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple(first_label(labels, names) for names in (OWNER, CLASSIFICATION, ENVIRONMENT))


@table("namespaces", kinds=(Namespace,), key=("name",))
class NamespaceRow(_Labels, _Place):
    """One row per namespace."""

    system: Annotated[bool, f"Made by Kubernetes itself: {', '.join(sorted(SYSTEM))}."]
    phase: Annotated[str | None, "Active or Terminating."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Namespace]:
            phase = found.status.phase if found.status else None
            yield ("", "Namespace", found.name, *_labels(found.labels), found.name in SYSTEM, phase)


@table("workload_labels", kinds=POD_KINDS, key=("namespace", "kind", "name"))
class WorkloadLabels(_Labels, _Place):
    """One row per workload that people made: those that no controller owns, outside the system namespaces."""

    application: Annotated[str | None, f"What it is part of: the first of {', '.join(APPLICATION)}."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for kind in POD_KINDS:
            for found in objects[kind]:
                owned = any(owner.controller for owner in found.metadata.owner_references or ())
                if not owned and found.namespace not in SYSTEM:
                    application = first_label(found.labels, APPLICATION)
                    yield (found.namespace, kind.kind, found.name, *_labels(found.labels), application)


@table("resource_quotas", kinds=(ResourceQuota,), key=("namespace", "name"))
class QuotaRow(_Place):
    """One row per ResourceQuota."""

    hard: Annotated[list[str], "Limits, as resource=quantity."]
    scoped: Annotated[bool, "Limits some pods only (scopes or scopeSelector)."]
    cpu: Annotated[bool, "Limits requests or limits of CPU."]
    memory: Annotated[bool, "Limits requests or limits of memory."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[ResourceQuota]:
            hard = (found.spec.hard if found.spec else None) or {}
            scoped = bool(found.spec and (found.spec.scopes or found.spec.scope_selector))
            limits = ({resource, f"requests.{resource}", f"limits.{resource}"} for resource in ("cpu", "memory"))
            cpu, memory = (bool(names & set(hard)) for names in limits)
            yield (found.namespace, "ResourceQuota", found.name, _quantities(hard), scoped, cpu, memory)


@table("limit_ranges", kinds=(LimitRange,), key=("namespace", "name", "item"))
class LimitRow(_Place):
    """One row per item of every LimitRange."""

    item: Annotated[int, "Position of the item, from 0."]
    type: Annotated[str, "What it limits: Container, Pod or PersistentVolumeClaim."]
    max: Annotated[list[str], "Upper limits, as resource=quantity."]
    default: Annotated[list[str], "Limits of containers that state none."]
    default_request: Annotated[list[str], "Requests of containers that state none."]
    memory: Annotated[bool, "Caps memory, or gives containers a limit of it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[LimitRange]:
            for number, item in enumerate((found.spec.limits if found.spec else None) or ()):
                parts = (item.max or {}, item.default or {}, item.default_request or {})
                memory = "memory" in parts[0] or "memory" in parts[1]
                place = (found.namespace, "LimitRange", found.name, number, item.type)
                yield (*place, *(_quantities(part) for part in parts), memory)


def _quantities(quantities: Mapping[str, Quantity]) -> list[str]:
    return [f"{name}={value}" for name, value in sorted(quantities.items())]


@view("tenant_namespaces", key=("name",))
class TenantNamespace(_Labels, _Place):
    """One row per namespace that Kubernetes did not make itself."""

    @staticmethod
    def frame(namespaces: pd.DataFrame) -> pd.DataFrame:
        return namespaces[~namespaces.system]


@view("namespace_limits", key=("name",))
class NamespaceLimits(_Place):
    """One row per namespace that Kubernetes did not make itself, and what limits the resources of its pods."""

    limits_containers: Annotated[bool, "A LimitRange caps the memory of a Container or Pod, or gives it a limit."]
    quota_cpu: Annotated[bool, "A ResourceQuota without scope limits CPU."]
    quota_memory: Annotated[bool, "A ResourceQuota without scope limits memory."]

    @staticmethod
    def frame(
        tenant_namespaces: pd.DataFrame, limit_ranges: pd.DataFrame, resource_quotas: pd.DataFrame
    ) -> pd.DataFrame:
        rows = tenant_namespaces
        capping = limit_ranges[limit_ranges.type.isin(["Container", "Pod"]) & limit_ranges.memory]
        whole = resource_quotas[~resource_quotas.scoped]
        rows["limits_containers"] = rows.name.isin(capping.namespace)
        rows["quota_cpu"] = rows.name.isin(whole.namespace[whole.cpu])
        rows["quota_memory"] = rows.name.isin(whole.namespace[whole.memory])
        return rows
