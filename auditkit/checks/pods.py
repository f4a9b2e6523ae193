"""Whether pods are kept from their node and from each other, and are run as planned."""

import pandas as pd

from auditkit.analysis.podrules import LEVELS
from auditkit.checks.lists import filled, holds
from auditkit.declare import check

SANDBOXES = ("gvisor", "kata", "kata-clh", "kata-fc", "kata-qemu", "runsc")
# What installers and providers run in kube-system themselves.
SYSTEM_WORKLOADS = (
    "antrea-agent", "antrea-controller", "aws-cloud-controller-manager", "aws-node", "azure-cns", "azure-ip-masq-agent",
    "calico-kube-controllers", "calico-node", "calico-typha", "canal", "cilium", "cilium-envoy", "cilium-operator",
    "cloud-controller-manager", "cloud-node-manager", "coredns", "coredns-autoscaler", "csi-azuredisk-node",
    "csi-azurefile-node", "ebs-csi-controller", "ebs-csi-node", "efs-csi-controller", "efs-csi-node",
    "eks-pod-identity-agent", "fluentbit-gke", "gke-metadata-server", "gke-metrics-agent", "ip-masq-agent", "kindnet",
    "konnectivity-agent", "kube-dns", "kube-dns-autoscaler", "kube-flannel-ds", "kube-proxy", "kube-router",
    "local-path-provisioner", "metrics-server", "netd", "node-local-dns", "pdcsi-node", "snapshot-controller",
    "weave-net",
)  # fmt: skip


@check("POD-02", severity="high")
def host_pid(workloads: pd.DataFrame) -> pd.Series:
    """Pods do not share the node's processes.

    A process that sees the node's processes can read their memory and environment.

    Fix: remove `hostPID: true`.
    """
    return workloads.host_pid


@check("POD-03", severity="high")
def host_ipc(workloads: pd.DataFrame) -> pd.Series:
    """Pods do not share the node's inter-process communication.

    Shared memory of other processes of the node can be read and written.

    Fix: remove `hostIPC: true`.
    """
    return workloads.host_ipc


@check("POD-04", severity="high")
def host_network(workloads: pd.DataFrame) -> pd.Series:
    """Pods do not share the node's network.

    NetworkPolicies do not apply to such a pod, and it reaches what listens on the node only.

    Fix: remove `hostNetwork: true`.
    """
    return workloads.host_network


@check("POD-25", severity="medium")
def sysctls(workloads: pd.DataFrame) -> pd.Series:
    """Pods set no sysctl but those that Kubernetes counts as safe.

    Others are not kept apart by namespaces: they change the node for all of its pods.

    Fix: remove the sysctl, or set it for the node.
    """
    return holds(workloads.violations, "sysctls")


@check("POD-26", severity="medium")
def selinux(workloads: pd.DataFrame) -> pd.Series:
    """Pods choose no SELinux user, role or unusual type.

    Types such as spc_t are not confined at all.

    Fix: remove user, role and type from `seLinuxOptions`.
    """
    return holds(workloads.violations, "seLinuxOptions")


@check("POD-27", severity="medium")
def apparmor(workloads: pd.DataFrame) -> pd.Series:
    """Pods do not switch AppArmor off.

    The runtime's profile denies what containers do not need, such as mounting.

    Fix: remove the profile Unconfined, as a field and as an annotation.
    """
    return holds(workloads.violations, "appArmorProfile")


@check("POD-31", severity="high")
def pod_security_level(workloads: pd.DataFrame, *, level: str = "baseline") -> pd.Series:
    """Workloads meet a level of the Pod Security Standards.

    Baseline forbids the known ways from a pod to its node; restricted adds good practice. Judged by the latest
    rules, for running pods and templates alike; exemptions of the cluster are not in the API.

    Fix: mend the first violation that the row names, then the next.
    """
    below = workloads.level.map(LEVELS.index) < LEVELS.index(level)
    return below.astype("boolean").mask(~below & workloads.level_unknown)


@check("POD-60", severity="high")
def below_enforced(pod_security: pd.DataFrame) -> pd.Series:
    """Pods and templates meet the Pod Security level that their namespace enforces.

    Enforcement sees a pod when it is made: what ran before a level was raised, or is exempt, goes on below it.
    Judged by the version of the rules that is enforced. Undetermined where no label enforces a level: the cluster's
    default is not in the API.

    Fix: mend and restart the workload.
    """
    return pod_security.below


@check("POD-34", severity="info")
def user_namespaces(workloads: pd.DataFrame) -> pd.Series:
    """Pods run in a user namespace.

    Root in such a pod is an ordinary user of the node.

    Fix: set `hostUsers: false` (Kubernetes 1.33).
    """
    return ~workloads.user_namespace


@check("POD-35", severity="low")
def shared_processes(workloads: pd.DataFrame) -> pd.Series:
    """Containers of a pod do not share their processes.

    A container that sees another's processes reads its files and environment.

    Fix: remove `shareProcessNamespace: true`.
    """
    return workloads.share_process_namespace


@check("POD-36", severity="medium")
def debug_containers(workloads: pd.DataFrame) -> pd.Series:
    """No debug container is in a running pod.

    An ephemeral container is a change to what runs that no template holds and no pipeline saw.

    Fix: restart the pod; agree the debugging to a ticket.
    """
    return filled(workloads.ephemeral_containers)


@check("POD-37", severity="low")
def host_aliases(workloads: pd.DataFrame) -> pd.Series:
    """Pods resolve names by DNS alone.

    A line in /etc/hosts sends a name elsewhere, unseen by whoever runs DNS.

    Fix: remove `hostAliases` and use a Service.
    """
    return workloads.host_aliases


@check("POD-39", severity="medium")
def sandboxes(
    workloads: pd.DataFrame, *, namespaces: tuple[str, ...] = (), classes: tuple[str, ...] = SANDBOXES
) -> pd.Series:
    """Workloads of the namespaces that call for it run in a sandbox.

    A sandbox such as gVisor or Kata puts a second kernel between a workload and its node. One is known by the name of
    its RuntimeClass, as in `classes`; what nodes run under that name is not in the API. Which namespaces call for it is
    the entity's decision: until the setting names them, workloads without one are undetermined.

    Fix: set `runtimeClassName` to a sandbox's class.
    """
    outside = ~workloads.runtime_class.isin(list(classes))
    wanted = workloads.namespace.isin(list(namespaces))
    return (outside & wanted).astype("boolean").mask(outside & (len(namespaces) == 0))


@check("POD-41", severity="low")
def secure_shell(service_ports: pd.DataFrame) -> pd.Series:
    """Services do not lead to SSH.

    A shell that is reached over the network goes past the API server, its roles and its audit log. It is known by the
    ports 22 and 2222, of Service or pods, and by the names ssh and sshd.

    Fix: remove the port and the server; use `kubectl exec`.
    """
    named = service_ports.port_name.str.lower().isin(["ssh", "sshd"]) | service_ports.target.isin(["ssh", "sshd"])
    return service_ports.port.isin([22, 2222]) | holds(service_ports.numbers, "22", "2222") | named


@check("POD-42", severity="low")
def naked_pods(workloads: pd.DataFrame) -> pd.Series:
    """Pods are made by a controller.

    A pod that somebody started by hand is not replaced when its node goes, and is in nobody's review.

    Fix: use a Deployment, StatefulSet, DaemonSet or Job.
    """
    return workloads.naked


@check("POD-43", severity="low")
def default_namespace(workloads: pd.DataFrame) -> pd.Series:
    """Workloads do not lie in the namespace default.

    Policies, quotas and grants are written for namespaces; default is where what nobody placed ends up. A
    manifest without a namespace goes where whoever applies it is: undetermined.

    Fix: move the workload to a namespace of its own.
    """
    return (workloads.namespace == "default").mask(workloads.namespace == "")


@check("POD-44", severity="medium")
def system_namespace(system_workloads: pd.DataFrame, *, known: tuple[str, ...] = SYSTEM_WORKLOADS) -> pd.Series:
    """Only the cluster's own workloads lie in kube-system.

    kube-system is exempt from many policies and holds the cluster's own tokens. Its own workloads are known by their
    names. Static pods are placed by their node, not through the API, and pass.

    Fix: move the workload to a namespace of its own; name add-ons of this cluster in the setting `known`.
    """
    return ~system_workloads.static & ~system_workloads.name.isin(list(known))


@check("POD-47", severity="info")
def suspended(cronjobs: pd.DataFrame) -> pd.Series:
    """CronJobs are not suspended.

    A job that is off does not do what a procedure counts on: erasure, reconciliation, backup.

    Fix: set `suspend: false`, or delete the CronJob.
    """
    return cronjobs.suspended
