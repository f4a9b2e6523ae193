"""Certificates wherever a cluster keeps them in public: TLS Secrets, CA bundles, ConfigMaps, answered requests."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.x509 import Certificate, chained, inspect, matches
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds import Kind
from auditkit.kinds.admission import MutatingWebhookConfiguration, ValidatingWebhookConfiguration
from auditkit.kinds.certificates import APIService, CertificateRequest, CertificateSigningRequest, Secret
from auditkit.kinds.network import Ingress
from auditkit.kinds.platform import ConfigMap

_KEY = ("namespace", "kind", "name", "field", "position")
_WEBHOOKS: tuple[type[Any], ...] = (ValidatingWebhookConfiguration, MutatingWebhookConfiguration)
# Of kube-root-ca.crt, which the controller manager copies to every namespace, the first is enough.
_AUTHORITIES = frozenset(
    {
        ("kube-system", "kube-root-ca.crt"),
        ("kube-system", "extension-apiserver-authentication"),
        ("kube-public", "cluster-info"),
    }
)


def days_left(times: pd.Series, origin: pd.DataFrame) -> pd.Series:
    """Days from when the snapshot was taken to these times, negative where they are past; missing where undated."""
    left: pd.Series = (times - origin["taken_at"].iloc[0]).dt.total_seconds() / 86400
    return left.astype("Float64")


class _Columns:
    namespace: Annotated[str, "Namespace of the object that holds it; empty where the object lies in none."]
    kind: Annotated[str, "Kind of the object that holds it."]
    name: Annotated[str, "Name of that object."]
    field: Annotated[str, "Where in the object, e.g. tls.crt."]
    position: Annotated[
        int,
        "Place in that field; in tls.crt, 0 is the certificate that a server shows. Unreadable blocks stand first there.",
    ]
    subject: Annotated[str | None, "Distinguished name of the holder."]
    issuer: Annotated[str | None, "Distinguished name of the issuer."]
    sans: Annotated[list[str], "DNS names and IP addresses that it is good for."]
    serial: Annotated[str | None, "Serial number, hexadecimal."]
    not_before: Annotated[datetime | None, "Valid from."]
    not_after: Annotated[datetime | None, "Valid until."]
    key: Annotated[str | None, "Algorithm and size in bits of the public key, e.g. RSA 2048."]
    signature: Annotated[str | None, "Hash that was signed; empty where the algorithm has its own."]
    usages: Annotated[list[str], "Extended key usages; empty is any."]
    is_ca: Annotated[bool | None, "May sign certificates."]
    self_signed: Annotated[bool | None, "Signed with its own key."]
    weak_key: Annotated[bool | None, "RSA or DSA below 2048 bits, EC below 224."]
    weak_signature: Annotated[
        bool | None, "Signed over MD5 or SHA-1; a self-signed one is trusted without its signature."
    ]
    chained: Annotated[
        bool | None, "At position 0 of tls.crt: all others are issuers of it and of each other; true for one alone."
    ]
    sha256: Annotated[str | None, "Fingerprint, hexadecimal."]
    error: Annotated[str | None, "Why it could not be read."]


@table("tls_certificates", kinds=(Secret,), key=_KEY, options=("secrets", "tls_secrets"))
class TlsCertificate(_Columns):
    """One row per certificate in a Secret of type kubernetes.io/tls; a Secret without a readable one has a row that says so."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for secret in objects[Secret]:
            if secret.type != "kubernetes.io/tls":
                continue
            if secret.certificates is None:
                yield _row(secret, "tls.crt", 0, Certificate(error="not kept: capture with --tls-secrets"))
                continue
            found = [one for pem in secret.certificates for one in inspect(pem)]
            if not found and not secret.unreadable:
                found = [Certificate(error="tls.crt holds no certificate")]
            # Where such a block stood is not kept: it may be the one that the server shows.
            found = [Certificate(error="a block of tls.crt is not a certificate")] * secret.unreadable + found
            whole = chained(found)
            for position, one in enumerate(found):
                yield _row(secret, "tls.crt", position, one, None if position else whole)
            yield from _rows(secret, "ca.crt", secret.ca_certificates or (), secret.ca_unreadable)


@view("served_certificates", key=("namespace", "name"))
class ServedCertificate(_Columns):
    """One row per TLS Secret: the certificate that comes first, which servers show."""

    @staticmethod
    def frame(tls_certificates: pd.DataFrame) -> pd.DataFrame:
        return tls_certificates[(tls_certificates["field"] == "tls.crt") & (tls_certificates["position"] == 0)]


@table("ca_bundles", kinds=(*_WEBHOOKS, APIService), key=_KEY)
class CaBundle(_Columns):
    """One row per certificate by which the API server knows an admission webhook or the server behind an APIService."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for kind in _WEBHOOKS:
            for configuration in objects[kind]:
                for webhook in configuration.webhooks or ():
                    if client := webhook.client_config:
                        field = f"webhooks[{webhook.name}].clientConfig.caBundle"
                        yield from _rows(configuration, field, [client.ca_bundle or ""], client.unreadable)
        for service in objects[APIService]:
            if spec := service.spec:
                yield from _rows(service, "spec.caBundle", [spec.ca_bundle or ""], spec.unreadable)


@table("cluster_authorities", kinds=(ConfigMap,), key=_KEY)
class ClusterAuthority(_Columns):
    """One row per certificate of the cluster's own authorities: those that sign servers, clients and aggregation."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for config in objects[ConfigMap]:
            if (config.namespace, config.name) in _AUTHORITIES:
                found = config.certificates or ()
                yield from _rows(config, "data", found, int(not found))


@table("issued_certificates", kinds=(CertificateSigningRequest, CertificateRequest), key=_KEY)
class IssuedCertificate(_Columns):
    """One row per certificate that was issued for a request, of Kubernetes or of cert-manager."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        requests: tuple[CertificateSigningRequest | CertificateRequest, ...] = (
            *objects[CertificateSigningRequest],
            *objects[CertificateRequest],
        )
        for request in requests:
            status = request.status
            if status and (status.certificate or status.unreadable):
                yield from _rows(request, "status.certificate", [status.certificate or ""], status.unreadable)


def _rows(obj: Kind, field: str, pems: Sequence[str], unreadable: int = 0) -> Iterator[tuple[Any, ...]]:
    found = [one for pem in pems for one in inspect(pem)]
    found += [Certificate(error=f"a block of {field} is not a certificate")] * unreadable
    for position, one in enumerate(found):
        yield _row(obj, field, position, one)


def _row(obj: Kind, field: str, position: int, one: Certificate, whole: bool | None = None) -> tuple[Any, ...]:
    known = not one.error
    key = f"{one.key_algorithm} {one.key_bits}" if one.key_algorithm else None
    return (
        obj.namespace,
        obj.kind,
        obj.name,
        field,
        position,
        one.subject if known else None,
        one.issuer if known else None,
        list(one.sans),
        one.serial or None,
        one.not_before,
        one.not_after,
        key,
        one.signature,
        list(one.usages),
        one.is_ca if known else None,
        one.self_signed if known else None,
        one.weak_key,
        one.weak_signature,
        whole,
        one.sha256 or None,
        one.error or None,
    )


@table("ingress_certificates", kinds=(Ingress,), beside=(Secret,), key=("namespace", "name", "host", "secret"))
class IngressCertificate:
    """One row per host and Secret that an Ingress names under `tls`, and whether clients accept the certificate."""

    namespace: Annotated[str, "Namespace of Ingress and Secret."]
    kind: Annotated[str, "Ingress."]
    name: Annotated[str, "Name of the Ingress."]
    host: Annotated[str, "Host under tls; empty is the controller's default."]
    secret: Annotated[str, "Name of the Secret; empty is the controller's default certificate."]
    sans: Annotated[list[str], "DNS names and IP addresses of the certificate that is served."]
    covered: Annotated[
        bool | None, "The certificate is good for the host; missing where host, Secret or certificate are not known."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        secrets = {(secret.namespace, secret.name): secret for secret in objects[Secret]}
        for ingress in objects[Ingress]:
            entries = (ingress.spec.tls if ingress.spec else None) or ()
            named = {(host, tls.secret_name or "") for tls in entries for host in tls.hosts or [""]}
            for host, name in sorted(named):
                secret = secrets.get((ingress.namespace, name))
                served = _served(secret) if secret else None
                covered = matches(served, host) if served and host else None
                yield (
                    ingress.namespace, ingress.kind, ingress.name, host, name,
                    list(served.sans) if served else [], covered,
                )  # fmt: skip


def _served(secret: Secret) -> Certificate | None:
    """The certificate that a server shows; None where the Secret's first one is not sure or cannot be read."""
    found = inspect((secret.certificates or [""])[0])
    return found[0] if found and not found[0].error and not secret.unreadable else None


@view("certificates", key=_KEY)
class AnyCertificate(_Columns):
    """Every certificate of the tables tls_certificates, ca_bundles, cluster_authorities and issued_certificates."""

    days_left: Annotated[float | None, "Days from when the snapshot was taken until it ends; negative where it has."]
    faults: Annotated[list[str], "What is wrong with it: unreadable, expired, not yet valid, weak key, ..."]

    @staticmethod
    def frame(
        tls_certificates: pd.DataFrame,
        ca_bundles: pd.DataFrame,
        cluster_authorities: pd.DataFrame,
        issued_certificates: pd.DataFrame,
        origin: pd.DataFrame,
    ) -> pd.DataFrame:
        parts = [tls_certificates, ca_bundles, cluster_authorities, issued_certificates]
        found = pd.concat(parts, ignore_index=True)
        left = days_left(found["not_after"], origin)
        signs = {
            "unreadable": found["error"].notna(),
            "expired": left < 0,
            "not yet valid": days_left(found["not_before"], origin) > 0,
            "weak key": found["weak_key"],
            "weak signature": found["weak_signature"],
            "broken chain": ~found["chained"],
            "authority as server": (found["position"] == 0) & (found["field"] == "tls.crt") & found["is_ca"],
        }
        faults: list[list[str]] = [[] for _ in range(len(found))]
        for fault, sign in signs.items():
            for i in sign.fillna(False).to_numpy(dtype=bool).nonzero()[0]:
                faults[i].append(fault)
        return found.assign(days_left=left, faults=pd.Series(faults, index=found.index, dtype="object"))
