"""Image references: what runtimes accept, what they make of it, and what they refuse."""

import pytest

from auditkit.analysis.images import ImageReference, allowed, parse

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "domain", "path", "tag", "digest", "familiar"),
    [
        ("nginx", "docker.io", "library/nginx", "", "", "nginx"),
        ("nginx:1.27", "docker.io", "library/nginx", "1.27", "", "nginx:1.27"),
        ("bitnami/redis", "docker.io", "bitnami/redis", "", "", "bitnami/redis"),
        ("index.docker.io/nginx", "docker.io", "library/nginx", "", "", "nginx"),
        ("docker.io/library/nginx:latest", "docker.io", "library/nginx", "latest", "", "nginx:latest"),
        ("localhost/app", "localhost", "app", "", "", "localhost/app"),
        ("localhost:5000/app", "localhost:5000", "app", "", "", "localhost:5000/app"),
        ("localhost:5000/app:1", "localhost:5000", "app", "1", "", "localhost:5000/app:1"),
        ("Registry/app", "Registry", "app", "", "", "Registry/app"),
        ("[fd00::1]:5000/a/b", "[fd00::1]:5000", "a/b", "", "", "[fd00::1]:5000/a/b"),
        ("quay.io/a/b@" + DIGEST, "quay.io", "a/b", "", DIGEST, "quay.io/a/b@" + DIGEST),
        ("a__b/c--d.e:V1_x@" + DIGEST, "docker.io", "a__b/c--d.e", "V1_x", DIGEST, "a__b/c--d.e:V1_x@" + DIGEST),
        ("xn--n3h.com/app", "xn--n3h.com", "app", "", "", "xn--n3h.com/app"),
    ],
)
def test_accepted(text: str, domain: str, path: str, tag: str, digest: str, familiar: str) -> None:
    found = parse(text)
    assert found == ImageReference(domain=domain, path=path, tag=tag, digest=digest)
    assert found.familiar == familiar
    assert parse(found.normalized) == found
    assert parse(found.familiar) == found


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":tag",
        "@" + DIGEST,
        "Nginx",
        "quay.io/Team/app",
        "a//b",
        "a/b/",
        "-a/b",
        "a_-b",
        "a:b:c",
        "app:" + "t" * 129,
        "app:-x",
        "app@sha256:abc",
        "app@" + DIGEST.upper(),
        "app@md5:" + "0" * 32,
        "a" * 256,
        "0123456789abcdef" * 4,
        "https://quay.io/a",
        "user:secret@quay.io/a",
        "-host.io/a",
    ],
)
def test_refused_without_repeating_the_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^(the |there |what |64 )") as caught:
        parse(text)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "mutable"),
    [("a", True), ("a:latest", True), ("a:1", False), ("a:latest@" + DIGEST, False), ("localhost:5000/a", True)],
)
def test_mutable(text: str, mutable: bool) -> None:
    assert parse(text).mutable is mutable


@pytest.mark.parametrize(
    ("text", "prefixes", "answer"),
    [
        ("nginx", ("docker.io",), True),
        ("nginx", ("docker.io/library/",), True),
        ("docker.io.attacker.example/nginx", ("docker.io",), False),
        ("docker.io/bitnami-evil/redis", ("docker.io/bitnami",), False),
        ("quay.io/a", (), False),
    ],
)
def test_an_allow_list_ends_at_a_slash(text: str, prefixes: tuple[str, ...], answer: bool) -> None:
    assert allowed(parse(text), prefixes) is answer


def test_a_credential_in_a_reference_is_not_kept() -> None:
    from auditkit import kinds
    from auditkit.kinds.workloads import Container

    images = ["user:secret@quay.io/a", "https://user:secret@quay.io/a", "nginx:1@" + DIGEST, "quay.io/a@" + DIGEST]
    kept = [kinds.read(Container, {"name": "c", "image": image}).image for image in images]
    assert kept == ["(withheld)@quay.io/a", "(withheld)@quay.io/a", *images[2:]]
