"""Interfaces that rule or read a cluster and its data, by the image behind a Service, and what opens them to the outside."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import chain
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.images import parsed
from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.network import HTTPRoute, Ingress, Service, VirtualService
from auditkit.resources import data
from auditkit.tables.exposure import ingress_backends

Place = tuple[str, str]


@cache
def recognise(image: str) -> str | None:
    """The interface that an image serves, by data/interfaces.toml; None where it is none that is known."""
    reference = parsed(image)
    path = f"/{reference.path}" if reference else ""
    known = data("interfaces.toml").items()
    return next((name for name, ends in known if any(path.endswith("/" + end) for end in ends)), None)


@table(
    "interfaces", kinds=(Service,), beside=(Ingress, HTTPRoute, VirtualService, *POD_KINDS), key=("namespace", "name")
)
class InterfaceRow:
    """One row per Service that selects a workload with the image of a known interface (data/interfaces.toml)."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name of the Service."]
    interface: Annotated[str, "Name of the interface."]
    routes: Annotated[list[str], "Ingresses, HTTPRoutes and VirtualServices at a gateway that lead to it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        serving: defaultdict[str, list[tuple[Mapping[str, str], str]]] = defaultdict(list)
        for one in objects.once(owned):
            for made in one.made:
                containers = (made.spec and made.spec.containers) or ()
                for name in {recognise(c.image or "") for c in containers} - {None}:
                    serving[one.key[0]].append(((made.metadata and made.metadata.labels) or {}, str(name)))
        routes = _routes(objects)
        for s in objects[Service]:
            wanted = (s.spec.selector if s.spec and s.spec.type != "ExternalName" else None) or {}
            found = sorted({n for labels, n in serving[s.namespace] if wanted and wanted.items() <= labels.items()})
            if found:
                yield (s.namespace, s.kind, s.name, ", ".join(found), sorted(routes[s.namespace, s.name]))


def _routes(objects: Objects) -> defaultdict[Place, set[str]]:
    """What leads from outside to each Service: kind, namespace and name."""
    found: defaultdict[Place, set[str]] = defaultdict(set)
    for ingress in objects[Ingress]:
        for backend in ingress_backends(ingress):
            if backend.service:
                found[ingress.namespace, backend.service.name].add(_named(ingress))
    for route in objects[HTTPRoute]:
        spec = route.spec
        if spec and any(p.kind != "Service" for p in spec.parent_refs or ()):
            for ref in [r for rule in spec.rules or () for r in rule.backend_refs or ()]:
                found[ref.namespace or route.namespace, ref.name].add(_named(route))
    for virtual in objects[VirtualService]:
        if virtual.spec and any(gateway != "mesh" for gateway in virtual.spec.gateways or ()):
            for place in _destinations(virtual):
                found[place].add(_named(virtual))
    return found


def _destinations(virtual: VirtualService) -> Iterator[Place]:
    """The Services that it leads to: NAME of its own namespace, or NAME.NAMESPACE and what follows of the cluster's domain."""
    spec = virtual.spec
    parts = (spec.http, spec.tls, spec.tcp) if spec else ()
    for part in chain.from_iterable(part or () for part in parts):
        for one in part.route or ():
            name, _, rest = (one.destination.host if one.destination else "").partition(".")
            yield rest.partition(".")[0] or virtual.namespace, name


def _named(obj: Ingress | HTTPRoute | VirtualService) -> str:
    return f"{obj.kind} {obj.namespace}/{obj.name}"


@view("exposed_interfaces", key=("namespace", "name"))
class ExposedInterface:
    """The rows of `interfaces` with how their Service is open to the outside."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name of the Service."]
    interface: Annotated[str, "Name of the interface."]
    type: Annotated[str, "ClusterIP, NodePort or LoadBalancer."]
    routes: Annotated[list[str], "Ingresses, HTTPRoutes and VirtualServices at a gateway that lead to it."]
    exposed: Annotated[
        bool | None,
        "By a route, a NodePort, externalIPs, or a load balancer that is neither internal nor limited to some addresses.",
    ]

    @staticmethod
    def frame(interfaces: pd.DataFrame, services: pd.DataFrame) -> pd.DataFrame:
        found = interfaces.merge(services.drop(columns="kind"), on=["namespace", "name"], how="left")
        balanced = (found.type == "LoadBalancer").astype("boolean") & ~found.internal & ~found.limited
        routed = (found.routes.str.len() > 0).astype("boolean")
        opened = (found.type == "NodePort").astype("boolean") | found.externally_addressed
        return found.assign(exposed=balanced | routed | opened)
