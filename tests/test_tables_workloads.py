"""Workloads, containers and volumes: pods folded to their owners, on the recorded cluster and where it has no case."""

import pandas as pd
import pytest
from builders import snapshot
from conftest import DATES

from auditkit import kinds
from auditkit.analysis.owners import POD_KINDS
from auditkit.capture.snapshot import Coverage, Origin, Snapshot
from auditkit.declare import TABLES
from auditkit.evaluate import Tables
from auditkit.kinds.network import Service
from auditkit.kinds.platform import HorizontalPodAutoscaler, Namespace, PodDisruptionBudget, ServiceAccount

KINDS = (*POD_KINDS, Namespace, ServiceAccount, PodDisruptionBudget, HorizontalPodAutoscaler, Service)
NAMES = (
    "workloads", "scalable_workloads", "replicated_workloads", "system_workloads", "pods", "cronjobs", "containers",
    "resourced_containers", "long_running_containers", "volumes", "host_paths", "workload_service_accounts",
    "workload_tokens", "token_defaults", "pod_security", "disruption_budgets", "budget_matches",
    "autoscalers", "scale_targets", "service_ports",
)  # fmt: skip


@pytest.fixture(scope="module", params=DATES)
def tables(request, recordings):
    objects = {}
    for kind in KINDS:
        path = recordings / "northwind-prod" / request.param / f"{kind.plural}.{kind.group or 'core'}.json"
        objects[kind] = kinds.decode_page(kind, path.read_bytes())[1]
    coverage = [Coverage(resource=kinds.resource(kind), state="collected") for kind in objects]
    return Tables(Snapshot(origin=Origin(cluster=request.param, source="s"), coverage=coverage, objects=objects))


@pytest.mark.parametrize("name", NAMES)
def test_keys_are_unique_and_an_empty_cluster_has_no_rows(tables, name):
    key = list(TABLES[name].key)
    assert not tables[name].duplicated(key).any()
    assert not tables[name][key].isna().any(axis=None)
    empty = Tables(snapshot([]))[name]
    assert empty.empty
    assert list(empty.dtypes) == list(tables[name].dtypes)


def test_how_many(tables):
    added = tables.snapshot.origin.cluster > DATES[0]
    probe = tables.snapshot.origin.cluster == DATES[1]
    later = tables.snapshot.origin.cluster > DATES[1]
    assert len(tables["workloads"]) == 66 + added
    assert len(tables["containers"]) == 76 + added
    assert len(tables["pods"]) == {0: 105, 1: 106, 2: 109}[added + later]
    assert tables["workloads"]["naked"].sum() == 2 + probe
    assert tables["workloads"]["static"].sum() == 4
    assert len(tables["workload_service_accounts"]) == len(tables["workloads"]) - 4


def test_pods_are_folded_to_what_a_person_made(tables):
    assert set(tables["workloads"]["kind"]) == {"Deployment", "StatefulSet", "DaemonSet", "CronJob", "Job", "Pod"}
    counted = tables["pods"].groupby(["namespace", "kind", "name"]).size()
    workloads = tables["workloads"].set_index(["namespace", "kind", "name"])
    running = workloads[workloads["pods"] > 0]
    assert running["pods"].astype(int).to_dict() == counted.to_dict()
    assert set(tables["containers"]["name"]) == set(tables["workloads"]["name"])


def test_roles(tables):
    containers = tables["containers"]
    api = containers[containers["name"] == "payments-api"].set_index("container")["role"]
    assert sorted(api) == ["init", "main", "main", "sidecar"]
    debugged = containers[containers["name"] == "naked-debug"].set_index("container")["role"]
    assert debugged["debugger-x7k"] == "ephemeral"


def test_facts_of_a_container(tables):
    fax = tables["containers"].set_index("name").loc["fax"]
    assert set(fax["capabilities_added"]) >= {"SYS_ADMIN", "SYS_MODULE", "NET_RAW"}
    assert fax["capabilities_dropped"] == ["ALL"]
    assert fax["seccomp"] == "Localhost"
    billing = tables["containers"].set_index("name").loc["billing"]
    assert billing["plain_env"] == ["DB_PASSWORD"]
    assert billing["secret_env"] == ["billing"]
    assert pd.isna(billing[["run_as_user", "memory_limit", "cpu_request", "seccomp"]]).all()


def test_injected_tokens_are_one_volume(tables):
    volumes = tables["volumes"]
    assert not volumes["volume"].str.contains(r"kube-api-access-").any()
    tokens = volumes[volumes["volume"] == "kube-api-access"]
    assert set(tokens["source"]) == {"projected"}
    assert not tokens.duplicated(["namespace", "kind", "name"]).any()


def owned_pod(name, uid, **spec):
    meta = {"name": name, "namespace": "web", "creationTimestamp": f"2026-10-{uid:02}T00:00:00Z"}
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d-1", "controller": True}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**meta, "ownerReferences": [owner]}, "spec": spec}


def test_pods_that_differ_keep_their_facts_and_the_newest_is_first():
    manifests = [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "web", "uid": "d-1"}},
        owned_pod("a", 1, hostPID=True, containers=[{"name": "c", "image": "old"}]),
        owned_pod("b", 3, containers=[{"name": "c", "image": "new"}], serviceAccountName="own"),
        owned_pod("c", 2, containers=[{"name": "c", "image": "new"}, {"name": "proxy", "image": "p"}]),
    ]
    tables = Tables(snapshot(manifests))
    rows = tables["containers"][["container", "variant", "image"]].itertuples(index=False, name=None)
    assert list(rows) == [("c", 0, "new"), ("c", 1, "old"), ("proxy", 0, "p")]
    assert list(tables["workloads"]["host_pid"]) == [True]
    assert list(tables["workload_service_accounts"]["service_account"]) == ["default", "own"]


def test_manifests_without_uids_are_owned_by_name_but_a_recreated_owner_is_another():
    owner = {"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "controller": True}
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "web", "ownerReferences": [ref]}}
        for name, ref in (("p", owner), ("stray", {**owner, "name": "e", "uid": "gone"}))
    ]
    manifests = [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "d", "namespace": "web"}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "e", "namespace": "web", "uid": "e-2"}},
        *pods,
    ]
    workloads = Tables(snapshot(manifests))["workloads"].set_index(["kind", "name"])["pods"]
    assert workloads.to_dict() == {("DaemonSet", "d"): 1, ("DaemonSet", "e"): 0, ("Pod", "stray"): 1}
