"""Which roles and bindings are exactly those that Kubernetes ships, judged by content and never by prefix or label.

What a default API server of 1.36 ships is recorded from one (data/stock-rbac-1.36.json); what those of 1.28 to 1.35
shipped follows by undoing the changes since, one minor after the other (data/stock-rbac-changes.toml, which names the
source of each: bootstrappolicy/{policy,controller_policy,namespace_policy}.go of the minors, their test data, and
upstream's pull requests). An object is stock whichever of these minors shipped it so. Not known, and so not stock:
rules that come with a feature gate which is off by default, the system:kube-scheduler of 1.31, other versions.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from auditkit.kinds.rbac import AggregationRule, ClusterRole, ClusterRoleBinding, Role, RoleBinding, Rule, Subject
from auditkit.resources import data, folder

AnyRole = Role | ClusterRole
AnyBinding = RoleBinding | ClusterRoleBinding
Content = tuple[tuple[str, ...], ...]
Contents = frozenset[Content]
Bound = tuple[str, str, frozenset[tuple[str, str, str]]]


def is_stock(obj: AnyRole | AnyBinding) -> bool:
    """Whether Kubernetes (1.28 to 1.36) ships an object under this name and with exactly this content.

    An aggregated ClusterRole (admin, edit, view) that other roles were aggregated into is not: see `stock_rules`.
    """
    if isinstance(obj, RoleBinding | ClusterRoleBinding):
        bound = _bound(obj.role_ref.kind, obj.role_ref.name, obj.subjects or ())
        return bound in shipped_bindings().get(_key(obj), {}).values()
    selector, states = shipped_roles().get(_key(obj), (None, {}))
    return selector == _selector(_aggregation(obj)) and contents(obj.rules or ()) in states.values()


def stock_rules(role: AnyRole, rules: Iterable[Rule]) -> list[bool]:
    """For each effective rule of a role: is it part of what Kubernetes ships with it?

    True for all rules of a stock role. An aggregated stock role whose selectors are the shipped ones and which
    still has all rules that one minor ships keeps them stock: only rules that were aggregated in beside them are
    its owner's choice. A role changed in any other way (a rule added by hand, a second selector) is none of
    Kubernetes': False for all.
    """
    found = list(rules)
    given = contents(found)
    selector, states = shipped_roles().get(_key(role), (None, {}))
    same = selector == _selector(_aggregation(role))
    whole = [state for state in states.values() if same and (state == given or (selector and state <= given))]
    expected = max(whole, key=len, default=frozenset())
    return [content(rule) in expected for rule in found]


def contents(rules: Iterable[Rule]) -> Contents:
    """The rules of a role as a value: neither their order nor how often one is said means anything."""
    return frozenset(content(rule) for rule in rules)


def content(rule: Rule) -> Content:
    """A rule as a value: the order of its lists means nothing."""
    parts = (rule.api_groups, rule.resources, rule.verbs, rule.resource_names, rule.non_resource_urls)
    return tuple(tuple(sorted(set(part or ()))) for part in parts)


def _aggregation(role: AnyRole) -> AggregationRule | None:
    return role.aggregation_rule if isinstance(role, ClusterRole) else None


def _selector(rule: AggregationRule | None) -> str | None:
    return msgspec.json.encode(rule, order="sorted").decode() if rule else None


def _key(obj: AnyRole | AnyBinding) -> str:
    return "/".join(filter(None, (obj.kind, obj.namespace, obj.name)))


def _bound(kind: str, name: str, subjects: Iterable[Subject]) -> Bound:
    return kind, name, frozenset((s.kind, s.namespace or "", s.name) for s in subjects)


@cache
def shipped_roles() -> Mapping[str, tuple[str | None, Mapping[str, Contents]]]:
    """By kind, namespace and name: the role's aggregation, and its rules in 1.36 ("") and before each minor that changed them."""
    roles: dict[str, tuple[str | None, dict[str, Contents]]] = {}
    for key, role in _recorded()["roles"].items():
        aggregation = msgspec.convert(role["aggregationRule"], AggregationRule) if "aggregationRule" in role else None
        roles[key] = (_selector(aggregation), {"": contents(msgspec.convert(role["rules"], list[Rule]))})
    for change in data("stock-rbac-changes.toml")["change"]:
        now, was = (contents(msgspec.convert(change[name], list[Rule])) for name in ("now", "was"))
        for key in change["roles"]:
            states = roles[key][1]
            *_, last = states.values()
            states[change["minor"]] = last - now | was
    return roles


@cache
def shipped_bindings() -> Mapping[str, Mapping[str, Bound]]:
    """By kind, namespace and name: role and subjects in 1.36 ("") and before each minor that changed them."""
    found, changed = {}, data("stock-rbac-changes.toml")["binding"]
    for key, binding in _recorded()["bindings"].items():
        role = binding["roleRef"]
        states = {"": _bound(role["kind"], role["name"], msgspec.convert(binding["subjects"], list[Subject]))}
        for change in changed:
            if change["binding"] == key:
                subjects = msgspec.convert(change["was"], list[Subject])
                states[change["minor"]] = _bound(role["kind"], role["name"], subjects)
        found[key] = states
    return found


@cache
def controllers() -> frozenset[str]:
    """The users, ServiceAccounts of kube-system, that Kubernetes itself binds for its controllers."""
    bound = (
        subject for states in shipped_bindings().values() for *_, subjects in states.values() for subject in subjects
    )
    return frozenset(f"system:serviceaccount:{ns}:{name}" for kind, ns, name in bound if kind == "ServiceAccount")


def _recorded() -> Any:
    return msgspec.json.decode((folder("data") / "stock-rbac-1.36.json").read_bytes())
