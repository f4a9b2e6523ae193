"""The audit log: what is one event, what is kept of it, what is said of gaps and bad lines, what is refused."""

import base64
import gzip
import json
import random
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from builders import snapshot
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from auditkit.capture import imports
from auditkit.capture.imports import Loaded, Supplied, audit_reduce
from auditkit.capture.imports.audit_events import Activity, Hour, LogFile, Scope, Use
from auditkit.capture.snapshot import Origin
from auditkit.errors import UsageError
from auditkit.evaluate import Tables

START = datetime(2026, 10, 1, 9, tzinfo=UTC)


def event(minutes: float = 0, **changed: Any) -> dict[str, Any]:
    """An event as the API server writes it: ann read the Secret web/db."""
    at = (START + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")
    whole = {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "auditID": f"id-{minutes}",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/web/secrets/db",
        "verb": "get",
        "user": {"username": "ann", "groups": ["system:authenticated"]},
        "objectRef": {"resource": "secrets", "namespace": "web", "name": "db", "apiVersion": "v1"},
        "responseStatus": {"metadata": {}, "code": 200},
        "requestReceivedTimestamp": at,
        "stageTimestamp": at,
        "annotations": {"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""},
    }
    return {**whole, **changed}


def about(resource: str, name: str = "x", **more: str) -> dict[str, str]:
    return {"resource": resource, "namespace": "web", "name": name, **more}


def written(path: Path, *events: dict[str, Any]) -> Path:
    path.write_text("".join(json.dumps(one) + "\n" for one in events))
    return path


def read(*paths: Path, period: tuple[date, date] | None = None, made_at: date | None = None) -> Loaded:
    (found,) = imports.read([Supplied(source="audit_log", paths=paths, period=period, made_at=made_at)])
    return found


def kept(*paths: Path) -> list[Any]:
    return list(read(*paths).records[Activity])


def test_what_is_kept_of_the_recorded_log(recordings: Path) -> None:
    found = read(recordings / "audit" / "audit.log.gz")
    assert (found.about.state, found.about.rows, found.about.malformed_count) == ("collected", 3040, 0)
    assert found.about.covers is not None and f"{found.about.covers[0]:%Y-%m-%d}" == "2026-05-22"
    (grant,) = [a for a in found.records[Activity] if isinstance(a, Activity) and a.role]
    assert (grant.user, grant.name, grant.role) == (
        "ann@northwind.example",
        "temp-incident-4711",
        "ClusterRole/cluster-admin",
    )
    assert grant.subjects == ["User/carol@northwind.example"]
    used = Tables(snapshot([]).beside([found]))["grants_used"].query("name == 'mallory-sre'")
    assert f"{used['last'].iloc[0]:%Y-%m-%d}" == "2026-09-29"


def decision(minutes: float, group: str, requester: str, says: str = "Approved", **changed: Any) -> dict[str, Any]:
    """bob decides on the certificate request `x`, at a level with bodies."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "carl"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, group),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(request.public_bytes(serialization.Encoding.PEM)).decode()
    body = {
        "kind": "CertificateSigningRequest",
        "apiVersion": "certificates.k8s.io/v1",
        "metadata": {"name": "x"},
        "spec": {"request": pem, "signerName": "kubernetes.io/kube-apiserver-client", "username": requester},
        "status": {"conditions": [{"type": says, "status": "True", "reason": "KubectlApprove"}]},
    }
    asked = {
        "resource": "certificatesigningrequests",
        "name": "x",
        "apiGroup": "certificates.k8s.io",
        "subresource": "approval",
    }
    whole = {
        "verb": "update",
        "objectRef": asked,
        "level": "RequestResponse",
        "user": {"username": "bob"},
        "responseObject": body,
    }
    return event(minutes, **{**whole, **changed})


def test_of_a_decision_on_a_certificate_is_kept_for_whom(tmp_path: Path) -> None:
    """Whoever makes a request of the same name again and approves it does not hide the first."""
    first, second = decision(1, "system:masters", "bob"), decision(2, "dev", "ann", "Denied")
    (found,) = kept(written(tmp_path / "log", first, second))
    assert (found.requesters, found.names, found.organizations, found.decisions) == (
        ["ann", "bob"],
        ["carl"],
        ["dev", "system:masters"],
        ["Approved", "Denied"],
    )
    (bare,) = kept(written(tmp_path / "log", decision(1, "dev", "ann", level="Metadata", responseObject=None)))
    assert (bare.requesters, bare.names, bare.organizations, bare.decisions) == (None, None, None, None)


def test_the_stages_of_one_request_are_one_event(tmp_path: Path) -> None:
    shell = {"verb": "create", "objectRef": about("pods", subresource="exec"), "auditID": "one"}
    code = {"responseStatus": {"code": 101}}
    log = written(
        tmp_path / "a.log",
        event(0, stage="RequestReceived", **shell),
        event(0, stage="ResponseStarted", **shell, **code),
        event(5, stage="ResponseComplete", **shell, **code),
        event(6, stage="RequestReceived", auditID="two"),
        event(6, stage="Panic", auditID="two", responseStatus={"code": 500}),
    )
    assert [(a.what, a.count, a.code) for a in kept(log)] == [("exec", 1, 101), ("secret read", 1, 500)]


def test_a_request_without_an_end_is_counted_and_said(tmp_path: Path) -> None:
    shell = {"verb": "create", "objectRef": about("pods", subresource="exec"), "responseStatus": {"code": 101}}
    found = read(written(tmp_path / "a.log", event(0), event(1, stage="ResponseStarted", **shell)))
    assert [a.what for a in found.records[Activity] if isinstance(a, Activity)] == ["exec", "secret read"]
    stages = {s.stage: s.lines for s in found.records[Scope] if isinstance(s, Scope) and s.what == "exec"}
    assert stages == {"ResponseStarted": 1, "no end": 1}


def test_a_request_that_ends_in_the_next_file_is_one(tmp_path: Path) -> None:
    watch = {"verb": "watch", "auditID": "w"}
    second = written(tmp_path / "audit.log", event(60, **watch))
    first = written(tmp_path / "audit-2026-10-01.log", event(0, stage="ResponseStarted", **watch))
    assert [(a.verb, a.count) for a in kept(second, first)] == [("watch", 1)]


def test_a_failed_authentication_has_one_stage_and_no_user(tmp_path: Path) -> None:
    """WithFailedAuthenticationAudit of k8s.io/apiserver writes ResponseStarted alone."""
    failed = event(0, stage="ResponseStarted", user={}, responseStatus={"code": 401})
    log = written(tmp_path / "a.log", failed, {**failed, "auditID": "again"}, event(1))
    assert [(a.user, a.code, a.count) for a in kept(log)] == [("", 401, 2), ("ann", 200, 1)]


def test_other_requests_are_counted_and_not_listed(tmp_path: Path) -> None:
    other = {"verb": "list", "objectRef": about("pods", "")}
    masters = {"user": {"username": "root", "groups": ["system:masters"]}}
    acting = {"impersonatedUser": {"username": "bob"}}
    log = written(
        tmp_path / "a.log",
        *(event(n, **other) for n in range(5)),
        event(6, **other, **masters),
        event(7, **other, **acting),
        event(8, **other, responseStatus={"code": 403}),
    )
    found = read(log)
    assert sorted(
        (a.user, a.impersonated, a.code, a.masters) for a in found.records[Activity] if isinstance(a, Activity)
    ) == [
        ("ann", "", 403, False),
        ("ann", "bob", 200, False),
        ("root", "", 200, True),
    ]
    uses = {(u.user, u.impersonated): (u.count, u.denied) for u in found.records[Use] if isinstance(u, Use)}
    assert uses == {("ann", ""): (6, 1), ("ann", "bob"): (1, 0), ("root", ""): (1, 0)}


def test_nodes_and_controllers_are_summed_up_but_not_when_refused(tmp_path: Path) -> None:
    log = written(
        tmp_path / "a.log",
        *(event(n, user={"username": f"system:node:n{n}"}, objectRef=about("secrets", f"s{n}")) for n in range(9)),
        event(10, user={"username": "system:node:n1"}, responseStatus={"code": 403}),
    )
    assert [(a.user, a.name, a.count) for a in kept(log)] == [("system:node:*", "", 9), ("system:node:n1", "db", 1)]


def test_no_body_and_no_query_is_kept(tmp_path: Path) -> None:
    secret = "PLANTED"
    body = {"kind": "Secret", "data": {"password": secret}, "metadata": {"annotations": {"a": secret}}}
    role = {"kind": "Role", "rules": [{"verbs": ["get"], "resources": ["pods"], "resourceNames": [secret]}]}
    log = written(
        tmp_path / "a.log",
        event(0, verb="update", level="RequestResponse", requestObject=body, responseObject=body),
        event(1, verb="create", objectRef=about("roles", apiGroup="rbac.authorization.k8s.io"), responseObject=role),
        event(
            2,
            verb="get",
            user={"username": "system:anonymous"},
            objectRef=None,
            requestURI=f"/x/{secret}?token={secret}",
        ),
        event(3, verb="get", objectRef=about("pods", subresource="exec"), requestURI=f"/exec?command={secret}"),
        event(
            4,
            verb="patch",
            objectRef=about("roles", apiGroup="rbac.authorization.k8s.io"),
            requestObject=[{"value": secret}],
        ),
    )
    found = read(log)
    assert len(found.records[Activity]) == 5
    assert secret.encode() not in b"".join(msgspec.json.encode(rows) for rows in (found.about, *found.records.values()))


def test_gaps_and_files(tmp_path: Path) -> None:
    first = written(tmp_path / "a.log", event(0), event(61), event(5 * 60))
    again = written(tmp_path / "b.log", event(26 * 60), event(70), event(27 * 60))
    found = read(first, again)
    assert [(h.hour.hour, h.lines) for h in found.records[Hour] if isinstance(h, Hour)] == [
        (9, 1),
        (10, 2),
        (14, 1),
        (11, 1),
        (12, 1),
    ]
    files = {f.name: (f.lines, f.returns) for f in found.records[LogFile] if isinstance(f, LogFile)}
    assert files == {"a.log": (3, 0), "b.log": (3, 1)}
    tables = Tables(snapshot([]).beside([found]))
    assert [list(names) for names in tables["audit_files"]["overlaps"]] == [["b.log"], ["a.log"]]
    assert list(tables["audit_days"]["silence"]) == [20, 20]


@pytest.mark.parametrize(
    ("end", "bad", "said"),
    [
        ("not json\n", 1, "a.log:2"),
        ('{"kind":"Event"}\n{"kind":"Pod"}\n', 2, "a.log:2"),
        ('{"kind":"Event","level":"Met', 1, "cut off: the last line of a log that is still written"),
        ("\n\n", 2, "empty"),
        ('{"a":' * 5_000 + "\n", 1, "a.log:2: maximum recursion depth"),
        (json.dumps(event(stageTimestamp="9999-12-31T23:59:59-14:00")) + "\n", 1, "a.log:2: stageTimestamp is no time"),
    ],
)
def test_bad_lines_are_named_and_the_rest_is_read(tmp_path: Path, end: str, bad: int, said: str) -> None:
    log = written(tmp_path / "a.log", event())
    log.write_text(log.read_text() + end)
    about = read(log).about
    assert (about.state, about.malformed_count) == ("partial", bad)
    assert said in f"{about.malformed[0].name}: {about.malformed[0].fault}"
    assert f"{bad} of {1 + bad} records could not be read" in about.note


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "a.log: holds no event"),
        (json.dumps([event()]).encode(), r"a.log:1: not an event .* a JSON array: make lines of it, `jq -c '\.\[\]'`"),
        (json.dumps({"kind": "EventList", "items": [event()]}).encode(), "a.log:1: .* an EventList"),
        (json.dumps({"log": json.dumps(event())}).encode(), "a.log:1: .* wrapped by a log collector"[:12]),
        (b"id,title\n1,2\n", "a.log:1: not an event of an audit log .*; supply the file of --audit-log-path"),
        (b"\xff\xfe\x00", "a.log:1: not an event"),
        (b"[" * 100_000, "a.log:1: not an event"),
        (gzip.compress(json.dumps(event()).encode() * 50)[:-20], "a.log:1: the gzip file is cut off or damaged"),
    ],
)
def test_what_is_no_audit_log_is_refused_with_its_place(tmp_path: Path, content: bytes, said: str) -> None:
    (tmp_path / "a.log").write_bytes(content)
    with pytest.raises(UsageError, match=said):
        read(tmp_path / "a.log")


def test_a_gzip_that_breaks_off_later_names_the_line(tmp_path: Path) -> None:
    noise = random.Random(1)
    lines = [json.dumps(event(n, auditID=f"{noise.getrandbits(256):x}")) for n in range(2000)]
    (tmp_path / "a.log.gz").write_bytes(gzip.compress("\n".join(lines).encode())[:-5000])
    with pytest.raises(UsageError, match=r"a\.log\.gz:1?\d\d\d: the gzip file is cut off"):
        read(tmp_path / "a.log.gz")


def test_a_log_is_not_counted_twice(tmp_path: Path) -> None:
    log = written(tmp_path / "a.log", event(0), event(1))
    (tmp_path / "b.log").write_bytes(log.read_bytes())
    with pytest.raises(UsageError, match=r"the same file as a\.log"):
        read(log, tmp_path / "b.log")
    written(tmp_path / "b.log", event(0), event(1), event(2))
    with pytest.raises(UsageError, match=r"begins with the same event as a\.log"):
        read(log, tmp_path / "b.log")


def test_what_does_not_fit_is_counted_and_makes_it_partial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_reduce, "MOST_ACTIVITIES", 3)
    monkeypatch.setattr(audit_reduce, "MOST_USES", 1)
    monkeypatch.setattr(audit_reduce, "MOST_TALLIES", 2)
    events = [event(n, objectRef=about("secrets", f"s{n}"), user={"username": f"u{n % 2}"}) for n in range(8)]
    about_ = read(written(tmp_path / "a.log", *events)).about
    assert about_.state == "partial"
    assert "5 requests beyond 3 different activities" in about_.note and "4 requests beyond 1 users" in about_.note


def test_tallies_that_are_summed_up_early_give_the_same(recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = recordings / "audit" / "audit.log.gz"
    whole = read(log)
    monkeypatch.setattr(audit_reduce, "MOST_TALLIES", 3)
    assert read(log).records == whole.records


def test_a_log_without_ends_is_partial(tmp_path: Path) -> None:
    about_ = read(written(tmp_path / "a.log", event(stage="RequestReceived", responseStatus=None))).about
    assert about_.state == "partial" and "no line of the stage ResponseComplete" in about_.note


@pytest.mark.parametrize(
    ("period", "partial"),
    [
        ((date(2026, 10, 1), date(2026, 10, 31)), False),
        ((date(2026, 10, 1), date(2026, 12, 31)), False),
        ((date(2026, 9, 1), date(2026, 10, 31)), True),
    ],
)
def test_a_log_that_does_not_cover_the_period_is_partial(
    tmp_path: Path, period: tuple[date, date], partial: bool
) -> None:
    """Until the snapshot, where the period is not over yet."""
    log = written(tmp_path / "a.log", event(0), event(30 * 24 * 60 - 300))
    origin = Origin(cluster="prod", source="tests", taken_at=datetime(2026, 10, 31, 6, tzinfo=UTC))
    about_ = imports.judged(read(log, period=period), origin).about
    assert (about_.state == "partial") == partial
    assert ("covers 2026-10-01 to 2026-10-31, the period is" in about_.note) == partial


def test_a_log_that_was_taken_later_than_its_last_event_covers_the_time_between(tmp_path: Path) -> None:
    """Silence is counted by day up to then; it is not a gap of the document."""
    log, period = written(tmp_path / "a.log", event(0)), (date(2026, 10, 1), date(2026, 10, 31))
    origin = Origin(cluster="prod", source="tests", taken_at=datetime(2026, 10, 31, 6, tzinfo=UTC))
    about_ = imports.judged(read(log, period=period, made_at=date(2026, 10, 31)), origin).about
    assert (about_.state, about_.dated_by) == ("collected", "stated in auditkit.toml")
    assert about_.covers is not None and about_.covers[1] == datetime(2026, 10, 31, tzinfo=UTC)
    days = Tables(snapshot([]).beside([read(log, period=period, made_at=date(2026, 10, 4))]))["audit_days"]
    silent = 24 * 3 - 9 - 1
    assert list(zip(days.name, days.hours, days.silence, strict=True)) == [
        ("2026-10-01", 1, silent),
        ("2026-10-02", 0, silent),
        ("2026-10-03", 0, silent),
    ]
    assert list(Tables(snapshot([]).beside([read(log)]))["audit_days"].silence) == [0]
    earlier = imports.judged(read(log, period=period, made_at=date(2026, 9, 1)), origin).about
    assert (earlier.state, earlier.dated_by) == ("partial", "the document")


def test_times_of_other_zones_are_read_and_those_without_are_not(tmp_path: Path) -> None:
    local, bare = "2026-10-01T11:00:00+02:00", "2026-10-01T09:00:00"
    log = written(
        tmp_path / "a.log",
        event(requestReceivedTimestamp=local, stageTimestamp=local),
        event(requestReceivedTimestamp=bare, stageTimestamp=bare),
    )
    found = read(log)
    assert found.about.malformed_count == 1
    assert [h.hour for h in found.records[Hour] if isinstance(h, Hour)] == [START]
