"""Groups within groups."""

from hypothesis import given
from hypothesis import strategies as st

from auditkit.analysis.membership import members

NAMES = st.sampled_from("abcdef")


def test_groups_within_groups_and_in_a_ring() -> None:
    found = members({"a": ["ann", "b"], "b": ["bob", "c"], "c": ["a"], "d": ["d"]})
    assert found == {"a": ["ann", "bob"], "b": ["ann", "bob"], "c": ["ann", "bob"], "d": []}


@given(st.dictionaries(NAMES, st.lists(st.sampled_from(["a", "b", "c", "d", "ann", "bob", "cat"]))))
def test_a_group_has_all_people_of_its_groups_and_no_group(direct: dict[str, list[str]]) -> None:
    found = members(direct)
    for group, people in found.items():
        assert not set(people) & set(direct)
        for member in direct[group]:
            assert set(found.get(member, [member])) <= set(people)
