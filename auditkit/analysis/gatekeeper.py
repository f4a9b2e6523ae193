"""Constraints of Gatekeeper in one namespace."""

from collections.abc import Iterable

from auditkit.analysis.effects import CLUSTER_WIDE, Effect, by_action, listed, reached
from auditkit.analysis.selectors import EVERYTHING, aim, every, matches, selects_all
from auditkit.analysis.webhooks import labels_of
from auditkit.kinds.platform import Namespace
from auditkit.kinds.policies import Constraint, ConstraintMatch, ConstraintSpec, GatekeeperConfig

# Where an object is refused: Gatekeeper's webhook, and the ValidatingAdmissionPolicies that it makes.
_AT_ADMISSION = frozenset({"*", "validation.gatekeeper.sh", "vap.k8s.io"})


def action_of(spec: ConstraintSpec) -> str:
    """What a constraint does at admission: deny where nothing is said; of scoped actions the strongest there.

    frameworks, constraint/pkg/apis/constraints: GetEnforcementAction, GetEnforcementActionsForEP. Where no action is
    scoped to admission only the audit looks at objects: dryrun.
    """
    action = spec.enforcement_action
    if action is None or action.lower() != "scoped":
        return action or "deny"
    scoped = [
        one.action or ""
        for one in spec.scoped_enforcement_actions or ()
        if not _AT_ADMISSION.isdisjoint(point.name for point in one.enforcement_points or ())
    ]
    return next((word for word in ("deny", "warn", *scoped) if word in scoped), "dryrun")


def kinds_of(match: ConstraintMatch) -> list[str]:
    """The kinds that a constraint is about; empty where it is about all."""
    if any(not one.kinds or "*" in one.kinds for one in match.kinds or ()):
        return []
    return [kind for one in match.kinds or () for kind in one.kinds or ()]


def effect(constraint: Constraint, namespace: Namespace) -> Effect:
    """What a constraint does in a namespace, where it is asked (gatekeeper, pkg/mutation/match/match.go Matches).

    A selector of labels or a name decides object by object: None.
    """
    spec = constraint.spec or ConstraintSpec()
    match = spec.match or ConstraintMatch()
    about = kinds_of(match)
    # A scope that is neither of the two words is no limit.
    never = match.scope == "Cluster" and about and "Namespace" not in about
    if never or (about and set(about) <= CLUSTER_WIDE) or (match.scope == "Namespaced" and about == ["Namespace"]):
        return "elsewhere"
    named = not match.namespaces or listed(namespace.name, match.namespaces)
    aimed = every([named, matches(aim(match.namespace_selector or EVERYTHING), labels_of(namespace))])
    return reached(by_action(action_of(spec)), aimed=aimed, reach=every([named, _kept(match, namespace)]))


def _kept(match: ConstraintMatch, namespace: Namespace) -> bool | None:
    """Whether a match leaves out nothing of the namespace. `source` tells objects from those expanded of them."""
    single = bool(match.name) or match.source == "Generated" or bool(match.unknown)
    return every(
        [
            not listed(namespace.name, match.excluded_namespaces or ()),
            matches(match.namespace_selector or EVERYTHING, labels_of(namespace)),
            True if selects_all(match.label_selector or EVERYTHING) and not single else None,
        ]
    )


def excluded(configs: Iterable[GatekeeperConfig], process: str) -> set[str]:
    """The namespaces that a Config takes from a process, `webhook` or `audit`; `*` stands at either end of a name."""
    return {
        pattern
        for config in configs
        for m in (config.spec and config.spec.match) or ()
        if not {"*", process}.isdisjoint(m.processes or ())
        for pattern in m.excluded_namespaces or ()
    }


def about_pods(constraint: Constraint) -> bool:
    about = kinds_of((constraint.spec and constraint.spec.match) or ConstraintMatch())
    return not about or "Pod" in about
