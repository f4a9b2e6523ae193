"""Admission policies: what enforces, what only reports, what is excepted, and what the engines found."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from auditkit.analysis.selectors import every
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.admission import (
    ClusterImagePolicy,
    ClusterPolicyReport,
    ConstraintTemplate,
    GatekeeperConfig,
    KyvernoClusterPolicy,
    KyvernoPolicy,
    KyvernoRule,
    KyvernoSpec,
    MutatingAdmissionPolicy,
    MutatingAdmissionPolicyBinding,
    PolicyException,
    PolicyReport,
    ReportSummary,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
)
from auditkit.tables.namespaces import SYSTEM


@table(
    "admission_policies",
    kinds=(
        ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding,
        MutatingAdmissionPolicy,
        MutatingAdmissionPolicyBinding,
        KyvernoClusterPolicy,
        KyvernoPolicy,
        ConstraintTemplate,
        ClusterImagePolicy,
    ),
    key=("namespace", "kind", "name"),
)
class AdmissionPolicyRow:
    """One row per policy that decides about admission, and per binding that puts one in force.

    Of Gatekeeper the templates are read, not their constraints, which say whether they enforce.
    """

    namespace: Annotated[str, "Namespace; empty for what is cluster-scoped."]
    kind: Annotated[str, "Kind of the policy or binding."]
    name: Annotated[str, "Name."]
    engine: Annotated[str, "kubernetes, kyverno, gatekeeper or sigstore."]
    action: Annotated[str | None, "What it does with an object that violates it; `unbound` where it is not in force."]
    enforces: Annotated[bool | None, "Refuses (or changes) such objects; missing where the snapshot cannot tell."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        yield from _built_in(objects[ValidatingAdmissionPolicy], objects[ValidatingAdmissionPolicyBinding])
        yield from _built_in(objects[MutatingAdmissionPolicy], objects[MutatingAdmissionPolicyBinding])
        kyverno: list[KyvernoClusterPolicy | KyvernoPolicy] = [*objects[KyvernoClusterPolicy], *objects[KyvernoPolicy]]
        for policy in kyverno:
            actions = sorted(set(_kyverno_actions(policy.spec or KyvernoSpec())))
            action = ", ".join(actions) or None
            yield (policy.namespace, policy.kind, policy.name, "kyverno", action, _all_enforce(actions))
        for template in objects[ConstraintTemplate]:
            yield ("", template.kind, template.name, "gatekeeper", None, None)
        for image in objects[ClusterImagePolicy]:
            mode = (image.spec and image.spec.mode) or "enforce"
            yield ("", image.kind, image.name, "sigstore", mode, {"enforce": True, "warn": False}.get(mode))


def _built_in(policies: Sequence[Any], bindings: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
    """Rows of policies and bindings of one of the two built-in kinds.

    A policy without a binding has no effect, nor has a binding without its policy; of a validating one only Deny
    refuses (admissionregistration/v1 ValidationAction).
    """
    existing = {policy.name for policy in policies}
    actions: dict[str, set[str]] = {name: set() for name in existing}
    for binding in bindings:
        named = binding.spec.policy_name if binding.spec else None
        mutating = isinstance(binding, MutatingAdmissionPolicyBinding)
        found = {"Mutate"} if mutating else set((binding.spec and binding.spec.validation_actions) or ())
        bound = named in existing
        if bound:
            actions[str(named)] |= found
        yield _effect(binding, found if bound else set())
    for policy in policies:
        yield _effect(policy, actions[policy.name])


def _effect(obj: Any, actions: set[str]) -> tuple[Any, ...]:
    action = ", ".join(sorted(actions)) or "unbound"
    return ("", obj.kind, obj.name, "kubernetes", action, bool(actions & {"Deny", "Mutate"}))


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


@table("policy_exceptions", kinds=(PolicyException, GatekeeperConfig), key=("namespace", "kind", "name"))
class PolicyExceptionRow:
    """One row per object that takes something out of a policy engine's reach.

    A Config of Gatekeeper is one where it excludes namespaces beside kube-* and its own. An end is
    read from an annotation DOMAIN/expires (or expires-at, expiry, valid-until) that begins with an ISO date.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "PolicyException or Config."]
    name: Annotated[str, "Name."]
    scope: Annotated[list[str], "Policies that are not applied, or namespaces that are left out."]
    expires: Annotated[datetime | None, "First moment at which it should hold no more; missing where none is set."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[PolicyException]:
            scope = sorted({excepted.policy_name for excepted in (one.spec and one.spec.exceptions) or ()})
            yield (one.namespace, one.kind, one.name, scope, _end(one.metadata.expires))
        for config in objects[GatekeeperConfig]:
            left = {n for m in (config.spec and config.spec.match) or () for n in m.excluded_namespaces or ()}
            others = sorted(left - SYSTEM - {"kube-*", config.namespace})
            if others:
                yield (config.namespace, config.kind, config.name, others, _end(config.metadata.expires))


def _end(day: str | None) -> datetime | None:
    """The end of a day in UTC; None where there is none or the calendar does not have it."""
    try:
        return datetime.fromisoformat(day).replace(tzinfo=UTC) + timedelta(days=1) if day else None
    except ValueError:
        return None


@table("policy_reports", kinds=(PolicyReport, ClusterPolicyReport), key=("namespace", "kind", "name"))
class PolicyReportRow:
    """One row per PolicyReport and ClusterPolicyReport: what policy engines found in objects that exist."""

    namespace: Annotated[str, "Namespace; empty for a ClusterPolicyReport."]
    kind: Annotated[str, "PolicyReport or ClusterPolicyReport."]
    name: Annotated[str, "Name of the report."]
    sources: Annotated[list[str], "Engines that wrote results."]
    passed: Annotated[int | None, "Results `pass`; missing where the report has neither summary nor results."]
    failed: Annotated[int | None, "Results `fail`."]
    warned: Annotated[int | None, "Results `warn`."]
    errors: Annotated[int | None, "Results `error`: the policy could not be evaluated."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        reports: list[PolicyReport | ClusterPolicyReport] = [*objects[PolicyReport], *objects[ClusterPolicyReport]]
        for report in reports:
            sources = sorted({result.source for result in report.results or () if result.source})
            yield (report.namespace, report.kind, report.name, sources, *_counts(report))


def _counts(report: PolicyReport | ClusterPolicyReport) -> tuple[int | None, ...]:
    """Pass, fail, warn and error: the larger of summary and results, which an engine may cut short."""
    if report.summary is None and report.results is None:
        return (None,) * 4
    summary, counted = report.summary or ReportSummary(), Counter(r.result for r in report.results or ())
    return (
        max(summary.passed or 0, counted["pass"]),
        max(summary.fail or 0, counted["fail"]),
        max(summary.warn or 0, counted["warn"]),
        max(summary.error or 0, counted["error"]),
    )
