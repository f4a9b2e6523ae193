"""Admission webhooks: what is asked before an object is let in, and what happens when nobody answers."""

from auditkit.kinds.base import Kind, Struct

GROUP = "admissionregistration.k8s.io"


class Webhook(Struct):
    name: str = ""
    failure_policy: str | None = None
    timeout_seconds: int | None = None


class ValidatingWebhookConfiguration(Kind):
    group, plural, kind = GROUP, "validatingwebhookconfigurations", "ValidatingWebhookConfiguration"
    namespaced = False
    webhooks: list[Webhook] | None = None


class MutatingWebhookConfiguration(Kind):
    group, plural, kind = GROUP, "mutatingwebhookconfigurations", "MutatingWebhookConfiguration"
    namespaced = False
    webhooks: list[Webhook] | None = None
