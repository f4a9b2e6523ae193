"""The Secrets from which gateways take their certificates, and whether they lie where the gateway looks."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.network import Gateway, IstioGateway
from auditkit.kinds.workloads import Pod


@table("gateway_secrets", kinds=(Gateway, IstioGateway), beside=(Pod,), key=("namespace", "name", "api", "secret"))
class GatewaySecret:
    """One row per Gateway and Secret that a listener of it ends TLS with.

    A Gateway of the Gateway API names the namespace, by default its own; one of Istio looks beside its pods, in
    whatever namespace its selector finds them (istio.io, Gateway ServerTLSSettings credentialName).
    """

    namespace: Annotated[str, "Namespace of the Gateway."]
    kind: Annotated[str, "Gateway."]
    name: Annotated[str, "Name of the Gateway."]
    api: Annotated[str, "gateway.networking.k8s.io or networking.istio.io."]
    secret: Annotated[str, "Name of the Secret as the Gateway writes it."]
    places: Annotated[list[str], "NAMESPACE/NAME where it must lie; empty where that is not known."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for gateway in objects[Gateway]:
            listeners = (gateway.spec.listeners if gateway.spec else None) or ()
            refs = [ref for one in listeners if one.tls for ref in one.tls.certificate_refs or ()]
            found = {(r.namespace, r.name): r.kind in (None, "Secret") and not r.group for r in refs}
            for (namespace, name), known in sorted(found.items(), key=str):
                written = f"{namespace}/{name}" if namespace else name
                place = f"{namespace or gateway.namespace}/{name}"
                yield (gateway.namespace, gateway.kind, gateway.name, gateway.group, written, [place] if known else [])
        for istio in objects[IstioGateway]:
            servers = (istio.spec.servers if istio.spec else None) or ()
            names = {one.tls.credential_name for one in servers if one.tls and one.tls.credential_name}
            beside = _namespaces(objects, istio)
            for name in sorted(names):
                # Other schemes name a store or another cluster's Secret.
                places = [] if "://" in name else [f"{namespace}/{name}" for namespace in beside]
                yield (istio.namespace, istio.kind, istio.name, istio.group, name, places)


def _namespaces(objects: Objects, gateway: IstioGateway) -> list[str]:
    """The namespaces of the pods that serve an Istio Gateway; a selector left out is every proxy: not known."""
    wanted = (gateway.spec.selector if gateway.spec else None) or {}
    return sorted({pod.namespace for pod in objects[Pod] if wanted and wanted.items() <= pod.labels.items()})


@view("gateway_certificates", key=("namespace", "name", "api", "secret"))
class GatewayCertificate(GatewaySecret):
    """The rows of `gateway_secrets`, and whether the Secret is where the gateway looks for it."""

    found: Annotated[bool | None, "It lies in every place; missing where the place is not known."]

    @staticmethod
    def frame(gateway_secrets: pd.DataFrame, secrets: pd.DataFrame) -> pd.DataFrame:
        there = set(secrets["namespace"] + "/" + secrets["name"])
        found = [there.issuperset(places) if places else None for places in gateway_secrets["places"]]
        return gateway_secrets.assign(found=pd.Series(found, index=gateway_secrets.index, dtype="boolean"))
