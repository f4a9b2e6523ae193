"""What is reachable from outside: Services, Ingresses, gateways, and whether what they name is there."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.exposed import SOURCE_RANGES
from auditkit.analysis.isolation import all_addresses
from auditkit.analysis.owners import POD_KINDS
from auditkit.analysis.selectors import some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.network import (
    Backend,
    Gateway,
    HTTPRoute,
    Ingress,
    IngressSpec,
    IngressTLS,
    IstioGateway,
    Listener,
    Server,
    Service,
    ServiceSpec,
    VirtualService,
)
from auditkit.tables.network import workloads

_INTERNAL = frozenset(
    {
        ("service.beta.kubernetes.io/aws-load-balancer-internal", "true"),
        ("service.beta.kubernetes.io/azure-load-balancer-internal", "true"),
        ("networking.gke.io/load-balancer-type", "internal"),
        ("cloud.google.com/load-balancer-type", "internal"),
    }
)
# Controllers that take certificates from an annotation: with one of these, `tls` does not say whether TLS is served.
_TLS_ELSEWHERE = (
    "alb.ingress.kubernetes.io/certificate-arn",
    "ingress.gcp.kubernetes.io/pre-shared-cert",
    "networking.gke.io/managed-certificates",
)
_TERMINATED = ("SIMPLE", "MUTUAL", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL")
_RISKY = ("-snippet", "-snippets", "/config-backend", "nginx.ingress.kubernetes.io/server-alias")


@table("services", kinds=(Service,), key=("namespace", "name"))
class ServiceRow:
    """One row per Service: whether and for whom it is open from outside the cluster."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name of the Service."]
    type: Annotated[str, "ClusterIP, NodePort, LoadBalancer or ExternalName."]
    internal: Annotated[bool, "An annotation or the class asks for a load balancer without a public address."]
    source_ranges: Annotated[list[str], "Addresses that the load balancer lets in; empty is all."]
    limited: Annotated[bool | None, "The load balancer lets in only some addresses."]
    external_ips: Annotated[list[str], "Addresses of which nodes take the traffic, whoever owns them."]
    externally_addressed: Annotated[bool, "Has externalIPs."]
    node_ports: Annotated[int, "Number of ports open on every node."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for s in objects[Service]:
            spec = s.spec or ServiceSpec()
            ranges = list(spec.load_balancer_source_ranges or ())
            if not ranges and s.annotations.get(SOURCE_RANGES):
                ranges = [one.strip() for one in s.annotations[SOURCE_RANGES].split(",")]
            external = list(spec.external_ips or ())
            ports = sum(1 for port in spec.ports or () if port.node_port)
            yield (
                s.namespace, s.kind, s.name, spec.type or "ClusterIP", _internal(s), ranges, _limited(ranges), external,
                bool(external), ports,
            )  # fmt: skip


@view("open_services", key=("namespace", "name"))
class OpenService(ServiceRow):
    """The rows of `services` whose type opens them to the outside: NodePort and LoadBalancer."""

    @staticmethod
    def frame(services: pd.DataFrame) -> pd.DataFrame:
        return services[services.type.isin(["NodePort", "LoadBalancer"])]


def _internal(service: Service) -> bool:
    """By annotation; the AWS Load Balancer Controller gives a private address unless one asks for another.

    Of its two annotations the scheme decides (aws-load-balancer-controller, pkg/service buildLoadBalancerScheme).
    """
    prefix = "service.beta.kubernetes.io/aws-load-balancer-"
    scheme, internal = (service.annotations.get(prefix + name) for name in ("scheme", "internal"))
    if scheme is not None:
        return scheme.lower() == "internal"
    own = service.spec is not None and service.spec.load_balancer_class == "service.k8s.aws/nlb"
    asked = any((name, value.lower()) in _INTERNAL for name, value in service.annotations.items())
    return asked or (own and internal is None)


def _limited(ranges: list[str]) -> bool | None:
    whole = all_addresses(ranges)
    return None if whole is None else bool(ranges) and not whole


@table("ingresses", kinds=(Ingress,), key=("namespace", "name", "host"))
class IngressRow:
    """One row per Ingress and host; a rule without host, or a default backend, is the host "" (any)."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Ingress."]
    name: Annotated[str, "Name of the Ingress."]
    host: Annotated[str, "Host name; empty is any."]
    ingress_class: Annotated[str | None, "Class by field or annotation; missing is the cluster's default."]
    wildcard: Annotated[bool, "Any host, or a name that starts with `*.`."]
    tls: Annotated[bool | None, "An entry of `tls` covers the host; missing where the controller decides."]
    risky_annotations: Annotated[list[str], "Annotations that add configuration of the writer's own to the proxy."]
    risky: Annotated[bool, "Has such an annotation."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for i in objects[Ingress]:
            spec = i.spec or IngressSpec()
            hosts = {rule.host or "" for rule in spec.rules or ()} | ({""} if spec.default_backend else set())
            name = spec.ingress_class_name or i.annotations.get("kubernetes.io/ingress.class")
            elsewhere = any(annotation in i.annotations for annotation in _TLS_ELSEWHERE)
            risky = sorted(one for one in i.annotations if one.endswith(_RISKY))
            for host in sorted(hosts):
                covered = _covered(host, spec.tls or [])
                tls = None if elsewhere and not covered else covered
                wildcard = host == "" or host.startswith("*.")
                yield (i.namespace, i.kind, i.name, host, name, wildcard, tls, risky, bool(risky))


def _covered(host: str, entries: list[IngressTLS]) -> bool | None:
    """Whether `tls` names the host: equal, or by a wildcard of exactly one label (networking/v1 IngressRule.Host).

    An entry without hosts means the controller's own default host.
    """
    names = [name.lower() for entry in entries for name in entry.hosts or ()]
    parent = "*." + host.lower().partition(".")[2]
    if host and (host.lower() in names or parent in names):
        return True
    return None if any(not entry.hosts for entry in entries) else False


@table("gateway_listeners", kinds=(Gateway, IstioGateway), key=("namespace", "name", "api", "listener"))
class GatewayListener:
    """One row per listener of a Gateway (Gateway API) and per server of an Istio Gateway."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Gateway."]
    name: Annotated[str, "Name of the Gateway."]
    api: Annotated[str, "gateway.networking.k8s.io or networking.istio.io."]
    listener: Annotated[str, "Name of the listener, or number and port of the server."]
    port: Annotated[int | None, "Port."]
    protocol: Annotated[str | None, "Protocol."]
    tls_mode: Annotated[str | None, "Terminate, Passthrough, SIMPLE, MUTUAL, ..."]
    ends_tls: Annotated[bool, "The gateway itself ends TLS, with a certificate of its own."]
    min_tls: Annotated[
        str | None, "Oldest version of TLS that an Istio Gateway takes; missing where its controller decides."
    ]
    hosts: Annotated[list[str], "Host names; `*` or none is any."]
    any_namespace: Annotated[bool, "Routes of every namespace may use it."]
    encrypted: Annotated[
        bool | None, "TLS is spoken, here or by the backend, or all is redirected to it; missing for TCP and unknown."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for g in objects[Gateway]:
            for one in (g.spec and g.spec.listeners) or ():
                mode = (one.tls.mode or "Terminate") if one.tls else None
                allowed = one.allowed_routes.namespaces if one.allowed_routes else None
                yield (
                    g.namespace, g.kind, g.name, g.group, one.name, one.port, one.protocol, mode, mode == "Terminate", None,
                    [one.hostname] if one.hostname else [], bool(allowed and allowed.from_ == "All"), _encrypted(one),
                )  # fmt: skip
        for gateway in objects[IstioGateway]:
            for number, server in enumerate((gateway.spec and gateway.spec.servers) or ()):
                port = server.port
                hosts = list(server.hosts or ())
                yield (
                    gateway.namespace, gateway.kind, gateway.name, gateway.group,
                    f"{number}-{(port and port.name) or ''}", port and port.number, port and port.protocol,
                    server.tls and server.tls.mode, bool(server.tls and server.tls.mode in _TERMINATED),
                    (server.tls.min_protocol_version or "TLS_AUTO") if server.tls else None, hosts, any(h == "*" or h.startswith("*/") for h in hosts),
                    _served_encrypted(server),
                )  # fmt: skip


def _encrypted(listener: Listener) -> bool | None:
    """By protocol (gateway.networking.k8s.io/v1 ProtocolType): HTTPS and TLS need `tls`, HTTP has none."""
    if listener.protocol == "HTTP":
        return False
    if listener.protocol not in ("HTTPS", "TLS") or listener.tls is None:
        return None
    known = listener.tls.mode in (None, "Terminate", "Passthrough")
    return True if known else None


def _served_encrypted(server: Server) -> bool | None:
    """By port protocol and `tls` (Istio, networking/v1 Server and ServerTLSSettings); httpsRedirect answers 301."""
    protocol, tls = ((server.port and server.port.protocol) or "").upper(), server.tls
    if tls and tls.https_redirect:
        return True
    if protocol in ("HTTP", "HTTP2", "GRPC", "GRPC-WEB"):
        return False
    if protocol in ("HTTPS", "TLS"):
        if tls is None:
            return False
        # A mode left out is PASSTHROUGH, the first of the enumeration.
        return True if tls.mode in (None, "PASSTHROUGH", "AUTO_PASSTHROUGH", *_TERMINATED) else None
    return True if tls and tls.mode in _TERMINATED else None


@table("routes", kinds=(Ingress, HTTPRoute, VirtualService), key=("namespace", "kind", "name"))
class Route:
    """One row per Ingress, HTTPRoute and VirtualService: what opens workloads to callers through a proxy."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Ingress, HTTPRoute or VirtualService."]
    name: Annotated[str, "Name of the object."]
    qualified: Annotated[str, "Namespace and name, as the setting `approved` names it."]
    hosts: Annotated[list[str], "Host names; none is any."]
    via: Annotated[list[str], "Ingress class, or the gateways that it is attached to."]
    exposed: Annotated[bool, "Attached to an ingress controller or a gateway, not only to the mesh inside."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for i in objects[Ingress]:
            hosts = sorted({rule.host for rule in (i.spec and i.spec.rules) or () if rule.host})
            name = (i.spec and i.spec.ingress_class_name) or i.annotations.get("kubernetes.io/ingress.class")
            yield (*_route(i), hosts, [name] if name else [], True)
        for r in objects[HTTPRoute]:
            parents = [p.name for p in (r.spec and r.spec.parent_refs) or () if p.kind != "Service"]
            yield (*_route(r), list((r.spec and r.spec.hostnames) or ()), parents, bool(parents))
        for v in objects[VirtualService]:
            gateways = [name for name in (v.spec and v.spec.gateways) or () if name != "mesh"]
            yield (*_route(v), list((v.spec and v.spec.hosts) or ()), gateways, bool(gateways))


def _route(obj: Ingress | HTTPRoute | VirtualService) -> tuple[str, str, str, str]:
    return (obj.namespace, obj.kind, obj.name, f"{obj.namespace}/{obj.name}")


@table(
    "backends", kinds=(Ingress, HTTPRoute), beside=(Service, *POD_KINDS), key=("namespace", "kind", "name", "reference")
)
class BackendRow:
    """One row per Service that an Ingress or HTTPRoute names, and per selector of a Service."""

    namespace: Annotated[str, "Namespace of the object that refers."]
    kind: Annotated[str, "Ingress, HTTPRoute or Service."]
    name: Annotated[str, "Name of the object that refers."]
    reference: Annotated[str, "`Service NAMESPACE/NAME`, or `pods` for a selector."]
    found: Annotated[
        bool | None, "The Service exists, or a workload has the labels; missing for backends of other kinds."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        services = {(s.namespace, s.name) for s in objects[Service]}
        found: dict[tuple[str, str, str, str], bool | None] = {}
        for i in objects[Ingress]:
            for backend in ingress_backends(i):
                target = (i.namespace, backend.service.name) if backend.service else None
                reference = f"Service {'/'.join(target)}" if target else "another resource"
                found[i.namespace, i.kind, i.name, reference] = target in services if target else None
        for route in objects[HTTPRoute]:
            for ref in [r for rule in (route.spec and route.spec.rules) or () for r in rule.backend_refs or ()]:
                place, kind = (ref.namespace or route.namespace, ref.name), ref.kind or "Service"
                known = kind == "Service" and not ref.group
                reference = f"{kind} {'/'.join(place)}"
                found[route.namespace, route.kind, route.name, reference] = place in services if known else None
        yield from ((*key, value) for key, value in found.items())
        labels: dict[str, list[Mapping[str, str]]] = {}
        for workload in workloads(objects):
            labels.setdefault(workload.namespace, []).extend(workload.labels)
        for s in objects[Service]:
            if s.spec and s.spec.selector and s.spec.type != "ExternalName":
                wanted = s.spec.selector.items()
                yield (
                    s.namespace,
                    s.kind,
                    s.name,
                    "pods",
                    some(wanted <= h.items() for h in labels.get(s.namespace, [])),
                )


def ingress_backends(ingress: Ingress) -> Iterator[Backend]:
    """What an Ingress leads to: its default backend and that of each path."""
    spec = ingress.spec or IngressSpec()
    if spec.default_backend:
        yield spec.default_backend
    for rule in spec.rules or ():
        yield from (path.backend for path in (rule.http and rule.http.paths) or () if path.backend)


@table("ingress_secrets", kinds=(Ingress,), key=("namespace", "name", "secret"))
class IngressSecret:
    """One row per Secret that an Ingress names for TLS."""

    namespace: Annotated[str, "Namespace of Ingress and Secret."]
    kind: Annotated[str, "Ingress."]
    name: Annotated[str, "Name of the Ingress."]
    secret: Annotated[str, "NAMESPACE/NAME of the Secret."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for i in objects[Ingress]:
            for secret in sorted({t.secret_name for t in (i.spec and i.spec.tls) or () if t.secret_name}):
                yield (i.namespace, i.kind, i.name, f"{i.namespace}/{secret}")
