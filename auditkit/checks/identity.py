"""Whom workloads are to the API server."""

import pandas as pd

from auditkit.declare import check


@check("RBAC-38", severity="medium")
def default_service_account(workload_service_accounts: pd.DataFrame) -> pd.Series:
    """Workloads run as a ServiceAccount of their own.

    What one workload is granted through `default` every other one in the namespace has too.

    Fix: make a ServiceAccount for the workload and set `serviceAccountName`.
    """
    return workload_service_accounts.service_account == "default"


@check("RBAC-39", severity="medium")
def mounted_tokens(workload_tokens: pd.DataFrame) -> pd.Series:
    """Workloads hold no token of the API server.

    A token in a pod is there for whoever takes it over. Workloads that use the API are accepted in writing. A token
    Secret that is mounted elsewhere than at the usual place, or is a variable, is RBAC-45's.

    Fix: set `automountServiceAccountToken: false` for the pod or its ServiceAccount.
    """
    return workload_tokens.mounts_token


@check("RBAC-40", severity="critical")
def powerful_workloads(workload_tokens: pd.DataFrame, escalation_paths: pd.DataFrame) -> pd.Series:
    """No workload holds a token that leads to cluster-admin.

    Whoever takes over its container is, or becomes, cluster-admin: `escalation_paths` shows by which steps. What the
    groups of all ServiceAccounts are given is its own too. A way that hangs on what a snapshot cannot tell leaves the
    row undetermined. A token Secret that is mounted elsewhere than at the usual place, or is a variable, is RBAC-45's.

    Fix: give the ServiceAccount only what the workload asks of the API, in its own namespace; or mount no token.
    """
    certain = escalation_paths.condition.isna()
    leads = _leads(workload_tokens, escalation_paths[certain])
    may = _leads(workload_tokens, escalation_paths[~certain])
    return leads.mask(may & ~leads) & workload_tokens.mounts_token


@check("RBAC-41", severity="low")
def missing_service_account(
    workload_service_accounts: pd.DataFrame, known_serviceaccounts: pd.DataFrame, origin: pd.DataFrame
) -> pd.Series:
    """The ServiceAccounts of workloads exist.

    Pods of one that is missing cannot be made, and whoever makes it gets its workloads. What manifests lack the
    cluster may have, `default` always: undetermined.

    Fix: make the ServiceAccount, or name the right one.
    """
    absent = ~workload_service_accounts.serviceaccount.isin(known_serviceaccounts.serviceaccount)
    return absent.astype("boolean").mask(absent & bool((origin.basis == "as supplied").any()))


@check("RBAC-47", severity="info")
def cloud_identities(service_accounts: pd.DataFrame) -> pd.Series:
    """ServiceAccounts have no identity of the cloud provider.

    Whoever runs a Pod as the ServiceAccount has the cloud role's rights, which no RBAC shows: each is to be
    justified. Identities that the provider keeps without an annotation (EKS Pod Identity, GKE principals) are not seen.

    Fix: none needed where the workload calls the cloud: narrow the role to what it calls, and waive the row.
    """
    return service_accounts.cloud_identity.notna().astype("boolean")


@check("RBAC-49", severity="info")
def old_account_field(workload_service_accounts: pd.DataFrame) -> pd.Series:
    """Workloads name their ServiceAccount by serviceAccountName.

    `serviceAccount` alone is deprecated, and policies that read the other field do not see it. Only manifests can
    show it: an API server fills in both.

    Fix: rename the field.
    """
    return workload_service_accounts.old_field


def _leads(workload_tokens: pd.DataFrame, paths: pd.DataFrame) -> pd.Series:
    """Whether one of these ways begins at the ServiceAccount, or at a group that it is in by its name."""
    groups = paths.identity[paths.kind == "Group"]
    all_accounts = bool(groups.isin(["system:serviceaccounts", "system:authenticated"]).any())
    of_namespace = ("system:serviceaccounts:" + workload_tokens.namespace).isin(groups)
    named = workload_tokens.serviceaccount.isin(paths.serviceaccount)
    return (named | of_namespace | all_accounts).astype("boolean")
