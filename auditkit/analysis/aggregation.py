"""The rules of aggregated ClusterRoles, as the controller computes them where a manifest leaves them to it."""

from collections.abc import Iterable, Mapping, Sequence

from auditkit.analysis.stock import content
from auditkit.kinds.rbac import AggregationRule, ClusterRole, RoleSelector, Rule


def effective_rules(roles: Iterable[ClusterRole]) -> dict[str, Sequence[Rule] | None]:
    """Name -> rules of every ClusterRole; None where a selector holds something that we do not know.

    A live cluster's aggregated roles carry their rules; only roles without any are computed: the union,
    without repeats, of the roles that any selector matches, directly or through another aggregated role
    (pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go).
    """
    found = list(roles)
    parts = {role.name: _parts(role, found) for role in found}
    return {role.name: role.rules or _union(role, parts) for role in found}


def _parts(role: ClusterRole, roles: Sequence[ClusterRole]) -> list[ClusterRole] | None:
    """The roles whose rules a controller would copy into this one; itself where its rules are given."""
    if role.rules or not role.aggregation_rule:
        return [role]
    answers = [(other, matches(role.aggregation_rule, other.labels)) for other in roles if other.name != role.name]
    return None if any(answer is None for _, answer in answers) else [other for other, answer in answers if answer]


def _union(role: ClusterRole, parts: Mapping[str, list[ClusterRole] | None]) -> list[Rule] | None:
    """The rules of everything that a role consists of, each once."""
    rules: dict[object, Rule] = {}
    seen, waiting = {role.name}, [role]
    while waiting:
        one = waiting.pop()
        consists = parts[one.name]
        if consists is None:
            return None
        if any(part is one for part in consists):
            rules.update((content(rule), rule) for rule in one.rules or ())
        new = [part for part in consists if part.name not in seen]
        seen.update(part.name for part in new)
        waiting += new
    return list(rules.values())


def matches(aggregation: AggregationRule, labels: Mapping[str, str]) -> bool | None:
    """Whether any selector matches these labels; None where only one with an unknown member could."""
    answers = [_selects(selector, labels) for selector in aggregation.cluster_role_selectors or ()]
    return True if True in answers else (None if None in answers or aggregation.unknown else False)


def _selects(selector: RoleSelector, labels: Mapping[str, str]) -> bool | None:
    unknown = bool(selector.unknown)
    if any(labels.get(key) != value for key, value in (selector.match_labels or {}).items()):
        return False
    for requirement in selector.match_expressions or ():
        has, value, values = requirement.key in labels, labels.get(requirement.key), requirement.values or []
        match requirement.operator:
            case "In":
                holds = has and value in values
            case "NotIn":
                holds = value not in values
            case "Exists":
                holds = has
            case "DoesNotExist":
                holds = not has
            case _:
                unknown = True
                continue
        unknown |= bool(requirement.unknown)
        if not holds:
            return False
    return None if unknown else True
