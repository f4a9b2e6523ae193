"""Access that people kept after they had left, followed over captures."""

from datetime import datetime, timedelta
from typing import Annotated, Any

import pandas as pd

from auditkit.evaluate import Tables
from auditkit.period.frames import DAY, framed
from auditkit.period.spans import Span, SpanColumns, Spans, Times

# By the person's own name, and through a group of the identity provider: table, column that names the person.
_TABLES = (("user_departures", "identity"), ("member_departures", "person"))
Key = tuple[Any, ...]


class _Kept:
    person: Annotated[str, "Who left: the identity of the binding, or the user of the identity provider."]
    last_working_day: Annotated[datetime, "Last working day, of the list of leavers."]
    kind: Annotated[str, "RoleBinding or ClusterRoleBinding."]
    namespace: Annotated[str, "Namespace of the RoleBinding; empty for a ClusterRoleBinding."]
    name: Annotated[str, "Name of the binding."]
    role: Annotated[str, "Name of the role."]
    identity: Annotated[str, "The subject that the binding names: the person, or a group that holds them."]
    days_at_least: Annotated[float, "Days from the end of the last working day to the last capture that shows it."]
    days_at_most: Annotated[
        float | None, "Days from then to the latest that it can have ended; missing while it has not."
    ]


class DepartureRow(SpanColumns, _Kept):
    """One row per leaver and binding that a capture after the last working day shows, and unbroken time that it did."""


class Departures:
    """Follows the bindings of leavers over captures, oldest first."""

    def __init__(self) -> None:
        self._spans: dict[str, Spans[Key]] = {table: Spans() for table, _ in _TABLES}
        self._ended: list[Span[Key]] = []

    def step(self, at: datetime, tables: Tables) -> None:
        """Take in the capture of this time; without the list of leavers nothing is known of it."""
        for table, who in _TABLES:
            there = set(_left(tables[table], who, at))
            whole = not tables.incomplete([table])
            self._ended += self._spans[table].step(at, there, lambda _: Times(), whole=whole)

    def frame(self) -> pd.DataFrame:
        """The intervals (DepartureRow), by person and binding."""
        spans = [*self._ended, *(span for spans in self._spans.values() for span in spans.rest())]
        spans.sort(key=lambda span: (*map(str, span.key), span.values[2]))
        return framed(map(_row, spans), DepartureRow)


def _left(frame: pd.DataFrame, who: str, at: datetime) -> list[Key]:
    gone = frame[(frame["last_working_day"] + pd.Timedelta(days=1) <= at).fillna(False)]
    days = (day.to_pydatetime() for day in gone["last_working_day"])
    return list(
        zip(gone[who], days, *(gone[c] for c in ("kind", "namespace", "name", "role", "identity")), strict=True)
    )


def _row(span: Span[Key]) -> tuple[Any, ...]:
    over = span.key[1] + timedelta(days=1)
    _, gone, _, seen, *_ = span.values
    return (
        *span.key,
        (seen - over).total_seconds() / DAY,
        (gone - over).total_seconds() / DAY if gone else None,
        *span.values,
    )
