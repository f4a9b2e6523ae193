"""What is open from outside the cluster, and how."""

from collections.abc import Sequence

import pandas as pd

from auditkit.declare import check


@check("NET-11", severity="high")
def external_ips(services: pd.DataFrame) -> pd.Series:
    """No Service has externalIPs.

    Whoever may create such a Service takes the traffic to that address from every pod (CVE-2020-8554).

    Fix: use a load balancer; forbid the field by an admission policy.
    """
    return services.externally_addressed


@check("NET-12", severity="medium")
def exposed_services(open_services: pd.DataFrame) -> pd.Series:
    """A Service that its type opens to the outside has a limited or internal load balancer.

    A NodePort opens every node to whoever reaches it; a load balancer without source ranges is open to all.

    Fix: set `loadBalancerSourceRanges` or the cloud's annotation for internal load balancers; replace NodePorts.
    """
    return (open_services.type == "NodePort") | (~open_services.internal & ~open_services.limited)


@check("NET-13", severity="medium")
def approved_routes(routes: pd.DataFrame, *, approved: Sequence[str] = ()) -> pd.Series:
    """Every Ingress, HTTPRoute and VirtualService that is open to the outside is approved.

    Each at a controller or gateway is a door. The setting `approved` lists those that management knows, as
    NAMESPACE/NAME, of whichever of the kinds: until that list is supplied, doors are undetermined. Other kinds of routes
    (GRPCRoute, TLSRoute, TCPRoute, those of single controllers) are not looked at.

    Fix: remove the route, or approve it.
    """
    unapproved = routes.exposed & ~routes.qualified.isin(list(approved))
    return unapproved.astype("boolean").mask(unapproved & (len(approved) == 0))


@check("NET-14", severity="high")
def sensitive_interfaces(exposed_interfaces: pd.DataFrame) -> pd.Series:
    """Dashboards and consoles of the cluster are not open to the outside.

    Who enters one rules the cluster, or reads what it watches; many ask for no password at first. They are known by
    their image (data/interfaces.toml). Counted are Services, Ingresses, HTTPRoutes and VirtualServices; a proxy that
    asks for a login in front is not seen.

    Fix: make the Service ClusterIP and remove the route; reach it by `kubectl port-forward` or a VPN.
    """
    return exposed_interfaces.exposed


@check("NET-16", severity="high")
def ingress_tls(ingresses: pd.DataFrame) -> pd.Series:
    """An Ingress serves every host by TLS.

    A host that no entry of `tls` names is served in plain text, whatever other hosts the entry names. Where a
    certificate comes from an annotation, or an entry has no hosts, the controller decides: undetermined.

    Fix: name the host in `spec.tls`.
    """
    return ~ingresses.tls


@check("NET-17", severity="high")
def listener_tls(gateway_listeners: pd.DataFrame) -> pd.Series:
    """A gateway's listener speaks TLS.

    Passthrough is TLS that the backend ends. What TCP carries cannot be seen: undetermined.

    Fix: use protocol HTTPS or TLS with a certificate; let Istio's port 80 redirect by `httpsRedirect`.
    """
    return ~gateway_listeners.encrypted


@check("NET-18", severity="low")
def wildcard_host(ingresses: pd.DataFrame) -> pd.Series:
    """An Ingress names its hosts.

    An empty or wildcard host takes requests for names that nobody meant to serve.

    Fix: name each host.
    """
    return ingresses.wildcard


@check("NET-19", severity="high")
def ingress_snippets(ingresses: pd.DataFrame) -> pd.Series:
    """No Ingress writes configuration of its own into the proxy.

    A snippet runs in the ingress controller, which reads the certificates of all namespaces (CVE-2021-25742).

    Fix: remove the annotation; set `allow-snippet-annotations: false`.
    """
    return ingresses.risky


@check("NET-20", severity="low")
def dangling_backend(backends: pd.DataFrame, services: pd.DataFrame, isolation: pd.DataFrame) -> pd.Series:
    """What an Ingress, HTTPRoute or Service refers to is there.

    A name that nobody holds is free for the next to take: with it comes the traffic.

    Fix: correct or remove the reference.
    """
    return ~backends.found


@check("NET-60", severity="low")
def ingress_secret(ingress_secrets: pd.DataFrame, secrets: pd.DataFrame) -> pd.Series:
    """The Secret that an Ingress names for TLS is there.

    Without it the controller serves a certificate of its own, or none. It takes a capture with --secrets: an
    Ingress may name a Secret of any type.

    Fix: create the Secret, or correct its name.
    """
    return ~ingress_secrets.secret.isin(secrets.namespace + "/" + secrets.name)


@check("NET-83", severity="medium")
def listener_versions(gateway_listeners: pd.DataFrame) -> pd.Series:
    """A gateway that ends TLS takes TLS 1.2 or newer only.

    Older versions can be read or forged. Istio's own default is 1.2; what a controller of the Gateway API takes is a
    setting of the controller: undetermined.

    Fix: remove `minProtocolVersion`, or set it to TLSV1_2 or TLSV1_3.
    """
    old = gateway_listeners.min_tls.isin(["TLSV1_0", "TLSV1_1"]).astype("boolean")
    known = gateway_listeners.min_tls.isin(["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"])
    return (gateway_listeners.ends_tls & old).mask(gateway_listeners.ends_tls & ~known)


@check("NET-84", severity="medium")
def gateway_secrets_exist(gateway_certificates: pd.DataFrame, secrets: pd.DataFrame) -> pd.Series:
    """The Secret that a gateway ends TLS with is where the gateway looks for it.

    Without it the listener does not serve, or serves a certificate of its own. It takes a capture with --secrets.

    Fix: create the Secret beside the gateway's pods (Istio) or in the namespace that is named; correct the name.
    """
    return ~gateway_certificates.found
