"""When a cron schedule was due: the five fields of cron, and the names that robfig/cron gives to common ones."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice, takewhile

NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_BOUNDS = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 6))
_NAMES = {
    name: number
    for names in ("sun mon tue wed thu fri sat", " jan feb mar apr may jun jul aug sep oct nov dec")
    for number, name in enumerate(names.split(" "))
    if name
}
_PART = re.compile(r"(\*|\?|\w+(?:-\w+)?)(?:/(\d+))?")


def due(schedule: str, at: datetime, runs: int = 1) -> datetime | None:
    """The time of the last but `runs - 1` run of a schedule up to `at`, within five years; None where there is none.

    A day matches if its day of the month or its day of the week does, where both are restricted; `*/2` restricts, other
    than in crontab(5), and 7 is no day (github.com/robfig/cron/v3 parser.go, as Kubernetes calls it). Schedules with a time zone of their own, and `@every`, give None.
    """
    fields = NAMED.get(schedule.strip(), schedule).split()
    return next(islice(_runs(fields, at), runs - 1, None), None) if _is_cron(fields) else None


def between(schedule: str, start: datetime, end: datetime) -> list[datetime] | None:
    """The runs from `start` up to but not at `end`, oldest first, of at most five years; None as for `due`."""
    fields = NAMED.get(schedule.strip(), schedule).split()
    if not _is_cron(fields):
        return None
    runs = takewhile(lambda time: time >= start, _runs(fields, end))
    return sorted(time for time in runs if time < end)


def _is_cron(fields: list[str]) -> bool:
    return len(fields) == 5 and all(_values(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True))


def _runs(fields: list[str], at: datetime) -> Iterator[datetime]:
    """The runs up to `at`, latest first."""
    parsed = [_values(field, *bounds) for field, bounds in zip(fields, _BOUNDS, strict=True)]
    minutes, hours, days, months, weekdays = parsed
    either = not (_any(fields[2]) or _any(fields[4]))
    midnight = at.replace(hour=0, minute=0, second=0, microsecond=0)
    for back in range(5 * 366):
        day = midnight - timedelta(days=back)
        on_day, on_weekday = day.day in days, day.isoweekday() % 7 in weekdays
        if day.month in months and ((on_day or on_weekday) if either else (on_day and on_weekday)):
            for hour in sorted(hours, reverse=True):
                for minute in sorted(minutes, reverse=True):
                    time = day.replace(hour=hour, minute=minute)
                    if time <= at:
                        yield time


def _any(field: str) -> bool:
    """Whether a field lets every value match by a `*` or `?` of its own."""
    return not {"*", "?", "*/1", "?/1"}.isdisjoint(field.split(","))


def _values(field: str, low: int, high: int) -> set[int]:
    """The values of one field such as `*/15`, `1-5` or `mon,fri`; an empty set where it is malformed."""
    found: set[int] = set()
    for part in field.split(","):
        match = _PART.fullmatch(part)
        if not match:
            return set()
        span, step = match[1], int(match[2] or 1)
        first, _, last = (str(low), "", str(high)) if span in "*?" else span.partition("-")
        start, end = _number(first), _number(last or (str(high) if match[2] else first))
        if start is None or end is None or not low <= start <= end <= high or step == 0:
            return set()
        found.update(range(start, end + 1, step))
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isdigit() else _NAMES.get(text.lower()[:3])
