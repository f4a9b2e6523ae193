"""What a kubelet does by its configuration: values as given, else the default of a configuration file.

Rules: k8s.io/kubernetes pkg/kubelet/apis/config/v1beta1/defaults.go, SetDefaults_KubeletConfiguration. The defaults of
flags are laxer (cmd/kubelet/app/options, applyLegacyDefaults) and hold for kubelets that are started without a file.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from auditkit.analysis import flags
from auditkit.kinds.base import read
from auditkit.kinds.configuration import X509, Authentication, Authorization, Kubelet, Switch

_FOUR_HOURS = 4 * 3600.0


class KubeletSettings(NamedTuple):
    """The settings in effect; a value that is none of its kind is None. `idle_timeout` is in seconds."""

    anonymous: bool
    authorization: str
    client_ca: bool
    read_only_port: int
    idle_timeout: float | None
    iptables_chains: bool
    event_qps: int
    serving_certificate: bool
    rotates: bool
    rotates_serving: bool
    weak_tls: bool | None
    pod_pids: int
    seccomp_default: bool
    protects_kernel: bool


def effective(source: Kubelet | Mapping[str, Any] | str, version: int | None = None) -> KubeletSettings:
    """The settings of a kubelet of this minor version, of the newest where it is not known.

    `source` is the text under `kubelet` in the ConfigMap kubelet-config, which a file on the node or a flag may
    override, a parsed KubeletConfiguration, or the document that the kubelet's /configz answers, which has all of it.
    Raises msgspec.ValidationError, or DecodeError, where it is none of these.
    """
    config = _read(source)
    authentication = config.authentication or Authentication()
    timeout = flags.seconds(config.streaming_connection_idle_timeout or "0s")
    bootstrap, gates = bool(config.server_tls_bootstrap), config.feature_gates or {}
    pids = config.pod_pids_limit
    return KubeletSettings(
        anonymous=bool((authentication.anonymous or Switch()).enabled),
        authorization=(config.authorization or Authorization()).mode or "Webhook",
        client_ca=bool((authentication.x509 or X509()).client_ca_file),
        read_only_port=config.read_only_port or 0,
        idle_timeout=timeout if timeout is None else timeout or _FOUR_HOURS,
        iptables_chains=config.make_iptables_util_chains is not False,
        event_qps=config.event_record_qps if config.event_record_qps is not None else _event_qps(version),
        serving_certificate=bootstrap or bool(config.tls_cert_file and config.tls_private_key_file),
        rotates=bool(config.rotate_certificates),
        rotates_serving=bootstrap and gates.get("RotateKubeletServerCertificate", gates.get("AllBeta", True)),
        weak_tls=flags.weak_tls(config.tls_cipher_suites or [], config.tls_min_version or ""),
        pod_pids=-1 if pids is None or pids < 0 else pids,
        seccomp_default=bool(config.seccomp_default),
        protects_kernel=bool(config.protect_kernel_defaults),
    )


def _event_qps(version: int | None) -> int:
    return 5 if version is not None and version < 27 else 50


def _read(source: Kubelet | Mapping[str, Any] | str) -> Kubelet:
    if isinstance(source, Kubelet):
        return source
    document = msgspec.yaml.decode(source) if isinstance(source, str) else source
    if isinstance(document, Mapping):
        document = document.get("kubeletconfig", document)
    return read(Kubelet, document)
