"""The coverage ledger: slots of a schedule against captures."""

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

import pandas as pd
import pytest
from periods import PERIOD, Capture, northwind

from auditkit.analysis import cron
from auditkit.engagement import Period
from auditkit.errors import UsageError
from auditkit.period.coverage import coverage, gaps, slots


def day(number: int, hour: int = 6, minute: int = 0, **given) -> Capture:
    return Capture(taken_at=datetime(2026, 7, number, hour, minute, tzinfo=UTC), digest=f"d{number}", **given)


def week(schedule: str = "0 6 * * *", **given) -> Period:
    return Period(start=date(2026, 7, 1), end=date(2026, 7, 7), schedule=schedule, **given)


def statuses(captures, period, until=None) -> list[str]:
    return coverage(captures, period, until)["status"].tolist()


def test_a_slot_is_captured_late_partial_or_missed() -> None:
    there = [day(1), day(2, 7), day(3, 8), day(4, incomplete=["pods"]), day(6, 5, 59), day(7, 5)]
    found = coverage(there, week())
    assert found["status"].tolist() == ["captured", "captured", "late", "partial", "missed", "captured", "missed"]
    assert found["late_hours"].dropna().tolist() == [2.0]
    assert found.loc[3, "incomplete"] == ["pods"]
    assert found["captures"].tolist() == [1, 1, 1, 1, 0, 2, 0]
    assert str(found["slot"].dtype) == "datetime64[us, UTC]"


def test_a_complete_capture_stands_for_its_slot_before_an_earlier_partial_one() -> None:
    found = coverage([day(1, 6, incomplete=["pods"]), day(1, 6, 30), day(2, incomplete=["pods"]), day(2, 12)], week())
    assert found["status"].tolist()[:2] == ["captured", "late"]
    assert found["taken_at"].dt.hour.tolist()[:2] == [6, 12]


def test_daily_and_weekly_take_any_time_of_their_day_or_week() -> None:
    assert statuses([day(1, 23, 58), day(3, 0)], week("daily")) == ["captured", "missed", "captured", *["missed"] * 4]
    month = Period(start=date(2026, 7, 1), end=date(2026, 7, 31), schedule="weekly")
    assert statuses([day(7), day(30)], month) == ["captured", "missed", "missed", "missed", "captured"]


def test_what_is_not_due_yet_is_not_missed() -> None:
    assert statuses([day(1)], week(), until=datetime(2026, 7, 3, 5, tzinfo=UTC)) == ["captured", "missed"]
    assert statuses([day(1)], week("daily"), until=datetime(2026, 7, 3, 5, tzinfo=UTC)) == ["captured", "missed"]


def test_gaps_are_named_with_the_longest() -> None:
    found = gaps([day(1), day(4), day(5), day(7)], week())
    assert found["days"].tolist() == [3.0, 2.0]
    assert found["missed"].tolist() == [2, 1]
    assert found["exceeds"].tolist() == [True, True]
    assert found["longest"].tolist() == [True, False]
    assert found.loc[0, "first_missed"] == pd.Timestamp("2026-07-02T06:00Z")
    assert gaps([day(1), day(4), day(5), day(7)], week(gap_tolerance_days=2.0))["exceeds"].tolist() == [True, False]
    assert gaps([day(n) for n in range(1, 8)], week()).empty
    assert gaps([], week())[["missed", "longest"]].to_numpy().tolist() == [[7, True]]


def test_missed_days_of_the_recorded_period_are_named() -> None:
    there = [capture for capture, _ in northwind()]
    found = coverage(there, PERIOD)
    assert found["status"].value_counts().to_dict() == {"missed": 119, "captured": 3, "partial": 1}
    assert found.loc[found["status"] == "partial", "incomplete"].tolist() == [["*.custom.metrics.k8s.io"]]
    named = gaps(there, PERIOD)
    assert [
        (str(a.date()), str(b.date())) for a, b in zip(named["first_missed"], named["last_missed"], strict=True)
    ] == [
        ("2026-07-02", "2026-08-14"),
        ("2026-08-16", "2026-09-29"),
        ("2026-10-01", "2026-10-30"),
    ]
    assert named["longest"].tolist() == [False, True, False]
    assert named["days"].tolist() == [45.0, 46.0, 31.0]


def test_slots_follow_one_another_without_holes() -> None:
    for schedule in ("daily", "weekly", "0 6 * * *", "*/30 * * * 1-5"):
        found = slots(week(schedule))
        assert all(a.ends == b.due for a, b in pairwise(found))
        assert all(slot.due < slot.in_time <= slot.ends for slot in found)


def test_a_period_without_schedule_is_refused() -> None:
    with pytest.raises(UsageError, match="states no schedule"):
        coverage([], week(""))


def test_cron_runs_between_two_times() -> None:
    start = datetime(2026, 7, 1, 6, tzinfo=UTC)
    assert cron.between("0 6 * * *", start, start + timedelta(days=2)) == [start, start + timedelta(days=1)]
    assert cron.between("0 7 31 2 *", start, start + timedelta(days=2)) == []
    assert cron.between("every day", start, start) is None
    assert cron.between("0 6 * *", start, start) is None
