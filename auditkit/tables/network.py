"""NetworkPolicies: what they select and leave open, for a policy, a workload, a namespace, and who enforces them."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis import isolation
from auditkit.analysis.networks import ENGINES, networks
from auditkit.analysis.owners import POD_KINDS, ended, owned
from auditkit.analysis.selectors import every, some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds import Kind
from auditkit.kinds.network import NetworkPolicy
from auditkit.kinds.platform import Namespace, Node
from auditkit.kinds.workloads import DaemonSet, Job, Pod


@dataclass
class Workload:
    """A top owner and the labels of each of its pods, or of the template where none runs."""

    namespace: str
    kind: str
    name: str
    labels: list[Mapping[str, str]]
    host_network: bool
    pods: int


def workloads(objects: Objects) -> list[Workload]:
    """Every top owner whose pods run or may run; what has ended is not in it."""
    return objects.once(_workloads)


def _workloads(objects: Objects) -> list[Workload]:
    return [
        Workload(
            *one.key,
            labels=[(made.metadata and made.metadata.labels) or {} for made in one.made],
            host_network=any(bool(spec.host_network) for spec in one.specs),
            pods=len(one.pods),
        )
        for one in objects.once(owned)
        if one.pods or not _over(one.owner)
    ]


def _over(owner: Kind) -> bool:
    """Whether a Job or a pod of its own has ended; a Job that waits to try again, or for its other pods, has not."""
    if isinstance(owner, Pod):
        return ended(owner)
    conditions = (owner.status and owner.status.conditions) if isinstance(owner, Job) else None
    return any(one.type in ("Complete", "Failed") and one.status == "True" for one in conditions or ())


def _touched(objects: Objects) -> frozenset[str]:
    """The namespaces about whose pods another engine's policies may decide; "" is all of them."""
    return frozenset(o.namespace if kind.namespaced else "" for kind in ENGINES for o in objects[kind])


def _by_namespace(objects: Objects) -> Mapping[str, list[NetworkPolicy]]:
    found: dict[str, list[NetworkPolicy]] = defaultdict(list)
    for policy in objects[NetworkPolicy]:
        found[policy.namespace].append(policy)
    return found


@table("network_policies", kinds=(NetworkPolicy,), beside=POD_KINDS, key=("namespace", "name"))
class NetworkPolicyRow:
    """One row per NetworkPolicy."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "NetworkPolicy."]
    name: Annotated[str, "Name of the policy."]
    selects_all: Annotated[bool | None, "Selects every pod of its namespace."]
    types: Annotated[list[str], "Directions it has, with the defaults of Kubernetes."]
    ingress_rules: Annotated[int, "Number of ingress rules."]
    egress_rules: Annotated[int, "Number of egress rules."]
    allows_all_ingress: Annotated[bool | None, "A rule allows ingress from any peer, on every port of a protocol."]
    allows_all_egress: Annotated[bool | None, "A rule allows egress to any peer, on every port of a protocol."]
    default_deny_ingress: Annotated[bool | None, "Selects every pod and allows no ingress."]
    default_deny_egress: Annotated[bool | None, "Selects every pod and allows no egress."]
    selects_some: Annotated[bool | None, "Selects a workload of the namespace, one without running pods included."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        pods: dict[str, list[Mapping[str, str]]] = defaultdict(list)
        for workload in workloads(objects):
            pods[workload.namespace] += workload.labels
        for p in objects[NetworkPolicy]:
            yield (
                p.namespace, p.kind, p.name, isolation.selects_every_pod(p),
                [d for d in ("Ingress", "Egress") if isolation.applies(p, d)],
                len(isolation.rules(p, "Ingress")), len(isolation.rules(p, "Egress")),
                isolation.allows_all(p, "Ingress"), isolation.allows_all(p, "Egress"),
                isolation.default_deny(p, "Ingress"), isolation.default_deny(p, "Egress"),
                some(isolation.selects(p, labels) for labels in pods[p.namespace]),
            )  # fmt: skip


@table("isolation", kinds=POD_KINDS, beside=(NetworkPolicy, *ENGINES), key=("namespace", "kind", "name"))
class Isolation:
    """One row per workload (top owner): what the NetworkPolicies of its namespace say of its pods.

    Isolated means that a policy of the direction selects every pod and none that selects one allows all. These
    are facts of policies, not of packets: whether the cluster's network enforces them is in `policy_enforcement`.
    Policies do nothing to hostNetwork pods. Where policies of another engine (Cilium, Calico, Antrea, admin policies) may
    touch the namespace, isolation is missing.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Deployment, StatefulSet, DaemonSet, CronJob, Job, ...; Pod without a collected owner."]
    name: Annotated[str, "Name of the workload."]
    pods: Annotated[int, "Number of pods that have not ended; where 0, the template is judged."]
    host_network: Annotated[bool, "A pod uses the node's network."]
    policies: Annotated[list[str], "NetworkPolicies that select its pods."]
    selected: Annotated[bool | None, "A NetworkPolicy, of whatever direction, acts on every pod."]
    ingress_isolated: Annotated[bool | None, "Only allowed ingress reaches its pods."]
    egress_isolated: Annotated[bool | None, "Its pods reach only what is allowed."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        policies, others = _by_namespace(objects), _touched(objects)
        for w in workloads(objects):
            own = policies.get(w.namespace, [])
            named = [p.name for p in own if any(isolation.selects(p, labels) for labels in w.labels)]
            place = (w.namespace, w.kind, w.name, w.pods, w.host_network, named)
            if w.host_network:
                yield (*place, False, False, False)
                continue
            other = not others.isdisjoint(("", w.namespace))
            selected = every(some(isolation.selects(p, labels) for p in own) for labels in w.labels)
            ingress = every(isolation.isolated(own, labels, "Ingress") for labels in w.labels)
            egress = every(isolation.isolated(own, labels, "Egress") for labels in w.labels)
            yield (*place, selected or (None if other else selected), *((None, None) if other else (ingress, egress)))


@table("namespace_network", kinds=(Namespace,), beside=(*POD_KINDS, NetworkPolicy, *ENGINES), key=("name",))
class NamespaceNetwork:
    """One row per Namespace: whether NetworkPolicies exist and what holds for a pod that none names.

    Where policies of another engine may touch the namespace, the defaults are missing.
    """

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace."]
    workloads: Annotated[int, "Number of workloads whose pods run or may run."]
    has_policy: Annotated[bool | None, "Has a NetworkPolicy; missing where there are only another engine's policies."]
    default_deny_ingress: Annotated[
        bool | None, "A policy denies ingress to every pod and none allows all to every pod."
    ]
    default_deny_egress: Annotated[bool | None, "A policy denies egress to every pod and none allows all to every pod."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        policies, others = _by_namespace(objects), _touched(objects)
        counts: dict[str, int] = defaultdict(int)
        for workload in workloads(objects):
            counts[workload.namespace] += 1
        for one in objects[Namespace]:
            own = policies.get(one.name, [])
            other = not others.isdisjoint(("", one.name))
            denies = (None, None) if other else (_denied(own, "Ingress"), _denied(own, "Egress"))
            yield ("", one.kind, one.name, counts[one.name], True if own else (None if other else False), *denies)


@view("occupied_namespaces", key=("name",))
class OccupiedNamespace(NamespaceNetwork):
    """The rows of `namespace_network` of namespaces that hold workloads whose pods run or may run."""

    @staticmethod
    def frame(namespace_network: pd.DataFrame) -> pd.DataFrame:
        return namespace_network[namespace_network.workloads > 0]


def _denied(policies: list[NetworkPolicy], direction: isolation.Direction) -> bool | None:
    opened = some(every([isolation.selects_every_pod(p), isolation.allows_all(p, direction)]) for p in policies)
    denied = some(isolation.default_deny(p, direction) for p in policies)
    return every([denied, None if opened is None else not opened])


@table(
    "policy_enforcement", kinds=(DaemonSet, Node, NetworkPolicy, *ENGINES), key=("namespace", "kind", "name", "engine")
)
class PolicyEnforcement:
    """One row per network DaemonSet, and per policy object of whatever engine: whether it is enforced.

    The network is recognised by the name or an image of its DaemonSet (data/networks.toml). Of a DaemonSet,
    enforced means that the engine enforces NetworkPolicy and is available on every Linux node. Where no network
    is recognised, a row of kind Cluster says so and nothing is known.
    """

    namespace: Annotated[str, "Namespace; empty for what is cluster-scoped."]
    kind: Annotated[str, "DaemonSet, the kind of the policy, or Cluster."]
    name: Annotated[str, "Name of the object."]
    engine: Annotated[str, "The DaemonSet's engine, or the one that the policy is written for."]
    enforced: Annotated[bool | None, "Enforced; missing where the snapshot cannot tell."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found = networks(objects)
        for one in found:
            daemon, enforced = one.daemon, every([one.enforces, one.everywhere])
            yield (daemon.namespace, daemon.kind, daemon.name, one.engine, enforced)
        if not found:
            yield ("", "Cluster", "cluster", "unknown", None)
        engines = {one.engine: one.enforces for one in found}
        for p in objects[NetworkPolicy]:
            yield (p.namespace, p.kind, p.name, "kubernetes", some(engines.values()) if engines else None)
        for kind, engine in ENGINES.items():
            for o in objects[kind]:
                yield (o.namespace, o.kind, o.name, engine, _understood(engine, engines))


def _understood(engine: str, engines: Mapping[str, bool | None]) -> bool | None:
    """Whether the networks that run read policies of `engine`; which read admin policies depends on their version."""
    if engine in engines:
        return True
    return False if engine != "admin" and True in engines.values() else None
