"""Who may do what: the decision of the Kubernetes RBAC authorizer, from roles and bindings."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import pandas as pd

from auditkit import kinds
from auditkit.analysis.aggregation import effective_rules
from auditkit.kinds import Kind
from auditkit.kinds.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding, Rule

SERVICE_ACCOUNT = "system:serviceaccount:"
MASTERS = "system:masters"

# (verb, API group, resource) as a rule writes them.
Key = tuple[str, str, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """One rule that reaches a subject through one binding; namespace "" is cluster-wide."""

    subject_kind: str
    subject: str
    binding_kind: str
    binding: str
    namespace: str
    role_kind: str
    role: str
    rule: int
    allows: Rule | None = field(repr=False)

    @property
    def via(self) -> str:
        return (
            f"{self.binding_kind} {self.namespace}/{self.binding}"
            if self.namespace
            else f"{self.binding_kind} {self.binding}"
        )


# system:masters never reaches RBAC: pkg/kubeapiserver/authorizer/reload.go puts an authorizer before it.
OUTSIDE = Grant(
    subject_kind="Group",
    subject=MASTERS,
    binding_kind="",
    binding="outside RBAC",
    namespace="",
    role_kind="",
    role="",
    rule=0,
    allows=Rule(api_groups=["*"], resources=["*"], verbs=["*"], non_resource_urls=["*"]),
)


class Access:
    """The authorizer of one cluster's roles and bindings.

    `complete=False` says that roles or bindings were not all collected: then only a grant decides.
    Follows pkg/registry/rbac/validation/rule.go (which bindings apply, which role they name),
    pkg/apis/rbac/v1/evaluation_helpers.go (which rules match) and plugin/pkg/auth/authorizer/rbac/rbac.go.
    A binding to a missing role grants nothing. Aggregated ClusterRoles without rules are computed.
    """

    def __init__(self, grants: Iterable[Grant], *, complete: bool = True) -> None:
        self.complete = complete
        self._grants: dict[tuple[str, str], list[Grant]] = {}
        self._indexes: dict[tuple[str, str], _Index] = {}
        for grant in grants:
            prefix = "g:" if grant.subject_kind == "Group" else "u:"
            self._grants.setdefault((prefix + grant.subject, grant.namespace), []).append(grant)

    @classmethod
    def from_objects(cls, objects: Any, *, complete: bool = True) -> "Access":
        """From a snapshot's objects, or any iterable of Structs or manifests; other kinds are passed over."""
        found: dict[type[Kind], list[Any]] = {kind: [] for kind in (Role, ClusterRole, RoleBinding, ClusterRoleBinding)}
        each = (o for kind in found for o in objects[kind]) if isinstance(objects, Mapping) else objects
        for obj in each:
            struct = obj if isinstance(obj, Kind) else kinds.of(obj)
            found.get(type(struct), []).append(struct)
        rules: dict[tuple[str, str, str], Sequence[Rule | None]] = {
            ("Role", role.namespace, role.name): role.rules or [] for role in found[Role]
        }
        for name, effective in effective_rules(found[ClusterRole]).items():
            rules["ClusterRole", "", name] = [None] if effective is None else effective
        rows = (
            (b.kind, b.namespace, b.name, b.role_ref.kind, b.role_ref.name, s.kind, s.name, s.namespace or "")
            for b in (*found[RoleBinding], *found[ClusterRoleBinding])
            for s in b.subjects or ()
        )
        return cls(_grants(rows, rules), complete=complete)

    @classmethod
    def from_tables(cls, tables: Mapping[str, pd.DataFrame], *, complete: bool = True) -> "Access":
        """From the tables `rules` and `bindings`."""
        rules: dict[tuple[str, str, str], list[Rule | None]] = {}
        columns = ["kind", "namespace", "name", "api_groups", "resources", "verbs", "resource_names", "paths"]
        for kind, namespace, name, groups, resources, verbs, names, paths in tables["rules"][columns].itertuples(
            index=False
        ):
            unknown = not isinstance(verbs, list)
            rule = None if unknown else Rule(
                api_groups=groups, resources=resources, verbs=verbs, resource_names=names, non_resource_urls=paths
            )  # fmt: skip
            rules.setdefault((kind, namespace, name), []).append(rule)
        frame = tables["bindings"]
        columns = ["kind", "namespace", "name", "role_kind", "role", "subject_kind", "subject", "subject_namespace"]
        named = frame.loc[frame["subject"].notna(), columns].astype(object)
        rows = named.where(named.notna(), "").itertuples(index=False, name=None)
        return cls(_grants(rows, rules), complete=complete)

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
        """Whether the request is authorized; None where what was not collected could still allow it.

        Groups that every authenticated user, anonymous user or ServiceAccount is in are added. `path` makes it
        a request for a URL outside resources. A list or watch has a `name` only with a fieldSelector on it.
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
        return False if self.complete and not unknown else None

    def why(self, user: str, groups: Iterable[str] = (), **request: str) -> list[Grant]:
        """The bindings and rules that allow a request (arguments of `allowed`); empty where none does."""
        return list({id(grant): grant for grant in self._granting(user, groups, Request(**request))}.values())

    def rules_for(self, user: str, groups: Iterable[str] = (), namespace: str = "") -> list[Grant]:
        """All that reaches a user in a namespace ("" is cluster-wide alone), as SelfSubjectRulesReview lists it."""
        reach = self._reach(user, groups, namespace)
        masters = [OUTSIDE] if MASTERS in groups else []
        return masters + [grant for key in reach for grant in self._grants.get(key, ())]

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

        `namespace` "" asks for the cluster-wide request, None for any scope. Without `name`, rules limited by
        resourceNames are listed with those names in `limited_by_names`, but where a name cannot be part of the
        request (create, deletecollection). Whoever is in system:masters can do everything and is always listed.
        Follows plugin/pkg/auth/authorizer/rbac/subject_locator.go.
        """
        request = Request(
            verb=verb, group=group, resource=resource, subresource=subresource, name=name, namespace=namespace or ""
        )
        nameless = verb == "deletecollection" or (verb == "create" and not subresource)
        rows: list[tuple[Grant, list[str]]] = [(OUTSIDE, [])]
        for reach in self._grants:
            if namespace is None or reach[1] in ("", request.scope):
                index = self._index(reach)
                for grant in {id(g): g for key in request.keys for g in index.keys.get(key, ())}.values():
                    names = (grant.allows.resource_names if grant.allows else None) or []
                    if not names or (name in names if name else not nameless):
                        rows.append((grant, names))
        frame = pd.DataFrame(
            {
                "subject": [g.subject for g, _ in rows],
                "kind": [g.subject_kind for g, _ in rows],
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

    def _granting(self, user: str, groups: Iterable[str], request: "Request") -> Iterator[Grant]:
        if MASTERS in groups:
            yield OUTSIDE
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

    def _reach(self, user: str, groups: Iterable[str], scope: str) -> Iterator[tuple[str, str]]:
        """Where grants of this user may lie: (subject, scope), cluster-wide ones first."""
        who = ["u:" + user, *("g:" + group for group in all_groups(user, groups))]
        for where in dict.fromkeys(("", scope)):
            yield from ((one, where) for one in who if (one, where) in self._grants)

    def _index(self, reach: tuple[str, str]) -> "_Index":
        """The rules of one subject in one scope by what they match, so that a decision costs a dozen look-ups."""
        if reach not in self._indexes:
            self._indexes[reach] = _Index(self._grants[reach])
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
        # A request for one Namespace carries its name as namespace: apiserver/pkg/endpoints/request/requestinfo.go
        self.scope = "" if path else (name if resource == "namespaces" and not group and not namespace else namespace)
        whole = f"{resource}/{subresource}" if subresource else resource
        resources = ("*", whole, "*/" + subresource) if subresource else ("*", whole)
        self.keys = tuple(product(dict.fromkeys(("*", verb)), dict.fromkeys(("*", group)), dict.fromkeys(resources)))


def all_groups(user: str, groups: Iterable[str] = ()) -> list[str]:
    """The groups given and those that the API server itself adds to a user of that name.

    staging/src/k8s.io/apiserver/pkg/authentication/serviceaccount/util.go and .../group/authenticated_group_adder.go.
    """
    added = ["system:authenticated"]
    if user.startswith(SERVICE_ACCOUNT) and user.count(":") == 3:
        added += ["system:serviceaccounts", f"system:serviceaccounts:{user.split(':')[2]}"]
    if user == "system:anonymous":
        added = ["system:unauthenticated"]
    return list(dict.fromkeys([*groups, *added]))


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


BindingRow = tuple[str, str, str, str, str, str, str, str]


def _grants(rows: Iterable[BindingRow], rules: Mapping[tuple[str, str, str], Sequence[Rule | None]]) -> Iterator[Grant]:
    for binding_kind, namespace, binding, role_kind, role, subject_kind, subject, subject_namespace in rows:
        who = identity(subject_kind, subject, subject_namespace, namespace)
        where = namespace if role_kind == "Role" else ""
        for number, rule in enumerate(rules.get((role_kind, where, role), ()) if who else ()):
            yield Grant(
                subject_kind=who[0],  # type: ignore[index]
                subject=who[1],  # type: ignore[index]
                binding_kind=binding_kind,
                binding=binding,
                namespace=namespace,
                role_kind=role_kind,
                role=role,
                rule=number,
                allows=rule,
            )
