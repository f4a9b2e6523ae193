"""The frames of a period as files of a pack: period/NAME.parquet and .csv, and which captures they were made from."""

import hashlib
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from auditkit.capture import IMPORTS, imports
from auditkit.errors import UsageError
from auditkit.kinds import UNREADABLE
from auditkit.period.whole import LISTINGS, Period
from auditkit.report.frames import read_frame, records, write_csv, write_parquet

FOLDER, CAPTURES = "period", "inputs/captures.json"


class Captured(msgspec.Struct, frozen=True, kw_only=True):
    """One capture that a pack was made from; its objects stay in the store."""

    taken_at: datetime
    digest: str


class Captures(msgspec.Struct, frozen=True, kw_only=True):
    """inputs/captures.json: the time of judging, and of each cluster by its name the captures, oldest first, or none."""

    until: datetime
    clusters: dict[str, tuple[Captured, ...]]

    @classmethod
    def of(cls, period: Period) -> "Captures":
        found: dict[str, list[Captured]] = {name: [] for name in period.clusters}
        for one in records(period.captures):
            found[one.cluster].append(Captured(taken_at=one.taken_at.to_pydatetime(), digest=one.digest))
        return cls(until=period.until, clusters={name: tuple(captures) for name, captures in found.items()})

    @property
    def named(self) -> set[tuple[str, datetime, str]]:
        """Cluster, time and digest of each capture."""
        return {(name, one.taken_at, one.digest) for name, captures in self.clusters.items() for one in captures}

    @property
    def digest(self) -> str:
        """sha256 over the captures and the time of judging."""
        return hashlib.sha256(_encoded(self)).hexdigest()


def save(period: Period, pack: Path) -> None:
    """Write the frames, the records of imports and the list of captures; the same period gives the same bytes."""
    save_frames(period, pack)
    (pack / CAPTURES).write_bytes(_encoded(Captures.of(period)))
    if period.imports:
        imports.save(tuple(period.imports), pack / IMPORTS)


def save_frames(period: Period, pack: Path) -> None:
    """Write each frame as Parquet and CSV."""
    for name, frame in period.frames.items():
        write_parquet(frame, pack / FOLDER / f"{name}.parquet")
        write_csv(frame, pack / FOLDER / f"{name}.csv")


def is_period(pack: Path) -> bool:
    """Whether a folder is a pack of a period, not of one snapshot."""
    return (pack / CAPTURES).is_file()


def captures(pack: Path) -> Captures:
    """Which captures a pack was made from; UsageError where it is no pack of a period, or damaged."""
    try:
        return msgspec.json.decode((pack / CAPTURES).read_bytes(), type=Captures)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{pack}: no pack of a period; `auditkit period --out DIR` writes one") from None
    except (OSError, *UNREADABLE) as error:
        raise UsageError(f"{pack / CAPTURES}: cannot be read ({error})") from None


def load(pack: Path) -> Period:
    """The period that a pack holds, without a snapshot; UsageError as `captures`."""
    until = captures(pack).until
    found = imports.load(pack / IMPORTS) if (pack / IMPORTS).is_dir() else ()
    try:
        tables = {name: pq.read_table(pack / FOLDER / f"{name}.parquet") for name in LISTINGS}
    except (OSError, pa.ArrowException) as error:
        raise UsageError(f"{pack / FOLDER}: cannot be read ({error})") from None
    frames: dict[str, Any] = {name: read_frame(table) for name, table in tables.items()}
    for name, frame in frames.items():
        if list(frame) != [column.name for column in LISTINGS[name].columns]:
            raise UsageError(
                f"{pack / FOLDER}: {name} has other columns than this auditkit writes; read it with the version in run.json"
            )
    return Period(until=until, imports=found, **frames)


def _encoded(one: Captures) -> bytes:
    return msgspec.json.format(msgspec.json.encode(one), indent=1) + b"\n"
