"""A holder of grants, and the cluster it acts in: the questions that each way to become somebody else asks."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from auditkit.analysis.access import SERVICE_ACCOUNT, Access, Grant, own_groups
from auditkit.analysis.powers import (
    ADMISSION,
    AUTHENTICATION,
    CERTIFICATES,
    DELETE,
    RBAC,
    READ,
    WRITE,
    Power,
    all_powerful,
    grants,
    unbounded,
)
from auditkit.analysis.surroundings import RunningPod, Surroundings
from auditkit.kinds.rbac import Rule

SINK = "cluster-admin"
ACCOUNT = "ServiceAccount "
# What a workload controller of the API makes pods from, and the group that serves it.
MAKERS: Mapping[str, str] = {
    "replicationcontrollers": "",
    **dict.fromkeys(("deployments", "daemonsets", "statefulsets", "replicasets"), "apps"),
    **dict.fromkeys(("jobs", "cronjobs"), "batch"),
}
_EDIT = ("update", "patch")
# Whom constrained impersonation names: since 1.35, each together with a verb impersonate-on:MODE:VERB.
CONSTRAINED = (
    ("impersonate:user-info", "users"),
    ("impersonate:user-info", "groups"),
    ("impersonate:serviceaccount", "serviceaccounts"),
    ("impersonate:arbitrary-node", "nodes"),
)


def _power(verbs: tuple[str, ...], resource: str, group: str = "") -> Power:
    return Power(f"{' or '.join(verbs)} {resource}", verbs, (resource,), (group,))


HELD: Mapping[str, Power] = {
    "escalate clusterroles": _power(("escalate",), "clusterroles", RBAC),
    "edit clusterroles": _power(_EDIT, "clusterroles", RBAC),
    "bind clusterroles": _power(("bind",), "clusterroles", RBAC),
    "create clusterrolebindings": _power(("create",), "clusterrolebindings", RBAC),
    "edit clusterrolebindings": _power(_EDIT, "clusterrolebindings", RBAC),
    "escalate roles": _power(("escalate",), "roles", RBAC),
    "edit roles": _power(_EDIT, "roles", RBAC),
    "bind roles": _power(("bind",), "roles", RBAC),
    "create rolebindings": _power(("create",), "rolebindings", RBAC),
    "impersonate users": _power(("impersonate",), "users"),
    "impersonate groups": _power(("impersonate",), "groups"),
    "impersonate serviceaccounts": _power(("impersonate",), "serviceaccounts"),
    **{f"{verb} {plural}": _power((verb,), plural, AUTHENTICATION) for verb, plural in CONSTRAINED},
    "create tokens": _power(("create",), "serviceaccounts/token"),
    "create serviceaccounts": _power(("create",), "serviceaccounts"),
    "read secrets": _power(READ, "secrets"),
    "create secrets": _power(("create",), "secrets"),
    "edit secrets": _power(_EDIT, "secrets"),
    "create pods": _power(("create",), "pods"),
    "edit pods": _power(_EDIT, "pods"),
    "delete pods": _power(DELETE, "pods"),
    "evict pods": _power(("create",), "pods/eviction"),
    "edit nodes": _power(_EDIT, "nodes"),
    "exec": _power(("create",), "pods/exec"),
    "get exec": _power(("get",), "pods/exec"),
    "debug": _power(_EDIT, "pods/ephemeralcontainers"),
    "proxy nodes": _power(("get", "create"), "nodes/proxy"),
    "create csr": _power(("create",), "certificatesigningrequests", CERTIFICATES),
    "approve csr": _power(_EDIT, "certificatesigningrequests/approval", CERTIFICATES),
    "approve signers": _power(("approve",), "signers", CERTIFICATES),
    "create nodeclient": _power(("create",), "certificatesigningrequests/nodeclient", CERTIFICATES),
    "write webhooks": _power(WRITE, "mutatingwebhookconfigurations", ADMISSION),
    "write mutating policies": _power(WRITE, "mutatingadmissionpolicies", ADMISSION),
    "write mutating policy bindings": _power(WRITE, "mutatingadmissionpolicybindings", ADMISSION),
    "create namespaces": _power(("create",), "namespaces"),
    "edit namespaces": _power(_EDIT, "namespaces"),
    "create volumes": _power(("create",), "persistentvolumes"),
    "create claims": _power(("create",), "persistentvolumeclaims"),
    "edit configmaps": _power(_EDIT, "configmaps"),
    **{f"create {plural}": _power(("create",), plural, group) for plural, group in MAKERS.items()},
    # The template of a Job cannot be changed (pkg/apis/batch/validation ValidateJobSpecUpdate).
    **{f"edit {plural}": _power(_EDIT, plural, group) for plural, group in MAKERS.items() if plural != "jobs"},
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """One way of a holder to become any of `targets` (nodes of the graph): `how` says what it does.

    `evidence` names permissions, bindings and roles; `condition` what a snapshot cannot tell, empty where it can.
    """

    how: str
    targets: frozenset[str]
    evidence: str
    condition: str = ""


class Holder:
    """Whoever holds these grants: a user with its groups, a member of a group, or a role that can be bound."""

    def __init__(self, node: str, given: Mapping[str, Iterable[Grant]], held: "RulePowers") -> None:
        self.node = node
        self.all = [grant for found in given.values() for grant in found]
        self._by: defaultdict[tuple[str, str], list[Grant]] = defaultdict(list)
        for scope, found in given.items():
            for grant in found:
                for power in held.of(grant.allows):
                    self._by[power, scope].append(grant)
            everything = _everything(found)
            if everything:
                self._by["everything", scope] = everything
        self._scopes: defaultdict[str, list[str]] = defaultdict(list)
        for power, scope in sorted(self._by):
            self._scopes[power].append(scope)

    @property
    def idle(self) -> bool:
        """Whether nothing it holds leads anywhere."""
        return not self._by

    def scopes(self, *powers: str) -> list[str]:
        """Where it has any of the powers; [""] alone where it has one cluster-wide."""
        found = sorted({scope for power in powers for scope in self._scopes.get(power, ())})
        return [""] if "" in found else found

    def together(self, *powers: str) -> list[str]:
        """Where it has all of the powers, each there or cluster-wide; [""] where it has all cluster-wide."""
        held = [set(self._scopes.get(power, ())) for power in powers]
        narrow = [scopes for scopes in held if "" not in scopes]
        if not all(held):
            return []
        return sorted(set.intersection(*narrow)) if narrow else [""]

    def each(self, power: str) -> Iterator[tuple[str, Grant]]:
        """The scopes of a power with its grants: where it is not limited to names one grant alone."""
        whole = self.can(power, "", "")
        if whole:
            yield "", whole
            return
        for scope in self._scopes.get(power, ()):
            here = self._by[power, scope]
            free = [grant for grant in here if not limits(grant)]
            yield from ((scope, grant) for grant in free[:1] or here)

    def grants(self, power: str, scope: str) -> list[Grant]:
        """The grants of a power in a scope, cluster-wide ones first; each may be limited to names."""
        wide = self._by.get((power, ""), [])
        return [*wide, *self._by.get((power, scope), [])] if scope else wide

    def acts_on(self, mode: str) -> Grant | None:
        """A grant by which it does anything at all as whom it impersonates in a constrained way."""
        prefix = f"impersonate-on:{mode}:"
        given = ((grant, grant.allows.verbs or ()) for grant in self.all if grant.allows)
        return next((grant for grant, verbs in given if any(v == "*" or v.startswith(prefix) for v in verbs)), None)

    def can(self, power: str, scope: str, name: str | None = None) -> Grant | None:
        """A grant of the power for this name: "" is no name at all (only unlimited grants), None any name."""
        for grant in self.grants(power, scope):
            names = limits(grant)
            if not names or name is None or name in names:
                return grant
        return None


def _everything(found: Iterable[Grant]) -> list[Grant]:
    """The grants that are administration: each that is alone, else those that are together; none where they are not."""
    wide = [
        (grant, grant.allows)
        for grant in found
        if grant.allows and unbounded(grant.allows) and not {"*", *WRITE}.isdisjoint(grant.allows.verbs or ())
    ]
    alone = [grant for grant, rule in wide if all_powerful(rule)]
    return alone or ([grant for grant, _ in wide] if all_powerful(*(rule for _, rule in wide)) else [])


def limits(grant: Grant) -> tuple[str, ...]:
    """The names that a grant is limited to; empty is all."""
    return tuple(grant.allows.resource_names or ()) if grant.allows else ()


def proof(power: str, grant: Grant) -> str:
    """A permission and what gives it."""
    what = HELD[power].doc
    names = limits(grant)
    return f"{what}{' (' + ', '.join(names) + ')' if names else ''}: {grant.via}"


class RulePowers:
    """The powers of HELD that a rule gives; each rule is judged once, however many bindings give it."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Rule, tuple[str, ...]]] = {}

    def of(self, rule: Rule | None) -> tuple[str, ...]:
        if rule is None:
            return ()
        if id(rule) not in self._known:
            self._known[id(rule)] = (
                rule,
                tuple(name for name, power in HELD.items() if grants(rule, power, cluster=True)),
            )
        return self._known[id(rule)][1]


class World:
    """One cluster's subjects and roles amid their surroundings, and the sets of nodes that means lead to."""

    def __init__(self, access: Access) -> None:
        self.facts: Surroundings = access.surroundings()
        self._held = RulePowers()
        self._rules = access.roles
        # Holders of a role that somebody may bind, made as means need them.
        self.roles: dict[str, Holder] = {}
        # Node -> the subject as Access keys it.
        self.subjects = {node_of(subject): subject for subject, _ in access.grants}
        self.holders = {n: Holder(n, access.held_by(_keys(s)), self._held) for n, s in self.subjects.items()}
        self._own = {n: access.held_by([s]) for n, s in self.subjects.items()}
        self.users = frozenset(node for node in self.subjects if node.startswith("User "))
        self.groups = frozenset(node for node in self.subjects if node.startswith("Group "))
        self.admin_roles = sorted(
            name
            for (kind, _, name), rules in access.roles.items()
            if kind == "ClusterRole" and all_powerful(*(rule for rule, _ in rules if rule))
        )
        self.admin_bindings = {
            grant.binding: grant.role
            for (_, scope), found in access.grants.items()
            for grant in found
            if not scope and grant.role in self.admin_roles
        }
        self._pods: defaultdict[str, list[RunningPod]] = defaultdict(list)
        for pod in self.facts.pods or ():
            self._pods[pod.namespace].append(pod)
        self._accounts: defaultdict[str, set[str]] = defaultdict(set)
        for node in self.subjects:
            if node.startswith(ACCOUNT):
                self._accounts[node.removeprefix(ACCOUNT).partition("/")[0]].add(node)

    @cached_property
    def namespaces(self) -> list[str]:
        """The namespaces known of: those collected, else those in which anybody holds anything."""
        named = {scope for given in self._own.values() for scope in given if scope} | {*self._accounts}
        return sorted(named if self.facts.levels is None else self.facts.levels)

    def attributes(self, node: str) -> dict[str, object]:
        """kind, namespace, name and stock of a node: stock where all that a subject itself is given is shipped."""
        kind, _, name = node.partition(" ")
        namespace, _, account = name.partition("/") if kind == "ServiceAccount" else ("", "", name)
        own = self._own.get(node, {})
        stock = bool(own) and all(grant.stock for given in own.values() for grant in given)
        return {"kind": kind, "namespace": namespace, "name": account, "stock": stock}

    def exists(self, node: str) -> bool | None:
        """Whether a ServiceAccount is there; None for others, which a cluster does not know, and where none was read."""
        if not node.startswith(ACCOUNT) or self.facts.accounts is None:
            return None
        return self._exists(tuple(node.removeprefix(ACCOUNT).split("/", 1)))

    def accounts(self, scope: str, names: Iterable[str] = (), *, missing: bool = False) -> frozenset[str]:
        """ServiceAccounts of a namespace ("" all) that hold anything, and the groups that each of these is in.

        Those that do not exist only where `missing` asks for them: somebody can create them.
        """
        wanted = frozenset(names)
        found = {
            node
            for namespace in ([scope] if scope else list(self._accounts))
            for node in self._accounts.get(namespace, ())
            for place in (tuple(node.removeprefix(ACCOUNT).split("/", 1)),)
            if (not wanted or place[1] in wanted) and (missing or self._exists(place))
        }
        return frozenset(found) | self._account_groups([scope] if scope else self.namespaces)

    def running(self, pods: Iterable[RunningPod]) -> frozenset[str]:
        """The ServiceAccounts whose tokens are in these pods, and their groups, as far as they hold anything."""
        inside = {(pod.namespace, pod.account) for pod in pods if pod.token}
        nodes = {f"{ACCOUNT}{namespace}/{name}" for namespace, name in inside} & self.subjects.keys()
        return frozenset(nodes) | self._account_groups({namespace for namespace, _ in inside})

    def role(self, kind: str, namespace: str, name: str, scopes: Iterable[str], where: str) -> str:
        """The node of whoever holds a role in these namespaces ("" cluster-wide) by a binding yet to be made."""
        node = f"{kind} {namespace + '/' if namespace else ''}{name} {where}"
        if node not in self.roles:
            rules = self._rules.get((kind, namespace, name), ())
            given = {
                scope: [_unbound(kind, name, scope, number, rule) for number, (rule, _) in enumerate(rules)]
                for scope in scopes
            }
            self.roles[node] = Holder(node, given, self._held)
        return node

    def all_rights(self, scopes: Iterable[str], where: str) -> str:
        """The node of whoever holds everything in these namespaces."""
        node = f"all rights {where}"
        if node not in self.roles:
            rule = Rule(api_groups=["*"], resources=["*"], verbs=["*"])
            given = {scope: [_unbound("ClusterRole", SINK, scope, 0, rule)] for scope in scopes}
            self.roles[node] = Holder(node, given, self._held)
        return node

    def pods_on(self, nodes: Iterable[str]) -> Iterator[RunningPod]:
        """The pods of these nodes."""
        return (pod for node in nodes for pod in self._pods_on.get(node, ()))

    @cached_property
    def _pods_on(self) -> dict[str, list[RunningPod]]:
        found: defaultdict[str, list[RunningPod]] = defaultdict(list)
        for pod in self.facts.pods or ():
            found[pod.node].append(pod)
        return found

    def pods_of(self, scope: str) -> Sequence[RunningPod] | None:
        """The pods of a namespace, "" all; None where pods were not read."""
        return self.facts.pods if self.facts.pods is None or not scope else self._pods.get(scope, ())

    def known_roles(self, kind: str, namespace: str = "") -> list[str]:
        """Names of the ClusterRoles, or of the Roles of a namespace, sorted."""
        return self._known_roles.get((kind, namespace), [])

    @cached_property
    def _known_roles(self) -> dict[tuple[str, str], list[str]]:
        found: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        for kind, namespace, name in sorted(self._rules):
            found[kind, namespace].append(name)
        return found

    def _exists(self, account: tuple[str, ...]) -> bool:
        return self.facts.accounts is None or account in self.facts.accounts

    def _account_groups(self, namespaces: Iterable[str]) -> frozenset[str]:
        groups = {f"Group system:serviceaccounts:{namespace}" for namespace in namespaces}
        return frozenset(groups and {*groups, "Group system:serviceaccounts"}) & self.groups


def _unbound(kind: str, role: str, scope: str, number: int, rule: Rule | None) -> Grant:
    """A rule as a binding would give it that is yet to be made."""
    return Grant(
        subject_kind="",
        subject="",
        binding_kind="RoleBinding" if scope else "ClusterRoleBinding",
        binding="(to be made)",
        namespace=scope,
        role_kind=kind,
        role=role,
        rule=number,
        stock=False,
        allows=rule,
    )


def node_of(subject: str) -> str:
    """The node of a subject as Access keys it ("u:NAME", "g:NAME"): its kind and name; ServiceAccounts as NAMESPACE/NAME."""
    sort, name = subject[:2], subject[2:]
    if sort == "g:":
        return f"Group {name}"
    parts = name.removeprefix(SERVICE_ACCOUNT).split(":")
    return f"{ACCOUNT}{'/'.join(parts)}" if name.startswith(SERVICE_ACCOUNT) and len(parts) == 2 else f"User {name}"


def _keys(subject: str) -> list[str]:
    """A subject and the groups that it is in by its name."""
    sort, name = subject[:2], subject[2:]
    if sort == "u:":
        return [subject, *(f"g:{group}" for group in own_groups(name))]
    if name == "system:unauthenticated":
        return [subject]
    whole = ["g:system:serviceaccounts"] if name.startswith("system:serviceaccounts:") else []
    return [*dict.fromkeys([subject, *whole, "g:system:authenticated"])]
