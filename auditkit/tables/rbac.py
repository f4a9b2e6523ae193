"""Roles, their rules, and the bindings that give them to subjects."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.access import identity
from auditkit.analysis.aggregation import effective_rules
from auditkit.analysis.powers import POWERS, all_powerful, grants
from auditkit.analysis.stock import is_stock, stock_rules
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import ServiceAccount
from auditkit.kinds.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding, Rule

# ConfigMaps of kube-system that configure the cluster: who changes one changes DNS, networking or authentication.
CLUSTER_CONFIG = frozenset(
    ["coredns", "coredns-custom", "kube-dns", "node-local-dns", "kube-proxy", "kubeadm-config", "kubelet-config"]
    + ["aws-auth", "extension-apiserver-authentication"]
)

# A rule, the columns of _Powers for it, and whether it is Kubernetes' own.
_Judged = tuple[Rule, tuple[bool, ...], bool]


class _Named:
    namespace: Annotated[str, "Namespace of the role; empty for a ClusterRole."]
    kind: Annotated[str, "Role or ClusterRole."]
    name: Annotated[str, "Name of the role."]
    role_id: Annotated[str, "Kind, namespace and name in one, as `bindings.role_id` refers to it."]


class _Powers:
    """One boolean column a power (analysis/powers.py), after those that are patterns of the rule itself."""

    __annotations__ = {
        "wildcard_verbs": Annotated[bool | None, "Verbs hold `*`."],
        "wildcard_resources": Annotated[
            bool | None, "Resources or API groups hold `*`, or resources hold `*/subresource`."
        ],
        "wildcard_paths": Annotated[bool | None, "A nonResourceURL ends in `*`."],
        "all_powerful": Annotated[bool | None, "Creates and changes every resource of every API group."],
        "writes_cluster_config": Annotated[
            bool | None, "Updates, patches or deletes ConfigMaps of kube-system that configure the cluster."
        ],
        **{name: Annotated[bool | None, f"May {power.doc}."] for name, power in POWERS.items()},
    }


_POWERS = tuple(_Powers.__annotations__)


@table("rules", kinds=(Role, ClusterRole), key=("kind", "namespace", "name", "rule"))
class RuleRow(_Powers, _Named):
    """One row per rule of every Role and ClusterRole, aggregated rules included.

    What cannot be computed of a ClusterRole's aggregation is one row without lists.
    """

    rule: Annotated[int, "Position of the rule in its role, from 0."]
    stock: Annotated[bool, "Shipped with Kubernetes as part of this role, by content."]
    api_groups: Annotated[list[str] | None, "API groups; an empty string is the core group."]
    resources: Annotated[list[str] | None, "Resources and subresources."]
    verbs: Annotated[list[str] | None, "Verbs."]
    resource_names: Annotated[list[str] | None, "Names that the rule is limited to; empty is all."]
    paths: Annotated[list[str] | None, "nonResourceURLs."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for role, rules, whole in objects.once(_roles):
            named = _named(role)
            if not whole:
                yield (*named, *[None] * len(_POWERS), len(rules), False, *[None] * 5)
            for number, (rule, powers, stock) in enumerate(rules):
                lists = (rule.api_groups, rule.resources, rule.verbs, rule.resource_names, rule.non_resource_urls)
                yield (*named, *powers, number, stock, *(list(one or ()) for one in lists))


@table("roles", kinds=(Role, ClusterRole), key=("kind", "namespace", "name"))
class RoleRow(_Powers, _Named):
    """One row per Role and ClusterRole, with the powers that its rules give beyond what Kubernetes ships.

    Rules shipped with Kubernetes count for nothing here (`rules` and `grants` show them): a role that is
    exactly the shipped one has no power, one that was extended by aggregation only those of the added rules,
    one changed otherwise all of its rules'.
    """

    stock: Annotated[bool, "Shipped with Kubernetes under this name and with exactly this content."]
    aggregated: Annotated[bool, "A ClusterRole that collects the rules of others."]
    rules: Annotated[int | None, "Number of rules; missing where aggregation cannot be computed."]
    created: Annotated[datetime | None, "When the role was created."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for role, rules, whole in objects.once(_roles):
            aggregated = isinstance(role, ClusterRole) and role.aggregation_rule is not None
            own = [(rule, judged) for rule, judged, stock in rules if not stock]
            found = [any(column) for column in zip(*(judged for _, judged in own), strict=True)] or [False] * len(
                _POWERS
            )
            found[_POWERS.index("all_powerful")] = all_powerful(*(rule for rule, _ in own))
            powers = [power or (False if whole else None) for power in found]
            count = len(rules) if whole else None
            yield (*_named(role), *powers, is_stock(role), aggregated, count, role.metadata.creation_timestamp)


class BindingColumns:
    """What a binding says, one row a subject."""

    namespace: Annotated[str, "Namespace of the RoleBinding; empty for a ClusterRoleBinding."]
    kind: Annotated[str, "RoleBinding or ClusterRoleBinding."]
    name: Annotated[str, "Name of the binding."]
    number: Annotated[int, "Position of the subject in its binding, from 0."]
    subject_kind: Annotated[str | None, "User, Group or ServiceAccount; missing where the binding has no subjects."]
    subject: Annotated[str | None, "Name of the subject."]
    subject_namespace: Annotated[str | None, "Namespace of a ServiceAccount; the binding's where it names none."]
    identity: Annotated[
        str | None, "User or group name it stands for: system:serviceaccount:NAMESPACE:NAME for a ServiceAccount."
    ]
    serviceaccount: Annotated[
        str | None, "NAMESPACE/NAME where the subject is a ServiceAccount, also if named as a User."
    ]
    role_kind: Annotated[str, "Role or ClusterRole."]
    role: Annotated[str, "Name of the role."]
    role_id: Annotated[str, "Kind, namespace and name of the role in one."]
    stock: Annotated[bool, "Shipped with Kubernetes under this name, with exactly this role and these subjects."]
    created: Annotated[datetime | None, "When the binding was created."]


@table("bindings", kinds=(RoleBinding, ClusterRoleBinding), key=("kind", "namespace", "name", "number"))
class Binding(BindingColumns):
    """One row per subject of every binding; one without a subject where a binding has none."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found: list[RoleBinding | ClusterRoleBinding] = [*objects[RoleBinding], *objects[ClusterRoleBinding]]
        for binding in found:
            ref = binding.role_ref
            role_namespace = binding.namespace if ref.kind == "Role" else ""
            tail = (
                ref.kind,
                ref.name,
                _id(ref.kind, role_namespace, ref.name),
                is_stock(binding),
                binding.metadata.creation_timestamp,
            )
            head = (binding.namespace, binding.kind, binding.name)
            for number, subject in enumerate(binding.subjects or ()):
                account = subject.kind == "ServiceAccount"
                namespace = (subject.namespace or binding.namespace or None) if account else None
                who = identity(subject.kind, subject.name, subject.namespace or "", binding.namespace)
                alias = who[1].split(":") if who and who[0] == "User" else []
                whole = len(alias) == 4 and all(alias) and alias[:2] == ["system", "serviceaccount"]
                named = "/".join(alias[2:]) if whole else None
                yield (*head, number, subject.kind, subject.name, namespace, who[1] if who else None, named, *tail)
            if not binding.subjects:
                yield (*head, 0, None, None, None, None, None, *tail)


@view("namespace_bindings", key=("namespace", "name", "number"))
class NamespaceBinding(BindingColumns):
    """One row per subject of every RoleBinding."""

    @staticmethod
    def frame(bindings: pd.DataFrame) -> pd.DataFrame:
        return bindings[bindings["kind"] == "RoleBinding"]


@table("known_serviceaccounts", kinds=(ServiceAccount,), key=("namespace", "name"))
class KnownServiceAccount:
    """One row per ServiceAccount that exists: what a binding's subject must name."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "ServiceAccount."]
    name: Annotated[str, "Name."]
    serviceaccount: Annotated[str, "NAMESPACE/NAME, as `bindings.serviceaccount` refers to it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for account in objects[ServiceAccount]:
            yield account.namespace, account.kind, account.name, f"{account.namespace}/{account.name}"


@view("subjects", key=("subject_kind", "identity"))
class Subject:
    """One row per user or group that any binding names, ServiceAccounts as the users they are."""

    subject_kind: Annotated[str, "User or Group."]
    identity: Annotated[str, "Name of the user or group; system:serviceaccount:NAMESPACE:NAME for a ServiceAccount."]
    serviceaccount: Annotated[str | None, "NAMESPACE/NAME of a ServiceAccount."]
    bindings: Annotated[int, "Bindings that name it."]
    cluster_bindings: Annotated[int, "ClusterRoleBindings among them."]
    namespaces: Annotated[int, "Namespaces in which a RoleBinding names it."]
    roles: Annotated[int, "Roles it is given."]

    @staticmethod
    def frame(bindings: pd.DataFrame) -> pd.DataFrame:
        named = bindings[bindings["identity"].notna()].copy()
        named["subject_kind"] = named["subject_kind"].replace("ServiceAccount", "User")
        named["binding"] = named["kind"] + "/" + named["namespace"] + "/" + named["name"]
        named["cluster"] = named["binding"].where(named["kind"] == "ClusterRoleBinding")
        named["scope"] = named["namespace"].where(named["kind"] == "RoleBinding")
        return named.groupby(["subject_kind", "identity"], as_index=False).agg(
            serviceaccount=("serviceaccount", "first"),
            bindings=("binding", "nunique"),
            cluster_bindings=("cluster", "nunique"),
            namespaces=("scope", "nunique"),
            roles=("role_id", "nunique"),
        )


@view("grants", key=("kind", "namespace", "name", "number", "rule"))
class Grant(_Powers, BindingColumns):
    """One row per subject of a binding and rule of its role; one without a rule where the role is missing or empty."""

    rule: Annotated[int | None, "Position of the rule in its role; missing where the role is missing or has none."]
    role_exists: Annotated[bool, "The role that the binding names was among those collected."]
    role_stock: Annotated[bool | None, "The rule is part of what Kubernetes ships with this role."]
    api_groups: Annotated[list[str] | None, "API groups of the rule."]
    resources: Annotated[list[str] | None, "Resources of the rule."]
    verbs: Annotated[list[str] | None, "Verbs of the rule."]
    resource_names: Annotated[list[str] | None, "Names that the rule is limited to."]
    paths: Annotated[list[str] | None, "nonResourceURLs of the rule."]

    @staticmethod
    def frame(bindings: pd.DataFrame, rules: pd.DataFrame, roles: pd.DataFrame) -> pd.DataFrame:
        theirs = rules.drop(columns=["namespace", "kind", "name"]).rename(columns={"stock": "role_stock"})
        joined = bindings.merge(theirs, on="role_id", how="left")
        return joined.assign(role_exists=joined["role_id"].isin(roles["role_id"]))


def _roles(objects: Objects) -> list[tuple[Role | ClusterRole, list[_Judged], bool]]:
    """Each role, its effective rules, and whether these are all."""
    effective = effective_rules(objects[ClusterRole])
    return [
        *((role, _judged(role, role.rules or []), True) for role in objects[Role]),
        *(
            (role, _judged(role, rules), whole)
            for role in objects[ClusterRole]
            for rules, whole in [effective[role.name]]
        ),
    ]


def _judged(role: Role | ClusterRole, rules: Sequence[Rule]) -> list[_Judged]:
    return [(rule, _judge(role, rule), stock) for rule, stock in zip(rules, stock_rules(role, rules), strict=True)]


def _id(kind: str, namespace: str, name: str) -> str:
    return f"{kind}/{namespace}/{name}"


def _named(role: Role | ClusterRole) -> tuple[str, str, str, str]:
    return role.namespace, role.kind, role.name, _id(role.kind, role.namespace, role.name)


def _judge(role: Role | ClusterRole, rule: Rule) -> tuple[bool, ...]:
    """The columns of _Powers for one rule."""
    cluster = isinstance(role, ClusterRole)
    powers = {name: grants(rule, power, cluster=cluster) for name, power in POWERS.items()}
    patterns = (*(rule.api_groups or ()), *(rule.resources or ()))
    names = set(rule.resource_names or ())
    kubelets = any(name.startswith("kubelet-config-") for name in names)  # of clusters before 1.24, one a version
    named = not names or role.namespace == "kube-system" or bool(names & CLUSTER_CONFIG) or kubelets
    return (
        "*" in (rule.verbs or ()),
        any(one == "*" or one.startswith("*/") for one in patterns),
        cluster and any(url.endswith("*") for url in rule.non_resource_urls or ()),
        all_powerful(rule),
        powers["writes_configmaps"] and named and (cluster or role.namespace == "kube-system"),
        *powers.values(),
    )
