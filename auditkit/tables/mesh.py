"""The service mesh (Istio): whether traffic between pods is encrypted, and who may call whom."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from auditkit.analysis import mesh
from auditkit.analysis.owners import POD_KINDS, Owned, owned
from auditkit.analysis.selectors import every, some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.network import AuthorizationPolicy, DestinationRule, PeerAuthentication, TrafficPolicy
from auditkit.kinds.platform import ConfigMap, Namespace
from auditkit.kinds.pods import PodSpec
from auditkit.kinds.workloads import Pod
from auditkit.tables.network import workloads

PLAIN = ("PERMISSIVE", "DISABLE")


def mesh_namespaces(objects: Objects) -> list[str]:
    """The namespaces in the mesh, without its root: by label, by policies in them, or by a sidecar that runs there."""
    found = {o.namespace for kind in (PeerAuthentication, AuthorizationPolicy) for o in objects[kind]}
    for pod in objects[Pod]:
        spec = pod.spec or PodSpec()
        if not mesh.only_proxy(spec) and (mesh.has_sidecar(spec) or mesh.in_ambient(pod.labels, {})):
            found.add(pod.namespace)
    for one in objects[Namespace]:
        injected = one.labels.get("istio-injection") == "enabled" or one.labels.get("istio.io/rev")
        if injected or mesh.in_ambient({}, one.labels):
            found.add(one.name)
    return sorted(found - {mesh.root_namespace(objects[ConfigMap]) or mesh.ROOT})


@table(
    "mesh_encryption",
    kinds=(PeerAuthentication, DestinationRule, AuthorizationPolicy, Namespace, Pod),
    beside=(ConfigMap,),
    key=("namespace", "kind", "name"),
)
class MeshEncryption:
    """One row per namespace of the mesh with the mode that holds in it, and per object that sets one.

    Of several policies of one scope the oldest is read; one that is not read is shown with what holds instead.
    """

    namespace: Annotated[str, "Namespace; empty for a row about a Namespace."]
    kind: Annotated[str, "Namespace, PeerAuthentication or DestinationRule."]
    name: Annotated[str, "Name of the object."]
    modes: Annotated[list[str], "Modes that hold, one per setting; empty text where it is not known."]
    encrypted: Annotated[bool | None, "No setting allows plain text; missing for a mode that is not known."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        policies, root = objects[PeerAuthentication], mesh.root_namespace(objects[ConfigMap])
        for name in mesh_namespaces(objects):
            mode = mesh.mutual(policies, root, name, {}).mode
            yield ("", "Namespace", name, [mode], _strict([mode]))
        for policy in policies:
            # A policy is in force for the labels that it selects, unless an older one of its scope is.
            wanted = (policy.spec.selector.match_labels if policy.spec and policy.spec.selector else None) or {}
            modes = list(mesh.mutual(policies, root, policy.namespace, wanted).modes)
            yield (policy.namespace, policy.kind, policy.name, modes, _strict(modes))
        for rule in objects[DestinationRule]:
            spec = rule.spec
            traffic = [spec.traffic_policy, *(s.traffic_policy for s in spec.subsets or ())] if spec else []
            modes = [mode for one in traffic if one for mode in _client_modes(one)]
            yield (rule.namespace, rule.kind, rule.name, modes, every(_client_encrypts(mode) for mode in modes))


def _strict(modes: Sequence[str]) -> bool | None:
    return every(True if mode == "STRICT" else False if mode in PLAIN else None for mode in modes)


def _client_modes(policy: TrafficPolicy) -> Iterator[str]:
    for one in (policy, *(policy.port_level_settings or ())):
        if one.tls:
            # The mode left out is DISABLE, the first of the enumeration.
            yield one.tls.mode or "DISABLE"


def _client_encrypts(mode: str) -> bool | None:
    return True if mode in ("SIMPLE", "MUTUAL", "ISTIO_MUTUAL") else False if mode == "DISABLE" else None


@dataclass(frozen=True, kw_only=True)
class _Mesh:
    """What there is in the cluster that decides about pods of the mesh."""

    root: str | None
    labels: dict[str, dict[str, str]]
    tunnelled: frozenset[str]
    workloads: tuple[Owned, ...]


def _mesh(objects: Objects) -> _Mesh:
    running = {(w.namespace, w.kind, w.name) for w in workloads(objects)}
    inside = set(mesh_namespaces(objects))
    return _Mesh(
        root=mesh.root_namespace(objects[ConfigMap]),
        labels={one.name: one.labels for one in objects[Namespace]},
        tunnelled=mesh.tunnelled_nodes(objects[Pod]),
        workloads=tuple(
            one
            for one in objects.once(owned)
            if one.key in running and one.key[0] in inside and not any(map(mesh.only_proxy, one.specs))
        ),
    )


def _proxies(one: Owned, there: _Mesh) -> list[mesh.Proxy]:
    """What stands before each running pod of a workload."""
    return [mesh.proxy(pod, there.labels.get(pod.namespace, {}), there.tunnelled) for pod in one.pods]


def _labels(one: Owned) -> list[dict[str, str]]:
    """The labels of its pods, or of the template where none runs; those that are alike once."""
    found = [(made.metadata.labels if made.metadata else None) or {} for made in one.made]
    return [dict(labels) for labels in dict.fromkeys(tuple(sorted(labels.items())) for labels in found)]


P = TypeVar("P", PeerAuthentication, AuthorizationPolicy)


def _near(policies: Sequence[P], there: _Mesh) -> Mapping[str, list[P]]:
    """The policies that can hold in each namespace of the workloads: its own, and those of the root."""
    names = {one.key[0] for one in there.workloads}
    return {name: [p for p in policies if p.namespace in (there.root, name)] for name in names}


class _Workload:
    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the workload (top owner)."]
    name: Annotated[str, "Name of the workload."]


@table(
    "mesh_workloads",
    kinds=(*POD_KINDS, PeerAuthentication, AuthorizationPolicy, Namespace),
    beside=(ConfigMap,),
    key=("namespace", "kind", "name"),
)
class MeshWorkload(_Workload):
    """One row per workload in a namespace of the mesh: the mode in which it takes calls, and whether a proxy enforces it.

    Gateways, waypoints and ztunnel, which are proxies themselves, are left out. The engine is analysis/mesh.py.
    """

    pods: Annotated[int, "Pods that have not ended; where 0, the labels of the template are judged."]
    proxies: Annotated[list[str], "What stands before its pods: sidecar, ambient, none."]
    proxied: Annotated[bool | None, "A proxy stands before every pod; missing where none runs."]
    modes: Annotated[list[str], "Modes of its pods: STRICT, PERMISSIVE, DISABLE."]
    ports: Annotated[list[str], "Ports with a mode of their own, as PORT MODE."]
    policies: Annotated[list[str], "NAMESPACE/NAME of the PeerAuthentications that say so; none is Istio's default."]
    bypass: Annotated[list[str], "Ports that annotations let past the sidecar."]
    encrypted: Annotated[
        bool | None,
        "No plain text is taken: a proxy before every pod, STRICT on every port, nothing let past. Missing where that is not known.",
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        there = objects.once(_mesh)
        policies = _near(objects[PeerAuthentication], there)
        for one in there.workloads:
            proxies = _proxies(one, there)
            held = [mesh.mutual(policies[one.key[0]], there.root, one.key[0], labels) for labels in _labels(one)]
            past = sorted({port for pod in one.pods for port in mesh.bypassed(pod)}) if "sidecar" in proxies else []
            proxied = "none" not in proxies if proxies else None
            strict = [_enforced(mode, proxies) for mutual in held for mode in mutual.modes]
            yield (
                *one.key, len(one.pods), sorted(set(proxies)), proxied,
                sorted({m.mode for m in held}), sorted({f"{port} {mode}" for m in held for port, mode in m.ports.items()}),
                sorted({m.policy for m in held} - {""}), past, every([proxied, not past, *strict]),
            )  # fmt: skip


def _enforced(mode: str, proxies: Sequence[mesh.Proxy]) -> bool | None:
    """Whether a mode takes no plain text; what DISABLE means in ambient mode, where it is not supported, is not known."""
    return None if mode == "DISABLE" and set(proxies) == {"ambient"} else _strict([mode])


@table(
    "mesh_callers",
    kinds=(*POD_KINDS, AuthorizationPolicy, PeerAuthentication, Namespace),
    beside=(ConfigMap,),
    key=("namespace", "kind", "name"),
)
class MeshCallers(_Workload):
    """One row per workload in a namespace of the mesh: the AuthorizationPolicies that its proxies enforce.

    Policies in a dry run, and those with targets, which waypoints and gateways enforce, are not among them.
    """

    allow: Annotated[list[str], "NAMESPACE/NAME of policies that allow."]
    deny: Annotated[list[str], "Of those that deny."]
    custom: Annotated[list[str], "Of those that ask another server."]
    audit: Annotated[list[str], "Of those that only record."]
    proxied: Annotated[bool | None, "A proxy that enforces them stands before every pod; missing where none runs."]
    open: Annotated[bool | None, "Takes every call; missing where it depends on the call, or on what is not known."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        there = objects.once(_mesh)
        near = _near(objects[AuthorizationPolicy], there)
        for one in there.workloads:
            proxies, namespace = _proxies(one, there), one.key[0]
            policies = near[namespace]
            held = [[p for p in policies if mesh.applies(p, there.root, namespace, labels)] for labels in _labels(one)]
            named = {
                name: sorted({f"{p.namespace}/{p.name}" for one_ in held for p in one_ if mesh.action(p) == name})
                for name in ("ALLOW", "DENY", "CUSTOM", "AUDIT")
            }
            opened = some(mesh.takes_all(found) for found in held)
            waypoint = "ambient" in proxies and any(mesh.has_targets(p) for p in policies)
            open_ = None if opened and (waypoint or there.root is None) else opened
            proxied = "none" not in proxies if proxies else None
            # Without a proxy the policies do nothing, and where no pod runs there may be none.
            closed = open_ if proxied else (True if open_ or proxied is False else None)
            yield (*one.key, *named.values(), proxied, closed)


@table(
    "mesh_authorization",
    kinds=(AuthorizationPolicy, PeerAuthentication, Namespace, Pod),
    beside=(ConfigMap,),
    key=("namespace", "kind", "name"),
)
class MeshAuthorization:
    """One row per AuthorizationPolicy, and per namespace of the mesh with what holds where no policy names a workload.

    Without an ALLOW policy a workload takes every call; an ALLOW policy without rules takes none (Istio,
    security/v1beta1 AuthorizationPolicy).
    """

    namespace: Annotated[str, "Namespace; empty for a row about a Namespace."]
    kind: Annotated[str, "Namespace or AuthorizationPolicy."]
    name: Annotated[str, "Name of the object."]
    action: Annotated[str | None, "ALLOW, DENY, CUSTOM or AUDIT; missing for a Namespace."]
    open: Annotated[bool | None, "Takes every call; missing where it depends on the workload."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        root = mesh.root_namespace(objects[ConfigMap])
        policies: dict[str, list[AuthorizationPolicy]] = defaultdict(list)
        for a in objects[AuthorizationPolicy]:
            policies[a.namespace].append(a)
            closes = False if mesh.action(a) in ("DENY", "CUSTOM", "AUDIT") else None
            open_ = mesh.matches_all(a) if mesh.action(a) == "ALLOW" else closes
            yield (a.namespace, a.kind, a.name, mesh.action(a), open_)
        for name in mesh_namespaces(objects):
            found = [p for p in objects[AuthorizationPolicy] if mesh.applies(p, root, name, {})]
            opened = mesh.takes_all(found)
            # Policies that name workloads may close some of them.
            others = [p for p in policies[name] if p not in found and mesh.action(p) != "AUDIT"]
            unsure = root is None or (others and not any(mesh.action(p) == "ALLOW" for p in found))
            yield ("", "Namespace", name, None, None if opened and unsure else opened)
