"""Samples that anybody draws alike: rows are ordered by a hash of the seed and their key, and the first are taken."""

import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, ValidationError

from auditkit.errors import Faults, UsageError, faults_of
from auditkit.resources import folder

Method = Literal["random", "systematic", "stratified", "all", "list"]
METHODS: tuple[Method, ...] = get_args(Method)
RISKS = ("low", "moderate", "high")
# Between the parts of a key, so that ("a", "bc") is not ("ab", "c").
BETWEEN = "\x1f"


class _Size(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    frequency: str
    most: int | None = None
    low: int
    moderate: int
    high: int


class Sizes(BaseModel):
    """The table of sample sizes, of data/samples.toml or of a file of the user's with the same keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    source: str
    size: tuple[_Size, ...]

    @classmethod
    def load(cls, path: Path | None = None) -> "Sizes":
        """Read the table; Faults names all that is wrong with it."""
        place = path or folder("data") / "samples.toml"
        try:
            return cls.model_validate(_lists(tomllib.loads(place.read_text(encoding="utf-8"))))
        except ValidationError as error:
            raise Faults(str(place), faults_of(error, cls)) from None
        except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"{place}: cannot be read: {error}") from None

    def of(self, frequency: str, risk: str, population: int) -> int:
        """The size for a frequency and a risk, at most the population; UsageError names the known frequencies."""
        for row in self.size:
            if row.frequency == frequency and (row.most is None or population <= row.most):
                return min(population, int(getattr(row, risk)))
        known = ", ".join(dict.fromkeys(row.frequency for row in self.size))
        raise UsageError(f"no frequency {frequency!r} for {population:,} rows; there are: {known}")


def _lists(document: dict[str, object]) -> dict[str, object]:
    rows = document.get("size")
    return {**document, "size": tuple(rows)} if isinstance(rows, list) else document


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """What was drawn: `rows` of the population with `item` (1, 2, ... in order of the key) and `stratum`, `replaced` and why.

    `replaced` has one row per item that was taken out: its key, the reason, and the key of the item in its place.
    """

    method: Method
    seed: str
    size: int
    population: int
    by: tuple[str, ...] = ()
    rows: pd.DataFrame = field(repr=False)
    replaced: pd.DataFrame = field(repr=False)


def keys(population: pd.DataFrame, key: Sequence[str]) -> pd.Series:
    """The key of each row as one text; UsageError where a column is missing or two rows have the same key."""
    found = _texts(population, key, BETWEEN)
    if found.duplicated().any():
        twice = found[found.duplicated()].iloc[0].replace(BETWEEN, " / ")
        raise UsageError(
            f"{', '.join(key)} does not name one row: {twice} stands there more than once; give more --key"
        )
    return found


def _texts(population: pd.DataFrame, columns: Sequence[str], between: str) -> pd.Series:
    """The values of these columns in each row as one text."""
    known = [str(name) for name in population]
    missing = [name for name in columns if name not in known]
    if missing:
        raise UsageError(f"the population has no column {', '.join(missing)}; it has {', '.join(known)}")
    texts = [population[name].astype("string").fillna("").tolist() for name in columns]
    return pd.Series([between.join(parts) for parts in zip(*texts, strict=True)], population.index, dtype="object")


def order(seed: str, key: str) -> str:
    """Where an item stands in the draw: sha256 of seed, a line break and the key, as hex."""
    return hashlib.sha256(f"{seed}\n{key}".encode()).hexdigest()


def draw(
    population: pd.DataFrame,
    *,
    key: Sequence[str],
    size: int,
    seed: str,
    method: Method = "random",
    by: Sequence[str] = (),
    replace: Mapping[str, str] | None = None,
    listed: Sequence[str] = (),
) -> Sample:
    """Draw a sample of rows; the order of the rows in the population does not matter.

    `random` takes the first `size` by `order`; `stratified` gives each value of the columns `by` its share, one at least;
    `systematic` takes every n-th row by key from a start that the seed gives; `list` those whose keys the auditor names;
    `all` every row. `replace` takes items out by key for a reason: the next of the draw takes the place.
    """
    names = keys(population, key)
    if method not in ("all", "list") and not 1 <= size <= len(names):
        raise UsageError(f"a sample of {size:,} cannot be drawn from {len(names):,} rows")
    strata = _texts(population, by, " / ") if by else pd.Series("", population.index, dtype="object")
    frame = pd.DataFrame({"key": names, "stratum": strata}).sort_values("key")
    chosen, spare = _chosen(frame, size, seed, method, listed)
    chosen, replaced = _replaced(chosen, spare, frame, replace or {})
    rows = population.loc[frame.index[frame["key"].isin(chosen)]].copy()
    rows.insert(0, "item", np.arange(1, len(rows) + 1))
    if by:
        rows.insert(1, "stratum", strata.loc[rows.index])
    return Sample(
        method=method,
        seed=seed if method not in ("all", "list") else "",
        size=len(rows),
        population=len(population),
        by=tuple(by),
        rows=rows.reset_index(drop=True),
        replaced=replaced,
    )


def _chosen(
    frame: pd.DataFrame, size: int, seed: str, method: Method, listed: Sequence[str]
) -> tuple[list[str], list[str]]:
    """The keys that are drawn, and those that would be next, in order."""
    every = frame["key"].tolist()
    if method == "all":
        return every, []
    if method == "list":
        unknown = [k.replace(BETWEEN, " / ") for k in listed if k not in set(every)]
        if unknown:
            raise UsageError(f"not in the population: {'; '.join(unknown[:5])}")
        return list(dict.fromkeys(listed)), []
    if method == "systematic":
        step = len(every) / size
        start = int(order(seed, "start"), 16) / 16**64 * step
        at = [int(start + n * step) for n in range(size)]
        rest = [n % len(every) for a in at for n in range(a + 1, a + len(every))]
        return [every[n] for n in at], [every[n] for n in dict.fromkeys(rest) if n not in set(at)]
    drawn = sorted(every, key=lambda k: order(seed, k))
    if method == "random":
        return drawn[:size], drawn[size:]
    shares = _shares(frame["stratum"].value_counts().sort_index(), size)
    where = dict(zip(every, frame["stratum"], strict=True))
    ranked = {stratum: [k for k in drawn if where[k] == stratum] for stratum in shares}
    chosen = [k for stratum, n in shares.items() for k in ranked[stratum][:n]]
    return chosen, [k for k in drawn if k not in set(chosen)]


def _shares(counts: pd.Series, size: int) -> dict[str, int]:
    """How many of each stratum: one, and the rest by largest remainder of its share. UsageError where one is too many."""
    if len(counts) > size:
        raise UsageError(
            f"{len(counts)} strata, but a sample of {size}: each needs one; draw more, or by another column"
        )
    exact = counts * (size / counts.sum())
    shares = np.minimum(np.maximum(np.floor(exact), 1), counts).astype(int)
    while (short := size - int(shares.sum())) != 0:
        room = (exact - shares)[(shares < counts) if short > 0 else (shares > 1)]
        name = room.idxmax() if short > 0 else room.idxmin()
        shares[name] += 1 if short > 0 else -1
    return {str(name): int(n) for name, n in shares.items()}


def _replaced(
    chosen: list[str], spare: list[str], frame: pd.DataFrame, replace: Mapping[str, str]
) -> tuple[list[str], pd.DataFrame]:
    """The draw without what is replaced, the next of its stratum in its place, and the log of that."""
    where = dict(zip(frame["key"], frame["stratum"], strict=True))
    now, left, log = list(chosen), [k for k in spare if k not in replace], []
    for key, reason in replace.items():
        said = key.replace(BETWEEN, " / ")
        if key not in now:
            raise UsageError(f"{said} is not in the sample, so nothing takes its place")
        new = next((k for k in left if where[k] == where[key]), None)
        if new is None:
            raise UsageError(f"{said}: no item is left to take its place")
        left.remove(new)
        now[now.index(key)] = new
        log.append((said, reason, new.replace(BETWEEN, " / ")))
    return now, pd.DataFrame(log, columns=["Taken out", "Reason", "In its place"], dtype="string")
