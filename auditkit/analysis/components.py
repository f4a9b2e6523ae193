"""Components by the image they come in, and whether a version of one has a published vulnerability (data/components.toml)."""

import re
from collections.abc import Mapping
from typing import Any

from auditkit.resources import data

Version = tuple[int, int, int]

_VERSION = re.compile(r"v?(\d+)\.(\d+)\.(\d+)([-+].*)?")
_EARLIER = re.compile(r"-(alpha|beta|rc|pre|dev|snapshot)", re.IGNORECASE)


def recognise(repository: str) -> str | None:
    """The component that comes in an image with this path at its registry; None where it is none that is known."""
    name: str
    for name, one in data("components.toml")["component"].items():
        if any(repository == image or repository.endswith("/" + image) for image in one["images"]):
            return name
    return None


def vulnerabilities(component: str, version: str) -> Mapping[str, bool | None]:
    """Whether a version has each published vulnerability of a component, by CVE.

    None where the text is no full version (`1.12`, `latest`), and where one that would be vulnerable is a packager's
    own build (`1.5.9-0ubuntu1`, `v1.28.3-eks-4f4795d`), which may hold the correction.
    """
    found = _VERSION.fullmatch(version)
    known = data("components.toml")["component"][component]["vulnerabilities"]
    return {one["cve"]: _has(one, found) if found else None for one in known}


def _has(one: Mapping[str, Any], found: re.Match[str]) -> bool | None:
    version, suffix = _exact(".".join(found.groups()[:3])), found[4] or ""
    fixed = [_exact(text) for text in one["fixed"]]
    bound = next((f for f in fixed if f[:2] == version[:2]), max(fixed))
    earlier = _EARLIER.match(suffix) is not None
    if version < _exact(one.get("introduced", "0.0.0")) or version > bound or (version == bound and not earlier):
        return False
    return None if suffix and not earlier else True


def _exact(text: str) -> Version:
    major, minor, patch = (int(part) for part in text.split("."))
    return major, minor, patch
