"""What the API server asks before an object enters the cluster: webhooks and the built-in admission policies."""

import re
from urllib.parse import urlsplit

from auditkit.kinds.base import Kind, ObjectMeta, Present, Struct
from auditkit.kinds.certificates import bundle
from auditkit.kinds.pods import LabelSelector

_EXPIRY = re.compile(r"[^/]+/(expires|expires-at|expiry|valid-until)")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TELLS = {
    "reason": re.compile(r"[^/]+/(reason|justification|description|ticket|issue|change|change-request)"),
    "owner": re.compile(r"[^/]+/(owner|owned-by|team|contact|approver|approved-by|requested-by)"),
}


class ExceptionMeta(ObjectMeta):
    """metadata of an exception, judged at capture: an annotation is told by what stands behind its DOMAIN/.

    `expires` is the ISO date of DOMAIN/expires; `tells` has "reason" and "owner" where an annotation that is not empty
    does, such as DOMAIN/ticket and DOMAIN/approved-by. What they say is not kept.
    """

    expires: str | None = None
    tells: list[str] | None = None

    def __post_init__(self) -> None:
        told = set(self.tells or ())
        for name, value in sorted((self.annotations or {}).items()):
            if _EXPIRY.fullmatch(name) and _DATE.match(value):
                self.expires = value[:10]
            told |= {what for what, names in _TELLS.items() if value.strip() and names.fullmatch(name)}
        self.tells = sorted(told) or None
        super().__post_init__()


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
    """A rule of a webhook, or of a built-in policy: only the latter can be limited to names of objects."""

    operations: list[str] | None = None
    api_groups: list[str] | None = None
    api_versions: list[str] | None = None
    resources: list[str] | None = None
    resource_names: list[str] | None = None
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


class ParamRef(Struct):
    parameter_not_found_action: str | None = None


class AdmissionBindingSpec(Struct):
    policy_name: str | None = None
    validation_actions: list[str] | None = None
    match_resources: MatchResources | None = None
    param_ref: ParamRef | None = None


class ValidatingAdmissionPolicy(Kind):
    group, plural = "admissionregistration.k8s.io", "validatingadmissionpolicies"
    kind, versions, namespaced = "ValidatingAdmissionPolicy", ("v1", "v1beta1"), False
    spec: AdmissionPolicySpec | None = None


class ValidatingAdmissionPolicyBinding(Kind):
    group, plural = "admissionregistration.k8s.io", "validatingadmissionpolicybindings"
    kind, versions, namespaced = "ValidatingAdmissionPolicyBinding", ("v1", "v1beta1"), False
    metadata: ExceptionMeta
    spec: AdmissionBindingSpec | None = None


class MutatingAdmissionPolicy(Kind):
    group, plural = "admissionregistration.k8s.io", "mutatingadmissionpolicies"
    kind, versions, namespaced = "MutatingAdmissionPolicy", ("v1", "v1beta1", "v1alpha1"), False
    spec: AdmissionPolicySpec | None = None


class MutatingAdmissionPolicyBinding(Kind):
    group, plural = "admissionregistration.k8s.io", "mutatingadmissionpolicybindings"
    kind, versions, namespaced = "MutatingAdmissionPolicyBinding", ("v1", "v1beta1", "v1alpha1"), False
    spec: AdmissionBindingSpec | None = None
