"""Tables of the platform on the recorded cluster, and the small engines they rest on."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from builders import snapshot

from auditkit import kinds
from auditkit.analysis.cron import due
from auditkit.analysis.encryption import encrypted
from auditkit.evaluate import Tables
from auditkit.kinds import decode_page
from auditkit.tables.agents import recognise

DATE = Path(__file__).parent / "recordings" / "northwind-prod" / "2026-10-31"
AT = datetime(2026, 10, 31, 6, tzinfo=UTC)


@cache
def recorded() -> Tables:
    source = snapshot([])
    found = {}
    for kind in kinds.ALL:
        path = DATE / f"{kind.plural}.{kind.group or 'core'}.json"
        if path.exists():
            found[kind] = decode_page(kind, path.read_bytes())[1]
    return Tables(type(source)(origin=source.origin, coverage=source.coverage, objects=found))


@pytest.mark.parametrize(
    ("table", "rows"),
    [
        ("apiservers", 1),
        ("etcds", 1),
        ("nodes", 5),
        ("kubelets", 1),
        ("kube_proxies", 1),
        ("persistent_volumes", 4),
        ("storage_classes", 4),
        ("volume_snapshots", 1),
        ("backups", 5),
        ("backup_freshness", 3),
        ("resource_quotas", 1),
        ("limit_ranges", 1),
        ("namespaces", 27),
        ("tenant_namespaces", 24),
        ("custom_resources", 35),
        ("applications", 5),
        ("config_maps", 36),
        ("service_accounts", 103),
    ],
)
def test_recorded_populations(table: str, rows: int) -> None:
    assert len(recorded()[table]) == rows


def test_flags_in_both_spellings_and_from_variables() -> None:
    found = recorded()["control_plane_flags"].set_index(["component", "flag"])
    assert found.loc[("kube-apiserver", "audit-log-maxbackup"), "value"] == "5"
    assert found.loc[("etcd", "peer-client-cert-auth"), "value"] == "true"
    unset = found.loc[("kube-apiserver", "token-auth-file")]
    assert (unset["given"], unset["value"]) == (False, "")


def test_agents_and_the_nodes_they_miss() -> None:
    logging, detection = recorded()["node_logging"], recorded()["node_detection"]
    assert set(logging.name[~logging.covered]) == {"nwp-cp-1", "nwp-win-1"}
    assert {agent for found in logging.agents for agent in found} == {"logging/fluentd (Fluentd)"}
    assert detection.name[~detection.covered].tolist() == ["nwp-win-1"]


def test_freshness_is_that_of_completed_backups() -> None:
    rows = recorded()["backup_freshness"].set_index("name")
    assert rows.completed["ledger-hourly"] == pd.Timestamp("2026-10-31T05:00:00Z")
    assert pd.isna(rows.completed["customers-daily"])
    assert pd.isna(rows.due_at["bad-cron"])


def test_owners_of_namespaces() -> None:
    rows = recorded()["namespaces"].set_index("name")
    assert rows.owner["payments"] == "team-payments"
    assert rows.classification["payments"] == "confidential"
    assert pd.isna(rows.owner["legacy"])
    assert rows.system["kube-system"]


@pytest.mark.parametrize(
    ("schedule", "last", "before"),
    [
        ("0 * * * *", "2026-10-31T06:00", "2026-10-31T05:00"),
        ("*/15 * * * *", "2026-10-31T06:00", "2026-10-31T05:45"),
        ("5/20 * * * *", "2026-10-31T05:45", "2026-10-31T05:25"),
        ("0 3 * * mon-fri", "2026-10-30T03:00", "2026-10-29T03:00"),
        ("0 0 * * 0", "2026-10-25T00:00", "2026-10-18T00:00"),
        ("0 0 */2 * fri", "2026-10-31T00:00", "2026-10-30T00:00"),
        ("30 4 1,15 * 5", "2026-10-30T04:30", "2026-10-23T04:30"),
        ("0 0 1 jan,jul *", "2026-07-01T00:00", "2026-01-01T00:00"),
        ("@monthly", "2026-10-01T00:00", "2026-09-01T00:00"),
    ],
)
def test_cron(schedule: str, last: str, before: str) -> None:
    times = [due(schedule, AT, runs) for runs in (1, 2)]
    assert [t.strftime("%Y-%m-%dT%H:%M") for t in times if t] == [last, before]


@pytest.mark.parametrize("schedule", ["0 25 * * *", "@every 1h", "CRON_TZ=UTC 0 * * * *", "* * * *", "", "x * * * *", "0 0 31 2 *", "0 0 * * 7"])  # fmt: skip
def test_cron_that_cannot_be_told(schedule: str) -> None:
    assert due(schedule, AT) is None


@pytest.mark.parametrize(
    ("driver", "parameters", "verdict"),
    [
        ("ebs.csi.aws.com", {"Encrypted": "true"}, True),
        ("ebs.csi.aws.com", {"encrypted": "True"}, None),
        ("ebs.csi.aws.com", {"encrypted": "1"}, None),
        ("ebs.csi.aws.com", {"encrypted": "False"}, False),
        ("driver.longhorn.io", {"Encrypted": "true"}, None),
        ("driver.longhorn.io", {"encrypted": "true"}, True),
        ("ebs.csi.aws.com", {}, False),
        ("ebs.csi.aws.com", None, None),
        ("disk.csi.azure.com", None, True),
        ("rbd.csi.ceph.com", {}, None),
        ("rbd.csi.ceph.com", {"encrypted": "true"}, True),
        ("efs.csi.aws.com", {"encrypted": "true"}, None),
        (None, {}, None),
    ],
)
def test_encryption(driver: str | None, parameters: dict[str, str] | None, verdict: bool | None) -> None:
    assert encrypted(driver, parameters) is verdict


@pytest.mark.parametrize(
    ("image", "known"),
    [
        ("docker.io/fluent/fluentd-kubernetes-daemonset:v1.18-1", {"log": "Fluentd"}),
        ("registry.example:5000/mirror/fluent-bit@sha256:0", {"log": "Fluent Bit"}),
        ("falcosecurity/falco", {"detection": "Falco"}),
        ("datadog/agent:7", {"log": "Datadog Agent"}),
        ("shop/agent:7", {}),
        ("shop/vector-database:1", {}),
    ],
)
def test_agents_are_known_by_their_image(image: str, known: dict[str, str]) -> None:
    assert recognise([image]) == known
