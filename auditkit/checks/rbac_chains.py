"""Rights that are dangerous together, of each subject by all its bindings; administrators are judged by RBAC-01 and 02."""

import pandas as pd

from auditkit.declare import check


@check("RBAC-26", severity="high")
def issue_tokens(subject_chains: pd.DataFrame) -> pd.Series:
    """Nobody but administrators makes ServiceAccount tokens by way of Secrets.

    A controller writes a token without end into a Secret of that type, for whichever ServiceAccount of the namespace
    the annotation names. It takes to create or change Secrets and to read them, by one role or several.

    Fix: drop one of the rights, or name the Secrets that are read.
    """
    return subject_chains.issues_tokens & ~subject_chains.stock


@check("RBAC-27", severity="high")
def assign_accounts(subject_chains: pd.DataFrame) -> pd.Series:
    """Nobody but administrators runs Pods as a ServiceAccount that leads to cluster-admin.

    Nothing asks whether the maker of a Pod, or of a template for one, may use the ServiceAccount that it names.

    Fix: keep powerful ServiceAccounts in namespaces where nobody else creates Pods.
    """
    return subject_chains.assigns_accounts & ~subject_chains.stock


@check("RBAC-28", severity="medium")
def enter_applications(subject_chains: pd.DataFrame) -> pd.Series:
    """Nobody but administrators gets to cluster-admin through the Pods or tokens of an application's namespace.

    Outside the cluster's own namespaces rights are given more freely: exec, debug containers, changes of Pods and
    Secrets. They hand over the ServiceAccount of the Pod, or of the token.

    Fix: move what needs a powerful ServiceAccount to a namespace of its own; drop the right.
    """
    return subject_chains.enters_applications & ~subject_chains.stock


@check("RBAC-30", severity="medium")
def handle_pods(subject_chains: pd.DataFrame) -> pd.Series:
    """Nobody but administrators changes or moves Pods that lead to cluster-admin.

    Another image runs with the Pod's token. Who deletes the Pod and cordons nodes decides where it starts again, and
    whoever holds that node has the token. A taint removes Pods too, but for those that tolerate it: who may change
    nodes alone is undetermined.

    Fix: drop update and patch on pods, or delete on them; leave nodes to their controllers.
    """
    return subject_chains.handles_pods & ~subject_chains.stock
