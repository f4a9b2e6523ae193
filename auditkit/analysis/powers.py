"""What a single RBAC rule gives power over, one name a power: declared as data, matched as the authorizer matches."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditkit.kinds.rbac import Rule

RBAC, CERTIFICATES, ADMISSION = "rbac.authorization.k8s.io", "certificates.k8s.io", "admissionregistration.k8s.io"
AUTHENTICATION = "authentication.k8s.io"
READ = ("get", "list", "watch")
WRITE = ("create", "update", "patch")
DELETE = ("delete", "deletecollection")

_ADMISSION = (
    "validatingwebhookconfigurations",
    "mutatingwebhookconfigurations",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
)

# Resources outside namespaces: a Role cannot grant them, whatever it says. `bind` on ClusterRoles is asked in
# the binding's namespace and stays effective (pkg/registry/rbac/rolebinding/policybased/storage.go).
CLUSTER_SCOPED = frozenset(
    ("nodes", "persistentvolumes", "users", "groups", "uids", "userextras", "certificatesigningrequests", "signers")
    + ("clusterroles", "clusterrolebindings", *_ADMISSION)
)


@dataclass(frozen=True, slots=True)
class Power:
    """Any of these verbs on any of these resources; `userextras/*` stands for each of its subresources."""

    doc: str
    verbs: tuple[str, ...]
    resources: tuple[str, ...]
    groups: tuple[str, ...] = ("",)


_WORKLOADS = ("deployments", "daemonsets", "statefulsets", "replicasets", "jobs", "cronjobs", "replicationcontrollers")
_APPS = ("apps", "batch", "")

POWERS: Mapping[str, Power] = {
    "reads_secrets": Power("get, list or watch Secrets", READ, ("secrets",)),
    "creates_pods": Power("create Pods", ("create",), ("pods",)),
    "writes_workloads": Power("create, update or patch workload controllers", WRITE, _WORKLOADS, _APPS),
    "execs": Power("create pods/exec", ("create",), ("pods/exec",)),
    "gets_exec": Power("get pods/exec, enough for exec by WebSocket before 1.35", ("get",), ("pods/exec",)),
    "attaches": Power("create pods/attach", ("create",), ("pods/attach",)),
    "gets_attach": Power("get pods/attach, enough by WebSocket before 1.35", ("get",), ("pods/attach",)),
    "forwards_ports": Power("create pods/portforward", ("create",), ("pods/portforward",)),
    "gets_portforward": Power("get pods/portforward, enough by WebSocket before 1.35", ("get",), ("pods/portforward",)),
    "debugs_pods": Power(
        "update or patch pods/ephemeralcontainers", ("update", "patch"), ("pods/ephemeralcontainers",)
    ),
    "deletes_logs": Power("delete pods/log", DELETE, ("pods/log",)),
    "deletes_events": Power("delete Events", DELETE, ("events",), ("", "events.k8s.io")),
    "deletes_workloads": Power(
        "delete Secrets, Pods, Services or workloads", DELETE, ("secrets", "pods", "services", *_WORKLOADS), _APPS
    ),
    "impersonates": Power(
        "impersonate users, groups or ServiceAccounts", ("impersonate",), ("users", "groups", "serviceaccounts")
    ),
    "impersonates_details": Power(
        "impersonate uids or user extras", ("impersonate",), ("uids", "userextras/*"), (AUTHENTICATION,)
    ),
    "impersonates_constrained": Power(
        "take part in constrained impersonation (alpha in 1.35) of users, groups, ServiceAccounts or any node",
        ("impersonate:user-info", "impersonate:serviceaccount", "impersonate:arbitrary-node"),
        ("users", "groups", "uids", "userextras/*", "serviceaccounts", "nodes"),
        (AUTHENTICATION,),
    ),
    "binds_roles": Power("bind Roles or ClusterRoles", ("bind",), ("roles", "clusterroles"), (RBAC,)),
    "escalates_roles": Power("escalate Roles or ClusterRoles", ("escalate",), ("roles", "clusterroles"), (RBAC,)),
    "writes_rbac": Power(
        "create, update or patch roles or bindings",
        WRITE,
        ("roles", "clusterroles", "rolebindings", "clusterrolebindings"),
        (RBAC,),
    ),
    "creates_volumes": Power("create PersistentVolumes", ("create",), ("persistentvolumes",)),
    "proxies_nodes": Power("get or create nodes/proxy", ("get", "create"), ("nodes/proxy",)),
    "updates_approval": Power(
        "update or patch certificatesigningrequests/approval",
        ("update", "patch"),
        ("certificatesigningrequests/approval",),
        (CERTIFICATES,),
    ),
    "approves_signers": Power("approve for signers", ("approve",), ("signers",), (CERTIFICATES,)),
    "writes_admission": Power(
        "create, update, patch or delete admission webhooks and policies",
        (*WRITE, *DELETE),
        _ADMISSION,
        (ADMISSION,),
    ),
    "creates_tokens": Power("create serviceaccounts/token", ("create",), ("serviceaccounts/token",)),
    "writes_status": Power(
        "update or patch nodes/status, pods/status or services/status",
        ("update", "patch"),
        ("nodes/status", "pods/status", "services/status"),
    ),
    # What is deleted can be made again as somebody else wants it.
    "writes_configmaps": Power("update, patch or delete ConfigMaps", ("update", "patch", *DELETE), ("configmaps",)),
    "writes_network": Power(
        "create, update, patch or delete NetworkPolicies, Ingresses, Services or endpoints",
        (*WRITE, *DELETE),
        ("networkpolicies", "ingresses", "services", "endpoints", "endpointslices"),
        ("networking.k8s.io", "", "discovery.k8s.io"),
    ),
}

# Which group serves a resource, where a power spans several groups.
_SERVED = {
    **dict.fromkeys(("deployments", "daemonsets", "statefulsets", "replicasets"), ("apps",)),
    **dict.fromkeys(("jobs", "cronjobs"), ("batch",)),
    **dict.fromkeys(("replicationcontrollers", "secrets", "pods", "services", "endpoints"), ("",)),
    **dict.fromkeys(("networkpolicies", "ingresses"), ("networking.k8s.io",)),
    "endpointslices": ("discovery.k8s.io",),
}


def grants(rule: Rule, power: Power, *, cluster: bool) -> bool:
    """Whether a rule gives a power, all of verb, group and resource within it; `cluster` is False for a Role's rule.

    A rule limited to resourceNames gives it for those names, except for what never carries a name: create of a
    whole resource and deletecollection (staging/src/k8s.io/apiserver/pkg/endpoints/request/requestinfo.go).
    """
    if {"*", *power.verbs}.isdisjoint(rule.verbs or ()):
        return False
    for resource in power.resources:
        base, _, sub = resource.partition("/")
        if not cluster and base in CLUSTER_SCOPED and not (base == "clusterroles" and "bind" in power.verbs):
            continue
        if not any(one == "*" or one in _SERVED.get(base, power.groups) for one in rule.api_groups or ()):
            continue
        if not any(_covers(one, resource, base, sub) for one in rule.resources or ()):
            continue
        verbs = [
            v
            for v in power.verbs
            if not (rule.resource_names and (v == "deletecollection" or (v == "create" and not sub)))
        ]
        if any(one in verbs or (one == "*" and verbs) for one in rule.verbs or ()):
            return True
    return False


def _covers(pattern: str, resource: str, base: str, sub: str) -> bool:
    if sub == "*":
        return pattern == "*" or pattern.startswith((f"{base}/", "*/"))
    return pattern in ("*", resource) or (bool(sub) and pattern == f"*/{sub}")


def all_powerful(*rules: Rule) -> bool:
    """Whether rules together allow creating and changing every resource of every group: administration under any name."""
    verbs = {verb for rule in rules if unbounded(rule) for verb in rule.verbs or ()}
    return "*" in verbs or ("create" in verbs and bool(verbs & {"update", "patch"}))


def unbounded(rule: Rule) -> bool:
    """Whether a rule is about every resource of every group, under any name."""
    return "*" in (rule.api_groups or ()) and "*" in (rule.resources or ()) and not rule.resource_names
