"""The rules of the Pod Security Standards, and since which policy version and level each one applies.

Each rule names its file below staging/src/k8s.io/pod-security-admission/policy/ of Kubernetes 1.36
and yields the path and the message of what it forbids.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Literal, NamedTuple, cast

import msgspec

from auditkit.kinds.pods import (
    Container,
    Handler,
    PodSecurityContext,
    PodSpec,
    Probe,
    SecurityContext,
    Volume,
)

Level = Literal["privileged", "baseline", "restricted"]
LEVELS: tuple[Level, ...] = ("privileged", "baseline", "restricted")


class Facts(NamedTuple):
    """A pod as the rules read it: every container with its place, and every security context with its own."""

    annotations: Mapping[str, str]
    spec: PodSpec
    containers: list[tuple[str, int, Container]]
    contexts: list[tuple[str, PodSecurityContext | SecurityContext]]


Found = Iterator[tuple[str, str]]
Rule = Callable[[Facts], Found]


def _own(pod: Facts) -> Iterator[tuple[str, SecurityContext]]:
    """The security contexts of containers, where they are set."""
    for path, context in pod.contexts:
        if isinstance(context, SecurityContext):
            yield path, context


def handlers(container: Container) -> Iterator[tuple[str, Probe | Handler]]:
    """The probes and hooks of a container, each with its path in there."""
    if container.liveness_probe:
        yield "livenessProbe", container.liveness_probe
    if container.readiness_probe:
        yield "readinessProbe", container.readiness_probe
    if container.startup_probe:
        yield "startupProbe", container.startup_probe
    if container.lifecycle:
        if container.lifecycle.post_start:
            yield "lifecycle.postStart", container.lifecycle.post_start
        if container.lifecycle.pre_stop:
            yield "lifecycle.preStop", container.lifecycle.pre_stop


def _unless_windows(rule: Rule) -> Rule:
    """`rule`, which since 1.25 leaves out pods that say they are for Windows."""
    return lambda pod: iter(()) if pod.spec.os and pod.spec.os.name == "windows" else rule(pod)


def _unless_user_namespace(rule: Rule) -> Rule:
    """`rule`, which since 1.35 leaves out pods in a user namespace (helpers.go relaxPolicyForUserNamespacePod)."""
    return lambda pod: iter(()) if pod.spec.host_users is False else rule(pod)


def _host_namespaces(pod: Facts) -> Found:
    """check_hostNamespaces.go"""
    for name, used in (
        ("hostNetwork", pod.spec.host_network),
        ("hostPID", pod.spec.host_pid),
        ("hostIPC", pod.spec.host_ipc),
    ):
        if used:
            yield f"spec.{name}", f"{name} must not be true"


def _privileged(pod: Facts) -> Found:
    """check_privileged.go"""
    for path, context in _own(pod):
        if context.privileged:
            yield f"{path}.privileged", "a container must not be privileged"


# fmt: off
_DEFAULT_CAPABILITIES = frozenset({
    "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
    "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
})
_ALLOWED_SOURCES = frozenset({
    "config_map", "csi", "downward_api", "empty_dir", "ephemeral", "image", "persistent_volume_claim", "projected",
    "secret",
})
_SYSCTLS_1_0 = frozenset({
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies",
    "net.ipv4.ping_group_range", "net.ipv4.ip_unprivileged_port_start",
})
_SYSCTLS_1_27 = _SYSCTLS_1_0 | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_1_29 = _SYSCTLS_1_27 | {
    "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SYSCTLS_1_32 = _SYSCTLS_1_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}
# fmt: on


def _added(pod: Facts, allowed: frozenset[str]) -> Found:
    for path, context in _own(pod):
        if context.capabilities:
            for i, name in enumerate(context.capabilities.add or ()):
                if name not in allowed:
                    yield f"{path}.capabilities.add[{i}]", f"capability {name} must not be added"


def _capabilities_baseline(pod: Facts) -> Found:
    """check_capabilities_baseline.go; names are compared exactly"""
    return _added(pod, _DEFAULT_CAPABILITIES)


def _capabilities_restricted(pod: Facts) -> Found:
    """check_capabilities_restricted.go"""
    for field, i, container in pod.containers:
        context = container.security_context
        dropped = context.capabilities.drop if context and context.capabilities else None
        if "ALL" not in (dropped or ()):
            yield f"spec.{field}[{i}].securityContext.capabilities.drop", "ALL capabilities must be dropped"
    yield from _added(pod, frozenset({"NET_BIND_SERVICE"}))


def _host_path_volumes(pod: Facts) -> Found:
    """check_hostPathVolumes.go"""
    for i, volume in enumerate(pod.spec.volumes or ()):
        if volume.host_path is not None:
            yield f"spec.volumes[{i}].hostPath", f"volume {volume.name} must not be a hostPath"


_SOURCES = {f.name: f.encode_name for f in msgspec.structs.fields(Volume) if f.name not in ("name", "unknown")}
_FORBIDDEN_SOURCES = {name: wire for name, wire in _SOURCES.items() if name not in _ALLOWED_SOURCES}


def _restricted_volumes(pod: Facts) -> Found:
    """check_restrictedVolumes.go; a volume without a source becomes an emptyDir (core/v1/defaults.go)"""
    for i, volume in enumerate(pod.spec.volumes or ()):
        if any(getattr(volume, name) is not None for name in _ALLOWED_SOURCES):
            continue
        known = next((wire for name, wire in _FORBIDDEN_SOURCES.items() if getattr(volume, name) is not None), None)
        source = known or next(iter(volume.unknown), None)
        if source:
            yield f"spec.volumes[{i}].{source}", f"volume {volume.name} must not be a {source}"


def _host_ports(pod: Facts) -> Found:
    """check_hostPorts.go"""
    for field, i, container in pod.containers:
        for j, port in enumerate(container.ports or ()):
            if port.host_port:
                yield f"spec.{field}[{i}].ports[{j}].hostPort", f"hostPort {port.host_port} must not be used"


_APPARMOR = "container.apparmor.security.beta.kubernetes.io/"


def _app_armor(pod: Facts) -> Found:
    """check_appArmorProfile.go; a profile without a type is none of the allowed ones"""
    for path, context in pod.contexts:
        profile = context.app_armor_profile
        if profile and profile.type not in ("RuntimeDefault", "Localhost"):
            yield f"{path}.appArmorProfile.type", f"AppArmor profile must not be {profile.type or ''!r}"
    for name, value in sorted(pod.annotations.items()):
        if name.startswith(_APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/"):
            yield f"metadata.annotations[{name}]", f"AppArmor profile must not be {value!r}"


def _se_linux(pod: Facts, types: frozenset[str]) -> Found:
    for path, context in pod.contexts:
        options = context.se_linux_options
        if options is None:
            continue
        if options.type and options.type not in types:
            yield f"{path}.seLinuxOptions.type", f"SELinux type {options.type!r} must not be set"
        for name, value in (("user", options.user), ("role", options.role)):
            if value:
                yield f"{path}.seLinuxOptions.{name}", f"SELinux {name} {value!r} must not be set"


_SELINUX_TYPES = frozenset({"container_t", "container_init_t", "container_kvm_t"})


def _se_linux_1_0(pod: Facts) -> Found:
    """check_seLinuxOptions.go"""
    return _se_linux(pod, _SELINUX_TYPES)


def _se_linux_1_31(pod: Facts) -> Found:
    """check_seLinuxOptions.go"""
    return _se_linux(pod, _SELINUX_TYPES | {"container_engine_t"})


def _proc_mount(pod: Facts) -> Found:
    """check_procMount_baseline.go, check_procMount_restricted.go"""
    for path, context in _own(pod):
        if context.proc_mount not in (None, "Default"):
            yield f"{path}.procMount", f"procMount must not be {context.proc_mount!r}"


_SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"


def _seccomp_annotations(pod: Facts) -> Found:
    """check_seccompProfile_baseline.go before 1.19"""
    names = dict.fromkeys([_SECCOMP_POD, *(_SECCOMP_CONTAINER + c.name for _, _, c in pod.containers)])
    for name in names:
        value = pod.annotations.get(name)
        if value is None or value in ("runtime/default", "docker/default") or value.startswith("localhost/"):
            continue
        yield f"metadata.annotations[{name}]", f"seccomp profile must not be {value!r}"


def _seccomp_baseline(pod: Facts) -> Found:
    """check_seccompProfile_baseline.go since 1.19"""
    for path, context in pod.contexts:
        profile = context.seccomp_profile
        if profile and profile.type not in ("RuntimeDefault", "Localhost"):
            yield f"{path}.seccompProfile.type", f"seccomp profile must not be {profile.type or ''!r}"


def _seccomp_restricted(pod: Facts) -> Found:
    """check_seccompProfile_restricted.go"""
    yield from _seccomp_baseline(pod)
    own = pod.spec.security_context
    if own and own.seccomp_profile and own.seccomp_profile.type in ("RuntimeDefault", "Localhost"):
        return
    for field, i, container in pod.containers:
        context = container.security_context
        if context is None or context.seccomp_profile is None:
            yield f"spec.{field}[{i}].securityContext.seccompProfile", "a seccomp profile must be set"


def _sysctls(allowed: frozenset[str]) -> Rule:
    """check_sysctls.go; names are compared exactly, so `net/ipv4/...` is not among the safe ones"""

    def rule(pod: Facts) -> Found:
        context = pod.spec.security_context
        for i, sysctl in enumerate((context and context.sysctls) or ()):
            if sysctl.name not in allowed:
                yield f"spec.securityContext.sysctls[{i}].name", f"sysctl {sysctl.name} must not be set"

    return rule


def _windows_host_process(pod: Facts) -> Found:
    """check_windowsHostProcess.go"""
    for path, context in pod.contexts:
        if context.windows_options and context.windows_options.host_process:
            yield f"{path}.windowsOptions.hostProcess", "hostProcess must not be true"


def _probe_hosts(pod: Facts) -> Found:
    """check_hostProbesAndhostLifecycle.go"""
    for field, i, container in pod.containers:
        for name, handler in handlers(container):
            for kind, target in (("httpGet", handler.http_get), ("tcpSocket", handler.tcp_socket)):
                if target and target.host:
                    yield f"spec.{field}[{i}].{name}.{kind}.host", f"host {target.host!r} must not be set"


def _privilege_escalation(pod: Facts) -> Found:
    """check_allowPrivilegeEscalation.go"""
    for field, i, container in pod.containers:
        context = container.security_context
        if context is None or context.allow_privilege_escalation is not False:
            path = f"spec.{field}[{i}].securityContext.allowPrivilegeEscalation"
            yield path, "allowPrivilegeEscalation must be false"


def _run_as_non_root(pod: Facts) -> Found:
    """check_runAsNonRoot.go"""
    own = pod.spec.security_context.run_as_non_root if pod.spec.security_context else None
    if own is False:
        yield "spec.securityContext.runAsNonRoot", "runAsNonRoot must not be false"
    for field, i, container in pod.containers:
        value = container.security_context.run_as_non_root if container.security_context else None
        if value is False or (value is None and not own):
            yield f"spec.{field}[{i}].securityContext.runAsNonRoot", "runAsNonRoot must be true"


def _run_as_user(pod: Facts) -> Found:
    """check_runAsUser.go"""
    for path, context in pod.contexts:
        if context.run_as_user == 0:
            yield f"{path}.runAsUser", "runAsUser must not be 0"


class _Check(NamedTuple):
    """A check of upstream's registry: since which minor version it has which rule, and what it overrides."""

    level: Level
    name: str
    versions: tuple[tuple[int, Rule], ...]
    overrides: str = ""


_CHECKS = (
    _Check(
        "restricted",
        "allowPrivilegeEscalation",
        ((8, _privilege_escalation), (25, _unless_windows(_privilege_escalation))),
    ),
    _Check("baseline", "appArmorProfile", ((0, _app_armor),)),
    _Check("baseline", "capabilities_baseline", ((0, _capabilities_baseline),)),
    _Check(
        "restricted",
        "capabilities_restricted",
        ((22, _capabilities_restricted), (25, _unless_windows(_capabilities_restricted))),
        overrides="capabilities_baseline",
    ),
    _Check("baseline", "hostNamespaces", ((0, _host_namespaces),)),
    _Check("baseline", "hostPathVolumes", ((0, _host_path_volumes),)),
    _Check("baseline", "hostPorts", ((0, _host_ports),)),
    _Check("baseline", "hostProbesAndHostLifecycle", ((34, _probe_hosts),)),
    _Check("baseline", "privileged", ((0, _privileged),)),
    _Check("baseline", "procMount", ((0, _proc_mount), (35, _unless_user_namespace(_proc_mount)))),
    _Check("restricted", "procMount_restricted", ((35, _proc_mount),), overrides="procMount"),
    _Check("restricted", "restrictedVolumes", ((0, _restricted_volumes),), overrides="hostPathVolumes"),
    _Check("restricted", "runAsNonRoot", ((0, _run_as_non_root), (35, _unless_user_namespace(_run_as_non_root)))),
    _Check("restricted", "runAsUser", ((23, _run_as_user), (35, _unless_user_namespace(_run_as_user)))),
    _Check("baseline", "seLinuxOptions", ((0, _se_linux_1_0), (31, _se_linux_1_31))),
    _Check("baseline", "seccompProfile_baseline", ((0, _seccomp_annotations), (19, _seccomp_baseline))),
    _Check(
        "restricted",
        "seccompProfile_restricted",
        ((19, _seccomp_restricted), (25, _unless_windows(_seccomp_restricted))),
        overrides="seccompProfile_baseline",
    ),
    _Check(
        "baseline",
        "sysctls",
        (
            (0, _sysctls(_SYSCTLS_1_0)),
            (27, _sysctls(_SYSCTLS_1_27)),
            (29, _sysctls(_SYSCTLS_1_29)),
            (32, _sysctls(_SYSCTLS_1_32)),
        ),
    ),
    _Check("baseline", "windowsHostProcess", ((0, _windows_host_process),)),
)


@cache
def rules_of(level: str, minor: int) -> tuple[tuple[str, Rule], ...]:
    """The rules of a level at a policy version (registry.go): restricted adds its own and drops what they override."""
    found = [
        (check, next(rule for since, rule in reversed(check.versions) if since <= minor))
        for check in _CHECKS
        if LEVELS.index(check.level) <= LEVELS.index(cast(Level, level)) and check.versions[0][0] <= minor
    ]
    overridden = {check.overrides for check, _ in found}
    return tuple((check.name, rule) for check, rule in found if check.name not in overridden)
