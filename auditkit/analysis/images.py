"""Image references, parsed exactly as container runtimes do.

Rules: github.com/distribution/reference, regexp.go and normalize.go.
"""

import re
from dataclasses import dataclass

ALPHANUMERIC = r"[a-z0-9]+"
SEPARATOR = r"(?:[._]|__|-+)"
COMPONENT = rf"{ALPHANUMERIC}(?:{SEPARATOR}{ALPHANUMERIC})*"
LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
DOMAIN = rf"(?:{LABEL}(?:\.{LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
PATH = re.compile(rf"{COMPONENT}(?:/{COMPONENT})*")
TAG = re.compile(r"\w[\w.-]{0,127}", re.ASCII)
DIGEST = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}")
HEX = re.compile(r"[a-f0-9]{64}")
LENGTHS = {"sha256": 64, "sha384": 96, "sha512": 128}
LONGEST_NAME = 255


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReference:
    """A normalized reference: domain and path always, tag and digest where given ("" otherwise)."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def name(self) -> str:
        """Domain and path, e.g. docker.io/library/nginx."""
        return f"{self.domain}/{self.path}"

    @property
    def normalized(self) -> str:
        """Everything spelled out, as given: docker.io/library/nginx:1.27."""
        tag = f":{self.tag}" if self.tag else ""
        return f"{self.name}{tag}" + (f"@{self.digest}" if self.digest else "")

    @property
    def familiar(self) -> str:
        """As people write it: nginx:1.27."""
        short = self.path if self.domain == "docker.io" else self.name
        if self.domain == "docker.io" and self.path.startswith("library/") and self.path.count("/") == 1:
            short = self.path.removeprefix("library/")
        return short + self.normalized.removeprefix(self.name)

    @property
    def mutable(self) -> bool:
        """Whether it names no digest, and no tag but latest: what runs can change unseen."""
        return not self.digest and self.tag in ("", "latest")


def parse(reference: str) -> ImageReference:
    """Parse a reference as `docker pull` would; ValueError names the fault and never repeats the text.

    The first segment is a domain if it holds a dot or a colon, is `localhost`, or has a capital letter.
    """
    if HEX.fullmatch(reference):
        raise ValueError("is 64 hex digits: an image id, not a name")
    rest, at, digest = reference.partition("@")
    if at:
        _check_digest(digest)
    head, slash, tail = rest.partition("/")
    own = bool(slash) and ("." in head or ":" in head or head == "localhost" or head != head.lower())
    domain, remainder = (head, tail) if own else ("docker.io", rest)
    if domain == "index.docker.io":
        domain = "docker.io"
    path, colon, tag = remainder.partition(":")
    if colon and not TAG.fullmatch(tag):
        raise ValueError("its tag is not one: letters, digits, _ . -, at most 128")
    if path != path.lower():
        raise ValueError("its repository has capital letters")
    if not PATH.fullmatch(path):
        raise ValueError("its repository is not a path of lower-case letters, digits and separators")
    if not re.fullmatch(DOMAIN, domain):
        raise ValueError("its registry is not a host name with an optional port")
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    if len(f"{domain}/{path}") > LONGEST_NAME:
        raise ValueError(f"its name is longer than {LONGEST_NAME} characters")
    return ImageReference(domain=domain, path=path, tag=tag, digest=digest)


def _check_digest(digest: str) -> None:
    if not DIGEST.fullmatch(digest):
        raise ValueError("its digest is not one: algorithm:hex")
    algorithm, _, value = digest.partition(":")
    if len(value) != LENGTHS.get(algorithm) or value != value.lower():
        raise ValueError("its digest is of an unknown algorithm, or not as long as its algorithm's")


def allowed(reference: ImageReference, prefixes: tuple[str, ...]) -> bool:
    """Whether a name lies under one of the prefixes, e.g. `registry.example` or `docker.io/bitnami`.

    A prefix ends at a `/`: `docker.io` does not allow `docker.io.attacker.example`.
    """
    return any(reference.name == p.rstrip("/") or reference.name.startswith(p.rstrip("/") + "/") for p in prefixes)
