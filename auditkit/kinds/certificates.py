"""Secrets, certificates and who asked for them: public parts only, private keys are never decoded."""

import base64
import binascii
import re
from collections.abc import Collection
from datetime import datetime

import msgspec

from auditkit.kinds.base import Closed, Kind, Present, Struct

_BEGIN, _END = (re.compile(rf"-----{word} (?:TRUSTED |X509 )?CERTIFICATE-----") for word in ("BEGIN", "END"))
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def public_certificates(text: str) -> tuple[list[str], int]:
    """The certificates of a text as canonical PEM, each once and in order, and how many blocks are none, or have no end.

    What is not shaped as a DER certificate is dropped: somebody may have put a key between the markers.
    """
    blocks = [_END.split(block, maxsplit=1) for block in _BEGIN.split(text)[1:]]
    found = [_certificate(body) if rest else None for body, *rest in blocks]
    return list(dict.fromkeys(pem for pem in found if pem)), found.count(None)


def _certificate(body: str) -> str | None:
    """A block as PEM, where its content is a SEQUENCE of its own length that begins with a SEQUENCE.

    (RFC 5280 section 4.1; the private keys of PKCS #1, PKCS #8 and SEC 1 begin with an INTEGER.)
    """
    try:
        der = base64.b64decode("".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(der) < 8 or der[0] != 0x30 or not der[1] & 0x80:
        return None
    size = der[1] & 0x7F
    if 2 + size + int.from_bytes(der[2 : 2 + size], "big") != len(der) or der[2 + size : 3 + size] != b"\x30":
        return None
    lines = base64.encodebytes(der).decode().replace("\n", "")
    wrapped = "\n".join(lines[i : i + 64] for i in range(0, len(lines), 64))
    return f"-----BEGIN CERTIFICATE-----\n{wrapped}\n-----END CERTIFICATE-----"


def _decoded(value: str | None) -> str:
    """The text of a base64 value; empty where it is none."""
    try:
        return base64.b64decode(value or "", validate=True).decode("utf-8", errors="replace")
    except (binascii.Error, ValueError):
        return ""


class _Data(Struct):
    """The keys of a Secret's data that are judged; all others, tls.key among them, are never decoded."""

    certificate: str | None = msgspec.field(default=None, name="tls.crt")
    ca: str | None = msgspec.field(default=None, name="ca.crt")
    expiration: str | None = None
    authentication: str | None = msgspec.field(default=None, name="usage-bootstrap-authentication")
    signing: str | None = msgspec.field(default=None, name="usage-bootstrap-signing")
    groups: str | None = msgspec.field(default=None, name="auth-extra-groups")


class BootstrapToken(Struct):
    """What a bootstrap token allows and until when (k8s.io/cluster-bootstrap/token/api/types.go)."""

    expiration: datetime | None = None
    expiration_unreadable: bool = False
    authentication: bool = False
    signing: bool = False
    groups: list[str] | None = None


class Secret(Kind):
    """Metadata and type; with leave, the public certificates of a TLS Secret and the facts of a bootstrap token.

    `certificates` are those of tls.crt as PEM (empty: it holds none), `ca_certificates` those of ca.crt;
    None is not kept. `unreadable` and `ca_unreadable` count their blocks that are no certificate. No values, no names of keys.
    """

    plural, kind = "secrets", "Secret"
    type: str | None = None
    immutable: bool | None = None
    data: _Data | None = None
    string_data: _Data | None = None
    certificates: list[str] | None = None
    ca_certificates: list[str] | None = None
    unreadable: int = 0
    ca_unreadable: int = 0
    bootstrap: BootstrapToken | None = None

    def __post_init__(self) -> None:
        if self.data or self.string_data:
            values = _texts(self.data, self.string_data)
            if self.type == "kubernetes.io/tls":
                self.certificates, self.unreadable = public_certificates(values["certificate"])
                found, faults = public_certificates(values["ca"])
                self.ca_certificates, self.ca_unreadable = (
                    found or None,
                    faults or int(bool(values["ca"]) and not found),
                )
            elif self.type == "bootstrap.kubernetes.io/token":
                self.bootstrap = _bootstrap(values)
        self.data = self.string_data = None

    def as_metadata(self, types: Collection[str]) -> "Secret":
        """This Secret as lists of metadata by `types` show it: metadata, and the type where it is one of them."""
        return Secret(metadata=self.metadata, type=self.type if self.type in types else None)


def _texts(data: _Data | None, string_data: _Data | None) -> dict[str, str]:
    """The judged values as text; stringData overrides data, as the API server does."""
    encoded, plain = data or _Data(), string_data or _Data()
    return {
        name: _decoded(getattr(encoded, name)) if getattr(plain, name) is None else getattr(plain, name)
        for name in _Data.__struct_fields__
    }


def _bootstrap(values: dict[str, str]) -> BootstrapToken:
    expiration = values["expiration"]
    readable = bool(_RFC3339.fullmatch(expiration))
    try:
        expires = datetime.fromisoformat(expiration) if readable else None
    except ValueError:
        expires = None
    groups = [group.strip() for group in values["groups"].split(",") if group.strip()]
    return BootstrapToken(
        expiration=expires,
        expiration_unreadable=bool(expiration) and expires is None,
        authentication=values["authentication"] == "true",
        signing=values["signing"] == "true",
        groups=groups or None,
    )


class Condition(Struct):
    """A status condition without its message."""

    type: str = ""
    status: str = ""
    reason: str | None = None
    last_transition_time: datetime | None = None


class RequestedSubject(Struct):
    """Whom a certificate is asked for: to the API server a user and the user's groups."""

    common_name: str | None = None
    organizations: list[str] | None = None


class SigningRequestSpec(Struct):
    """spec of a CertificateSigningRequest; of the request its subject, judged at capture (missing: unreadable)."""

    signer_name: str | None = None
    username: str | None = None
    groups: list[str] | None = None
    usages: list[str] | None = None
    expiration_seconds: int | None = None
    request: str | None = None
    subject: RequestedSubject | None = None

    def __post_init__(self) -> None:
        if self.request is not None:
            self.subject, self.request = _subject(_decoded(self.request)), None


class SigningRequestStatus(Struct):
    """status of a request; `certificate`, as PEM, is what was issued."""

    conditions: list[Condition] | None = None
    certificate: str | None = None
    unreadable: int = 0

    def __post_init__(self) -> None:
        self.certificate, self.unreadable = bundle(self.certificate, self.unreadable)


class CertificateSigningRequest(Kind):
    group, plural, kind = "certificates.k8s.io", "certificatesigningrequests", "CertificateSigningRequest"
    namespaced = False
    spec: SigningRequestSpec | None = None
    status: SigningRequestStatus | None = None


def _subject(pem: str) -> RequestedSubject | None:
    # Imported where it is used: few clusters have such requests, and every command loads this module.
    from cryptography import x509

    try:
        subject = x509.load_pem_x509_csr(pem.encode()).subject
    except ValueError:
        return None
    names = [str(one.value) for one in subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    groups = [str(one.value) for one in subject.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)]
    return RequestedSubject(common_name=names[0] if names else None, organizations=groups or None)


def bundle(value: str | None, unreadable: int) -> tuple[str | None, int]:
    """A base64 bundle as PEM and the number of its blocks that are no certificate; one that was judged stays."""
    if not value or value.startswith("-----BEGIN CERTIFICATE-----"):
        return value or None, unreadable
    found, faults = public_certificates(_decoded(value))
    return "\n".join(found) or None, faults or int(not found)


class IssuerRef(Struct):
    group: str | None = None
    kind: str | None = None
    name: str = ""


class PrivateKeySpec(Struct):
    algorithm: str | None = None
    size: int | None = None
    rotation_policy: str | None = None


class CertificateSpec(Struct):
    secret_name: str | None = None
    common_name: str | None = None
    dns_names: list[str] | None = None
    ip_addresses: list[str] | None = None
    is_ca: bool | None = msgspec.field(default=None, name="isCA")
    usages: list[str] | None = None
    duration: str | None = None
    renew_before: str | None = None
    issuer_ref: IssuerRef | None = None
    private_key: PrivateKeySpec | None = None


class CertificateStatus(Struct):
    conditions: list[Condition] | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    renewal_time: datetime | None = None


class Certificate(Kind):
    group, plural, kind = "cert-manager.io", "certificates", "Certificate"
    spec: CertificateSpec | None = None
    status: CertificateStatus | None = None


class CertificateRequestSpec(Struct):
    issuer_ref: IssuerRef | None = None
    username: str | None = None
    is_ca: bool | None = msgspec.field(default=None, name="isCA")
    usages: list[str] | None = None


class CertificateRequest(Kind):
    group, plural, kind = "cert-manager.io", "certificaterequests", "CertificateRequest"
    spec: CertificateRequestSpec | None = None
    status: SigningRequestStatus | None = None


class OrderStatus(Struct):
    state: str | None = None


class Order(Kind):
    """What an ACME authority was asked to sign, and what became of it (cert-manager, acme/v1 State)."""

    group, plural, kind = "acme.cert-manager.io", "orders", "Order"
    status: OrderStatus | None = None


class CAIssuer(Struct):
    secret_name: str | None = None


class IssuerSpec(Closed):
    """spec of an issuer: which of cert-manager's types it is."""

    acme: Present | None = None
    ca: CAIssuer | None = None
    self_signed: Present | None = None
    vault: Present | None = None
    venafi: Present | None = None


class IssuerStatus(Struct):
    conditions: list[Condition] | None = None


class Issuer(Kind):
    group, plural, kind = "cert-manager.io", "issuers", "Issuer"
    spec: IssuerSpec | None = None
    status: IssuerStatus | None = None


class ClusterIssuer(Kind):
    group, plural, kind, namespaced = "cert-manager.io", "clusterissuers", "ClusterIssuer", False
    spec: IssuerSpec | None = None
    status: IssuerStatus | None = None


class APIServiceReference(Struct):
    namespace: str | None = None
    name: str | None = None
    port: int | None = None


class APIServiceSpec(Struct):
    """spec of an APIService; without `service` the API server itself answers. Of caBundle the certificates, as PEM."""

    service: APIServiceReference | None = None
    group: str | None = None
    version: str | None = None
    insecure_skip_tls_verify: bool | None = msgspec.field(default=None, name="insecureSkipTLSVerify")
    ca_bundle: str | None = None
    unreadable: int = 0

    def __post_init__(self) -> None:
        self.ca_bundle, self.unreadable = bundle(self.ca_bundle, self.unreadable)


class APIServiceStatus(Struct):
    conditions: list[Condition] | None = None


class APIService(Kind):
    group, plural, kind, namespaced = "apiregistration.k8s.io", "apiservices", "APIService", False
    spec: APIServiceSpec | None = None
    status: APIServiceStatus | None = None
