"""Change tickets, as exported from the entity's ticket system."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

from auditkit.capture.imports import csvs
from auditkit.capture.imports.base import Document, reader
from auditkit.capture.imports.csvs import NONE
from auditkit.kinds import Record


class Ticket(Record):
    """One change ticket; `objects` are Kind/namespace/name, or Kind/name of what has no namespace.

    `cluster` is the one that they are in; without it, they are those of that name in each.
    """

    source: ClassVar[str] = "tickets"
    plural: ClassVar[str] = "tickets"

    id: str
    title: str | None = None
    requester: str | None = None
    approver: str | None = None
    approved_at: datetime | None = None
    objects: list[str] | None = None
    cluster: str | None = None


@reader(Ticket)
def read(paths: Sequence[Path], *, columns: Mapping[str, str] = NONE) -> Document:
    """Change tickets (CSV): id, title, requester, approver, approved_at, objects separated by semicolons, cluster."""
    return csvs.document(paths, Ticket, {"objects": ";"}, columns=columns, key=("id",))
