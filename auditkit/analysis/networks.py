"""Which network a cluster has, whether it enforces NetworkPolicy, and whose policies there are beside it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from auditkit.analysis.objects import Objects
from auditkit.analysis.selectors import some
from auditkit.kinds import Kind
from auditkit.kinds.network import (
    AdminNetworkPolicy,
    AntreaClusterNetworkPolicy,
    AntreaNetworkPolicy,
    BaselineAdminNetworkPolicy,
    CalicoGlobalNetworkPolicy,
    CalicoNetworkPolicy,
    CiliumClusterwideNetworkPolicy,
    CiliumNetworkPolicy,
    ClusterNetworkPolicy,
)
from auditkit.kinds.platform import Node
from auditkit.kinds.pods import PodSpec
from auditkit.kinds.workloads import DaemonSet, pod_template
from auditkit.resources import data

# Whose policies each kind beside NetworkPolicy is.
ENGINES: Mapping[type[Kind], str] = MappingProxyType(
    {
        CiliumNetworkPolicy: "cilium",
        CiliumClusterwideNetworkPolicy: "cilium",
        CalicoNetworkPolicy: "calico",
        CalicoGlobalNetworkPolicy: "calico",
        AntreaNetworkPolicy: "antrea",
        AntreaClusterNetworkPolicy: "antrea",
        AdminNetworkPolicy: "admin",
        BaselineAdminNetworkPolicy: "admin",
        ClusterNetworkPolicy: "admin",
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Network:
    """A DaemonSet that is a network: its engine, whether that enforces NetworkPolicy (None where a version or a flag
    decides), and whether it is available on every Linux node (None where that was not collected)."""

    daemon: DaemonSet
    engine: str
    enforces: bool | None
    everywhere: bool | None


def proxies(controller: str) -> tuple[tuple[str, ...], bool] | None:
    """The images of an Ingress controller's proxies, and whether they are outside the cluster; None where not known."""
    entry = next((one for one in data("networks.toml")["ingress"] if one["controller"] == controller), None)
    return (tuple(entry["images"]), bool(entry.get("outside"))) if entry else None


def runs(spec: PodSpec | None, images: Iterable[str]) -> bool:
    """Whether a container of a pod is of one of these images: the last parts of its repository, whatever the registry."""
    repositories = ["/" + _repository(c.image) for c in (spec and spec.containers) or () if c.image]
    return any(one.endswith("/" + image) for one in repositories for image in images)


def networks(objects: Objects) -> list[Network]:
    """The DaemonSets that data/networks.toml knows as a network, by name or by image."""
    found = []
    for daemon in objects[DaemonSet]:
        entries = [entry for entry in data("networks.toml")["network"] if _is(entry, daemon)]
        if entries:
            found.append((daemon, str(entries[0]["engine"]), some(entry.get("enforces") for entry in entries)))
    nodes = sum(is_linux(node) for node in objects[Node])
    available: dict[str, int] = defaultdict(int)
    for daemon, engine, _ in found:
        available[engine] += (daemon.status and daemon.status.number_available) or 0
    return [
        Network(
            daemon=daemon,
            engine=engine,
            enforces=enforces,
            everywhere=available[engine] >= nodes if nodes and daemon.status else None,
        )
        for daemon, engine, enforces in found
    ]


def enforcement(objects: Objects) -> tuple[bool, str]:
    """Whether NetworkPolicies are known to be enforced on every Linux node, and by what, or why that is not known.

    A DaemonSet without status, as in manifests, is taken to run.
    """
    found = networks(objects)
    for one in found:
        if one.enforces and one.everywhere is not False:
            return True, f"{one.engine} enforces NetworkPolicy (DaemonSet {one.daemon.namespace}/{one.daemon.name})"
    if not found:
        return False, "no known network plugin is among the DaemonSets: whether policies are enforced is not known"
    parts = []
    for one in found:
        if one.enforces:
            parts.append(f"{one.engine} is not available on every Linux node")
        elif one.enforces is None:
            parts.append(f"whether {one.engine} enforces NetworkPolicy depends on its version or flags")
        else:
            parts.append(f"{one.engine} does not enforce NetworkPolicy")
    return False, "; ".join(parts)


def is_linux(node: Node) -> bool:
    return node.labels.get("kubernetes.io/os", "linux") == "linux"


def _is(entry: Mapping[str, Any], daemon: DaemonSet) -> bool:
    return daemon.name in entry["names"] or runs(pod_template(daemon).spec, entry["images"])


def _repository(image: str) -> str:
    head, _, last = image.partition("@")[0].rpartition("/")
    return f"{head}/{last.partition(':')[0]}"
