"""The service mesh (Istio): whether traffic between pods is encrypted, and who may call whom."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.analysis.selectors import every, some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.network import AuthorizationPolicy, DestinationRule, PeerAuthentication, TrafficPolicy
from auditkit.kinds.platform import Namespace
from auditkit.kinds.workloads import Pod

# Istio's root namespace by default: what stands here without a selector holds for the whole mesh.
ROOT = "istio-system"
PLAIN = ("PERMISSIVE", "DISABLE")


def mesh_namespaces(objects: Objects) -> list[str]:
    """The namespaces in the mesh: by label, by policies of the mesh in them, or by a sidecar that runs there."""
    found = {o.namespace for kind in (PeerAuthentication, AuthorizationPolicy) for o in objects[kind]}
    for pod in objects[Pod]:
        containers = [*((pod.spec and pod.spec.containers) or ()), *((pod.spec and pod.spec.init_containers) or ())]
        if any(container.name == "istio-proxy" for container in containers):
            found.add(pod.namespace)
    for one in objects[Namespace]:
        labels = one.labels
        if labels.get("istio-injection") == "enabled" or labels.get("istio.io/rev"):
            found.add(one.name)
        if labels.get("istio.io/dataplane-mode") == "ambient":
            found.add(one.name)
    return sorted(found - {ROOT})


@table(
    "mesh_encryption",
    kinds=(PeerAuthentication, DestinationRule, AuthorizationPolicy, Namespace, Pod),
    key=("namespace", "kind", "name"),
)
class MeshEncryption:
    """One row per namespace of the mesh with the mode that holds in it, and per object that sets one.

    What a PeerAuthentication leaves out comes from its namespace, then from the root namespace (taken to be
    istio-system), then is PERMISSIVE (Istio, security/v1beta1 PeerAuthentication).
    """

    namespace: Annotated[str, "Namespace; empty for a row about a Namespace."]
    kind: Annotated[str, "Namespace, PeerAuthentication or DestinationRule."]
    name: Annotated[str, "Name of the object."]
    modes: Annotated[list[str], "Modes that hold, one per setting."]
    encrypted: Annotated[bool | None, "No setting allows plain text; missing for a mode that is not known."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        wide: dict[str, str] = {}
        oldest = sorted(objects[PeerAuthentication], key=lambda p: (str(p.metadata.creation_timestamp), p.name))
        for p in oldest:
            mode = p.spec and p.spec.mtls and p.spec.mtls.mode
            if mode and mode != "UNSET" and not (p.spec and p.spec.selector):
                wide.setdefault(p.namespace, mode)
        mesh = wide.get(ROOT, "PERMISSIVE")
        for name in mesh_namespaces(objects):
            yield ("", "Namespace", name, [wide.get(name, mesh)], _strict([wide.get(name, mesh)]))
        for p in objects[PeerAuthentication]:
            inherited = wide.get(p.namespace, mesh)
            own = _or(p.spec.mtls.mode if p.spec and p.spec.mtls else None, inherited)
            ports = (p.spec and p.spec.port_level_mtls) or {}
            modes = [own, *(_or(port.mode, own) for port in ports.values())]
            yield (p.namespace, p.kind, p.name, modes, _strict(modes))
        for rule in objects[DestinationRule]:
            spec = rule.spec
            policies = [spec.traffic_policy, *(s.traffic_policy for s in spec.subsets or ())] if spec else []
            modes = [mode for policy in policies if policy for mode in _client_modes(policy)]
            yield (rule.namespace, rule.kind, rule.name, modes, every(_client_encrypts(mode) for mode in modes))


def _or(mode: str | None, inherited: str) -> str:
    return inherited if mode in (None, "UNSET") else str(mode)


def _strict(modes: list[str]) -> bool | None:
    return every(True if mode == "STRICT" else False if mode in PLAIN else None for mode in modes)


def _client_modes(policy: TrafficPolicy) -> Iterator[str]:
    for one in (policy, *(policy.port_level_settings or ())):
        if one.tls:
            # The mode left out is DISABLE, the first of the enumeration.
            yield one.tls.mode or "DISABLE"


def _client_encrypts(mode: str) -> bool | None:
    return True if mode in ("SIMPLE", "MUTUAL", "ISTIO_MUTUAL") else False if mode == "DISABLE" else None


@table(
    "mesh_authorization",
    kinds=(AuthorizationPolicy, PeerAuthentication, Namespace, Pod),
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
        policies: dict[str, list[AuthorizationPolicy]] = defaultdict(list)
        for a in objects[AuthorizationPolicy]:
            policies[a.namespace].append(a)
            yield (a.namespace, a.kind, a.name, _action(a), _open(a))
        wide = [a for a in policies[ROOT] if _whole(a)]
        for name in mesh_namespaces(objects):
            yield ("", "Namespace", name, None, _takes_all([*wide, *policies[name]]))


def _action(policy: AuthorizationPolicy) -> str:
    return (policy.spec and policy.spec.action) or "ALLOW"


def _whole(policy: AuthorizationPolicy) -> bool:
    return not (policy.spec and (policy.spec.selector or policy.spec.target_refs))


def _open(policy: AuthorizationPolicy) -> bool | None:
    if _action(policy) != "ALLOW":
        return False
    rules = (policy.spec and policy.spec.rules) or ()
    return some(False if rule.from_ or rule.to or rule.when else (None if rule.unknown else True) for rule in rules)


def _takes_all(policies: list[AuthorizationPolicy]) -> bool | None:
    """Whether a workload that no selector names takes every call.

    What ALLOW policies allow adds up: one rule without members opens it again. DENY and CUSTOM may or
    may not close it.
    """
    closing = [a for a in policies if _action(a) != "AUDIT"]
    allowing = [a for a in closing if _whole(a) and _action(a) == "ALLOW"]
    if not closing:
        return True
    if not allowing:
        return None
    opened = some(_open(a) for a in allowing)
    return None if opened and any(_whole(a) and _action(a) != "ALLOW" for a in closing) else opened
