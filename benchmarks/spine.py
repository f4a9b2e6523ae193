"""Speed and memory against their goals: `python benchmarks/spine.py [--rounds 7] [--small]` prints one line a goal.

Each piece of work is a process of its own and the rounds are interleaved, so that a busy machine is busy for
all. The ratios are of medians, by the clock and by CPU time, which other programs on the machine disturb less.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

HERE = Path(__file__).resolve().parent
SMALL, LARGE = 21, 210
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(HERE.parent), "no_proxy": "127.0.0.1"}

# By piece of work and measure ("seconds", "cpu", "megabytes"): one value a round.
Taken = dict[str, dict[str, list[float]]]


@contextmanager
def served(copies: int, folder: Path) -> Iterator[None]:
    command = [sys.executable, str(HERE / "cluster.py"), str(copies), str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdin and server.stdout
        print(f"cluster of {copies} copies: {server.stdout.readline().strip()}", flush=True)
        try:
            yield
        finally:
            server.stdin.close()


def timed(*command: str | Path) -> dict[str, float]:
    """A whole process, started and ended: by the clock, and the CPU time of it and its children."""
    before, started = os.times(), time.perf_counter()
    subprocess.run([sys.executable, *map(str, command)], env=ENVIRONMENT, capture_output=True, check=False)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return {"seconds": time.perf_counter() - started, "cpu": cpu}


def worked(name: str, *places: Path) -> dict[str, float]:
    command = [sys.executable, HERE / "work.py", name, *places]
    done = subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout))


def measured(copies: int, rounds: int) -> Taken:
    taken: Taken = defaultdict(lambda: defaultdict(list))
    with TemporaryDirectory() as folder, served(copies, Path(folder)):
        kubeconfig, snapshot = Path(folder) / "kubeconfig", Path(folder) / "snapshot"
        # The first capture is not counted: it says which pages there are.
        worked("capture", kubeconfig, snapshot)
        for _ in range(rounds):
            for name, places in {
                "bare": (kubeconfig, snapshot),
                "capture": (kubeconfig, snapshot),
                "check": (snapshot,),
                "checks": (snapshot,),
            }.items():
                for measure, value in worked(name, *places).items():
                    taken[name][measure].append(value)
    return taken


def ratio(taken: Taken, work: str, base: Taken, than: str) -> str:
    clock, cpu = (median(taken[work][m]) / median(base[than][m]) for m in ("seconds", "cpu"))
    return f"{clock:.2f} by the clock, {cpu:.2f} by CPU time"


def absolute(taken: Taken, work: str) -> str:
    return f"{median(taken[work]['seconds']):.2f} s, {median(taken[work]['cpu']):.2f} s of CPU"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="Leave out the cluster of 50,000 pods.")
    asked = parser.parse_args()
    small = measured(SMALL, asked.rounds)
    for name in small:
        print(f"{name}: {absolute(small, name)}, peak {max(small[name]['megabytes']):.0f} MB", flush=True)
    helps = [timed("-m", "auditkit", "--help")["seconds"] for _ in range(asked.rounds)]
    with TemporaryDirectory() as folder:
        evidence = timed("-m", "auditkit", "run", "--from", "demo", "--out", Path(folder) / "pack")
    lines = [
        ("capture to saved snapshot / bare fetch and decode", "<= 1.5", ratio(small, "capture", small, "bare")),
        ("all checks, tables built / the same", "< 1", ratio(small, "checks", small, "bare")),
        ("all checks and the tables they read / the same", "", ratio(small, "check", small, "bare")),
        ("peak memory of the capture", "< 400 MB", f"{max(small['capture']['megabytes']):.0f} MB"),
        ("auditkit --help", "< 0.5 s", f"{median(helps):.2f} s"),
        ("auditkit run --from demo", "<= 60 s", f"{evidence['seconds']:.0f} s, {evidence['cpu']:.0f} s of CPU"),
    ]
    if not asked.small:
        large = measured(LARGE, asked.rounds)
        for name in large:
            print(f"{name}: {absolute(large, name)}, peak {max(large[name]['megabytes']):.0f} MB", flush=True)
        lines += [
            (f"ten times the pods: {name}", "<= 10.5", ratio(large, name, small, name))
            for name in ("capture", "check", "checks")
        ]
    for what, goal, found in lines:
        print(f"| {what} | {goal} | {found} |")


if __name__ == "__main__":
    main()
