"""Waivers: exceptions that somebody of the entity has approved, in a file that people write (waivers.toml)."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from auditkit.capture.imports.base import Document, reader
from auditkit.errors import Faults, faults_of
from auditkit.kinds import Record


class Waiver(Record):
    """One approved exception; `scope` are shell patterns by column of the check's population, all of which must match.

    It is of `cluster` alone; without it, of each.
    """

    source: ClassVar[str] = "waivers"
    plural: ClassVar[str] = "waivers"

    id: str
    check: str
    scope: dict[str, str]
    reason: str
    expires: date
    requester: str | None = None
    approver: str | None = None
    approved_on: date | None = None
    compensating_control: str | None = None
    ticket: str | None = None
    cluster: str | None = None


# Blanks are nobody's name and no reason.
_Said = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _Written(_Section):
    id: _Said
    check: _Said
    scope: dict[str, str] = Field(min_length=1)
    reason: _Said
    expires: date
    requester: _Said | None = None
    approver: _Said | None = None
    approved_on: date | None = None
    compensating_control: _Said | None = None
    ticket: _Said | None = None
    cluster: _Said | None = None


class _File(_Section):
    waiver: list[_Written] = []


@reader(Waiver, dated=False)
def read(paths: Sequence[Path]) -> Document:
    """Waivers (TOML): [[waiver]] with id, check, scope, reason, expires, requester, approver, approved_on, ticket, cluster."""
    written = [waiver for path in paths for waiver in _file(path).waiver]
    twice = [f"waiver {id}: stands there {n} times" for id, n in Counter(w.id for w in written).items() if n > 1]
    if twice:
        raise Faults(", ".join(map(str, paths)), twice)
    records = [Waiver(**waiver.model_dump()) for waiver in written]
    return Document(records={Waiver: records}, rows=len(records), format="TOML")


def _file(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Faults(str(path), [str(error)]) from None
    except ValidationError as error:
        raise Faults(str(path), faults_of(error, _File)) from None
