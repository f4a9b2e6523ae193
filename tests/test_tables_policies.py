"""Admission tables on the recorded cluster, and the verdicts of the checks over them."""

import base64
import csv
from datetime import UTC, datetime

import msgspec
import pytest
from builders import snapshot
from conftest import DATES

from auditkit import kinds
from auditkit.capture.snapshot import Coverage, Origin, Snapshot
from auditkit.declare import TABLES as DECLARED
from auditkit.declare import kinds_of
from auditkit.evaluate import Tables, run
from auditkit.kinds.admission import ClientConfig, MutatingWebhookConfiguration
from auditkit.kinds.policies import PolicyException

CHECKS = {f"G0{n}": f"ADM-0{n}" for n in range(1, 9)}
TABLES = (
    "psa", "tenant_psa", "webhooks", "service_endpoints", "webhook_backends", "namespace_engines",
    "admission_policies", "policy_exceptions", "policy_reports",
)  # fmt: skip
# Constraints have one kind per template, known only to the cluster: they are not read.
UNREAD = ("K8sRequiredLabels",)


def recorded(recordings, date):
    objects, coverage = {}, []
    for kind in dict.fromkeys(kind for name in (*TABLES, "services") for kind in kinds_of(name)):
        path = recordings / "northwind-prod" / date / f"{kind.plural}.{kind.group or 'core'}.json"
        served = path.exists()
        if served:
            objects[kind] = kinds.decode_page(kind, path.read_bytes())[1]
        coverage.append(Coverage(resource=kinds.resource(kind), state="collected" if served else "not served"))
    at = datetime.fromisoformat(date).replace(hour=6, tzinfo=UTC)
    origin = Origin(cluster="c", source="s", version="v1.36.2", taken_at=at)
    return Tables(Snapshot(origin=origin, coverage=coverage, objects=objects))


@pytest.mark.parametrize("date", DATES)
def test_checks_agree_with_what_was_planted(recordings, date):
    results = run(recorded(recordings, date), CHECKS.values())
    with (recordings / "expected.csv").open() as file:
        planted = [row for row in csv.DictReader(file) if row["date"] == date and row["check"] in CHECKS]
    assert len(planted) > 20
    for row in planted:
        if row["kind"] in UNREAD:
            continue
        found = results[CHECKS[row["check"]]].population
        place = (found.namespace == row["namespace"]) & (found.kind == row["kind"]) & (found.name == row["name"])
        verdicts = set(found[place].verdict)
        agrees = "exception" in verdicts if row["expected"] == "exception" else verdicts == {row["expected"]}
        assert agrees, (row, verdicts)


def test_every_table_has_unique_keys(recordings):
    tables = recorded(recordings, DATES[-1])
    for name in TABLES:
        assert not tables[name].empty, name
        assert not tables[name].duplicated(list(DECLARED[name].key)).any(), name


def test_of_a_webhook_only_host_and_public_certificates_are_kept():
    # Shaped as a certificate is: a sequence that begins with a sequence.
    der = base64.b64encode(bytes.fromhex("3081053003000000")).decode()
    pem = f"-----BEGIN CERTIFICATE-----\n{der}\n-----END CERTIFICATE-----\n"
    key = "-----BEGIN PRIVATE KEY-----\nMIIC\n-----END PRIVATE KEY-----\n"
    found = kinds.read(
        ClientConfig,
        {
            "url": "https://u:hush@hooks.example:8443/v?token=hush",
            "caBundle": base64.b64encode((key + pem + pem).encode()).decode(),
        },
    )
    assert found.url == "hooks.example"
    assert found.ca_bundle == pem.strip()
    garbage = kinds.read(ClientConfig, {"caBundle": "not base64!"})
    assert (garbage.ca_bundle, garbage.unreadable) == (None, 1)
    assert msgspec.json.decode(msgspec.json.encode(found), type=ClientConfig) == found


def test_an_expiry_is_judged_once_and_survives_a_snapshot():
    document = {
        "metadata": {
            "name": "a",
            "annotations": {"example.com/expires": "2026-09-30T12:00:00Z", "example.com/why": "x"},
        }
    }
    found = kinds.read(PolicyException, document)
    assert (found.metadata.expires, found.annotations) == ("2026-09-30", {})
    assert msgspec.json.decode(msgspec.json.encode(found), type=PolicyException) == found


def test_an_expiry_that_the_calendar_does_not_have_is_none():
    manifest = {
        "apiVersion": "kyverno.io/v2",
        "kind": "PolicyException",
        "metadata": {"name": "a", "annotations": {"example.com/expires": "2026-02-31"}},
    }
    assert Tables(snapshot([manifest])).policy_exceptions.expires.isna().all()


def test_what_a_rule_matches():
    from auditkit.analysis.webhooks import creates_pods

    def hook(**rule):
        base = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}
        manifest = {"metadata": {"name": "w"}, "webhooks": [{"name": "h", "rules": [base | rule]}]}
        return kinds.read(MutatingWebhookConfiguration, manifest).webhooks[0].rules

    assert creates_pods(hook())
    assert creates_pods(
        hook(operations=["*"], apiGroups=["*"], apiVersions=["*"], resources=["*/*"], scope="Namespaced")
    )
    for other in (
        {"operations": ["UPDATE"]},
        {"apiGroups": ["apps"]},
        {"resources": ["pods/exec"]},
        {"scope": "Cluster"},
    ):
        assert not creates_pods(hook(**other))
    assert not creates_pods(None)
