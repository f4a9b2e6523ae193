"""Admission control: what keeps objects out that break the rules.

A check names every table that its verdicts rest on: where one was not completely collected, it is not collected.
"""

import pandas as pd

from auditkit.declare import check


@check("ADM-01", severity="high")
def pod_security(tenant_psa: pd.DataFrame) -> pd.Series:
    """A namespace has a label that enforces the Pod Security Standard baseline or restricted.

    Without the label the cluster's default holds. It is in a file of the API server, which a snapshot cannot see: what
    such a namespace enforces is not known, and that no label says it is the exception. A label that is not valid
    enforces restricted, which nobody meant: undetermined. Rules of a version that is old are ADM-02's.

    Fix: label the namespace `pod-security.kubernetes.io/enforce: restricted` (or `baseline`).
    """
    unsaid = ~tenant_psa.enforce.isin(["baseline", "restricted"])
    return unsaid.astype("boolean").mask(~unsaid & ~tenant_psa.enforce_valid)


@check("ADM-02", severity="low")
def pod_security_watched(tenant_psa: pd.DataFrame, origin: pd.DataFrame, *, behind: int = 4) -> pd.Series:
    """A namespace audits and warns of Pod Security violations, and its Pod Security labels are valid and current.

    The level privileged, or a value that is not known, audits nothing; a version pinned more than `behind` minors ago,
    that of enforce too, misses later rules.

    Fix: set the labels audit and warn to `restricted`, and their versions to `latest`.
    """
    minor = origin.version.str.extract(r"^v?1\.(\d+)", expand=False).astype("Int64").iloc[0]
    old = (tenant_psa.oldest_minor < minor - behind).mask(tenant_psa.oldest_minor.isna(), False)
    labelled = tenant_psa.audit_labelled & tenant_psa.warn_labelled & tenant_psa.valid
    idle = tenant_psa.audit.isin(["privileged"]) | tenant_psa.warn.isin(["privileged"])
    return ~labelled | idle | old


@check("ADM-03", severity="high")
def governed(
    namespace_engines: pd.DataFrame,
    webhooks: pd.DataFrame,
    services: pd.DataFrame,
    admission_policies: pd.DataFrame,
    policy_exceptions: pd.DataFrame,
) -> pd.Series:
    """A policy engine decides about the pods of every namespace.

    A namespace that selectors or an engine's own configuration leave out is where rules end. An expression, or a
    label of an object, is not evaluated: where it alone may decide, undetermined.

    Fix: take the namespace out of the exclusions.
    """
    return ~namespace_engines.governed


@check("ADM-04", severity="high")
def enforcing(admission_policies: pd.DataFrame) -> pd.Series:
    """A policy refuses what violates it.

    One that audits or warns reports and lets pass; one without a binding, or a template without a constraint, does
    nothing.

    Fix: set Enforce (Kyverno), Deny (ValidatingAdmissionPolicyBinding) or deny (Gatekeeper); bind or remove the policy.
    """
    return ~admission_policies.enforces


@check("ADM-05", severity="high")
def webhook_bypass(webhooks: pd.DataFrame) -> pd.Series:
    """A webhook is called for every namespace and object that its rules name, and fails closed.

    With Ignore, whoever makes it slow passes; a namespace that is left out, or objects by a label of their own,
    pass always. Match conditions are expressions that a snapshot does not evaluate: undetermined.

    Fix: set `failurePolicy: Fail`; leave out only the system's namespaces and the webhook's own.
    """
    open_ = (webhooks.failure_policy == "Ignore").mask(~webhooks.failure_policy.isin(["Fail", "Ignore"]))
    return open_ | webhooks.skips_namespaces | webhooks.skips_objects


@check("ADM-06", severity="medium")
def webhook_backend(webhook_backends: pd.DataFrame, service_endpoints: pd.DataFrame) -> pd.Series:
    """A webhook's Service exists and has a ready endpoint.

    One that does not answer blocks changes or, with Ignore, checks nothing. A URL cannot be seen: undetermined.

    Fix: repair the Service, or remove the configuration.
    """
    return ~webhook_backends.ready


@check("ADM-07", severity="medium")
def exceptions_end(policy_exceptions: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """An exception to a policy has an end, and it has not passed.

    What is excepted without an end is no longer reviewed.

    Fix: remove the exception, or annotate it DOMAIN/expires with the date that was approved.
    """
    now = origin.taken_at.iloc[0]
    passed = (policy_exceptions.expires <= now).astype("boolean")
    judged: pd.Series = passed.mask(policy_exceptions.expires.notna()) if pd.isna(now) else passed
    return policy_exceptions.expires.isna().astype("boolean") | judged


@check("ADM-08", severity="medium")
def reports(policy_reports: pd.DataFrame) -> pd.Series:
    """Policy engines report no failures and no errors.

    A failure is an object that runs against policy; an error is a policy that was not evaluated.

    Fix: read the report's results with `kubectl get policyreport -o yaml`, and mend the objects.
    """
    return (policy_reports.failed + policy_reports.errors) > 0
