"""Nodes, and what configures their kubelets and kube-proxy."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis import flags, kubelet
from auditkit.analysis.surroundings import CONTROL_PLANE
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import ConfigMap, Node, NodeInfo, NodeSpec, NodeStatus

PRESSURES = ("MemoryPressure", "DiskPressure", "PIDPressure", "NetworkUnavailable")


@table("nodes", kinds=(Node,), key=("name",))
class NodeRow:
    """One row per node."""

    namespace: Annotated[str, "Empty: a node lies in no namespace."]
    kind: Annotated[str, "Node."]
    name: Annotated[str, "Name of the node."]
    control_plane: Annotated[bool, f"Carries one of the labels {', '.join(CONTROL_PLANE)}."]
    kubelet_version: Annotated[str | None, "Version of the kubelet."]
    kubelet_minor: Annotated[int | None, "Minor version of the kubelet: 36 of v1.36.2."]
    os: Annotated[str | None, "linux or windows."]
    os_image: Annotated[str | None, "Operating system as the kubelet reports it."]
    kernel: Annotated[str | None, "Version of the kernel."]
    runtime: Annotated[str | None, "Container runtime and its version."]
    zone: Annotated[str | None, "Label topology.kubernetes.io/zone."]
    provider: Annotated[str | None, "Infrastructure provider, from the providerID, e.g. aws."]
    unschedulable: Annotated[bool, "Cordoned: takes no new pods."]
    taints: Annotated[list[str], "Taints as key=value:effect."]
    ready: Annotated[bool | None, "Condition Ready is True; missing where it is not reported."]
    pressures: Annotated[list[str], f"Conditions that are True or Unknown, of {', '.join(PRESSURES)}."]
    pressed: Annotated[bool, "There is such a condition."]
    cpu: Annotated[str | None, "CPU that pods can use (status.allocatable)."]
    memory: Annotated[str | None, "Memory that pods can use (status.allocatable)."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for node in objects[Node]:
            spec, status = node.spec or NodeSpec(), node.status or NodeStatus()
            info = status.node_info or NodeInfo()
            states = {c.type: c.status for c in status.conditions or ()}
            pressures = [name for name in PRESSURES if states.get(name) in ("True", "Unknown")]
            available = {name: str(value) for name, value in (status.allocatable or {}).items()}
            yield (
                "",
                "Node",
                node.name,
                not node.labels.keys().isdisjoint(CONTROL_PLANE),
                info.kubelet_version,
                flags.minor(info.kubelet_version),
                info.operating_system or node.labels.get("kubernetes.io/os"),
                info.os_image,
                info.kernel_version,
                info.container_runtime_version,
                node.labels.get("topology.kubernetes.io/zone"),
                spec.provider_id,
                bool(spec.unschedulable),
                [f"{t.key}={t.value or ''}:{t.effect or ''}" for t in spec.taints or ()],
                states["Ready"] == "True" if "Ready" in states else None,
                pressures,
                bool(pressures),
                available.get("cpu"),
                available.get("memory"),
            )


@view("kubelet_versions", key=("name",))
class KubeletVersion:
    """One row per node: how far its kubelet is from the API server."""

    namespace: Annotated[str, "Empty: a node lies in no namespace."]
    kind: Annotated[str, "Node."]
    name: Annotated[str, "Name of the node."]
    kubelet_version: Annotated[str | None, "Version of the kubelet."]
    server_version: Annotated[str | None, "Version of the API server."]
    behind: Annotated[int | None, "Minor versions that the kubelet is older; negative where it is newer."]
    supported: Annotated[int | None, "Minor versions that it may be older: three, two before 1.25."]

    @staticmethod
    def frame(nodes: pd.DataFrame, origin: pd.DataFrame) -> pd.DataFrame:
        server = origin.version.map(flags.minor, na_action="ignore").astype("Int64").reindex(range(1)).iloc[0]
        nodes["server_version"] = origin.version[0]
        nodes["behind"] = server - nodes.kubelet_minor
        nodes["supported"] = 3 - (nodes.kubelet_minor < 25).astype("Int64")
        return nodes


class _Place:
    namespace: Annotated[str, "Namespace of the ConfigMap."]
    kind: Annotated[str, "ConfigMap."]
    name: Annotated[str, "Name of the ConfigMap."]


@table("kubelets", kinds=(ConfigMap,), key=("namespace", "name"))
class KubeletRow(_Place):
    """One row per kubelet-config of kube-system, not per node: what kubeadm gives to the kubelets of joining nodes.

    What each node runs is not seen: its file may be older or changed, a flag of its kubelet goes first, and nodes
    that another tool made (Windows, node pools) may take none of it. Fields left out count with the default of a
    configuration file (analysis/kubelet.py), which is not that of the flag. All columns are missing where the text
    cannot be read as a KubeletConfiguration.
    """

    anonymous: Annotated[bool | None, "authentication.anonymous.enabled; default false."]
    authorization: Annotated[str | None, "authorization.mode; default Webhook."]
    client_ca: Annotated[bool | None, "authentication.x509.clientCAFile is set."]
    read_only_port: Annotated[int | None, "readOnlyPort; default 0, none."]
    idle_timeout: Annotated[
        float | None, "streamingConnectionIdleTimeout in seconds; default, and meaning of 0, four hours."
    ]
    iptables_chains: Annotated[bool | None, "makeIPTablesUtilChains; default true."]
    event_qps: Annotated[int | None, "eventRecordQPS; default 50, 5 before 1.27; 0 is without limit."]
    serving_certificate: Annotated[bool | None, "tlsCertFile and tlsPrivateKeyFile are set, or serverTLSBootstrap."]
    rotates: Annotated[bool | None, "rotateCertificates; default false."]
    rotates_serving: Annotated[
        bool | None, "serverTLSBootstrap, and RotateKubeletServerCertificate is not off, by name or by AllBeta."
    ]
    weak_tls: Annotated[bool | None, "Suites without forward secrecy or without AEAD are accepted."]
    pod_pids: Annotated[int | None, "podPidsLimit; default -1, the node's own."]
    seccomp_default: Annotated[bool | None, "seccompDefault; default false."]
    protects_kernel: Annotated[bool | None, "protectKernelDefaults; default false."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[ConfigMap]:
            place = (found.namespace, "ConfigMap", found.name)
            if found.kubelet is not None:
                # Before 1.24 kubeadm wrote one for each version: kubelet-config-1.23.
                version = flags.minor(found.name.removeprefix("kubelet-config-"))
                yield (*place, *kubelet.effective(found.kubelet, version))
            elif found.namespace == "kube-system" and "kubelet" in (found.unreadable or ()):
                yield (*place, *[None] * len(kubelet.KubeletSettings._fields))


@table("kube_proxies", kinds=(ConfigMap,), key=("namespace", "name"))
class KubeProxyRow(_Place):
    """One row per configuration of kube-proxy in kube-system, not per node; flags of its pods may change it.

    All columns are missing where it cannot be read.
    """

    mode: Annotated[str | None, "iptables, ipvs, nftables or kernelspace; empty is the platform's default."]
    metrics_address: Annotated[str | None, "metricsBindAddress; default 127.0.0.1:10249."]
    local: Annotated[bool | None, "Metrics are served on the node's own loopback address."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[ConfigMap]:
            place = (found.namespace, "ConfigMap", found.name)
            if found.kube_proxy is not None:
                address = found.kube_proxy.metrics_bind_address or "127.0.0.1:10249"
                yield (*place, found.kube_proxy.mode or "", address, flags.loopback(address))
            elif found.name.startswith("kube-proxy") and found.unreadable:
                yield (*place, None, None, None)
