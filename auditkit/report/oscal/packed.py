"""What a sealed pack says, read without performing anything again."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditkit import engagement as engagements
from auditkit import frameworks, seal
from auditkit.capture.snapshot import Coverage, Origin
from auditkit.declare import CHECKS, Check
from auditkit.engagement import SHIPPED, Engagement
from auditkit.errors import UsageError, VerificationError
from auditkit.evaluate import EXCEPTION
from auditkit.frameworks import Control
from auditkit.kinds import UNREADABLE
from auditkit.report import procedure
from auditkit.resources import folder
from auditkit.seal import Manifest

ORIGIN, COVERAGE, RESULTS = "snapshot/origin.json", "snapshot/coverage.json", "results/results.parquet"
# What says which tests answer for which control and criterion.
_MAPPING = ("controls.toml", f"frameworks/{frameworks.SOC2}.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Packed:
    """One pack: its manifest, where its snapshot came from, how each kind was read, and `frame`, one row per test as Results has it."""

    place: Path
    manifest: Manifest
    origin: Origin
    coverage: tuple[Coverage, ...]
    engagement: Engagement
    controls: tuple[Control, ...]
    frame: pd.DataFrame

    @property
    def run_id(self) -> str:
        return str(self.manifest.facts["run_id"])

    @property
    def sealed_at(self) -> str:
        return str(self.manifest.facts["sealed_at"])

    def exceptions(self, check: Check) -> list[dict[str, Any]]:
        """The exceptions of a test: exception_id, waiver, and the columns that name and decide a row.

        Raises UsageError where the pack has other columns than this version, which could not say what was found.
        """
        path = f"results/populations/{check.id}.parquet"
        columns = ["exception_id", "waiver", *procedure.key(check), *procedure.decisive(check)]
        rows = pq.ParquetFile(self.place / path)
        if missing := [name for name in columns if name not in rows.schema_arrow.names]:
            raise self._another(f"{path} has no {', '.join(missing)}")
        found = pq.read_table(self.place / path, columns=columns, filters=[("verdict", "==", EXCEPTION)])
        return [dict(row) for row in found.to_pylist()]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """The rows of one of its tables, in order."""
        read = pq.read_table(self.place / "tables" / f"{table}.parquet")
        return [dict(row) for row in read.to_pylist()]

    def _another(self, why: str) -> UsageError:
        return _another(self.place, self.manifest, why)


def read(place: Path) -> Packed:
    """A pack of one snapshot, verified before anything of it is believed.

    Raises VerificationError where it is not as it was sealed, UsageError where it is none, or where this version has
    other tests, controls or criteria than the one that made it.
    """
    verdict = seal.verify(place)
    if not verdict.ok:
        raise VerificationError(f"not exported: {verdict}")
    manifest = seal.read(place)
    there = {file.path for file in manifest.files}
    if lacking := {ORIGIN, COVERAGE, RESULTS} - there | {"run_id", "sealed_at"} - manifest.facts.keys():
        raise UsageError(
            f"{place}: no pack of one snapshot ({', '.join(sorted(lacking))} not in it); a pack of a period has no OSCAL export"
        )
    differing = [name for name in _MAPPING if not _same(place / "inputs" / SHIPPED / name, folder("data") / name)]
    if differing:
        raise _another(place, manifest, f"inputs/{SHIPPED}/{differing[0]} is not that of this installation")
    try:
        origin = msgspec.json.decode((place / ORIGIN).read_bytes(), type=Origin)
        coverage = msgspec.json.decode((place / COVERAGE).read_bytes(), type=tuple[Coverage, ...])
        frame = pd.read_parquet(place / RESULTS)
    except (*UNREADABLE, pa.ArrowException) as error:
        raise _another(place, manifest, f"its snapshot or results cannot be read ({error})") from None
    if unknown := sorted(set(frame["id"]) - set(CHECKS)):
        raise _another(place, manifest, f"no test {', '.join(unknown)} here")
    engagement = engagements.load(place / "inputs" / engagements.NAME)
    return Packed(
        place=place,
        manifest=manifest,
        origin=origin,
        coverage=coverage,
        engagement=engagement,
        controls=frameworks.controls(engagement),
        frame=frame,
    )


def _same(kept: Path, here: Path) -> bool:
    return kept.is_file() and kept.read_bytes() == here.read_bytes()


def _another(place: Path, manifest: Manifest, why: str) -> UsageError:
    by = manifest.facts.get("tool")
    return UsageError(f"{place}: made by another auditkit ({by}): {why}; export it with that one, or run again")


def evidence(check: Check) -> tuple[str, ...]:
    """The files of a pack that hold what a test looked at and found, where they are there."""
    results = (f"results/populations/{check.id}.parquet", f"results/exceptions/{check.id}.csv")
    return (*results, f"tables/{check.population}.parquet", COVERAGE)
