"""Who may do what: the decision of the Kubernetes RBAC authorizer, from roles and bindings."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

import pandas as pd

from auditkit.analysis.aggregation import effective_rules
from auditkit.analysis.objects import Gathered
from auditkit.analysis.stock import is_stock, stock_rules
from auditkit.analysis.surroundings import SURROUNDINGS, Surroundings
from auditkit.kinds import Kind
from auditkit.kinds.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding, Rule

if TYPE_CHECKING:
    from auditkit.analysis.escalation import Paths

SERVICE_ACCOUNT = "system:serviceaccount:"
MASTERS = "system:masters"
KINDS: tuple[type[Kind], ...] = (Role, ClusterRole, RoleBinding, ClusterRoleBinding)
# Where kubectl puts a manifest that names no namespace.
DEFAULT = "default"
# Said beside an answer, never mixed into one: pkg/kubeapiserver/authorizer/reload.go puts both before RBAC.
OUTSIDE_RBAC = (
    "Outside RBAC: whoever is in the group system:masters is allowed everything, whatever bindings say; "
    "the Node authorizer allows each kubelet what its pods need."
)

# A kind that the cluster does not serve has no objects.
_WHOLE = ("collected", "not served")

# (verb, API group, resource) as a rule writes them.
Key = tuple[str, str, str]
# (kind, namespace, name) of a role; a rule (None: one that cannot be computed) and whether Kubernetes ships it.
RoleKey = tuple[str, str, str]
RoleRules = Sequence[tuple[Rule | None, bool]]
# ("u:" or "g:" and the name, namespace): to whom grants are given, and where.
Reach = tuple[str, str]
# kind, namespace, name, role kind, role, subject kind, subject, subject's namespace, stock
BindingRow = tuple[str, str, str, str, str, str, str, str, bool]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One rule that reaches a subject through one binding; namespace "" is cluster-wide.

    `stock`: binding and rule are those that Kubernetes ships, by content. `allows` is None for the part of
    an aggregated role that cannot be computed.
    """

    subject_kind: str
    subject: str
    binding_kind: str
    binding: str
    namespace: str
    role_kind: str
    role: str
    rule: int
    stock: bool
    allows: Rule | None = field(repr=False)

    @property
    def via(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.binding_kind} {place}{self.binding}, {self.role_kind} {self.role}"


class Access:
    """The RBAC authorizer of one cluster, and nothing beside it (see OUTSIDE_RBAC).

    `unread` names those of the four kinds that were not completely collected: where one of them could still
    hold a grant, only a grant that was found decides.
    Follows pkg/registry/rbac/validation/rule.go (which bindings apply, which role they name),
    pkg/apis/rbac/v1/evaluation_helpers.go (which rules match) and plugin/pkg/auth/authorizer/rbac/rbac.go.
    A binding to a missing role grants nothing. Aggregated ClusterRoles without rules are computed.
    """

    def __init__(
        self,
        bindings: Iterable[BindingRow],
        roles: Mapping[RoleKey, RoleRules],
        *,
        unread: Iterable[type[Kind]] = (),
        surroundings: Callable[[], Surroundings] = Surroundings,
    ) -> None:
        self.unread = frozenset(unread)
        self.roles = roles
        self.surroundings = surroundings
        self.grants: dict[Reach, list[Grant]] = {}
        self._indexes: dict[Reach, _Index] = {}
        for grant in _grants(bindings, roles):
            prefix = "g:" if grant.subject_kind == "Group" else "u:"
            self.grants.setdefault((prefix + grant.subject, grant.namespace), []).append(grant)
        self._scopes: dict[str, list[str]] = {}
        for subject, scope in self.grants:
            self._scopes.setdefault(subject, []).append(scope)

    @classmethod
    def from_objects(cls, objects: Any, *, complete: bool = True, version: str | None = None) -> "Access":
        """From a snapshot's objects, or any iterable of Structs or manifests; other kinds are passed over.

        `complete=False` says that roles or bindings were not all collected; `version` is the server's
        (gitVersion). Raises ValueError where a manifest has no kind, msgspec.ValidationError where one of a kind that
        auditkit reads is malformed.
        """
        found = Gathered(objects)
        roles: dict[RoleKey, RoleRules] = {}
        for role in found[Role]:
            own = role.rules or []
            roles["Role", role.namespace or DEFAULT, role.name] = [*zip(own, stock_rules(role, own), strict=True)]
        effective = effective_rules(found[ClusterRole])
        for shared in found[ClusterRole]:
            known, whole = effective[shared.name]
            rest: list[tuple[Rule | None, bool]] = [] if whole else [(None, False)]
            roles["ClusterRole", "", shared.name] = [*zip(known, stock_rules(shared, known), strict=True), *rest]
        bindings: list[RoleBinding | ClusterRoleBinding] = [*found[RoleBinding], *found[ClusterRoleBinding]]
        rows = (
            (b.kind, b.namespace, b.name, b.role_ref.kind, b.role_ref.name, s.kind, s.name, s.namespace or "", stock)
            for b in bindings
            for stock in (is_stock(b),)
            for s in b.subjects or ()
        )
        around = partial(Surroundings.from_objects, found, version=version)
        return cls(rows, roles, unread=() if complete else KINDS, surroundings=around)

    @classmethod
    def from_tables(cls, tables: Mapping[str, pd.DataFrame], *, complete: bool = True) -> "Access":
        """From the tables `rules` and `bindings`; a snapshot's say themselves what was not completely collected."""
        roles: dict[RoleKey, list[tuple[Rule | None, bool]]] = {}
        columns = ["kind", "namespace", "name", "stock", "api_groups", "resources", "verbs", "resource_names", "paths"]
        for kind, namespace, name, stock, *lists in tables["rules"][columns].itertuples(index=False, name=None):
            groups, resources, verbs, names, paths = (list(one) if hasattr(one, "__len__") else None for one in lists)
            rule = None if verbs is None else Rule(
                api_groups=groups, resources=resources, verbs=verbs, resource_names=names, non_resource_urls=paths
            )  # fmt: skip
            where = (namespace or DEFAULT) if kind == "Role" else ""
            roles.setdefault((kind, where, name), []).append((rule, bool(stock)))
        frame = tables["bindings"]
        columns = ["kind", "namespace", "name", "role_kind", "role", "subject_kind", "subject", "subject_namespace"]
        named = frame.loc[frame["subject"].notna(), [*columns, "stock"]].astype(object)
        rows = named.where(named.notna(), "").itertuples(index=False, name=None)
        snapshot = getattr(tables, "snapshot", None)
        if snapshot is None:
            return cls(rows, roles, unread=() if complete else KINDS)
        lacking = {kind for kind in (*KINDS, *SURROUNDINGS) if snapshot.state(kind).state not in _WHOLE}
        around = partial(Surroundings.from_objects, snapshot.objects, unread=lacking, version=snapshot.origin.version)
        return cls(rows, roles, unread=lacking & {*KINDS} if complete else KINDS, surroundings=around)

    def allowed(
        self,
        user: str,
        groups: Iterable[str] = (),
        *,
        verb: str,
        group: str = "",
        resource: str = "",
        subresource: str = "",
        name: str = "",
        namespace: str = "",
        path: str = "",
    ) -> bool | None:
        """Whether RBAC allows the request; None where what was not collected could still allow it.

        The arguments are those of a SubjectAccessReview and taken as they are: `groups` are all the groups of
        the user, also those that the API server adds to every user of that name (`own_groups`). `path` makes it
        a request for a URL outside resources. A list or watch has a `name` only with a fieldSelector on it. A
        request for one Namespace, as the API server reads it from a URL, carries its name as `namespace` too
        (apiserver/pkg/endpoints/request/requestinfo.go), so that a RoleBinding can allow it.
        """
        request = Request(
            verb=verb,
            group=group,
            resource=resource,
            subresource=subresource,
            name=name,
            namespace=namespace,
            path=path,
        )
        if next(self._granting(user, groups, request), None):
            return True
        unknown = any(self._index(reach).unknown for reach in self._reach(user, groups, request.scope))
        return None if unknown or self._open(request.scope) else False

    def why(self, user: str, groups: Iterable[str] = (), **request: str) -> list[Grant]:
        """The bindings and rules that allow a request (arguments of `allowed`); empty where none does."""
        return list({id(grant): grant for grant in self._granting(user, groups, Request(**request))}.values())

    def rules_for(self, user: str, groups: Iterable[str] = (), namespace: str = "") -> list[Grant]:
        """All that reaches a user in a namespace ("" is cluster-wide alone), as SelfSubjectRulesReview lists it."""
        return [grant for reach in self._reach(user, groups, namespace) for grant in self.grants.get(reach, ())]

    def who_can(
        self,
        verb: str,
        resource: str,
        *,
        group: str = "",
        subresource: str = "",
        name: str = "",
        namespace: str | None = "",
    ) -> pd.DataFrame:
        """One row per subject, binding and rule that allows a request.

        `subject` is the name of a user or group (of a ServiceAccount the user that it is), `kind` what that is.
        `namespace` "" asks for the cluster-wide request, None for any scope. Without `name`, rules limited by
        resourceNames are listed with those names in `limited_by_names`, but where a name cannot be part of the
        request (create, deletecollection). What is outside RBAC (OUTSIDE_RBAC)
        and what could not be computed of an aggregated role is not listed.
        Follows plugin/pkg/auth/authorizer/rbac/subject_locator.go.
        """
        request = Request(
            verb=verb, group=group, resource=resource, subresource=subresource, name=name, namespace=namespace or ""
        )
        nameless = verb == "deletecollection" or (verb == "create" and not subresource)
        rows: list[tuple[Grant, list[str]]] = []
        for reach in self.grants:
            if namespace is None or reach[1] in ("", request.scope):
                index = self._index(reach)
                for grant in {id(g): g for key in request.keys for g in index.keys.get(key, ())}.values():
                    names = (grant.allows.resource_names if grant.allows else None) or []
                    if not names or (name in names if name else not nameless):
                        rows.append((grant, names))
        frame = pd.DataFrame(
            {
                "subject": [g.subject for g, _ in rows],
                "kind": ["ServiceAccount" if is_account(g) else g.subject_kind for g, _ in rows],
                "binding_kind": [g.binding_kind for g, _ in rows],
                "binding": [g.binding for g, _ in rows],
                "role_kind": [g.role_kind for g, _ in rows],
                "role": [g.role for g, _ in rows],
                "rule": [g.rule for g, _ in rows],
                "scope": [g.namespace for g, _ in rows],
                "limited_by_names": [", ".join(names) for _, names in rows],
            }
        )
        return frame.sort_values(["kind", "subject", "scope", "binding", "rule"], ignore_index=True)

    def paths(self) -> "Paths":
        """Who can become cluster-admin and how: a graph and a table (auditkit.analysis.escalation)."""
        from auditkit.analysis.escalation import paths

        return paths(self)

    def effective_admins(self) -> pd.DataFrame:
        """Who is cluster-admin already, under any name of a role (auditkit.analysis.escalation)."""
        from auditkit.analysis.escalation import effective_admins

        return effective_admins(self)

    def held_by(self, subjects: Iterable[str]) -> dict[str, list[Grant]]:
        """All grants to these subjects (the first part of a Reach), by namespace."""
        found: dict[str, list[Grant]] = {}
        for subject in subjects:
            for scope in self._scopes.get(subject, ()):
                found.setdefault(scope, []).extend(self.grants[subject, scope])
        return found

    def _open(self, scope: str) -> bool:
        """Whether a grant in this scope could be among what was not collected."""
        return bool(self.unread) if scope else bool(self.unread & {ClusterRole, ClusterRoleBinding})

    def _granting(self, user: str, groups: Iterable[str], request: "Request") -> Iterator[Grant]:
        for reach in self._reach(user, groups, request.scope):
            index = self._index(reach)
            if request.path:
                yield from (
                    g for verb, url, g in index.paths if verb in ("*", request.verb) and path_matches(url, request.path)
                )
            else:
                for key in request.keys:
                    for grant in index.keys.get(key, ()):
                        names = grant.allows.resource_names if grant.allows else None
                        if not names or request.name in names:
                            yield grant

    def _reach(self, user: str, groups: Iterable[str], scope: str) -> Iterator[Reach]:
        """Where grants of this user may lie, cluster-wide ones first."""
        who = ["u:" + user, *("g:" + one for one in dict.fromkeys(groups))]
        for where in dict.fromkeys(("", scope)):
            yield from ((one, where) for one in who if (one, where) in self.grants)

    def _index(self, reach: Reach) -> "_Index":
        """The rules of one subject in one scope by what they match, so that a decision costs a dozen look-ups."""
        if reach not in self._indexes:
            self._indexes[reach] = _Index(self.grants[reach])
        return self._indexes[reach]


class _Index:
    """Grants by every (verb, group, resource) that their rules write; paths apart, for they match by prefix."""

    def __init__(self, grants: Iterable[Grant]) -> None:
        self.keys: dict[Key, list[Grant]] = {}
        self.paths: list[tuple[str, str, Grant]] = []
        self.unknown = False
        for grant in grants:
            rule = grant.allows
            if rule is None:
                self.unknown = True
                continue
            for verb in dict.fromkeys(rule.verbs or ()):
                for group, resource in product(
                    dict.fromkeys(rule.api_groups or ()), dict.fromkeys(rule.resources or ())
                ):
                    self.keys.setdefault((verb, group, resource), []).append(grant)
                if not grant.namespace:
                    self.paths += [(verb, url, grant) for url in rule.non_resource_urls or ()]


class Request:
    """The attributes that the authorizer reads of a request."""

    __slots__ = ("keys", "name", "path", "scope", "verb")

    def __init__(
        self,
        *,
        verb: str,
        group: str = "",
        resource: str = "",
        subresource: str = "",
        name: str = "",
        namespace: str = "",
        path: str = "",
    ) -> None:
        self.verb, self.name, self.path = verb, name, path
        self.scope = "" if path else namespace
        whole = f"{resource}/{subresource}" if subresource else resource
        resources = ("*", whole, "*/" + subresource) if subresource else ("*", whole)
        self.keys = tuple(product(dict.fromkeys(("*", verb)), dict.fromkeys(("*", group)), dict.fromkeys(resources)))


def own_groups(user: str) -> list[str]:
    """The groups that the API server itself puts every user of that name in.

    staging/src/k8s.io/apiserver/pkg/authentication/serviceaccount/util.go and .../group/authenticated_group_adder.go.
    """
    if user == "system:anonymous":
        return ["system:unauthenticated"]
    account = user.removeprefix(SERVICE_ACCOUNT).split(":") if user.startswith(SERVICE_ACCOUNT) else []
    accounts = ["system:serviceaccounts", f"system:serviceaccounts:{account[0]}"] if len(account) == 2 else []
    return [*accounts, "system:authenticated"]


def is_account(grant: Grant) -> bool:
    """Whether the user that a grant names is a ServiceAccount, also where a binding names it as a User."""
    return grant.subject_kind == "User" and grant.subject.startswith(SERVICE_ACCOUNT)


def path_matches(pattern: str, path: str) -> bool:
    """Whether a nonResourceURL covers a path: exact, or all paths that start with it where it ends in *."""
    return pattern == path or (pattern.endswith("*") and path.startswith(pattern.rstrip("*")))


def identity(kind: str, name: str, subject_namespace: str, binding_namespace: str) -> tuple[str, str] | None:
    """(kind, user or group name) that a subject stands for; None where it can match nobody.

    A ServiceAccount is the user system:serviceaccount:NAMESPACE:NAME; without a namespace it takes the
    RoleBinding's, and in a ClusterRoleBinding it matches nobody.
    """
    if kind in ("User", "Group"):
        return kind, name
    namespace = subject_namespace or binding_namespace
    return ("User", f"{SERVICE_ACCOUNT}{namespace}:{name}") if kind == "ServiceAccount" and namespace else None


def _grants(rows: Iterable[BindingRow], roles: Mapping[RoleKey, RoleRules]) -> Iterator[Grant]:
    """Each rule that a binding gives to a subject: a ClusterRoleBinding gives ClusterRoles only."""
    for binding_kind, namespace, binding, role_kind, role, subject_kind, subject, subject_namespace, stock in rows:
        scope = (namespace or DEFAULT) if binding_kind == "RoleBinding" else ""
        who = identity(subject_kind, subject, subject_namespace, scope)
        if who is None or (role_kind == "Role" and not scope):
            continue
        given = roles.get((role_kind, scope if role_kind == "Role" else "", role), ())
        for number, (rule, shipped) in enumerate(given):
            yield Grant(
                subject_kind=who[0],
                subject=who[1],
                binding_kind=binding_kind,
                binding=binding,
                namespace=scope,
                role_kind=role_kind,
                role=role,
                rule=number,
                stock=stock and shipped,
                allows=rule,
            )
