"""Saved answers of Prometheus: which alerts fired and which targets were down, with the step and range of the samples.

Format: prometheus.io/docs/prometheus/latest/querying/api (range and instant queries). The answer does not repeat the
query, its range or its step: they are those of its samples.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

import msgspec

from auditkit.capture.imports.base import Document, reader
from auditkit.capture.imports.jsons import CamelShape, Shape, decode, listed, named_once
from auditkit.errors import UsageError
from auditkit.kinds import Record

# Of an alert's other labels those that say where it is; the rest may hold anything.
PLACES = ("job", "instance", "node", "service", "deployment", "pod")
# Prometheus itself answers at most 11,000 samples a series; others that speak its API, somewhat more.
MOST = 100_000
# The seconds of the years that a time can have, 1970 to 9999.
_LAST = 253_402_300_800
NEITHER = "neither ALERTS nor up: query `ALERTS` or `up` alone, /api/v1/query_range?query=up&start=...&end=...&step=60"


class Query(Record):
    """One saved answer: what its samples are of, from when to when, and how many seconds lie between two."""

    source: ClassVar[str] = "prometheus"
    plural: ClassVar[str] = "queries"

    file: str
    metric: str
    begins: datetime | None = None
    ends: datetime | None = None
    step: float | None = None
    series: int = 0


class Fired(Record):
    """An alert that fired in all samples of a span; `ended` is missing where it fires in the last sample of the answer."""

    source: ClassVar[str] = "prometheus"
    plural: ClassVar[str] = "fired"

    file: str
    alert: str
    began: datetime
    last: datetime
    samples: int
    step: float
    namespace: str = ""
    place: str = ""
    severity: str | None = None
    ended: bool = False


class Target(Record):
    """One target: its samples by what they say; a sample that is not there does not say that it was up."""

    source: ClassVar[str] = "prometheus"
    plural: ClassVar[str] = "targets"

    file: str
    job: str
    instance: str
    samples: int
    up: int
    down: int
    missing: int
    step: float


class Outage(Record):
    """A span in which no sample of a target says that it was up."""

    source: ClassVar[str] = "prometheus"
    plural: ClassVar[str] = "outages"

    file: str
    job: str
    instance: str
    began: datetime
    last: datetime
    down: int
    missing: int
    step: float
    ended: bool = False


class _Series(Shape):
    metric: dict[str, str]
    values: list[tuple[float, str]] | None = None
    value: tuple[float, str] | None = None

    @property
    def samples(self) -> dict[float, str]:
        return dict(listed(self.values) if self.value is None else [self.value])


class _Data(CamelShape):
    result_type: str
    result: msgspec.Raw


class _Answer(CamelShape):
    status: str
    data: _Data | None = None
    error_type: str | None = None
    error: str | None = None
    warnings: list[str] | None = None


@reader(Query, Fired, Target, Outage, of_cluster=True)
def read(paths: Sequence[Path]) -> Document:
    """Saved answers of Prometheus to `ALERTS` and `up` (/api/v1/query_range, or query), JSON, one query a file."""
    named_once(paths)
    records: dict[type[Record], list[Record]] = {Query: [], Fired: [], Target: [], Outage: []}
    rows, warned = 0, []
    for path in paths:
        answer = decode(path, _Answer, "an answer of Prometheus")
        series = _series(path, answer)
        rows += len(series)
        warned += [f"{path.name}: Prometheus warns: {text[:200]}" for text in listed(answer.warnings)]
        for record in _records(path, series):
            records[type(record)].append(record)
    ends = [q.ends for q in records[Query] if isinstance(q, Query) and q.ends]
    return Document(
        records=records,
        rows=rows,
        format="Prometheus HTTP API JSON",
        made_at=min(ends, default=None),
        note="; ".join(warned),
    )


def _series(path: Path, answer: _Answer) -> list[_Series]:
    if answer.status != "success" or answer.data is None:
        said = ": ".join(filter(None, [answer.error_type, answer.error]))[:200]
        raise UsageError(f"{path}: Prometheus did not answer the query but {answer.status}: {said}; save it again")
    if answer.data.result_type not in ("matrix", "vector"):
        raise UsageError(f"{path}: a {answer.data.result_type[:20]} is not read; {NEITHER}")
    try:
        return msgspec.json.decode(answer.data.result, type=list[_Series])
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: not an answer of Prometheus: data.result: {error}") from None


def _records(path: Path, series: Sequence[_Series]) -> Iterator[Record]:
    """The records of one answer: it is about ALERTS or about up, by the name of its metric."""
    names = {s.metric.get("__name__", "") for s in series}
    if not names <= {"ALERTS"} and not names <= {"up"}:
        raise UsageError(f"{path}: holds {', '.join(sorted(names))[:80] or 'series without a name'}: {NEITHER}")
    times = sorted({t for s in series for t in s.samples})
    if times and (times[0] < 0 or times[-1] >= _LAST):
        raise UsageError(f"{path}: a sample at {times[-1]:.10g}, which is no time in seconds; save the answer again")
    step = _step(times)
    if step and (times[-1] - times[0]) / step > MOST:
        raise UsageError(
            f"{path}: a sample every {step} s from {_time(times[0]):%Y-%m-%d} to {_time(times[-1]):%Y-%m-%d} is more than one "
            "answer has; save shorter ranges, one a file"
        )
    (name,) = names or {"nothing"}
    begins, ends = (_time(times[0]), _time(times[-1])) if times else (None, None)
    yield Query(file=path.name, metric=name, begins=begins, ends=ends, step=step or None, series=len(series))
    for one in series:
        if name == "up":
            yield from _target(path, one, times, step)
        elif one.metric.get("alertstate") == "firing":
            yield from _fired(path, one, times, step)


def _step(times: Sequence[float]) -> float:
    """Seconds between two samples, as most lie apart; 0 of a single time."""
    apart = Counter(round(b - a, 3) for a, b in pairwise(times))
    return min(apart, key=lambda gap: (-apart[gap], gap)) if apart else 0.0


def _grid(times: Sequence[float], step: float) -> list[float]:
    """Every time at which there should be a sample: where all series lack one it is in none of them."""
    if not step:
        return list(times)
    return [round(times[0] + n * step, 3) for n in range(round((times[-1] - times[0]) / step) + 1)]


def _fired(path: Path, one: _Series, times: Sequence[float], step: float) -> Iterator[Fired]:
    there = {round(t, 3) for t in one.samples}
    grid = _grid(times, step)
    labels = one.metric
    for span in _spans([t in there for t in grid]):
        yield Fired(
            file=path.name,
            alert=labels.get("alertname", ""),
            began=_time(grid[span[0]]),
            last=_time(grid[span[-1]]),
            samples=len(span),
            step=step,
            namespace=labels.get("namespace", ""),
            place=", ".join(f"{name}={labels[name]}" for name in PLACES if name in labels),
            severity=labels.get("severity"),
            ended=span[-1] < len(grid) - 1,
        )


def _target(path: Path, one: _Series, times: Sequence[float], step: float) -> Iterator[Record]:
    said: Mapping[float, str] = {round(t, 3): value for t, value in one.samples.items()}
    grid = _grid(times, step)
    up = [said.get(t) == "1" for t in grid]
    job, instance = one.metric.get("job", ""), one.metric.get("instance", "")
    missing = [t not in said for t in grid]
    yield Target(
        file=path.name,
        job=job,
        instance=instance,
        samples=len(grid),
        up=sum(up),
        down=len(grid) - sum(up) - sum(missing),
        missing=sum(missing),
        step=step,
    )
    for span in _spans([not there for there in up]):
        unseen = sum(missing[n] for n in span)
        yield Outage(
            file=path.name,
            job=job,
            instance=instance,
            began=_time(grid[span[0]]),
            last=_time(grid[span[-1]]),
            down=len(span) - unseen,
            missing=unseen,
            step=step,
            ended=span[-1] < len(grid) - 1,
        )


def _spans(found: Sequence[bool]) -> Iterator[range]:
    """Runs of True, as ranges of positions."""
    begin = None
    for n, there in enumerate([*found, False]):
        if there and begin is None:
            begin = n
        elif not there and begin is not None:
            yield range(begin, n)
            begin = None


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
