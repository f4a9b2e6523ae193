"""Whether containers are kept from the node and from each other."""

import pandas as pd

from auditkit.declare import check


@check("POD-01", severity="critical")
def privileged(containers: pd.DataFrame) -> pd.Series:
    """Containers are not privileged.

    A privileged container has every device and capability of its node: it is root there.

    Fix: remove `privileged: true`; add the single capability that is needed.
    """
    return containers["privileged"]


@check("POD-02", severity="high")
def host_pid(containers: pd.DataFrame) -> pd.Series:
    """Pods do not share the node's processes.

    A process that sees the node's processes can read their memory and environment.

    Fix: remove `hostPID: true`.
    """
    return containers["host_pid"]


@check("POD-03", severity="high")
def host_ipc(containers: pd.DataFrame) -> pd.Series:
    """Pods do not share the node's inter-process communication.

    Shared memory of other processes of the node can be read and written.

    Fix: remove `hostIPC: true`.
    """
    return containers["host_ipc"]


@check("POD-04", severity="high")
def host_network(containers: pd.DataFrame) -> pd.Series:
    """Pods do not share the node's network.

    NetworkPolicies do not apply to such a pod, and it reaches what listens on the node only.

    Fix: remove `hostNetwork: true`.
    """
    return containers["host_network"]


@check("POD-05", severity="high")
def escalation(containers: pd.DataFrame) -> pd.Series:
    """Containers cannot gain privileges that their process did not start with.

    Where nothing is set Kubernetes allows it: a setuid program makes root out of a user.

    Fix: set `allowPrivilegeEscalation: false`. Windows containers have no such setting.
    """
    return (containers["allow_privilege_escalation"].fillna(True) & ~containers["windows"]).astype("boolean")


@check("POD-07", severity="high")
def root_user(containers: pd.DataFrame) -> pd.Series:
    """Containers run as a user other than root.

    A process that is root in its container is root on the node once it breaks out.

    Fix: set `runAsNonRoot: true`, or a `runAsUser` above 0. Where neither is set the image
    decides, which a snapshot cannot see: the row is undetermined, not passed.
    """
    root = containers["run_as_user"] == 0
    enforced = containers["run_as_non_root"].fillna(False) & ~root.fillna(False)
    return root & ~enforced & ~containers["windows"]


@check("POD-12", severity="medium")
def drops_all(containers: pd.DataFrame) -> pd.Series:
    """Containers drop all capabilities.

    The default set lets a process change owners, bind low ports and forge packets.

    Fix: set `capabilities.drop: [ALL]` and add back what is needed.
    """
    return ~containers["drops_all"] & ~containers["windows"]


@check("POD-11", severity="high")
def added_capabilities(containers: pd.DataFrame) -> pd.Series:
    """Containers add no capability beyond those that a runtime gives by default.

    SYS_ADMIN, SYS_PTRACE, NET_ADMIN and their like are ways out of a container.

    Fix: remove the capability from `capabilities.add`.
    """
    return containers["adds_beyond_default"]


@check("POD-22", severity="medium")
def host_ports(containers: pd.DataFrame) -> pd.Series:
    """Containers bind no port of their node.

    A host port is reachable from wherever the node is, past Services and their policies.

    Fix: remove `hostPort` and expose the pod through a Service.
    """
    return (containers["host_ports"].str.len() > 0).astype("boolean")


@check("POD-29", severity="medium")
def seccomp(containers: pd.DataFrame) -> pd.Series:
    """Containers run under a seccomp profile.

    Without one every system call of the kernel is open to a process that was taken over.

    Fix: set `seccompProfile.type: RuntimeDefault` for the pod. Windows has no seccomp.
    """
    profiled = (containers["seccomp"] == "RuntimeDefault") | (containers["seccomp"] == "Localhost")
    return ~profiled.fillna(False) & ~containers["windows"]


@check("POD-32", severity="medium")
def read_only_root(containers: pd.DataFrame) -> pd.Series:
    """Containers cannot write to their root file system.

    What is written there survives unseen until the container ends: tools, changed programs.

    Fix: set `readOnlyRootFilesystem: true` and mount an emptyDir where the program writes.
    """
    return ~containers["read_only_root"]


@check("SEC-01", severity="medium")
def secret_environment(containers: pd.DataFrame) -> pd.Series:
    """Secrets are not passed as environment variables.

    Variables are inherited by child processes and end up in crash dumps and logs.

    Fix: mount the Secret as a file.
    """
    return containers["secret_env"]


@check("SEC-02", severity="high")
def plain_credentials(containers: pd.DataFrame) -> pd.Series:
    """No credential stands in the open in variables or arguments.

    Whoever may read the workload reads the credential, and every copy of the manifest holds it.

    Fix: move the value into a Secret and mount it; then change the credential.
    """
    return containers["plain_credential"]


@check("AVL-02", severity="medium")
def memory_limit(containers: pd.DataFrame) -> pd.Series:
    """Containers have a memory limit.

    One that grows without limit takes its neighbours on the node down with it.

    Fix: set `resources.limits.memory`.
    """
    return containers["memory_limit"].isna().astype("boolean")
