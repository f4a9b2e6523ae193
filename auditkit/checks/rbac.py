"""Bindings: who is given which role. Bindings exactly as Kubernetes ships them are not exceptions."""

import pandas as pd

from auditkit.analysis.powers import POWERS
from auditkit.checks.lists import filled
from auditkit.declare import check

UNAUTHENTICATED = ("system:anonymous", "system:unauthenticated")


@check("RBAC-01", severity="critical")
def cluster_admins(bindings: pd.DataFrame) -> pd.Series:
    """Nobody is bound to cluster-admin.

    cluster-admin does everything; by a RoleBinding, everything in that namespace. The shipped binding to
    system:masters is no exception: that group is allowed outside RBAC, and its members are in certificates.

    Fix: bind a narrower role; keep cluster-admin for a break-glass account and accept it in writing.
    """
    admin = (bindings.role_kind == "ClusterRole") & (bindings.role == "cluster-admin")
    return admin & bindings.subject.notna() & ~bindings.stock


@check("RBAC-34", severity="critical")
def anonymous(bindings: pd.DataFrame) -> pd.Series:
    """Nothing is granted to unauthenticated requests.

    system:anonymous and system:unauthenticated are whoever reaches the API server, where it takes anonymous
    requests: CP-01 says whether it does. A grant is an exception even where it does not today.

    Fix: remove the subject.
    """
    return bindings.identity.isin(UNAUTHENTICATED) & ~bindings.stock


@check("RBAC-35", severity="critical")
def everybody(bindings: pd.DataFrame) -> pd.Series:
    """Nothing is granted to all users or all ServiceAccounts.

    system:authenticated is every user, in OpenShift system:authenticated:oauth every person; system:serviceaccounts is
    every Pod of the cluster, with :NAMESPACE every Pod of one namespace.

    Fix: bind the group or ServiceAccount that needs it.
    """
    group = bindings.subject_kind == "Group"
    name = bindings.subject
    wide = (
        name.isin(["system:authenticated", "system:authenticated:oauth"])
        | (name == "system:serviceaccounts")
        | name.str.startswith("system:serviceaccounts:")
    )
    return (group & wide & ~bindings.stock).fillna(False)


@check("RBAC-36", severity="high")
def masters(bindings: pd.DataFrame) -> pd.Series:
    """system:masters is in no binding but the shipped one.

    The group is allowed everything outside RBAC: removing a binding takes nothing from it. Who is in it stands
    in client certificates, which a snapshot cannot see.

    Fix: remove the subject, and issue no certificates with O=system:masters.
    """
    return ((bindings.subject_kind == "Group") & (bindings.subject == "system:masters") & ~bindings.stock).fillna(False)


@check("RBAC-37", severity="medium")
def default_accounts(bindings: pd.DataFrame) -> pd.Series:
    """The ServiceAccount default holds no role.

    Every Pod that names no ServiceAccount runs as default and would share the right.

    Fix: bind a ServiceAccount of the workload's own.
    """
    return (bindings.serviceaccount.str.endswith("/default") & ~bindings.stock).fillna(False)


@check("RBAC-42", severity="medium")
def dangling(
    bindings: pd.DataFrame, roles: pd.DataFrame, known_serviceaccounts: pd.DataFrame, origin: pd.DataFrame
) -> pd.Series:
    """Bindings name roles and ServiceAccounts that exist.

    Whoever creates the missing role or ServiceAccount brings the binding to life. Shipped bindings name
    ServiceAccounts of controllers that may not run: they are no exceptions. What manifests lack the cluster may
    have, the shipped roles always: undetermined.

    Fix: remove the binding, or create what it names.
    """
    role_missing = ~bindings.role_id.isin(roles.role_id)
    account = bindings.serviceaccount
    account_missing = account.notna() & ~account.isin(known_serviceaccounts.serviceaccount)
    absent = (role_missing | account_missing) & ~bindings.stock
    return absent.mask(absent & _supplied(origin))


@check("RBAC-43", severity="info")
def cluster_roles_in_namespaces(
    namespace_bindings: pd.DataFrame, roles: pd.DataFrame, origin: pd.DataFrame
) -> pd.Series:
    """RoleBindings give Roles of their own namespace, or view.

    A ClusterRole that a RoleBinding gives changes for all namespaces at once. view is made to be given so: it is no
    exception where nothing dangerous was added to it; where that cannot be told the row is undetermined.

    Fix: none needed where the ClusterRole is meant as a template; else write a Role, or bind view.
    """
    given = (namespace_bindings.role_kind == "ClusterRole") & ~namespace_bindings.stock
    view = given & (namespace_bindings.role == "view")
    added = roles[["wildcard_verbs", "wildcard_resources", *POWERS]].any(axis=1)
    plain = namespace_bindings.role_id.isin(roles.role_id[~added & roles.rules.notna()])
    unread = namespace_bindings.role_id.isin(roles.role_id[~added & roles.rules.isna()])
    absent = ~namespace_bindings.role_id.isin(roles.role_id) & _supplied(origin)
    return (given & ~(view & plain)).mask(view & (unread | absent))


@check("RBAC-48", severity="medium")
def dashboard(
    grants: pd.DataFrame, images: pd.DataFrame, workload_service_accounts: pd.DataFrame, origin: pd.DataFrame
) -> pd.Series:
    """Kubernetes Dashboard holds no dangerous rights.

    Whoever reaches the web page, or takes over its Pod, has its ServiceAccount's rights. Its accounts are those
    that run its image, those named kubernetes-dashboard, and all of a namespace of that name. Rights limited to named
    objects are no exceptions: it keeps its own settings in such.

    Fix: remove the binding, and let users sign in to the Dashboard with tokens of their own; or remove the Dashboard.
    """
    shown = images[images.repository.str.contains("kubernetesui/dashboard|kubernetes-dashboard").fillna(False)]
    runs = workload_service_accounts.merge(shown[["namespace", "kind", "name"]]).serviceaccount
    named = grants.serviceaccount.str.contains(r"^kubernetes-dashboard/|/kubernetes-dashboard$").fillna(False)
    power = grants[["wildcard_verbs", "wildcard_resources", *POWERS]].any(axis=1) & ~filled(grants.resource_names)
    unseen = (grants.rule.notna() & grants.verbs.isna()) | (~grants.role_exists & _supplied(origin))
    account = named | grants.serviceaccount.isin(runs)
    return (account & power).mask(account & unseen)


@check("RBAC-50", severity="low")
def subjects_that_match(grants: pd.DataFrame) -> pd.Series:
    """Subjects of bindings can be somebody.

    The population is the access of the cluster: each subject with its scope, role and rules, for reviewers to agree
    to approved access; who has left, and who is in a group, the cluster does not know. A subject that can match
    nobody looks like access in a review: a ServiceAccount without a namespace in a ClusterRoleBinding, one named as a
    Group, or a User system:serviceaccount: that is not followed by NAMESPACE:NAME. A binding without subjects gives nothing.

    Fix: name the subject as the API server does, or remove it.
    """
    prefixed = grants.subject.str.startswith("system:serviceaccount:").fillna(False)
    misnamed = prefixed & ((grants.subject_kind == "Group") | grants.serviceaccount.isna())
    return (grants.subject.notna() & (grants.identity.isna() | misnamed)).fillna(False)


@check("RBAC-60", severity="high")
def shipped_roles_read_secrets(grants: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """No binding gives a shipped role that reads Secrets.

    edit and admin read all Secrets of their scope; RBAC-07 judges roles that Kubernetes did not ship. A role that
    manifests name and do not hold is undetermined.

    Fix: bind view, or a role without Secrets.
    """
    return _by_shipped_roles(grants, grants.reads_secrets, origin)


@check("RBAC-61", severity="high")
def shipped_roles_create_pods(grants: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """No binding gives a shipped role that creates Pods.

    edit and admin create Pods in their scope; RBAC-08 judges roles that Kubernetes did not ship. A role that
    manifests name and do not hold is undetermined.

    Fix: bind view, and let the deployment pipeline create workloads.
    """
    return _by_shipped_roles(grants, grants.creates_pods, origin)


@check("RBAC-62", severity="critical")
def shipped_roles_escalate(grants: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """No binding gives a shipped role by which its holder can become more than it is.

    To impersonate, bind, escalate, change RBAC or admission, mint tokens, reach kubelets by proxy and approve
    certificates is judged by RBAC-17 to 25 of roles that Kubernetes did not ship. edit and admin,
    system:kubelet-api-admin and some roles of controllers give it too. A role that gives one of the two rights to
    approve counts where the subject has the other. A role that manifests name and do not hold is undetermined.

    Fix: bind view, or a role of what is needed; a kubelet's API to the API server only, accepted in writing.
    """
    anywhere = (
        grants.binds_roles | grants.escalates_roles | grants.writes_rbac | grants.impersonates | grants.creates_tokens
    )
    # Nodes, admission, uids and extras lie in no namespace: a RoleBinding does not give them.
    outside = grants.impersonates_details | grants.writes_admission | grants.proxies_nodes
    certain, possible = (approving(grants, unknown=unknown) for unknown in (False, True))
    gives = anywhere | (outside & (grants.kind == "ClusterRoleBinding")) | certain.mask(possible & ~certain)
    return _by_shipped_roles(grants, gives, origin)


def approving(grants: pd.DataFrame, *, unknown: bool) -> pd.Series:
    """The rows that give a right to approve certificates to a subject of whom the rows together give both.

    A right that could not be computed counts as `unknown`. Requests lie in no namespace: a RoleBinding gives neither.
    """
    held = (grants.kind == "ClusterRoleBinding") & grants.identity.notna() & grants.rule.notna()
    subject = grants.subject_kind.replace("ServiceAccount", "User") + "/" + grants.identity
    updates, approves = (held & grants[right].fillna(unknown) for right in ("updates_approval", "approves_signers"))
    return (updates | approves) & subject.isin(subject[updates]) & subject.isin(subject[approves])


def _by_shipped_roles(grants: pd.DataFrame, power: pd.Series, origin: pd.DataFrame) -> pd.Series:
    """Whether a binding that is not shipped gives a power by a shipped role; what a role that was not supplied gives is unknown."""
    given = grants.subject.notna() & ~grants.stock
    unknown = given & ~grants.role_exists & _supplied(origin)
    return (given & grants.role_stock & power).fillna(False).mask(unknown)


def _supplied(origin: pd.DataFrame) -> bool:
    """Whether what is not there may only not have been supplied: files of somebody's, not lists of the API."""
    return bool((origin.basis == "as supplied").any())
