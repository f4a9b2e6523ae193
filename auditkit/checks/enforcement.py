"""Where policies are enforced and where only reported, what is excepted, and what engines report themselves."""

import pandas as pd

from auditkit.declare import check


@check("ADM-60", severity="high")
def enforced_somehow(namespace_enforcement: pd.DataFrame) -> pd.Series:
    """At least one policy engine, Pod Security counted, refuses violations in every namespace.

    Where policies only audit, warn or leave the namespace out, nothing keeps an unsafe object from being made. A
    namespace without a Pod Security label has the cluster's default level, which is in a file of the API server: where
    no engine enforces either, undetermined.

    Fix: label the namespace with `pod-security.kubernetes.io/enforce`, or let a policy of an engine enforce there.
    """
    return ~namespace_enforcement.enforced


@check("ADM-61", severity="medium")
def enforced_alike(namespace_enforcement: pd.DataFrame) -> pd.Series:
    """A policy that is enforced is enforced in every namespace that it is meant for.

    A namespace that a webhook, an exclusion, an override or an exception leaves out is where the rules of all others
    end: whoever may create objects in it may pass by them. One that a policy does not select is not left out.

    Fix: take the namespace out of the exclusions, or record why it is left out and what stands in.
    """
    return (namespace_enforcement.left_out.str.len() > 0).astype("boolean")


@check("ADM-62", severity="low")
def exceptions_explained(policy_exceptions: pd.DataFrame, *, required: tuple[str, ...] = ("reason",)) -> pd.Series:
    """An exception to a policy says why it is, in an annotation.

    Without a reason, a ticket or an owner nobody can tell at review whether it is still needed. `required` names what
    the engagement wants, of `reason` and `owner`.

    Fix: annotate it with DOMAIN/reason or DOMAIN/ticket, and DOMAIN/owner.
    """
    missing = [not set(required) <= set(tells) for tells in policy_exceptions.tells]
    return pd.Series(missing, index=policy_exceptions.index, dtype="boolean")


@check("ADM-63", severity="medium")
def ephemeral_containers(webhooks: pd.DataFrame) -> pd.Series:
    """A policy engine that is called for pods is also called for ephemeral containers.

    `kubectl debug` adds a container to a running pod by the subresource pods/ephemeralcontainers. A rule that names
    `pods` alone does not match it: the container is not looked at. Whether a webhook of no known engine decides by
    policies is not known: undetermined.

    Fix: add `pods/ephemeralcontainers` with the operation UPDATE to the webhook's rules, or let the engine do it.
    """
    decides = webhooks.on_pods & (webhooks.kind == "ValidatingWebhookConfiguration")
    unseen = (decides & ~webhooks.on_ephemeral).astype("boolean")
    return unseen.mask(unseen & webhooks.engine.isna())


@check("ADM-64", severity="medium")
def webhook_connection(webhook_backends: pd.DataFrame, services: pd.DataFrame) -> pd.Series:
    """A webhook is called at a port that its Service has, and the API server is given the authority of its certificate.

    Otherwise no call succeeds: with Ignore nothing is checked, with Fail nothing is admitted. A certificate for a
    Service is not of a public authority, so that without `caBundle` it is not trusted. A URL may be: undetermined.

    Fix: correct `clientConfig.service.port` and `clientConfig.caBundle`.
    """
    blind = (webhook_backends.authorities == 0).mask(webhook_backends.service.isna())
    return ~webhook_backends.port_served | blind


@check("ADM-65", severity="medium")
def results_of_others(reported_results: pd.DataFrame) -> pd.Series:
    """What other tools test in the cluster they report as passed.

    These are tests done by others, as PolicyReports, OpenReports and Gatekeeper's audit say them: `fail` is an object
    that runs against policy, `error` a policy that was not evaluated. `warn` and `skip` are shown and are none.

    Fix: mend the object, or the policy; what is accepted belongs into an exception with an end.
    """
    known = reported_results.result.isin(["pass", "fail", "warn", "error", "skip"])
    return reported_results.result.isin(["fail", "error"]).astype("boolean").mask(~known)


@check("ADM-66", severity="medium")
def results_are_fresh(result_sources: pd.DataFrame, origin: pd.DataFrame, *, days: int = 7) -> pd.Series:
    """A tool that reports results has reported within the last `days` days.

    Engines scan every hour or day. Old results say that the scan no longer runs, and nothing of the objects made since.

    Fix: repair the tool's scan, or remove the reports of one that is gone.
    """
    age = origin.taken_at.iloc[0] - result_sources.newest
    stale: pd.Series = (age > pd.Timedelta(days=days)).astype("boolean")
    return stale.mask(age.isna())


@check("ADM-67", severity="low")
def results_of_every_namespace(reported_namespaces: pd.DataFrame) -> pd.Series:
    """A tool that reports results has reported about every namespace in which pods run.

    Where it reported nothing its policies match nothing there, or it does not scan: silence is not a pass.

    Fix: take the namespace out of the tool's exclusions, or record that its policies are not meant for it.
    """
    silent = reported_namespaces.silent.str.len() > 0
    return ((reported_namespaces.pods > 0) & silent).astype("boolean")
