"""Which roles and bindings are exactly those that Kubernetes ships, judged by content and never by prefix or label."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import msgspec

from auditkit.kinds.rbac import AggregationRule, ClusterRole, ClusterRoleBinding, Role, RoleBinding, Rule, Subject
from auditkit.resources import folder

AnyRole = Role | ClusterRole
AnyBinding = RoleBinding | ClusterRoleBinding
Content = tuple[tuple[str, ...], ...]


def is_stock(obj: AnyRole | AnyBinding) -> bool:
    """Whether an object is shipped with Kubernetes (1.36) under this name and with exactly this content.

    An aggregated ClusterRole (admin, edit, view) that other roles were aggregated into is not: see `stock_rules`.
    The source is plugin/pkg/auth/authorizer/rbac/bootstrappolicy/{policy,controller_policy,namespace_policy}.go.
    """
    shipped = _shipped()
    if isinstance(obj, RoleBinding | ClusterRoleBinding):
        return shipped["bindings"].get(_key(obj)) == _binding(obj.role_ref.kind, obj.role_ref.name, obj.subjects or ())
    return shipped["roles"].get(_key(obj)) == (
        _selector(_aggregation(obj)),
        {content(rule) for rule in obj.rules or ()},
    )


def stock_rules(role: AnyRole, rules: Iterable[Rule]) -> list[bool]:
    """For each effective rule of a role: is it part of what Kubernetes ships with it?

    True for all rules of a stock role. An aggregated stock role whose selectors are the shipped ones and which
    still has all its shipped rules keeps them stock: only rules that were aggregated in beside them are its
    owner's choice. A role changed in any other way (a rule added by hand, a second selector) is none of
    Kubernetes': False for all.
    """
    found = list(rules)
    shipped = _shipped()["roles"].get(_key(role))
    if shipped is None:
        return [False] * len(found)
    selector, expected = shipped
    contents = [content(rule) for rule in found]
    same = selector == _selector(_aggregation(role))
    if not same or not expected <= set(contents) or (selector is None and expected != set(contents)):
        return [False] * len(found)
    return [one in expected for one in contents]


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


def _binding(kind: str, name: str, subjects: Iterable[Subject]) -> tuple[Any, ...]:
    return kind, name, frozenset((s.kind, s.namespace or "", s.name) for s in subjects)


@cache
def _shipped() -> Mapping[str, Mapping[str, Any]]:
    data = msgspec.json.decode((folder("data") / "stock-rbac-1.36.json").read_bytes())
    roles = {}
    for key, role in data["roles"].items():
        aggregation = msgspec.convert(role["aggregationRule"], AggregationRule) if "aggregationRule" in role else None
        rules = {content(msgspec.convert(rule, Rule)) for rule in role["rules"]}
        roles[key] = (_selector(aggregation), rules)
    bindings = {
        key: _binding(b["roleRef"]["kind"], b["roleRef"]["name"], msgspec.convert(b["subjects"], list[Subject]))
        for key, b in data["bindings"].items()
    }
    return {"roles": roles, "bindings": bindings}
