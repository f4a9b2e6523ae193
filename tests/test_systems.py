"""Mesh, cert-manager, monitoring, backups and GitOps as tables: the recorded cluster, and edges that cases do not show."""

import time
from pathlib import Path

import msgspec
import pandas as pd
import pytest
from builders import snapshot
from hypothesis import given
from hypothesis import strategies as st

import auditkit as ak
from auditkit import evaluate, kinds
from auditkit.analysis import mesh
from auditkit.analysis.durations import days
from auditkit.evaluate import Tables
from auditkit.kinds.certificates import public_certificates
from auditkit.kinds.network import PeerAuthentication
from auditkit.kinds.platform import ConfigMap
from auditkit.tables.agents import matches
from auditkit.tables.delivery import pinned
from auditkit.tables.monitoring import topics, topics_of

DATE = Path(__file__).parent / "recordings" / "northwind-prod" / "2026-10-31"


@pytest.fixture(scope="module")
def tables() -> Tables:
    return ak.capture(path=DATE, secrets=True, tls_secrets=True).tables


def test_what_stands_before_the_recorded_workloads(tables: Tables) -> None:
    rows = tables["mesh_workloads"].set_index(["namespace", "name"])
    assert list(rows.loc[("customers", "profile-api"), "ports"]) == ["9102 DISABLE"]
    assert list(rows.loc[("customers", "export"), "policies"]) == ["istio-system/default"]
    assert rows.loc["payments"].encrypted.fillna(False).sum() == 4
    assert not rows.loc["analytics"].proxied.any()
    assert pd.isna(rows.loc[("payments", "settlement-batch"), "encrypted"])


MODES = st.sampled_from([None, "UNSET", "STRICT", "PERMISSIVE", "DISABLE"])


def policy(name: str, namespace: str, mode: str | None, *, labels: dict[str, str] | None = None) -> PeerAuthentication:
    spec = {"mtls": {"mode": mode} if mode else None, "selector": {"matchLabels": labels} if labels else None}
    document = {"metadata": {"name": name, "namespace": namespace}, "spec": spec}
    return msgspec.convert(document, PeerAuthentication)


@given(mesh_mode=MODES, namespace_mode=MODES, workload_mode=MODES)
def test_the_narrowest_scope_that_says_something_decides(
    mesh_mode: str | None, namespace_mode: str | None, workload_mode: str | None
) -> None:
    policies = [
        policy("m", "istio-system", mesh_mode),
        policy("n", "web", namespace_mode),
        policy("w", "web", workload_mode, labels={"app": "a"}),
        policy("w", "web", "STRICT", labels={"app": "other"}),
    ]
    said = [mode for mode in (workload_mode, namespace_mode, mesh_mode) if mode not in (None, "UNSET")]
    found = mesh.mutual(policies, "istio-system", "web", {"app": "a", "more": "x"})
    assert found.mode == (said[0] if said else "PERMISSIVE")
    assert bool(found.policy) == bool(said)
    assert mesh.mutual(policies[::-1], "istio-system", "web", {"app": "a"}).mode == found.mode


@pytest.mark.parametrize(
    ("maps", "root"),
    [
        ([], "istio-system"),
        ([("istio", "istio-system", "rootNamespace: mesh")], "mesh"),
        ([("istio", "istio-system", "enableTracing: true")], "istio-system"),
        ([("istio", "istio-system", "a: [")], None),
        ([("istio", "a", "rootNamespace: a"), ("istio-canary", "b", "rootNamespace: b")], None),
        ([("other", "a", "rootNamespace: a")], "istio-system"),
    ],
)
def test_the_root_namespace_is_that_of_the_mesh_config(maps: list[tuple[str, str, str]], root: str | None) -> None:
    found = [
        kinds.of(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": n, "namespace": s}, "data": {"mesh": d}}
        )
        for n, s, d in maps
    ]
    assert mesh.root_namespace([one for one in found if isinstance(one, ConfigMap)]) == root


def test_who_uses_the_recorded_certificates(tables: Tables) -> None:
    users = tables["certificate_users"]
    assert {"Ingress", "Gateway"} <= set(users.user_kind.dropna())
    served = tables["served_secrets"].set_index(["kind", "namespace", "name"])
    assert served.loc[("Gateway", "customers", "edge"), "certificate"] == "customers-tls"
    assert not served.loc[("Ingress", "web", "missing-secret"), "kept"]


def test_every_alert_has_a_topic_or_is_unmapped(tables: Tables) -> None:
    rows = tables["alert_rules"].set_index("alert")
    assert rows.topics.to_dict() == {"KubePodCrashLooping": ["workloads"], "CertificateExpiry": ["certificates"]}
    assert rows.severity["KubePodCrashLooping"] == "page"
    assert topics_of("CoffeeIsCold") == []
    rule = {"alert": "CoffeeIsCold"}
    spec = {"groups": [{"name": "g", "rules": [rule, rule]}]}
    meta = {"name": "r", "namespace": "m"}
    made = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": meta, "spec": spec}
    assert list(Tables(snapshot([made]))["alert_rules"].topics) == [["unmapped"], ["unmapped"]]


def test_topics_name_criteria_that_there_are() -> None:
    from auditkit import frameworks

    known = {requirement.id for requirement in frameworks.load("soc2-2017").requirement}
    assert {criterion for topic in topics().values() for criterion in topic.criteria} <= known


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("15d", 15.0), ("744h", 31.0), ("1w2d", 9.0), ("1h0m0s", 0.042), ("0", 0.0), ("1y", 365.0), ("90m", 0.062),
        ("50GB", None), ("15", None), ("true", None), ("", None), (None, None), ("d", None),
    ],
)  # fmt: skip
def test_days(text: str | None, expected: float | None) -> None:
    assert days(text) == expected


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("limits:\n  retention_period: 744h\n  ingestion: 4\n", {"k: retention_period": "744h"}),
        ("log.retention.hours=168\n", {"k: log.retention.hours": "168"}),
        ('- retention: "30d"  # a month\n', {"k: retention": "30d"}),
        ("retention_token: hunter22\n", {}),
        ("# how retention works: it does not\n", {}),
        ("nothing: 1\n", {}),
    ],
)
def test_of_a_config_map_only_times_sizes_and_switches_of_retention_are_kept(text: str, kept: dict[str, str]) -> None:
    meta = {"name": "c", "namespace": "m"}
    found = kinds.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"k": text}})
    assert isinstance(found, ConfigMap)
    assert (found.retention or {}) == kept
    assert found.data is None


BEGIN = "-----BEGIN CERTIFICATE-----"


@pytest.mark.parametrize(
    "text",
    [
        BEGIN + " " * 200_000,
        BEGIN * 7_000,
        "\n" * 200_000 + "retention",
        "-" * 200_000 + "retention",
        "retention" * 22_000,
        "retention: " + "1" * 200_000 + "!",
    ],
    ids=["blanks", "begins", "lines", "dashes", "words", "digits"],
)
def test_nobody_who_may_write_a_config_map_or_secret_makes_a_capture_slow(text: str) -> None:
    started = time.process_time()
    for name in ("c", "kube-root-ca.crt"):
        kinds.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": text}})
    assert public_certificates(text) == ([], text.count(BEGIN))
    # A search that begins again at every character takes minutes.
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "a: !!int ''",
        "a: !!timestamp 9999-99-99",
        "a: !!timestamp x",
        "a: " + "9" * 5_000,
        "a: 1\n---\nb: 1",
    ],
    ids=["nested", "int", "month", "time", "digits", "two"],
)
def test_yaml_in_a_config_map_that_is_beyond_reason_is_unreadable_and_harms_nobody(text: str) -> None:
    meta = {"name": "kubelet-config", "namespace": "kube-system"}
    found = kinds.of({"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"kubelet": text}})
    assert isinstance(found, ConfigMap)
    assert (found.kubelet, found.unreadable) == (None, ["kubelet"])


def test_a_page_with_an_object_that_is_nested_too_deeply_is_no_page() -> None:
    deep = '{"a":' * 5_000 + "1" + "}" * 5_000
    page = f'{{"items": [{{"metadata": {{"name": "a"}}, "spec": {{"parameters": {deep}}}}}]}}'
    with pytest.raises(msgspec.DecodeError, match="nested too deeply"):
        kinds.decode_page(kinds.BY_GROUP["constraints.gatekeeper.sh"], page.encode())


def test_flags_of_retention_are_kept_and_no_others() -> None:
    args = ["--web.listen=:9090", "--storage.tsdb.retention.time=15d", "--storage.tsdb.retention.size", "50GB", "-x"]
    container = {"name": "p", "args": args}
    meta = {"name": "p", "namespace": "m"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": {"containers": [container]}}
    rows = Tables(snapshot([pod]))["retention_settings"]
    assert dict(zip(rows.setting, rows.value, strict=True)) == {
        "p: storage.tsdb.retention.size": "50GB",
        "p: storage.tsdb.retention.time": "15d",
    }


@pytest.mark.parametrize(
    ("revision", "fixed"),
    [
        ("fe14010b4fe83303852f0467c919ef9a7ca089b9", True), ("v1.2.3", True), ("1.2.3-rc.1", True),
        ("main", False), ("HEAD", False), ("1.2.*", False), (">=1.2.3", False), ("v1", False),
    ],
)  # fmt: skip
def test_a_pinned_revision_means_the_same_tomorrow(revision: str, fixed: bool) -> None:
    assert pinned(revision) is fixed


def test_an_image_is_matched_by_as_many_parts_as_the_pattern_has() -> None:
    assert matches("registry.example:5000/platform/shipper:1@sha256:0", "shipper")
    assert matches("registry.example/platform/shipper", "platform/ship*")
    assert not matches("registry.example/shop/shipper", "platform/ship*")


def test_what_backs_up_the_recorded_data(tables: Tables) -> None:
    copies = tables["volume_copies"].set_index("name")
    assert f"{copies.snapped_at['data-postgres-0']:%Y-%m-%d}" == "2026-06-30"
    assert (copies.copied_at == copies.backed_up_at).all()
    assert (copies.age_days < 1).all()


def test_an_unread_kind_leaves_these_tests_not_collected() -> None:
    source = snapshot([], missing=["pods", "persistentvolumeclaims", "orders.acme.cert-manager.io"])
    ids = ["NET-80", "NET-81", "NET-84", "CERT-72", "LOG-63", "LOG-66", "AVL-70", "STO-61"]
    results = evaluate.run(Tables(source), ids)
    assert {results[id].conclusion for id in ids} == {"not collected"}
