"""What a request to the API server was, by its verb and resource; who a user name stands for; what allowed it."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from auditkit.analysis.stock import controllers

# What a request can be, and what it says to an auditor; "other" is what is counted and not kept one by one.
WHAT: Mapping[str, str] = MappingProxyType(
    {
        "secret read": "get, list or watch of Secrets: each of the three gives their values",
        "exec": "exec, attach, port-forward or proxy: a way into a pod, a service or a node",
        "ephemeral container": "a container added to a running pod",
        "rbac": "change of a Role, ClusterRole, RoleBinding or ClusterRoleBinding",
        "policy": "change of a NetworkPolicy, of admission or of a namespace, whose labels set Pod Security",
        "workload": "change of what runs: pods and what makes them",
        "change": "change of anything else that is stored",
        "token": "token of a ServiceAccount made by request",
        "certificate": "request, approval or signing of a client certificate",
        "other": "anything else: reads, heartbeats, reviews of access",
    }
)
WRITES = frozenset({"create", "update", "patch", "delete", "deletecollection"})
READS = frozenset({"get", "list", "watch"})
_WAYS_IN = frozenset({"exec", "attach", "portforward", "proxy"})
_POLICY_GROUPS = frozenset(
    {
        "admissionregistration.k8s.io",
        "cilium.io",
        "constraints.gatekeeper.sh",
        "crd.projectcalico.org",
        "kyverno.io",
        "mutations.gatekeeper.sh",
        "networking.istio.io",
        "policies.kyverno.io",
        "policy.networking.k8s.io",
        "projectcalico.org",
        "security.istio.io",
        "templates.gatekeeper.sh",
    }
)
_WORKLOAD_GROUPS = frozenset({"apps", "batch", "argoproj.io", "serving.knative.dev"})
# Written all the time by components: heartbeats, and where Services lead to.
_BEATS = frozenset({("coordination.k8s.io", "leases"), ("", "events"), ("events.k8s.io", "events")})
_ROUTES = frozenset({("", "endpoints"), ("discovery.k8s.io", "endpointslices")})
# Questions that nothing stores, of Kubernetes and of OpenShift.
_ASKED = ("authorization.", "authentication.")
_STATE = frozenset({"status", "binding", "finalize"})
_GIVEN = ("system:node:", "system:serviceaccount:", "system:bootstrap:")
_COMPONENTS = ("system:apiserver", "system:kube-controller-manager", "system:kube-scheduler", "system:kube-proxy")
_REASON = re.compile(
    r'^RBAC: allowed by (?P<kind>ClusterRoleBinding|RoleBinding) "(?P<name>[^"]+)" of '
    r'(?P<role_kind>ClusterRole|Role) "(?P<role>[^"]+)" to '
)


def kind_of(verb: str, group: str, resource: str, subresource: str, *, controller: bool = True) -> str:
    """Which of WHAT a request is. Verbs are those of audit events (RequestInfo): `create` or `get` for an exec, never `connect`.

    Where a Service leads to is a controller's daily work; of anybody else it is a change.
    """
    if subresource in _WAYS_IN and resource in ("pods", "services", "nodes"):
        return "exec"
    if resource == "secrets" and not group and verb in READS:
        return "secret read"
    signing = group == "certificates.k8s.io" and subresource == "status"
    if verb not in WRITES or group.startswith(_ASKED) or (subresource in _STATE and not signing):
        return "other"
    if (group, resource) in _BEATS or (controller and (group, resource) in _ROUTES):
        return "other"
    if (resource, subresource) == ("serviceaccounts", "token"):
        return "token"
    if (resource, subresource) == ("pods", "ephemeralcontainers"):
        return "ephemeral container"
    return _changed(group, resource)


def _changed(group: str, resource: str) -> str:
    if group == "rbac.authorization.k8s.io":
        return "rbac"
    if group == "certificates.k8s.io":
        return "certificate"
    if group in _POLICY_GROUPS or resource in ("networkpolicies", "namespaces"):
        return "policy"
    if group in _WORKLOAD_GROUPS or (not group and resource in ("pods", "replicationcontrollers")):
        return "workload"
    return "change"


def is_person(user: str) -> bool | None:
    """Whether a user name is neither a ServiceAccount's nor a component's: a person, or a robot with an account of its own.

    `system:` is Kubernetes' own prefix; `system:admin` is what some installers call their administrator. Another name with
    it that Kubernetes does not give may be a provider's component, or a person whose certificate says so: None.
    """
    if not user.startswith("system:") or user == "system:admin":
        return bool(user)
    given = user in _COMPONENTS or user == "system:anonymous"
    return False if given or user.startswith(_GIVEN) else None


def is_component(user: str) -> bool:
    """Whether a user name is a component's: nodes, control plane, and the controllers that Kubernetes itself binds.

    Not every ServiceAccount of kube-system is one: whoever may make one there could pass for it.
    """
    return user in _COMPONENTS or user.startswith("system:node:") or user in controllers()


def in_kube_system(user: str) -> bool:
    """Whether a user name is a component's or that of another ServiceAccount of kube-system, which all ask all the time."""
    return is_component(user) or user.startswith("system:serviceaccount:kube-system:")


def subject_of(user: str) -> tuple[str, str, str]:
    """Kind, namespace and name of the subject that a user name stands for; what is no ServiceAccount's is a User's."""
    parts = user.removeprefix("system:serviceaccount:").split(":")
    if user.startswith("system:serviceaccount:") and len(parts) == 2:
        return "ServiceAccount", parts[0], parts[1]
    return "User", "", user


class Allowed(NamedTuple):
    """The binding by which RBAC allowed a request, and its role; `namespace` is "" of a ClusterRoleBinding."""

    kind: str
    namespace: str
    binding: str
    role_kind: str
    role: str


def allowed_by(reason: str) -> Allowed | None:
    """What the annotation authorization.k8s.io/reason says; None where no binding is named: denied, or not by RBAC.

    As plugin/pkg/auth/authorizer/rbac writes it: `RBAC: allowed by RoleBinding "NAME/NAMESPACE" of Role "ROLE" to ...`.
    """
    found = _REASON.match(reason)
    if found is None:
        return None
    name, _, namespace = found["name"].partition("/") if found["kind"] == "RoleBinding" else (found["name"], "", "")
    return Allowed(found["kind"], namespace, name, found["role_kind"], found["role"])
