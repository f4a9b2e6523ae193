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

    A token in a pod is there for whoever takes it over. Workloads that use the API are waived.

    Fix: set `automountServiceAccountToken: false` for the pod or its ServiceAccount.
    """
    return workload_tokens.mounts_token


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
