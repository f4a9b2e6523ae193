"""What decides whether an object may enter the cluster: webhooks, admission policies, policy engines and their reports."""

import re
from urllib.parse import urlsplit

import msgspec

from auditkit.kinds.base import Closed, Kind, ObjectMeta, Present, Struct
from auditkit.kinds.certificates import bundle
from auditkit.kinds.pods import LabelSelector


class ServiceReference(Struct):
    namespace: str = ""
    name: str = ""
    port: int | None = None


class ClientConfig(Struct):
    """Where a webhook is called: of a URL only the host, of the CA bundle only its public certificates (PEM)."""

    service: ServiceReference | None = None
    url: str | None = None
    ca_bundle: str | None = None
    unreadable: int = 0

    def __post_init__(self) -> None:
        if self.url and "://" in self.url:
            self.url = urlsplit(self.url).hostname or ""
        self.ca_bundle, self.unreadable = bundle(self.ca_bundle, self.unreadable)


class AdmissionRule(Struct):
    operations: list[str] | None = None
    api_groups: list[str] | None = None
    api_versions: list[str] | None = None
    resources: list[str] | None = None
    scope: str | None = None


class Webhook(Struct):
    name: str = ""
    client_config: ClientConfig | None = None
    failure_policy: str | None = None
    match_policy: str | None = None
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    match_conditions: list[Present] | None = None
    rules: list[AdmissionRule] | None = None
    timeout_seconds: int | None = None
    side_effects: str | None = None
    reinvocation_policy: str | None = None


class ValidatingWebhookConfiguration(Kind):
    group, plural = "admissionregistration.k8s.io", "validatingwebhookconfigurations"
    kind, namespaced = "ValidatingWebhookConfiguration", False
    webhooks: list[Webhook] | None = None


class MutatingWebhookConfiguration(Kind):
    group, plural = "admissionregistration.k8s.io", "mutatingwebhookconfigurations"
    kind, namespaced = "MutatingWebhookConfiguration", False
    webhooks: list[Webhook] | None = None


class MatchResources(Struct):
    namespace_selector: LabelSelector | None = None
    object_selector: LabelSelector | None = None
    resource_rules: list[AdmissionRule] | None = None
    exclude_resource_rules: list[Present] | None = None


class AdmissionPolicySpec(Struct):
    failure_policy: str | None = None
    match_constraints: MatchResources | None = None
    match_conditions: list[Present] | None = None
    param_kind: Present | None = None
    validations: list[Present] | None = None
    mutations: list[Present] | None = None


class AdmissionBindingSpec(Struct):
    policy_name: str | None = None
    validation_actions: list[str] | None = None
    match_resources: MatchResources | None = None
    param_ref: Present | None = None


class ValidatingAdmissionPolicy(Kind):
    group, plural = "admissionregistration.k8s.io", "validatingadmissionpolicies"
    kind, versions, namespaced = "ValidatingAdmissionPolicy", ("v1", "v1beta1"), False
    spec: AdmissionPolicySpec | None = None


class ValidatingAdmissionPolicyBinding(Kind):
    group, plural = "admissionregistration.k8s.io", "validatingadmissionpolicybindings"
    kind, versions, namespaced = "ValidatingAdmissionPolicyBinding", ("v1", "v1beta1"), False
    spec: AdmissionBindingSpec | None = None


class MutatingAdmissionPolicy(Kind):
    group, plural = "admissionregistration.k8s.io", "mutatingadmissionpolicies"
    kind, versions, namespaced = "MutatingAdmissionPolicy", ("v1", "v1beta1", "v1alpha1"), False
    spec: AdmissionPolicySpec | None = None


class MutatingAdmissionPolicyBinding(Kind):
    group, plural = "admissionregistration.k8s.io", "mutatingadmissionpolicybindings"
    kind, versions, namespaced = "MutatingAdmissionPolicyBinding", ("v1", "v1beta1", "v1alpha1"), False
    spec: AdmissionBindingSpec | None = None


class ActionOverride(Struct):
    action: str | None = None
    namespaces: list[str] | None = None


class KyvernoValidate(Struct):
    failure_action: str | None = None
    failure_action_overrides: list[ActionOverride] | None = None


class KyvernoVerify(Struct):
    failure_action: str | None = None


class KyvernoRule(Struct):
    name: str = ""
    validate: KyvernoValidate | None = None
    mutate: Present | None = None
    generate: Present | None = None
    verify_images: list[KyvernoVerify] | None = None


class KyvernoSpec(Struct):
    admission: bool | None = None
    background: bool | None = None
    failure_policy: str | None = None
    validation_failure_action: str | None = None
    validation_failure_action_overrides: list[ActionOverride] | None = None
    rules: list[KyvernoRule] | None = None


class KyvernoClusterPolicy(Kind):
    group, plural, kind, namespaced = "kyverno.io", "clusterpolicies", "ClusterPolicy", False
    spec: KyvernoSpec | None = None


class KyvernoPolicy(Kind):
    group, plural, kind = "kyverno.io", "policies", "Policy"
    spec: KyvernoSpec | None = None


_EXPIRY = re.compile(r"[^/]+/(expires|expires-at|expiry|valid-until)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class ExceptionMeta(ObjectMeta):
    """metadata of an exception; `expires` is the ISO date of an annotation DOMAIN/expires, judged at capture."""

    expires: str | None = None

    def __post_init__(self) -> None:
        for name, value in sorted((self.annotations or {}).items()):
            if _EXPIRY.fullmatch(name) and _DATE.match(value):
                self.expires = value[:10]
        super().__post_init__()


class ExceptedPolicy(Struct):
    policy_name: str = ""
    rule_names: list[str] | None = None


class PolicyExceptionSpec(Struct):
    exceptions: list[ExceptedPolicy] | None = None


class PolicyException(Kind):
    group, plural, kind, versions = "kyverno.io", "policyexceptions", "PolicyException", ("v2", "v2beta1")
    metadata: ExceptionMeta
    spec: PolicyExceptionSpec | None = None


class TemplateNames(Struct):
    kind: str = ""


class TemplateCRDSpec(Struct):
    names: TemplateNames | None = None


class TemplateCRD(Struct):
    spec: TemplateCRDSpec | None = None


class ConstraintTemplateSpec(Struct):
    crd: TemplateCRD | None = None


class ConstraintTemplate(Kind):
    group, plural, kind = "templates.gatekeeper.sh", "constrainttemplates", "ConstraintTemplate"
    versions, namespaced = ("v1", "v1beta1"), False
    spec: ConstraintTemplateSpec | None = None


class ConstraintKinds(Struct):
    api_groups: list[str] | None = None
    kinds: list[str] | None = None


class ConstraintMatch(Closed):
    kinds: list[ConstraintKinds] | None = None
    scope: str | None = None
    namespaces: list[str] | None = None
    excluded_namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None
    label_selector: LabelSelector | None = None
    name: str | None = None
    source: str | None = None


class EnforcementPoint(Struct):
    name: str = ""


class ScopedAction(Struct):
    action: str | None = None
    enforcement_points: list[EnforcementPoint] | None = None


class ConstraintParameters(Struct):
    """Of the parameters, which a template defines as it likes, the one that the stock K8sAllowedRepos has."""

    repos: list[str] | None = None


class ConstraintSpec(Struct):
    enforcement_action: str | None = None
    scoped_enforcement_actions: list[ScopedAction] | None = None
    match: ConstraintMatch | None = None
    parameters: ConstraintParameters | None = None


class Violation(Struct):
    """An object that the audit found, without the message."""

    group: str = ""
    kind: str = ""
    namespace: str | None = None
    name: str = ""
    enforcement_action: str | None = None


class ConstraintStatus(Struct):
    audit_timestamp: str | None = None
    total_violations: int | None = None
    violations: list[Violation] | None = None


class Constraint(Kind):
    """A constraint of any of the kinds that ConstraintTemplates make: each is a resource of this group, `made` its kind."""

    group, plural, kind = "constraints.gatekeeper.sh", "*", "Constraint"
    versions, namespaced = ("v1beta1", "v1alpha1"), False
    made: str = msgspec.field(default="", name="kind")
    spec: ConstraintSpec | None = None
    status: ConstraintStatus | None = None

    @property
    def name(self) -> str:
        """KIND/NAME: constraints of two kinds may have the same name."""
        return f"{self.made}/{self.metadata.name or self.metadata.generate_name}"


class Exclusion(Struct):
    excluded_namespaces: list[str] | None = None
    processes: list[str] | None = None


class GatekeeperConfigSpec(Struct):
    match: list[Exclusion] | None = None


class GatekeeperConfig(Kind):
    group, plural, kind, versions = "config.gatekeeper.sh", "configs", "Config", ("v1alpha1",)
    metadata: ExceptionMeta
    spec: GatekeeperConfigSpec | None = None


class ReportSummary(Struct):
    passed: int | None = msgspec.field(default=None, name="pass")
    fail: int | None = None
    warn: int | None = None
    error: int | None = None
    skip: int | None = None


class ReportResult(Struct):
    """One result, without its message."""

    policy: str = ""
    rule: str | None = None
    result: str | None = None
    severity: str | None = None
    source: str | None = None


class PolicyReport(Kind):
    group, plural, kind, versions = "wgpolicyk8s.io", "policyreports", "PolicyReport", ("v1alpha2",)
    summary: ReportSummary | None = None
    results: list[ReportResult] | None = None


class ClusterPolicyReport(Kind):
    group, plural, kind = "wgpolicyk8s.io", "clusterpolicyreports", "ClusterPolicyReport"
    versions, namespaced = ("v1alpha2",), False
    summary: ReportSummary | None = None
    results: list[ReportResult] | None = None


class ImagePattern(Struct):
    glob: str | None = None


class StaticAuthority(Struct):
    action: str | None = None


class Authority(Struct):
    """An authority of a ClusterImagePolicy: keys and identities are not kept, only whether it decides without them."""

    static: StaticAuthority | None = None


class ClusterImagePolicySpec(Struct):
    mode: str | None = None
    images: list[ImagePattern] | None = None
    authorities: list[Authority] | None = None


class ClusterImagePolicy(Kind):
    group, plural, kind = "policy.sigstore.dev", "clusterimagepolicies", "ClusterImagePolicy"
    versions, namespaced = ("v1beta1", "v1alpha1"), False
    spec: ClusterImagePolicySpec | None = None
