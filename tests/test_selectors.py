"""Label selectors match as apimachinery does."""

import pytest

from auditkit.analysis.selectors import EVERYTHING, every, matches, selects_all, some
from auditkit.kinds.pods import LabelSelector

LABELS = {"app": "a", "tier": "web"}


def requirement(operator, values=None, key="app"):
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": values} if values else {})}]}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        (None, False),
        ({}, True),
        (EVERYTHING, True),
        ({"matchLabels": {}, "matchExpressions": None}, True),
        ({"matchLabels": {"app": "a"}}, True),
        ({"matchLabels": {"app": "a", "zone": "x"}}, False),
        ({"matchLabels": {"zone": ""}}, False),
        (requirement("In", ["a", "b"]), True),
        (requirement("In", ["b"]), False),
        (requirement("In", ["a"], key="zone"), False),
        (requirement("NotIn", ["b"]), True),
        (requirement("NotIn", ["a"]), False),
        (requirement("NotIn", ["a"], key="zone"), True),
        (requirement("Exists"), True),
        (requirement("Exists", key="zone"), False),
        (requirement("DoesNotExist", key="zone"), True),
        (requirement("DoesNotExist"), False),
        ({"matchLabels": {"app": "a"}, **requirement("Exists", key="zone")}, False),
        # What NewRequirement refuses, and what is not known.
        (requirement("In"), None),
        (requirement("Exists", ["a"]), None),
        (requirement("Like", ["a"]), None),
        ({"matchFields": {"a": "b"}}, None),
        ({"matchLabels": {"app": "b"}, "matchFields": {"a": "b"}}, False),
    ],
)
def test_matches(selector, expected):
    assert matches(selector, LABELS) is expected


def test_selects_all():
    assert selects_all(EVERYTHING) is True
    assert selects_all(LabelSelector(match_labels={"a": "b"})) is False
    assert selects_all(LabelSelector(unknown=("matchFields",))) is None


@pytest.mark.parametrize(
    ("values", "all_of", "any_of"),
    [
        ([], True, False),
        ([True, None], None, True),
        ([False, None], False, None),
        ([True, False, None], False, True),
    ],
)
def test_three_values(values, all_of, any_of):
    assert every(values) is all_of
    assert some(values) is any_of
