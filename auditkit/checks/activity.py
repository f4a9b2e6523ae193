"""What people did with their rights, by the audit log."""

import pandas as pd

from auditkit.checks.audit_log import among
from auditkit.declare import check

CONTROL_PLANE = ("system:apiserver", "system:kube-controller-manager", "system:kube-scheduler")


@check("RBAC-70", severity="high")
def secrets_read(secret_reads: pd.DataFrame, *, agreed: tuple[str, ...] = ()) -> pd.Series:
    """No person reads Secrets through the API.

    Who has seen a password can use it anywhere, unseen. `agreed` names users for whom it is a duty, patterns allowed.
    What a person reads in the name of another is that person's. A list gives the values too. A name that begins with
    `system:` and is not Kubernetes' own may be a person's: undetermined.

    Fix: ask why; change the secret; take away the right.
    """
    return secret_reads.person & secret_reads.succeeded & ~among(secret_reads.user, agreed)


@check("RBAC-71", severity="high")
def went_in(ways_in: pd.DataFrame, *, agreed: tuple[str, ...] = ()) -> pd.Series:
    """Nobody goes into pods, services or nodes through the API.

    What is done in a container leaves no trace in the log: data are read and programs changed there. `agreed` names
    users for whom it is a duty, patterns allowed. Nodes and the control plane are none; a ServiceAccount of kube-system
    is one as any other.

    Fix: agree each to an incident or ticket; take away the right, or give it for a time only.
    """
    account = ways_in.user.str.startswith("system:serviceaccount:").fillna(False)
    return ways_in.succeeded & (account | ~ways_in.component) & ~among(ways_in.user, agreed)


@check("RBAC-73", severity="high")
def impersonation(impersonated_requests: pd.DataFrame, *, agreed: tuple[str, ...] = ()) -> pd.Series:
    """Nobody acts in the name of another.

    The rights are the other's, and so seems the deed; only the audit log knows who it was. `agreed` names
    users for whom it is a duty, such as a proxy that logs users in, patterns allowed.

    Fix: ask why; take away the verb `impersonate`.
    """
    return impersonated_requests.succeeded & ~among(impersonated_requests.user, agreed)


@check("RBAC-74", severity="critical")
def anonymous(anonymous_requests: pd.DataFrame) -> pd.Series:
    """Without a name only health, version and cluster-info are answered.

    Anyone who reaches the API got this, and nothing says who it was.

    Fix: remove the bindings of system:anonymous and system:unauthenticated.
    """
    return anonymous_requests.succeeded & ~anonymous_requests.public


@check("RBAC-75", severity="medium")
def refused_often(refusals: pd.DataFrame, *, most: int = 50) -> pd.Series:
    """No user is refused more than `most` times a day.

    Who is refused again and again tries what they may not, or a program runs without the rights it needs and hides those who do.

    Fix: find out what was tried; correct the program's rights, or stop it.
    """
    return refusals.refused > most


@check("RBAC-76", severity="high")
def tokens_of_others(minted_tokens: pd.DataFrame) -> pd.Series:
    """Tokens of ServiceAccounts are made by components, or within the same namespace.

    Who makes a token of another ServiceAccount has all its rights, and acts under its name.

    Fix: take away `create` on serviceaccounts/token; revoke the token by deleting the ServiceAccount.
    """
    return minted_tokens.succeeded & ~minted_tokens.own


@check("RBAC-77", severity="high")
def administration(grants_used: pd.DataFrame, *, agreed: tuple[str, ...] = ()) -> pd.Series:
    """No person works with cluster-admin by a ClusterRoleBinding.

    It is for emergencies: daily work under it has no bounds. `agreed` names users for whom it is a duty, patterns
    allowed. Who acts in the name of another uses the other's binding. A member of system:masters needs none: RBAC-78.

    Fix: agree each use to an incident; give a role that fits the duty.
    """
    everywhere = (grants_used.kind == "ClusterRoleBinding") & (grants_used.role_kind == "ClusterRole")
    return everywhere & (grants_used.role == "cluster-admin") & grants_used.person & ~among(grants_used.user, agreed)


@check("RBAC-78", severity="critical")
def masters(subject_activity: pd.DataFrame) -> pd.Series:
    """Nobody but the control plane works as a member of system:masters.

    No rule, no removed binding and no webhook of authorization holds back a member of this group; the certificate that gives
    it cannot be revoked.

    Fix: use named accounts with bindings; keep such a certificate for emergencies, sealed; rotate the CA where one is lost.
    """
    return (subject_activity.as_master > 0) & ~subject_activity.identity.isin(CONTROL_PLANE)
