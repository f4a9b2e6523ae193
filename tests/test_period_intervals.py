"""Intervals: from when to when objects, bindings and grants were there."""

from datetime import UTC, datetime, timedelta

import pandas as pd
from builders import snapshot
from hypothesis import given, settings
from hypothesis import strategies as st
from periods import Capture, northwind

from auditkit.period import intervals
from auditkit.period.spans import Spans, Times

START = datetime(2026, 7, 1, 6, tzinfo=UTC)


def at(day: int) -> datetime:
    return START + timedelta(days=day)


def config_map(uid: str = "u", **meta):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "web", "name": "m", "uid": uid, **meta}}


def taken(*days, missing=None):
    """One capture a day of these manifests; on the days of `missing` ConfigMaps and bindings were denied."""
    for day, manifests in enumerate(days):
        denied = ["configmaps", "rolebindings.rbac.authorization.k8s.io"] if day in (missing or ()) else []
        yield Capture(taken_at=at(day)), snapshot(manifests, at=at(day), missing=denied)


def only(frame: pd.DataFrame) -> pd.Series:
    assert len(frame) == 1
    return frame.iloc[0]


def test_an_object_begins_between_captures_unless_it_says_when() -> None:
    row = only(intervals.objects(taken([], [config_map()], [config_map()])))
    assert (row.began_not_before, row.began_not_after, row.valid_from) == (at(0), at(1), at(1))
    assert row.began == "between 2026-07-01 06:00 UTC and 2026-07-02 06:00 UTC (first seen)"
    assert (row.state, row.captures, row.last_seen) == ("present", 2, at(2))
    assert row[["valid_to", "ended_not_after", "ended"]].isna().all()
    row = only(intervals.objects(taken([], [config_map(creationTimestamp="2026-07-01T21:12:00Z")])))
    assert row.valid_from == row.began_not_before == row.began_not_after == pd.Timestamp("2026-07-01T21:12Z")
    assert "by its own time" in row.began


def test_a_time_that_contradicts_a_capture_is_not_believed() -> None:
    row = only(intervals.objects(taken([], [config_map(creationTimestamp="2026-01-01T00:00:00Z")])))
    assert (row.began_not_before, row.began_not_after) == (at(0), at(1))


def test_a_kind_that_was_not_read_leaves_the_interval_unknown() -> None:
    row = only(intervals.objects(taken([config_map()], [], [config_map()], missing=[1])))
    assert (row.state, row.captures, row.unknown, row.last_seen) == ("present", 2, 1, at(2))
    row = only(intervals.objects(taken([config_map()], [], missing=[1])))
    assert (row.state, row.unknown, row.last_seen) == ("unknown", 1, at(0))
    assert pd.isna(row.valid_to)
    assert "not completely read" in row.ended
    row = only(intervals.objects(taken([config_map()], [], [], missing=[1])))
    assert (row.state, row.ended_not_before, row.ended_not_after) == ("ended", at(0), at(2))


def test_an_object_made_again_is_another_one() -> None:
    again = config_map("v", creationTimestamp="2026-07-02T05:00:00Z")
    frame = intervals.objects(taken([config_map()], [again]))
    assert frame["uid"].tolist() == ["u", "v"]
    assert frame.loc[0, "ended_not_after"] == frame.loc[1, "valid_from"] == pd.Timestamp("2026-07-02T05:00Z")


def binding(*users: str, written: str = "2026-06-01T00:00:00Z", manager: str = "kubectl-create"):
    meta = {"namespace": "web", "name": "b", "uid": "b", "creationTimestamp": "2026-06-01T00:00:00Z"}
    entry = {"manager": manager, "operation": "Update", "time": written}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {**meta, "managedFields": [entry]},
        "roleRef": {"kind": "ClusterRole", "name": "edit", "apiGroup": "rbac.authorization.k8s.io"},
        "subjects": [{"kind": "User", "name": user, "apiGroup": "rbac.authorization.k8s.io"} for user in users],
    }


def test_a_subject_added_later_begins_with_the_last_write_at_the_latest() -> None:
    more = binding("ann", "olaf", written="2026-07-01T12:00:00Z")
    frame = intervals.bindings(taken([binding("ann")], [more])).set_index("identity")
    assert frame.loc["ann", "valid_from"] == pd.Timestamp("2026-06-01T00:00Z")
    assert frame.loc["olaf", "began_not_before"] == at(0)
    assert frame.loc["olaf", "began_not_after"] == pd.Timestamp("2026-07-01T12:00Z")
    assert frame.loc["olaf", "valid_from"] == at(1)


def test_a_subject_taken_out_ends_with_the_last_write_at_the_latest() -> None:
    first, less = binding("ann", "olaf"), binding("olaf", written="2026-07-01T12:00:00Z")
    frame = intervals.bindings(taken([first], [less])).set_index("identity")
    assert frame.loc["ann", "ended_not_after"] == pd.Timestamp("2026-07-01T12:00Z")
    # olaf moved from second to first place: the same grant.
    assert frame.loc["olaf", "state"] == "present"
    gone = intervals.bindings(taken([first], [binding(written="2026-07-01T00:00:00Z")])).set_index("identity")
    assert gone.loc["ann", "ended_not_after"] == at(1)


def test_the_temporary_grant_of_the_recorded_period() -> None:
    bound = intervals.bindings(northwind()).set_index("name")
    row = bound.loc["temp-incident-4711"]
    assert (row.identity, row.role, row.captures) == ("carol@northwind.example", "cluster-admin", 1)
    assert row.first_seen == row.last_seen == row.ended_not_before == pd.Timestamp("2026-08-15T06:00Z")
    assert row.valid_from == pd.Timestamp("2026-07-14T21:12Z")
    assert row.ended_not_after == pd.Timestamp("2026-09-30T06:00Z")
    row = bound.loc["mallory-sre"]
    assert (row.ended_not_before, row.ended_not_after) == (
        pd.Timestamp("2026-09-30T06:00Z"),
        pd.Timestamp("2026-10-31T06:00Z"),
    )
    assert bound.loc["break-glass", "state"] == "present"
    assert (bound["state"] == "ended").sum() == 2


def test_a_rule_added_to_a_role_is_a_grant_of_everybody_bound_to_it() -> None:
    frame = intervals.grants(northwind())
    found = frame[(frame["role"] == "northwind-sre") & (frame["resources"].str.join(",") == "secrets")]
    assert found["identity"].tolist() == ["mallory@northwind.example", "oidc:sre-oncall"]
    assert set(found["began_not_before"]) == {pd.Timestamp("2026-08-15T06:00Z")}
    assert set(found["began_not_after"]) == {pd.Timestamp("2026-09-12T22:10Z")}


def test_objects_of_the_recorded_period() -> None:
    frame = intervals.objects(northwind())
    policy = frame[(frame["kind"] == "NetworkPolicy") & (frame["namespace"] == "payments")]
    policy = policy[policy["name"] == "default-deny"]
    assert policy["state"].tolist() == ["ended", "present"]
    assert policy["ended_not_before"].tolist()[0] == pd.Timestamp("2026-07-01T06:00Z")
    assert policy["ended_not_after"].tolist()[0] == pd.Timestamp("2026-08-15T06:00Z")
    assert policy["valid_from"].tolist()[1] == pd.Timestamp("2026-08-18T10:15Z")
    server = frame[frame["name"] == "kube-apiserver-nwp-cp-1"].sort_values("first_seen")
    assert server["valid_from"].tolist()[1:] == [pd.Timestamp("2026-09-15T07:00Z"), pd.Timestamp("2026-10-02T06:30Z")]
    assert server["ended_not_after"].tolist()[:2] == server["valid_from"].tolist()[1:]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.frozensets(st.sampled_from("abc")), st.frozensets(st.sampled_from("abc")))))
def test_intervals_partition_the_captures(captures) -> None:
    """Every capture that holds a key is in one of its intervals; a break is a complete capture without it."""
    spans, found = Spans(), []
    for day, (whole, there, doubtful) in enumerate(captures):
        found += spans.step(at(day), there, lambda _: Times(), whole=whole, doubtful=doubtful - there)
    found += spans.rest()
    for key in "abc":
        seen = [at(day) for day, (_, there, _) in enumerate(captures) if key in there]
        own = sorted(((s.values[2], s.values[3], s.values) for s in found if s.key == key), key=lambda one: one[0])
        inside = [[time for time in seen if first <= time <= last] for first, last, _ in own]
        assert [time for times in inside for time in times] == seen
        for (first, last, values), times in zip(own, inside, strict=True):
            assert (first, last) == (times[0], times[-1])
            state, count = values[8], values[9]
            assert count == len(times)
            gone = [
                at(day)
                for day, (whole, there, doubtful) in enumerate(captures)
                if whole and key not in there and key not in doubtful
            ]
            assert not any(first <= time <= last for time in gone)
            after = [time for time in gone if time > last]
            assert (state == "ended") == bool(after)
            assert values[7] == min(after, default=None)
            assert values[4] == max([time for time in gone if time < first], default=None)
