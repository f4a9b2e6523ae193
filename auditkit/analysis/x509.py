"""Certificates: what they say, whether they form a chain, and which hosts they are good for."""

import hashlib
import ipaddress
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

_PEM = re.compile(rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server auth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client auth",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE: "any",
}
# NIST SP 800-131A rev. 2: below 112 bits of strength, and hashes of which collisions can be made.
_SMALLEST = {"RSA": 2048, "DSA": 2048, "EC": 224}
_WEAK_HASHES = frozenset({"md5", "sha1"})
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """One certificate; where it cannot be read, `error` says why and the rest is empty.

    Times are UTC. `key_bits` is the size of an RSA modulus or of a curve's field. `signature` is the hash that was
    signed, "" where the algorithm has its own (Ed25519). An algorithm that is not known is None. `usages` are
    the extended key usages, empty where they are not restricted; `sha256` is the fingerprint in hexadecimal.
    """

    subject: str = ""
    issuer: str = ""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    serial: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    key_algorithm: str | None = None
    key_bits: int | None = None
    signature: str | None = None
    is_ca: bool = False
    usages: tuple[str, ...] = ()
    sha256: str = ""
    self_signed: bool = False
    error: str = ""
    parsed: x509.Certificate | None = field(default=None, repr=False, compare=False)

    @property
    def sans(self) -> tuple[str, ...]:
        """The names that clients look at: DNS names, then IP addresses."""
        return self.dns_names + self.ip_addresses

    @property
    def weak_key(self) -> bool | None:
        """Whether the key is shorter than RSA or DSA 2048, EC 224; None where its algorithm is not known."""
        if self.key_algorithm is None or self.key_bits is None:
            return None
        return self.key_bits < _SMALLEST.get(self.key_algorithm, 0)

    @property
    def weak_signature(self) -> bool | None:
        """Whether it is signed over MD5 or SHA-1; of a self-signed certificate nobody relies on the signature."""
        if self.self_signed:
            return False
        return None if self.signature is None else self.signature in _WEAK_HASHES


def inspect(pem: str) -> list[Certificate]:
    """The certificates of a PEM text in its order; a block that is none is a Certificate with `error`."""
    return [_inspect(block) for block in _PEM.findall(pem.encode())]


# The same authorities stand in many places of a cluster.
@lru_cache(maxsize=4096)
def _inspect(block: bytes) -> Certificate:
    with warnings.catch_warnings():
        # The library warns of odd serials, versions and encodings: what it can read is told, not judged.
        warnings.simplefilter("ignore")
        try:
            return _certificate(x509.load_pem_x509_certificate(block))
        except _UNREADABLE as error:
            return Certificate(error=f"not a certificate: {' '.join(str(error).split())[:120]}")


def _certificate(found: x509.Certificate) -> Certificate:
    extensions = {extension.oid: extension.value for extension in found.extensions}
    names = extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, x509.SubjectAlternativeName([]))
    constraints = extensions.get(ExtensionOID.BASIC_CONSTRAINTS)
    usages = extensions.get(ExtensionOID.EXTENDED_KEY_USAGE, ())
    algorithm, bits = _key(found)
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        dns_names=tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)),
        ip_addresses=tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        serial=f"{found.serial_number:x}",
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        key_algorithm=algorithm,
        key_bits=bits,
        signature=_signature(found),
        is_ca=bool(constraints and constraints.ca),
        usages=tuple(_USAGES.get(usage, usage.dotted_string) for usage in usages),
        sha256=hashlib.sha256(found.public_bytes(Encoding.DER)).hexdigest(),
        self_signed=found.subject == found.issuer and _issued(found, found) is not False,
        parsed=found,
    )


def _key(found: x509.Certificate) -> tuple[str | None, int | None]:
    try:
        key = found.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None, None
    if isinstance(key, rsa.RSAPublicKey):
        return "RSA", key.key_size
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "EC", key.key_size
    if isinstance(key, dsa.DSAPublicKey):
        return "DSA", key.key_size
    if isinstance(key, ed25519.Ed25519PublicKey):
        return "Ed25519", 255
    if isinstance(key, ed448.Ed448PublicKey):
        return "Ed448", 448
    return None, None


def _signature(found: x509.Certificate) -> str | None:
    try:
        algorithm = found.signature_hash_algorithm
    except (ValueError, UnsupportedAlgorithm):
        return None
    return algorithm.name if algorithm else ""


def _issued(issuer: x509.Certificate, found: x509.Certificate) -> bool | None:
    """Whether `issuer` signed a certificate: names and signature agree; None where the algorithm is not known."""
    if found.issuer != issuer.subject:
        return False
    try:
        found.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    return True


def chain(certificates: Sequence[Certificate]) -> list[Certificate]:
    """The first certificate and, as far as they are among the others, in any order, its issuers one by one.

    An issuer is a CA whose name and key the certificate below it was signed with (RFC 5280 section 6.1).
    """
    path = list(certificates[:1])
    rest = [one for one in certificates[1:] if one.parsed and one.is_ca]
    while path and path[-1].parsed and not path[-1].self_signed:
        below = path[-1].parsed
        above = next((one for one in rest if one.parsed and one not in path and _issued(one.parsed, below)), None)
        if above is None:
            break
        path.append(above)
    return path


def chained(certificates: Sequence[Certificate]) -> bool | None:
    """Whether all certificates lie on the way from the first to its authority; None where one cannot be judged.

    It cannot where one is unreadable, or the library does not verify its signature's algorithm, as SHA-1.
    """
    if not certificates or any(one.error or one.signature is None for one in certificates):
        return None
    path = chain(certificates)
    if len(path) == len(certificates):
        return True
    below, others = path[-1].parsed, [one.parsed for one in certificates if one not in path and one.is_ca]
    return None if any(above and below and _issued(above, below) is None for above in others) else False


def matches(certificate: Certificate, host: str) -> bool:
    """Whether TLS clients accept a certificate for a host name or an IP address (RFC 9525, RFC 6125).

    Only subject alternative names count, the common name does not. `*` stands for exactly one left-most label
    and is followed by at least two more (as OpenSSL has it); a host `*.example.org` needs that very name.
    """
    try:
        return str(ipaddress.ip_address(host.strip("[]"))) in certificate.ip_addresses
    except ValueError:
        pass
    labels = host.lower().removesuffix(".").split(".")
    return all(labels) and any(_named(name.removesuffix(".").split("."), labels) for name in certificate.dns_names)


def _named(pattern: list[str], labels: list[str]) -> bool:
    if pattern[0] == "*" and len(pattern) > 2:
        return len(pattern) == len(labels) and pattern[1:] == labels[1:]
    return pattern == labels and "*" not in labels
