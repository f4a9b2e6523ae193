"""NetworkPolicies and the mesh: who may talk to whom.

A check names every table that its verdicts rest on, also one that its population was already computed
from: where such a table was not completely collected, the check is not collected.
"""

import pandas as pd

from auditkit.declare import check


@check("NET-01", severity="medium")
def policies_exist(occupied_namespaces: pd.DataFrame, isolation: pd.DataFrame) -> pd.Series:
    """Every namespace that holds workloads has a NetworkPolicy.

    Without one, every pod of the cluster may talk to every pod of the namespace, and these to everything.

    Fix: add a policy that denies all, then policies for what is needed.
    """
    return ~occupied_namespaces.has_policy


@check("NET-02", severity="medium")
def selected(isolation: pd.DataFrame, namespace_network: pd.DataFrame) -> pd.Series:
    """A NetworkPolicy acts on every workload.

    A policy that selects other pods of the namespace does nothing for this one, and none acts on hostNetwork pods.

    Fix: add a policy whose podSelector matches the workload's pods; do not use hostNetwork.
    """
    return ~isolation.selected


@check("NET-03", severity="medium")
def ingress_isolated(isolation: pd.DataFrame, namespace_network: pd.DataFrame) -> pd.Series:
    """Only allowed traffic reaches a workload.

    A pod takes everything until a policy with Ingress selects it, and again once a policy that selects it
    allows everything: what policies allow adds up.

    Fix: deny ingress by default, remove rules that allow all, and allow what is needed.
    """
    return ~isolation.ingress_isolated


@check("NET-04", severity="medium")
def egress_isolated(isolation: pd.DataFrame, namespace_network: pd.DataFrame) -> pd.Series:
    """A workload reaches only what it is allowed to.

    Data leaves, and an intruder moves on, by egress that nothing restricts.

    Fix: deny egress by default, then allow DNS and the peers that are needed.
    """
    return ~isolation.egress_isolated


@check("NET-05", severity="high")
def default_deny_ingress(occupied_namespaces: pd.DataFrame, isolation: pd.DataFrame) -> pd.Series:
    """Every namespace that holds workloads denies ingress by default.

    Only a policy that selects all pods protects those that nobody thought of.

    Fix: add a NetworkPolicy with `podSelector: {}`, `policyTypes: [Ingress]` and no ingress rules.
    """
    return ~occupied_namespaces.default_deny_ingress


@check("NET-06", severity="high")
def default_deny_egress(occupied_namespaces: pd.DataFrame, isolation: pd.DataFrame) -> pd.Series:
    """Every namespace that holds workloads denies egress by default.

    Only a policy that selects all pods holds back those that nobody thought of.

    Fix: add a NetworkPolicy with `podSelector: {}`, `policyTypes: [Egress]` and no egress rules.
    """
    return ~occupied_namespaces.default_deny_egress


@check("NET-07", severity="high")
def allow_all(network_policies: pd.DataFrame) -> pd.Series:
    """No NetworkPolicy allows everything in a direction.

    One such rule undoes every other policy of the pods that it selects.

    Fix: name peers and ports in the rule, or remove it.
    """
    return network_policies.allows_all_ingress | network_policies.allows_all_egress


@check("NET-08", severity="low")
def dangling_policy(network_policies: pd.DataFrame, isolation: pd.DataFrame) -> pd.Series:
    """Every NetworkPolicy selects a workload.

    A policy that selects nothing looks like protection. One for all pods of a namespace is never dangling.

    Fix: correct the podSelector, or remove the policy.
    """
    return ~network_policies.selects_some & ~network_policies.selects_all


@check("NET-09", severity="medium")
def policies_enforced(policy_enforcement: pd.DataFrame) -> pd.Series:
    """The cluster's network enforces the policies that it is given.

    The API server accepts policies that no component reads. A network that is not recognised, or that enforces only
    where an option asks for it, is undetermined. That one which enforces by default was told not to is not seen.

    Fix: run a network that enforces the policy's kind on every node, or write the policy in a kind that it reads.
    """
    return ~policy_enforcement.enforced


@check("NET-10", severity="medium")
def environments_apart(
    environment_paths: pd.DataFrame, *, production: tuple[str, ...] = ("prod", "production", "prd", "live")
) -> pd.Series:
    """Production and other environments do not reach each other.

    What is tested, or runs a build, is less guarded: from there an intruder goes on to production, and data of
    production comes out there. The environment is a label of the namespace; without one a namespace is not tested.

    Fix: deny by default in both namespaces; remove the rule that names the other environment's namespace.
    """
    source = environment_paths.source_environment.isin(list(production))
    target = environment_paths.environment.isin(list(production))
    return environment_paths.reached & (source != target)


@check("NET-21", severity="medium")
def mesh_encrypted(mesh_encryption: pd.DataFrame) -> pd.Series:
    """The mesh takes no plain text.

    PERMISSIVE takes both: whoever is on the network may call without a certificate. The mesh is Istio's; of another
    nothing is read.

    Fix: set mode STRICT for the mesh, and remove what makes exceptions of it.
    """
    return ~mesh_encryption.encrypted


@check("NET-22", severity="medium")
def mesh_authorized(mesh_authorization: pd.DataFrame) -> pd.Series:
    """The mesh takes only calls that a policy allows.

    Without an ALLOW policy a workload takes every call, and a rule without members allows every one.

    Fix: add an AuthorizationPolicy with an empty spec to the namespace, then policies that name callers.
    """
    return mesh_authorization.open


@check("NET-23", severity="medium")
def metadata_service(metadata_access: pd.DataFrame) -> pd.Series:
    """No workload reaches the cloud's metadata service at 169.254.169.254.

    It answers whoever asks with the node's own credentials at the cloud. A hop limit of 1, or a provider's proxy,
    may stop pods too, which the cluster does not show; no NetworkPolicy holds back hostNetwork pods.

    Fix: deny egress by default, and leave 169.254.169.254/32 out (`except`) of every wide ipBlock.
    """
    return metadata_access.reached


@check("NET-80", severity="high")
def workloads_encrypted(mesh_workloads: pd.DataFrame, mesh_encryption: pd.DataFrame) -> pd.Series:
    """A workload of the mesh takes no plain text.

    STRICT holds where a proxy enforces it: a pod without one takes whatever comes, and so does a port that is let past.
    A workload of which no pod runs is undetermined where its mode is STRICT.

    Fix: set mode STRICT, also for the ports; restart the pods so that the proxy is injected; drop the exclusions.
    """
    return ~mesh_workloads.encrypted


@check("NET-81", severity="medium")
def callers_authorized(mesh_callers: pd.DataFrame, mesh_authorization: pd.DataFrame) -> pd.Series:
    """A workload of the mesh takes only calls that a policy allows.

    Policies add up for each workload, and do nothing where no proxy enforces them.

    Fix: add an AuthorizationPolicy with an empty spec to the namespace, then policies that name callers.
    """
    return mesh_callers.open


@check("NET-82", severity="medium")
def proxied(mesh_workloads: pd.DataFrame) -> pd.Series:
    """In a namespace of the mesh, a proxy stands before every pod.

    Neither encryption nor policies of the mesh hold for a pod without one. Pods made before the namespace joined, and
    those that opt out, have none; in ambient mode it takes a ready ztunnel on the node.

    Fix: restart the workload; remove the opt-out; repair ztunnel on the node.
    """
    return ~mesh_workloads.proxied
