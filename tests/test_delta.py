"""What changed from file to file: applied to the one it gives the other, whatever the files hold."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.store import delta

NAMES = st.sampled_from(["coverage.json", "objects/pods.jsonl", "objects/nodes.jsonl"])
LINES = st.lists(st.sampled_from([b"", b"a", b"b", b"{}", b"d1 1", b"a1 1", b"file x", b"gone x", b"\r"]), max_size=8)
FILES = st.dictionaries(NAMES, LINES.map(b"\n".join), max_size=3)


@settings(deadline=None)
@given(FILES, FILES)
def test_a_delta_applied_to_the_old_gives_the_new(old: dict[str, bytes], new: dict[str, bytes]) -> None:
    before = delta.split(old)
    made = delta.applied(before, delta.between(before, delta.split(new)))
    assert {name: b"\n".join(lines) for name, lines in made.items()} == new
    assert before == delta.split(old)


def test_only_lines_that_differ_are_told() -> None:
    old = {"objects/pods.jsonl": [b"a", b"b", b"c", b"d", b""], "gone.json": [b"x"], "same.json": [b"y"]}
    new = {"objects/pods.jsonl": [b"a", b"B", b"d", b"e", b""], "same.json": [b"y"]}
    told = delta.between(old, new)
    assert told.split(b"\n")[:-1] == [
        b"file objects/pods.jsonl",
        b"d2 2",
        b"a3 1",
        b"B",
        b"a4 1",
        b"e",
        b"gone gone.json",
    ]
    made = delta.applied(old, told)
    assert made == new
    assert made["same.json"] is old["same.json"]


def test_files_that_are_equal_need_nothing() -> None:
    assert delta.between({"a.json": [b"x"]}, {"a.json": [b"x"]}) == b""


@pytest.mark.parametrize(
    "text",
    [b"file a\nd9 1\n", b"file a\nd1 1\nd1 1\n", b"gone b\n", b"file a\nx1 1\n", b"file a\na0 1\n", b"file a\n\n"],
)
def test_what_is_no_delta_of_these_files_is_refused(text: bytes) -> None:
    with pytest.raises((ValueError, RuntimeError)):
        delta.applied({"a": [b"1", b"2"]}, text)
