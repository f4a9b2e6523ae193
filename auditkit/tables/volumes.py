"""Volumes of workloads: where they come from, and what of the node they open."""

import posixpath
import re
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
import pandas as pd

from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.pods import PodSpec, Volume

_SOURCES = {f.name: f.encode_name for f in msgspec.structs.fields(Volume) if f.name not in ("name", "unknown")}
# k8s.io/kubernetes/plugin/pkg/admission/serviceaccount/admission.go names the volume with a random suffix.
_TOKEN_VOLUME = re.compile(r"(kube-api-access)-[a-z0-9]{5}")

SOCKETS = (
    "/run/containerd/containerd.sock", "/run/containerd/containerd.sock.ttrpc", "/run/cri-dockerd.sock",
    "/run/crio/crio.sock", "/run/docker.sock", "/run/docker/containerd/containerd.sock", "/run/dockershim.sock",
    "/run/host-containerd/containerd.sock", "/run/k0s/containerd.sock", "/run/k3s/containerd/containerd.sock",
    "/run/podman/podman.sock", "/pipe/containerd-containerd", "/pipe/docker_engine",
    "/var/snap/microk8s/common/run/containerd.sock",
)  # fmt: skip
SOCKET_NAMES = frozenset(posixpath.basename(path) for path in SOCKETS)
DIRECTORIES = (
    "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/opt/bin", "/opt/cni", "/proc", "/program files",
    "/programdata", "/root", "/run", "/sbin", "/srv/kubernetes", "/sys", "/users", "/usr", "/windows",
    "/var/lib/cloud", "/var/lib/containerd", "/var/lib/containers", "/var/lib/docker", "/var/lib/etcd", "/var/lib/k0s",
    "/var/lib/kubelet", "/var/lib/rancher", "/var/spool/at", "/var/spool/cron",
)  # fmt: skip
CREDENTIALS = (
    "/etc/kubernetes/admin.conf", "/etc/kubernetes/azure.json", "/etc/kubernetes/bootstrap-kubelet.conf",
    "/etc/kubernetes/cloud.conf", "/etc/kubernetes/cloud-config", "/etc/kubernetes/kubelet.conf",
    "/etc/kubernetes/super-admin.conf", "/etc/rancher/k3s", "/etc/rancher/rke2", "/root/.aws", "/root/.azure",
    "/root/.config/gcloud", "/root/.kube", "/var/lib/kubelet/bootstrap-kubeconfig", "/var/lib/kubelet/kubeconfig",
    "/var/lib/kubelet/pki",
)  # fmt: skip
_DRIVE = re.compile(r"[/\\]?[A-Za-z]:")
# Where tools keep them in the home of whoever uses the node.
_HOME = re.compile(r"/home(/[^/]+(/(\.aws|\.azure|\.config/gcloud|\.kube)(/.*)?|/\.config)?)?")


class _Columns:
    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner, e.g. Deployment; Pod where nothing collected owns it."]
    name: Annotated[str, "Name of the top owner."]
    volume: Annotated[str, "Name of the volume; that of an injected token without its random end."]
    variant: Annotated[int, "0, or a number where pods of one owner differ: 0 is as in the newest pod."]
    running: Annotated[bool, "As in a pod that has not ended; otherwise as in the owner's template."]
    source: Annotated[str | None, "Field of the source, e.g. hostPath; missing where it is not a known one."]
    unknown: Annotated[bool, "Holds a member that Kubernetes 1.36 does not know."]
    host_path: Annotated[str | None, "Path on the node."]
    mounted: Annotated[bool, "A container mounts it."]
    writable: Annotated[bool, "A container mounts it without readOnly: true."]
    runtime_socket: Annotated[
        bool | None, "The path on the node is a container runtime's socket, or a folder that holds one."
    ]
    sensitive: Annotated[bool | None, "The path is, holds, or lies in a folder by which the node is taken over."]
    cloud_credentials: Annotated[
        bool | None, "The path is, holds, or lies in a place where credentials of a cloud or cluster are kept."
    ]


@table("volumes", kinds=POD_KINDS, key=("namespace", "kind", "name", "volume", "variant"))
class VolumeRow(_Columns):
    """One row per top owner and volume; as in its pods, else as in its template.

    Which claim a volume is of differs between the pods of a StatefulSet and is no column.
    """

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            variants: dict[str, dict[tuple[Any, ...], None]] = {}
            for spec in one.specs:
                for volume in spec.volumes or ():
                    token = _TOKEN_VOLUME.fullmatch(volume.name) if volume.projected else None
                    variants.setdefault(token[1] if token else volume.name, {})[_facts(spec, volume)] = None
            for name, found in variants.items():
                for variant, facts in enumerate(found):
                    yield *one.key, name, variant, bool(one.pods), *facts


@view("host_paths", key=("namespace", "kind", "name", "volume", "variant"))
class HostPath(_Columns):
    """Volumes that open a path of the node, and those whose source is not known."""

    @staticmethod
    def frame(volumes: pd.DataFrame) -> pd.DataFrame:
        return volumes[(volumes["source"] == "hostPath").fillna(True)]


def _facts(spec: PodSpec, volume: Volume) -> tuple[Any, ...]:
    """The columns after `running`; a volume without a source is an emptyDir (core/v1/defaults.go SetDefaults_Volume)."""
    containers = (*(spec.init_containers or ()), *(spec.containers or ()), *(spec.ephemeral_containers or ()))
    mounts = [mount for c in containers for mount in c.volume_mounts or () if mount.name == volume.name]
    known = next((wire for field, wire in _SOURCES.items() if getattr(volume, field) is not None), None)
    path = _real(volume.host_path.path) if volume.host_path else None
    return (
        known or (None if volume.unknown else "emptyDir"),
        bool(volume.unknown),
        volume.host_path.path if volume.host_path else None,
        bool(mounts),
        any(not mount.read_only for mount in mounts),
        None if path is None else posixpath.basename(path) in SOCKET_NAMES or _covers(path, SOCKETS),
        None if path is None else _touches(path, DIRECTORIES),
        None if path is None else _touches(path, CREDENTIALS) or bool(_HOME.fullmatch(path)),
    )


def _real(path: str) -> str:
    """The path without `..`, and without the link that /var/run is; of Windows without its drive, in lower case."""
    drive = _DRIVE.match(path)
    plain = path[drive.end() :].lower() if drive else path
    path = posixpath.normpath("/" + plain.replace("\\", "/").lstrip("/"))
    return path.removeprefix("/var") if path == "/var/run" or path.startswith("/var/run/") else path


def _covers(path: str, places: tuple[str, ...]) -> bool:
    """Whether one of the places is the path or lies below it."""
    return any(place == path or place.startswith(path.rstrip("/") + "/") for place in places)


def _touches(path: str, places: tuple[str, ...]) -> bool:
    """Whether the path is one of the places, or one lies below the other."""
    return _covers(path, places) or any(path.startswith(place + "/") for place in places)
