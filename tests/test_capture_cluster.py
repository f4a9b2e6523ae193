"""The door for a running cluster: the official client against a local server that answers from the recordings."""

import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
import urllib3
import yaml
from apiserver import TOKEN, ApiServer, Fault, Request, serving

from auditkit import kinds
from auditkit.capture import cluster, files
from auditkit.capture.policy import SECRET_TYPES
from auditkit.capture.role import cluster_role
from auditkit.capture.snapshot import Options, Snapshot
from auditkit.capture.transport import Patience
from auditkit.errors import RetryLater, UsageError
from auditkit.kinds import Kind
from auditkit.kinds.certificates import Secret
from auditkit.kinds.platform import Namespace, Node
from auditkit.kinds.policies import Constraint
from auditkit.kinds.rbac import ClusterRole
from auditkit.kinds.reports import VulnerabilityManifestSummary
from auditkit.kinds.workloads import Deployment, Pod

HASTY = Patience(attempts=3, pause=0.001, longest=2.0, timeout=5.0, restarts=2)
EVERYTHING = Options(secrets=True, tls_secrets=True, secret_facts=True)
PODS = 114


def canaries(recordings: Path) -> list[str]:
    lines = (recordings / "canaries.txt").read_text().splitlines()
    return [line.partition("\t")[0] for line in lines if not line.startswith("#")]


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


def take(api: ApiServer, folder: Path, **given: Any) -> Snapshot:
    settings = {"qps": 0, "patience": HASTY, "progress": False, **given}
    if "kubeconfig" not in settings:
        settings["kubeconfig"] = api.kubeconfig(folder)
    return cluster.capture(**settings)


def lists(api: ApiServer) -> list[Request]:
    """The requests for lists of resources: GET below a group and version."""
    return [r for r in api.requests if r.method == "GET" and re.fullmatch(r"/api/v1/\w+|/apis/[^/]+/\w+/\w+", r.path)]


def resource_of(request: Request) -> tuple[str, str]:
    parts = request.path.split("/")
    return (parts[2], parts[4]) if parts[1] == "apis" else ("", parts[3])


# The same as a dump


@pytest.mark.parametrize("options", [Options(), Options(secrets=True), Options(tls_secrets=True), EVERYTHING])
def test_a_live_capture_keeps_what_a_dump_of_it_keeps(october: ApiServer, tmp_path: Path, options: Options) -> None:
    live, dump = take(october, tmp_path, options=options), files.capture(october.dump, options=options)
    assert live.digest == dump.digest
    assert live.incomplete == ()
    assert {c.resource: (c.state, c.kept) for c in live.coverage} == {
        c.resource: (c.state, c.kept) for c in dump.coverage
    }
    assert (live.state(Pod).seen, live.state(Pod).pages) == (PODS, dump.state(Pod).pages)


@pytest.mark.parametrize("date", ["2026-07-01", "2026-09-30"])
@pytest.mark.parametrize("aggregated", [True, False])
def test_any_date_and_either_discovery(recordings: Path, tmp_path: Path, date: str, aggregated: bool) -> None:
    with serving(ApiServer(recordings / "northwind-prod" / date, aggregated=aggregated)) as api:
        live, dump = take(api, tmp_path), files.capture(api.dump)
    assert live.digest == dump.digest
    assert [(c.resource, c.state) for c in live.incomplete] == [(c.resource, c.state) for c in dump.incomplete]
    assert [c.resource for c in live.incomplete] == (["*.custom.metrics.k8s.io"] if date == "2026-09-30" else [])


@pytest.mark.parametrize("limit", [1, 7, 113, 114])
def test_pages_of_any_size_give_the_same_snapshot(october: ApiServer, tmp_path: Path, limit: int) -> None:
    paged = take(october, tmp_path, limit=limit, options=EVERYTHING)
    assert paged.digest == files.capture(october.dump, options=EVERYTHING).digest
    pods = paged.state(Pod)
    assert (pods.state, pods.seen, pods.expected, len(pods.pages)) == ("collected", PODS, PODS, -(-PODS // limit))
    assert pods.resource_version == "2805"


def test_origin_is_the_servers_own_word(october: ApiServer, tmp_path: Path) -> None:
    origin = take(october, tmp_path, kinds=[Node]).origin
    assert (origin.cluster, origin.source, origin.server) == ("northwind-prod", "context:northwind", october.url)
    assert (origin.version, origin.identity.username) == ("v1.36.2", "kubernetes-admin")
    assert "system:masters" in origin.identity.groups
    assert origin.cluster_uid == files.capture(october.dump).origin.cluster_uid
    assert origin.taken_at and f"{origin.taken_at:%Y-%m-%dT%H:%M:%SZ}" == "2026-10-31T06:00:00Z"
    assert origin.dated_by == "server Date header"
    assert origin.clock_skew_seconds is not None
    assert origin.tool.startswith("auditkit/")


def test_requests_name_the_tool_and_ask_for_gzip(october: ApiServer, tmp_path: Path) -> None:
    snapshot = take(october, tmp_path, kinds=[Deployment])
    assert {r.headers["user-agent"] for r in october.requests} == {snapshot.origin.tool}
    assert {r.headers["accept-encoding"] for r in october.requests} == {"gzip"}
    assert {(r.query.get("limit"), "fieldSelector" in r.query) for r in october.asked("deployments$")} == {
        ("500", False)
    }


def test_requests_keep_to_the_rate(october: ApiServer, tmp_path: Path) -> None:
    take(october, tmp_path, kinds=[Pod, Node, Deployment], qps=200)
    at = [r.at for r in october.requests]
    assert len(at) > 40
    assert (len(at) - 1) / (at[-1] - at[0]) <= 205


def test_a_bar_is_shown_on_a_terminal_only(
    october: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    take(october, tmp_path, kinds=[Node], progress=None)
    assert capsys.readouterr() == ("", "")
    take(october, tmp_path, kinds=[Node], progress=True)
    assert "context:northwind" in capsys.readouterr().err


# What goes wrong


FIRST = r"/pods\?limit=\d+$"
NEXT = r"/pods\?.*continue="


@pytest.mark.parametrize(
    ("fault", "state", "kept", "restarts", "says"),
    [
        (Fault(NEXT, status=410, times=1), "collected", PODS, 1, ""),
        (Fault(NEXT, status=410), "partial", 40, 2, "410"),
        (Fault(NEXT, do="shift", times=1), "collected", PODS, 1, ""),
        (Fault(NEXT, do="shift"), "partial", 40, 2, "resourceVersion changed between pages, from 2805 to 9999"),
        (Fault(NEXT, do="repeat"), "partial", 80, 0, "repeats a page"),
        (Fault(FIRST, status=429, times=2, retry_after=0), "collected", PODS, 0, ""),
        (Fault(NEXT, status=500, times=2), "collected", PODS, 0, ""),
        (Fault(FIRST, status=503, times=2), "collected", PODS, 0, ""),
        (Fault(FIRST, status=500), "failed", 0, 0, "500: told to fail"),
        (Fault(NEXT, status=503), "partial", 40, 0, "503: told to fail"),
        (Fault(NEXT, status=503, after=1), "partial", 80, 0, "503: told to fail"),
        (Fault(FIRST, status=403), "denied", 0, 0, "403: told to fail"),
        (Fault(FIRST, status=404), "failed", 0, 0, "404: told to fail"),
        (Fault(FIRST, do="truncate", times=2), "collected", PODS, 0, ""),
        (Fault(NEXT, do="truncate"), "partial", 40, 0, "no complete answer"),
        (Fault(FIRST, do="cut", times=1), "collected", PODS, 0, ""),
        (Fault(NEXT, do="cut"), "partial", 40, 0, "cut"),
        (Fault(FIRST, do="drop", times=2), "collected", PODS, 0, ""),
        (Fault(NEXT, do="drop"), "partial", 40, 0, "no complete answer"),
        (Fault(FIRST, do="other"), "failed", 0, 0, "not a list"),
        (Fault(NEXT, do="malform", times=1), "partial", PODS - 1, 0, "labels"),
    ],
    ids=lambda value: f"{value.do}{value.status or ''}-{value.times}" if isinstance(value, Fault) else None,
)
def test_a_fault_is_mended_or_told(
    october: ApiServer, tmp_path: Path, fault: Fault, state: str, kept: int, restarts: int, says: str
) -> None:
    october.faults.append(fault)
    snapshot = take(october, tmp_path, kinds=[Pod, Node], limit=40)
    pods = snapshot.state(Pod)
    assert (pods.state, pods.kept, pods.restarts) == (state, kept, restarts)
    assert len(snapshot.objects[Pod]) == kept
    assert says in pods.note
    assert bool(says) == bool(pods.note)
    assert snapshot.state(Node).state == "collected"
    names = [(p.namespace, p.name) for p in snapshot.objects[Pod]]
    assert len(set(names)) == kept


def test_a_slow_answer_is_asked_again(october: ApiServer, tmp_path: Path) -> None:
    october.faults.append(Fault(FIRST, do="wait", seconds=1.0, times=1))
    patience = Patience(attempts=2, pause=0.001, timeout=0.3)
    assert take(october, tmp_path, kinds=[Pod], patience=patience).state(Pod).state == "collected"
    assert len(october.asked("/pods$")) == 2


def test_a_malformed_object_is_named(october: ApiServer, tmp_path: Path) -> None:
    october.faults.append(Fault(FIRST, do="malform"))
    pods = take(october, tmp_path, kinds=[Pod]).state(Pod)
    assert (pods.state, pods.seen, pods.kept) == ("partial", PODS, PODS - 1)
    assert [m.namespace for m in pods.malformed] == ["analytics"]
    assert pods.malformed[0].name in pods.note


def test_fewer_objects_than_announced_is_partial(october: ApiServer, tmp_path: Path) -> None:
    october.faults.append(Fault(FIRST, do="promise"))
    pods = take(october, tmp_path, kinds=[Pod], limit=100).state(Pod)
    assert (pods.state, pods.seen, pods.expected) == ("partial", PODS, PODS + 5)
    assert "announced 119 objects and sent 114" in pods.note


def test_retry_after_is_kept_to(october: ApiServer, tmp_path: Path) -> None:
    october.faults.append(Fault(FIRST, status=429, times=1, retry_after=1))
    take(october, tmp_path, kinds=[Pod])
    first, second = october.asked("/pods$")
    assert second.at - first.at >= 1


@pytest.mark.parametrize(("retry_after", "attempts"), [(0, 3), (300, 1)])
def test_throttled_to_the_end_is_try_later(october: ApiServer, tmp_path: Path, retry_after: int, attempts: int) -> None:
    october.faults.append(Fault(FIRST, status=429, retry_after=retry_after))
    with pytest.raises(RetryLater, match="throttles") as caught:
        take(october, tmp_path, kinds=[Pod])
    assert caught.value.exit_code == 75
    assert len(october.asked("/pods$")) == attempts


@pytest.mark.parametrize("fault", [Fault("/version", status=503), Fault("GET /apis", status=500), Fault(do="drop")])
def test_a_server_that_is_down_is_try_later(october: ApiServer, tmp_path: Path, fault: Fault) -> None:
    october.faults.append(fault)
    with pytest.raises(RetryLater):
        take(october, tmp_path)


def test_a_server_that_dies_is_not_asked_to_the_last_kind(october: ApiServer, tmp_path: Path) -> None:
    october.faults += [Fault("POST|GET /apis/", do="drop", after=20), Fault("/version", do="drop", after=1)]
    with pytest.raises(RetryLater, match="not reachable"):
        take(october, tmp_path)
    assert len(october.requests) < 60


def test_nobody_there_is_try_later(october: ApiServer, tmp_path: Path) -> None:
    closed = october.kubeconfig(tmp_path, url="http://127.0.0.1:9")
    with pytest.raises(RetryLater, match=r"127\.0\.0\.1:9 is not reachable"):
        take(october, tmp_path, kubeconfig=closed)


def test_expired_credentials_are_not_tried_twice(october: ApiServer, tmp_path: Path) -> None:
    expired = october.kubeconfig(tmp_path, token="expired-and-private")
    with pytest.raises(UsageError, match=r"401 Unauthorized.*context northwind") as caught:
        take(october, tmp_path, kubeconfig=expired)
    assert len(october.requests) == 1
    assert "expired-and-private" not in str(caught.value)


def test_a_tls_failure_is_named(october: ApiServer, tmp_path: Path) -> None:
    secure = october.kubeconfig(tmp_path, url=october.url.replace("http:", "https:"))
    with pytest.raises(UsageError, match=r"TLS failed.*certificate-authority"):
        take(october, tmp_path, kubeconfig=secure)


@pytest.mark.parametrize("root", ["/version", "/api$"])
def test_another_server_at_the_address_is_named(october: ApiServer, tmp_path: Path, root: str) -> None:
    october.faults.append(Fault(f"GET {root}", do="other"))
    if root == "/version":
        assert take(october, tmp_path, kinds=[Node]).origin.version == ""
    else:
        with pytest.raises(UsageError, match="not the answer of a Kubernetes API server"):
            take(october, tmp_path)


# Configuration


def test_an_unknown_context_is_named_with_the_known(october: ApiServer, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has no context staging; choose one of: northwind"):
        take(october, tmp_path, context="staging")
    assert take(october, tmp_path, context="northwind", kinds=[Node]).state(Node).state == "collected"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "no kubeconfig there"),
        ("", "not a kubeconfig"),
        ("{", "not a kubeconfig"),
        ("kind: Config", "no kubeconfig there"),
        ("contexts: [{name: a, context: {cluster: b, user: c}}]", "names no current context; choose one of: a"),
        ("{current-context: a, contexts: [{name: a, context: {cluster: b, user: c}}]}", "context a of"),
    ],
)
def test_a_bad_kubeconfig_is_named(tmp_path: Path, content: str | None, says: str) -> None:
    path = tmp_path / "config"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=says) as caught:
        cluster.capture(kubeconfig=path)
    assert str(path) in str(caught.value)


def test_outside_a_pod_there_is_no_in_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(UsageError, match="--in-cluster: Service host/port is not set"):
        cluster.capture(in_cluster=True)


def plugin(api: ApiServer, folder: Path, script: str, command: str = sys.executable) -> Path:
    """The kubeconfig with a credential plugin that runs `script`."""
    path = api.kubeconfig(folder)
    content = yaml.safe_load(path.read_text())
    version = "client.authentication.k8s.io/v1"
    run = {"apiVersion": version, "command": command, "args": ["-c", script], "interactiveMode": "Never"}
    content["users"][0]["user"] = {"exec": run}
    path.write_text(yaml.safe_dump(content))
    return path


def test_a_credential_plugin_gives_the_token(october: ApiServer, tmp_path: Path) -> None:
    said = {
        "apiVersion": "client.authentication.k8s.io/v1",
        "kind": "ExecCredential",
        "status": {"token": "token-of-the-collector"},
    }
    ready = plugin(october, tmp_path, f"print({json.dumps(said)!r})")
    assert take(october, tmp_path, kubeconfig=ready, kinds=[Node]).state(Node).state == "collected"


@pytest.mark.parametrize(
    ("script", "command", "says"),
    [
        ("import sys; sys.exit('log in first')", sys.executable, "log in first"),
        ("print('nonsense')", sys.executable, "failed to decode"),
        ("", "no-such-plugin", "No such file.*no-such-plugin"),
    ],
)
def test_a_broken_credential_plugin_is_named(
    october: ApiServer, tmp_path: Path, script: str, command: str, says: str
) -> None:
    with pytest.raises(UsageError, match=rf"context northwind .*(?s:.)*the plugin failed.*{says}"):
        take(october, tmp_path, kubeconfig=plugin(october, tmp_path, script, command))
    assert october.requests == []


# What is asked for


def test_denied_is_coverage(october: ApiServer, tmp_path: Path) -> None:
    october.denied = ("clusterroles.rbac.authorization.k8s.io", "endpoints")
    snapshot = take(october, tmp_path)
    roles = snapshot.state(ClusterRole)
    assert (roles.state, roles.list_allowed, roles.kept) == ("denied", False, 0)
    assert "cannot list" in roles.note
    assert snapshot.incomplete == (roles,)
    assert snapshot.state(Pod).list_allowed is True
    endpoints = next(c for c in snapshot.coverage if c.resource == "endpoints")
    assert (endpoints.state, endpoints.expected) == ("not read", None)
    assert october.asked("/endpoints$") == []


def test_every_resource_that_is_served_is_accounted_for(october: ApiServer, tmp_path: Path) -> None:
    coverage = {c.resource: c for c in take(october, tmp_path).coverage}
    served = {
        f"{r['resource']}.{g['metadata'].get('name', '')}".rstrip(".")
        for g in october.discovery
        for v in g["versions"]
        for r in v["resources"]
        if "list" in r["verbs"]
    }
    constraints = {name for name in served if name.endswith(".constraints.gatekeeper.sh")}
    assert served - constraints <= set(coverage)
    assert coverage["*.constraints.gatekeeper.sh"].seen == len(constraints) == 1
    assert {c.resource for c in coverage.values() if c.state == "excluded"} == {
        "events",
        "events.events.k8s.io",
        "leases.coordination.k8s.io",
        "secrets",
    }
    assert {resource_of(r)[1] for r in lists(october)}.isdisjoint({"events", "leases", "secrets"})
    counted = {c.resource: c.seen for c in coverage.values() if c.state == "not read"}
    assert counted["componentstatuses"] == 3
    for name, seen in counted.items():
        plural, _, group = name.partition(".")
        listed = json.loads((october.dump / f"{plural}.{group or 'core'}.json").read_bytes())
        assert seen == len(listed["items"])


def test_a_kind_comes_from_the_version_that_has_it(october: ApiServer, tmp_path: Path) -> None:
    take(october, tmp_path)
    assert {r.path for r in october.asked("/kyverno.io/")} == {
        "/apis/kyverno.io/v1/clusterpolicies",
        "/apis/kyverno.io/v2/policyexceptions",
    }


def test_a_server_that_lists_metadata_alone_is_asked_for_the_whole(october: ApiServer, tmp_path: Path) -> None:
    """The storage of Kubescape: kubescape/storage, pkg/apis/softwarecomposition, ResourceVersionFullSpec."""
    velero = group(october, "velero.io")
    summaries = {
        **velero["versions"][0]["resources"][0],
        "resource": VulnerabilityManifestSummary.plural,
        "responseKind": {"kind": VulnerabilityManifestSummary.kind},
    }
    october.discovery.append(
        {
            "metadata": {"name": VulnerabilityManifestSummary.group},
            "versions": [{"version": "v1beta1", "freshness": "Current", "resources": [summaries]}],
        }
    )
    take(october, tmp_path)
    (asked,) = october.asked(f"/{VulnerabilityManifestSummary.group}/")
    assert asked.query["resourceVersion"] == "fullSpec"
    assert not any("resourceVersion" in r.query for r in lists(october) if r is not asked)


CONSTRAINTS = "*.constraints.gatekeeper.sh"


def constraints(api: ApiServer, *more: str) -> None:
    """Templates have made `more` kinds of constraints, of which the dump has no list."""
    served = group(api, "constraints.gatekeeper.sh")["versions"][0]["resources"]
    served += [{**served[0], "resource": name, "responseKind": {"kind": name}} for name in more]


@pytest.mark.parametrize(
    ("more", "denied", "state", "says"),
    [
        ((), (), "collected", ""),
        ((), ("k8srequiredlabels",), "denied", "k8srequiredlabels.constraints.gatekeeper.sh: "),
        (("k8sother",), (), "partial", "k8sother.constraints.gatekeeper.sh: "),
        (("k8sother",), ("k8sother",), "partial", "cannot list"),
        (("k8sother",), ("k8sother", "k8srequiredlabels"), "denied", "cannot list"),
    ],
)
def test_constraints_are_one_kind_by_whatever_template(
    october: ApiServer, tmp_path: Path, more: tuple[str, ...], denied: tuple[str, ...], state: str, says: str
) -> None:
    constraints(october, *more)
    october.denied = tuple(f"{name}.constraints.gatekeeper.sh" for name in denied)
    snapshot = take(october, tmp_path)
    found = snapshot.state(Constraint)
    assert (found.resource, found.state) == (CONSTRAINTS, state)
    assert says in found.note
    assert [one.name for one in snapshot.objects[Constraint]] == (
        [] if state == "denied" else ["K8sRequiredLabels/ns-must-have-owner"]
    )


def test_a_cluster_without_constraints_serves_none(october: ApiServer, tmp_path: Path) -> None:
    group(october, "constraints.gatekeeper.sh")["versions"] = []
    assert take(october, tmp_path).state(Constraint).state == "not served"


def group(api: ApiServer, name: str) -> dict[str, Any]:
    return next(g for g in api.discovery if g["metadata"].get("name") == name)


@pytest.mark.parametrize(
    ("versions", "state", "says"),
    [
        ([{"version": "v1", "freshness": "Stale"}], "failed", "did not answer discovery"),
        ([{"version": "v9", "freshness": "Current"}], "failed", "served as v9; this version of auditkit reads v1"),
        ([], "not served", ""),
    ],
)
def test_a_group_that_is_broken_is_not_a_group_that_is_absent(
    october: ApiServer, tmp_path: Path, versions: list[dict[str, Any]], state: str, says: str
) -> None:
    velero = group(october, "velero.io")
    resources = velero["versions"][0]["resources"]
    velero["versions"] = [{**v, **({"resources": resources} if v["version"] == "v9" else {})} for v in versions]
    snapshot = take(october, tmp_path)
    found = {c.state for c in snapshot.coverage if c.resource.endswith(".velero.io")}
    assert found == {state}
    assert all(says in c.note for c in snapshot.coverage if c.resource.endswith(".velero.io"))


def test_kinds_that_nobody_asked_for_are_not_empty(october: ApiServer, tmp_path: Path) -> None:
    snapshot = take(october, tmp_path, kinds=[Namespace])
    assert [c.resource for c in snapshot.coverage if c.state == "collected"] == ["namespaces"]
    assert snapshot.state(Pod).state == "failed"
    assert snapshot.state(Secret).state == "failed"


# Secrets


def secret_requests(api: ApiServer) -> dict[str, bool]:
    """Selector of each list of Secrets, and whether it was metadata only."""
    return {
        r.query.get("fieldSelector", ""): "PartialObjectMetadataList" in r.headers["accept"]
        for r in api.asked("/secrets$")
    }


def test_metadata_of_secrets_is_all_that_is_asked_for(october: ApiServer, tmp_path: Path) -> None:
    snapshot = take(october, tmp_path, options=Options(secrets=True), kinds=[Secret])
    asked = secret_requests(october)
    assert all(asked.values())
    assert set(asked) == {f"type={t}" for t in SECRET_TYPES} | {",".join(f"type!={t}" for t in SECRET_TYPES)}
    # No other representation is acceptable: a server without this one must refuse, not send values.
    assert {r.headers["accept"] for r in october.asked("/secrets$")} == {cluster.METADATA}
    dump = json.loads((october.dump / "secrets.core.json").read_bytes())["items"]
    assert {(s.namespace, s.name, s.type) for s in snapshot.objects[Secret]} == {
        (s["metadata"]["namespace"], s["metadata"]["name"], s["type"]) for s in dump
    }


@pytest.mark.parametrize(
    ("options", "whole"),
    [
        (Options(tls_secrets=True), {"type=kubernetes.io/tls"}),
        (
            Options(secret_facts=True),
            {"type=bootstrap.kubernetes.io/token", "type=kubernetes.io/service-account-token"},
        ),
    ],
)
def test_whole_secrets_only_of_the_types_asked_for(
    october: ApiServer, tmp_path: Path, options: Options, whole: set[str]
) -> None:
    snapshot = take(october, tmp_path, options=options, kinds=[Secret])
    assert secret_requests(october) == dict.fromkeys(whole, False)
    assert {f"type={s.type}" for s in snapshot.objects[Secret]} == whole


def test_no_value_of_a_secret_stays(october: ApiServer, tmp_path: Path, recordings: Path) -> None:
    snapshot = take(october, tmp_path, options=EVERYTHING)
    kept = b"\n".join(msgspec.json.encode(o) for kind in snapshot.objects for o in snapshot.objects[kind])
    kept += msgspec.json.encode((snapshot.origin, snapshot.coverage))
    assert [c for c in canaries(recordings) if c.encode() in kept] == []
    assert b"PRIVATE KEY" not in kept
    assert any(s.certificates for s in snapshot.objects[Secret])


def test_the_type_of_an_unknown_secret_stays_unknown(october: ApiServer, tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    shutil.copytree(october.dump, dump)
    secrets = json.loads((dump / "secrets.core.json").read_bytes())
    secrets["items"][0]["type"] = "istio.io/key-and-cert"
    (dump / "secrets.core.json").write_text(json.dumps(secrets))
    october.dump = dump
    snapshot = take(october, tmp_path, options=Options(secrets=True), kinds=[Secret])
    assert len(snapshot.objects[Secret]) == len(secrets["items"])
    assert [s.name for s in snapshot.objects[Secret] if s.type is None] == [secrets["items"][0]["metadata"]["name"]]


def test_denied_secrets_are_asked_for_once(october: ApiServer, tmp_path: Path) -> None:
    october.denied = ("secrets",)
    secrets = take(october, tmp_path, options=EVERYTHING, kinds=[Secret]).state(Secret)
    assert (secrets.state, len(october.asked("/secrets$"))) == ("denied", 1)


def test_one_broken_list_of_secrets_makes_them_partial(october: ApiServer, tmp_path: Path) -> None:
    october.faults.append(Fault("fieldSelector=type%3DOpaque&", status=500))
    secrets = take(october, tmp_path, options=EVERYTHING, kinds=[Secret]).state(Secret)
    assert (secrets.state, secrets.kept) == ("partial", 16)


# The role


@pytest.mark.parametrize("options", [Options(), EVERYTHING])
def test_the_role_is_enough_and_nothing_else_is_asked_for(october: ApiServer, tmp_path: Path, options: Options) -> None:
    october.role = cluster_role(options=options)
    snapshot = take(october, tmp_path, options=options)
    assert snapshot.incomplete == ()
    assert snapshot.origin.cluster_uid
    assert [r.path for r in lists(october) if not october.allows("list", *resource_of(r))] == []
    assert snapshot.digest == files.capture(october.dump, options=options).digest


def test_the_role_grants_no_more_than_list() -> None:
    def grants(role: dict[str, Any]) -> set[tuple[str, str, str]]:
        return {
            (g, r, v)
            for rule in role["rules"]
            for g in rule["apiGroups"]
            for r in rule["resources"]
            for v in rule["verbs"]
        }

    asked: tuple[type[Kind], ...] = (Namespace, Deployment, Secret)
    assert grants(cluster_role(asked)) == {
        ("", "namespaces", "get"),
        ("", "namespaces", "list"),
        ("apps", "deployments", "list"),
    }
    assert ("", "secrets", "list") in grants(cluster_role(asked, Options(tls_secrets=True)))
    everything = cluster_role(options=EVERYTHING)
    assert {(g, r) for g, r, v in grants(everything) if v == "list"} == {(k.group, k.plural) for k in kinds.ALL}
    # Templates make the resources of this group: they have no names beforehand.
    assert [one for one in grants(everything) if "*" in one] == [("constraints.gatekeeper.sh", "*", "list")]
    assert [r["resourceNames"] for r in everything["rules"] if "get" in r["verbs"]] == [["kube-system"]]


# The local server answers as the recorded one


def shape(body: bytes) -> Any:
    """Of a JSON answer what does not depend on the moment: kind, members, and how much of a list is left."""
    document = json.loads(body)
    meta = document.get("metadata", {})
    items = document.get("items") or document.get("resources") or [{}]
    left = ("continue" in meta, meta.get("remainingItemCount"))
    return (
        document.get("kind"),
        set(document),
        set(meta) - {"managedFields"},
        left,
        len(items),
        set(items[0]) - {"spec"},
    )


@pytest.mark.parametrize(
    "name",
    [
        "01-version",
        "02-api",
        "03-apis",
        "04-api-aggregated",
        "05-apis-aggregated",
        "07-pods-page-1",
        "16-not-found-group",
    ]
    + ["18-unauthorized", "20-secrets-metadata-only", "21-secrets-tls", "23-selfsubjectreview", "33-bad-continue"]
    + ["35-bad-field-selector", "32-gzip-clusterroles", "46-gzip-deployments"],
)
def test_the_local_server_answers_as_the_recorded_one(october: ApiServer, recordings: Path, name: str) -> None:
    recorded = (recordings / "http" / f"{name}.http").read_bytes()
    asked, _, answered = recorded.partition(b"\r\nHTTP/1.1 ")
    method, path = asked.decode().split()[:2]
    headers = dict(re.findall(r"^([\w-]+): (.*?)\r?$", asked.decode(), re.MULTILINE))
    token = "not-a-token" if "unauthorized" in name else TOKEN
    head, _, body = answered.partition(b"\r\n\r\n")
    with urllib3.PoolManager() as pool:
        own = pool.request(
            method,
            october.url + path,
            headers={k: v for k, v in headers.items() if k.startswith("Accept")} | {"Authorization": f"Bearer {token}"},
        )
    assert own.status == int(head[:3])
    assert ("Content-Encoding" in own.headers) == (b"content-encoding" in head.lower())
    if name not in ("16-not-found-group", "35-bad-field-selector"):
        assert shape(own.data) == shape(body)
