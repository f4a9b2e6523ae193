"""JSON documents of tools: read whole into the few fields that are kept, or refused with the place of the fault."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from auditkit.errors import UsageError

T = TypeVar("T")


def decode(path: Path, shape: type[T], what: str) -> T:
    """The JSON document of a file as `shape`; a byte order mark before it is passed over.

    Raises UsageError naming file, line and byte where it is no JSON or ends early, and the member that does not fit where it is
    something other than `what`.
    """
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        return msgspec.json.decode(data, type=shape)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: not {what}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{path}:{_line(data, error)}: not JSON, or cut off: {error}; supply the whole file") from None


def _line(data: bytes, error: Exception) -> int:
    """The line of the byte that the message names, else the last one, where a document ends that was cut off."""
    _, there, byte = str(error).rpartition("(byte ")
    return data.count(b"\n", 0, int(byte.rstrip(")")) if there else len(data)) + 1


def named_once(paths: Sequence[Path]) -> None:
    """Raise UsageError where two files have one name: a record names its file."""
    names = [path.name for path in paths]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise UsageError(f"two files are named {', '.join(twice)}; a record names the file it is from: rename one")


def moment(found: datetime | None) -> datetime | None:
    """A time in UTC; one without a zone is taken for UTC, as these tools write it."""
    if found is None or found.tzinfo is None:
        return found and found.replace(tzinfo=UTC)
    try:
        return found.astimezone(UTC)
    except OverflowError:  # within a day of what a calendar holds, where a zone is of no matter
        return found.replace(tzinfo=UTC)


def tools(names: Sequence[str]) -> str:
    """Each tool once, e.g. "grype 0.99.1, Trivy"."""
    return ", ".join(sorted(set(filter(None, names))))


class Shape(msgspec.Struct, gc=False):
    """A part of a document: what is not declared is dropped while it is read."""


class PascalShape(msgspec.Struct, gc=False, rename="pascal"):
    """A part of a document whose members begin with a capital."""


class CamelShape(msgspec.Struct, gc=False, rename="camel"):
    """A part of a document whose members are written likeThis."""


def listed(found: Sequence[Any] | None) -> Sequence[Any]:
    """Go writes an empty list as null, or not at all."""
    return found or ()
