"""How fast an audit log is read, against a bare parse of the same lines, and with how much memory at any size of log.

    python benchmarks/audit_log.py            # logs of 30,000, 300,000 and 3,000,000 lines
    python benchmarks/audit_log.py --small    # without the largest

The log is made of the recorded one: its lines over and over, each time with new ids, a day later, amid nine times as many
heartbeats of nodes and controllers, as a real log has them. The bare parse decodes every line with the same decoder into
the same Struct, and keeps nothing.
"""

import argparse
import gc
import gzip
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from time import process_time

import msgspec

from auditkit.capture import imports
from auditkit.capture.imports import Supplied, audit_log
from auditkit.capture.imports.audit_events import Event

RECORDED = Path(__file__).parents[1] / "tests" / "recordings" / "audit" / "audit.log.gz"
SIZES = (1, 10, 100)
ROUNDS = 7
START = datetime(2026, 1, 1)
# Of the recorded lines a copy has every tenth, so that the log is mostly heartbeats, as a real one is.
BEATS = 9
CONTROLLERS = ("kube-controller-manager", "kube-scheduler", "node:worker-1", "node:worker-2", "apiserver")


def written(path: Path, copies: int) -> int:
    """Write a log of so many copies, each of one day; the number of its lines."""
    recorded = [json.loads(line) for line in gzip.decompress(RECORDED.read_bytes()).splitlines()]
    lines = 0
    with path.open("wb") as out:
        for copy in range(copies):
            for number, event in enumerate(_day(recorded, copy)):
                at = (START + timedelta(days=copy, seconds=number * 2.8)).isoformat(timespec="microseconds") + "Z"
                stamped = event | {
                    "auditID": f"{copy:08x}-{number:08x}",
                    "requestReceivedTimestamp": at,
                    "stageTimestamp": at,
                }
                out.write(msgspec.json.encode(stamped) + b"\n")
                lines += 1
    return lines


def _day(recorded: list[dict], copy: int) -> Iterator[dict]:
    for number, event in enumerate(recorded):
        yield event
        for beat in range(BEATS):
            user = f"system:{CONTROLLERS[(number + beat) % len(CONTROLLERS)]}"
            name = f"lease-{(number * BEATS + beat + copy) % 500}"
            yield event | {
                "level": "Metadata",
                "verb": "update" if beat % 3 else "get",
                "user": {"username": user, "groups": ["system:nodes", "system:authenticated"]},
                "objectRef": {
                    "resource": "leases",
                    "namespace": "kube-system",
                    "name": name,
                    "apiGroup": "coordination.k8s.io",
                    "apiVersion": "v1",
                    "uid": "5f2f7b9e-3f4e-4e0c-9c70-1c1d1f2a3b4c",
                    "resourceVersion": "123456",
                },
                "stage": "ResponseComplete",
                "responseStatus": {"metadata": {}, "code": 200},
                "requestObject": None,
                "responseObject": None,
                "impersonatedUser": None,
            }


def bare(path: Path) -> None:
    decode = msgspec.json.Decoder(Event).decode
    with path.open("rb") as stream:
        for line in stream:
            decode(line)


def reduced(path: Path) -> None:
    audit_log.read([path])


def imported(path: Path) -> None:
    """With the sha256 of the file."""
    imports.read([Supplied(source="audit_log", paths=(path,))])


WORK = {one.__name__: one for one in (bare, reduced, imported)}


def timed(name: str, path: Path) -> tuple[float, int]:
    """CPU seconds, and peak memory in MB, of a process of its own."""
    found = subprocess.run(
        [sys.executable, __file__, "--work", name, str(path)], check=True, capture_output=True, text=True
    ).stdout.split()
    return float(found[0]), int(found[1])


def work(name: str, path: Path) -> None:
    gc.disable()
    start = process_time()
    WORK[name](path)
    seconds = process_time() - start
    status = Path("/proc/self/status").read_text()
    peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
    print(seconds, peak)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--work", nargs=2)
    chosen = parser.parse_args()
    if chosen.work:
        work(chosen.work[0], Path(chosen.work[1]))
        return
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES[:-1] if chosen.small else SIZES:
            path = Path(folder) / "audit.log"
            lines = written(path, size)
            rounds = [{name: timed(name, path) for name in WORK} for _ in range(3 if size == SIZES[-1] else ROUNDS)]
            seconds = {name: statistics.median(r[name][0] for r in rounds) for name in WORK}
            ratios = {name: statistics.median(r[name][0] / r["bare"][0] for r in rounds) for name in WORK}
            peak = {name: max(r[name][1] for r in rounds) for name in WORK}
            print(f"{lines:,} lines, {path.stat().st_size / 1e6:,.0f} MB")
            for name in WORK:
                print(
                    f"  {name:9}{seconds[name]:7.2f} s CPU {ratios[name]:6.2f} x bare  peak {peak[name]} MB", flush=True
                )


if __name__ == "__main__":
    main()
