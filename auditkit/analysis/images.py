"""Image references as container runtimes read them, and whether a list of registries allows them.

Rules: ParseNormalizedNamed of github.com/distribution/reference (normalize.go, regexp.go), which kubelet,
containerd and CRI-O call; digests as github.com/opencontainers/go-digest validates them.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_COMPONENT = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    rf"(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_DIGEST}))?",
    re.ASCII,
)
_IDENTIFIER = re.compile(r"[a-f0-9]{64}")
_HEX_DIGITS = {"sha256": 64, "sha384": 96, "sha512": 128}
_LONGEST_PATH = 255
_HUB = ("docker.io", "index.docker.io")


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageReference:
    """A normalized reference; tag and digest are "" where none is given."""

    domain: str
    path: str
    tag: str = ""
    digest: str = ""

    @property
    def repository(self) -> str:
        """Domain and path: docker.io/library/nginx."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def normalized(self) -> str:
        """Everything spelled out, as given: docker.io/library/nginx:1.27."""
        return self.repository + self._suffix

    @property
    def familiar(self) -> str:
        """As people write it: nginx:1.27."""
        if self.domain != "docker.io":
            return self.normalized
        official = self.path.removeprefix("library/")
        return (self.path if "/" in official else official) + self._suffix

    @property
    def mutable(self) -> bool:
        """Whether it names no digest, and no tag but latest, which is also meant by none."""
        return not self.digest and self.tag in ("", "latest")

    @property
    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")


def parse(reference: str) -> ImageReference:
    """Parse a reference as a runtime would; ValueError names the fault and never repeats the text."""
    if _IDENTIFIER.fullmatch(reference):
        raise ValueError("64 hexadecimal digits are an image's id, not its name")
    domain, rest = _split(reference)
    remote = rest.partition(":")[0]
    if remote != remote.lower():
        raise ValueError("the repository has capital letters")
    found = _REFERENCE.fullmatch(f"{domain}/{rest}")
    if not found:
        raise ValueError(_fault(domain, rest))
    # The domain is matched anew: what looked like one and cannot be (an underscore) is part of the path.
    domain, path, tag, digest = (part or "" for part in found.group("domain", "path", "tag", "digest"))
    if len(path) > _LONGEST_PATH:
        raise ValueError(f"the repository is longer than {_LONGEST_PATH} characters")
    algorithm, _, value = digest.partition(":")
    if digest and (len(value) != _HEX_DIGITS.get(algorithm) or value != value.lower()):
        raise ValueError("the digest is not that of a known algorithm: sha256 and 64 lower-case hexadecimal digits")
    return ImageReference(domain=domain, path=path, tag=tag, digest=digest)


def parsed(text: str) -> ImageReference | None:
    """The same where a text may be none: what a cluster or a scanner calls an image."""
    try:
        return parse(text)
    except ValueError:
        return None


def _split(name: str) -> tuple[str, str]:
    """Domain and rest (normalize.go splitDockerDomain); without a domain, or for one name on it, Docker Hub's rules."""
    head, slash, rest = name.partition("/")
    if not slash:
        return "docker.io", f"library/{name}"
    if head in _HUB:
        domain = "docker.io"
    elif head == "localhost" or "." in head or ":" in head or head != head.lower():
        domain = head
    else:
        domain, rest = "docker.io", name
    return domain, rest if domain != "docker.io" or "/" in rest else f"library/{rest}"


def _fault(domain: str, rest: str) -> str:
    """Which part of a reference that did not match is to blame."""
    name, at, digest = rest.partition("@")
    path, colon, tag = name.partition(":")
    if not path.removeprefix("library/"):
        return "there is no repository"
    if "@" in domain or (at and not re.fullmatch(_DIGEST, digest)):
        return "what stands around @ is not a name and a digest (algorithm:hexadecimal digits)"
    if not re.fullmatch(_DOMAIN, domain):
        return "the registry is not a host name with an optional port"
    if colon and not re.fullmatch(r"\w[\w.-]{0,127}", tag, re.ASCII):
        return "the tag is not up to 128 letters, digits, '_', '.' and '-'"
    return "the repository is not a path of lower-case letters, digits and single separators"


def allowed(reference: str | ImageReference, allow: Iterable[str]) -> bool:
    """Whether a reference lies under one of the entries: a registry, a repository or the beginning of its path.

    `registry.example`, `localhost:5000`, `docker.io/library`, `ghcr.io/team/*`, or with a tag or digest exactly
    that. An entry ends where a part ends: `docker.io` does not allow `docker.io.attacker`, `ghcr.io/team`
    not `ghcr.io/team-x`. Host names are compared without case. Raises ValueError where reference or entry is none.
    """
    image = parse(reference) if isinstance(reference, str) else reference
    return any(_under(image, entry) for entry in allow)


def _under(image: ImageReference, entry: str) -> bool:
    head, slash, rest = entry.removesuffix("/*").removesuffix("/").partition("/")
    try:
        named = parse(f"{head}/{rest or 'any'}")
    except ValueError as error:
        raise ValueError(f"{entry!r} is not a registry or repository: {error}") from None
    if not slash and head not in _HUB and named.domain != head:
        raise ValueError(
            f"{entry!r} is not a registry: give HOST, HOST:PORT or HOST/PATH, of Docker Hub docker.io/PATH"
        )
    if image.domain.lower() != named.domain.lower():
        return False
    if not rest:
        return True
    if named.tag or named.digest:
        return (image.path, image.tag, image.digest) == (named.path, named.tag, named.digest)
    # One name on Docker Hub is an image of library/, or a folder: docker.io/nginx, docker.io/bitnami.
    folder = rest if head in _HUB and "/" not in rest else named.path
    return image.path == named.path or image.path.startswith(folder + "/")
