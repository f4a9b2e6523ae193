"""Where admission control acts: Pod Security levels, webhooks and their backends, engines by namespace."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis import builtin, gatekeeper
from auditkit.analysis.effects import listed, together
from auditkit.analysis.podsecurity import Mode, effective
from auditkit.analysis.selectors import every, some
from auditkit.analysis.webhooks import covers, creates_pods, engine_of, in_reach, skips_objects
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.admission import (
    MatchResources,
    MutatingWebhookConfiguration,
    ValidatingAdmissionPolicy,
    ValidatingAdmissionPolicyBinding,
    ValidatingWebhookConfiguration,
)
from auditkit.kinds.network import EndpointSlice, Service
from auditkit.kinds.platform import ConfigMap, Namespace
from auditkit.kinds.policies import Constraint, GatekeeperConfig
from auditkit.tables.enforcement import left_out_by_kyverno, looked_at
from auditkit.tables.namespaces import SYSTEM


@table("psa", kinds=(Namespace,), key=("name",))
class PodSecurityRow:
    """One row per Namespace: the Pod Security levels that its labels ask for, as the admission plugin reads them.

    Where no label says a level, the cluster's default holds. It is in a file of the API server and not in its API:
    the level is missing.
    """

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace."]
    system: Annotated[bool, f"Made by Kubernetes itself: {', '.join(sorted(SYSTEM))}."]
    enforce: Annotated[str | None, "Level that pods must meet; missing where no label says one."]
    enforce_version: Annotated[str, "Version of that level."]
    enforce_labelled: Annotated[bool, "A label says so."]
    enforce_valid: Annotated[bool, "Level and version are values that Kubernetes knows."]
    audit: Annotated[
        str | None, "Level of which violations are annotated in the audit log; missing where no label says one."
    ]
    audit_labelled: Annotated[bool, "A label says so."]
    warn: Annotated[
        str | None,
        "Level of which violations are told to the client: by default `enforce` where that is stricter; missing where "
        "neither label says one.",
    ]
    warn_labelled: Annotated[bool, "A label says so."]
    valid: Annotated[bool, "All labels are values that Kubernetes knows."]
    oldest_minor: Annotated[int | None, "Minor of the oldest pinned version; missing where all are latest."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[Namespace]:
            levels = effective(one.labels)
            modes = (levels.enforce, levels.audit, levels.warn)
            pinned = [int(m[1]) for mode in modes if (m := re.fullmatch(r"v1\.(\d+)", mode.version))]
            yield (
                "", one.kind, one.name, one.name in SYSTEM,
                _said(levels.enforce), levels.enforce.version, levels.enforce.labelled, levels.enforce.valid,
                _said(levels.audit), levels.audit.labelled, _said(levels.warn), levels.warn.labelled,
                all(mode.valid for mode in modes), min(pinned, default=None),
            )  # fmt: skip


def _said(mode: Mode) -> str | None:
    """The level that labels say: `effective` has privileged for the cluster's default, which is not known."""
    return mode.level if mode.labelled or mode.level != "privileged" else None


@view("tenant_psa", key=("name",))
class TenantPodSecurity(PodSecurityRow):
    """The rows of `psa` of namespaces that Kubernetes did not make itself."""

    @staticmethod
    def frame(psa: pd.DataFrame) -> pd.DataFrame:
        return psa[~psa.system]


@table(
    "webhooks",
    kinds=(ValidatingWebhookConfiguration, MutatingWebhookConfiguration),
    beside=(Namespace,),
    key=("kind", "name", "webhook"),
)
class WebhookRow:
    """One row per admission webhook: for what it is called, and what happens where it does not answer."""

    namespace: Annotated[str, "Empty: a configuration is cluster-scoped."]
    kind: Annotated[str, "ValidatingWebhookConfiguration or MutatingWebhookConfiguration."]
    name: Annotated[str, "Name of the configuration."]
    webhook: Annotated[str, "Name of the webhook."]
    engine: Annotated[str | None, "Policy engine, recognised by its Service; missing where it is none that is known."]
    on_pods: Annotated[bool, "Called when a Pod is created."]
    on_ephemeral: Annotated[bool, "Called when an ephemeral container is added to a Pod."]
    failure_policy: Annotated[str, "Fail or Ignore."]
    timeout_seconds: Annotated[int, "How long the API server waits."]
    excluded: Annotated[list[str], "Namespaces left out by the selector, beside the system's and the webhook's own."]
    skips_namespaces: Annotated[bool | None, "Leaves out such a namespace."]
    skips_objects: Annotated[bool | None, "Leaves out objects by their labels; missing where match conditions decide."]
    service: Annotated[str | None, "NAMESPACE/NAME of the Service called; missing where a URL is."]
    port: Annotated[str | None, "Port of the Service; missing where a URL is called."]
    host: Annotated[str | None, "Host of the URL called."]
    authorities: Annotated[int, "Certificates in caBundle by which the API server knows the backend."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        configurations: list[ValidatingWebhookConfiguration | MutatingWebhookConfiguration] = [
            *objects[ValidatingWebhookConfiguration],
            *objects[MutatingWebhookConfiguration],
        ]
        for configuration in configurations:
            for hook in configuration.webhooks or ():
                called = hook.client_config.service if hook.client_config else None
                own = {called.namespace} if called else set()
                reach = {n.name: in_reach(hook, n) for n in objects[Namespace] if n.name not in SYSTEM | own}
                yield (
                    "", configuration.kind, configuration.name, hook.name, engine_of(hook), creates_pods(hook.rules),
                    covers(hook.rules, "UPDATE", "", "pods/ephemeralcontainers"),
                    hook.failure_policy or "Fail", hook.timeout_seconds or 10,
                    sorted(name for name, reached in reach.items() if reached is False),
                    some(None if reached is None else not reached for reached in reach.values()),
                    skips_objects(hook), f"{called.namespace}/{called.name}" if called else None,
                    str(called.port or 443) if called else None,
                    hook.client_config.url if hook.client_config else None,
                    ((hook.client_config.ca_bundle or "") if hook.client_config else "").count("BEGIN CERTIFICATE"),
                )  # fmt: skip


@table("service_endpoints", kinds=(Service,), beside=(EndpointSlice,), key=("service",))
class ServiceEndpoints:
    """One row per Service, and whether something answers for it."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name of the Service."]
    service: Annotated[str, "NAMESPACE/NAME."]
    ready: Annotated[bool | None, "Has a ready endpoint; missing for an ExternalName."]
    ports: Annotated[list[str], "Ports that it serves."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        ready: dict[tuple[str, str], bool] = defaultdict(bool)
        for one in objects[EndpointSlice]:
            # A condition that is not set counts as ready (discovery/v1 EndpointConditions).
            found = any(not (e.conditions and e.conditions.ready is False) for e in one.endpoints or ())
            ready[one.namespace, one.labels.get("kubernetes.io/service-name", "")] |= found
        for s in objects[Service]:
            outside = s.spec is not None and s.spec.type == "ExternalName"
            place = f"{s.namespace}/{s.name}"
            ports = sorted(str(port.port) for port in (s.spec and s.spec.ports) or ())
            yield (s.namespace, s.kind, s.name, place, None if outside else ready[s.namespace, s.name], ports)


@view("webhook_backends", key=("kind", "name", "webhook"))
class WebhookBackend:
    """One row per admission webhook, and whether its backend answers."""

    namespace: Annotated[str, "Empty: a configuration is cluster-scoped."]
    kind: Annotated[str, "ValidatingWebhookConfiguration or MutatingWebhookConfiguration."]
    name: Annotated[str, "Name of the configuration."]
    webhook: Annotated[str, "Name of the webhook."]
    service: Annotated[str | None, "NAMESPACE/NAME of the Service called; missing where a URL is."]
    ready: Annotated[bool | None, "The Service exists and has a ready endpoint; missing for a URL."]
    port: Annotated[str | None, "Port of the Service that is called."]
    port_served: Annotated[bool | None, "The Service has that port; missing for a URL, and where the Service is gone."]
    authorities: Annotated[int, "Certificates in caBundle by which the API server knows the backend."]

    @staticmethod
    def frame(webhooks: pd.DataFrame, service_endpoints: pd.DataFrame) -> pd.DataFrame:
        joined = webhooks.merge(service_endpoints[["service", "ready", "ports"]], on="service", how="left")
        joined["port_served"] = [
            port in ports if isinstance(ports, list) else None
            for port, ports in zip(joined.port, joined.ports, strict=True)
        ]
        absent = joined.service.notna() & ~joined.service.isin(service_endpoints.service)
        joined["ready"] = joined.ready.mask(absent, False)
        return joined


@table(
    "namespace_engines",
    kinds=(Namespace,),
    beside=(
        ValidatingWebhookConfiguration,
        ValidatingAdmissionPolicy,
        ValidatingAdmissionPolicyBinding,
        GatekeeperConfig,
        Constraint,
        ConfigMap,
        Service,
    ),
    key=("name",),
)
class NamespaceEngine:
    """One row per namespace that Kubernetes did not make itself: which policy engines decide about its pods.

    An engine decides where its validating webhook is called for the creation of pods, or a ValidatingAdmissionPolicy
    about pods is bound with Deny; Gatekeeper where one of its constraints refuses pods besides, Kyverno where its
    ConfigMap does not filter them out. A webhook of an engine that is not known, or with conditions, may or may not. Pod Security is not counted: it is in `psa`; what each
    policy does is in `enforcement`.
    """

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace."]
    engines: Annotated[list[str], "Engines that decide."]
    governed: Annotated[bool | None, "At least one decides; missing where one may."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        services = {(s.namespace, s.name) for s in objects[Service]}
        for one in objects[Namespace]:
            if one.name not in SYSTEM:
                found = [*_webhook_engines(objects, one, services), *_policy_engines(objects, one)]
                engines = sorted({engine for engine, decides in found if decides})
                yield ("", one.kind, one.name, engines, some(decides for _, decides in found))


def _webhook_engines(
    objects: Objects, namespace: Namespace, services: set[tuple[str, str]]
) -> Iterator[tuple[str, bool | None]]:
    for hook in [h for c in objects[ValidatingWebhookConfiguration] for h in c.webhooks or ()]:
        if not creates_pods(hook.rules):
            continue
        called, engine = hook.client_config.service if hook.client_config else None, engine_of(hook)
        gone = called is not None and (called.namespace, called.name) not in services
        if not gone:
            whole = True if skips_objects(hook) is False else None
            yield engine or "unknown", every([in_reach(hook, namespace), whole, _decides(objects, engine, namespace)])


def _decides(objects: Objects, engine: str | None, namespace: Namespace) -> bool | None:
    """Whether an engine that is asked about the pods of a namespace looks at them."""
    if engine == "gatekeeper":
        return _by_constraints(objects, namespace)
    if engine == "kyverno":
        return looked_at(objects.once(left_out_by_kyverno), ("Pod",), namespace)
    return True if engine else None


def _by_constraints(objects: Objects, namespace: Namespace) -> bool | None:
    """Whether a constraint of Gatekeeper refuses pods in a namespace that its Config does not take from the webhook."""
    if listed(namespace.name, gatekeeper.excluded(objects[GatekeeperConfig], "webhook")):
        return False
    found = together(gatekeeper.effect(one, namespace) for one in objects[Constraint] if gatekeeper.about_pods(one))
    return None if found is None else found == "enforced"


def _policy_engines(objects: Objects, namespace: Namespace) -> Iterator[tuple[str, bool | None]]:
    policies = {p.name: p.spec for p in objects[ValidatingAdmissionPolicy] if p.spec}
    for binding in objects[ValidatingAdmissionPolicyBinding]:
        spec = binding.spec
        policy = policies.get((spec and spec.policy_name) or "")
        if spec is None or policy is None or "Deny" not in (spec.validation_actions or ()):
            continue
        wanted, limited = policy.match_constraints or MatchResources(), spec.match_resources or MatchResources()
        bound = not limited.resource_rules or creates_pods(limited.resource_rules)
        if creates_pods(wanted.resource_rules) and bound:
            effect = builtin.by_binding(policy, spec, namespace)
            yield "kubernetes", None if effect is None else effect == "enforced"
