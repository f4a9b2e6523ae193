"""What the outside reaches, and through which Service, Ingress or Gateway.

Policies see the caller's own address: that a node may put its own in place (externalTrafficPolicy Cluster) is left out,
as the API does not say whether policies are held against the address before or after.
"""

import ipaddress
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pandas as pd

from auditkit.analysis.connections import Answer, Connections
from auditkit.analysis.ends import named_ports
from auditkit.analysis.netrules import End
from auditkit.analysis.networks import proxies, runs
from auditkit.analysis.objects import Objects
from auditkit.analysis.selectors import every, some
from auditkit.kinds.network import HTTPRoute, Ingress, IngressClass, Service, ServicePort
from auditkit.kinds.workloads import Pod

SOURCE_RANGES = "service.beta.kubernetes.io/load-balancer-source-ranges"
# Pods that serve a Gateway carry its name in this label (Gateway API, GEP-1762).
_GATEWAY_LABEL = "gateway.networking.k8s.io/gateway-name"
_ANYWHERE = ("0.0.0.0/0", "::/0")


@dataclass(frozen=True, kw_only=True, slots=True)
class Way:
    """One way in: the object that opens it, how, for which addresses, and the port that it leads to."""

    kind: str
    namespace: str
    name: str
    how: str
    sources: tuple[str, ...]
    port: int
    protocol: str


def frame(objects: Objects, connections: Connections) -> pd.DataFrame:
    """One row per workload, port and way in (Service, Ingress, HTTPRoute, or Pod for hostPort and hostNetwork).

    `how` is LoadBalancer, NodePort, externalIPs, hostPort, hostNetwork, the class of an Ingress, or the Gateways of a
    route; `sources` are the addresses that it lets in. `reached`: some address outside reaches a pod, as far as
    policies go: through a proxy, that it is reached and that it reaches the pod. Missing where that is not known, also
    where a proxy's pods are not: those of an Ingress are known by data/networks.toml, those of a Gateway by their label.
    """
    exposure = _Exposure(objects, connections)
    rows: dict[tuple[object, ...], list[Answer]] = {}
    for pod, way, answer in (*exposure.direct(), *exposure.proxied()):
        owner = exposure.owner_of[f"{pod.namespace}/{pod.name}"]
        place = (way.kind, way.namespace, way.name, way.how, way.sources)
        rows.setdefault((*owner, way.port, way.protocol, *place), []).append(answer)
    columns = ["namespace", "kind", "name", "port", "protocol"]
    columns += ["through_kind", "through_namespace", "through", "how", "sources", "reached", "reason"]
    found = []
    for key, answers in sorted(rows.items(), key=lambda row: tuple(map(str, row[0]))):
        best = _best(answers)
        found.append((*key[:-1], list(key[-1]), best.value, best.reason))  # type: ignore[call-overload]
    return pd.DataFrame(found, columns=columns).astype({"port": "Int64", "reached": "boolean"})


class _Exposure:
    """The ways into one cluster."""

    def __init__(self, objects: Objects, connections: Connections) -> None:
        self.objects, self.connections, self.ends = objects, connections, connections.ends
        owned = list(self.ends.owned(objects))
        self.owner_of = {end.name: key for key, found in owned for end in found}
        self._pods: dict[str, list[Pod]] = {}
        for pod in objects[Pod]:
            if not self.ends.pods[f"{pod.namespace}/{pod.name}"].finished:
                self._pods.setdefault(pod.namespace, []).append(pod)
        self._services = {(s.namespace, s.name): s for s in objects[Service]}
        self._reached: dict[str, list[bool | None]] = {}

    def direct(self) -> Iterator[tuple[Pod, Way, Answer]]:
        """The ways in without a proxy of the cluster's own."""
        for service in self.objects[Service]:
            for how, sources in _opened(service):
                for pod, port, protocol in self._behind(service):
                    yield self._entered(pod, _way(service, how, sources, port, protocol))
        for pod in (pod for found in self._pods.values() for pod in found):
            spec = pod.spec
            for open_ in (p for c in (spec and spec.containers) or () for p in c.ports or ()):
                if spec and open_.container_port and (spec.host_network or open_.host_port):
                    how = "hostNetwork" if spec.host_network else "hostPort"
                    yield self._entered(pod, _way(pod, how, (), open_.container_port, open_.protocol or "TCP"))

    def proxied(self) -> Iterator[tuple[Pod, Way, Answer]]:
        """The ways in through the proxies of Ingresses and Gateways; `direct` says whether those are reached."""
        classes = {one.name: (one.spec and one.spec.controller) or "" for one in self.objects[IngressClass]}
        for ingress in self.objects[Ingress]:
            spec = ingress.spec
            name = (spec and spec.ingress_class_name) or ingress.annotations.get("kubernetes.io/ingress.class", "")
            known = proxies(classes.get(name, ""))
            images, outside = known or ((), False)
            through = [pod for found in self._pods.values() for pod in found if runs(pod.spec, images)]
            for service in _services_of(ingress):
                yield from self._led(ingress, name, service, through, outside)
        for route in self.objects[HTTPRoute]:
            parents = [p for p in (route.spec and route.spec.parent_refs) or () if p.kind in (None, "Gateway")]
            gateways = [(p.namespace or route.namespace, p.name) for p in parents]
            through = [
                pod
                for place, name in gateways
                for pod in self._pods.get(place, ())
                if pod.labels.get(_GATEWAY_LABEL) == name
            ]
            refs = [ref for rule in (route.spec and route.spec.rules) or () for ref in rule.backend_refs or ()]
            how = ", ".join("/".join(one) for one in gateways)
            for ref in refs if gateways else ():
                if not ref.group and ref.kind in (None, "Service"):
                    yield from self._led(route, how, (ref.namespace or route.namespace, ref.name), through, False)

    def _led(
        self, leads: Ingress | HTTPRoute, how: str, service: tuple[str, str], through: list[Pod], outside: bool
    ) -> Iterator[tuple[Pod, Way, Answer]]:
        found = self._services.get(service)
        for pod, port, protocol in self._behind(found) if found else ():
            way = _way(leads, how, (), port, protocol)
            if outside:
                yield self._entered(pod, way)
            elif not through:
                yield (
                    pod,
                    way,
                    Answer(value=None, reason=f"which pods are the proxies of {how or 'this class'} is not known"),
                )
            else:
                yield pod, way, self._relayed(pod, way, through)

    def _relayed(self, pod: Pod, way: Way, through: list[Pod]) -> Answer:
        """Whether the outside reaches a proxy that reaches a pod."""
        answers = []
        for proxy in (self._end(one) for one in through):
            entered = some(self._reached.get(proxy.name, [None]))
            inside = self.connections.answer(proxy, self._end(pod), way.port, way.protocol)
            words = {True: "is reached", False: "is not reached", None: "may or may not be reached"}[entered]
            reason = f"the proxy {proxy.name} {words} from outside; {inside.reason}"
            answers.append(Answer(value=every([entered, inside.value]), reason=reason))
        return _best(answers)

    def _entered(self, pod: Pod, way: Way) -> tuple[Pod, Way, Answer]:
        """Whether some address outside, of those that a way lets in, reaches a pod."""
        end = self._end(pod)
        versions = end.versions or {4, 6}
        answers = [
            self.connections.answer(source, end, way.port, way.protocol)
            for text in way.sources or _ANYWHERE
            for source in self._outside(text, versions)
        ]
        answer = _best(answers) if answers else Answer(value=None, reason="the addresses that it lets in are not known")
        self._reached.setdefault(end.name, []).append(answer.value)
        return pod, way, answer

    def _outside(self, text: str, versions: Iterable[int]) -> tuple[End, ...]:
        try:
            asked = ipaddress.ip_network(text, strict=False)
        except ValueError:
            return ()
        return self.ends.outside(asked) if asked.version in versions else ()

    def _behind(self, service: Service) -> Iterator[tuple[Pod, int, str]]:
        """The pods that a Service's selector selects, with the number that each of its ports has there."""
        spec = service.spec
        if spec is None or not spec.selector or spec.type == "ExternalName":
            return
        for pod in self._pods.get(service.namespace, ()):
            if spec.selector.items() <= pod.labels.items():
                for port in spec.ports or ():
                    number = _target(port, pod)
                    if number:
                        yield pod, number, port.protocol or "TCP"

    def _end(self, pod: Pod) -> End:
        return self.ends.pods[f"{pod.namespace}/{pod.name}"]


def _opened(service: Service) -> Iterator[tuple[str, tuple[str, ...]]]:
    """How a Service is open from outside, and for which addresses; none is all."""
    spec = service.spec
    if spec is None or spec.type == "ExternalName":
        return
    if spec.type == "LoadBalancer":
        written = service.annotations.get(SOURCE_RANGES, "")
        yield (
            "LoadBalancer",
            tuple(spec.load_balancer_source_ranges or (r.strip() for r in written.split(",") if r.strip())),
        )
    if any(port.node_port for port in spec.ports or ()):
        yield "NodePort", ()
    if spec.external_ips:
        yield "externalIPs", ()


def _target(port: ServicePort, pod: Pod) -> int | None:
    """The port of a pod that a Service's port leads to (pkg/api/v1/pod/util.go FindPort)."""
    if isinstance(port.target_port, str):
        asked, protocol = port.target_port, port.protocol or "TCP"
        found = named_ports(pod.spec) if pod.spec else ()
        return next((number for name, spoken, number in found if (name, spoken) == (asked, protocol)), None)
    return port.target_port or port.port


def _services_of(ingress: Ingress) -> list[tuple[str, str]]:
    """Namespace and name of the Services that an Ingress leads to, each once; which of their ports is not kept."""
    spec = ingress.spec
    paths = [path for rule in (spec and spec.rules) or () for path in (rule.http and rule.http.paths) or ()]
    backends = [spec and spec.default_backend, *(path.backend for path in paths)]
    return list(dict.fromkeys((ingress.namespace, b.service.name) for b in backends if b and b.service))


def _way(obj: Service | Ingress | HTTPRoute | Pod, how: str, sources: tuple[str, ...], port: int, protocol: str) -> Way:
    return Way(
        kind=obj.kind, namespace=obj.namespace, name=obj.name, how=how, sources=sources, port=port, protocol=protocol
    )


def _best(answers: list[Answer]) -> Answer:
    """The answer of what is reached where one is: one that is allowed, else one that is not known."""
    return next(a for want in (True, None, False) for a in answers if a.value is want)
