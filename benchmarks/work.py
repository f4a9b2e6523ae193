"""The work that is timed, one piece a process: `python benchmarks/work.py NAME ARGUMENT...` prints seconds and peak memory.

Imports are not timed: they are the price of the first command, measured as `help`.
"""

import gc
import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pyarrow  # noqa: F401  (a saved snapshot needs it: not timed)
import urllib3
import yaml


def bare(kubeconfig: Path, snapshot: Path) -> Callable[[], None]:
    """Fetch the pages that a capture fetched, as the official client does, and decode them untyped; keep nothing."""
    config = yaml.safe_load(kubeconfig.read_text())
    server = config["clusters"][0]["cluster"]["server"]
    headers = {"Authorization": f"Bearer {config['users'][0]['user']['token']}", "Accept-Encoding": "gzip"}
    coverage = json.loads((snapshot / "coverage.json").read_bytes())
    paths = [kind["request"] for kind in coverage if kind.get("pages")]
    pool = urllib3.PoolManager()

    def work() -> None:
        gc.disable()
        for path in paths:
            url = server + path
            while url:
                page = msgspec.json.decode(pool.request("GET", url, headers=headers).data)
                token = page["metadata"].get("continue")
                url = f"{server}{path}&continue={token}" if token else ""

    return work


def capture(kubeconfig: Path, out: Path) -> Callable[[], None]:
    """From the first request to the saved snapshot, rate limit off."""
    from auditkit.capture import cluster, snapshot

    shutil.rmtree(out, ignore_errors=True)
    return lambda: snapshot.save(cluster.capture(kubeconfig=kubeconfig, qps=0, progress=False), out)


def check(saved: Path) -> Callable[[], None]:
    """Every check of a loaded snapshot, with the tables that they read."""
    import auditkit as ak

    snapshot = ak.load(saved)
    return lambda: ak.check(snapshot) and None


def checks(saved: Path) -> Callable[[], None]:
    """Every check, its tables built."""
    import auditkit as ak

    snapshot = ak.load(saved)
    for name in snapshot.tables:
        snapshot.tables[name]
    return lambda: ak.check(snapshot) and None


def main(name: str, *places: str) -> None:
    work = {"bare": bare, "capture": capture, "check": check, "checks": checks}[name](*map(Path, places))
    started, used = time.perf_counter(), time.process_time()
    work()
    seconds, cpu = time.perf_counter() - started, time.process_time() - used
    peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"seconds": seconds, "cpu": cpu, "megabytes": int(peak.split()[1]) * 1024 / 1e6}))


if __name__ == "__main__":
    main(*sys.argv[1:])
