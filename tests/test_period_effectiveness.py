"""Operating effectiveness: slots per check and control, deviations followed over time."""

from datetime import UTC, date, datetime
from functools import cache

import pandas as pd
import pytest
from builders import snapshot
from periods import PERIOD, Capture, northwind

from auditkit.engagement import Engagement, Period
from auditkit.errors import UsageError
from auditkit.frameworks import Control, Criteria
from auditkit.period.effectiveness import Effectiveness, effectiveness

WEEK = Period(start=date(2026, 7, 1), end=date(2026, 7, 4), schedule="0 6 * * *")
CONTROL = Control(
    id="C-1",
    title="t",
    statement="s",
    owner="o",
    frequency="f",
    type="preventive",
    nature="automated",
    risk="r",
    criteria=Criteria(),
    checks=("POD-04",),
)


def pod(host: bool | None):
    spec = {"hostNetwork": host, "containers": [{"name": "c", "image": "r/c:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "web", "name": "p"}, "spec": spec}


def ran(*days, missing=(), control=CONTROL, period=WEEK, **given) -> Effectiveness:
    """`days` are hostNetwork of the one pod, None without a capture; on the days of `missing` pods were denied."""
    pairs = []
    for number, host in enumerate(days, start=1):
        if host is not None:
            at = datetime(2026, 7, number, 6, tzinfo=UTC)
            denied = ["pods"] if number in missing else []
            pairs.append((Capture(taken_at=at, incomplete=denied), snapshot([pod(host)], at=at, missing=denied)))
    return effectiveness(pairs, Engagement(period=period), controls=[control], ids=["POD-04"], **given)


def test_slots_are_counted_by_conclusion() -> None:
    found = ran(True, False, None, False, missing=[4])
    row = found.checks.iloc[0]
    assert (row.expected, row.captured, row.with_exceptions, row.clean, row.not_concluded) == (4, 3, 1, 1, 1)
    assert (row.rate, row.deviations, row.open, row.result) == (0.5, 1, 0, "Exceptions noted")
    assert row.note == "3 of 4 slots captured; a gap exceeds the tolerance; not concluded in 1 of them"
    assert found.controls.loc[0, "result"] == "Exceptions noted"
    assert found.ledger["status"].tolist() == ["captured", "captured", "missed", "partial"]


@pytest.mark.parametrize(
    ("days", "given", "result"),
    [
        ([False] * 4, {}, "No exceptions noted"),
        ([False, None, False, False], {}, "Incomplete evidence"),
        (
            [False, None, False, False],
            {"period": WEEK.model_copy(update={"gap_tolerance_days": 2.0})},
            "No exceptions noted",
        ),
        ([False] * 4, {"missing": [3]}, "Incomplete evidence"),
        ([None] * 4, {}, "Incomplete evidence"),
        ([False, False], {"until": datetime(2026, 7, 2, 12, tzinfo=UTC)}, "No exceptions noted"),
        ([False] * 4, {"control": CONTROL.model_copy(update={"nature": "manual"})}, "Manual part open"),
        ([False] * 4, {"control": CONTROL.model_copy(update={"checks": ()})}, "Not tested"),
        ([False] * 4, {"control": CONTROL.model_copy(update={"checks": ("POD-04", "POD-05")})}, "Incomplete evidence"),
    ],
)
def test_no_exceptions_is_said_only_of_what_was_tested(days, given, result) -> None:
    assert ran(*days, **given).controls.loc[0, "result"] == result


def test_a_deviation_is_followed_and_its_recurrence_is_another() -> None:
    found = ran(False, True, False, True).deviations
    assert found["occurrence"].tolist() == [1, 2]
    assert found["recurred"].tolist() == [True, False]
    assert found["open"].tolist() == [False, True]
    assert found["controls"].tolist() == [["C-1"], ["C-1"]]
    first = found.iloc[0]
    assert (first.days_at_least, first.days_at_most) == (0.0, 2.0)
    assert (first.ended_not_before.day, first.ended_not_after.day) == (2, 3)
    assert (first.namespace, first.row, first.check) == ("web", "web Pod p", "POD-04")


def test_a_deviation_in_a_capture_that_was_incomplete_is_not_remediated() -> None:
    found = ran(True, True, True, missing=[2, 3]).deviations.iloc[0]
    assert found.state == "unknown"
    assert pd.isna(found.open) and pd.isna(found.ended_not_after) and pd.isna(found.days_at_most)
    assert (found.captures, found.unknown) == (1, 2)


def test_an_engagement_without_period_is_refused() -> None:
    with pytest.raises(UsageError, match=r"states no \[period\]"):
        effectiveness([], Engagement())


@cache
def recorded() -> Effectiveness:
    ids = ["RBAC-01", "RBAC-07", "NET-05", "POD-01", "CP-17", "LOG-01", "ADM-01", "AVL-61"]
    return effectiveness(northwind(), Engagement(period=PERIOD), ids=ids)


@pytest.mark.parametrize(
    ("check", "text", "first", "last", "open_"),
    [
        ("RBAC-01", "ClusterRoleBinding temp-incident-4711", "08-15", "08-15", False),
        ("RBAC-07", "ClusterRole northwind-sre", "09-30", "10-31", True),
        ("NET-05", "payments", "08-15", "08-15", False),
        ("NET-05", "loyalty", "09-30", "09-30", False),
        ("POD-01", "payments Pod perf-probe", "08-15", "08-15", False),
    ],
)
def test_planted_deviations_have_their_dates(check, text, first, last, open_) -> None:
    frame = recorded().deviations
    found = frame[(frame["check"] == check) & frame["row"].str.startswith(text)]
    assert len(found) == 1
    row = found.iloc[0]
    assert [str(time.date())[5:] for time in (row.first_seen, row.last_seen)] == [first, last]
    assert bool(row.open) is open_
    assert row.occurrence == 1 and not row.recurred


def test_the_recorded_period_has_gaps_that_no_result_hides() -> None:
    found = recorded()
    assert set(found.checks["expected"]) == {123} and set(found.checks["captured"]) == {4}
    assert "No exceptions noted" not in set(found.controls["result"])
    assert found.gaps["exceeds"].all()
    audit = found.checks.set_index("check").loc["LOG-01"]
    assert (audit.with_exceptions, audit.clean) == (1, 3)
