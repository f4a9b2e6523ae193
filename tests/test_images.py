"""Image references: what runtimes accept, what they make of it, and what they refuse."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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
        # without a slash there is no registry, whatever it looks like
        ("localhost", "docker.io", "library/localhost", "", "", "localhost"),
        ("localhost:5000", "docker.io", "library/localhost", "5000", "", "localhost:5000"),
        ("10.0.0.1:80", "docker.io", "library/10.0.0.1", "80", "", "10.0.0.1:80"),
        ("quay.io", "docker.io", "library/quay.io", "", "", "quay.io"),
        ("docker.io", "docker.io", "library/docker.io", "", "", "docker.io"),
        ("my_app.v2:8080", "docker.io", "library/my_app.v2", "8080", "", "my_app.v2:8080"),
        # the first part is one by a dot, a colon, a capital letter, or as localhost
        ("10.0.0.1/app", "10.0.0.1", "app", "", "", "10.0.0.1/app"),
        ("registry:5000/app:5000", "registry:5000", "app", "5000", "", "registry:5000/app:5000"),
        ("registry/app", "docker.io", "registry/app", "", "", "registry/app"),
        ("local-host/app", "docker.io", "local-host/app", "", "", "local-host/app"),
        ("LOCALHOST/app", "LOCALHOST", "app", "", "", "LOCALHOST/app"),
        ("a_b/app", "docker.io", "a_b/app", "", "", "a_b/app"),
        ("a_b.example/app", "", "a_b.example/app", "", "", "a_b.example/app"),
        ("[::1]/app", "[::1]", "app", "", "", "[::1]/app"),
        # Docker Hub's own names
        ("index.docker.io/library/nginx:1", "docker.io", "library/nginx", "1", "", "nginx:1"),
        ("index.docker.io/bitnami/redis", "docker.io", "bitnami/redis", "", "", "bitnami/redis"),
        ("library/nginx", "docker.io", "library/nginx", "", "", "nginx"),
        ("library/a/b", "docker.io", "library/a/b", "", "", "library/a/b"),
        ("docker.io/a/b/c", "docker.io", "a/b/c", "", "", "a/b/c"),
        ("registry-1.docker.io/nginx", "registry-1.docker.io", "nginx", "", "", "registry-1.docker.io/nginx"),
        # hexadecimal digits with a registry, or one fewer, are a name
        ("docker.io/" + "a0" * 32, "docker.io", "library/" + "a0" * 32, "", "", None),
        ("a0" * 31 + "a", "docker.io", "library/" + "a0" * 31 + "a", "", "", "a0" * 31 + "a"),
        ("nginx:1@" + DIGEST, "docker.io", "library/nginx", "1", DIGEST, "nginx:1@" + DIGEST),
        ("q.io/a@sha512:" + "f" * 128, "q.io", "a", "", "sha512:" + "f" * 128, "q.io/a@sha512:" + "f" * 128),
        ("a:" + "T" * 128, "docker.io", "library/a", "T" * 128, "", "a:" + "T" * 128),
        ("a:_.-", "docker.io", "library/a", "_.-", "", "a:_.-"),
        ("q.io/" + "a" * 255, "q.io", "a" * 255, "", "", "q.io/" + "a" * 255),
    ],
)
def test_accepted(text: str, domain: str, path: str, tag: str, digest: str, familiar: str | None) -> None:
    found = parse(text)
    assert found == ImageReference(domain=domain, path=path, tag=tag, digest=digest)
    assert parse(found.normalized) == found
    if familiar:
        assert found.familiar == familiar
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
        "host-.io/a",
        "a..b/c",
        "a_.b/c",
        "a___b",
        "_a/b",
        "a-/b",
        "/a",
        "a/",
        "//a",
        "quay.io/",
        "quay.io//a",
        "[::1]",
        "[::1]:5000",
        "[fe80::1%eth0]/a",
        "[::ffff:10.0.0.1]/a",
        "fd00::1/a",
        "a_b.example:80/a",
        "a:b/c:d:e",
        "a:",
        "a@",
        "a:1@",
        "a@sha256:" + "0" * 63,
        "a@sha256:" + "0" * 65,
        "a@SHA256:" + "0" * 64,
        "a@sha256:" + "A" * 64,
        "a@sha512:" + "0" * 64,
        "a@sha256+x:" + "0" * 64,
        "a@" + DIGEST + "@" + DIGEST,
        "a@" + DIGEST + ":1",
        "quay.io/" + "a" * 256,
        " a",
        "a ",
        "a\n",
        "a\tb",
        "é",
        "a:é",
        "É/a",
        "quay.io/É",
        "quay.io:port/a",
        "quay.io:/a",
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
    ("text", "allow", "answer"),
    [
        ("nginx", ["docker.io"], True),
        ("nginx", ["docker.io/"], True),
        ("nginx", ["index.docker.io"], True),
        ("nginx", ["docker.io/library/"], True),
        ("nginx", ["docker.io/nginx"], True),
        ("bitnami/redis", ["docker.io/library"], False),
        ("bitnami/redis", ["docker.io/bitnami"], True),
        ("docker.io.attacker/nginx", ["docker.io"], False),
        ("docker.io.attacker.example/nginx", ["docker.io"], False),
        ("docker.io-attacker.example/nginx", ["docker.io"], False),
        ("attacker.example/docker.io/nginx", ["docker.io"], False),
        ("docker.io:5000/nginx", ["docker.io"], False),
        ("docker.io/bitnami-evil/redis", ["docker.io/bitnami"], False),
        ("ghcr.io/team/app", ["ghcr.io/team"], True),
        ("ghcr.io/team/app", ["ghcr.io/team/*"], True),
        ("ghcr.io/team/app:1@" + DIGEST, ["ghcr.io/team/app"], True),
        ("ghcr.io/team-x/app", ["ghcr.io/team"], False),
        ("ghcr.io/teamx", ["ghcr.io/team"], False),
        ("ghcr.io/x/team/app", ["ghcr.io/team"], False),
        ("GHCR.IO/team/app", ["ghcr.io/team"], True),
        ("ghcr.io/team/app:1", ["ghcr.io/team/app:1"], True),
        ("ghcr.io/team/app:10", ["ghcr.io/team/app:1"], False),
        ("ghcr.io/team/app", ["ghcr.io/team/app:1"], False),
        ("ghcr.io/team/app@" + DIGEST, ["ghcr.io/team/app@" + DIGEST], True),
        ("localhost:5000/app", ["localhost:5000"], True),
        ("localhost/app", ["localhost:5000"], False),
        ("localhost:5000", ["localhost:5000"], False),
        ("quay.io/a", ["docker.io", "quay.io"], True),
        ("quay.io/a", [], False),
        ("a_b.example/app", ["docker.io", "b.example", "docker.io/app"], False),
    ],
)
def test_an_allow_list_ends_where_a_part_ends(text: str, allow: list[str], answer: bool) -> None:
    assert allowed(parse(text), allow) is answer
    assert allowed(text, allow) is answer


@pytest.mark.parametrize("entry", ["", "*", "nginx", "https://quay.io", "*.example.org", "quay.io/Team", "a b"])
def test_an_entry_that_is_no_registry_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="not a registry"):
        allowed("quay.io/a", [entry])


PART = st.from_regex(r"[a-z0-9]{1,8}(?:(?:[._]|__|-{1,2})[a-z0-9]{1,8}){0,2}", fullmatch=True)
HOST = st.from_regex(r"(?:localhost|[a-zA-Z0-9]{1,6}\.[a-z]{2,5}|[A-Z]{1,4})(?::[0-9]{1,5})?", fullmatch=True)
TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)
REFERENCE = st.builds(
    lambda host, parts, tag, digest: "/".join([*([host] if host else []), *parts]) + tag + digest,
    st.none() | HOST,
    st.lists(PART, min_size=1, max_size=4),
    st.just("") | TAG.map(":{}".format),
    st.sampled_from(["", "@" + DIGEST]),
)


@given(REFERENCE)
def test_what_is_read_and_written_is_the_same(text: str) -> None:
    found = parse(text)
    assert parse(found.normalized) == found
    assert parse(found.normalized).normalized == found.normalized
    # What looks like a registry and cannot be one, a_b.example/app, has none: no entry allows it.
    assume(found.domain)
    assert allowed(found, [found.domain])
    assert allowed(found, [found.repository])
    assert not allowed(found, ["x." + found.domain, found.repository + "-x", found.repository + "/x"])


@given(st.text(alphabet="aZ0.:/@-_[]é \n", max_size=12) | st.text(max_size=8))
def test_any_text_is_a_reference_or_refused(text: str) -> None:
    try:
        found = parse(text)
    except ValueError:
        return
    assert parse(found.normalized) == found


def test_a_credential_in_a_reference_is_not_kept() -> None:
    from auditkit import kinds
    from auditkit.kinds.workloads import Container

    images = ["user:secret@quay.io/a", "https://user:secret@quay.io/a", "nginx:1@" + DIGEST, "quay.io/a@" + DIGEST]
    kept = [kinds.read(Container, {"name": "c", "image": image}).image for image in images]
    assert kept == ["(withheld)@quay.io/a", "(withheld)@quay.io/a", *images[2:]]
