"""The audit log: whether it is whole, and whether changes were approved and made by whom it was agreed."""

from fnmatch import fnmatchcase

import pandas as pd

from auditkit.checks.lists import holds
from auditkit.declare import check


@check("LOG-90", severity="medium")
def no_silence(audit_days: pd.DataFrame, *, hours: int = 24) -> pd.Series:
    """The audit log has no more than `hours` whole hours in a row without an event, up to when it was taken.

    The components of a cluster ask all the time: a log without an event for a day was switched off, lost, or is one
    in which the policy leaves nearly all out. What happened then, nothing shows. Each API server writes a log of its own:
    that one of several was not supplied leaves no gap, and is not seen.

    Fix: supply the missing files; find out what stopped the log, and say what else shows those days.
    """
    return audit_days.silence > hours


@check("LOG-91", severity="medium")
def recorded_rightly(audit_scope: pd.DataFrame) -> pd.Series:
    """The audit log records all changes of rights with their bodies, and Secrets and tokens without.

    Without the body the log does not say which rights were given to whom; with it, it holds the secrets that it
    should guard. What the log never has, the policy may leave out: undetermined.

    Fix: level RequestResponse for rbac.authorization.k8s.io, Metadata for secrets and serviceaccounts/token.
    """
    bodies = holds(audit_scope.levels, "Request", "RequestResponse")
    secret = audit_scope.name.isin(["secret read", "token"]).astype("boolean")
    bare = ~bodies | holds(audit_scope.levels, "Metadata")
    wrong = (secret & bodies) | ((audit_scope.name == "rbac") & bare)
    return wrong.mask(audit_scope.lines == 0)


@check("LOG-92", severity="medium")
def whole_files(audit_files: pd.DataFrame) -> pd.Series:
    """Every line of the audit log is an event, in order of time.

    A line that cannot be read is an event that nobody can know; one out of order was put there afterwards, or is there twice.

    Fix: copy the file again from where the API server wrote it; supply the files of each API server as they are.
    """
    return (audit_files.malformed > 0) | (audit_files.returns > 0)


@check("LOG-93", severity="high")
def approved_changes(cluster_changes: pd.DataFrame, *, days: int = 30, deployers: tuple[str, ...] = ()) -> pd.Series:
    """Every change was approved by another person, in a ticket that names the object, within the `days` days before it.

    A change without approval may be a mistake or an attack, and nobody would know. Another is neither who asked for the
    ticket nor who made the change. `deployers` are the accounts
    that bring changes into the cluster; what other ServiceAccounts write is their own housekeeping, and
    undetermined while none is named. So is a request of which the log does not name the object.

    Fix: have the change approved now, or set it back; name the object in its ticket.
    """
    late = (cluster_changes["first"] - cluster_changes.approved_at).dt.days > days
    unapproved = cluster_changes.ticket.isna() | late.fillna(False).astype("boolean") | cluster_changes.own
    answerable = cluster_changes.person | among(cluster_changes.user, deployers)
    judged = unapproved.mask(cluster_changes.name == "")
    return judged & answerable if deployers else judged.mask((~answerable).fillna(True) & unapproved.fillna(True))


@check("LOG-94", severity="medium")
def agreed_deployers(workload_changes: pd.DataFrame, *, deployers: tuple[str, ...] = ()) -> pd.Series:
    """What runs and what guards it is changed by the agreed deployers only.

    A change around the deployment process was built, tested and reviewed by nobody. `deployers` are names of users,
    patterns allowed; a person is none unless named. ServiceAccounts are undetermined while nobody is named.

    Fix: bring the change into the deployment process; take the right away from who went around it.
    """
    return _by_others(workload_changes, deployers)


# The approver of the controller manager: it knows kubelets' requests for themselves, and leaves all others
# (k8s.io/kubernetes/pkg/controller/certificates/approver/sarapprove.go).
APPROVER = "system:serviceaccount:kube-system:certificate-controller"


@check("LOG-95", severity="high")
def certificates_by_others(certificate_approvals: pd.DataFrame) -> pd.Series:
    """Certificates are approved by another than who asked for them, and none for system:masters.

    Who approves their own request gives themselves any name and group; nothing takes such a certificate back before it ends.
    A request for system:masters is an exception whoever approves it. A denial is none. Without bodies in the log an approval of one's own is an
    exception, another's is undetermined: for whom it was is not known.

    Fix: rotate the CA where the certificate is not accounted for; leave approval to a second person or a controller; log
    certificates.k8s.io at level RequestResponse.
    """
    rows = certificate_approvals
    masters = holds(rows.organizations, "system:masters").mask(rows.organizations.isna())
    denied = holds(rows.decisions, "Denied") & ~holds(rows.decisions, "Approved")
    return (masters | rows.own) & ~denied & ~(rows.user == APPROVER).fillna(False).astype("boolean")


@check("RBAC-72", severity="high")
def rights_by_deployers(rights_changes: pd.DataFrame, *, deployers: tuple[str, ...] = ()) -> pd.Series:
    """Rights are changed by the agreed deployers only.

    Who changes roles and bindings by hand gives rights that no review has seen. `deployers` are names of users,
    patterns allowed; a person is none unless named. ServiceAccounts are undetermined while nobody is named.

    Fix: bring the roles and bindings into the deployment process; set back what was given by hand.
    """
    return _by_others(rights_changes, deployers)


def _by_others(changes: pd.DataFrame, deployers: tuple[str, ...]) -> pd.Series:
    others = ~among(changes.user, deployers)
    return others if deployers else others.where(changes.person.fillna(False))


def among(users: pd.Series, names: tuple[str, ...]) -> pd.Series:
    """Whether each user is one of the names, shell patterns allowed."""
    known = {user: any(fnmatchcase(user, name) for name in names) for user in users.dropna().unique()}
    return users.map(known).astype("boolean").fillna(False)
