"""Label selectors, as apimachinery matches them."""

from collections.abc import Iterable, Mapping
from typing import Any

from auditkit.kinds.base import read
from auditkit.kinds.pods import LabelSelector, Requirement

EVERYTHING = LabelSelector()


def matches(selector: LabelSelector | Mapping[str, Any] | None, labels: Mapping[str, str]) -> bool | None:
    """Whether a selector selects an object with these labels; None where it holds what Kubernetes 1.36 does not know.

    A selector that is None selects nothing, an empty one everything (apimachinery, meta/v1/helpers.go
    LabelSelectorAsSelector). Where a field's absence means everything, as in a webhook, pass EVERYTHING.
    Raises msgspec.ValidationError where `selector` is a malformed manifest.
    """
    if selector is None:
        return False
    if isinstance(selector, Mapping):
        selector = read(LabelSelector, selector)
    terms = [labels.get(key) == value for key, value in (selector.match_labels or {}).items()]
    unknown = [None for _ in selector.unknown]
    return every([*terms, *(_required(one, labels) for one in selector.match_expressions or ()), *unknown])


def selects_all(selector: LabelSelector) -> bool | None:
    """Whether a selector has no requirement at all; None where it has a member that is not known."""
    if selector.match_labels or selector.match_expressions:
        return False
    return None if selector.unknown else True


def aim(selector: LabelSelector) -> LabelSelector:
    """The part of a selector that says what is meant, without NotIn and DoesNotExist, which only leave something out."""
    aimed = [one for one in selector.match_expressions or () if one.operator not in ("NotIn", "DoesNotExist")]
    return LabelSelector(match_labels=selector.match_labels, match_expressions=aimed, unknown=selector.unknown)


def every(values: Iterable[bool | None]) -> bool | None:
    """Three-valued `all`: one False decides, else one None leaves it open."""
    found = set(values)
    return False if False in found else None if None in found else True


def some(values: Iterable[bool | None]) -> bool | None:
    """Three-valued `any`: one True decides, else one None leaves it open."""
    found = set(values)
    return True if True in found else None if None in found else False


def _required(requirement: Requirement, labels: Mapping[str, str]) -> bool | None:
    """One requirement (apimachinery, labels/selector.go Requirement.Matches): NotIn selects where the key is absent.

    In and NotIn need values, Exists and DoesNotExist must have none (NewRequirement refuses others).
    """
    values = requirement.values or []
    known = requirement.operator in (("In", "NotIn") if values else ("Exists", "DoesNotExist"))
    if requirement.unknown or not known:
        return None
    held = requirement.key in labels
    match requirement.operator:
        case "In":
            return held and labels[requirement.key] in values
        case "NotIn":
            return not held or labels[requirement.key] not in values
        case "Exists":
            return held
        case _:
            return not held
