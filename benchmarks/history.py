"""A year of daily snapshots in a store: `python benchmarks/history.py [--days 365] [--copies 21] [--tables 30]`.

The cluster of `cluster.py` is captured once; then, day by day, one in a hundred objects of every kind is replaced, changed,
added or removed, every Node is written to by its kubelet, and each list has other pages. `--tables` is for how many of the days
the tables are kept too.
"""

import argparse
import random
import re
import time
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pyarrow as pa
from spine import served, worked

from auditkit.capture import snapshot as snapshots
from auditkit.capture.snapshot import Snapshot
from auditkit.engagement import Engagement
from auditkit.kinds import Kind, resource
from auditkit.store import History, tables
from auditkit.store.adding import add

SHARE = 0.01
UID = re.compile(rb'"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}(-[0-9]{4})?"')
ENGAGEMENT = Engagement(cluster="bench")


def lifelike(first: Snapshot) -> Snapshot:
    """The copies with uids, times, addresses and names of pods of their own, as incompressible as real ones."""
    chance = random.Random(0)
    uids: dict[bytes, bytes] = {}

    def uid(found: re.Match[bytes]) -> bytes:
        return uids.setdefault(found[0], f'"{uuid.UUID(int=chance.getrandbits(128))}"'.encode())

    objects: dict[type[Kind], list[Any]] = {}
    for kind in first.objects:
        objects[kind] = []
        for obj in first.objects[kind]:
            copy = msgspec.json.decode(UID.sub(uid, msgspec.json.encode(obj)), type=kind)
            at = first.origin.taken_at - timedelta(seconds=chance.randrange(300 * 86400))
            copy.metadata.creation_timestamp = at
            for manager in copy.metadata.managed_fields or ():
                manager.time = at + timedelta(seconds=chance.randrange(3600))
            if kind.plural == "pods":
                copy.metadata.name = f"{copy.metadata.name.rpartition('-')[0]}-{chance.getrandbits(24):06x}"
                copy.status.start_time, copy.status.pod_ip = at, address(chance)
            objects[kind].append(copy)
    return Snapshot(origin=first.origin, coverage=first.coverage, objects=objects)


def address(chance: random.Random) -> str:
    return f"10.{chance.randrange(8)}.{chance.randrange(256)}.{chance.randrange(256)}"


def drift(first: Snapshot, days: int) -> Iterator[tuple[Snapshot, bytes]]:
    """The snapshot of each day after the first, and what is other in it than on the day before: objects, and coverage of kinds."""
    chance = random.Random(1)
    objects: dict[type[Kind], list[Any]] = {kind: list(first.objects[kind]) for kind in first.objects}
    assert first.origin.taken_at
    for day in range(1, days):
        at = first.origin.taken_at + timedelta(days=day)
        new: list[Any] = []
        for kind, found in objects.items():
            picked = [place for place in range(len(found)) if chance.random() < SHARE]
            fate = {place: "replace" if kind.plural == "pods" else chance.choice(FATES) for place in picked}
            if kind.plural == "nodes":
                fate = {place: fate.get(place, "beat") for place in range(len(found))}
            made = [altered(found[place], day, at, what, chance) for place, what in fate.items() if what != "remove"]
            gone = {place for place, what in fate.items() if what != "add"}
            objects[kind] = [obj for place, obj in enumerate(found) if place not in gone] + made
            new += made
        coverage = [
            msgspec.structs.replace(
                one,
                pages=tuple(f"{chance.getrandbits(256):064x}" for _ in one.pages),
                resource_version=str(1_000_000 + day * 5_000) if one.resource_version else "",
                kept=len(kept),
                seen=len(kept),
            )
            if one.state == "collected" and (kept := kinds_of(objects, one.resource)) is not None
            else one
            for one in first.coverage
        ]
        origin = msgspec.structs.replace(first.origin, taken_at=at)
        other = [(one.pages, one.resource_version, one.kept) for one in coverage if one.pages]
        lines = b"".join(msgspec.json.encode(one, order="sorted") + b"\n" for one in [*new, *other])
        yield Snapshot(origin=origin, coverage=coverage, objects=objects), lines


FATES = ("change",) * 8 + ("add", "remove")


def kinds_of(objects: dict[type[Kind], list[Any]], name: str) -> list[Any] | None:
    return next((found for kind, found in objects.items() if resource(kind) == name), None)


def altered(obj: Any, day: int, at: datetime, what: str, chance: random.Random) -> Any:
    """A copy as its controllers or people would leave it: written to, of another release, or another object."""
    copy = msgspec.json.decode(msgspec.json.encode(obj), type=type(obj))
    meta = copy.metadata
    for manager in (meta.managed_fields or ())[-1:]:
        manager.time = at
    if what in ("change", "replace"):
        meta.labels = {**(meta.labels or {}), "release": f"r{day}"}
        meta.generation = meta.generation + 1 if meta.generation else None
    if what in ("add", "replace"):
        meta.name, meta.creation_timestamp = (
            f"{meta.name.rpartition('-')[0] or meta.name}-{chance.getrandbits(24):06x}",
            at,
        )
        meta.uid = str(uuid.UUID(int=chance.getrandbits(128)))
    if what == "replace" and copy.status and copy.status.start_time:
        copy.status.start_time, copy.status.pod_ip = at, address(chance)
    return copy


def packed(lines: bytes) -> int:
    return len(pa.compress(lines, codec="zstd", asbytes=True))


def size(folder: Path) -> tuple[int, int]:
    """Bytes of the files below a folder, and what they take in blocks of 4 KiB."""
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file()]
    return sum(sizes), sum(-(-one // 4096) * 4096 for one in sizes)


def peak() -> float:
    """The most memory that this process had, MB."""
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


def kept(first: Snapshot, store: Path, days: int, with_tables: int) -> None:
    """Keep the days, and print what it took."""
    history = add(store, first, ENGAGEMENT).history
    one = size(history.path / "snapshots")
    tables.refresh(history)
    table = size(history.path / "tables")
    print(f"first capture {one[0] / 1e6:.2f} MB, its tables {table[0] / 1e6:.2f} MB; peak {peak():.0f} MB", flush=True)
    changes = raw = 0
    adding, deriving = [], []
    for day, (snapshot, lines) in enumerate(drift(first, days), 2):
        changes, raw = changes + packed(lines), raw + len(lines)
        started = time.perf_counter()
        history = add(store, snapshot, ENGAGEMENT).history
        adding.append(time.perf_counter() - started)
        if day <= with_tables:
            started = time.perf_counter()
            tables.refresh(history)
            deriving.append(time.perf_counter() - started)
            if day == with_tables:
                now = size(history.path / "tables")
                print(
                    f"tables of {day} days: {now[0] / 1e6:.2f} MB, {median(deriving):.2f} s a capture, {max(deriving):.2f} at most"
                )
        if day % 30 == 0:
            print(f"day {day}: {size(history.path / 'snapshots')[0] / 1e6:.1f} MB, peak {peak():.0f} MB", flush=True)
    whole = size(history.path / "snapshots")
    print(
        f"{days} captures: {whole[0] / 1e6:.1f} MB ({whole[1] / 1e6:.1f} MB in blocks) = {whole[0] / one[0]:.1f} times the first; "
        f"what changed {changes / 1e6:.1f} MB packed ({raw / 1e6:.0f} MB of lines); "
        f"beside them {(whole[0] - changes) / one[0]:.2f} times the first"
    )
    print(f"adding: {median(adding):.2f} s, {max(adding):.2f} s at most; peak {peak():.0f} MB")


def read(store: Path) -> None:
    history = History(store / "bench")
    started = time.perf_counter()
    snapshot = history.load(history.captures[-1].name)
    print(
        f"load of the last: {time.perf_counter() - started:.2f} s ({len(history.rests_on(history.captures[-1].name))} parts)"
    )
    started, count = time.perf_counter(), 0
    for capture, snapshot in history.between():
        count += len(snapshot.objects)
        last = capture
    seconds = time.perf_counter() - started
    assert snapshot.digest == last.digest
    print(f"all in order: {seconds:.1f} s, {seconds / len(history):.3f} s a capture; peak {peak():.0f} MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--copies", type=int, default=21)
    parser.add_argument("--tables", type=int, default=30)
    parser.add_argument("--store", type=Path, help="Keep the store here; default: a temporary folder.")
    asked = parser.parse_args()
    with TemporaryDirectory() as folder:
        saved, store = Path(folder) / "snapshot", asked.store or Path(folder) / "store"
        with served(asked.copies, Path(folder)):
            worked("capture", Path(folder) / "kubeconfig", saved)
        kept(lifelike(snapshots.load(saved)), store, asked.days, asked.tables)
        read(store)


if __name__ == "__main__":
    main()
