"""How many certificates a second are read: all different, half of them with RSA keys, half with EC keys."""

from datetime import UTC, datetime, timedelta
from time import process_time

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from auditkit.analysis.x509 import faults, inspect

CERTIFICATES = 6_000
AT = datetime(2026, 10, 31, tzinfo=UTC)


def certificate(number: int, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, self_signed: bool) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"app-{number}.example.org")])
    issuer = subject if self_signed else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca.example.org")])
    names = [x509.DNSName(f"app-{number}.example.org"), x509.DNSName(f"app-{number}.svc.cluster.local")]
    builder = (
        x509.CertificateBuilder(issuer, subject, key.public_key(), number + 1, AT, AT + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def main() -> None:
    keys = rsa.generate_private_key(65537, 2048), ec.generate_private_key(ec.SECP256R1())
    pems = [certificate(number, keys[number % 2], self_signed=number % 4 < 2) for number in range(CERTIFICATES)]
    start = process_time()
    found = [one for pem in pems for one in inspect(pem)]
    seconds = process_time() - start
    print(f"{len(found):,} certificates read in {seconds:.2f} s: {len(found) / seconds:,.0f} a second")
    start = process_time()
    bad = sum(bool(faults([one], at=AT, hosts=["app-1.example.org"])) for one in found)
    print(f"judged in {process_time() - start:.2f} s: {bad:,} with faults")


if __name__ == "__main__":
    main()
