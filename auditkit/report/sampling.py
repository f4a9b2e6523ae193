"""A sample as a workbook: how it was drawn, its items with cells for the auditor, and what was replaced."""

import secrets
from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from auditkit import seal, store
from auditkit.capture import tool
from auditkit.declare import CHECKS, TABLES
from auditkit.errors import UsageError
from auditkit.period.samples import BETWEEN, METHODS, RISKS, Sample, Sizes, draw, keys
from auditkit.period.whole import LISTINGS
from auditkit.report.frames import flat, unguarded
from auditkit.report.period.saved import FOLDER
from auditkit.report.workbook import Cover, Sheet, made

_DRAWN = {
    "random": "the first items by sha256(seed, line break, key), in hexadecimal",
    "stratified": "of each stratum its share, one at least: the first items by sha256(seed, line break, key), in hexadecimal",
    "systematic": "every n-th item by key (n: population / size), from n * sha256(seed, line break, 'start') / 2^256",
    "all": "every item of the population",
    "list": "the items that the auditor named",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Population:
    """A file of rows to draw from: its rows, its hash, and the columns that name a row."""

    path: Path
    rows: pd.DataFrame
    sha256: str
    key: tuple[str, ...]

    @classmethod
    def read(cls, path: Path, key: Sequence[str] = ()) -> "Population":
        """Read a Parquet or CSV file; the key of a table or test of auditkit is known by the file's name.

        Raises UsageError where the file is neither, or no key is known.
        """
        try:
            if path.suffix == ".parquet":
                rows = pd.read_parquet(path, dtype_backend="numpy_nullable")
            elif path.suffix == ".csv":
                rows = pd.read_csv(path, dtype="string", keep_default_na=False)
            else:
                raise UsageError(
                    f"{path}: a population is a .parquet or .csv file, e.g. of tables/ or results/ of a pack"
                )
        except (OSError, ValueError) as error:
            raise UsageError(f"{path}: cannot be read: {error}") from None
        named = tuple(key) or _known(path)
        if not named:
            raise UsageError(f"{path}: name the columns that tell a row from others, with --key")
        for name in {*named} & {*rows}:
            rows[name] = pd.Series([_plain(value) for value in rows[name]], rows.index, dtype="string")
        return cls(path=path, rows=rows, sha256=seal.sha256(path), key=named)


def _plain(value: Any) -> str:
    """A part of a key as the same text, whether it was read from Parquet or CSV."""
    value = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(value, (list, tuple)) and pd.isna(value):
        return ""
    return str(value) if isinstance(value, datetime) else str(unguarded(flat(value)))


def _known(path: Path) -> tuple[str, ...]:
    """The key of a listing of a period, of a table, or of a test's population, by the names of folder and file."""
    stem = path.stem
    if path.resolve().parent.name == FOLDER and stem in LISTINGS:
        return LISTINGS[stem].key
    table = TABLES.get(CHECKS[stem].population if stem in CHECKS else stem)
    return table.key if table else ()


def write_sample(path: Path, sample: Sample, population: Population, *, size_from: str, seed_from: str) -> None:
    """Write the workbook; the same sample gives the same bytes. Raises as store.publish_file."""
    facts = [
        ("Population", population.path.name),
        ("Rows in the population", f"{sample.population:,}"),
        ("sha256 of the population", population.sha256),
        ("Key", ", ".join(population.key)),
        ("Method", f"{sample.method}: {_DRAWN[sample.method]}"),
        *([("Strata", f"each {' and '.join(sample.by)}")] if sample.by else []),
        ("Seed", f"{sample.seed} ({seed_from})" if sample.seed else "none is needed"),
        ("Size", f"{sample.size:,} ({size_from})"),
        ("Replaced", f"{len(sample.replaced):,}"),
        ("Tool", tool()),
        ("To draw it again", "the same file, method, seed and size give the same items on any machine"),
        ("Drawn by, date", None),
        ("Reviewed by, date", None),
    ]
    items = Sheet(
        name="Sample",
        note=f"{sample.size:,} of {sample.population:,} rows, in order of their key.",
        frame=_readable(sample.rows, population.key),
        auditor=("Tested", "Result", "Tickmark", "Auditor ref"),
        fixed=2,
        widest=40,
    )
    replaced = Sheet(
        name="Replaced", note="Items that were taken out, why, and what took their place.", frame=sample.replaced
    )
    cover = Cover(title="Sample", rows=facts, footer=population.path.name)
    store.publish_file(path, made(cover, [items, replaced], created=None))


def _readable(rows: pd.DataFrame, key: Sequence[str]) -> pd.DataFrame:
    """The rows with what names them first, and as lists the arrays that Parquet gives."""
    lead = ["item", *key]
    ordered = rows[[*lead, *(name for name in rows if name not in lead)]]
    return ordered.map(lambda value: value.tolist() if isinstance(value, np.ndarray) else value)


def sample(
    population: Path,
    out: Path,
    *,
    method: str = "random",
    size: int | None = None,
    frequency: str | None = None,
    risk: str = "moderate",
    sizes: Path | None = None,
    seed: str | None = None,
    key: str | None = None,
    by: str = "",
    replace: Sequence[str] = (),
    listed: Path | None = None,
) -> Sample:
    """Draw a sample of a file and write its workbook; see period.samples.draw for what the methods do.

    `key` and `by` are comma-separated columns, `replace` texts KEY=REASON, `listed` a CSV with the key columns. Raises UsageError for
    what does not fit together.
    """
    if method not in METHODS or risk not in RISKS:
        raise UsageError(f"no method {method} or risk {risk}; there are: {', '.join(METHODS)}; {', '.join(RISKS)}")
    if (method == "list") != (listed is not None):
        raise UsageError("--method list and --list FILE go together")
    if (method == "stratified") != bool(by):
        raise UsageError("--method stratified and --by COLUMNS go together")
    found = Population.read(population, _columns(key))
    wanted, size_from = _size(method, size, frequency, risk, sizes, len(found.rows))
    chosen = seed or secrets.token_hex(8)
    try:
        chosen.encode()
    except UnicodeEncodeError:
        raise UsageError(f"--seed {chosen}: is no UTF-8; write another") from None
    done = draw(
        found.rows,
        key=found.key,
        size=wanted,
        seed=chosen,
        method=method,
        by=_columns(by),
        replace=dict(_reason(text, {*keys(found.rows, found.key)}) for text in replace),
        listed=[] if listed is None else keys(Population.read(listed, found.key).rows, found.key).tolist(),
    )
    write_sample(out, done, found, size_from=size_from, seed_from="supplied" if seed else "made by auditkit")
    return done


def _columns(text: str | None) -> list[str]:
    return [part.strip() for part in text.split(",")] if text else []


def _size(
    method: str, size: int | None, frequency: str | None, risk: str, sizes: Path | None, rows: int
) -> tuple[int, str]:
    if method in ("all", "list"):
        return rows, "every row is tested" if method == "all" else "the auditor's list"
    if (size is None) == (frequency is None):
        raise UsageError("give --size, or --frequency (and --risk) for the size of the table")
    if size is not None:
        return size, "supplied"
    table = Sizes.load(sizes)
    return table.of(str(frequency), risk, rows), f"{frequency}, {risk} risk: {table.source}"


def _reason(text: str, known: Set[str]) -> tuple[str, str]:
    """Key and reason of KEY=REASON, the first split that names an item: a key may have such a sign in it."""
    parts = text.split("=")
    splits = [("=".join(parts[:n]), "=".join(parts[n:]).strip()) for n in range(1, len(parts))]
    whole = [(key.strip().replace(" / ", BETWEEN), reason) for key, reason in splits if reason]
    if not whole:
        raise UsageError(f"--replace {text}: write KEY=REASON")
    return next((split for split in whole if split[0] in known), whole[0])
