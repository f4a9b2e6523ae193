"""Containers: what runs, as it runs, and of what does not run, what would."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds import Kind
from auditkit.kinds.pods import Container, PodSecurityContext, PodSpec, SecurityContext
from auditkit.tables.owners import POD_KINDS, owned

NO_CONTEXT, NO_POD_CONTEXT = SecurityContext(), PodSecurityContext()


@table("containers", kinds=POD_KINDS, key=("namespace", "kind", "name", "role", "container", "variant"))
class ContainerRow:
    """One row per top owner and container; as it runs in its pods, else as its template says.

    Pods of one owner that differ in a column (a roll-out, an injected sidecar) give one row each: `variant`.
    """

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner, e.g. Deployment; Pod where nothing owns it."]
    name: Annotated[str, "Name of the top owner."]
    role: Annotated[str, "main, init, sidecar (an init container that stays) or ephemeral."]
    container: Annotated[str, "Name of the container."]
    variant: Annotated[int, "0, or a number where pods of one owner differ."]
    running: Annotated[bool, "From a pod; otherwise from the owner's template."]
    image: Annotated[str | None, "Reference of the image as the spec names it."]
    image_pull_policy: Annotated[str | None, "imagePullPolicy."]
    windows: Annotated[bool, "spec.os.name is windows."]
    host_network: Annotated[bool, "The pod shares the node's network."]
    host_pid: Annotated[bool, "The pod shares the node's processes."]
    host_ipc: Annotated[bool, "The pod shares the node's IPC."]
    privileged: Annotated[bool, "securityContext.privileged."]
    allow_privilege_escalation: Annotated[bool | None, "As set; missing means that Kubernetes' default, true, applies."]
    run_as_user: Annotated[int | None, "Of the container, else of the pod; missing: the image decides."]
    run_as_non_root: Annotated[bool | None, "Of the container, else of the pod."]
    read_only_root: Annotated[bool, "readOnlyRootFilesystem."]
    seccomp: Annotated[str | None, "Type of the seccomp profile, of the container, else of the pod."]
    added_capabilities: Annotated[list[str], "capabilities.add."]
    dropped_capabilities: Annotated[list[str], "capabilities.drop."]
    drops_all: Annotated[bool, "capabilities.drop holds ALL."]
    adds_beyond_default: Annotated[
        bool, "A capability outside those that a container runtime gives by default is added."
    ]
    host_ports: Annotated[list[str], "Ports of the node that the container binds."]
    secret_env: Annotated[bool, "An environment variable is filled from a Secret."]
    plain_credential: Annotated[bool, "A literal variable or argument looks like a credential (judged at capture)."]
    cpu_limit: Annotated[str | None, "resources.limits.cpu."]
    memory_limit: Annotated[str | None, "resources.limits.memory."]
    cpu_request: Annotated[str | None, "resources.requests.cpu."]
    memory_request: Annotated[str | None, "resources.requests.memory."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        seen = set()
        variants: dict[tuple[str, ...], int] = {}
        for workload in owned(objects):
            for spec in workload.specs:
                for key, facts in _containers(workload.owner, spec, bool(workload.pods)):
                    if (key, repr(facts)) not in seen:
                        seen.add((key, repr(facts)))
                        variants[key] = variant = variants.get(key, -1) + 1
                        yield *key, variant, *facts


# k8s.io/pod-security-admission/policy/check_capabilities_baseline.go
DEFAULT_CAPABILITIES = frozenset(
    {"AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE",
     "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT"}
)  # fmt: skip


def _containers(owner: Kind, spec: PodSpec, running: bool) -> Iterator[tuple[tuple[str, ...], tuple[Any, ...]]]:
    lists = (("init", spec.init_containers), ("main", spec.containers), ("ephemeral", spec.ephemeral_containers))
    for role, found in lists:
        for c in found or ():
            stays = role == "init" and c.restart_policy == "Always"
            key = (owner.namespace, owner.kind, owner.name, "sidecar" if stays else role, c.name)
            yield key, _facts(spec, c, running)


def _facts(spec: PodSpec, c: Container, running: bool) -> tuple[Any, ...]:
    own, pod = c.security_context or NO_CONTEXT, spec.security_context or NO_POD_CONTEXT
    profile = own.seccomp_profile or pod.seccomp_profile
    capabilities = own.capabilities
    added = list((capabilities and capabilities.add) or ())
    dropped = list((capabilities and capabilities.drop) or ())
    limits = (c.resources and c.resources.limits) or {}
    requests = (c.resources and c.resources.requests) or {}
    env = c.env or ()
    return (
        running,
        c.image,
        c.image_pull_policy,
        bool(spec.os and spec.os.name == "windows"),
        bool(spec.host_network),
        bool(spec.host_pid),
        bool(spec.host_ipc),
        bool(own.privileged),
        own.allow_privilege_escalation,
        own.run_as_user if own.run_as_user is not None else pod.run_as_user,
        own.run_as_non_root if own.run_as_non_root is not None else pod.run_as_non_root,
        bool(own.read_only_root_filesystem),
        profile.type if profile else None,
        added,
        dropped,
        "ALL" in (d.upper() for d in dropped),
        any(a not in DEFAULT_CAPABILITIES for a in added),
        [str(p.host_port) for p in c.ports or () if p.host_port],
        any(e.value_from and e.value_from.secret_key_ref for e in env) or any(e.secret_ref for e in c.env_from or ()),
        any(e.looks_secret for e in env) or c.secret_argv,
        _quantity(limits.get("cpu")),
        _quantity(limits.get("memory")),
        _quantity(requests.get("cpu")),
        _quantity(requests.get("memory")),
    )


def _quantity(value: object) -> str | None:
    return None if value is None else str(value)
