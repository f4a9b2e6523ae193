"""Containers: what runs, as it runs, and of what does not run, what would."""

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.analysis.podrules import handlers
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.pods import Capabilities, Container, PodSecurityContext, PodSpec, SecurityContext, WindowsOptions

# k8s.io/pod-security-admission/policy/check_capabilities_baseline.go; names are compared exactly.
DEFAULT_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
     "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip
OS_LABELS = ("kubernetes.io/os", "beta.kubernetes.io/os")
ZERO = re.compile(r"[+-]?0*\.?0*([eE][+-]?[0-9]+|[A-Za-z]{0,2})")


# The columns of ContainerPlace.
PLACE = ("namespace", "kind", "name", "role", "container", "variant")


class ContainerPlace:
    """Which container of which owner a row is about."""

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner, e.g. Deployment; Pod where nothing collected owns it."]
    name: Annotated[str, "Name of the top owner."]
    role: Annotated[str, "main, init, sidecar (an init container that stays) or ephemeral."]
    container: Annotated[str, "Name of the container."]
    variant: Annotated[int, "0, or a number where pods of one owner differ: 0 is as in the newest pod."]


class _Columns(ContainerPlace):
    running: Annotated[bool, "As in a pod that has not ended; otherwise as in the owner's template."]
    image: Annotated[str | None, "Reference of the image as the spec names it."]
    image_pull_policy: Annotated[str | None, "imagePullPolicy."]
    windows: Annotated[bool, "spec.os.name is windows: rules of Linux do not apply."]
    windows_node: Annotated[bool, "The nodeSelector asks for Windows, whether or not spec.os.name says so."]
    user_namespace: Annotated[bool, "hostUsers is false: root in the container is nobody on the node."]
    security_context: Annotated[bool, "The container or its pod sets something in securityContext."]
    privileged: Annotated[bool, "securityContext.privileged."]
    allow_privilege_escalation: Annotated[bool | None, "As set; missing means that Kubernetes' default, true, applies."]
    run_as_user: Annotated[int | None, "Of the container, else of the pod; missing: the image decides."]
    run_as_group: Annotated[int | None, "Of the container, else of the pod; missing: the image decides."]
    run_as_non_root: Annotated[bool | None, "Of the container, else of the pod."]
    root_groups: Annotated[bool, "fsGroup or supplementalGroups of the pod hold group 0."]
    windows_user: Annotated[str | None, "windowsOptions.runAsUserName of the container, else of the pod."]
    host_process: Annotated[bool, "windowsOptions.hostProcess of the container or of the pod."]
    read_only_root: Annotated[bool, "readOnlyRootFilesystem."]
    proc_mount: Annotated[str | None, "procMount; missing is Default."]
    seccomp: Annotated[str | None, "Type of the seccomp profile, of the container, else of the pod."]
    capabilities_added: Annotated[list[str], "capabilities.add, as written."]
    capabilities_dropped: Annotated[list[str], "capabilities.drop, as written."]
    adds_beyond_default: Annotated[bool, "Adds a capability outside those that Pod Security's baseline allows."]
    host_ports: Annotated[list[str], "Ports of the node that it binds; with hostNetwork every port that it names."]
    privileged_ports: Annotated[list[str], "Ports below 1024 that it names."]
    probe_hosts: Annotated[
        bool | None, "A probe or hook names a host; missing where one holds a handler that is not known."
    ]
    secret_env: Annotated[list[str], "Secrets whose values are environment variables."]
    env_unknown: Annotated[bool, "A variable has a source that is not known."]
    plain_env: Annotated[list[str], "Variables whose literal value looks like a credential (judged at capture)."]
    secret_argv: Annotated[bool, "A literal credential is among command, args, probes or hooks (judged at capture)."]
    sudo: Annotated[bool, "command, args, a probe or a hook run sudo (judged at capture)."]
    duplicate_env: Annotated[list[str], "Names that env holds more than once: the last one wins."]
    long_running: Annotated[bool, "main or sidecar of a pod whose restartPolicy is Always."]
    cpu_request: Annotated[str | None, "CPU request, of the container, else of the pod; missing where none or 0."]
    cpu_limit: Annotated[str | None, "CPU limit, likewise."]
    memory_request: Annotated[str | None, "Memory request, likewise."]
    memory_limit: Annotated[str | None, "Memory limit, likewise."]
    liveness_probe: Annotated[bool, "Has a livenessProbe."]
    readiness_probe: Annotated[bool, "Has a readinessProbe."]
    startup_probe: Annotated[bool, "Has a startupProbe."]


@table("containers", kinds=POD_KINDS, key=PLACE)
class ContainerRow(_Columns):
    """One row per top owner and container; as it runs in its pods, else as its template says.

    What the pod sets holds for its containers where Kubernetes says so. Pods of one owner that differ in a
    column (a roll-out, an injected sidecar) give one row each: `variant`.
    """

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            variants: dict[tuple[str, str], dict[str, tuple[Any, ...]]] = {}
            for spec in one.specs:
                for role, container in _roles(spec):
                    facts = _facts(spec, container, role)
                    variants.setdefault((role, container.name), {}).setdefault(repr(facts), facts)
            for (role, name), found in variants.items():
                for variant, facts in enumerate(found.values()):
                    yield *one.key, role, name, variant, bool(one.pods), *facts


@view("resourced_containers", key=PLACE)
class ResourcedContainer(_Columns):
    """Containers that can have requests and limits: all but ephemeral ones."""

    @staticmethod
    def frame(containers: pd.DataFrame) -> pd.DataFrame:
        return containers[containers["role"] != "ephemeral"]


@view("long_running_containers", key=PLACE)
class LongRunningContainer(_Columns):
    """Containers that run until they are stopped, so that probes say whether they work."""

    @staticmethod
    def frame(containers: pd.DataFrame) -> pd.DataFrame:
        return containers[containers["long_running"]]


def _roles(spec: PodSpec) -> Iterator[tuple[str, Container]]:
    for container in spec.init_containers or ():
        yield ("sidecar" if container.restart_policy == "Always" else "init"), container
    for container in spec.containers or ():
        yield "main", container
    for container in spec.ephemeral_containers or ():
        yield "ephemeral", container


def _facts(spec: PodSpec, container: Container, role: str) -> tuple[Any, ...]:
    """The columns after `running`."""
    return (
        container.image,
        container.image_pull_policy,
        *_security(spec, container),
        *_ports(spec, container),
        _probe_hosts(container),
        *_environment(container),
        role in ("main", "sidecar") and spec.restart_policy in (None, "Always"),
        *_resources(spec, container),
        container.liveness_probe is not None,
        container.readiness_probe is not None,
        container.startup_probe is not None,
    )


def _security(spec: PodSpec, container: Container) -> Iterator[Any]:
    """From `windows` to `adds_beyond_default`; what a container leaves out its pod says.

    (k8s.io/kubernetes/pkg/securitycontext/util.go DetermineEffectiveSecurityContext)
    """
    own, pod = container.security_context or SecurityContext(), spec.security_context or PodSecurityContext()
    windows, pod_windows = own.windows_options or WindowsOptions(), pod.windows_options or WindowsOptions()
    profile = own.seccomp_profile or pod.seccomp_profile
    capabilities = own.capabilities or Capabilities()
    yield bool(spec.os and spec.os.name == "windows")
    yield "windows" in ((spec.node_selector or {}).get(label) for label in OS_LABELS)
    yield spec.host_users is False
    yield own != SecurityContext() or pod != PodSecurityContext()
    yield bool(own.privileged)
    yield own.allow_privilege_escalation
    yield _first(own.run_as_user, pod.run_as_user)
    yield _first(own.run_as_group, pod.run_as_group)
    yield _first(own.run_as_non_root, pod.run_as_non_root)
    yield pod.fs_group == 0 or 0 in (pod.supplemental_groups or ())
    yield _first(windows.run_as_user_name, pod_windows.run_as_user_name)
    yield bool(windows.host_process or pod_windows.host_process)
    yield bool(own.read_only_root_filesystem)
    yield own.proc_mount
    yield profile.type if profile else None
    yield list(capabilities.add or ())
    yield list(capabilities.drop or ())
    yield not DEFAULT_CAPABILITIES.issuperset(capabilities.add or ())


def _ports(spec: PodSpec, container: Container) -> tuple[list[str], list[str]]:
    """host_ports, privileged_ports.

    With hostNetwork a port is the node's (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go defaultHostNetworkPorts).
    """
    ports = container.ports or ()
    bound = [port.host_port or (port.container_port if spec.host_network else None) for port in ports]
    low = [port.container_port for port in ports if port.container_port and port.container_port < 1024]
    return _texts(bound), _texts(low)


def _probe_hosts(container: Container) -> bool | None:
    found = [handler for _, handler in handlers(container)]
    if any(target and target.host for handler in found for target in (handler.http_get, handler.tcp_socket)):
        return True
    unknown = any(handler.unknown for handler in found) or (container.lifecycle and container.lifecycle.unknown)
    return None if unknown else False


def _environment(container: Container) -> Iterator[Any]:
    """From `secret_env` to `duplicate_env`."""
    env, sources = container.env or (), container.env_from or ()
    values = [variable.value_from for variable in env if variable.value_from]
    commands = [handler.exec for _, handler in handlers(container) if handler.exec]
    names = [variable.name for variable in env]
    keys = [value.secret_key_ref.name for value in values if value.secret_key_ref]
    yield _texts([*keys, *(source.secret_ref.name for source in sources if source.secret_ref)])
    yield any(source.unknown for source in (*values, *sources))
    yield _texts(variable.name for variable in env if variable.looks_secret)
    yield container.secret_argv or any(command.secret_argv for command in commands)
    yield container.sudo or any(command.sudo for command in commands)
    yield _texts(name for i, name in enumerate(names) if name in names[:i])


def _resources(spec: PodSpec, container: Container) -> Iterator[str | None]:
    """cpu_request, cpu_limit, memory_request, memory_limit.

    A container without its own has its pod's (KEP-2837); without a request its limit is the request
    (k8s.io/kubernetes/pkg/apis/core/v1/defaults.go SetDefaults_Pod).
    """
    places = [one for one in (container.resources, spec.resources) if one]
    for name in ("cpu", "memory"):
        limit = _first(*((one.limits or {}).get(name) for one in places))
        yield _quantity(_first(*((one.requests or {}).get(name) for one in places), limit))
        yield _quantity(limit)


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _texts(values: Iterable[object]) -> list[str]:
    """Each value once, as text, without those that are missing."""
    return list(dict.fromkeys(str(value) for value in values if value is not None))


def _quantity(value: object) -> str | None:
    """A quantity as text; None where it is missing or zero, which limits and asks for nothing."""
    text = "" if value is None else str(value)
    return None if ZERO.fullmatch(text) else text
