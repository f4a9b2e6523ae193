"""A year of a store as a period, and its notebooks against a bare scan of their files.

    python benchmarks/history.py --store STORE        # 365 captures of the cluster of 5,000 pods
    python benchmarks/period.py follow STORE/bench PACK [--days 365]
    python benchmarks/period.py query PACK

`follow` goes through the captures and writes the listings of the period, `query` reads them in as each notebook does, makes
all of its sections, and scans the same files with DuckDB, on one thread: into Arrow, and into a DataFrame.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from statistics import median
from typing import Any

import duckdb
from history import peak

import auditkit as ak
from auditkit.engagement import Engagement, Period
from auditkit.period.whole import LISTINGS, whole
from auditkit.report.period import paper, saved
from auditkit.run import write_inputs
from auditkit.store import History

ROUNDS = 5
SECTIONS = ("criteria", "source", "procedure", "population", "results", "chart", "exceptions", "conclusion")


def follow(place: Path, pack: Path, days: int) -> None:
    """Make the listings of the first days of a store, and print month by month what it takes."""
    pack.mkdir(parents=True)
    history = History(place)
    first = history.captures[0].taken_at.date()
    asked = Period(start=first, end=first + timedelta(days=days - 1), schedule="daily")
    engagement = Engagement(cluster=history.cluster, period=asked)
    started = time.process_time()
    pairs = told(history.between(asked.first, asked.over))
    period = whole({history.cluster: pairs}, engagement, until=asked.over)
    print(f"followed: {time.process_time() - started:.0f} s of CPU, peak {peak():.0f} MB; {period}", flush=True)
    started = time.process_time()
    write_inputs(pack / "inputs", engagement)
    saved.save(period, pack)
    rows = {name: len(frame) for name, frame in period.frames.items()}
    print(f"saved: {time.process_time() - started:.1f} s of CPU, peak {peak():.0f} MB; {rows}")


def told(pairs: Iterable[Any]) -> Iterator[Any]:
    started, count, month = time.process_time(), 0, None
    for capture, snapshot in pairs:
        if capture.taken_at.month != month and count:
            each = (time.process_time() - started) / count
            print(f"{count} captures, {each:.2f} s of CPU each, peak {peak():.0f} MB", flush=True)
        count, month = count + 1, capture.taken_at.month
        yield capture, snapshot


def query(pack: Path) -> None:
    """Compare the notebooks with the scans, each in a process of its own."""
    work = [*paper.notebooks(), "arrow", "frame"]
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in work}
    for _ in range(ROUNDS):
        for name in work:
            command = [sys.executable, __file__, "one", name, str(pack)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            taken[name].append(tuple(json.loads(done.stdout)))
    seconds = {name: median(one[0] for one in rounds) for name, rounds in taken.items()}
    for name in work:
        memory = max(one[1] for one in taken[name])
        said = ", ".join(f"{seconds[name] / seconds[scan]:.2f} of the scan ({scan})" for scan in ("arrow", "frame"))
        print(f"{name}: {seconds[name]:.2f} s of CPU, {memory:.0f} MB; {said}")


def one(name: str, pack: Path) -> None:
    """Do one piece of the comparison, and print its CPU seconds without imports, and the peak memory in MB."""
    work: Callable[[], Any] = (
        (lambda: sections(name, pack)) if name in paper.notebooks() else (lambda: scan(name, pack))
    )
    started = time.process_time()
    kept = work()
    print(json.dumps([time.process_time() - started, peak()]))
    del kept


def sections(name: str, pack: Path) -> list[Any]:
    workpaper = ak.workpaper(name, pack)
    return [getattr(workpaper, section)() for section in SECTIONS]


def scan(how: str, pack: Path) -> list[Any]:
    with duckdb.connect(config={"threads": 1}) as connection:
        files = (connection.read_parquet(str(pack / saved.FOLDER / f"{name}.parquet")) for name in LISTINGS)
        return [found.df() if how == "frame" else found.to_arrow_table() for found in files]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("follow", "query", "one"))
    parser.add_argument("places", nargs="+")
    parser.add_argument("--days", type=int, default=365)
    asked = parser.parse_args()
    if asked.what == "follow":
        follow(Path(asked.places[0]), Path(asked.places[1]), asked.days)
    elif asked.what == "query":
        query(Path(asked.places[0]))
    else:
        one(asked.places[0], Path(asked.places[1]))


if __name__ == "__main__":
    main()
