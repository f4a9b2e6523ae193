"""Whether volumes open the node to a workload."""

import pandas as pd

from auditkit.declare import check

# k8s.io/pod-security-admission/policy/check_restrictedVolumes.go
ALLOWED_SOURCES = (
    "configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret",
)  # fmt: skip


@check("POD-17", severity="high")
def host_path(volumes: pd.DataFrame) -> pd.Series:
    """Volumes are no paths of the node.

    A path of the node outlives the pod, is shared with others, and may hold what the node trusts.

    Fix: use a claim, an emptyDir, or a ConfigMap or Secret.
    """
    return volumes.source == "hostPath"


@check("POD-18", severity="high")
def writable_host_path(host_paths: pd.DataFrame) -> pd.Series:
    """Paths of the node are mounted read-only.

    What a pod writes on its node the node, or another pod, may run.

    Fix: set `readOnly: true` on every mount.
    """
    return host_paths.writable.astype("boolean").mask(host_paths.source.isna() & host_paths.writable)


@check("POD-19", severity="critical")
def runtime_socket(host_paths: pd.DataFrame) -> pd.Series:
    """Volumes do not reach the socket of the container runtime.

    Whoever reaches it starts privileged containers, past Kubernetes; a read-only mount does not hinder that.

    Fix: remove the volume; build images without a daemon.
    """
    return host_paths.runtime_socket


@check("POD-20", severity="high")
def sensitive_path(host_paths: pd.DataFrame) -> pd.Series:
    """Volumes open no folder by which a node can be taken over.

    Configuration, devices, programs, what runs by a timer, keys of who signs in and the kubelet's state are in /etc,
    /dev, /usr, /var/spool/cron, /home, /var/lib/kubelet and the like. /var/log is not among them.

    Fix: mount the single file or folder that is needed, elsewhere.
    """
    return host_paths.sensitive


@check("POD-21", severity="medium")
def cloud_credentials(host_paths: pd.DataFrame) -> pd.Series:
    """Volumes do not open credentials of a cloud, or kubeconfigs, that lie on the node.

    The node's cloud credentials act for the node, in the cloud account and on all of its pods. Keys of the control
    plane, which its own pods mount, are POD-20's.

    Fix: give the workload an identity of its own.
    """
    return host_paths.cloud_credentials


@check("POD-30", severity="low")
def volume_sources(volumes: pd.DataFrame) -> pd.Series:
    """Volumes come from claims, configuration or scratch space.

    Other sources are mounted by the node with the node's rights, named by whoever writes the pod.

    Fix: put the storage behind a PersistentVolume and mount a claim.
    """
    return (~volumes.source.isin(list(ALLOWED_SOURCES))).astype("boolean").mask(volumes.source.isna())
