"""For what an admission webhook is called: engines, rules and selectors, as the API server reads them."""

from collections.abc import Mapping

from auditkit.analysis.selectors import EVERYTHING, matches, selects_all, some
from auditkit.kinds.admission import AdmissionRule, MatchResources, Webhook
from auditkit.kinds.platform import Namespace

# Policy engines by what the namespace or name of their webhook's Service begins with.
ENGINES: Mapping[str, str] = {
    "kyverno": "kyverno",
    "gatekeeper": "gatekeeper",
    "kubewarden": "kubewarden",
    "cosign-system": "sigstore",
    "jspolicy": "jspolicy",
    "connaisseur": "connaisseur",
    "portieris": "portieris",
    "neuvector": "neuvector",
}


def engine_of(hook: Webhook) -> str | None:
    """The policy engine that a webhook calls; None where it is none that is known."""
    called = hook.client_config.service if hook.client_config else None
    names = (called.namespace, called.name) if called else ()
    return next((engine for start, engine in ENGINES.items() if any(n.startswith(start) for n in names)), None)


def creates_pods(rules: list[AdmissionRule] | None) -> bool:
    """Whether a rule matches the creation of a Pod (apiserver, plugin/webhook/predicates/rules)."""
    return covers(rules, "CREATE", "", "pods")


def covers(rules: list[AdmissionRule] | None, operation: str, group: str | None, resource: str) -> bool:
    """Whether a rule matches an operation on a resource of namespaces, `pods` or `pods/exec`; a group None is any.

    A rule that is limited to names of objects matches none of others. A resource without a subresource is not its subresources; `*/*` and `pods/*` are both (apiserver,
    plugin/webhook/predicates/rules). Objects of the kind Namespace are of the scope Cluster.
    """
    wanted, _, sub = resource.partition("/")

    def has(values: list[str] | None, value: str) -> bool:
        return not {"*", value}.isdisjoint(values or ())

    def named(one: str) -> bool:
        plural, _, part = one.partition("/")
        return plural in ("*", wanted) and part in ("*", sub)

    return any(
        has(rule.operations, operation)
        and not rule.resource_names
        and (group is None or has(rule.api_groups, group))
        and (group != "" or has(rule.api_versions, "v1"))
        and any(map(named, rule.resources or ()))
        and rule.scope != ("Namespaced" if wanted == "namespaces" else "Cluster")
        for rule in rules or ()
    )


def labels_of(namespace: Namespace) -> Mapping[str, str]:
    """The labels with the one that the API server sets on every Namespace."""
    found = namespace.labels
    if found.get("kubernetes.io/metadata.name") == namespace.name:
        return found
    return {**found, "kubernetes.io/metadata.name": namespace.name}


def in_reach(scope: Webhook | MatchResources, namespace: Namespace) -> bool | None:
    """Whether a webhook or policy selects a namespace; None where its selector is not understood."""
    return matches(scope.namespace_selector or EVERYTHING, labels_of(namespace))


def skips_objects(hook: Webhook) -> bool | None:
    """Whether a webhook leaves out objects by their labels; None where expressions, which are not evaluated, decide."""
    whole = selects_all(hook.object_selector or EVERYTHING)
    return some([None if whole is None else not whole, None if hook.match_conditions else False])
