"""The coverage ledger: which snapshots the schedule expects in a period, and which there are."""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis import cron
from auditkit.engagement import Period
from auditkit.errors import UsageError
from auditkit.period.frames import DAY, Capture, framed

STATUSES = ("captured", "late", "partial", "missed")
# What starts a run and the API server have clocks of their own.
CLOCKS = timedelta(minutes=1)


class SlotRow:
    """One row per slot: a time at which the schedule expects a snapshot."""

    slot: Annotated[
        datetime, "When the snapshot was due; with a daily or weekly schedule the first moment of its day or week."
    ]
    ends: Annotated[datetime, "When the next slot begins, or the period ends."]
    status: Annotated[
        str,
        "captured; late (complete, after the tolerance); partial (no complete one: `incomplete` names the kinds); missed.",
    ]
    taken_at: Annotated[datetime | None, "When the capture that stands for the slot was taken."]
    added_at: Annotated[datetime | None, "When it was stored."]
    digest: Annotated[str | None, "Its digest."]
    late_hours: Annotated[float | None, "Hours from `slot` to `taken_at`, where it was taken after the tolerance."]
    captures: Annotated[int, "Captures that fall into the slot."]
    incomplete: Annotated[list[str] | None, "Kinds that it did not completely read."]


class GapRow:
    """One row per time between two captures in which a slot was missed or which is longer than the tolerance."""

    start: Annotated[datetime, "The capture before the gap, or the start of the period."]
    end: Annotated[datetime, "The capture after it, or the end of the period."]
    days: Annotated[float, "Length in days."]
    missed: Annotated[int, "Slots missed in it."]
    first_missed: Annotated[datetime | None, "The first of them."]
    last_missed: Annotated[datetime | None, "The last of them."]
    exceeds: Annotated[bool, "Longer than the tolerance; without a tolerance every missed slot exceeds it."]
    longest: Annotated[bool, "No other gap of the period is longer."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Slot:
    """A time at which the schedule expects a snapshot: in time up to `in_time`, late before `ends`."""

    due: datetime
    in_time: datetime
    ends: datetime


def slots(period: Period, until: datetime | None = None) -> tuple[Slot, ...]:
    """The slots of a period, oldest first; with `until` those that were due by then.

    Raises UsageError where the engagement states no schedule.
    """
    if not period.schedule:
        raise UsageError('[period] states no schedule, so nothing is expected; write e.g. schedule = "daily"')
    days = {"daily": 1, "weekly": 7}.get(period.schedule)
    if days:
        due = [period.first + timedelta(days=n) for n in range(0, (period.over - period.first).days, days)]
    else:
        due = cron.between(period.schedule, period.first, period.over) or []
    late = None if days else timedelta(hours=period.late_tolerance_hours)
    ends = [*due[1:], period.over]
    return tuple(
        Slot(due=start, in_time=end if late is None else min(start + late, end), ends=end)
        for start, end in zip(due, ends, strict=True)
        if until is None or (end if days else start) <= until
    )


def coverage(captures: Iterable[Capture], period: Period, until: datetime | None = None) -> pd.DataFrame:
    """The ledger, one row per slot (SlotRow); `until` is the time of judging, after which nothing is missed yet.

    Of several captures in a slot the first complete one in time stands for it, else the first complete, else the
    first. A capture belongs to the last slot that had begun, with a minute for differing clocks.
    """
    expected = slots(period, until)
    starts = [slot.due for slot in expected]
    found: list[list[Capture]] = [[] for _ in expected]
    for capture in sorted(captures, key=lambda one: one.taken_at):
        place = bisect_right(starts, capture.taken_at + CLOCKS) - 1
        if place >= 0 and capture.taken_at < expected[place].ends:
            found[place].append(capture)
    return framed((_slot_row(slot, there) for slot, there in zip(expected, found, strict=True)), SlotRow)


def _slot_row(slot: Slot, there: list[Capture]) -> tuple[Any, ...]:
    if not there:
        return slot.due, slot.ends, "missed", None, None, None, None, 0, None
    best = min(there, key=lambda one: (bool(one.incomplete), one.taken_at > slot.in_time, one.taken_at))
    late = best.taken_at > slot.in_time
    return (
        slot.due,
        slot.ends,
        "partial" if best.incomplete else "late" if late else "captured",
        best.taken_at,
        best.added_at,
        best.digest,
        (best.taken_at - slot.due).total_seconds() / 3600 if late else None,
        len(there),
        list(best.incomplete) or None,
    )


def gaps(captures: Iterable[Capture], period: Period, until: datetime | None = None) -> pd.DataFrame:
    """The gaps of a period (GapRow), oldest first. A partial capture ends a gap; the ledger names what it lacks."""
    there = list(captures)
    ledger = coverage(there, period, until)
    missed = [time.to_pydatetime() for time in ledger.loc[ledger["status"] == "missed", "slot"]]
    end = min(period.over, until) if until else period.over
    taken = sorted(one.taken_at for one in there if period.first <= one.taken_at < end)
    rows = []
    for start, stop in zip([period.first, *taken], [*taken, end], strict=True):
        within = [time for time in missed if start <= time < stop]
        days = (stop - start).total_seconds() / DAY
        exceeds = bool(within) if period.gap_tolerance_days is None else days > period.gap_tolerance_days
        if within or exceeds:
            rows.append((start, stop, days, len(within), *(within[:1] or [None]), *(within[-1:] or [None]), exceeds))
    longest = max((row[2] for row in rows), default=None)
    return framed([(*row, row[2] == longest) for row in rows], GapRow)
