"""Waivers: the exceptions that the entity has approved."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.imports.waivers import Waiver
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view


@table("waiver_list", records=(Waiver,), key=("id",))
class WaiverList:
    """One row per waiver of waivers.toml."""

    id: Annotated[str, "Id of the waiver."]
    check: Annotated[str, "The check whose exceptions it covers."]
    scope: Annotated[list[str], "Which of them: `column=pattern` of the check's population, all of which must match."]
    reason: Annotated[str, "Why the exception is accepted."]
    requester: Annotated[str | None, "Who asked for it."]
    approver: Annotated[str | None, "Who approved it."]
    approved_on: Annotated[datetime | None, "Day of the approval, UTC."]
    expires: Annotated[datetime, "The end of its last day, UTC."]
    compensating_control: Annotated[str | None, "What limits the risk meanwhile."]
    ticket: Annotated[str | None, "Where the approval is recorded."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for w in objects[Waiver]:
            scope = [f"{column}={pattern}" for column, pattern in sorted(w.scope.items())]
            approved = _start(w.approved_on) if w.approved_on else None
            # The calendar has no day after 9999-12-31, which people write for never.
            ends = _start(min(w.expires, date.max - timedelta(days=1))) + timedelta(days=1)
            yield (
                *(w.id, w.check, scope, w.reason, w.requester, w.approver, approved, ends),
                *(w.compensating_control, w.ticket),
            )


def _start(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


@view("waivers", key=("id",))
class Waivers(WaiverList):
    """One row per waiver of waivers.toml, with whether it holds at the time of the snapshot."""

    approved: Annotated[
        bool | None,
        "Approved, by another than the requester where one is named, on a day that is not after the snapshot's.",
    ]
    expired: Annotated[bool | None, "Past its last day at the time of the snapshot; missing where that is undated."]
    in_force: Annotated[bool | None, "Approved and not expired: its exceptions are waived."]

    @staticmethod
    def frame(waiver_list: pd.DataFrame, origin: pd.DataFrame) -> pd.DataFrame:
        at = origin["taken_at"].iloc[0]
        unknown = pd.Series(pd.NA, waiver_list.index, "boolean")
        by, asked = waiver_list["approver"].str.casefold(), waiver_list["requester"].str.casefold()
        named = waiver_list["approver"].notna() & waiver_list["approved_on"].notna()
        other = ~(by == asked).astype("boolean").fillna(False)
        timely = unknown if pd.isna(at) else (waiver_list["approved_on"] <= at).astype("boolean")
        expired = unknown if pd.isna(at) else (waiver_list["expires"] <= at).astype("boolean")
        approved = named.astype("boolean") & other & timely
        return waiver_list.assign(approved=approved, expired=expired, in_force=approved & ~expired)
