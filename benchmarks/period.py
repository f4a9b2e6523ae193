"""What a period costs a day: `python benchmarks/period.py [--days 20] [--copies 21]` prints one line a piece of work.

The cluster of `cluster.py` is captured once and read again for every day, with a hundredth of its pods and Deployments
changed since the day before. Reading a day is the store's work and is shown apart.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import msgspec
from spine import served, worked

from auditkit.capture.snapshot import Snapshot, load
from auditkit.kinds import ManagedField
from auditkit.kinds.workloads import Deployment, Pod
from auditkit.period import changes, intervals

START = datetime(2026, 11, 1, 6, tzinfo=UTC)
SHARE = 100


def days(folder: Path, count: int, reading: list[float]) -> Iterator[tuple[Any, Snapshot]]:
    for day in range(count):
        started = time.perf_counter()
        snapshot = load(folder)
        at = START + timedelta(days=day)
        snapshot.origin = msgspec.structs.replace(snapshot.origin, taken_at=at)
        for number, pod in enumerate(snapshot.objects[Pod]):
            if version := changed(number, day):
                pod.metadata.name += f"-v{version}"
                pod.metadata.uid += f"-v{version}"
        for number, deployment in enumerate(snapshot.objects[Deployment]):
            if version := changed(number, day):
                when = START + timedelta(days=day - (day - number) % SHARE, hours=-1)
                entry = ManagedField(manager="argocd-controller", operation="Update", time=when)
                deployment.metadata.managed_fields = [entry]
                deployment.metadata.generation = (deployment.metadata.generation or 1) + version
        reading.append(time.perf_counter() - started)
        yield SimpleNamespace(taken_at=at, added_at=None, digest=str(day), incomplete=()), snapshot


def changed(number: int, day: int) -> int:
    """How often an object has changed by this day: one in a hundred does each day after the first."""
    return len(range(number % SHARE or SHARE, day + 1, SHARE))


def peak() -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024 / 1e6


def main(count: int, copies: int) -> None:
    with TemporaryDirectory() as place:
        folder = Path(place) / "snapshot"
        with served(copies, Path(place)):
            worked("capture", Path(place) / "kubeconfig", folder)
        pieces: dict[str, Callable[..., Any]] = {
            "objects": intervals.objects,
            "bindings": intervals.bindings,
            "grants": intervals.grants,
            "changes": changes.over,
        }
        for name, piece in pieces.items():
            reading: list[float] = []
            started = time.perf_counter()
            rows = len(piece(days(folder, count, reading)))
            each = (time.perf_counter() - started - sum(reading)) / count
            read = sum(reading) / count
            print(f"{name}: {each:.3f} s a day, reading {read:.3f} s, {rows:,} rows, peak {peak():.0f} MB", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=20)
    parser.add_argument("--copies", type=int, default=21)
    given = parser.parse_args()
    main(given.days, given.copies)
