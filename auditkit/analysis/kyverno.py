"""Policies of Kyverno, and exceptions to them, in one namespace."""

from collections.abc import Callable, Iterable, Sequence

from auditkit.analysis.builtin import aims, of_namespaces, selects, strongest
from auditkit.analysis.effects import CLUSTER_WIDE, Effect, at_admission, by_action, listed, reached, together
from auditkit.analysis.selectors import EVERYTHING, aim, every, matches, selects_all, some
from auditkit.analysis.webhooks import labels_of
from auditkit.kinds.admission import MatchResources
from auditkit.kinds.platform import Namespace
from auditkit.kinds.pods import LabelSelector
from auditkit.kinds.policies import (
    ActionOverride,
    CelPolicyException,
    CelPolicySpec,
    KyvernoFilter,
    KyvernoMatch,
    KyvernoResources,
    KyvernoRule,
    KyvernoSpec,
    PolicyException,
)

Called = Callable[[Sequence[str]], bool | None]
# Kinds of which Kyverno's own list of filters takes all: what controllers write all the time, and what no policy is about.
_PLUMBING = frozenset({"Binding", "EphemeralReport", "Event", "ReplicaSet", "SubjectAccessReview", "UpdateRequest"})
Part = Callable[[LabelSelector], LabelSelector]


def effect(spec: KyvernoSpec, call: Called, namespace: Namespace) -> Effect:
    """What a policy's validate and verifyImages rules do in a namespace; those that mutate or generate refuse nothing.

    `call` says whether Kyverno's webhook is called for objects of some kinds. Where two rules differ in their action
    versions of Kyverno differ in which counts (engine/api/engineresponse.go GetValidationFailureAction): None.
    """
    scanned = spec.background is not False
    found: set[Effect] = set()
    for rule in spec.rules or ():
        about = kinds_of(rule.match)
        if not (rule.validate or rule.verify_images):
            continue
        if about and all(map(_cluster_wide, about)):
            continue
        action = by_action(_action(spec, rule, namespace))
        aimed = _matched(rule.match, namespace, aim) if rule.match else None
        done = reached(action, aimed=aimed, reach=_reach(rule, namespace))
        if done in ("enforced", "audited", None):
            asked = False if spec.admission is False else call([_kind(one) for one in about])
            done = at_admission(done, asked, scanned=scanned)
        found.add(done)
    return None if {"enforced", "audited"} <= found else together(found)


def cel_effect(spec: CelPolicySpec, call: Called, namespace: Namespace) -> Effect:
    """What a ValidatingPolicy or ImageValidatingPolicy does: Deny where no action is said (policies.kyverno.io v1)."""
    wanted, evaluation = spec.match_constraints or MatchResources(), spec.evaluation
    other = evaluation is not None and evaluation.mode not in (None, "Kubernetes")
    if other or not of_namespaces(wanted.resource_rules or ()):
        return "elsewhere"
    reach = every([selects((wanted,), namespace), None if spec.match_conditions else True])
    idle = evaluation is not None and evaluation.admission is not None and evaluation.admission.enabled is False
    unscanned = evaluation is not None and evaluation.background is not None and evaluation.background.enabled is False
    done = reached(strongest(spec.validation_actions or ("Deny",)), aimed=aims((wanted,), namespace), reach=reach)
    return at_admission(done, False if idle else call(()), scanned=not unscanned)


def _action(spec: KyvernoSpec, rule: KyvernoRule, namespace: Namespace) -> str | None:
    """A rule's action: the first override for the namespace, then what the rule says, then the policy; Audit by default."""
    own = rule.validate.failure_action if rule.validate else None
    verified = {one.failure_action for one in rule.verify_images or () if one.failure_action}
    if not rule.validate and len(verified) == 1:
        own = next(iter(verified))
    overrides = (rule.validate.failure_action_overrides if rule.validate else None) or ()
    said = [_override(one, namespace) for one in overrides]
    said += [own] if own else [_override(one, namespace) for one in spec.validation_failure_action_overrides or ()]
    return next(filter(None, said), spec.validation_failure_action or "Audit")


def _override(one: ActionOverride, namespace: Namespace) -> str | None:
    """The action of an override that holds for the namespace; `?`, which is none, where that is not understood."""
    named = True if not one.namespaces else listed(namespace.name, one.namespaces)
    selected = matches(one.namespace_selector, labels_of(namespace)) if one.namespace_selector else bool(one.namespaces)
    holds = every([named, selected, None if one.unknown else True])
    return one.action if holds else "?" if holds is None else None


def _reach(rule: KyvernoRule, namespace: Namespace) -> bool | None:
    """Whether a rule is applied to all objects of its kinds in the namespace; preconditions decide object by object."""
    taken_out = _matched(rule.exclude, namespace) if rule.exclude else False
    if taken_out and not _all_of(kinds_of(rule.match), kinds_of(rule.exclude)):
        taken_out = None
    conditional = bool(rule.preconditions) or bool(rule.cel_preconditions)
    matched = _matched(rule.match, namespace) if rule.match else None
    return every([matched, None if taken_out is None else not taken_out, None if conditional else True])


def _whole(selector: LabelSelector) -> LabelSelector:
    return selector


def _matched(match: KyvernoMatch, namespace: Namespace, part: Part = _whole) -> bool | None:
    """Whether a match takes all objects of its kinds in the namespace (engine/utils/match.go MatchesResourceDescription).

    Of selectors of namespaces only a `part` may be asked for, that which says what is meant.
    """
    if match.any:
        found = some(_filtered(one, namespace, part) for one in match.any)
    elif match.all:
        found = every(_filtered(one, namespace, part) for one in match.all)
    else:
        found = _filtered(match, namespace, part)
    return found if not match.unknown or found is False else None


def _filtered(one: KyvernoFilter, namespace: Namespace, part: Part) -> bool | None:
    what = one.resources or KyvernoResources()
    by_user = one.subjects or one.roles or one.cluster_roles
    by_object = what.name or what.names or what.annotations or not selects_all(what.selector or EVERYTHING)
    seldom = what.operations is not None and "CREATE" not in what.operations
    open_ = by_user or by_object or seldom or one.unknown or what.unknown
    return every(
        [
            not what.namespaces or listed(namespace.name, what.namespaces),
            matches(part(what.namespace_selector or EVERYTHING), labels_of(namespace)),
            None if open_ else True,
        ]
    )


def kinds_of(match: KyvernoMatch | None) -> list[str]:
    """The kinds that a match names, as written (`Pod`, `apps/v1/Deployment`); empty where it is about all."""
    parts = [match, *(match.any or ()), *(match.all or ())] if match else []
    found = [kind for one in parts for kind in (one.resources and one.resources.kinds) or ()]
    return [] if "*" in found else found


def _kind(written: str) -> str:
    """The kind of GROUP/VERSION/KIND/SUBRESOURCE, of which only KIND must be there."""
    return next((part for part in written.replace(".", "/").split("/") if part[:1].isupper()), written)


def _cluster_wide(written: str) -> bool:
    return _kind(written) in CLUSTER_WIDE


def _all_of(about: Sequence[str], named: Sequence[str]) -> bool:
    """Whether all kinds that a rule is about are among those that an exclusion names."""
    return not named or (bool(about) and {_kind(one) for one in about} <= {_kind(one) for one in named})


def left_out(filters: Iterable[str], about: Sequence[str], namespace: str) -> bool | None:
    """Whether the resourceFilters of Kyverno's ConfigMap take all objects of these kinds (none: any) in a namespace.

    None where they take a part: some of the kinds, or objects by name. (pkg/config, ToFilter; the scans of its
    reports controller do not heed them: flag skipResourceFilters.)
    """
    kinds = {_kind(one) for one in about} - {"*"}
    taken, parts = set[str](), False
    for kind, where, name in filter(None, map(_filter, filters)):
        named = {one for one in kinds if listed(one, [kind])}
        if not listed(namespace, [where]) or (kinds and not named):
            continue
        if kind == "*" and name == "*":
            return True
        if name == "*":
            taken |= named
        parts = parts or not (kind in _PLUMBING or _cluster_wide(kind))
    return True if kinds and taken == kinds else None if parts else False


def _filter(text: str) -> tuple[str, str, str] | None:
    """Kind, namespace and name of a filter; None of one that is about a subresource, or about objects without a namespace."""
    selector, where, name = (*text.split(","), "", "")[:3]
    *before, kind = selector.split("/")
    if not where or any(part[:1].isupper() for part in before) or (kind[:1].islower() and before):
        return None
    return kind, where, name


def excepted(
    policy: str, spec: KyvernoSpec, exceptions: Iterable[PolicyException], namespace: Namespace
) -> list[tuple[str, bool]]:
    """The exceptions to a policy (NAME, or NAMESPACE/NAME) that hold in a namespace, and whether they take all of it out.

    One that names rules, objects or conditions takes out a part; whether Kyverno heeds exceptions at all is a flag of
    its own, which is not read: it is taken to.
    """
    rules = {rule.name: kinds_of(rule.match) for rule in spec.rules or () if rule.validate or rule.verify_images}
    found = []
    for one in exceptions:
        named = [e for e in (one.spec and one.spec.exceptions) or () if listed(policy, [e.policy_name])]
        if not named or one.spec is None or one.spec.match is None:
            continue
        taken = _matched(one.spec.match, namespace)
        patterns = [pattern for e in named for pattern in e.rule_names or ()]
        about = kinds_of(one.spec.match)
        whole = all(listed(name, patterns) and _all_of(kinds, about) for name, kinds in rules.items())
        narrowed = one.spec.conditions or one.spec.pod_security or not whole
        if taken is not False:
            found.append((f"{one.namespace}/{one.name}", taken is True and not narrowed))
    return found


def cel_excepted(kind: str, name: str, exceptions: Iterable[CelPolicyException]) -> list[tuple[str, bool]]:
    """The exceptions to a policy of policies.kyverno.io, and whether they take out all objects: without a condition."""
    return [
        (f"{one.namespace}/{one.name}", not one.spec.match_conditions)
        for one in exceptions
        if one.spec and any(ref.name == name and ref.kind in ("", kind) for ref in one.spec.policy_refs or ())
    ]
