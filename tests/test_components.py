"""Versions of components, and vulnerabilities that were published of them."""

import tomllib

import pytest

from auditkit.analysis.components import recognise, vulnerabilities
from auditkit.resources import folder

COMPONENTS = tomllib.loads((folder("data") / "components.toml").read_text())["component"]
KNOWN = [
    (name, v["cve"], v.get("introduced"), fixed)
    for name, one in COMPONENTS.items()
    for v in one["vulnerabilities"]
    for fixed in v["fixed"]
]


@pytest.mark.parametrize(("component", "cve", "introduced", "fixed"), KNOWN)
def test_what_was_mended_is_not_vulnerable_and_what_came_just_before_is(
    component: str, cve: str, introduced: str | None, fixed: str
) -> None:
    major, minor, patch = map(int, fixed.split("."))
    assert vulnerabilities(component, f"v{fixed}")[cve] is False
    assert vulnerabilities(component, f"{fixed}-rc.1")[cve] is True
    assert vulnerabilities(component, f"{major}.{minor}.{patch}-r3")[cve] is False
    if patch:
        assert vulnerabilities(component, f"{major}.{minor}.{patch - 1}")[cve] is True
        assert vulnerabilities(component, f"{major}.{minor}.{patch - 1}-r3")[cve] is None
    if introduced:
        assert vulnerabilities(component, introduced)[cve] is True
        assert vulnerabilities(component, "0.0.1")[cve] is False


@pytest.mark.parametrize("text", ["", "latest", "1.11", "v1", "1.11.4.2", "1.11.4 ", "main"])
def test_what_is_no_full_version_is_not_known(text: str) -> None:
    assert set(vulnerabilities("ingress-nginx", text).values()) == {None}


def test_a_component_is_recognised_by_whole_parts_of_its_path() -> None:
    assert recognise("ingress-nginx/controller") == "ingress-nginx"
    assert recognise("mirror/ingress-nginx/controller") == "ingress-nginx"
    assert recognise("my-ingress-nginx/controller") is None
    assert recognise("grafana/grafana-image-renderer") is None
