"""The effective settings of the control plane's programs: flags as given, else the default of their version."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from auditkit.kinds.base import read
from auditkit.kinds.judge import WITHHELD
from auditkit.kinds.pods import Container, EnvVar

# Defaults that a verdict rests on; a flag that is not here is unset unless given.
# Sources: k8s.io/kubernetes cmd/*/app/options, pkg/kubeapiserver/options, k8s.io/apiserver pkg/server/options;
# go.etcd.io/etcd server/etcdmain/help.go.
DEFAULTS: Mapping[str, Mapping[str, str]] = {
    "kube-apiserver": {
        "anonymous-auth": "true",
        "audit-log-maxage": "0",
        "audit-log-maxbackup": "0",
        "audit-log-maxsize": "0",
        "authorization-mode": "AlwaysAllow",
        "insecure-port": "0",
        "oidc-signing-algs": "RS256",
        "oidc-username-claim": "sub",
        "profiling": "true",
        "request-timeout": "1m0s",
        "secure-port": "6443",
        "service-account-extend-token-expiration": "true",
        "service-account-lookup": "true",
    },
    "kube-controller-manager": {
        "bind-address": "0.0.0.0",
        "profiling": "true",
        "secure-port": "10257",
        "terminated-pod-gc-threshold": "12500",
        "use-service-account-credentials": "false",
    },
    "kube-scheduler": {"bind-address": "0.0.0.0", "profiling": "true", "secure-port": "10259"},
    "etcd": {"auto-tls": "false", "client-cert-auth": "false", "peer-auto-tls": "false", "peer-client-cert-auth": "false"},
}  # fmt: skip
# (component, flag) -> (minor version since when the default above holds, default before).
EARLIER = {
    ("kube-apiserver", "insecure-port"): (20, "8080"),
    ("kube-apiserver", "service-account-extend-token-expiration"): (20, "false"),
}

# Flags that take a list: repeats add up (pflag StringSlice, StringArray, MapStringBool); of all others the last one
# wins, in etcd of lists too.
LISTS = frozenset([
    "admission-control", "api-audiences", "authorization-mode", "controllers", "disable-admission-plugins",
    "enable-admission-plugins", "etcd-servers", "etcd-servers-overrides", "feature-gates", "oidc-signing-algs",
    "runtime-config",
    "requestheader-allowed-names", "requestheader-extra-headers-prefix", "requestheader-group-headers",
    "requestheader-username-headers", "service-account-issuer", "service-account-key-file", "tls-cipher-suites",
    "tls-sni-cert-key",
])  # fmt: skip
# What an authentication configuration says in their place: a server with both refuses to start.
OIDC = (
    "oidc-ca-file", "oidc-client-id", "oidc-groups-claim", "oidc-groups-prefix", "oidc-issuer-url",
    "oidc-required-claim", "oidc-signing-algs", "oidc-username-claim", "oidc-username-prefix",
)  # fmt: skip
# A flag that names a file, and what that file then decides; None is everything that is not given.
FILES: Mapping[str, Mapping[str, frozenset[str] | None]] = {
    "kube-apiserver": {
        "authentication-config": frozenset(["anonymous-auth", *OIDC]),
        "authorization-config": frozenset(["authorization-mode"]),
        "openshift-config": None,
    },
    "kube-controller-manager": {"openshift-config": None},
    "kube-scheduler": {"config": frozenset(["profiling"])},
    "etcd": {"config-file": None},
}
# Files beside which the flag itself is ignored, where others refuse to start with both.
OVERRIDING = frozenset([("kube-scheduler", "config"), ("etcd", "config-file")])

# k8s.io/kubernetes pkg/kubeapiserver/options/plugins.go: on unless disabled, since which minor version without a
# feature gate; those of 0 in every version that is still met. NodeRestriction is not among them.
DEFAULT_PLUGINS: Mapping[str, int] = {
    **dict.fromkeys([
        "NamespaceLifecycle", "LimitRanger", "ServiceAccount", "DefaultStorageClass", "PersistentVolumeClaimResize",
        "DefaultTolerationSeconds", "MutatingAdmissionWebhook", "ValidatingAdmissionWebhook", "ResourceQuota",
        "StorageObjectInUseProtection", "Priority", "TaintNodesByCondition", "RuntimeClass",
    ], 0),
    **dict.fromkeys(["CertificateApproval", "CertificateSigning", "CertificateSubjectRestriction"], 18),
    "DefaultIngressClass": 18,
    "PodSecurity": 23,
    "ClusterTrustBundleAttest": 27,
    "ValidatingAdmissionPolicy": 30,
    "PodTopologyLabels": 33,
    "MutatingAdmissionPolicy": 36,
}  # fmt: skip

# A suite of TLS 1.2 with forward secrecy and AEAD, or one of TLS 1.3.
_STRONG = re.compile(r"TLS_ECDHE_\w+_WITH_(AES_(128|256)_GCM|CHACHA20_POLY1305)|TLS_(AES|CHACHA20)_")
_TRUE = frozenset(["1", "t", "T", "true", "TRUE", "True"])
_FALSE = frozenset(["0", "f", "F", "false", "FALSE", "False"])
_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_DURATION = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings of one running component; every reader gives None where the answer is not visible.

    Not visible is what a file on the node decides, a reference that the container resolves (`$(NAME)`), a
    value that was withheld at capture, and of etcd what is not on its command line where a ConfigMap or Secret gives it
    variables (`env_from`).
    """

    component: str
    flags: Mapping[str, Sequence[str]]
    version: int | None = None
    env: Mapping[str, str | None] = field(default_factory=dict)
    env_from: bool = False

    def text(self, flag: str) -> str | None:
        """The value; "" where the flag is neither given nor has a default."""
        if self._decided_by_file(flag):
            return None
        if flag in self.flags:
            values = self.flags[flag]
            adds_up = flag in LISTS and self.component != "etcd"
            value: str | None = ",".join(values) if adds_up else values[-1]
        elif self.on_command_line(flag):
            value = self.env[_variable(flag)]
        elif self.component == "etcd" and self.env_from:
            value = None
        else:
            value = self._default(flag)
        return None if value is None or WITHHELD in value or "$(" in value else value

    def on_command_line(self, flag: str) -> bool:
        """Whether the flag was given; etcd reads ETCD_NAME for each flag that is not, unless it is empty."""
        return flag in self.flags or (self.component == "etcd" and self.env.get(_variable(flag), "") != "")

    def given(self, flag: str) -> bool | None:
        """Whether the flag has a value that is not empty; a value may be withheld and yet be given."""
        values = self.flags.get(flag, ())
        if any(values if flag in LISTS else values[-1:]) and not self._decided_by_file(flag):
            return True
        text = self.text(flag)
        return None if text is None else bool(text)

    def true(self, flag: str) -> bool | None:
        """A boolean as Go's strconv.ParseBool reads it; None where it is none."""
        text = self.text(flag)
        return None if text is None else _boolean(text)

    def number(self, flag: str) -> int | None:
        """A whole number; None where it is none."""
        text = self.text(flag)
        return int(text) if text and re.fullmatch(r"[+-]?\d+", text) else None

    def seconds(self, flag: str) -> float | None:
        """A Go duration such as 1m30s in seconds; None where it is none."""
        text = self.text(flag)
        return None if text is None else seconds(text)

    def items(self, flag: str) -> list[str] | None:
        """The items of a list, over all repeats of the flag."""
        text = self.text(flag)
        return None if text is None else [item.strip() for item in text.split(",") if item.strip()]

    def gate(self, name: str) -> bool | None:
        """A feature gate as set (of repeats the last; `kube:Name=true` since 1.31), True where it is not.

        None where all gates of a stage are switched off: a gate's stage differs by version.
        """
        gates = self.items("feature-gates")
        if gates is None:
            return None
        given = {key.rpartition(":")[2]: value for key, _, value in (g.partition("=") for g in gates)}
        if name not in given:
            return None if given.get("AllBeta", "true") not in _TRUE else True
        return _boolean(given[name])

    def plugins(self) -> list[str] | None:
        """The admission plugins that run: the default ones, less those disabled, and those enabled.

        Enabled wins over disabled; the old --admission-control replaces all of it
        (k8s.io/apiserver pkg/server/options/admission.go, enabledPluginNames).
        """
        exactly = self.items("admission-control")
        enabled, disabled = self.items("enable-admission-plugins"), self.items("disable-admission-plugins")
        if exactly is None or enabled is None or disabled is None:
            return None
        default = {name for name, since in DEFAULT_PLUGINS.items() if self.version is None or since <= self.version}
        return sorted(set(exactly) or (default - set(disabled)) | set(enabled))

    def _default(self, flag: str) -> str:
        minor, before = EARLIER.get((self.component, flag), (0, ""))
        if minor and self.version is not None and self.version < minor:
            return before
        return DEFAULTS.get(self.component, {}).get(flag, "")

    def _decided_by_file(self, flag: str) -> bool:
        for name, decides in FILES.get(self.component, {}).items():
            decided = flag != name and (decides is None or flag in decides)
            if (
                self.on_command_line(name)
                and decided
                and (flag not in self.flags or (self.component, name) in OVERRIDING)
            ):
                return True
        return False


def effective(
    component: str,
    flags: Mapping[str, Sequence[str]],
    version: int | None = None,
    env: Mapping[str, str | None] | None = None,
) -> Settings:
    """The settings of a component from its flags (name to values in order), its minor version, and etcd's ETCD_* variables."""
    return Settings(component, flags, version, env or {})


def running(container: Container | Mapping[str, Any]) -> Settings | None:
    """The settings of the control plane's program that a container runs, by its command and args, its environment
    and the version of its image; None where it runs none.

    The program is known by its name, whatever the container's is. Raises msgspec.ValidationError for a malformed one.
    """
    found = container if isinstance(container, Container) else read(Container, container)
    if not found.component or found.flags is None:
        return None
    env = {v.name: _literal(v) for v in found.env or () if v.name.startswith("ETCD_")}
    tag = re.search(r":([^/:@]+)(@|$)", found.image or "")
    version = minor(tag[1]) if tag else None
    return Settings(found.component, found.flags, version, env, env_from=bool(found.env_from))


def _literal(variable: EnvVar) -> str | None:
    """The value of a variable; None where it comes from elsewhere or was withheld."""
    if variable.value is None and not variable.value_from and not variable.looks_secret:
        return ""
    return variable.value


def minor(version: str | None) -> int | None:
    """The minor version: 36 of "v1.36.2", of "v1.30.1-eks-036c24b" 30; None where it is none."""
    found = re.match(r"v?1\.(\d+)", version or "")
    return int(found[1]) if found else None


def seconds(text: str) -> float | None:
    """A Go duration in seconds: "1m30s" is 90; None where the text is none."""
    if text == "0":
        return 0.0
    parts = _DURATION.findall(text)
    if not parts or "".join(n + u for n, u in parts) != text.lstrip("+"):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in parts)


def _boolean(text: str) -> bool | None:
    return True if text in _TRUE else False if text in _FALSE else None


def _variable(flag: str) -> str:
    return "ETCD_" + flag.upper().replace("-", "_")


def weak_tls(suites: Sequence[str] | None, min_version: str | None) -> bool | None:
    """Whether TLS below 1.3 may use a suite without forward secrecy (ECDHE) or without AEAD (GCM, ChaCha20).

    No suites given is Go's default, which still has CBC suites. Above TLS 1.2 Go chooses, and all suites are strong.
    None where either is not known.
    """
    if min_version == "VersionTLS13":
        return False
    if suites is None or min_version is None:
        return None
    return not suites or not all(_STRONG.match(suite) for suite in suites)


def loopback(address: str | None) -> bool | None:
    """Whether an address, with or without a port, is the host's own; None where it is not known or a name."""
    if not address:
        return None
    host = address[1:].partition("]")[0] if address.startswith("[") else address
    host = host.rpartition(":")[0] if host.count(":") == 1 else host
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return None
