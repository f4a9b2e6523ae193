"""Network tables on the recorded cluster, and the verdicts of the checks over them."""

import csv

import pytest
from builders import EVERYTHING, snapshot
from conftest import DATES

from auditkit import kinds
from auditkit.capture.snapshot import Coverage, Origin, Snapshot
from auditkit.declare import TABLES as DECLARED
from auditkit.declare import kinds_of
from auditkit.evaluate import Tables, run

CHECKS = {
    f"E{n}": f"NET-{n}"
    for n in (
        "01",
        "02",
        "03",
        "04",
        "05",
        "06",
        "07",
        "08",
        "09",
        "11",
        "12",
        "16",
        "17",
        "18",
        "19",
        "20",
        "21",
        "22",
    )
}
TABLES = (
    "network_policies", "isolation", "namespace_network", "occupied_namespaces", "policy_enforcement", "services",
    "open_services", "ingresses",
    "gateway_listeners", "routes", "backends", "ingress_secrets", "secrets", "mesh_encryption", "mesh_authorization",
)  # fmt: skip


def recorded(recordings, date, names):
    objects, coverage = {}, []
    for kind in dict.fromkeys(kind for name in names for kind in kinds_of(name)):
        path = recordings / "northwind-prod" / date / f"{kind.plural}.{kind.group or 'core'}.json"
        served = path.exists()
        if served:
            objects[kind] = kinds.decode_page(kind, path.read_bytes())[1]
        coverage.append(Coverage(resource=kinds.resource(kind), state="collected" if served else "not served"))
    return Tables(
        Snapshot(origin=Origin(cluster="c", source="s", options=EVERYTHING), coverage=coverage, objects=objects)
    )


@pytest.mark.parametrize("date", DATES)
def test_checks_agree_with_what_was_planted(recordings, date):
    results = run(recorded(recordings, date, TABLES), [*CHECKS.values(), "NET-60"])
    with (recordings / "expected.csv").open() as file:
        planted = [row for row in csv.DictReader(file) if row["date"] == date and row["check"] in CHECKS]
    assert len(planted) > 30
    for row in planted:
        check = "NET-60" if "Secret promo-tls" in row["fact"] else CHECKS[row["check"]]
        found = results[check].population
        place = (found.namespace == row["namespace"]) & (found.kind == row["kind"]) & (found.name == row["name"])
        verdicts = set(found[place].verdict)
        # What is not tested is ok: a namespace without pods, a Service that is not open.
        wanted, said = row["expected"], verdicts or {"ok"}
        agrees = "exception" in said if wanted == "exception" else said == {wanted}
        assert agrees, (row, verdicts)


def test_every_table_has_unique_keys(recordings):
    tables = recorded(recordings, DATES[-1], TABLES)
    for name in TABLES:
        assert not tables[name].empty, name
        assert not tables[name].duplicated(list(DECLARED[name].key)).any(), name


def test_populations_are_what_their_titles_say(recordings):
    tables = recorded(recordings, DATES[-1], TABLES)
    assert set(tables["namespace_network"].name) - set(tables["occupied_namespaces"].name) >= {"sandbox"}
    assert tables["occupied_namespaces"].workloads.min() > 0
    assert set(tables["open_services"].type) == {"NodePort", "LoadBalancer"}


def test_a_workload_is_isolated_only_if_each_of_its_pods_is():
    owner = {"ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "r", "controller": True}]}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": n, "namespace": "web", "labels": {"v": n}, **owner}}
        for n in ("old", "new")
    ]
    manifests = [
        {"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "r", "namespace": "web"}},
        *pods,
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "p", "namespace": "web"},
            "spec": {"podSelector": {"matchLabels": {"v": "new"}}},
        },
    ]
    (row,) = Tables(snapshot(manifests)).isolation.itertuples()
    assert (row.kind, row.name, row.pods, row.policies) == ("ReplicaSet", "r", 2, ["p"])
    assert (row.selected, row.ingress_isolated) == (False, False)


def test_a_snapshot_keeps_no_text_of_a_snippet():
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i", "annotations": {"nginx.ingress.kubernetes.io/server-snippet": "secret"}},
        "spec": {"rules": [{"host": "a.example"}]},
    }
    assert "secret" not in repr(kinds.of(ingress))
    assert Tables(snapshot([ingress])).ingresses.risky.all()
