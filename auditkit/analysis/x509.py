"""Certificates: what they say, whether they form a chain, and which hosts they are good for."""

import ipaddress
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID

_BEGIN, _END = b"-----BEGIN CERTIFICATE-----", b"-----END CERTIFICATE-----"
# As certificates.k8s.io/v1 KeyUsage names them.
_USAGES = {
    ExtendedKeyUsageOID.SERVER_AUTH: "server auth",
    ExtendedKeyUsageOID.CLIENT_AUTH: "client auth",
    ExtendedKeyUsageOID.CODE_SIGNING: "code signing",
    ExtendedKeyUsageOID.EMAIL_PROTECTION: "email protection",
    ExtendedKeyUsageOID.TIME_STAMPING: "timestamping",
    ExtendedKeyUsageOID.OCSP_SIGNING: "ocsp signing",
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
    `may_sign` is whether the key usage lets it sign certificates, `path_length` how many authorities may follow it.
    """

    subject: str = ""
    issuer: str = ""
    dns_names: tuple[str, ...] = ()
    ip_addresses: tuple[str, ...] = ()
    other_names: tuple[str, ...] = ()
    serial: str = ""
    not_before: datetime | None = None
    not_after: datetime | None = None
    key_algorithm: str | None = None
    key_bits: int | None = None
    signature: str | None = None
    is_ca: bool = False
    may_sign: bool = False
    path_length: int | None = None
    usages: tuple[str, ...] = ()
    sha256: str = ""
    self_signed: bool = False
    error: str = ""
    parsed: x509.Certificate | None = field(default=None, repr=False, compare=False)

    @property
    def sans(self) -> tuple[str, ...]:
        """The subject alternative names: DNS names, IP addresses, then URIs and mail addresses."""
        return self.dns_names + self.ip_addresses + self.other_names

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


def inspect(pem: str | bytes) -> list[Certificate]:
    """The certificates of a PEM text in its order; a block that is none, or a text without any, has `error`."""
    text = pem.encode(errors="replace") if isinstance(pem, str) else pem
    parts = (part.partition(_END) for part in text.split(_BEGIN)[1:])
    found = [_inspect(_BEGIN + body + end) for body, end, _ in parts]
    return found or ([Certificate(error="holds no certificate")] if text.strip() else [])


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
    dns_names, addresses, others = _names(extensions.get(ExtensionOID.SUBJECT_ALTERNATIVE_NAME, ()))
    constraints = extensions.get(ExtensionOID.BASIC_CONSTRAINTS)
    key_usage = extensions.get(ExtensionOID.KEY_USAGE)
    usages = extensions.get(ExtensionOID.EXTENDED_KEY_USAGE, ())
    algorithm, bits = _key(found)
    return Certificate(
        subject=found.subject.rfc4514_string(),
        issuer=found.issuer.rfc4514_string(),
        dns_names=dns_names,
        ip_addresses=addresses,
        other_names=others,
        serial=f"{found.serial_number:x}",
        not_before=found.not_valid_before_utc,
        not_after=found.not_valid_after_utc,
        key_algorithm=algorithm,
        key_bits=bits,
        signature=_signature(found),
        is_ca=bool(constraints and constraints.ca),
        may_sign=bool(key_usage is None or key_usage.key_cert_sign),
        path_length=constraints.path_length if constraints else None,
        usages=tuple(_USAGES.get(usage, usage.dotted_string) for usage in usages),
        sha256=found.fingerprint(hashes.SHA256()).hex(),
        self_signed=found.subject == found.issuer and _issued(found, found) is not False,
        parsed=found,
    )


def _names(names: Iterable[x509.GeneralName]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """DNS names in lower case, IP addresses, URIs and mail addresses."""
    dns: list[str] = []
    addresses: list[str] = []
    others: list[str] = []
    for name in names:
        if isinstance(name, x509.DNSName):
            dns.append(name.value.lower())
        elif isinstance(name, x509.IPAddress):
            addresses.append(_plain(name.value))
        elif isinstance(name, x509.UniformResourceIdentifier | x509.RFC822Name):
            others.append(name.value)
    return tuple(dns), tuple(addresses), tuple(others)


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

    An issuer is an authority whose name and key the certificate below it was signed with, whose key usage lets it
    sign certificates, and whose path length lets that many authorities follow (RFC 5280 section 6.1).
    """
    path = list(certificates[:1])
    rest = [one for one in certificates[1:] if one.parsed and one.is_ca and one.may_sign]
    while path and path[-1].parsed and not path[-1].self_signed:
        below, between = path[-1].parsed, len(path) - 1
        above = next((one for one in rest if one not in path and _above(one, below, between)), None)
        if above is None:
            break
        path.append(above)
    return path


def _above(one: Certificate, below: x509.Certificate, between: int) -> bool:
    long_enough = one.path_length is None or one.path_length >= between
    return long_enough and one.parsed is not None and bool(_issued(one.parsed, below))


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
    """Whether TLS clients accept a certificate for a host name or an IP address (RFC 9525; Go's VerifyHostname).

    Only subject alternative names count, the common name does not; an address needs an IP name. Case and one last
    dot of the host do not matter, names in other scripts are compared in their ASCII form (IDNA). `*` stands for
    exactly one left-most label and is followed by at least two more (as OpenSSL and browsers have it, where Go is
    laxer); a host `*.example.org` needs that very name.
    """
    try:
        return _plain(ipaddress.ip_address(host.removeprefix("[").removesuffix("]"))) in certificate.ip_addresses
    except ValueError:
        pass
    try:
        labels = (host if host.isascii() else host.encode("idna").decode()).lower().removesuffix(".").split(".")
    except UnicodeError:
        return False
    return all(labels) and any(_named(name.split("."), labels) for name in certificate.dns_names)


def _named(pattern: list[str], labels: list[str]) -> bool:
    if pattern[0] == "*" and len(pattern) > 2:
        return len(pattern) == len(labels) and pattern[1:] == labels[1:]
    return pattern == labels and "*" not in labels


def _plain(address: IPv4Address | IPv6Address | ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    """The address as text; ::ffff:192.0.2.1 is 192.0.2.1."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return str(mapped or address)


def faults(
    certificates: Sequence[Certificate],
    *,
    at: datetime,
    hosts: Iterable[str] = (),
    within: timedelta = timedelta(days=30),
) -> tuple[str, ...]:
    """What is wrong at a time with the certificates that a server shows for these hosts, its own one first.

    Of unreadable, expired, expiring (`within` that time), not yet valid, weak key, weak signature, name mismatch,
    broken chain, authority as server: in that order, each once. What cannot be judged is no fault: see `weak_key`,
    `weak_signature` and `chained`. No certificate at all is unreadable.
    """
    read = [one for one in certificates if not one.error]
    ends = [one.not_after for one in read if one.not_after]
    leaf = read[0] if read and read[0] is certificates[0] else None
    signs = {
        "unreadable": len(read) < max(len(certificates), 1),
        "expired": any(end < at for end in ends),
        "expiring": any(at <= end < at + within for end in ends),
        "not yet valid": any(one.not_before > at for one in read if one.not_before),
        "weak key": any(one.weak_key for one in read),
        "weak signature": any(one.weak_signature for one in read),
        "name mismatch": leaf is not None and not all(matches(leaf, host) for host in hosts),
        "broken chain": chained(certificates) is False,
        "authority as server": leaf is not None and leaf.is_ca,
    }
    return tuple(fault for fault, found in signs.items() if found)
