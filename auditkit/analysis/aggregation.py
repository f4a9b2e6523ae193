"""The rules of aggregated ClusterRoles, as the controller computes them where a manifest leaves them to it."""

from collections.abc import Iterable, Mapping, Sequence

from auditkit.analysis import selectors
from auditkit.analysis.stock import content
from auditkit.kinds.rbac import AggregationRule, ClusterRole, Rule


def effective_rules(roles: Iterable[ClusterRole]) -> dict[str, tuple[Sequence[Rule], bool]]:
    """Name -> rules of every ClusterRole, and whether these are all: not where a selector holds what we do not know.

    A live cluster's aggregated roles carry their rules; only those without any, and those of manifests, are computed: the
    union, without repeats, of the roles that any selector matches, directly or through another aggregated role
    (pkg/controller/clusterroleaggregation/clusterroleaggregation_controller.go). What a manifest says beside its
    selectors the controller takes away, unless it comes of a cluster that these manifests do not show whole: it counts.
    """
    found = list(roles)
    parts = {role.name: _parts(role, found) for role in found}
    return {role.name: (role.rules or [], True) if _written(role) else _union(role, parts) for role in found}


def _written(role: ClusterRole) -> bool:
    """Whether the rules of a role are those it has: it collects none, or a server (who gives the uid) shows what it did."""
    return not role.aggregation_rule or bool(role.rules and role.metadata.uid)


# The roles whose rules make one up, and whether these are all.
Parts = tuple[list[ClusterRole], bool]


def _parts(role: ClusterRole, roles: Sequence[ClusterRole]) -> Parts:
    """The roles whose rules a controller would copy into this one, and itself."""
    if not role.aggregation_rule or _written(role):
        return [role], True
    answers = [(other, matches(role.aggregation_rule, other.labels)) for other in roles if other.name != role.name]
    return [role, *(other for other, answer in answers if answer)], all(answer is not None for _, answer in answers)


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
