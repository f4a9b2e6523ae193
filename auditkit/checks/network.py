"""The boundary: isolation by NetworkPolicies, and what is open to the outside."""

import pandas as pd

from auditkit.declare import check


@check("NET-01", severity="medium")
def has_policy(namespace_isolation: pd.DataFrame) -> pd.Series:
    """Every namespace with pods has a NetworkPolicy.

    The namespaces that Kubernetes makes itself are not judged. Without one every pod of the cluster reaches every pod of the namespace.

    Fix: add a policy that denies by default, and policies for the traffic that is meant.
    """
    unguarded = (namespace_isolation["policies"] == 0) & (namespace_isolation["pods"] > 0)
    return unguarded & ~namespace_isolation["system"]


@check("NET-05", severity="high")
def denies_ingress(namespace_isolation: pd.DataFrame) -> pd.Series:
    """Every namespace denies ingress by default.

    The namespaces that Kubernetes makes itself are not judged. Policies add up: only pods that a policy selects are closed at all. Whether the network
    plugin enforces policies is a question of its own.

    Fix: add a NetworkPolicy with `podSelector: {}`, `policyTypes: [Ingress]` and no rules.
    """
    return ~namespace_isolation["denies_ingress"] & ~namespace_isolation["system"]


@check("NET-11", severity="high")
def external_ips(services: pd.DataFrame) -> pd.Series:
    """No Service claims external IPs.

    Whoever may create a Service can draw traffic for any address to its pods (CVE-2020-8554).

    Fix: remove `externalIPs`; use a load balancer.
    """
    return (services["external_ips"].str.len() > 0).astype("boolean")


@check("NET-16", severity="high")
def ingress_tls(ingresses: pd.DataFrame) -> pd.Series:
    """Every host of an Ingress is served with TLS.

    What is not covered by `spec.tls` is served in the open.

    Fix: add the host to `spec.tls` with the Secret of its certificate.
    """
    return ~ingresses["tls"]
