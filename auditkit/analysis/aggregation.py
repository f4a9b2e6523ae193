"""The rules of aggregated ClusterRoles, as the controller computes them where a manifest leaves them to it."""

from collections.abc import Iterable, Mapping, Sequence

from auditkit.analysis import selectors
from auditkit.analysis.stock import content
from auditkit.kinds.rbac import AggregationRule, ClusterRole, Rule


def effective_rules(roles: Iterable[ClusterRole]) -> dict[str, tuple[Sequence[Rule], bool]]:
    """Name -> rules of every ClusterRole, and whether these are all: not where a selector holds what we do not know.

    A live cluster's aggregated roles carry their rules; only roles without any are computed: the union,
    without repeats, of the roles that any selector matches, directly or through another aggregated role
    (pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go).
    """
    found = list(roles)
    parts = {role.name: _parts(role, found) for role in found}
    return {role.name: (role.rules, True) if role.rules else _union(role, parts) for role in found}


# The roles whose rules make one up, and whether these are all.
Parts = tuple[list[ClusterRole], bool]


def _parts(role: ClusterRole, roles: Sequence[ClusterRole]) -> Parts:
    """The roles whose rules a controller would copy into this one; itself where its rules are given."""
    if role.rules or not role.aggregation_rule:
        return [role], True
    answers = [(other, matches(role.aggregation_rule, other.labels)) for other in roles if other.name != role.name]
    return [other for other, answer in answers if answer], all(answer is not None for _, answer in answers)


def _union(role: ClusterRole, parts: Mapping[str, Parts]) -> tuple[list[Rule], bool]:
    """The rules of everything that a role consists of, each once."""
    rules: dict[object, Rule] = {}
    whole, seen, waiting = True, {role.name}, [role]
    while waiting:
        one = waiting.pop()
        consists, known = parts[one.name]
        whole &= known
        if any(part is one for part in consists):
            rules.update((content(rule), rule) for rule in one.rules or ())
        new = [part for part in consists if part.name not in seen]
        seen.update(part.name for part in new)
        waiting += new
    return list(rules.values()), whole


def matches(aggregation: AggregationRule, labels: Mapping[str, str]) -> bool | None:
    """Whether any selector matches these labels; None where only one with an unknown member could."""
    answers = [selectors.matches(selector, labels) for selector in aggregation.cluster_role_selectors or ()]
    return selectors.some([*answers, *(None for _ in aggregation.unknown)])
