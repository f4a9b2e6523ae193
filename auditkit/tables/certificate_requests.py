"""Who asked for certificates, of whom, and what became of it: Kubernetes' requests, cert-manager, aggregated APIs."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from auditkit.analysis.x509 import inspect
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.certificates import (
    APIService,
    APIServiceSpec,
    Certificate,
    CertificateSigningRequest,
    CertificateSpec,
    CertificateStatus,
    ClusterIssuer,
    Condition,
    Issuer,
    IssuerSpec,
    RequestedSubject,
    SigningRequestSpec,
    SigningRequestStatus,
)


def _condition(conditions: Sequence[Condition] | None, type_: str) -> Condition | None:
    return next((one for one in conditions or () if one.type == type_), None)


def _holds(condition: Condition | None) -> bool | None:
    """Whether a condition is True; None where it is Unknown or not there."""
    return {"True": True, "False": False}.get(condition.status) if condition else None


@table("certificate_requests", kinds=(CertificateSigningRequest,), key=("name",))
class SigningRequestRow:
    """One row per CertificateSigningRequest that is still there; the cluster deletes old ones by itself.

    (k8s.io/kubernetes/pkg/controller/certificates/cleaner: approved and denied after an hour, pending after a day.)
    """

    namespace: Annotated[str, "Empty: requests lie in no namespace."]
    kind: Annotated[str, "CertificateSigningRequest."]
    name: Annotated[str, "Name of the request."]
    signer: Annotated[str | None, "spec.signerName."]
    requester: Annotated[str | None, "User who asked, by the API server."]
    subject: Annotated[str | None, "Common name asked for (judged at capture): to the API server, the user."]
    organizations: Annotated[list[str], "Organizations asked for (judged at capture): to the API server, groups."]
    usages: Annotated[list[str], "Usages asked for."]
    state: Annotated[str, "Pending, Approved, Denied or Failed."]
    reason: Annotated[str | None, "Reason given with the state."]
    decided: Annotated[datetime | None, "When it was approved or denied."]
    issued: Annotated[bool | None, "A certificate was made; missing where it was approved and none is there yet."]
    user_certificate: Annotated[
        bool | None,
        "Its signer makes certificates by which clients other than kubelets log in; missing where that is not known.",
    ]
    lifetime_days: Annotated[
        float | None, "Days from start to end of what was issued; as asked for where nothing was yet."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for request in objects[CertificateSigningRequest]:
            spec, status = request.spec or SigningRequestSpec(), request.status or SigningRequestStatus()
            subject = spec.subject or RequestedSubject()
            # Denied and Failed win: neither is ever issued (certificates/v1 types.go).
            order = ("Denied", "Failed", "Approved")
            decision = next((one for type_ in order if (one := _condition(status.conditions, type_))), Condition())
            yield (
                "",
                request.kind,
                request.name,
                spec.signer_name,
                spec.username,
                subject.common_name,
                list(subject.organizations or ()),
                list(spec.usages or ()),
                decision.type or "Pending",
                decision.reason,
                decision.last_transition_time,
                True if status.certificate or status.unreadable else None if decision.type == "Approved" else False,
                _user_certificate(spec),
                _lifetime(spec, status),
            )


def _user_certificate(spec: SigningRequestSpec) -> bool | None:
    """By the signer (kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests)."""
    if spec.signer_name == "kubernetes.io/kube-apiserver-client":
        return True
    # It promises nothing, and by default signs with the authority that the API server trusts.
    unclear = spec.signer_name in (None, "kubernetes.io/legacy-unknown") and "client auth" in (spec.usages or ())
    return None if unclear else False


def _lifetime(spec: SigningRequestSpec, status: SigningRequestStatus) -> float | None:
    issued = inspect(status.certificate or "")[:1]
    if issued and issued[0].not_before and issued[0].not_after:
        return (issued[0].not_after - issued[0].not_before).total_seconds() / 86400
    if issued or status.unreadable:
        return None
    return None if spec.expiration_seconds is None else spec.expiration_seconds / 86400


@table("cert_manager_certificates", kinds=(Certificate,), key=("namespace", "name"))
class CertManagerCertificate:
    """One row per Certificate of cert-manager: what it keeps, and whether it is up to date."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Certificate."]
    name: Annotated[str, "Name of the Certificate."]
    secret: Annotated[str | None, "Secret that it keeps."]
    issuer: Annotated[str | None, "Kind and name of the issuer, e.g. ClusterIssuer/letsencrypt."]
    names: Annotated[list[str], "DNS names and IP addresses."]
    is_ca: Annotated[bool, "Asks for a certificate that may sign others."]
    ready: Annotated[bool | None, "Condition Ready; missing where it is Unknown or not reported."]
    reason: Annotated[str | None, "Reason of that condition."]
    not_after: Annotated[datetime | None, "Valid until."]
    renewal_time: Annotated[datetime | None, "When cert-manager is to renew it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Certificate]:
            spec, status = found.spec or CertificateSpec(), found.status or CertificateStatus()
            ready, issuer = _condition(status.conditions, "Ready"), spec.issuer_ref
            yield (
                found.namespace,
                found.kind,
                found.name,
                spec.secret_name,
                f"{issuer.kind or 'Issuer'}/{issuer.name}" if issuer else None,
                [*(spec.dns_names or ()), *(spec.ip_addresses or ())],
                bool(spec.is_ca),
                _holds(ready),
                ready.reason if ready else None,
                status.not_after,
                status.renewal_time,
            )


@table("certificate_issuers", kinds=(Issuer, ClusterIssuer), key=("namespace", "kind", "name"))
class IssuerRow:
    """One row per Issuer and ClusterIssuer of cert-manager."""

    namespace: Annotated[str, "Namespace of an Issuer; empty for a ClusterIssuer."]
    kind: Annotated[str, "Issuer or ClusterIssuer."]
    name: Annotated[str, "Name of the issuer."]
    type: Annotated[str | None, "acme, ca, selfSigned, vault or venafi; missing where it is another."]
    self_signed: Annotated[bool | None, "Each certificate is signed with its own key: nobody vouches for it."]
    ready: Annotated[bool | None, "Condition Ready; missing where it is Unknown or not reported."]
    reason: Annotated[str | None, "Reason of that condition."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        issuers: tuple[Issuer | ClusterIssuer, ...] = (*objects[Issuer], *objects[ClusterIssuer])
        for found in issuers:
            spec = found.spec or IssuerSpec()
            types = {
                "acme": spec.acme,
                "ca": spec.ca,
                "selfSigned": spec.self_signed,
                "vault": spec.vault,
                "venafi": spec.venafi,
            }
            type_ = next((name for name, value in types.items() if value is not None), None)
            ready = _condition(found.status.conditions if found.status else None, "Ready")
            self_signed = type_ == "selfSigned" if type_ else None
            yield (
                found.namespace, found.kind, found.name, type_, self_signed,
                _holds(ready), ready.reason if ready else None,
            )  # fmt: skip


@table("api_services", kinds=(APIService,), key=("name",))
class AggregatedApi:
    """One row per APIService that another server answers; those of the API server itself are left out."""

    namespace: Annotated[str, "Empty: APIServices lie in no namespace."]
    kind: Annotated[str, "APIService."]
    name: Annotated[str, "Name, e.g. v1beta1.metrics.k8s.io."]
    service: Annotated[str, "NAMESPACE/NAME of the Service that requests are passed to."]
    unverified: Annotated[bool, "insecureSkipTLSVerify: whoever answers is believed."]
    available: Annotated[bool | None, "Condition Available; missing where it is Unknown or not reported."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[APIService]:
            spec = found.spec or APIServiceSpec()
            if spec.service:
                service = f"{spec.service.namespace}/{spec.service.name}"
                available = _condition(found.status.conditions if found.status else None, "Available")
                yield ("", found.kind, found.name, service, bool(spec.insecure_skip_tls_verify), _holds(available))
