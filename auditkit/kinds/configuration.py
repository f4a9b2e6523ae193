"""What is taken out of ConfigMaps and StorageClasses at capture: credentials judged, declared settings kept."""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from auditkit.kinds import judge, yamls
from auditkit.kinds.base import Struct

# No repetition is tried twice over the same text: whoever may write a ConfigMap must not make the search slow.
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(?:(?!-----BEGIN ).)+?-----END CERTIFICATE-----", re.DOTALL)
# Nothing but base64 between its lines: what else hides there is judged.
_PUBLIC = re.compile(r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/\s]++={0,2}+\s*+-----END CERTIFICATE-----")
# A line's setting, where its value is a time, a size, a number or a switch.
_SETTING = re.compile(
    r"^[ \t-]*+([\w.-]++)[ \t]*+[:=][ \t]*+[\"']?(\d[\d.]*+[A-Za-z]{0,8}|true|false)[\"']?[ \t\r]*+(?:#.*)?$",
    re.M | re.I,
)
_CA_DATA = re.compile(r"certificate-authority-data['\"]?\s*:\s*['\"]?([A-Za-z0-9+/=]+)")
_ABOUT_ENCRYPTION = re.compile(r"encrypt|kms|luks|^secure$", re.IGNORECASE)
_KEY_MATERIAL = re.compile(r"secret|passphrase|password|encryptionKey$", re.IGNORECASE)
# (ConfigMap, key) in kube-system: kubeadm's, EKS's.
_KUBE_PROXY = {("kube-proxy", "config.conf"), ("kube-proxy-config", "config")}
# Who asks is left out by Kyverno under these keys; the last two are those of its versions before 1.10.
_ASKING = (
    *("excludeGroups", "excludeUsernames", "excludeRoles", "excludeClusterRoles"),
    *("excludeGroupRole", "excludeUsername"),
)
_FILTER = re.compile(r"\[([^\[\]]*)\]")
_PUBLIC_CAS = {("kube-system", "extension-apiserver-authentication"), ("kube-public", "cluster-info")}


class Switch(Struct):
    enabled: bool | None = None


class X509(Struct):
    client_ca_file: str | None = msgspec.field(default=None, name="clientCAFile")


class Authentication(Struct):
    anonymous: Switch | None = None
    webhook: Switch | None = None
    x509: X509 | None = None


class Authorization(Struct):
    mode: str | None = None


class Kubelet(Struct):
    """The fields of a KubeletConfiguration (kubelet.config.k8s.io/v1beta1) that checks read."""

    authentication: Authentication | None = None
    authorization: Authorization | None = None
    read_only_port: int | None = None
    streaming_connection_idle_timeout: str | None = None
    make_iptables_util_chains: bool | None = msgspec.field(default=None, name="makeIPTablesUtilChains")
    event_record_qps: int | None = msgspec.field(default=None, name="eventRecordQPS")
    tls_cert_file: str | None = None
    tls_private_key_file: str | None = None
    server_tls_bootstrap: bool | None = msgspec.field(default=None, name="serverTLSBootstrap")
    rotate_certificates: bool | None = None
    tls_cipher_suites: list[str] | None = None
    tls_min_version: str | None = None
    pod_pids_limit: int | None = None
    seccomp_default: bool | None = None
    protect_kernel_defaults: bool | None = None
    feature_gates: dict[str, bool] | None = None


class KubeProxy(Struct):
    """The fields of a KubeProxyConfiguration (kubeproxy.config.k8s.io/v1alpha1) that checks read."""

    mode: str | None = None
    metrics_bind_address: str | None = None
    healthz_bind_address: str | None = None


class Mesh(Struct):
    """The fields of Istio's MeshConfig that tables read."""

    root_namespace: str | None = None


class Kyverno(Struct):
    """What Kyverno leaves out by its own ConfigMap: objects as KIND,NAMESPACE,NAME, and those who ask, by key.

    Its selectors of namespaces are none of these: Kyverno writes them into its webhooks.
    """

    filters: list[str] | None = None
    asking: dict[str, list[str]] | None = None


class AwsMapping(Struct):
    """An IAM role or user and what it is in the cluster (aws-iam-authenticator's mapRoles, mapUsers)."""

    arn: str = ""
    username: str | None = None
    groups: list[str] | None = None


class _AwsEntry(Struct, rename=None):
    rolearn: str = ""
    userarn: str = ""
    username: str | None = None
    groups: list[str] | None = None


def about_encryption(parameter: str) -> bool:
    """Whether a StorageClass parameter says how volumes are encrypted; never one that can hold or name a key's text."""
    return bool(_ABOUT_ENCRYPTION.search(parameter)) and not _KEY_MATERIAL.search(parameter)


def credential_keys(data: Mapping[str, str], binary: Mapping[str, str]) -> list[str]:
    """The keys whose value looks like a credential, by the key's name, the value's form or a named part of it.

    Public certificates are none, and every namespace holds long ones (kube-root-ca.crt): they are not looked at.
    """
    found = {**data, **{key: _decoded(value) for key, value in binary.items()}}
    texts = {key: _PUBLIC.sub("", text) for key, text in found.items()}
    return sorted(key for key, text in texts.items() if judge.looks_secret(key, text) or _line_looks_secret(text))


def extracts(namespace: str, name: str, data: Mapping[str, str]) -> tuple[dict[str, Any], list[str]]:
    """Declared settings of a well-known ConfigMap, by field of `platform.ConfigMap`, and its unreadable keys."""
    found: dict[str, Any] = {}
    unreadable = []
    for key, text in data.items():
        try:
            if namespace == "kube-system" and name.startswith("kubelet-config") and key == "kubelet":
                found["kubelet"] = yamls.decode(text, Kubelet)
            elif namespace == "kube-system" and (name, key) in _KUBE_PROXY:
                found["kube_proxy"] = yamls.decode(text, KubeProxy)
            elif key == "mesh" and (name == "istio" or name.startswith("istio-")):
                found["mesh"] = yamls.decode(text, Mesh)
            elif namespace == "kube-system" and name == "aws-auth" and key in ("mapRoles", "mapUsers"):
                entries = yamls.decode(text, list[_AwsEntry] | None) or []
                found.setdefault("aws_auth", []).extend(
                    AwsMapping(arn=e.rolearn or e.userarn, username=e.username, groups=e.groups) for e in entries
                )
        except msgspec.MsgspecError:
            unreadable.append(key)
    if "kyverno" in f"{namespace}/{name}" and (left_out := _kyverno(data)):
        found["kyverno"] = left_out
    kept = {f"{key}: {setting}": value for key, text in data.items() for setting, value in _retention(text)}
    found |= {"retention": kept} if kept else {}
    if name == "kube-root-ca.crt" or (namespace, name) in _PUBLIC_CAS:
        found["certificates"] = certificates("\n".join(data.values())) or None
    return found, sorted(unreadable)


def _kyverno(data: Mapping[str, str]) -> Kyverno | None:
    """As pkg/config/types.go of github.com/kyverno/kyverno reads it; `!` before a name takes it in again."""
    filters = [text.replace(" ", "") for text in _FILTER.findall(data.get("resourceFilters", ""))]
    lists = {key: [one.strip() for one in data[key].split(",") if one.strip()] for key in _ASKING if key in data}
    asking = {key: names for key, names in lists.items() if names}
    return Kyverno(filters=filters or None, asking=asking or None) if filters or asking else None


def _retention(text: str) -> list[tuple[str, str]]:
    """Settings of how long data is kept, by that name: of Loki, Kafka, Elasticsearch and others.

    The cheap test first, as most texts have none.
    """
    found = _SETTING.findall(text) if "retention" in text.lower() else []
    return [(setting, value) for setting, value in found if "retention" in setting.lower()]


def _line_looks_secret(text: str) -> bool:
    """Whether a line does by itself: in YAML `db:` before `password: x` would be read as one assignment."""
    return any(judge.looks_secret("", line) for line in text.splitlines())


def certificates(text: str) -> list[str]:
    """The certificates of a text as PEM, with those of a kubeconfig's certificate-authority-data; nothing else."""
    embedded = [_decoded(value) for value in _CA_DATA.findall(text)]
    found = [pem for part in [text, *embedded] for pem in _CERTIFICATE.findall(part)]
    return list(dict.fromkeys(found))


def _decoded(value: str) -> str:
    try:
        return base64.b64decode(value).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        return ""
