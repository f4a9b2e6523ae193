"""Roles that give dangerous power, whoever holds them; what Kubernetes ships counts for nothing (table `roles`)."""

import pandas as pd

from auditkit.declare import check


@check("RBAC-04", severity="high")
def wildcard_verbs(roles: pd.DataFrame) -> pd.Series:
    """Roles name their verbs.

    `*` includes verbs that do not exist yet, and special ones such as bind, escalate and impersonate.

    Fix: list the verbs that are needed.
    """
    return roles.wildcard_verbs


@check("RBAC-05", severity="high")
def wildcard_resources(roles: pd.DataFrame) -> pd.Series:
    """Roles name their resources and API groups.

    `*` and `*/subresource` include every resource that is installed later. `pods/*` is no pattern and grants nothing.

    Fix: list API groups and resources.
    """
    return roles.wildcard_resources


@check("RBAC-07", severity="high")
def read_secrets(roles: pd.DataFrame) -> pd.Series:
    """Roles do not read Secrets.

    get, list and watch all return the values. A rule limited by resourceNames counts for those names.

    Fix: drop secrets from the rule, or name single Secrets and allow get only, and accept in writing those that a controller needs.
    """
    return roles.reads_secrets


@check("RBAC-08", severity="high")
def create_pods(roles: pd.DataFrame) -> pd.Series:
    """Roles do not create Pods.

    Whoever creates a Pod runs code with any ServiceAccount and Secret of its namespace.

    Fix: let a deployment pipeline create workloads, and people review them.
    """
    return roles.creates_pods


@check("RBAC-09", severity="high")
def write_workloads(roles: pd.DataFrame) -> pd.Series:
    """Roles do not change workload controllers.

    A Deployment or Job creates Pods for its author: the same power as creating them. Kubernetes' own are looked at,
    not custom ones such as Rollouts of Argo.

    Fix: leave workload changes to the deployment pipeline.
    """
    return roles.writes_workloads


@check("RBAC-13", severity="high")
def debug_pods(roles: pd.DataFrame) -> pd.Series:
    """Roles do not attach ephemeral containers.

    A debug container runs in the Pod's namespaces and sees its processes and volumes.

    Fix: grant pods/ephemeralcontainers for the time of an incident only.
    """
    return roles.debugs_pods


@check("RBAC-14", severity="low")
def delete_logs(roles: pd.DataFrame) -> pd.Series:
    """Roles do not delete Pod logs.

    Logs are evidence of what happened.

    Fix: drop delete on pods/log.
    """
    return roles.deletes_logs


@check("RBAC-15", severity="medium")
def delete_events(roles: pd.DataFrame) -> pd.Series:
    """Roles do not delete Events.

    Deleting Events hides what was done.

    Fix: drop delete and deletecollection on events.
    """
    return roles.deletes_events


@check("RBAC-16", severity="medium")
def delete_workloads(roles: pd.DataFrame) -> pd.Series:
    """Roles do not delete Secrets, Pods, Services or workloads.

    Deletion interrupts service and may destroy data.

    Fix: leave deletion to controllers and the deployment pipeline.
    """
    return roles.deletes_workloads


@check("RBAC-18", severity="critical")
def bind_roles(roles: pd.DataFrame) -> pd.Series:
    """Roles do not give the verb bind.

    bind hands out rights that one does not hold. resourceNames limit which roles; the row remains.

    Fix: drop bind, or limit it by resourceNames to harmless roles and accept it in writing.
    """
    return roles.binds_roles


@check("RBAC-19", severity="critical")
def escalate_roles(roles: pd.DataFrame) -> pd.Series:
    """Roles do not give the verb escalate.

    escalate writes any right into a role, one's own included.

    Fix: drop escalate.
    """
    return roles.escalates_roles


@check("RBAC-20", severity="high")
def write_rbac(roles: pd.DataFrame) -> pd.Series:
    """Roles do not change roles or bindings.

    Who writes bindings decides who has access, outside the joiner and leaver process. To delete one gives no access
    and is not counted.

    Fix: leave RBAC to reviewed configuration.
    """
    return roles.writes_rbac


@check("RBAC-21", severity="medium")
def create_volumes(roles: pd.DataFrame) -> pd.Series:
    """Roles do not create PersistentVolumes.

    A hostPath volume opens the node's file system.

    Fix: use StorageClasses and a provisioner.
    """
    return roles.creates_volumes


@check("RBAC-22", severity="high")
def proxy_nodes(roles: pd.DataFrame) -> pd.Series:
    """Roles do not reach the kubelet through nodes/proxy.

    get is enough to run commands in any Pod of the node, past admission and the audit log.

    Fix: grant nodes/metrics, nodes/stats or nodes/configz (1.33) instead.
    """
    return roles.proxies_nodes


@check("RBAC-24", severity="high")
def write_admission(roles: pd.DataFrame) -> pd.Series:
    """Roles do not change admission webhooks or policies.

    Who changes admission switches off the controls that it enforces, or reads every object sent to it.

    Fix: leave them to their controllers and accept those in writing.
    """
    return roles.writes_admission


@check("RBAC-25", severity="high")
def create_tokens(roles: pd.DataFrame) -> pd.Series:
    """Roles do not mint ServiceAccount tokens.

    A token is the ServiceAccount, outside the cluster too.

    Fix: drop create on serviceaccounts/token; or limit it by resourceNames and accept the row, which remains, in writing.
    """
    return roles.creates_tokens


@check("RBAC-29", severity="medium")
def write_status(roles: pd.DataFrame) -> pd.Series:
    """Roles do not change the status of Nodes, Pods or Services.

    Status steers traffic and scheduling, and tells monitoring what is healthy.

    Fix: leave status to controllers and kubelets.
    """
    return roles.writes_status


@check("RBAC-31", severity="medium")
def write_cluster_config(roles: pd.DataFrame) -> pd.Series:
    """Roles do not change the cluster's configuration in kube-system.

    ConfigMap coredns decides where every name leads. A ClusterRole counts where its rule covers such a ConfigMap,
    a Role of kube-system whichever it names.

    Fix: drop update, patch and delete on configmaps, or name others in a ClusterRole.
    """
    return roles.writes_cluster_config


@check("RBAC-33", severity="medium")
def write_network(roles: pd.DataFrame) -> pd.Series:
    """Roles do not change networking.

    NetworkPolicies, Services, endpoints and Ingresses decide which traffic reaches what. To delete a NetworkPolicy
    lets everything through. What meshes, gateways and network plugins bring of their own is not looked at.

    Fix: leave them to the deployment pipeline.
    """
    return roles.writes_network
