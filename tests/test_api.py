"""The public functions, as an analyst calls them."""

from pathlib import Path

import openpyxl
import pandas as pd
import pytest
import yaml
from builders import snapshot

import auditkit as ak
from auditkit import frameworks
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


def test_an_exception_leads_to_its_object() -> None:
    snap = taken(POD, MAP)
    why = ak.check(snap, "POD-04")["POD-04"].why(0)
    assert yaml.safe_load(str(snap.object(why))) == {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": "web"},
        "spec": {"hostNetwork": True},
    }
    with pytest.raises(UsageError, match="User ann: no one object of that kind, namespace and name: none is kept"):
        snap.object({"kind": "User", "name": "ann"})


EVIL = "<script>alert(1)</script>"


def test_what_a_notebook_shows_is_short_and_escaped(tmp_path: Path) -> None:
    snap = taken({**POD, "metadata": {"namespace": EVIL, "name": EVIL}})
    results = ak.check(snap)
    found = results["POD-04"]
    ak.api.keep(snap, tmp_path)
    shown = [snap, snap.tables, snap.objects, snap.coverage, results, found, found.why(0), snap.object(found.why(0))]
    shown += [ak.who_can(snap, "get", "secrets"), ak.History(tmp_path / "test"), found.check]
    for one in shown:
        assert len(repr(one)) < 3000, type(one)
        page = getattr(one, "_repr_html_", str)()
        assert len(page) < 25_000 and (one is shown[7] or "<script" not in page), type(one)
    assert "hostNetwork" in found._repr_html_() or found.check.fix[:20] in found._repr_html_()
    assert repr(frameworks.load("soc2-2017")) == "<Framework soc2-2017: 61 requirements>"
    assert repr(frameworks.controls()[0]).startswith("<Control AC-01 ")


def test_lists_join_controls_and_frameworks_with_results() -> None:
    results = ak.check(taken(POD), ["POD-04"])
    assert set(ak.requirements()["framework"]) >= {"soc2-2017", "cis-1.12"}
    assert len(ak.requirements("soc2-2017")) == len(ak.requirements("soc2-2017", results)) == 61
    matrix = ak.controls(results).set_index("Control")
    (id,) = [row.id for row in ak.controls().itertuples() if "POD-04" in row.checks.split(", ")]
    assert matrix.loc[id, "Exceptions"] == 1
    assert ak.tables("bindings").set_index("column").loc["name", "key"]
    with pytest.raises(UsageError, match=r"no framework soc2, .*did you mean soc2-2017"):
        ak.requirements("soc2")


def test_who_can_does_not_answer_for_what_is_not_there() -> None:
    snap = taken({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "payments"}})
    assert ak.who_can(snap, "get", "secrets", namespace="payments").unread == ()
    with pytest.raises(UsageError, match=r"no namespace paymnts; did you mean payments\?"):
        ak.who_can(snap, "get", "secrets", namespace="paymnts")
    with pytest.raises(UsageError, match=r"secret: no such resource; did you mean secrets"):
        ak.who_can(snap, "get", "secret")
    # Where namespaces were not read, it may be there.
    assert ak.who_can(taken(missing=["namespaces"]), "get", "secrets", namespace="x").frame is not None


@pytest.mark.parametrize("suffix", [".xlsx", ".csv", ".parquet"])
def test_a_frame_is_written_for_a_spreadsheet(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"text": ["=1+1"], "at": [pd.Timestamp("2026-10-31T06:00Z")], "names": [["a", "b"]]})
    frame = frame.astype({"text": "string", "at": "datetime64[us, UTC]"})
    path = ak.write(frame, tmp_path / f"x{suffix}")
    if suffix == ".xlsx":
        rows = list(openpyxl.load_workbook(path)["Rows"].iter_rows(min_row=5))
        assert (rows[0][0].value, rows[0][0].data_type) == ("=1+1", "s") and rows[0][2].value == "a, b"
    elif suffix == ".csv":
        assert path.read_text().splitlines()[1].startswith("'=1+1,2026-10-31 06:00:00+00:00")
    with pytest.raises(UsageError, match="exists already"):
        ak.write(frame, path)
    with pytest.raises(UsageError, match="ends with"):
        ak.write(frame, tmp_path / "x.pdf")


def test_a_setting_that_no_check_has_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no setting CERT-01\.day"):
        ak.check(taken(POD), settings={"CERT-01": {"day": 3}})
