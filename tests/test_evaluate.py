"""Every conclusion is reachable, and missing data is never a pass."""

from typing import Any

import pandas as pd
import pytest
from builders import snapshot

from auditkit import kinds
from auditkit.declare import CHECKS, kinds_of, records_of
from auditkit.errors import UsageError
from auditkit.evaluate import CONCLUSIONS, Result, Tables, declared, row_ids, run
from auditkit.kinds import resource


def pod(name: str, **context: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "a:1", "securityContext": context}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "web"},
        "spec": {"containers": [container]},
    }


def node(label: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "labels": {label: "x"}}}


BAD, GOOD = pod("bad", privileged=True), pod("good", privileged=False)
SPACE = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}


def result(id: str, *objects: dict[str, Any], **options: Any) -> Result:
    return run(Tables(snapshot(objects, **options)), [id])[id]


@pytest.mark.parametrize(
    ("conclusion", "found"),
    [
        ("exceptions", lambda: result("POD-01", BAD, GOOD)),
        ("no exceptions", lambda: result("POD-01", GOOD)),
        ("no population", lambda: result("POD-01")),
        ("undetermined", lambda: result("POD-07", pod("open"))),
        ("exceptions", lambda: result("POD-07", pod("open"), pod("root", runAsUser=0))),
        ("not collected", lambda: result("POD-01", GOOD, missing=["pods"])),
        ("not collected", lambda: result("POD-01", GOOD, missing=["jobs.batch"], state="partial")),
        ("not collected", lambda: result("POD-07", pod("open"), missing=["jobs.batch"])),
        ("exceptions", lambda: result("POD-01", BAD, missing=["jobs.batch"])),
        ("inherited", lambda: result("CP-01", node("eks.amazonaws.com/nodegroup"))),
        ("no population", lambda: result("CP-01", node("plain"))),
    ],
)
def test_conclusions(conclusion: str, found: Any) -> None:
    assert found().conclusion == conclusion


def test_exceptions_of_an_incomplete_population_say_so() -> None:
    assert result("POD-01", BAD, missing=["jobs.batch"]).note == "population incomplete: jobs.batch denied"


def test_absence_in_what_was_not_collected_is_no_exception() -> None:
    denied = result("NET-01", SPACE, GOOD, missing=["networkpolicies.networking.k8s.io"])
    assert (denied.conclusion, len(denied.population)) == ("not collected", 0)
    assert result("NET-01", SPACE, GOOD).conclusion == "exceptions"


@pytest.mark.parametrize(("id", "listed"), [("RBAC-41", "exceptions"), ("RBAC-42", "exceptions"), ("RBAC-60", "no exceptions"), ("RBAC-61", "no exceptions"), ("RBAC-62", "no exceptions")])  # fmt: skip
def test_what_was_not_supplied_is_unknown(id: str, listed: str) -> None:
    rbac = {"apiVersion": "rbac.authorization.k8s.io/v1"}
    grant = {"roleRef": {"kind": "ClusterRole", "name": "edit"}, "subjects": [{"kind": "User", "name": "ann"}]}
    binding = {**rbac, "kind": "RoleBinding", "metadata": {"name": "b", "namespace": "web"}, **grant}
    assert result(id, GOOD, binding).conclusion == listed
    assert result(id, GOOD, binding, basis="as supplied").conclusion == "undetermined"


def test_a_check_that_fails_is_an_error_and_no_other_result() -> None:
    own = {id: c for id, c in CHECKS.items() if not any(records_of(read) for read in c.reads)}
    id, name = next((id, name) for id, c in own.items() for name, v in c.settings.items() if isinstance(v, int))
    found = run(Tables(snapshot([BAD])), ["POD-01", id], settings={id: {name: "many"}})
    assert found[id].conclusion == "error"
    assert "Error: " in found[id].note
    assert found["POD-01"].conclusion == "exceptions"


@pytest.mark.parametrize("kind", kinds.ALL, ids=resource)
@pytest.mark.parametrize("state", ["denied", "failed", "partial", "excluded"])
def test_a_kind_that_is_missing_passes_nothing(kind: type[kinds.Kind], state: str) -> None:
    needing = [c.id for c in CHECKS.values() if any(kind in kinds_of(read) for read in c.reads)]
    results = run(Tables(snapshot([], missing=[resource(kind)], state=state)), needing)
    assert {r.conclusion for r in results.values()} <= {"not collected"}


def test_the_order_of_conclusions() -> None:
    assert CONCLUSIONS == (
        "error",
        "exceptions",
        "not collected",
        "undetermined",
        "inherited",
        "no population",
        "no exceptions",
    )


def test_row_ids_are_stable_and_distinct() -> None:
    keys = pd.DataFrame({"a": ["x", "x", None], "b": ["y", None, "y"]}, dtype="string")
    first = row_ids(keys)
    assert first.is_unique
    assert first.iloc[0] == row_ids(keys.iloc[:1]).iloc[0]
    assert first.str.fullmatch("[0-9a-f]{12}").all()


def test_a_table_is_handed_out_as_a_copy() -> None:
    tables = Tables(snapshot([BAD]))
    mine = tables.containers
    mine["privileged"] = False
    assert tables.containers["privileged"].tolist() == [True]


def test_unknown_names_are_told_the_known_ones() -> None:
    tables = Tables(snapshot([]))
    with pytest.raises(UsageError, match=r"^no table containrs; did you mean containers"):
        tables["containrs"]
    with pytest.raises(UsageError, match=r"^no table zzz; `ak\.tables\(\)` lists them$"):
        tables["zzz"]
    with pytest.raises(UsageError, match=r"^no check POD-4; did you mean .*POD-04"):
        run(tables, ["POD-4"])
    with pytest.raises(UsageError, match=r"^no check pod-04 in these results; did you mean POD-04\?$"):
        run(tables, "POD-04")["pod-04"]


def test_a_topic_is_all_its_checks() -> None:
    found = run(Tables(snapshot([BAD])), ["STO", "POD-04"])
    assert {id.partition("-")[0] for id in found} == {"STO", "POD"}
    assert list(found) == [*sorted(id for id in CHECKS if id.startswith("STO-")), "POD-04"]


def test_every_table_is_empty_with_its_columns_on_an_empty_cluster() -> None:
    tables = Tables(snapshot([]))
    from auditkit.evaluate import declared

    for name in tables:
        assert list(tables[name].columns) == [c.name for c in declared(name).columns]
        assert len(tables[name]) == (
            1 if name in ("origin", "cni", "policy_enforcement", "image_verification") else 0
        ), name


def test_every_table_of_a_cluster_without_objects_is_built() -> None:
    tables = Tables(snapshot([]))
    odd = [
        n for n in tables if [*tables[n].dtypes.astype(str).items()] != [(c.name, c.dtype) for c in declared(n).columns]
    ]
    assert odd == []
