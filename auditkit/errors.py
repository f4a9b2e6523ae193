"""Errors that a user can act on: each message says where, and the way out."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, get_args

if TYPE_CHECKING:
    from pydantic import BaseModel, ValidationError


# From here on a name may have been meant: 1 is the same.
ALIKE = 0.7


class AuditkitError(Exception):
    """Something failed that retrying or other arguments will not mend by themselves."""

    exit_code = 1


class UsageError(AuditkitError):
    """Arguments, files or configuration that the user can fix."""

    exit_code = 2


class Faults(UsageError):
    """All faults of one file at once, so that it is mended in one go."""

    def __init__(self, place: str, faults: list[str]) -> None:
        self.faults = faults
        super().__init__("\n".join([f"{place}: {len(faults)} fault(s)", *(f"  - {fault}" for fault in faults)]))


def instead(name: str, known: Iterable[str], lists: str = "") -> str:
    """What to write instead of a name that is none of those known: the nearest, else what `lists` them, else all."""
    names = list(known)
    like = {n: SequenceMatcher(None, name.lower(), n.lower()).ratio() for n in sorted(names)}
    near = [n for n in sorted(like, key=lambda n: -like[n]) if like[n] >= ALIKE]
    near = near or [n for n in names if name and n.lower().startswith(name.lower())]
    if near:
        return f"did you mean {', '.join(near[:3])}?"
    return f"{lists} lists them" if lists else f"there are: {', '.join(names) or 'none'}"


class VerificationError(AuditkitError):
    """A pack is not what its manifest says."""

    exit_code = 5


class LeakError(AuditkitError):
    """A secret was found in an output: the pack is not sealed."""

    exit_code = 6


class RetryLater(AuditkitError):
    """Unreachable, throttled or locked: the same command may succeed later."""

    exit_code = 75


class KernelDied(AuditkitError):
    """A notebook's kernel was killed: the pack is not sealed."""

    exit_code = 138


def faults_of(error: "ValidationError", model: "type[BaseModel]", *place: str) -> list[str]:
    """One line per fault of a pydantic validation of a model: dotted place, what is wrong, which key was meant."""
    found = []
    for fault in error.errors(include_url=False):
        where = ".".join([*place, *(str(part) for part in fault["loc"])])
        said = fault["msg"].removeprefix("Value error, ")
        if fault["type"] == "extra_forbidden":
            *parents, key = fault["loc"]
            said = f"unknown key; {instead(str(key), _keys(model, parents))}"
        found.append(f"{where}: {said[0].lower()}{said[1:]}")
    return found


def _keys(model: Any, place: Iterable[str | int]) -> list[str]:
    """The keys that a model takes at a place in it; a part of the place that is none of its fields names one of many."""
    for part in place:
        if part in model.model_fields:
            hint = model.model_fields[part].annotation
            model = next((one for one in (hint, *get_args(hint)) if hasattr(one, "model_fields")), model)
    return [field.alias or name for name, field in model.model_fields.items()]
