"""ValidatingAdmissionPolicies, and the policies of Kyverno that are written like them, in one namespace."""

from collections.abc import Iterable

from auditkit.analysis.effects import CLUSTER_RESOURCES, Effect, by_action, reached, together
from auditkit.analysis.selectors import EVERYTHING, aim, every, matches, selects_all
from auditkit.analysis.webhooks import in_reach, labels_of
from auditkit.kinds.admission import AdmissionBindingSpec, AdmissionPolicySpec, AdmissionRule, MatchResources
from auditkit.kinds.platform import Namespace


def of_namespaces(rules: Iterable[AdmissionRule]) -> bool:
    """Whether a rule is about the making of objects of namespaces, or Namespaces themselves, under whatever name."""
    return any(
        not {"*", "CREATE"}.isdisjoint(rule.operations or ())
        and not rule.resource_names
        and {one.partition("/")[0] for one in rule.resources or () if one.partition("/")[2] in ("", "*")}
        - CLUSTER_RESOURCES
        and (rule.scope != "Cluster" or not {"*", "*/*", "namespaces"}.isdisjoint(rule.resources or ()))
        for rule in rules
    )


def aims(scopes: Iterable[MatchResources], namespace: Namespace) -> bool | None:
    """Whether the namespace is one of those that these are meant for, whatever they leave out."""
    return every(matches(aim(one.namespace_selector or EVERYTHING), labels_of(namespace)) for one in scopes)


def selects(scopes: Iterable[MatchResources], namespace: Namespace) -> bool | None:
    """Whether all of these select the namespace with all its objects; None where something decides object by object."""
    terms: list[bool | None] = []
    for scope in scopes:
        whole = selects_all(scope.object_selector or EVERYTHING) and not scope.exclude_resource_rules
        terms += [in_reach(scope, namespace), True if whole else None]
    return every(terms)


def by_binding(policy: AdmissionPolicySpec, binding: AdmissionBindingSpec, namespace: Namespace) -> Effect:
    """What a policy does by one of its bindings (apiserver, plugin/policy/validating/dispatcher.go).

    Deny refuses; Warn and Audit only tell. Match conditions, labels of objects and resources that are taken out decide
    object by object: None. So does a parameter that may be missing, unless that denies.
    """
    wanted, limited = policy.match_constraints or MatchResources(), binding.match_resources or MatchResources()
    if not of_namespaces(wanted.resource_rules or ()) or not (
        not limited.resource_rules or of_namespaces(limited.resource_rules)
    ):
        return "elsewhere"
    optional = binding.param_ref is not None and binding.param_ref.parameter_not_found_action != "Deny"
    open_ = bool(policy.match_conditions) or optional
    reach = every([selects((wanted, limited), namespace), None if open_ else True])
    effect = strongest(binding.validation_actions or ()) if policy.validations else "audited"
    return reached(effect, aimed=aims((wanted, limited), namespace), reach=reach)


def strongest(actions: Iterable[str]) -> Effect:
    """The effect of several actions of one policy."""
    return together(by_action(action) for action in actions)
