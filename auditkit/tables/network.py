"""NetworkPolicies, and what is exposed to the outside."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.network import Ingress, NetworkPolicy, NetworkPolicySpec, Service
from auditkit.kinds.pods import LabelSelector


@table("network_policies", kinds=(NetworkPolicy,), key=("namespace", "name"))
class Policy:
    """One row per NetworkPolicy; the defaults of the API are applied (k8s.io/kubernetes/pkg/apis/networking/v1/defaults.go)."""

    namespace: Annotated[str, "Namespace of the policy and of the pods it selects."]
    kind: Annotated[str, "NetworkPolicy."]
    name: Annotated[str, "Name of the policy."]
    ingress: Annotated[bool, "Isolates ingress of the pods it selects."]
    egress: Annotated[bool, "Isolates egress of the pods it selects."]
    selects_all: Annotated[
        bool | None, "Selects every pod of the namespace; missing where its selector is not understood."
    ]
    allows_all_ingress: Annotated[bool | None, "A rule lets every peer in on every port."]
    allows_all_egress: Annotated[bool | None, "A rule lets every peer out on every port."]
    denies_all_ingress: Annotated[bool | None, "Selects every pod and lets nothing in."]
    denies_all_egress: Annotated[bool | None, "Selects every pod and lets nothing out."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for policy in objects[NetworkPolicy]:
            spec = policy.spec or NetworkPolicySpec()
            types = spec.policy_types if spec.policy_types else ["Ingress", *(["Egress"] if spec.egress else [])]
            every = None if spec.unknown else _selects_all(spec.pod_selector)
            ingress, egress = "Ingress" in types, "Egress" in types
            yield (
                policy.namespace,
                "NetworkPolicy",
                policy.name,
                ingress,
                egress,
                every,
                ingress and _allows_all([(r.unknown, r.from_, r.ports) for r in spec.ingress or ()]),
                egress and _allows_all([(r.unknown, r.to, r.ports) for r in spec.egress or ()]),
                None if every is None else every and ingress and not spec.ingress,
                None if every is None else every and egress and not spec.egress,
            )


def _selects_all(selector: LabelSelector | None) -> bool | None:
    if selector is None:
        return True
    return None if selector.unknown else not selector.match_labels and not selector.match_expressions


def _allows_all(rules: list[tuple[Any, Any, Any]]) -> bool | None:
    """Whether a rule has neither peers nor ports; unknown where only a rule that is not understood could."""
    if any(not unknown and not peers and not ports for unknown, peers, ports in rules):
        return True
    return None if any(unknown for unknown, _, _ in rules) else False


@view("namespace_isolation", key=("name",))
class NamespaceIsolation:
    """One row per namespace: whether policies deny by default in each direction."""

    namespace: Annotated[str, "Empty: a namespace lies in none."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the namespace."]
    system: Annotated[bool, "Made by Kubernetes itself."]
    pods: Annotated[int, "Pods in the namespace."]
    policies: Annotated[int, "NetworkPolicies in the namespace."]
    denies_ingress: Annotated[
        bool | None, "A policy denies all ingress by default; missing where a selector is not understood."
    ]
    denies_egress: Annotated[bool | None, "A policy denies all egress by default."]

    @staticmethod
    def frame(namespaces: pd.DataFrame, network_policies: pd.DataFrame, pods: pd.DataFrame) -> pd.DataFrame:
        by = network_policies.groupby("namespace")
        found = namespaces[["namespace", "kind", "name", "system"]].set_index("name")
        found["pods"] = pods.groupby("namespace").size().reindex(found.index, fill_value=0)
        found["policies"] = by.size().reindex(found.index, fill_value=0).astype("Int64")
        for direction in ("ingress", "egress"):
            denies = network_policies[f"denies_all_{direction}"]
            true = network_policies["namespace"][denies.fillna(False)]
            unknown = network_policies["namespace"][denies.isna()]
            named = pd.Series(found.index.isin(true), index=found.index, dtype="boolean")
            found[f"denies_{direction}"] = named.mask(found.index.isin(unknown) & ~found.index.isin(true))
        return found.reset_index()


@table("services", kinds=(Service,), key=("namespace", "name"))
class ServiceRow:
    """One row per Service."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name."]
    type: Annotated[str, "ClusterIP, NodePort, LoadBalancer or ExternalName."]
    external_ips: Annotated[list[str], "spec.externalIPs."]
    source_ranges: Annotated[list[str], "spec.loadBalancerSourceRanges."]
    internal: Annotated[bool, "An annotation makes the load balancer internal."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for s in objects[Service]:
            spec = s.spec
            internal = any(
                name.endswith(("-internal", "-scheme", "load-balancer-type")) and value.lower() in ("true", "internal")
                for name, value in s.annotations.items()
            )
            yield (
                s.namespace,
                "Service",
                s.name,
                (spec.type if spec else None) or "ClusterIP",
                list((spec and spec.external_ips) or ()),
                list((spec and spec.load_balancer_source_ranges) or ()),
                internal,
            )


@table("ingresses", kinds=(Ingress,), key=("namespace", "name", "host"))
class IngressRow:
    """One row per Ingress and host of its rules; one with an empty host where a rule, or the default backend, names none."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Ingress."]
    name: Annotated[str, "Name."]
    host: Annotated[str, "Host of the rule; empty matches every host."]
    tls: Annotated[bool, "An entry of spec.tls covers the host, by name or by a wildcard one label deep."]
    controller: Annotated[str | None, "spec.ingressClassName, or the old annotation."]
    snippets: Annotated[bool, "An annotation puts text into the proxy's configuration."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for i in objects[Ingress]:
            spec = i.spec
            hosts = dict.fromkeys((r.host or "") for r in (spec and spec.rules) or ()) or {"": None}
            covered = {h for t in (spec and spec.tls) or () for h in t.hosts or ("",)}
            controller = (spec.ingress_class_name if spec else None) or i.annotations.get("kubernetes.io/ingress.class")
            snippets = any(name.endswith("-snippet") for name in i.annotations)
            for host in hosts:
                wildcard = "*." + host.partition(".")[2]
                tls = host in covered or (bool(host) and not host.startswith("*") and wildcard in covered)
                yield i.namespace, "Ingress", i.name, host, tls, controller, snippets
