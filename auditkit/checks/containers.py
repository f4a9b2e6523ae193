"""Whether a process that breaks out of its container, or is taken over in it, gains anything."""

import pandas as pd

from auditkit.checks.lists import adds, filled, holds
from auditkit.declare import check


@check("POD-01", severity="critical")
def privileged(containers: pd.DataFrame) -> pd.Series:
    """Containers are not privileged.

    A privileged container has every device and capability of its node: it is root there.

    Fix: remove `privileged: true`; add the single capability that is needed.
    """
    return containers.privileged


@check("POD-05", severity="high")
def escalation(containers: pd.DataFrame) -> pd.Series:
    """Containers cannot gain privileges that their process did not start with.

    Where nothing is set Kubernetes allows it: a setuid program makes root out of a user.

    Fix: set `allowPrivilegeEscalation: false`. Windows containers have no such setting.
    """
    return containers.allow_privilege_escalation.fillna(True) & ~containers.windows


@check("POD-06", severity="high")
def non_root(containers: pd.DataFrame) -> pd.Series:
    """Containers are refused where their image would run as root.

    runAsNonRoot makes the kubelet look at the user before it starts the container. Not needed in a user namespace.

    Fix: set `runAsNonRoot: true` for the pod.
    """
    return ~containers.run_as_non_root.fillna(False) & ~containers.user_namespace


@check("POD-07", severity="high")
def root_user(containers: pd.DataFrame) -> pd.Series:
    """Containers run as a user other than root.

    A process that is root in its container is root on the node once it breaks out, but for user namespaces.

    Fix: set `runAsNonRoot: true`, or a `runAsUser` above 0. Where neither is set the image
    decides, which a snapshot cannot see: the row is undetermined, not passed.
    """
    refused = containers.run_as_user.isna() & containers.run_as_non_root.fillna(False)
    return (containers.run_as_user == 0) & ~refused & ~containers.user_namespace & ~containers.windows


@check("POD-08", severity="low")
def low_user(containers: pd.DataFrame, *, above: int = 10000) -> pd.Series:
    """Containers set a user id above those that people and services of a node have.

    A process that breaks out has the rights of the node's user of the same number.

    Fix: set `runAsUser` above 10000.
    """
    return (containers.run_as_user.fillna(0) <= above) & ~containers.windows


@check("POD-09", severity="low")
def root_group(containers: pd.DataFrame) -> pd.Series:
    """Containers do not belong to group 0.

    Many files of a node and of images are writable for the group of root. Where no runAsGroup is set the image
    decides: undetermined.

    Fix: set `runAsGroup` above 0 and remove 0 from `fsGroup` and `supplementalGroups`.
    """
    return (containers.root_groups | (containers.run_as_group == 0)) & ~containers.windows


@check("POD-10", severity="medium")
def raw_sockets(containers: pd.DataFrame) -> pd.Series:
    """Containers cannot forge packets.

    NET_RAW is in the default set: whoever has it spoofs addresses and names for its neighbours.

    Fix: set `capabilities.drop: [ALL]` and do not add NET_RAW.
    """
    kept = ~holds(containers.capabilities_dropped, "ALL", "NET_RAW")
    return (kept | adds(containers.capabilities_added, "NET_RAW") | containers.privileged) & ~containers.windows


@check("POD-11", severity="high")
def added_capabilities(containers: pd.DataFrame) -> pd.Series:
    """Containers add no capability beyond those that Pod Security's baseline allows.

    These are what a runtime gives by default, but for NET_RAW. SYS_ADMIN, SYS_PTRACE, NET_ADMIN and their like are
    ways out of a container.

    Fix: remove the capability from `capabilities.add`.
    """
    return containers.adds_beyond_default


@check("POD-12", severity="medium")
def drops_all(containers: pd.DataFrame) -> pd.Series:
    """Containers drop all capabilities and add none but NET_BIND_SERVICE.

    The default set lets a process change owners, bypass permissions and forge packets. A privileged container has
    every capability, whatever it drops.

    Fix: set `capabilities.drop: [ALL]`; add NET_BIND_SERVICE where a port below 1024 is bound.
    """
    others = containers.capabilities_added.explode().dropna()
    added = others[others != "NET_BIND_SERVICE"].index
    kept = ~holds(containers.capabilities_dropped, "ALL")
    return (kept | containers.index.isin(added) | containers.privileged) & ~containers.windows


@check("POD-13", severity="critical")
def system_administration(containers: pd.DataFrame) -> pd.Series:
    """Containers do not add SYS_ADMIN.

    It mounts file systems and enters namespaces: nearly what a privileged container can do.

    Fix: remove SYS_ADMIN and ALL from `capabilities.add`.
    """
    return adds(containers.capabilities_added, "SYS_ADMIN")


@check("POD-14", severity="critical")
def kernel_modules(containers: pd.DataFrame) -> pd.Series:
    """Containers do not add SYS_MODULE.

    Who loads a module runs code in the node's kernel.

    Fix: remove SYS_MODULE and ALL from `capabilities.add`.
    """
    return adds(containers.capabilities_added, "SYS_MODULE")


@check("POD-15", severity="high")
def host_process(containers: pd.DataFrame) -> pd.Series:
    """Windows containers are not processes of their node.

    A HostProcess container is no container: it runs on the node with rights of the node.

    Fix: remove `windowsOptions.hostProcess: true`.
    """
    return containers.host_process


@check("POD-16", severity="medium")
def windows_administrator(containers: pd.DataFrame) -> pd.Series:
    """Windows containers do not run as ContainerAdministrator.

    It is what root is on Linux. Where a pod for Windows, by its spec or its nodeSelector, names no user the image
    decides: undetermined.

    Fix: set `windowsOptions.runAsUserName: ContainerUser`.
    """
    user = containers.windows_user.str.lower().str.replace(r"^.*\\", "", regex=True)
    administrator = user == "containeradministrator"
    elsewhere = ~containers.windows & ~containers.windows_node
    return administrator.mask(containers.windows_user.isna() & elsewhere, False)


@check("POD-22", severity="medium")
def host_ports(containers: pd.DataFrame) -> pd.Series:
    """Containers bind no port of their node.

    A host port is reachable from wherever the node is, past Services and their policies. Only ports that the pod
    names are seen: what else it binds with hostNetwork is POD-04's.

    Fix: remove `hostPort` (and `hostNetwork`) and expose the pod through a Service.
    """
    return filled(containers.host_ports)


@check("POD-23", severity="medium")
def probe_hosts(containers: pd.DataFrame) -> pd.Series:
    """Probes and hooks go to the container's own address.

    The kubelet sends them from the node: with a host of one's choice it knocks where the pod could not reach.

    Fix: remove `host` from httpGet and tcpSocket.
    """
    return containers.probe_hosts


@check("POD-24", severity="medium")
def proc_mount(containers: pd.DataFrame) -> pd.Series:
    """Containers see /proc masked as usual.

    An unmasked /proc shows and changes the kernel's settings.

    Fix: remove `procMount: Unmasked`.
    """
    return (containers.proc_mount != "Default").fillna(False)


@check("POD-28", severity="medium")
def seccomp_off(containers: pd.DataFrame) -> pd.Series:
    """No container switches its seccomp profile off.

    Unconfined opens every system call of the node's kernel, whatever the node's default is.

    Fix: set `seccompProfile.type: RuntimeDefault`.
    """
    known = containers.seccomp.isna() | containers.seccomp.isin(["RuntimeDefault", "Localhost", "Unconfined"])
    return (containers.seccomp == "Unconfined").fillna(False).mask(~known)


@check("POD-29", severity="medium")
def seccomp(containers: pd.DataFrame) -> pd.Series:
    """Containers run under a seccomp profile of their own or of their pod.

    Without one every system call of the kernel is open to a process that was taken over, unless the kubelet
    has a default, which the pod cannot count on. A privileged container runs without one, whatever it names.

    Fix: set `seccompProfile.type: RuntimeDefault` for the pod. Windows has no seccomp.
    """
    unset = ~containers.seccomp.isin(["RuntimeDefault", "Localhost"])
    return (unset | containers.privileged) & ~containers.windows


@check("POD-32", severity="medium")
def read_only_root(containers: pd.DataFrame) -> pd.Series:
    """Containers cannot write to their root file system.

    What is written there stays unseen until the container ends: tools, changed programs.

    Fix: set `readOnlyRootFilesystem: true` and mount an emptyDir where the program writes. Windows cannot.
    """
    return ~containers.read_only_root & ~containers.windows


@check("POD-33", severity="low")
def security_context(containers: pd.DataFrame) -> pd.Series:
    """Containers or their pods have a securityContext.

    Where nothing is set the image and the runtime decide how much a process may do.

    Fix: set securityContext for the pod and its containers.
    """
    return ~containers.security_context


@check("POD-38", severity="low")
def privileged_ports(containers: pd.DataFrame) -> pd.Series:
    """Containers listen on ports from 1024.

    A port below needs root or a capability to be bound.

    Fix: listen on a high port; a Service maps the low one to it.
    """
    return filled(containers.privileged_ports)


@check("POD-40", severity="low")
def sudo(containers: pd.DataFrame) -> pd.Series:
    """Containers do not start programs with sudo.

    sudo in a container means that its user can become root.

    Fix: run the program as the user it needs, with the capability it needs.
    """
    return containers.sudo


@check("POD-46", severity="high")
def tiller(containers: pd.DataFrame) -> pd.Series:
    """Helm 2's Tiller does not run.

    Tiller installs anything for whoever reaches its port, and is no longer maintained.

    Fix: move to Helm 3 or later and delete Tiller.
    """
    named = containers.name.str.contains("tiller-deploy", regex=False)
    return named | containers.image.str.contains(r"(?:^|/)tiller(?:[:@]|$)").fillna(False)


@check("POD-48", severity="low")
def duplicate_variables(containers: pd.DataFrame) -> pd.Series:
    """Environment variables are set once.

    Of two of one name the last wins: what a reviewer reads is not what runs.

    Fix: remove the variable that is not meant.
    """
    return filled(containers.duplicate_env)
