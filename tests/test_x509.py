"""Certificates: what is read of them, chains, hosts and faults, on certificates made here."""

import base64
from datetime import UTC, datetime, timedelta
from functools import cache
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from auditkit.analysis.x509 import Certificate, chain, chained, faults, inspect, matches

AT = datetime(2026, 10, 31, tzinfo=UTC)


@cache
def key(name, kind="P-256"):
    """A key of its own for each name."""
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind[3:]))
    if kind == "Ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key({"P-256": ec.SECP256R1(), "P-192": ec.SECP192R1(), "P-384": ec.SECP384R1()}[kind])


def distinguished(name):
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ex"), x509.NameAttribute(NameOID.COMMON_NAME, name)]
    )


def pem(
    name, issuer=None, *, kind="P-256", names=(), ca=False, path=None, signs=None, usages=(), days=(-10, 80), sha=None,
    issuer_kind="P-256",
):  # fmt: skip
    """A certificate of `name` signed by `issuer`, itself where none is given; valid for `days` from AT."""
    signer = key(issuer or name, issuer_kind if issuer else kind)
    builder = x509.CertificateBuilder(
        distinguished(issuer or name), distinguished(name), key(name, kind).public_key(), 0x10AB,
        AT + timedelta(days=days[0]), AT + timedelta(days=days[1]),
    ).add_extension(x509.BasicConstraints(ca=ca, path_length=path), critical=True)  # fmt: skip
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usages:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    if signs is not None:
        usage = x509.KeyUsage(True, False, False, False, False, signs, signs, False, False)
        builder = builder.add_extension(usage, critical=True)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else sha or hashes.SHA256()
    return builder.sign(signer, digest).public_bytes(Encoding.PEM).decode()


def with_rsa_hash(text, number):
    """The certificate said to be signed with another hash: sha1WithRSAEncryption is 5, md5 4 (RFC 8017 A.2.4)."""
    der = x509.load_pem_x509_certificate(text.encode()).public_bytes(Encoding.DER)
    oid = bytes.fromhex("2a864886f70d0101")
    changed = base64.encodebytes(der.replace(oid + b"\x0b", oid + bytes([number]))).decode()
    return f"-----BEGIN CERTIFICATE-----\n{changed}-----END CERTIFICATE-----\n"


def dns(*names):
    return [x509.DNSName(name) for name in names]


def one(*args, **kwargs):
    (found,) = inspect(pem(*args, **kwargs))
    return found


def test_what_is_read():
    names = [
        *dns("App.example.org"), x509.IPAddress(ip_address("10.0.0.1")),
        x509.UniformResourceIdentifier("spiffe://example.org/app"),
    ]  # fmt: skip
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.TIME_STAMPING]
    text = pem("app", "ca", names=names, usages=usages)
    (found,) = inspect(text)
    loaded = x509.load_pem_x509_certificate(text.encode())
    assert found == Certificate(
        subject="CN=app,O=Ex",
        issuer="CN=ca,O=Ex",
        dns_names=("app.example.org",),
        ip_addresses=("10.0.0.1",),
        other_names=("spiffe://example.org/app",),
        serial="10ab",
        not_before=AT - timedelta(days=10),
        not_after=AT + timedelta(days=80),
        key_algorithm="EC",
        key_bits=256,
        signature="sha256",
        may_sign=True,
        usages=("server auth", "timestamping"),
        sha256=loaded.fingerprint(hashes.SHA256()).hex(),
    )
    assert found.sans == ("app.example.org", "10.0.0.1", "spiffe://example.org/app")
    assert found.not_after.tzinfo is UTC


@pytest.mark.parametrize(
    ("kind", "algorithm", "bits", "weak"),
    [
        ("RSA2048", "RSA", 2048, False),
        ("RSA1024", "RSA", 1024, True),
        ("P-256", "EC", 256, False),
        ("P-192", "EC", 192, True),
        ("Ed25519", "Ed25519", 255, False),
    ],
)
def test_keys(kind, algorithm, bits, weak):
    found = one("k", kind=kind)
    assert (found.key_algorithm, found.key_bits, found.weak_key) == (algorithm, bits, weak)
    assert found.self_signed


@pytest.mark.parametrize(("number", "name", "weak"), [(4, "md5", True), (5, "sha1", True), (11, "sha256", False)])
def test_signatures(number, name, weak):
    signed = pem("app", "rsa", issuer_kind="RSA2048"), pem("rsa", ca=True, kind="RSA2048")
    leaf, authority = (inspect(with_rsa_hash(text, number))[0] for text in signed)
    assert (leaf.signature, leaf.weak_signature) == (name, weak)
    assert (authority.signature, authority.weak_signature) == (name, False)


def test_other_signatures():
    assert one("app", "ca", sha=hashes.SHA384()).signature == "sha384"
    assert one("app", "root", issuer_kind="Ed25519").signature == ""


def test_self_signed_is_more_than_the_same_name():
    other = pem("app", "app", issuer_kind="P-384")
    assert inspect(pem("app"))[0].self_signed
    assert not inspect(other)[0].self_signed


GOOD = pem("app")
BLOCK = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n"


@pytest.mark.parametrize(
    ("text", "readable"),
    [
        ("", []),
        (" \n", []),
        ("garbage", [False]),
        (BLOCK.format("garbage"), [False]),
        (BLOCK.format("AAAA"), [False]),
        (BLOCK.format(""), [False]),
        (BLOCK.format("AAAA") + GOOD, [False, True]),
        (GOOD + "noise\n" + GOOD, [True, True]),
        (GOOD[:200] + "\n" + GOOD, [False, True]),
        (GOOD + GOOD[:-30], [True, False]),
        ("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", [False]),
        (GOOD.replace("\n", "\r\n"), [True]),
        ("\ud800" + GOOD, [True]),
    ],
)
def test_garbage_is_a_row(text, readable):
    found = inspect(text)
    assert [not certificate.error for certificate in found] == readable
    assert all(not certificate.subject and certificate.weak_key is None for certificate in found if certificate.error)


def test_bytes_are_read_too():
    assert inspect(GOOD.encode() + b"\xff") == inspect(GOOD)


ROOT = pem("root", ca=True)
MIDDLE = pem("middle", "root", ca=True)
LEAF = pem("leaf", "middle", names=dns("app.example.org"))


def subjects(*pems):
    return [certificate.subject[3:].partition(",")[0] for certificate in chain(inspect("".join(pems)))]


@pytest.mark.parametrize(
    ("pems", "path"),
    [
        ([LEAF, MIDDLE, ROOT], ["leaf", "middle", "root"]),
        ([LEAF, ROOT, MIDDLE], ["leaf", "middle", "root"]),
        ([LEAF, MIDDLE], ["leaf", "middle"]),
        ([LEAF, ROOT], ["leaf"]),
        ([LEAF], ["leaf"]),
        ([ROOT, MIDDLE], ["root"]),
        # same name, another key
        ([LEAF, pem("middle", "root", ca=True, kind="P-384")], ["leaf"]),
        # no authority, or one that may not sign
        ([LEAF, pem("middle", "root")], ["leaf"]),
        ([LEAF, pem("middle", "root", ca=True, signs=False)], ["leaf"]),
        ([LEAF, pem("middle", "root", ca=True, signs=True)], ["leaf", "middle"]),
        # the root lets no other authority follow
        ([LEAF, MIDDLE, pem("root", ca=True, path=0)], ["leaf", "middle"]),
        ([LEAF, pem("middle", "root", ca=True, path=0), pem("root", ca=True, path=1)], ["leaf", "middle", "root"]),
    ],
)
def test_chains(pems, path):
    assert subjects(*pems) == path
    assert chained(inspect("".join(pems))) is (len(path) == len(pems))


def test_a_chain_with_what_cannot_be_read_is_not_judged():
    assert chained(inspect(LEAF + BLOCK.format("AAAA"))) is None
    assert chained([]) is None
    assert chain([]) == []


@pytest.mark.parametrize(
    ("names", "host", "answer"),
    [
        (["app.example.org"], "app.example.org", True),
        (["app.example.org"], "APP.Example.org", True),
        (["APP.example.org"], "app.example.org", True),
        (["app.example.org"], "app.example.org.", True),
        (["app.example.org"], "app.example.org..", False),
        (["app.example.org."], "app.example.org", False),
        (["example.org"], "app.example.org", False),
        (["a.org", "app.example.org"], "app.example.org", True),
        (["*.example.org"], "app.example.org", True),
        (["*.example.org"], "app.example.org.", True),
        (["*.example.org"], "a.app.example.org", False),
        (["*.example.org"], "example.org", False),
        (["*.example.org"], ".example.org", False),
        (["*.example.org"], "*.example.org", True),
        (["app.example.org"], "*.example.org", False),
        (["*.app.example.org"], "*.example.org", False),
        (["*.org"], "example.org", False),
        (["*"], "localhost", False),
        (["a*.example.org"], "app.example.org", False),
        (["*p.example.org"], "app.example.org", False),
        (["app.*.org"], "app.example.org", False),
        (["*.*.org"], "app.example.org", False),
        (["localhost"], "localhost", True),
        (["a_b.example.org"], "a_b.example.org", True),
        (["xn--bcher-kva.example.org"], "bücher.example.org", True),
        (["*.example.org"], "bücher.example.org", True),
        (["xn--bcher-kva.example.org"], "bucher.example.org", False),
        (["app.example.org"], "app\u3002example.org", True),
        (["app.example.org"], "", False),
        (["app.example.org"], ".", False),
        (["app.example.org"], "app.example.org:443", False),
        (["10.0.0.1"], "10.0.0.1", False),
        (["*.0.0.1"], "10.0.0.1", False),
    ],
)
def test_names_that_clients_accept(names, host, answer):
    assert matches(one("app.example.org", "ca", names=dns(*names)), host) is answer


@pytest.mark.parametrize(
    ("address", "host", "answer"),
    [
        ("10.0.0.1", "10.0.0.1", True),
        ("10.0.0.1", "10.0.0.2", False),
        ("10.0.0.1", "::ffff:10.0.0.1", True),
        ("fd00::1", "[fd00:0::1]", True),
        ("fd00::1", "FD00::1", True),
        ("fd00::1", "fd00::1%eth0", False),
        ("10.0.0.1", "10.0.0.01", False),
    ],
)
def test_addresses_that_clients_accept(address, host, answer):
    assert matches(one("app", "ca", names=[x509.IPAddress(ip_address(address))]), host) is answer


def test_the_common_name_does_not_count():
    assert not matches(one("app.example.org", "ca"), "app.example.org")


RSA_LEAF = dict(kind="RSA1024", names=dns("app.example.org"))


@pytest.mark.parametrize(
    ("pems", "found"),
    [
        ([LEAF, MIDDLE], ()),
        ([], ("unreadable",)),
        ([BLOCK.format("AAAA"), LEAF], ("unreadable",)),
        ([pem("leaf", "middle", days=(-9, -1), names=dns("app.example.org"))], ("expired",)),
        ([LEAF, pem("middle", "root", ca=True, days=(-9, -1))], ("expired",)),
        ([pem("leaf", "middle", days=(-9, 29), names=dns("app.example.org"))], ("expiring",)),
        ([pem("leaf", "middle", days=(-9, 30), names=dns("app.example.org"))], ()),
        ([pem("leaf", "middle", days=(-9, 0), names=dns("app.example.org"))], ("expiring",)),
        ([pem("leaf", "middle", days=(0, 90), names=dns("app.example.org"))], ()),
        ([pem("leaf", "middle", days=(1, 90), names=dns("app.example.org"))], ("not yet valid",)),
        ([pem("leaf", "middle", **RSA_LEAF)], ("weak key",)),
        (
            [with_rsa_hash(pem("leaf", "rsa", issuer_kind="RSA2048", names=dns("app.example.org")), 5)],
            ("weak signature",),
        ),
        ([pem("leaf", "middle", names=dns("b.example.org"))], ("name mismatch",)),
        ([LEAF, ROOT], ("broken chain",)),
        ([pem("ca", ca=True, names=dns("app.example.org"))], ("authority as server",)),
        ([pem("leaf", "middle", ca=True, days=(-9, -1))], ("expired", "name mismatch", "authority as server")),
    ],
)
def test_faults(pems, found):
    assert faults(inspect("".join(pems)), at=AT, hosts=["app.example.org"]) == found


def test_all_hosts_are_looked_at_and_none_is_no_mismatch():
    leaf = inspect(LEAF)
    assert faults(leaf, at=AT) == ()
    assert faults(leaf, at=AT, hosts=["app.example.org", "b.example.org"]) == ("name mismatch",)
    assert faults(leaf, at=AT, within=timedelta(days=90)) == ("expiring",)
