"""Snapshots for tests, built from the manifests that a user would write."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal

import msgspec

from auditkit import kinds
from auditkit.capture.imports import READERS, Import, Loaded
from auditkit.capture.policy import kept_secret
from auditkit.capture.snapshot import Coverage, Options, Origin, Snapshot
from auditkit.kinds import Kind, resource
from auditkit.kinds.certificates import Secret

AT = datetime(2026, 10, 31, 6, tzinfo=UTC)
EVERYTHING = Options(secrets=True, tls_secrets=True, secret_facts=True)


def snapshot(
    manifests: Iterable[dict[str, Any]],
    *,
    at: datetime | None = AT,
    missing: Sequence[str] = (),
    version: str = "v1.36.2",
    state: str = "denied",
    basis: Literal["listed", "as supplied"] = "listed",
    options: Options = EVERYTHING,
) -> Snapshot:
    """A completely collected cluster of these objects, except for the kinds (e.g. "pods") whose list is `missing`.

    Of Secrets is kept what a capture with these `options` keeps.
    """
    objects: dict[type[Kind], list[Kind]] = defaultdict(list)
    for manifest in manifests:
        found = kinds.of(manifest)
        if resource(type(found)) in missing:
            continue
        if isinstance(found, Secret):
            found = kept_secret(found, options)
        if found:
            objects[type(found)].append(found)
    coverage = [
        Coverage(
            resource=resource(kind),
            kind=kind.kind,
            state=state if resource(kind) in missing else "collected",  # type: ignore[arg-type]
            kept=len(objects[kind]),
        )
        for kind in kinds.ALL
    ]
    origin = Origin(
        cluster="test",
        source="tests",
        version=version,
        taken_at=at,
        cluster_uid="u-1",
        options=options,
        basis=basis,
    )
    return Snapshot(origin=origin, coverage=coverage, objects=objects)


def imported(records: Mapping[str, Sequence[Mapping[str, Any]]], *, at: datetime | None = AT) -> list[Loaded]:
    """Imports that were wholly read, of these records by their plural (fields as JSON names them), made at a time."""
    known = {record.plural: record for reader in READERS.values() for record in reader.records}
    sources = {known[plural].source for plural in records}
    return [
        Loaded(
            about=Import(source=source, state="collected", made_at=at),
            records={
                record: [msgspec.convert(row, record) for row in records.get(record.plural, ())]
                for record in READERS[source].records
            },
        )
        for source in sorted(sources)
    ]
