"""How long the OSCAL export of many exceptions takes: `python benchmarks/oscal.py PACK [--exceptions 20000]`.

The pack is copied, the exceptions of POD-01 are repeated under new names until there are so many, and it is sealed again.
"""

import argparse
import resource
import shutil
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from auditkit import seal
from auditkit.report.oscal import export

CHECK = "POD-01"


def multiplied(pack: Path, count: int) -> None:
    path = pack / "results" / "populations" / f"{CHECK}.parquet"
    table = pq.read_table(path)
    rows = [row for row in table.to_pylist() if row["verdict"] == "exception"]
    many = [
        {**row, "name": f"{row['name']}-{n}", "exception_id": f"{CHECK}-{n:012x}"}
        for n in range(count)
        for row in (rows[n % len(rows)],)
    ]
    pq.write_table(pa.Table.from_pylist(many, schema=table.schema), path)
    results = pack / "results" / "results.parquet"
    frame = pd.read_parquet(results)
    frame.loc[frame["id"] == CHECK, ["population", "exceptions"]] = count
    frame.to_parquet(results)
    seal.seal(pack, seal.read(pack).facts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pack", type=Path)
    parser.add_argument("--exceptions", type=int, default=20_000)
    options = parser.parse_args()
    with TemporaryDirectory() as folder:
        pack = Path(shutil.copytree(options.pack, Path(folder) / "pack"))
        multiplied(pack, options.exceptions)
        started, worked = time.perf_counter(), time.process_time()
        done = export(pack, Path(folder) / "out")
        seconds, worked = time.perf_counter() - started, time.process_time() - worked
        size = sum(path.stat().st_size for path in done.out.iterdir()) / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{done.risks:,} risks: {seconds:.1f} s ({worked:.1f} s of CPU), {size:.0f} MB of documents, {peak:.0f} MB of memory"
    )


if __name__ == "__main__":
    main()
