"""What Istio decides of a pod: whether a proxy stands before it, which TLS mode holds, and which policies apply."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from auditkit.analysis.selectors import some
from auditkit.kinds.network import AuthorizationPolicy, PeerAuthentication
from auditkit.kinds.platform import ConfigMap
from auditkit.kinds.pods import LabelSelector, PodSpec
from auditkit.kinds.workloads import Pod

# Istio's own default (istio, pkg/config/mesh DefaultMeshConfig).
ROOT = "istio-system"
PROXY = "istio-proxy"
AMBIENT = "istio.io/dataplane-mode"
# Written to a pod by istio-cni once its traffic goes through the node's ztunnel.
REDIRECTED = "ambient.istio.io/redirection"
_TRAFFIC = "traffic.sidecar.istio.io/"
_INTERCEPTION = "sidecar.istio.io/interceptionMode"
_DRY_RUN = "istio.io/dry-run"

Proxy = Literal["sidecar", "ambient", "none"]


def root_namespace(config_maps: Iterable[ConfigMap]) -> str | None:
    """The namespace whose policies hold for the whole mesh; None where meshes differ or a mesh config is unreadable."""
    found = [c for c in config_maps if c.name == "istio" or c.name.startswith("istio-")]
    if any("mesh" in (c.unreadable or ()) for c in found):
        return None
    roots = {c.mesh.root_namespace or ROOT for c in found if c.mesh} or {ROOT}
    return roots.pop() if len(roots) == 1 else None


@dataclass(frozen=True, kw_only=True, slots=True)
class Mutual:
    """The mode that holds for a pod, "" where it is not known; `ports` that have one of their own; what decided."""

    mode: str
    ports: Mapping[int | str, str] = field(default_factory=dict)
    policy: str = ""

    @property
    def modes(self) -> tuple[str, ...]:
        return self.mode, *self.ports.values()


def mutual(
    policies: Sequence[PeerAuthentication], root: str | None, namespace: str, labels: Mapping[str, str]
) -> Mutual:
    """The mode in which a pod with these labels takes calls.

    The narrowest scope decides: workload (a policy with a selector), namespace, mesh; in each the oldest policy is the
    only one, also where it says UNSET; UNSET is what the next scope says, at last PERMISSIVE. Ports count only in a
    policy with a selector, and one with a selector in the root namespace does nothing (istio,
    pilot/pkg/security/authn/policy_applier.go ComposePeerAuthentication).
    """
    mesh = _oldest(p for p in policies if p.namespace == root and not _selector(p))
    own = [p for p in policies if p.namespace == namespace and namespace != root]
    wide = _oldest(p for p in own if not _selector(p))
    narrow = _oldest(p for p in own if (wanted := _selector(p)) and wanted.items() <= labels.items())
    mode, decided = ("PERMISSIVE", "") if root else ("", "")
    for policy in (mesh, wide, narrow):
        said = policy.spec.mtls.mode if policy and policy.spec and policy.spec.mtls else None
        if policy and said not in (None, "UNSET"):
            mode, decided = str(said), f"{policy.namespace}/{policy.name}"
    ports = (narrow.spec.port_level_mtls if narrow and narrow.spec else None) or {}
    return Mutual(
        mode=mode,
        ports={port: mode if one.mode in (None, "UNSET") else str(one.mode) for port, one in ports.items()},
        policy=decided,
    )


def _selector(policy: PeerAuthentication | AuthorizationPolicy) -> dict[str, str]:
    """Istio's WorkloadSelector has labels only; an empty one is none."""
    found: LabelSelector | None = policy.spec.selector if policy.spec else None
    return (found.match_labels if found else None) or {}


def _oldest(policies: Iterable[PeerAuthentication]) -> PeerAuthentication | None:
    """The first made; of those of one second the first by name (istio, pilot/pkg/model sortConfigByCreationTime)."""
    return min(policies, key=lambda p: (str(p.metadata.creation_timestamp), p.name, p.namespace), default=None)


def only_proxy(spec: PodSpec) -> bool:
    """Whether a pod is nothing but a proxy: a gateway, a waypoint, or ztunnel."""
    return bool(spec.containers) and all(c.name == PROXY for c in spec.containers or ())


def has_sidecar(spec: PodSpec) -> bool:
    """Whether a sidecar was injected: as a container, or as an init container that stays (istio 1.27's default)."""
    native = [c for c in spec.init_containers or () if c.restart_policy == "Always"]
    return any(c.name == PROXY for c in (*(spec.containers or ()), *native))


def tunnelled_nodes(pods: Iterable[Pod]) -> frozenset[str]:
    """The nodes where ztunnel is ready: without it, pods in ambient mode are outside the mesh."""
    return frozenset(
        pod.spec.node_name or ""
        for pod in pods
        if pod.spec and pod.status and pod.status.ready and any(map(_is_ztunnel, pod.spec.containers or ()))
    )


def _is_ztunnel(container: object) -> bool:
    repository = (getattr(container, "image", None) or "").partition("@")[0].rpartition("/")[2]
    return bool(repository.partition(":")[0].startswith("ztunnel"))


def in_ambient(labels: Mapping[str, str], namespace_labels: Mapping[str, str]) -> bool:
    """Whether a pod is asked into ambient mode: by its own label, else by its namespace's."""
    return labels.get(AMBIENT, namespace_labels.get(AMBIENT)) == "ambient"


def proxy(pod: Pod, namespace_labels: Mapping[str, str], tunnelled: Collection[str]) -> Proxy:
    """What really stands before a running pod; a pod on the node's own network is never in the mesh."""
    spec = pod.spec or PodSpec()
    if spec.host_network:
        return "none"
    if has_sidecar(spec):
        return "sidecar"
    redirected = pod.annotations.get(REDIRECTED) == "enabled"
    asked = in_ambient(pod.labels, namespace_labels)
    return "ambient" if asked and redirected and (spec.node_name or "") in tunnelled else "none"


def bypassed(pod: Pod) -> list[str]:
    """What annotations let past a sidecar: ports, or all of it (istio.io/docs/reference/config/annotations)."""
    included = pod.annotations.get(_TRAFFIC + "includeInboundPorts", "*").strip()
    excluded = pod.annotations.get(_TRAFFIC + "excludeInboundPorts", "")
    found = [port.strip() for port in excluded.split(",") if port.strip()]
    if included != "*":
        found.append(f"all but {included}" if included else "all")
    return found + (["all"] if pod.annotations.get(_INTERCEPTION) == "NONE" and "all" not in found else [])


def applies(policy: AuthorizationPolicy, root: str | None, namespace: str, labels: Mapping[str, str]) -> bool:
    """Whether an AuthorizationPolicy is enforced by the proxy of a pod that is no gateway.

    One of the root namespace holds everywhere, one with targets only at their gateways or waypoints (istio,
    pilot/pkg/model/policyattachment.go ShouldAttachPolicy); a dry run is only recorded.
    """
    if policy.annotations.get(_DRY_RUN) == "true" or has_targets(policy):
        return False
    return policy.namespace in (root, namespace) and _selector(policy).items() <= labels.items()


def has_targets(policy: AuthorizationPolicy) -> bool:
    return bool(policy.spec and (policy.spec.target_refs or policy.spec.target_ref))


def action(policy: AuthorizationPolicy) -> str:
    return (policy.spec and policy.spec.action) or "ALLOW"


def matches_all(policy: AuthorizationPolicy) -> bool | None:
    """Whether a rule of a policy matches every call: one without members; no rules match nothing."""
    rules = (policy.spec and policy.spec.rules) or ()
    return some(False if rule.from_ or rule.to or rule.when else (None if rule.unknown else True) for rule in rules)


def takes_all(policies: Sequence[AuthorizationPolicy]) -> bool | None:
    """Whether a workload under these policies takes every call.

    CUSTOM and DENY come first, then ALLOW: without any, all is taken, else what one of them allows. What a CUSTOM
    policy's server answers, and what a DENY leaves, is not known (istio.io, security concepts, implicit enablement).
    """
    by = {name: [p for p in policies if action(p) == name] for name in ("ALLOW", "DENY", "CUSTOM")}
    denied = some(matches_all(p) for p in by["DENY"])
    if denied:
        return False
    opened = some(matches_all(p) for p in by["ALLOW"]) if by["ALLOW"] else True
    asked = any((p.spec and p.spec.rules) for p in (*by["DENY"], *by["CUSTOM"]))
    unknown = any(action(p) not in (*by, "AUDIT") for p in policies)
    return None if opened and (asked or unknown) else opened
