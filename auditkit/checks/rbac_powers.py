"""Roles whose danger rests on how they are bound, on two rights together, or on the server's version."""

import pandas as pd

from auditkit.analysis.access import MASTERS
from auditkit.analysis.provider import VERSIONS
from auditkit.checks.lists import filled, holds
from auditkit.checks.rbac import approving
from auditkit.declare import check


@check("RBAC-02", severity="critical")
def hidden_admins(roles: pd.DataFrame, bindings: pd.DataFrame) -> pd.Series:
    """No role but cluster-admin is bound cluster-wide with all rights.

    A role that creates and changes everything is cluster-admin under another name, and reviews by name miss it.

    Fix: bind cluster-admin to the few who need it, and give others roles that name what they do.
    """
    held = bindings[(bindings.kind == "ClusterRoleBinding") & bindings.subject.notna()]
    return roles.all_powerful & roles.role_id.isin(held.role_id)


@check("RBAC-03", severity="high")
def namespace_admins(roles: pd.DataFrame, bindings: pd.DataFrame) -> pd.Series:
    """No role is bound in a namespace with all rights on all its resources.

    All rights in a namespace include its Secrets, its ServiceAccounts and all that they may do.

    Fix: use the shipped role admin, or a role that names resources.
    """
    held = bindings[(bindings.kind == "RoleBinding") & bindings.subject.notna()]
    return roles.all_powerful & roles.role_id.isin(held.role_id)


@check("RBAC-06", severity="medium")
def wildcard_paths(roles: pd.DataFrame, bindings: pd.DataFrame) -> pd.Series:
    """No role bound cluster-wide ends a nonResourceURL in a wildcard.

    Paths outside resources include profiling and logs. Only a ClusterRoleBinding makes them effective.

    Fix: name the paths.
    """
    held = bindings[(bindings.kind == "ClusterRoleBinding") & bindings.subject.notna()]
    return roles.wildcard_paths & roles.role_id.isin(held.role_id)


@check("RBAC-10", severity="high")
def exec_into_pods(roles: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Roles do not run commands in Pods.

    exec reaches whatever the container holds. get on pods/exec is enough by WebSocket before 1.35; since then
    a feature gate decides (AuthorizePodWebsocketUpgradeCreatePermission, default on): such a row is undetermined.

    Fix: drop pods/exec; grant it for the time of an incident only.
    """
    return roles.execs | (roles.gets_exec & _before_1_35(roles, origin))


@check("RBAC-11", severity="high")
def attach_to_pods(roles: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Roles do not attach to Pods.

    attach reads and writes a running process. get is judged as for exec.

    Fix: drop pods/attach.
    """
    return roles.attaches | (roles.gets_attach & _before_1_35(roles, origin))


@check("RBAC-12", severity="medium")
def forward_ports(roles: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Roles do not forward ports of Pods.

    port-forward passes NetworkPolicies and every proxy in front. get is judged as for exec.

    Fix: drop pods/portforward.
    """
    return roles.forwards_ports | (roles.gets_portforward & _before_1_35(roles, origin))


@check("RBAC-17", severity="critical")
def impersonate(roles: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Roles do not impersonate.

    Who impersonates acts as somebody else, with that identity's rights; extras and uids complete the disguise.
    Constrained impersonation (`impersonate:user-info` and the like) means nothing before 1.35; since then a feature
    gate and a second right decide: such a row is undetermined.

    Fix: drop impersonate; or limit it by resourceNames and accept the row, which remains, in writing.
    """
    constrained = roles.impersonates_constrained & ~_before_1_35(roles, origin)
    return roles.impersonates | roles.impersonates_details | constrained


@check("RBAC-23", severity="high")
def approve_certificates(roles: pd.DataFrame, grants: pd.DataFrame) -> pd.Series:
    """Roles do not approve certificate requests.

    Approval takes two rights: update on certificatesigningrequests/approval and approve on the signer. Who has both
    makes anyone a client of the API, with any group in the certificate. A role that gives one of them is an
    exception where a subject is given the other by another role.

    Fix: leave approval to its controller, for its signer.
    """
    certain, possible = (set(grants.role_id[approving(grants, unknown=unknown)]) for unknown in (False, True))
    shared = roles.role_id.isin(certain).astype("boolean").mask(roles.role_id.isin(possible - certain))
    either = roles.updates_approval | roles.approves_signers
    return (roles.updates_approval & roles.approves_signers) | (either & shared)


@check("RBAC-32", severity="high")
def write_aws_auth(
    roles: pd.DataFrame, rules: pd.DataFrame, config_maps: pd.DataFrame, origin: pd.DataFrame
) -> pd.Series:
    """Roles do not change aws-auth of a cluster in EKS.

    ConfigMap kube-system/aws-auth says who identities of AWS are in the cluster, system:masters among the choices.
    It counts where it is there. Where the server is EKS and it is not, the cluster's authentication mode decides
    whether one that is made counts; what manifests lack the cluster may have: undetermined.

    Fix: use access entries (authentication mode API) and delete the ConfigMap, or drop update, patch and delete on it.
    """
    there = bool(((config_maps.namespace == "kube-system") & (config_maps.name == "aws-auth")).any())
    eks = origin.version.str.contains(VERSIONS["Amazon EKS"]).fillna(False) | (origin.basis == "as supplied")
    named = holds(rules.resource_names, "aws-auth") | ~filled(rules.resource_names)
    reached = ((rules.kind == "ClusterRole") | (rules.namespace == "kube-system")) & named & ~rules.stock
    writes = roles.role_id.isin(rules.role_id[(reached & rules.writes_configmaps).fillna(False)])
    unknown = roles.role_id.isin(rules.role_id[reached & rules.writes_configmaps.isna()])
    counts = pd.Series(True if there else pd.NA if eks.any() else False, index=roles.index, dtype="boolean")
    return writes.astype("boolean").mask(unknown & ~writes) & counts


@check("RBAC-64", severity="critical")
def aws_masters(config_maps: pd.DataFrame, aws_identities: pd.DataFrame) -> pd.Series:
    """No ConfigMap puts an identity of AWS in system:masters.

    aws-auth of kube-system can (`aws_identities` shows who). The group is allowed everything outside RBAC: no binding shows it and none can be removed to end it.

    Fix: give the identity an access entry with the policy it needs, or a group with a binding of its own.
    """
    aws_auth = (config_maps.namespace == "kube-system") & (config_maps.name == "aws-auth")
    found = bool(aws_identities.masters.fillna(False).any())
    unread = bool(aws_identities.masters.isna().any())
    return (aws_auth & found).mask(aws_auth & (unread and not found))


@check("RBAC-65", severity="critical")
def becomes_admin(escalation_paths: pd.DataFrame) -> pd.Series:
    """Nobody is or can become cluster-admin but by what Kubernetes ships.

    Rights that look modest add up: who binds roles, impersonates, or makes pods beside a stronger ServiceAccount is
    an administrator by a few steps, which a review of roles by name does not show. `path` says by which. Each row
    is a subject; the members of a group are not in the cluster. A way that hangs on what a snapshot cannot tell
    (`condition`) is undetermined. Policy engines are not considered: one may close a way that is shown.
    system:masters is no exception: that group is allowed outside RBAC, and its members are in certificates.

    Fix: take away one of the rights that `evidence` names; waive the administrators that are approved.
    """
    masters = (escalation_paths.kind == "Group") & (escalation_paths.identity == MASTERS)
    own = ~escalation_paths.stock & ~masters
    return own.mask(own & escalation_paths.condition.notna())


def _before_1_35(roles: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """True of an older server; missing since then: feature gates decide, which are not in the API.

    Before, get opens a WebSocket to a Pod (pkg/registry/core/pod/rest/subresources.go), and nothing asks for
    constrained verbs (staging/src/k8s.io/apiserver/pkg/endpoints/filters/impersonation).
    """
    minor = pd.to_numeric(origin["version"].str.extract(r"^v1\.(\d+)", expand=False)).astype("Int64")
    answer = True if (minor < 35).fillna(False).any() else pd.NA
    return pd.Series(answer, index=roles.index, dtype="boolean")
