"""Ed25519 signatures in a DSSE envelope around an in-toto statement, as cosign and in-toto read them."""

import base64
import binascii
import hashlib
import json
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from auditkit.errors import UsageError

PAYLOAD_TYPE = "application/vnd.in-toto+json"
PREDICATE_TYPE = "https://auditkit.dev/pack/v1"


class BadSignature(Exception):
    """The envelope does not verify; the message says why."""


def private_key(path: Path) -> Ed25519PrivateKey:
    """Read an unencrypted PKCS #8 PEM (`openssl genpkey -algorithm ed25519`)."""
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UsageError(
            f"{path}: no readable private key ({error}); make one: openssl genpkey -algorithm ed25519"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise UsageError(f"{path}: not an Ed25519 key; make one: openssl genpkey -algorithm ed25519")
    return key


def public_key(path: Path) -> Ed25519PublicKey:
    """Read a PEM (`openssl pkey -in key.pem -pubout`)."""
    try:
        key = serialization.load_pem_public_key(path.read_bytes())
    except (OSError, ValueError, UnsupportedAlgorithm) as error:
        raise UsageError(f"{path}: no readable public key ({error}); make it: openssl pkey -in KEY -pubout") from None
    if not isinstance(key, Ed25519PublicKey):
        raise UsageError(f"{path}: not an Ed25519 public key")
    return key


def envelope(subjects: dict[str, str], predicate: dict[str, Any], key: Ed25519PrivateKey) -> bytes:
    """The signed envelope over files by name and sha256; the statement carries the public key."""
    public = key.public_key().public_bytes_raw()
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": digest}} for name, digest in sorted(subjects.items())],
        "predicateType": PREDICATE_TYPE,
        "predicate": {**predicate, "publicKey": base64.b64encode(public).decode()},
    }
    payload = json.dumps(statement, sort_keys=True, separators=(",", ":")).encode()
    return _written(payload, key.sign(_pae(payload)), public)


def opened(raw: bytes, trusted: Ed25519PublicKey | None) -> tuple[dict[str, str], str]:
    """The signed subjects (name: sha256) and the fingerprint of the key, after verification.

    Raises BadSignature where the signature, the key or any byte of the envelope is not as signed.
    """
    try:
        document = json.loads(raw)
        payload = base64.b64decode(document["payload"], validate=True)
        signed = base64.b64decode(document["signatures"][0]["sig"], validate=True)
        statement = json.loads(payload)
        public = base64.b64decode(statement["predicate"]["publicKey"], validate=True)
        subjects = {s["name"]: s["digest"]["sha256"] for s in statement["subject"]}
        Ed25519PublicKey.from_public_bytes(public).verify(signed, _pae(payload))
    except InvalidSignature:
        raise BadSignature("the signature does not fit its content") from None
    except (ValueError, KeyError, IndexError, TypeError, binascii.Error) as error:
        raise BadSignature(f"changed, it cannot be read ({error})") from None
    if raw != _written(payload, signed, public):
        raise BadSignature("changed outside the signed part")
    if trusted and trusted.public_bytes_raw() != public:
        raise BadSignature("signed by another key than the one given")
    return subjects, _fingerprint(public)


def _written(payload: bytes, signed: bytes, public: bytes) -> bytes:
    signatures = [{"keyid": _fingerprint(public), "sig": base64.b64encode(signed).decode()}]
    document = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
    return json.dumps(document, sort_keys=True, indent=1).encode() + b"\n"


def _pae(payload: bytes) -> bytes:
    """DSSE's pre-authentication encoding."""
    kind = PAYLOAD_TYPE.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def fingerprint(public: Ed25519PublicKey) -> str:
    """sha256 of the raw public key, in hex."""
    return _fingerprint(public.public_bytes_raw())


def _fingerprint(public: bytes) -> str:
    return hashlib.sha256(public).hexdigest()
