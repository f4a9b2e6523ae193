"""Change tickets that the entity supplied."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from auditkit.capture.imports.tickets import Ticket
from auditkit.capture.snapshot import Objects
from auditkit.declare import table


@table("tickets", records=(Ticket,), key=("id",))
class Tickets:
    """One row per change ticket of the export."""

    id: Annotated[str, "Id of the ticket."]
    title: Annotated[str | None, "What it is about."]
    requester: Annotated[str | None, "Who asked for the change."]
    approver: Annotated[str | None, "Who approved it."]
    approved_at: Annotated[datetime | None, "When it was approved, UTC."]
    objects: Annotated[list[str] | None, "What it names: Kind/namespace/name, or Kind/name of what has no namespace."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for t in objects[Ticket]:
            yield t.id, t.title, t.requester, t.approver, t.approved_at, t.objects
