"""The request list: every request is answered from tables and imports that exist, and says what it lacks."""

import pytest

import auditkit as ak
from auditkit import frameworks
from auditkit.engagement import Engagement
from auditkit.evaluate import Snapshot
from auditkit.period.whole import LISTINGS
from auditkit.report.requests import requests, sheet
from auditkit.report.workpaper import notebooks


@pytest.fixture(scope="module")
def october() -> Snapshot:
    return ak.demo()


def test_requests_name_what_there_is(october: Snapshot) -> None:
    criteria = {r.id for r in frameworks.load("soc2-2017").requirement}
    assert [request.id for request in requests()] == list(range(1, 18))
    for request in requests():
        assert set(request.criteria) <= criteria and set(request.workpapers) <= set(notebooks()), request.id
        assert [name for name in request.tables if name not in october.tables] == [], request.id
        assert set(request.listings) <= set(LISTINGS), request.id


def test_one_time_does_not_answer_for_a_period(october: Snapshot) -> None:
    frame = sheet(october, Engagement()).frame.set_index("Request")
    assert frame.loc[12, "This pack"] == "complete but for what people provide" and frame.loc[12, "Missing here"] == ""
    assert frame.loc[6, "Missing here"].endswith("shown for one time only, not over the period")
    assert "import leavers: not supplied" in frame.loc[6, "Missing here"]


def test_what_was_not_read_is_missing(october: Snapshot) -> None:
    bare = Snapshot(origin=october.origin, coverage=[], objects={})
    assert (sheet(bare, Engagement()).frame["This pack"] == "in part").all()
