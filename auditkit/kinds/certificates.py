"""Secrets: what may be known of them without their values."""

import base64
import binascii
import re
from typing import Any

import msgspec

from auditkit.kinds.base import Kind

CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.DOTALL)


class Secret(Kind):
    """Metadata and type; of a TLS Secret the public certificates as PEM. Nothing else of `data` is ever kept."""

    plural, kind = "secrets", "Secret"
    type: str | None = None
    data: dict[str, Any] | None = None
    string_data: dict[str, Any] | None = None
    certificates: list[str] | None = None

    def __post_init__(self) -> None:
        if self.data and self.type == "kubernetes.io/tls":
            self.certificates = _certificates(self.data.get("tls.crt"))
        self.data = self.string_data = None

    def keeping(self, *, certificates: bool, facts: bool) -> "Secret":
        """This Secret with no more than what the options allow."""
        return self if certificates else msgspec.structs.replace(self, certificates=None)


def _certificates(encoded: object) -> list[str]:
    """The PEM certificates of a base64 text; what lies between them is dropped, as it may be a key."""
    try:
        text = base64.b64decode(str(encoded or ""), validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        return []
    return CERTIFICATE.findall(text)
