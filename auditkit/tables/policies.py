"""Admission policies: what enforces, what only reports, what is excepted, and what the engines found."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from auditkit.analysis.effects import by_action
from auditkit.analysis.gatekeeper import action_of
from auditkit.analysis.selectors import EVERYTHING, every, some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.admission import (
    AdmissionPolicySpec,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from auditkit.kinds.policies import (
    CelPolicy,
    CelPolicyException,
    ClusterImagePolicy,
    Constraint,
    ConstraintSpec,
    ConstraintTemplate,
    GatekeeperConfig,
    ImageValidatingPolicy,
    KyvernoClusterPolicy,
    KyvernoPolicy,
    KyvernoRule,
    KyvernoSpec,
    NamespacedImageValidatingPolicy,
    NamespacedValidatingPolicy,
    PolicyException,
    ValidatingPolicy,
)
from auditkit.tables.namespaces import SYSTEM

BUILT_IN = (
    (ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding),
    (MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding),
)
KYVERNO = (KyvernoClusterPolicy, KyvernoPolicy)
CEL = (ValidatingPolicy, NamespacedValidatingPolicy, ImageValidatingPolicy, NamespacedImageValidatingPolicy)


@table(
    "admission_policies",
    kinds=(
        *(kind for pair in BUILT_IN for kind in pair),
        *KYVERNO,
        *CEL,
        ConstraintTemplate,
        Constraint,
        ClusterImagePolicy,
    ),
    key=("namespace", "kind", "name"),
)
class AdmissionPolicyRow:
    """One row per policy that decides about admission, and per binding or constraint that puts one in force.

    Where in the cluster it does is in `enforcement`.
    """

    namespace: Annotated[str, "Namespace; empty for what is cluster-scoped."]
    kind: Annotated[str, "Kind of the policy or binding."]
    name: Annotated[str, "Name."]
    engine: Annotated[str, "kubernetes, kyverno, gatekeeper or sigstore."]
    action: Annotated[str | None, "What it does with an object that violates it; `unbound` where it is not in force."]
    enforces: Annotated[bool | None, "Refuses (or changes) such objects; missing where the snapshot cannot tell."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for policy_kind, binding_kind in BUILT_IN:
            yield from _built_in(objects[policy_kind], objects[binding_kind])
        kyverno: list[KyvernoClusterPolicy | KyvernoPolicy] = [*objects[KyvernoClusterPolicy], *objects[KyvernoPolicy]]
        for policy in kyverno:
            actions = sorted(set(_kyverno_actions(policy.spec or KyvernoSpec())))
            action = ", ".join(actions) or None
            yield (policy.namespace, policy.kind, policy.name, "kyverno", action, _all_enforce(actions))
        yield from _gatekeeper(objects[ConstraintTemplate], objects[Constraint])
        for cel in cel_policies(objects):
            said, how = set((cel.spec and cel.spec.validation_actions) or ("Deny",)), cel.spec and cel.spec.evaluation
            # Of other documents than a cluster's objects it decides nothing here.
            if how and how.mode not in (None, "Kubernetes"):
                continue
            idle = bool(how and how.admission and how.admission.enabled is False)
            action = ", ".join(sorted(said | ({"Background"} if idle else set())))
            yield (cel.namespace, cel.kind, cel.name, "kyverno", action, "Deny" in said and not idle)
        for image in objects[ClusterImagePolicy]:
            mode = (image.spec and image.spec.mode) or "enforce"
            yield ("", image.kind, image.name, "sigstore", mode, {"enforce": True, "warn": False}.get(mode))


def cel_policies(objects: Objects) -> Iterator[CelPolicy]:
    yield from objects[ValidatingPolicy]
    yield from objects[NamespacedValidatingPolicy]
    yield from objects[ImageValidatingPolicy]
    yield from objects[NamespacedImageValidatingPolicy]


def _built_in(policies: Sequence[Any], bindings: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of policies and bindings of one of the two built-in kinds.

    A policy without a binding has no effect, nor has a binding without its policy; of a validating one only Deny
    refuses (admissionregistration/v1 ValidationAction), and one without validations writes to the audit log alone.
    """
    existing = {policy.name: policy.spec for policy in policies}
    actions: dict[str, set[str]] = {name: set() for name in existing}
    for binding in bindings:
        named = binding.spec.policy_name if binding.spec else None
        mutating = isinstance(binding, MutatingAdmissionPolicyBinding)
        found = {"Mutate"} if mutating else set((binding.spec and binding.spec.validation_actions) or ())
        bound = named in existing
        if bound:
            actions[str(named)] |= found
        yield _effect(binding, found if bound else set(), existing.get(named))
    for policy in policies:
        yield _effect(policy, actions[policy.name], policy.spec)


def _effect(obj: Any, actions: set[str], spec: AdmissionPolicySpec | None) -> tuple[Any, ...]:
    action = ", ".join(sorted(actions)) or "unbound"
    refuses = "Mutate" in actions or ("Deny" in actions and bool(spec and spec.validations))
    return ("", obj.kind, obj.name, "kubernetes", action, refuses)


def _gatekeeper(
    templates: Sequence[ConstraintTemplate], constraints: Sequence[Constraint]
) -> Iterator[tuple[Any, ...]]:
    """Rows of constraints, and of templates: one without a constraint has no effect."""
    actions: dict[str, set[str]] = defaultdict(set)
    for one in constraints:
        action = action_of(one.spec or ConstraintSpec())
        actions[one.made.lower()].add(action)
        yield ("", one.made, one.metadata.name, "gatekeeper", action, _refuses([action]))
    for template in templates:
        # The name of a template is that of its kind in lower case (gatekeeper refuses others).
        found = sorted(actions[template.name])
        action = ", ".join(found) or "unbound"
        yield ("", template.kind, template.name, "gatekeeper", action, _refuses(found))


def _refuses(actions: Sequence[str]) -> bool | None:
    return some(None if (effect := by_action(action)) is None else effect == "enforced" for action in actions)


def _kyverno_actions(spec: KyvernoSpec) -> Iterator[str]:
    """What each rule does, and each override for some namespaces; Audit where nothing is said (kyverno.io/v1 Spec)."""
    if spec.admission is False:
        yield "Background"
    default = spec.validation_failure_action or "Audit"
    yield from (str(one.action).capitalize() for one in spec.validation_failure_action_overrides or ())
    for rule in spec.rules or ():
        yield from (one.capitalize() for one in _rule_actions(rule, default))


def _rule_actions(rule: KyvernoRule, default: str) -> Iterator[str]:
    if rule.validate:
        yield rule.validate.failure_action or default
        yield from (str(one.action) for one in rule.validate.failure_action_overrides or ())
    for verify in rule.verify_images or ():
        yield verify.failure_action or default
    if rule.mutate:
        yield "Mutate"
    if rule.generate:
        yield "Generate"


def _all_enforce(actions: Sequence[str]) -> bool | None:
    if not actions:
        return None
    known = {
        "Enforce": True,
        "Mutate": True,
        "Generate": True,
        "Audit": False,
        "Background": False,
    }
    return every(known.get(action) for action in actions)


@table(
    "policy_exceptions",
    kinds=(PolicyException, CelPolicyException, ValidatingAdmissionPolicyBinding, GatekeeperConfig),
    key=("group", "namespace", "kind", "name"),
)
class PolicyExceptionRow:
    """One row per object that takes something out of a policy engine's reach.

    A Config of Gatekeeper is one where it excludes namespaces beside kube-* and its own; a binding of a
    ValidatingAdmissionPolicy one where its selector leaves namespaces out by name. An end is
    read from an annotation DOMAIN/expires (or expires-at, expiry, valid-until) that begins with an ISO date.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "PolicyException, Config or ValidatingAdmissionPolicyBinding."]
    name: Annotated[str, "Name."]
    group: Annotated[str, "API group of the object."]
    scope: Annotated[list[str], "Policies that are not applied, or namespaces that are left out."]
    tells: Annotated[
        list[str],
        "`reason` where an annotation such as DOMAIN/reason or DOMAIN/ticket is there, `owner` where DOMAIN/owner or "
        "DOMAIN/approved-by is.",
    ]
    expires: Annotated[datetime | None, "First moment at which it should hold no more; missing where none is set."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[PolicyException]:
            scope = sorted({excepted.policy_name for excepted in (one.spec and one.spec.exceptions) or ()})
            yield (one.namespace, one.kind, one.name, "kyverno.io", scope, *_told(one))
        for cel in objects[CelPolicyException]:
            scope = sorted({ref.name for ref in (cel.spec and cel.spec.policy_refs) or ()})
            yield (cel.namespace, cel.kind, cel.name, "policies.kyverno.io", scope, *_told(cel))
        for binding in objects[ValidatingAdmissionPolicyBinding]:
            if by_name := sorted(_left_out(binding) - SYSTEM):
                yield ("", binding.kind, binding.name, "admissionregistration.k8s.io", by_name, *_told(binding))
        for config in objects[GatekeeperConfig]:
            left = {n for m in (config.spec and config.spec.match) or () for n in m.excluded_namespaces or ()}
            others = sorted(left - SYSTEM - {"kube-*", config.namespace})
            if others:
                yield (config.namespace, config.kind, config.name, "config.gatekeeper.sh", others, *_told(config))


Excepting = PolicyException | CelPolicyException | ValidatingAdmissionPolicyBinding | GatekeeperConfig


def _told(one: Excepting) -> tuple[list[str], datetime | None]:
    """The columns `tells` and `expires`."""
    return one.metadata.tells or [], _end(one.metadata.expires)


def _left_out(binding: ValidatingAdmissionPolicyBinding) -> set[str]:
    """The namespaces that a binding's selector takes out by the label with their name."""
    limited = binding.spec and binding.spec.match_resources
    selector = (limited and limited.namespace_selector) or EVERYTHING
    return {
        name
        for one in selector.match_expressions or ()
        if one.key == "kubernetes.io/metadata.name" and one.operator == "NotIn"
        for name in one.values or ()
    }


def _end(day: str | None) -> datetime | None:
    """The end of a day in UTC; None where there is none or the calendar does not have it."""
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1) if day else None
    except (ValueError, OverflowError):
        return None
