"""What is kept of pods and workloads, and that the values judged at capture are not."""

import time

import msgspec
import pytest
from conftest import DATES

from auditkit import kinds
from auditkit.kinds import judge
from auditkit.kinds.base import decode_page, read, resource
from auditkit.kinds.workloads import WORKLOADS, Container, Deployment, Pod, Volume, pod_template


@pytest.mark.parametrize("kind", WORKLOADS.values(), ids=WORKLOADS)
@pytest.mark.parametrize("date", DATES)
def test_recorded_workloads_keep_no_secret_and_survive_a_round_trip(recordings, kind, date):
    canaries = [
        line.split("\t")[0].encode()
        for line in (recordings / "canaries.txt").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    name = resource(kind) if kind.group else f"{kind.plural}.core"
    raw = (recordings / "northwind-prod" / date / f"{name}.json").read_bytes()
    _, objects, faults = decode_page(kind, raw)
    kept = msgspec.json.encode(objects)
    assert faults == []
    assert [canary for canary in canaries if canary in kept] == []
    assert not any(word in kept for word in (b"last-applied", b'"command"', b'"args"'))
    again = msgspec.json.decode(kept, type=list[kind])
    assert again == objects
    assert msgspec.json.encode(again) == kept


def test_recorded_pods_are_judged(recordings):
    _, pods, _ = decode_page(Pod, (recordings / "northwind-prod" / DATES[-1] / "pods.core.json").read_bytes())
    containers = [(pod, c) for pod in pods for c in (pod.spec.containers or ())]
    secret = {c.name: v.name for _, c in containers for v in c.env or () if v.looks_secret}
    assert secret == {"superset": "SUPERSET_SECRET_KEY", "export": "DB_DSN", "billing": "DB_PASSWORD"}
    assert {c.name for _, c in containers if c.secret_argv} == {"export"}
    assert {c.name for _, c in containers if c.sudo} == {"soap-gateway"}
    assert {c.component for _, c in containers if c.component} == judge.COMPONENTS
    etcd = next(c for _, c in containers if c.component == "etcd")
    assert {v.name for v in etcd.env or () if v.value} <= {v.name for v in etcd.env or () if v.name.startswith("ETCD_")}


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("DB_PASSWORD", "hunter2", True),
        ("PGPASSWORD", "hunter2", True),
        ("apiKey", "abc-def", True),
        ("AWS_SECRET_ACCESS_KEY", "wJalr/XUtnFEMI", True),
        ("SECRET", "$(FROM_ELSEWHERE)", False),
        ("DB_DSN", "postgres://u:p4ss@db/x", True),
        ("DB_DSN", "postgres://u:$(DB_PASSWORD)@db/x", False),
        ("DB_DSN", "postgres://u@db/x", False),
        ("ANYTHING", "AKIAIOSFODNN7EXAMPLE", True),
        ("ANYTHING", "-----BEGIN RSA PRIVATE KEY-----\nx", True),
        ("ANYTHING", "-----BEGIN CERTIFICATE-----\nx", False),
        ("ANYTHING", "eyJhbGciOiJI.eyJzdWIiOiIx.sig", True),
        ("CONNECTION", "Server=db;Password=hunter2;", True),
        ("PASSWORD", "$ecret123", True),
        ("KEYBOARD_LAYOUT", "de", False),
        ("TOKEN_TTL", "3600s", False),
        ("PASSWORD_FILE", "/run/secrets/x", False),
        ("TOKEN_PATH", "x", False),
        ("SECRET_NAME", "db", False),
        ("PASSWORD", "", False),
        ("REQUIRE_PASSWORD", "true", False),
        ("MAX_TOKEN", "4096", False),
        ("COMPASS", "north", False),
        ("PUBLIC_KEY", "abc", False),
    ],
)
def test_what_looks_like_a_secret(name, value, expected):
    assert judge.looks_secret(name, value) is expected


@pytest.mark.parametrize("part", ["a", "a.", "x:", "{{", "eyJ", "a://", "password", "/a", "-----BEGIN "])
def test_judging_a_hostile_text_takes_no_time(part):
    start = time.process_time()
    judge.looks_secret("PASSWORD", part * 20_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["app", "--password=hunter2"], True),
        (["app", "--db-password", "hunter2"], True),
        (["sh", "-c", "API_TOKEN=abcd1234 run"], True),
        (["curl", "-H", "Authorization: Bearer abcdefghijk"], True),
        (["app", "--password-file", "/x/y", "--token-ttl=1h"], False),
        (["app", "--password=$(DB_PASSWORD)"], False),
        (["app", "--verbose"], False),
    ],
)
def test_command_lines_with_a_secret(argv, expected):
    assert judge.argv_has_secret(argv) is expected


@pytest.mark.parametrize(
    "line",
    [
        "kube-apiserver --profiling=false --v 2 --allow-privileged --api-audiences='a' --api_audiences=b",
        "/go-runner --log-file=x -- /bin/kube-apiserver --profiling=false --v=2 --allow-privileged"
        " --api-audiences=a --api-audiences=b",
        ["sh", "-c", "exec kube-apiserver --profiling=false --v 2 --allow-privileged --api-audiences=a,b 2>&1"],
    ],
)
def test_flags_of_a_component(line):
    component, flags = judge.component_flags(line if isinstance(line, list) else line.split())
    assert component == "kube-apiserver"
    assert ",".join(flags.pop("api-audiences")) == "a,b"
    assert flags == {"profiling": ["false"], "v": ["2"], "allow-privileged": ["true"]}


def test_flags_of_others_are_not_kept_and_secrets_are_withheld():
    assert judge.component_flags(["kubectl", "logs", "kube-apiserver", "--v=2"]) == (None, None)
    _, flags = judge.component_flags(["etcd", "--initial-cluster-token", "t0ken", "--name=a"])
    assert flags == {"initial-cluster-token": [judge.WITHHELD], "name": ["a"]}


def test_etcd_keeps_its_own_variables_only():
    env = [{"name": "ETCD_CERT_FILE", "value": "/c"}, {"name": "OTHER", "value": "x"}]
    etcd = read(Container, {"command": ["etcd"], "env": [*env, {"name": "ETCD_PASSWORD", "value": "hunter2"}]})
    assert [(v.value, v.looks_secret) for v in etcd.env] == [("/c", False), (None, False), (None, True)]
    assert [v.value for v in read(Container, {"command": ["app"], "env": env}).env] == [None, None]
    assert msgspec.json.decode(msgspec.json.encode(etcd), type=Container) == etcd


def test_a_volume_names_the_source_that_is_not_known():
    assert read(Volume, {"name": "v", "emptyDir": {}}).unknown == ()
    assert read(Volume, {"name": "v", "novel": {"a": 1}}).unknown == ("novel",)


def test_an_exec_probe_is_kept_without_its_words():
    made = read(Container, {"livenessProbe": {"exec": {"command": ["mysqladmin", "--password=hunter2"]}}})
    assert made.liveness_probe.exec.secret_argv
    assert b"hunter2" not in msgspec.json.encode(made)


def test_the_template_of_a_workload():
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c"}]}}
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d"},
        "spec": {"template": template},
    }
    assert isinstance(kinds.of(manifest), Deployment)
    assert pod_template(manifest) == pod_template(kinds.of(manifest))
    assert pod_template(manifest).spec.containers[0].name == "c"
    with pytest.raises(TypeError):
        pod_template({"kind": "Service", "metadata": {"name": "s"}})
