"""Whether the containers of a pod are given a token of the API server.

Rules: k8s.io/kubernetes plugin/pkg/admission/serviceaccount/admission.go, shouldAutomount and mountServiceAccountToken.
"""

from collections.abc import Mapping
from typing import Any

from auditkit.analysis.podsecurity import pod_template
from auditkit.kinds.base import read
from auditkit.kinds.platform import ServiceAccount
from auditkit.kinds.pods import PodSpec
from auditkit.kinds.workloads import PodTemplateSpec, Workload

# Where clients look for the token.
MOUNT_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
MIRROR = "kubernetes.io/config.mirror"


def automounts(pod: bool | None, account: bool | None) -> bool:
    """automountServiceAccountToken in effect: the pod's, else its ServiceAccount's, else true."""
    return pod if pod is not None else account is not False


def holds_token(
    pod: Workload | PodTemplateSpec | Mapping[str, Any], account: ServiceAccount | Mapping[str, Any] | None = None
) -> bool | None:
    """Whether a pod, or one of a workload's template, holds a token that the API server accepts.

    The image of a static pod holds none. A volume that projects a token, or a Secret mounted where clients look for
    it, is one whatever automountServiceAccountToken says. A pod that the API server has admitted (it has a uid) holds
    what its spec shows; into any other one a token would be mounted unless that is switched off, or every container
    has something mounted at its place already. None where the ServiceAccount decides and is not given.
    """
    made = pod_template(pod)
    spec, meta = made.spec or PodSpec(), made.metadata
    if meta and MIRROR in (meta.annotations or {}):
        return False
    if _projects(spec) or _mounts_secret(spec):
        return True
    admitted = bool(meta and meta.uid)
    own = spec.automount_service_account_token
    if admitted or own is False or all(MOUNT_PATH in paths for paths in _mount_paths(spec)):
        return False
    if own is None and account is None:
        return None
    found = read(ServiceAccount, {"metadata": {}, **account}) if isinstance(account, Mapping) else account
    return automounts(own, found.automount_service_account_token if found else None)


def _mount_paths(spec: PodSpec) -> list[list[str]]:
    """The mount paths of each container; ephemeral ones are never given a token."""
    containers = (*(spec.init_containers or ()), *(spec.containers or ()))
    return [[mount.mount_path for mount in container.volume_mounts or ()] for container in containers]


def _projects(spec: PodSpec) -> bool:
    return any(
        source.service_account_token is not None and for_api_server(source.service_account_token.audience)
        for volume in spec.volumes or ()
        for source in (volume.projected.sources if volume.projected else None) or ()
    )


def for_api_server(audience: str | None) -> bool:
    """Whether a token for this audience is one for the API server: none is named, or its usual issuer's address."""
    return not audience or audience.startswith("https://kubernetes.default.svc")


def _mounts_secret(spec: PodSpec) -> bool:
    secrets = {volume.name for volume in spec.volumes or () if volume.secret is not None}
    return any(
        mount.mount_path == MOUNT_PATH and mount.name in secrets
        for container in (*(spec.init_containers or ()), *(spec.containers or ()))
        for mount in container.volume_mounts or ()
    )
