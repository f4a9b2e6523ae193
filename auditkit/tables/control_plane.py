"""The control plane's programs where they run as pods: one row a process, one column a setting."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, NamedTuple

import pandas as pd

from auditkit.analysis import flags, provider
from auditkit.analysis.flags import Settings
from auditkit.analysis.owners import ended
from auditkit.analysis.selectors import some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.pods import Container
from auditkit.kinds.workloads import Pod


class Reading(NamedTuple):
    """A column: its type, the flag it rests on, how it is read, what it says."""

    type: Any
    flag: str
    read: Callable[[Settings], Any]
    doc: str


def _given(flag: str) -> Reading:
    return Reading(bool, flag, lambda s: s.given(flag), f"`--{flag}` is given.")


def _true(flag: str) -> Reading:
    return Reading(bool, flag, lambda s: s.true(flag), f"`--{flag}` in effect.")


def _number(flag: str) -> Reading:
    return Reading(int, flag, lambda s: s.number(flag), f"`--{flag}` in effect.")


def _text(flag: str) -> Reading:
    return Reading(str, flag, lambda s: s.text(flag), f"`--{flag}` in effect; empty where it is unset.")


def _mode(name: str) -> Reading:
    flag = "authorization-mode"
    return Reading(bool, flag, lambda s: _holds(s.items(flag), name), f"`--{flag}` holds {name}.")


def _plugin(name: str) -> Reading:
    flag = "enable-admission-plugins"
    return Reading(bool, flag, lambda s: _holds(s.plugins(), name), f"The admission plugin {name} runs.")


def _holds(items: list[str] | None, name: str) -> bool | None:
    return None if items is None else name in items


def _named(*readings: Reading) -> dict[str, Reading]:
    return {reading.flag.replace("-", "_"): reading for reading in readings}


def _local(settings: Settings) -> bool | None:
    """Whether the metrics port is the host's own; --secure-port=0 serves nothing."""
    return True if settings.number("secure-port") == 0 else flags.loopback(settings.text("bind-address"))


def _unencrypted(settings: Settings, flag: str) -> bool | None:
    """Whether a URL of the list is plain HTTP and not of the host itself: etcd ignores certificates for it.

    The scheme is visible where the container resolves the address (`http://$(POD_IP):2379`). Sources: go.etcd.io/etcd
    server/embed/etcd.go, configurePeerListeners and configureClientListeners; client/pkg/types/urls.go trims each URL.
    """
    given = settings.given(flag)
    values = settings.flags.get(flag) or [settings.text(flag) or ""]
    whole = ",".join(values if flag in flags.LISTS else values[-1:])
    # In overrides a resource and # go before the URLs, and semicolons stand between these.
    urls = [part.rpartition("#")[2].strip().lower() for part in re.split("[,;]", whole)]
    return given and any(u.startswith("http://") and not flags.loopback(u.removeprefix("http://")) for u in urls)


def _plain(*names: str) -> Reading:
    said = " or ".join(f"`--{name}`" for name in names)
    return Reading(
        bool,
        names[0],
        lambda s: some(_unencrypted(s, name) for name in names),
        f"{said} holds an http:// URL that is not the host's own.",
    )


def _username_prefix(settings: Settings) -> str | None:
    """What stands before the names of OIDC users: "-" is nothing, and unset it depends on the claim.

    Source: k8s.io/kubernetes pkg/kubeapiserver/options/authentication.go, ToAuthenticationConfig.
    """
    prefix, claim, issuer = (settings.text(f"oidc-{f}") for f in ("username-prefix", "username-claim", "issuer-url"))
    if prefix is None or claim is None or issuer is None:
        return None
    return "" if prefix == "-" or not issuer else prefix or ("" if claim == "email" else f"{issuer}#")


_OIDC_PREFIX = Reading(
    str, "oidc-username-prefix", _username_prefix, "What is put before the names of OIDC users; empty where nothing is."
)
_LOCAL = Reading(bool, "bind-address", _local, "`--bind-address` is a loopback address, or nothing is served.")
_CIPHERS = Reading(
    bool,
    "tls-cipher-suites",
    lambda s: flags.weak_tls(s.items("tls-cipher-suites"), s.text("tls-min-version")),
    "Suites without forward secrecy or without AEAD are accepted.",
)
_TIMEOUT = Reading(float, "request-timeout", lambda s: s.seconds("request-timeout"), "`--request-timeout`, seconds.")
_ROTATION = Reading(
    bool,
    "feature-gates",
    lambda s: s.gate("RotateKubeletServerCertificate"),
    "The feature gate RotateKubeletServerCertificate is not off, by name or by AllBeta.",
)

APISERVER = {
    **_named(*map(_true, ("anonymous-auth", "profiling", "service-account-lookup"))),
    **_named(_true("service-account-extend-token-expiration"), _given("token-auth-file"), _given("client-ca-file")),
    **_named(*map(_given, ("kubelet-client-certificate", "kubelet-client-key", "kubelet-certificate-authority"))),
    **_named(*map(_given, ("service-account-key-file", "service-account-signing-endpoint"))),
    **_named(_given("encryption-provider-config")),
    **_named(*map(_given, ("etcd-certfile", "etcd-keyfile", "etcd-cafile", "tls-cert-file", "tls-private-key-file"))),
    **_named(*map(_given, ("audit-policy-file", "audit-webhook-config-file")), _text("audit-log-path")),
    **_named(*map(_number, ("audit-log-maxage", "audit-log-maxbackup", "audit-log-maxsize"))),
    **_named(_number("insecure-port"), _number("secure-port"), _TIMEOUT),
    **_named(*map(_text, ("oidc-issuer-url", "oidc-client-id", "oidc-username-claim", "oidc-groups-claim"))),
    **_named(_OIDC_PREFIX, *map(_text, ("oidc-groups-prefix", "oidc-signing-algs")), _given("oidc-ca-file")),
    **_named(*map(_given, ("authentication-config", "authentication-token-webhook-config-file"))),
    "client_ca": _text("client-ca-file"),
    "plain_etcd": _plain("etcd-servers", "etcd-servers-overrides"),
    "weak_tls": _CIPHERS,
    "always_allow": _mode("AlwaysAllow"),
    "authorizes_nodes": _mode("Node"),
    "authorizes_by_rbac": _mode("RBAC"),
    "deny_service_external_ips": _plugin("DenyServiceExternalIPs"),
    "event_rate_limit": _plugin("EventRateLimit"),
    "always_admit": _plugin("AlwaysAdmit"),
    "always_pull_images": _plugin("AlwaysPullImages"),
    "image_policy_webhook": _plugin("ImagePolicyWebhook"),
    "service_account": _plugin("ServiceAccount"),
    "namespace_lifecycle": _plugin("NamespaceLifecycle"),
    "node_restriction": _plugin("NodeRestriction"),
}
CONTROLLER_MANAGER = {
    **_named(_true("profiling"), _true("use-service-account-credentials"), _number("terminated-pod-gc-threshold")),
    **_named(_given("service-account-private-key-file"), _given("root-ca-file")),
    "rotates_serving_certificates": _ROTATION,
    "local": _LOCAL,
}
SCHEDULER = {**_named(_true("profiling")), "local": _LOCAL}
ETCD = {
    **_named(*map(_true, ("client-cert-auth", "auto-tls", "peer-client-cert-auth", "peer-auto-tls"))),
    **_named(*map(_given, ("cert-file", "key-file", "peer-cert-file", "peer-key-file")), _text("trusted-ca-file")),
    "plain_clients": _plain("listen-client-urls", "listen-client-http-urls"),
    "plain_peers": _plain("listen-peer-urls"),
}
COMPONENTS: Mapping[str, Mapping[str, Reading]] = {
    "kube-apiserver": APISERVER,
    "kube-controller-manager": CONTROLLER_MANAGER,
    "kube-scheduler": SCHEDULER,
    "etcd": ETCD,
}


class _Process:
    namespace: Annotated[str, "Namespace of the pod."]
    kind: Annotated[str, "Pod."]
    name: Annotated[str, "Name of the pod."]
    container: Annotated[str, "Name of the container."]


def _columns(component: str) -> Any:
    """A class whose annotated fields are a component's settings; missing where a file on the node decides them."""
    fields = {column: Annotated[reading.type | None, reading.doc] for column, reading in COMPONENTS[component].items()}
    return type("_Settings", (), {"__annotations__": fields})


def _containers(objects: Objects) -> Iterator[tuple[Pod, Container]]:
    """Every container of pods that have not ended."""
    for pod in objects[Pod]:
        for container in (pod.spec.containers if pod.spec and not ended(pod) else None) or ():
            yield pod, container


def _processes(objects: Objects) -> Iterator[tuple[Pod, Container, Settings]]:
    """Every container that runs a program of the control plane, with its settings."""
    for pod, container in _containers(objects):
        settings = flags.running(container)
        if settings:
            yield pod, container, settings


def _unseen(container: Container, component: str) -> bool:
    """Whether a container has a component's own image and a command line that does not show it, as of a script.

    The image of etcd also holds etcdctl, which backups run.
    """
    name = (container.image or "").partition("@")[0].rpartition("/")[2].partition(":")[0]
    return component != "etcd" and not container.component and name == component


def _rows(objects: Objects, component: str) -> Iterator[tuple[Any, ...]]:
    """Those of the cluster's own control plane (analysis/provider.py); `control_plane_flags` has all.

    One whose command line does not show its flags is a row without values.
    """
    for pod, container in _containers(objects):
        if provider.own(pod) and _unseen(container, component):
            yield (pod.namespace, "Pod", pod.name, container.name, *[None] * len(COMPONENTS[component]))
    for pod, container, settings in _processes(objects):
        if settings.component == component and provider.own(pod):
            values = (reading.read(settings) for reading in COMPONENTS[component].values())
            yield (pod.namespace, "Pod", pod.name, container.name, *values)


@table("control_plane_flags", kinds=(Pod,), key=("namespace", "name", "container", "flag"))
class FlagRow(_Process):
    """One row per flag of every control-plane process: those on its command line, and those that checks read."""

    component: Annotated[str, "kube-apiserver, kube-controller-manager, kube-scheduler or etcd."]
    flag: Annotated[str, "Name of the flag, without dashes."]
    given: Annotated[bool, "On the command line, or for etcd in its environment."]
    value: Annotated[str | None, "Value in effect; missing where a file on the node decides or it was withheld."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for pod, container, settings in _processes(objects):
            read = {reading.flag for reading in COMPONENTS[settings.component].values()}
            for flag in sorted(read | set(settings.flags)):
                place = (pod.namespace, "Pod", pod.name, container.name, settings.component, flag)
                yield (*place, settings.on_command_line(flag), settings.text(flag))


@table("apiservers", kinds=(Pod,), key=("namespace", "name", "container"))
class ApiserverRow(_columns("kube-apiserver"), _Process):  # type: ignore[misc]
    """One row per kube-apiserver of this cluster that runs as a pod, with its settings in effect (analysis/flags.py)."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        return _rows(objects, "kube-apiserver")


@table("controller_managers", kinds=(Pod,), key=("namespace", "name", "container"))
class ControllerManagerRow(_columns("kube-controller-manager"), _Process):  # type: ignore[misc]
    """One row per kube-controller-manager of this cluster that runs as a pod, with its settings in effect (analysis/flags.py)."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        return _rows(objects, "kube-controller-manager")


@table("schedulers", kinds=(Pod,), key=("namespace", "name", "container"))
class SchedulerRow(_columns("kube-scheduler"), _Process):  # type: ignore[misc]
    """One row per kube-scheduler of this cluster that runs as a pod, with its settings in effect (analysis/flags.py)."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        return _rows(objects, "kube-scheduler")


@table("etcds", kinds=(Pod,), key=("namespace", "name", "container"))
class EtcdRow(_columns("etcd"), _Process):  # type: ignore[misc]
    """One row per etcd of this cluster that runs as a pod: its flags, else ETCD_* variables, else defaults (analysis/flags.py)."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        return _rows(objects, "etcd")


@view("audit_log_files", key=("namespace", "name", "container"))
class AuditLogFile(_Process):
    """One row per kube-apiserver that writes its audit log to a file, not to a webhook or standard output."""

    maxage: Annotated[int | None, "Days that rotated files are kept; 0 sets no limit."]
    maxbackup: Annotated[int | None, "Rotated files that are kept; 0 sets no limit."]
    maxsize: Annotated[int | None, "Megabytes at which a file is rotated; 0 is the logger's default."]

    @staticmethod
    def frame(apiservers: pd.DataFrame) -> pd.DataFrame:
        elsewhere = ((apiservers.audit_log_path == "") | (apiservers.audit_log_path == "-")).fillna(False)
        return apiservers[~elsewhere].rename(columns=lambda name: name.removeprefix("audit_log_"))
