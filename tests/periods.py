"""The recorded cluster as a period, and captures for tests of periods."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache

import msgspec
from conftest import DATES, RECORDINGS

import auditkit as ak
from auditkit.engagement import Changes, Period
from auditkit.evaluate import Snapshot

PERIOD = Period(start=date(2026, 7, 1), end=date(2026, 10, 31), schedule="daily", gap_tolerance_days=2.0)
# Those of northwind-prod write records of their own, as agreed.
AGREED = Changes(deployers=[*Changes().deployers, "velero-server", "controller", "trivy-operator", "external-secrets"])


@dataclass(frozen=True, kw_only=True)
class Capture:
    taken_at: datetime
    added_at: datetime | None = None
    digest: str = ""
    incomplete: Sequence[str] = ()


def captured(snapshot: Snapshot) -> Capture:
    incomplete = [one.resource for one in snapshot.incomplete]
    assert snapshot.origin.taken_at
    return Capture(taken_at=snapshot.origin.taken_at, digest=snapshot.digest, incomplete=incomplete)


@cache
def recorded(day: str) -> Snapshot:
    return ak.capture(path=RECORDINGS / "northwind-prod" / day, tls_secrets=True)


def of(snapshot: Snapshot, cluster: str, uid: str) -> Snapshot:
    """The snapshot as that of another cluster."""
    origin = msgspec.structs.replace(snapshot.origin, cluster=cluster, cluster_uid=uid)
    return Snapshot(origin=origin, coverage=snapshot.coverage, objects=snapshot.objects)


def northwind() -> Iterator[tuple[Capture, Snapshot]]:
    for day in DATES:
        yield captured(recorded(day)), recorded(day)
