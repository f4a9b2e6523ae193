"""The policy engines' own objects: policies of Kyverno, Gatekeeper and sigstore, and what is excepted from them."""

from typing import ClassVar

import msgspec

from auditkit.kinds.admission import ExceptionMeta, MatchResources
from auditkit.kinds.base import Closed, Kind, Present, Struct
from auditkit.kinds.pods import LabelSelector


class KyvernoResources(Closed):
    """A description of objects; all that it names must hold (kyverno.io/v1 ResourceDescription)."""

    kinds: list[str] | None = None
    name: str | None = None
    names: list[str] | None = None
    namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None
    selector: LabelSelector | None = None
    annotations: Present | None = None
    operations: list[str] | None = None


class KyvernoFilter(Closed):
    resources: KyvernoResources | None = None
    subjects: list[Present] | None = None
    roles: list[str] | None = None
    cluster_roles: list[str] | None = None


class KyvernoMatch(KyvernoFilter):
    """`any` and `all` of filters; one of its own without them (kyverno.io/v1 MatchResources)."""

    any: list[KyvernoFilter] | None = None
    all: list[KyvernoFilter] | None = None


class ActionOverride(Closed):
    action: str | None = None
    namespaces: list[str] | None = None
    namespace_selector: LabelSelector | None = None


class KyvernoValidate(Struct):
    failure_action: str | None = None
    failure_action_overrides: list[ActionOverride] | None = None


class KyvernoVerify(Struct):
    failure_action: str | None = None


class KyvernoRule(Struct):
    name: str = ""
    match: KyvernoMatch | None = None
    exclude: KyvernoMatch | None = None
    preconditions: Present | list[Present] | None = None
    cel_preconditions: list[Present] | None = None
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


class ExceptedPolicy(Struct):
    policy_name: str = ""
    rule_names: list[str] | None = None


class PolicyExceptionSpec(Struct):
    exceptions: list[ExceptedPolicy] | None = None
    match: KyvernoMatch | None = None
    conditions: Present | list[Present] | None = None
    pod_security: list[Present] | None = None


class PolicyException(Kind):
    group, plural, kind, versions = "kyverno.io", "policyexceptions", "PolicyException", ("v2", "v2beta1")
    metadata: ExceptionMeta
    spec: PolicyExceptionSpec | None = None


class Toggle(Struct):
    enabled: bool | None = None


class Evaluation(Struct):
    mode: str | None = None
    admission: Toggle | None = None
    background: Toggle | None = None


class CelPolicySpec(Struct):
    """The fields that the kinds of policies.kyverno.io share; they are those of a ValidatingAdmissionPolicy with actions."""

    validation_actions: list[str] | None = None
    match_constraints: MatchResources | None = None
    match_conditions: list[Present] | None = None
    evaluation: Evaluation | None = None


class CelPolicy(Kind):
    """What the four kinds of policies share."""

    group: ClassVar[str] = "policies.kyverno.io"
    versions: ClassVar[tuple[str, ...]] = ("v1", "v1beta1", "v1alpha1")
    spec: CelPolicySpec | None = None


class ValidatingPolicy(CelPolicy):
    plural, kind, namespaced = "validatingpolicies", "ValidatingPolicy", False


class NamespacedValidatingPolicy(CelPolicy):
    plural, kind, namespaced = "namespacedvalidatingpolicies", "NamespacedValidatingPolicy", True


class ImageValidatingPolicy(CelPolicy):
    plural, kind, namespaced = "imagevalidatingpolicies", "ImageValidatingPolicy", False


class NamespacedImageValidatingPolicy(CelPolicy):
    plural, kind, namespaced = "namespacedimagevalidatingpolicies", "NamespacedImageValidatingPolicy", True


class PolicyRef(Struct):
    kind: str = ""
    name: str = ""


class CelExceptionSpec(Struct):
    policy_refs: list[PolicyRef] | None = None
    match_conditions: list[Present] | None = None


class CelPolicyException(Kind):
    group, plural, kind, versions = "policies.kyverno.io", "policyexceptions", "PolicyException", CelPolicy.versions
    metadata: ExceptionMeta
    spec: CelExceptionSpec | None = None


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
