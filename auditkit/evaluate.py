"""Builds tables by name and runs checks: the only caller of what is declared."""

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from html import escape
from typing import Annotated, Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

import auditkit.checks
import auditkit.tables  # noqa: F401  (importing both declares)
from auditkit import waiving
from auditkit.analysis import provider
from auditkit.capture import snapshot
from auditkit.capture.imports.waivers import Waiver
from auditkit.capture.snapshot import Coverage
from auditkit.declare import (
    CHECKS,
    GIVEN,
    SEVERITIES,
    TABLES,
    Check,
    Column,
    Table,
    columns_of,
    kinds_of,
    records_of,
    spine_of,
    tables_of,
)
from auditkit.display import shown
from auditkit.errors import AuditkitError, Faults, UsageError, instead
from auditkit.kinds import Kind, Record
from auditkit.memory import collection_paused

# In order of precedence: a control takes the first of its checks'.
Conclusion = Literal[
    "error", "exceptions", "not collected", "undetermined", "inherited", "no population", "no exceptions"
]
CONCLUSIONS: tuple[Conclusion, ...] = get_args(Conclusion)

EXCEPTION, UNDETERMINED, OK = "exception", "undetermined", "ok"
Codes = npt.NDArray[np.int8]
Places = npt.NDArray[np.intp]
_CODES: Mapping[str, int] = {EXCEPTION: 1, UNDETERMINED: -1, OK: 0}
# A setting that a title names, and what English makes of one of them.
_SETTING = re.compile(r"`(\w+)`")
_ONE_DAY = re.compile(r"\b1 days\b")


class Origin:
    """One row: which cluster the snapshot shows, and when."""

    cluster: Annotated[str, "Name of the cluster."]
    cluster_uid: Annotated[str | None, "UID of the namespace kube-system: the cluster's own identity."]
    version: Annotated[str | None, "Version of the API server (gitVersion)."]
    taken_at: Annotated[datetime | None, "Time of the snapshot, UTC; missing where the objects are undated."]
    basis: Annotated[str, "`listed` by the API, or `as supplied` in files."]

    @staticmethod
    def rows(origin: snapshot.Origin) -> Iterator[tuple[Any, ...]]:
        yield origin.cluster, origin.cluster_uid or None, origin.version or None, origin.taken_at, origin.basis


ORIGIN = Table(name="origin", doc=str(Origin.__doc__), columns=columns_of(Origin), key=("cluster",), build=Origin.rows)


def declared(name: str) -> Table:
    """The declaration of a table or view; UsageError names the known ones."""
    if name in GIVEN:
        return ORIGIN if name == "origin" else waiving.FINDINGS
    try:
        return TABLES[name]
    except KeyError:
        raise UsageError(f"no table {name}; {instead(name, [*TABLES, *GIVEN], '`ak.tables()`')}") from None


class Tables(Mapping[str, pd.DataFrame]):
    """The tables and views of one snapshot by name, each built on first use; a caller gets a copy."""

    def __init__(self, source: snapshot.Snapshot) -> None:
        self.snapshot = source
        self._built: dict[str, pd.DataFrame] = {}
        self._ids: dict[str, pd.Series] = {}

    def __getitem__(self, name: str) -> pd.DataFrame:
        # Copy on write (pandas 3): a caller who changes it changes only what is theirs.
        return self._frame(name).copy(deep=False)

    def __getattr__(self, name: str) -> pd.DataFrame:
        if name.startswith("_"):
            raise AttributeError(name)
        return self[name]

    def __contains__(self, name: object) -> bool:
        return name in TABLES or name == "origin"

    def __iter__(self) -> Iterator[str]:
        return iter(sorted([*TABLES, "origin"]))

    def __len__(self) -> int:
        return len(TABLES) + 1

    def __dir__(self) -> list[str]:
        return list(self)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    def __repr__(self) -> str:
        return f"<Tables of {self.snapshot.origin.cluster}: {len(self)}, ak.tables() says what each holds>"

    def _repr_html_(self) -> str:
        # Names alone fit an output; what a row is shows where the pointer rests.
        names = (f"<code title='{escape(declared(name).title)}'>{name}</code>" for name in self)
        return shown(repr(self).strip("<>")) + f"<p>{' '.join(names)}</p>"

    def _frame(self, name: str) -> pd.DataFrame:
        if name not in self._built:
            with collection_paused():
                self._built[name] = self._build(declared(name))
        return self._built[name]

    def row_ids(self, name: str) -> pd.Series:
        """Eight hex digits per row of a table, from its key: the same in every snapshot."""
        if name not in self._ids:
            self._ids[name] = row_ids(self._frame(name)[list(declared(name).key)])
        return self._ids[name]

    def _build(self, table: Table) -> pd.DataFrame:
        if table is waiving.FINDINGS:
            raise UsageError("findings are of checks, not of a snapshot: `ak.check(snap).frame`, `[ID].exceptions`")
        if table.is_view:
            frame = table.build(*(self[read] for read in table.reads))
            missing = {c.name for c in table.columns} - set(frame.columns)
            if missing:
                raise AuditkitError(f"view {table.name} left out its columns {', '.join(sorted(missing))}")
            return _sorted(typed(frame, table.columns, f"table {table.name}"), table)
        rows = list(table.build(self.snapshot.origin if table is ORIGIN else self.snapshot.objects))
        for row in rows:
            if len(row) != len(table.columns):
                names = ", ".join(c.name for c in table.columns)
                raise AuditkitError(f"table {table.name}: a row has {len(row)} values, its columns are {names}")
        return _sorted(framed(rows, table.columns, f"table {table.name}"), table)

    def incomplete(self, names: Iterable[str]) -> dict[type[Kind] | type[Record], Coverage]:
        """What these tables rest on and was not completely read; a kind that is not served is empty, not missing.

        A kind that the capture's options opened in part, Secrets of some types, is missing to a table of the rest.
        """
        found: dict[type[Kind] | type[Record], Coverage] = {}
        for table in (table for name in names for table in tables_of(name)):
            every: tuple[type[Kind] | type[Record], ...] = (*table.kinds, *table.beside, *table.records)
            for kind in every:
                state = self.snapshot.state(kind)
                if state.state == "not supplied" and issubclass(kind, Record) and kind.optional:
                    continue
                if state.state not in ("collected", "not served"):
                    found[kind] = state
                elif kind in table.kinds and not self._opened(table):
                    note = "read in part: needs " + " or ".join(f"--{o.replace('_', '-')}" for o in table.options)
                    found.setdefault(kind, Coverage(resource=state.resource, state="excluded", note=note))
        return found

    def _opened(self, table: Table) -> bool:
        return not table.options or any(getattr(self.snapshot.origin.options, option) for option in table.options)

    def unserved(self, name: str) -> bool:
        """Whether the cluster serves none of the kinds that this table rests on."""
        kinds = kinds_of(name)
        return (
            bool(kinds)
            and not records_of(name)
            and all(self.snapshot.state(kind).state == "not served" for kind in kinds)
        )


def framed(rows: Iterable[tuple[Any, ...]], columns: Sequence[Column], what: str) -> pd.DataFrame:
    """Rows in the order of these columns as a frame; without rows the columns are there. Raises as `typed` does."""
    values = list(zip(*rows, strict=True)) or [()] * len(columns)
    frame = {column.name: pd.Series(v, dtype=object) for column, v in zip(columns, values, strict=True)}
    return typed(pd.DataFrame(frame), columns, what)


def typed(frame: pd.DataFrame, columns: Iterable[Column], what: str) -> pd.DataFrame:
    """These columns of a frame in their dtypes; AuditkitError says of `what` the column that does not hold what it declares."""
    found = {}
    for column in columns:
        try:
            values: Any = frame[column.name]
            if column.dtype.startswith("datetime"):
                found[column.name] = pd.to_datetime(values, utc=True).astype(column.dtype)
            else:
                found[column.name] = values.astype(column.dtype)
        except (TypeError, ValueError) as error:
            raise AuditkitError(f"{what}, column {column.name}: {error}") from error
    return pd.DataFrame(found)


def _sorted(frame: pd.DataFrame, table: Table) -> pd.DataFrame:
    return frame.sort_values(list(table.key), kind="stable", ignore_index=True)


class Snapshot(snapshot.Snapshot):
    """A snapshot as an analyst holds it: with its tables."""

    @classmethod
    def of(cls, source: snapshot.Snapshot) -> "Snapshot":
        return cls(origin=source.origin, coverage=source.coverage, objects=source.objects, imports=source.imports)

    @cached_property
    def tables(self) -> Tables:
        """The tables of this snapshot, e.g. `snap.tables.containers`; `ak.tables()` documents them."""
        return Tables(self)


class Why(pd.Series):
    """One exception in words: what was tested, why it matters, what to do, and the columns of its row."""

    def _repr_html_(self) -> str:
        facts = {str(name): value for name, value in self.items() if isinstance(value, list) or not pd.isna(value)}
        return shown(f"{facts.pop('exception_id')} {facts.pop('check')}", facts)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Rows of a table with a code each: 1 exception, 0 ok, -1 undetermined.

    What is said in words is made when it is asked for: of most checks only the counts are. `marks` gives the columns
    `exception_id` and `waiver`; `waived` is how many exceptions a waiver covers.
    """

    rows: pd.DataFrame
    verdicts: Codes
    waived: int
    marks: Callable[[], Mapping[str, Any]]

    @classmethod
    def of(cls, population: pd.DataFrame) -> "Judged":
        """Of a population that has its verdicts in words."""
        codes = np.asarray(population["verdict"].map(_CODES), dtype=np.int8)
        waived = int(population["waiver"].notna().sum()) if "waiver" in population else 0
        return cls(rows=population, verdicts=codes, waived=waived, marks=dict)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """The rows with `verdict`, `exception_id` and `waiver`."""
        return self.rows.assign(verdict=_VERDICTS.take(self.verdicts), **self.marks())


@dataclass(frozen=True, kw_only=True)
class Result:
    """What one check says of one snapshot.

    `population` has one row per row tested with the columns of the table, `verdict` (exception, undetermined, ok) and, of an
    exception, `exception_id` (stable over runs: check id and hash of the row's key) and `waiver`, the id of the waiver
    that covers it: a waived exception is still one.
    """

    check: Check
    conclusion: Conclusion
    judged: Judged = field(repr=False)
    settings: Mapping[str, Any]
    note: str = ""

    @property
    def title(self) -> str:
        """What is true of a clean row, with the settings that applied in place of their names."""
        text = _SETTING.sub(lambda m: _setting(self.settings.get(m[1], m[0])), self.check.title)
        return _ONE_DAY.sub("1 day", text)

    @property
    def population(self) -> pd.DataFrame:
        """The rows tested, each with its verdict."""
        return self.judged.frame

    @cached_property
    def counts(self) -> Mapping[str, int]:
        """How many rows have each verdict: exception, undetermined, ok."""
        return {verdict: len(self.places(verdict)) for verdict in _CODES}

    def places(self, verdict: str) -> Places:
        """Where the rows with a verdict are in the population."""
        return np.flatnonzero(self.judged.verdicts == _CODES[verdict])

    @property
    def exceptions(self) -> pd.DataFrame:
        """The rows of the population that are exceptions."""
        return self._found[EXCEPTION].copy(deep=False)

    @property
    def waived(self) -> int:
        """How many of the exceptions a waiver covers."""
        return self.judged.waived

    @property
    def undetermined(self) -> pd.DataFrame:
        """The rows that could not be judged."""
        return self._found[UNDETERMINED].copy(deep=False)

    @cached_property
    def _found(self) -> Mapping[str, pd.DataFrame]:
        return {v: self.population.iloc[self.places(v)].reset_index(drop=True) for v in (EXCEPTION, UNDETERMINED)}

    def why(self, row: int | str) -> "Why":
        """One exception, by its place among `exceptions` or by its exception_id: why and fix in words, and its columns;
        `snap.object` takes it for the object that it is about."""
        found = self.exceptions
        place = found.index[found["exception_id"] == row] if isinstance(row, str) else found.index[row : row + 1]
        if isinstance(row, int) and -len(found) <= row < 0:
            place = found.index[[row]]
        if len(place) != 1:
            raise UsageError(f"{self.check.id} has {len(found)} exceptions, and none is {row}")
        words: dict[str, Any] = {"check": self.title, "why": self.check.rationale, "fix": self.check.fix}
        return Why(words | {str(k): v for k, v in found.loc[place[0]].items()})

    def _repr_html_(self) -> str:
        check = self.check
        facts = {"Severity": check.severity, "Population": f"{check.population}: {declared(check.population).title}"}
        facts |= {"Note": self.note, "Settings": ", ".join(f"{k} = {v!r}" for k, v in self.settings.items())}
        facts |= {"Why": check.rationale, "Fix": check.fix} if len(self.exceptions) else {}
        title = f"{check.id} {self.title}: {repr(self).removeprefix(f'<Result {check.id} ').rstrip('>')}"
        return shown(title, facts, self.exceptions, whole=f'results["{check.id}"].exceptions')

    def __repr__(self) -> str:
        found = [f"{count:,} {verdict}" for verdict, count in self.counts.items() if count]
        rows = f" of {len(self.judged.rows):,}: {', '.join(found)}" if found else ""
        return f"<Result {self.check.id} {self.conclusion}{rows}>"


def _setting(value: Any) -> str:
    """A setting in a sentence: lists are joined."""
    return ", ".join(map(str, value)) or "none" if isinstance(value, (list, tuple)) else str(value)


class Results(Mapping[str, Result]):
    """The results of a run by check id; `.frame` is one row per check."""

    def __init__(self, results: Iterable[Result], tables: Tables) -> None:
        self._results = {result.check.id: result for result in results}
        self.tables = tables

    def __getitem__(self, id: str) -> Result:
        try:
            return self._results[id]
        except KeyError:
            raise UsageError(f"no check {id} in these results; {instead(id, self._results, '`.frame`')}") from None

    def __contains__(self, id: object) -> bool:
        return id in self._results

    def __iter__(self) -> Iterator[str]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def _ipython_key_completions_(self) -> list[str]:
        return list(self)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """One row per check: id, title, severity, conclusion, population, exceptions, waived, undetermined (counts), note."""
        rows = [
            {
                "id": r.check.id,
                "title": r.title,
                "severity": r.check.severity,
                "conclusion": r.conclusion,
                "population": len(r.judged.rows),
                "exceptions": r.counts[EXCEPTION],
                "waived": r.waived,
                "undetermined": r.counts[UNDETERMINED],
                "note": r.note,
            }
            for r in self.values()
        ]
        counts = ["population", "exceptions", "waived", "undetermined"]
        columns = ["id", "title", "severity", "conclusion", *counts, "note"]
        return pd.DataFrame(rows, columns=columns)

    def _repr_html_(self) -> str:
        found = self.frame[self.frame["conclusion"].isin(["error", "exceptions"])]
        found = found.sort_values("severity", key=lambda s: s.map(SEVERITIES.index), kind="stable")
        columns = ["id", "title", "severity", "conclusion", "population", "exceptions", "undetermined"]
        return shown(repr(self).strip("<>"), frame=found[columns], whole="results.frame")

    def __repr__(self) -> str:
        counts = self.frame["conclusion"].value_counts()
        return f"<Results of {len(self)} checks: " + ", ".join(f"{n} {c}" for c, n in counts.items()) + ">"


def run(
    tables: Tables, ids: Iterable[str] | str | None = None, *, settings: Mapping[str, Mapping[str, Any]] | None = None
) -> Results:
    """Run checks (all, or those named) over the tables of a snapshot, with settings by check id."""
    chosen = sorted(CHECKS) if ids is None else _chosen([ids] if isinstance(ids, str) else ids)
    if odd := [f"{id}.{name}" for id, own in (settings or {}).items() for name in own if name not in _settings(id)]:
        raise UsageError(f"no setting {', '.join(odd)}; `ak.checks()` lists them")
    waivers = tables.snapshot.objects[Waiver]
    if faults := waiving.faults(waivers):
        raise Faults("waivers", faults)
    managed = provider.managed(tables.snapshot.objects, tables.snapshot.origin.version)
    # What waivers cover is told by the checks that they name, whichever are asked for.
    beside = {waiver.check for waiver in waivers} if any("findings" in CHECKS[id].reads for id in chosen) else set()
    found: dict[str, Result] = {}
    with collection_paused():
        for id in sorted({*chosen, *beside}, key=lambda id: ("findings" in CHECKS[id].reads, id)):
            own = (settings or {}).get(id, {})
            found[id] = _result(CHECKS[id], tables, own, managed, [found[w] for w in sorted(beside) if w in found])
    return Results((found[id] for id in chosen), tables)


def _chosen(ids: Iterable[str]) -> list[str]:
    """The checks of these ids and topics ("RBAC"), each once; UsageError where one is neither."""
    found: dict[str, None] = {}
    for id in ids:
        named = [id] if id in CHECKS else sorted(one for one in CHECKS if one.partition("-")[0] == id)
        if not named:
            raise UsageError(f"no check {id}; {instead(id, CHECKS, '`auditkit checks`')}")
        found |= dict.fromkeys(named)
    return list(found)


def _settings(id: str) -> Mapping[str, Any]:
    return CHECKS[id].settings if id in CHECKS else {}


def _findings(results: Sequence[Result]) -> pd.DataFrame:
    frames = [
        (
            r.exceptions[["exception_id", "waiver"]]
            if len(r.exceptions)
            else pd.DataFrame({"exception_id": [None], "waiver": [None]})
        ).assign(check=r.check.id, conclusion=r.conclusion)
        for r in results
    ]
    columns = waiving.FINDINGS.columns
    whole = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=[c.name for c in columns])
    return typed(whole, columns, "table findings")


def _in_force(tables: Tables, check: str) -> Mapping[str, Mapping[str, str]]:
    """The waivers of a check that are approved and not expired: patterns by column, by the waiver's id."""
    known = {waiver.id: waiver.scope for waiver in tables.snapshot.objects[Waiver] if waiver.check == check}
    if not known:
        return {}
    frame = tables["waivers"]
    return {id: known[id] for id in frame.loc[frame["in_force"].fillna(False), "id"] if id in known}


def _result(
    check: Check,
    tables: Tables,
    changed: Mapping[str, Any],
    managed: str | None,
    before: Sequence[Result],
) -> Result:
    settings = {**check.settings, **changed}

    def conclude(conclusion: Conclusion, judged: Judged | None = None, note: str = "") -> Result:
        return Result(check=check, conclusion=conclusion, judged=judged or _none(check), settings=settings, note=note)

    # A row is an exception whatever other rows there are, but not whatever the tables beside it would have said.
    rows = spine_of(check.population)
    missing = tables.incomplete(check.reads)
    lacking = [state for kind, state in missing.items() if kind in rows]
    beside = [state for kind, state in missing.items() if kind not in rows]
    if beside:
        return conclude("not collected", note=_lack([*lacking, *beside]))
    try:
        frames = [_findings(before) if read == waiving.FINDINGS.name else tables[read] for read in check.reads]
        verdicts = _verdicts(check, frames[0], check.test(*frames, **settings))
        judged = _judged(check, frames[0], verdicts, tables, _in_force(tables, check.id))
    except Exception as error:  # a check that fails is a result, never silence
        return conclude("error", note=f"{type(error).__name__}: {error}" + _meant(error, check))
    if (verdicts == 1).any():
        return conclude("exceptions", judged, f"population incomplete: {_lack(lacking)}" if lacking else "")
    if lacking:
        return conclude("not collected", judged, _lack(lacking))
    if (verdicts == -1).any():
        return conclude("undetermined", judged)
    if check.control_plane and managed:  # rows there may be, but none is of the provider's control plane
        return conclude("inherited", judged, managed)
    if not len(verdicts):
        unserved = tables.unserved(check.population)
        return conclude("no population", judged, "the cluster does not serve this kind" if unserved else "")
    supplied = tables.snapshot.origin.basis == "as supplied"
    return conclude("no exceptions", judged, "population as supplied, not listed by the API" if supplied else "")


def _meant(error: Exception, check: Check) -> str:
    """Which column a test may have meant, where it reads one that no table of its has."""
    name = error.name if isinstance(error, AttributeError) else error.args[0] if isinstance(error, KeyError) else None
    columns = [column.name for read in check.reads for column in declared(read).columns]
    return f"; {', '.join(check.reads)}: {instead(name, columns)}" if isinstance(name, str) else ""


def _verdicts(check: Check, frame: pd.DataFrame, mask: Any) -> Codes:
    """A code a row: 1 exception, 0 ok, -1 undetermined; a mask that does not fit the population is an error."""
    if not isinstance(mask, pd.Series) or not mask.index.equals(frame.index):
        raise AuditkitError(f"{check.id} must return one boolean per row of {check.population}")
    return np.asarray(mask.astype("boolean").to_numpy(dtype="int8", na_value=-1), dtype=np.int8)


def _judged(
    check: Check, frame: pd.DataFrame, verdicts: Codes, tables: Tables, waivers: Mapping[str, Mapping[str, str]]
) -> Judged:
    covered = waiving.waived(frame, pd.Series(verdicts == 1, frame.index), waivers) if waivers else None

    def marks() -> Mapping[str, Any]:
        found, missing = verdicts == 1, _MISSING.take(np.zeros(len(frame), dtype=np.int8))
        ids = (f"{check.id}-" + tables.row_ids(check.population)).where(found) if found.any() else missing
        return {"exception_id": ids, "waiver": missing if covered is None else covered}

    waived = 0 if covered is None else int(covered.notna().sum())
    return Judged(rows=frame, verdicts=verdicts, waived=waived, marks=marks)


def _none(check: Check) -> Judged:
    """No row at all, with the columns of the population."""
    rows, none = framed((), declared(check.population).columns, check.population), _MISSING[:0]
    marks = {"exception_id": none, "waiver": none}
    return Judged(rows=rows, verdicts=np.empty(0, np.int8), waived=0, marks=lambda: marks)


_VERDICTS = pd.array([OK, EXCEPTION, UNDETERMINED], dtype="string")  # by code: the last is -1
_MISSING = pd.array([None], dtype="string")


def row_ids(keys: pd.DataFrame) -> pd.Series:
    """One stable id per row of a table's key columns: twelve hex digits of their hash, unique in a million rows."""
    columns = (keys[column].astype("string").to_numpy(dtype=object, na_value="\x00") for column in keys)
    texts = ("\x1f".join(("", *row)) for row in zip(*columns, strict=True))
    digests = [hashlib.sha256(text.encode()).hexdigest()[:12] for text in texts]
    return pd.Series(digests, index=keys.index, dtype="string")


def _lack(coverage: Iterable[Coverage]) -> str:
    """Which kinds are missing and why, each once."""
    named = dict.fromkeys(f"{c.resource} {c.state}" + (f" ({c.note})" if c.note else "") for c in coverage)
    return "; ".join(named)
