"""Performs the tests of a pack again, from its snapshot/ and inputs/ alone, and compares."""

import json
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence, Set
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from auditkit import engagement as engagements
from auditkit import seal
from auditkit.capture import IMPORTS, imports, packed, tool
from auditkit.engagement import SHIPPED, Engagement
from auditkit.errors import AuditkitError
from auditkit.evaluate import Snapshot
from auditkit.period.intervals import Pairs
from auditkit.period.whole import Period, whole
from auditkit.report import matrix
from auditkit.report.period import matrix as period_matrix
from auditkit.report.period import saved
from auditkit.report.workpaper import evaluated
from auditkit.resources import folder
from auditkit.run import identify, package, shipped, write_results, write_tables

NOT_AGAIN = "notebooks/, binder/, index.html and the texts of run.json"
_PARTS = ("tables", "results", "listings", saved.FOLDER)
# What content that is not as it was written may raise where it is read.
_UNREADABLE = (AuditkitError, msgspec.MsgspecError, pa.ArrowException, zipfile.BadZipFile, OSError, ValueError)


def reperform(pack: Path) -> list[str]:
    """What differs when tables, results and workbook are made again, by file; also digest and run id.

    Parquet and workbook are compared by content: their bytes change with the version of what wrote them.
    """
    if irregular := seal.irregular(pack):
        return irregular
    try:
        facts = seal.read(pack).facts
    except AuditkitError as error:
        return [str(error)]
    faults = _performed(pack, facts)
    return [*faults, *_other_tool(facts)] if faults else []


def reperform_period(pack: Path, clusters: Callable[[Sequence[str]], Mapping[str, Pairs]]) -> list[str]:
    """What differs when the listings and the workbook of a period are made again, by file; also captures that are missing.

    `clusters` gives the captures of clusters by their names, oldest first: those that the pack does not name are passed over.
    """
    if irregular := seal.irregular(pack):
        return irregular
    try:
        facts, named = seal.read(pack).facts, saved.captures(pack)
        engagement = engagements.load(pack / "inputs" / engagements.NAME)
        documents = imports.load(pack / IMPORTS) if (pack / IMPORTS).is_dir() else ()
        there = clusters([name for name, captures in named.clusters.items() if captures])
        chosen = {name: _chosen(name, there.get(name, ()), named.named) for name in named.clusters}
        period = whole(chosen, engagement, imports=documents, until=named.until)
        found = saved.Captures.of(period).named
        identity = identify(pack, named.digest, str(facts.get("tool")))
        faults = [
            f"capture {at:%Y-%m-%dT%H:%M:%SZ} of {name} ({digest[:16]}): not found"
            for name, at, digest in sorted(named.named - found)
        ]
        faults += [] if facts.get("run_id") == identity else [f"{seal.MANIFEST}: run_id is not that of inputs/"]
        with TemporaryDirectory() as again:
            faults += _other_data(pack) + _differing_period(pack, Path(again), period, engagement, identity)
    except _UNREADABLE as error:
        return [f"cannot be performed again: {error}"]
    return [*faults, *_other_tool(facts)] if faults else []


def _chosen(cluster: str, pairs: Pairs, named: Set[tuple[str, datetime, str]]) -> Pairs:
    # By the objects that are there, whatever digest their record names.
    return (pair for pair in pairs if (cluster, pair[0].taken_at, pair[1].digest) in named)


def _differing_period(pack: Path, again: Path, period: Period, engagement: Engagement, identity: str) -> list[str]:
    shutil.copytree(pack / "inputs", again / "inputs")
    saved.save_frames(period, again)
    _take_same(pack, again)
    period_matrix.write(again, period, engagement, identity)
    return _compared(pack, again)


def _performed(pack: Path, facts: Mapping[str, Any]) -> list[str]:
    try:
        snapshot = Snapshot.of(packed(pack))
        engagement = engagements.load(pack / "inputs" / "auditkit.toml")
        identity = identify(pack, snapshot.digest, str(facts.get("tool")))
        ran = json.loads((pack / "run.json").read_bytes())
    except _UNREADABLE as error:
        return [f"cannot be performed again: {error}"]
    found = {"snapshot_digest": snapshot.digest, "run_id": identity}
    faults = [
        f"{name}: {key} is not that of snapshot/ and inputs/"
        for name, said in ((seal.MANIFEST, facts), ("run.json", ran))
        for key, value in found.items()
        if not isinstance(said, dict) or said.get(key) != value
    ]
    with TemporaryDirectory() as again:
        return faults + _other_data(pack) + _differing(pack, Path(again), snapshot, engagement, identity)


def _other_data(pack: Path) -> list[str]:
    """The data files of which this installation has others, so that numbers may differ."""
    kept, data = pack / "inputs" / SHIPPED, folder("data")
    here = {p.relative_to(data): p.read_bytes() for p in shipped()}
    there = {p.relative_to(kept): p.read_bytes() for p in kept.rglob("*") if p.is_file()}
    return [
        f"inputs/{SHIPPED}/{name.as_posix()}: differs from that of this installation"
        for name in sorted({*here, *there})
        if here.get(name) != there.get(name)
    ]


def _other_tool(facts: Mapping[str, Any]) -> list[str]:
    by, code = str(facts.get("tool")), str(facts.get("package_sha256"))
    if (by, code) == (tool(), package()):
        return []
    here = f"this is {tool()} (code {package()[:12]})"
    return [f"made by {by} (code {code[:12]}), {here}: another version may give other numbers"]


def _differing(pack: Path, again: Path, snapshot: Snapshot, engagement: Engagement, identity: str) -> list[str]:
    results = evaluated(snapshot, engagement)
    write_tables(again, snapshot)
    write_results(again / "results", results)
    _take_same(pack, again)
    for name in ("snapshot", "inputs"):
        shutil.copytree(pack / name, again / name)
    matrix.write(again, snapshot, results, engagement, identity)
    return _compared(pack, again)


def _take_same(pack: Path, again: Path) -> None:
    """The workbook holds hashes: what is the same is taken as it lies in the pack."""
    for path in _files(again):
        if (pack / path).is_file() and _same(pack / path, again / path):
            shutil.copy(pack / path, again / path)


def _compared(pack: Path, again: Path) -> list[str]:
    kept, made = _files(pack), _files(again)
    faults = [f"{path}: in the pack, but no test gives it" for path in sorted(kept - made)]
    faults += [f"{path}: a test gives it, but it is not in the pack" for path in sorted(made - kept)]
    return faults + [
        f"{path}: differs when performed again" for path in sorted(kept & made) if not _same(pack / path, again / path)
    ]


def _files(pack: Path) -> set[str]:
    """The files that are made again, as paths within the pack."""
    found = {p.relative_to(pack).as_posix() for part in _PARTS for p in (pack / part).rglob("*") if p.is_file()}
    return found | {name for name in (matrix.NAME,) if (pack / name).is_file()}


def _same(kept: Path, made: Path) -> bool:
    if kept.read_bytes() == made.read_bytes():
        return True
    try:
        if kept.suffix == ".parquet":
            return bool(pq.read_table(kept).equals(pq.read_table(made)))
        return kept.suffix == ".xlsx" and _members(kept) == _members(made)
    except _UNREADABLE:
        return False


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}
