"""The public functions, as an analyst calls them."""

import pytest
from builders import snapshot

import auditkit as ak
from auditkit.errors import UsageError
from auditkit.evaluate import Snapshot

POD = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "web", "name": "p"}, "spec": {"hostNetwork": True}}
MAP = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "web", "name": "m"}}


def taken(*manifests, **given):
    return Snapshot.of(snapshot(manifests, **given))


def test_changes_name_what_was_added_removed_and_changed() -> None:
    changed = {**POD, "spec": {"hostNetwork": False}}
    other = {**MAP, "metadata": {"namespace": "web", "name": "n"}}
    found = ak.changes(taken(POD, MAP), taken(changed, other)).to_dict("records")
    assert [(row["change"], row["kind"], row["name"], row["fields"], row["before"], row["after"]) for row in found] == [
        ("removed", "ConfigMap", "m", [], [], []),
        ("added", "ConfigMap", "n", [], [], []),
        ("changed", "Pod", "p", ["spec.hostNetwork"], ["true"], ["false"]),
    ]
    assert ak.changes(taken(POD), taken(POD)).empty


def test_changes_do_not_read_denied_as_removed() -> None:
    found = ak.changes(taken(POD), taken(POD, missing=["pods"]))
    assert found[["change", "kind", "why"]].to_dict("records") == [
        {"change": "not comparable", "kind": "Pod", "why": "after: denied"}
    ]


def test_why_names_an_exception_by_place_or_id() -> None:
    result = ak.check(taken(POD), "POD-04")["POD-04"]
    first = result.why(0)
    assert first["name"] == "p"
    assert first.equals(result.why(first["exception_id"]))
    assert first.equals(result.why(-1))
    assert repr(result) == "<Result POD-04 exceptions of 1: 1 exception>"
    with pytest.raises(UsageError, match="has 1 exceptions, and none is 5"):
        result.why(5)


def test_a_setting_that_no_check_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no setting CERT-01\.day"):
        ak.check(taken(POD), settings={"CERT-01": {"day": 3}})
