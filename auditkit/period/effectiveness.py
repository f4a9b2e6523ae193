"""Operating effectiveness over a period: in how many slots each check and control was tested, and what deviated."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

import numpy as np
import pandas as pd

from auditkit import evaluate, frameworks
from auditkit.capture.snapshot import Snapshot
from auditkit.declare import CHECKS, Check
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.evaluate import CONCLUSIONS, Conclusion, Result, Tables, declared
from auditkit.frameworks import Control
from auditkit.period.coverage import coverage, gaps
from auditkit.period.frames import DAY, Capture, Taken, framed
from auditkit.period.intervals import Pairs
from auditkit.period.spans import Span, SpanColumns, Spans, Times
from auditkit.tally import ManagementResult

NOT_CONCLUDED: frozenset[Conclusion] = frozenset({"error", "not collected", "undetermined"})
Moment = tuple[datetime, str]
# What holds for several clusters: the first that one of them has.
RESULTS: tuple[ManagementResult, ...] = (
    *("Exceptions noted", "Incomplete evidence", "Not tested", "Manual part open", "No exceptions noted"),
)
COUNTS = (
    *("expected", "captured", "with_exceptions", "clean", "not_concluded", "nothing_to_test"),
    *("deviations", "open"),
)


class SlotCounts:
    """How the slots of the schedule ended for a check or control."""

    expected: Annotated[int, "Slots of the schedule."]
    captured: Annotated[int, "Slots with a capture, also a late or partial one."]
    with_exceptions: Annotated[int, "Captured slots in which there were exceptions."]
    clean: Annotated[int, "Captured slots without exceptions, completely collected."]
    not_concluded: Annotated[
        int, "Captured slots in which the test was not concluded: not collected, undetermined or an error."
    ]
    nothing_to_test: Annotated[int, "Captured slots without population, or where the provider answers for it."]
    rate: Annotated[float | None, "with_exceptions / (with_exceptions + clean); missing where neither was."]
    deviations: Annotated[int, "Deviations: exceptions followed over time, each recurrence one."]
    open: Annotated[int, "Deviations that the last capture still shows."]
    result: Annotated[
        str, "Management's result over the period; `No exceptions noted` only where no gap exceeds the tolerance."
    ]
    note: Annotated[str, "Why it is not simply clean."]


class _Check:
    check: Annotated[str, "id of the check."]
    title: Annotated[str, "What is true of a clean row."]
    severity: Annotated[str, "critical, high, medium, low or info."]


class CheckRow(SlotCounts, _Check):
    """One row per check."""


class _Control:
    control: Annotated[str, "id of the control."]
    title: Annotated[str, "Its title."]
    checks: Annotated[list[str], "Its checks; a slot counts as the first of their conclusions in order of precedence."]


class ControlRow(SlotCounts, _Control):
    """One row per control."""


class _Deviation:
    check: Annotated[str, "id of the check."]
    title: Annotated[str, "What would be true of a clean row."]
    severity: Annotated[str, "critical, high, medium, low or info."]
    controls: Annotated[list[str], "Controls that the check tests."]
    exception_id: Annotated[str, "The exception, the same in every snapshot."]
    namespace: Annotated[str | None, "Namespace of the row, where its table has one."]
    row: Annotated[
        str, "The key of the row in its table: namespace, kind and name, and the rest with its columns' names."
    ]
    waiver: Annotated[
        str | None, "The waiver that covered it in the last capture that shows it; it is a deviation still."
    ]
    occurrence: Annotated[int, "1, or more where it had gone and came again."]
    recurred: Annotated[bool, "It came again after this occurrence."]
    open: Annotated[bool | None, "The last capture shows it; missing where that did not read what it rests on."]
    days_at_least: Annotated[float, "Days from the first to the last capture that show it."]
    days_at_most: Annotated[
        float | None,
        "Days from the capture before to the one without it (of an open one: to the last); missing where no capture is before.",
    ]


class DeviationRow(SpanColumns, _Deviation):
    """One row per exception and unbroken time that captures show it; remediated between `ended_not_before` and `ended_not_after`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Effectiveness:
    """The frames of a cluster over a period: ledger (SlotRow), gaps (GapRow), checks, controls, deviations (the rows above)."""

    ledger: pd.DataFrame
    gaps: pd.DataFrame
    checks: pd.DataFrame
    controls: pd.DataFrame
    deviations: pd.DataFrame


class Tested:
    """Runs checks (all, or `ids`) over captures, oldest first, and follows what they find.

    Raises UsageError where the engagement states no period.
    """

    def __init__(self, engagement: Engagement, ids: Iterable[str] | None = None) -> None:
        if engagement.period is None:
            raise UsageError("the engagement states no [period]: start, end and schedule")
        self._engagement, self._period = engagement, engagement.period
        self._ran = sorted(CHECKS) if ids is None else list(ids)
        self._followed = _Followed(self._ran)
        self._taken: list[Taken] = []
        self._said: dict[Moment, Mapping[str, Conclusion]] = {}

    def step(self, capture: Capture, snapshot: Snapshot) -> None:
        """Test one capture."""
        self._taken.append(Taken.of(capture))
        tables = evaluate.Snapshot.of(snapshot).tables
        results = evaluate.run(tables, self._ran, settings=self._engagement.settings)
        self._followed.step(capture.taken_at, results.values(), tables)
        self._said[capture.taken_at, capture.digest] = {id: result.conclusion for id, result in results.items()}

    def frames(self, *, controls: Iterable[Control] | None = None, until: datetime | None = None) -> Effectiveness:
        """What was found; `until` is the time of judging, after which no slot is missed yet."""
        activities = tuple(frameworks.controls(self._engagement) if controls is None else controls)
        ledger, holes = coverage(self._taken, self._period, until), gaps(self._taken, self._period, until)
        stands = ledger[ledger["status"] != "missed"]
        moments = zip(stands["taken_at"], stands["digest"], strict=True)
        slots = [self._said[at.to_pydatetime(), digest] for at, digest in moments]
        deviations = self._followed.frame(activities)
        counted = _Counted(len(ledger), slots, deviations, bool(holes["exceeds"].any()))
        titles = self._followed.titles
        checks = ((id, titles[id], CHECKS[id].severity, *counted.of([id], people=False)) for id in self._ran)
        rows = ((c.id, c.title, list(c.checks), *counted.of(c.checks, people=c.rests_on_people)) for c in activities)
        return Effectiveness(
            ledger=ledger,
            gaps=holes,
            checks=framed(checks, CheckRow),
            controls=framed(rows, ControlRow),
            deviations=deviations,
        )


def effectiveness(
    pairs: Pairs,
    engagement: Engagement,
    *,
    controls: Iterable[Control] | None = None,
    ids: Iterable[str] | None = None,
    until: datetime | None = None,
) -> Effectiveness:
    """Run checks (all, or `ids`) over every capture of the period, one at a time, oldest first.

    `until` is the time of judging, after which no slot is missed yet. Raises UsageError where the engagement states no
    period or schedule.
    """
    tested = Tested(engagement, ids)
    for capture, snapshot in pairs:
        tested.step(capture, snapshot)
    return tested.frames(controls=controls, until=until)


_UNBOUNDED = Times()


class _Followed:
    """The exceptions of each check over captures."""

    def __init__(self, ids: Iterable[str]) -> None:
        self.titles = {id: CHECKS[id].title for id in ids}
        self._spans: dict[str, Spans[str]] = {id: Spans() for id in self.titles}
        self._rows: dict[str, tuple[str | None, str]] = {}
        self._waivers: dict[str, str] = {}
        self._ended: list[tuple[str, Span[str]]] = []

    def step(self, at: datetime, results: Iterable[Result], tables: Tables) -> None:
        for result in results:
            check = result.check
            self.titles[check.id] = result.title
            there = self._found(result) if result.counts[evaluate.EXCEPTION] else []
            doubtful = result.places(evaluate.UNDETERMINED)
            ids = tables.row_ids(check.population).iloc[doubtful] if doubtful.size else ()
            ended = self._spans[check.id].step(
                at,
                there,
                lambda _: _UNBOUNDED,
                whole=result.conclusion not in ("error", "not collected") and not tables.incomplete(check.reads),
                doubtful={f"{check.id}-{id}" for id in ids},
            )
            self._ended += [(check.id, span) for span in ended]

    def _found(self, result: Result) -> list[str]:
        """The ids of the exceptions; what names their rows, and the waivers that cover them, is kept."""
        columns = ["exception_id", "waiver", *_place(result.check, result.population)]
        found = result.population[columns].iloc[result.places(evaluate.EXCEPTION)]
        there: list[str] = found["exception_id"].tolist()
        new = found[np.fromiter((id not in self._rows for id in there), bool, len(there))]
        self._rows |= zip(new["exception_id"], _named(result.check, new), strict=True)
        for id in self._waivers.keys() & set(there):
            del self._waivers[id]
        covered = found[found["waiver"].notna()]
        self._waivers |= zip(covered["exception_id"], covered["waiver"], strict=True)
        return there

    def frame(self, controls: Iterable[Control]) -> pd.DataFrame:
        """The deviations, sorted by check, exception and time."""
        rest = [(id, span) for id, spans in self._spans.items() for span in spans.rest()]
        spans = sorted([*self._ended, *rest], key=lambda one: (one[0], one[1].key, one[1].values[2]))
        tested: dict[str, list[str]] = {}
        for control in controls:
            for id in control.checks:
                tested.setdefault(id, []).append(control.id)
        return framed(self._numbered(spans, tested), DeviationRow)

    def _numbered(
        self, spans: list[tuple[str, Span[str]]], tested: Mapping[str, list[str]]
    ) -> Iterator[tuple[Any, ...]]:
        last = {span.key: n for n, (_, span) in enumerate(spans)}
        number, before = 0, ""
        for n, (id, span) in enumerate(spans):
            number, before = number + 1 if span.key == before else 1, span.key
            _, _, first, seen, earliest, _, _, gone, state, *_ = span.values
            yield (
                id,
                self.titles[id],
                CHECKS[id].severity,
                tested.get(id, []),
                span.key,
                *self._rows[span.key],
                self._waivers.get(span.key),
                number,
                last[span.key] != n,
                None if state == "unknown" else state == "present",
                (seen - first).total_seconds() / DAY,
                ((gone or seen) - earliest).total_seconds() / DAY if earliest and state != "unknown" else None,
                *span.values,
            )


def _place(check: Check, population: pd.DataFrame) -> list[str]:
    """The columns that name a row: its key, and its namespace."""
    return list(dict.fromkeys([*declared(check.population).key, *({"namespace"} & set(population))]))


def _named(check: Check, rows: pd.DataFrame) -> list[tuple[str | None, str]]:
    """Namespace of each row, and its key as text: `web Deployment shop container app`."""
    keys = [_said(name, rows[name].astype("string").fillna("")) for name in declared(check.population).key]
    texts = [" ".join(filter(None, parts)) for parts in zip(*keys, strict=True)]
    spaces = rows["namespace"].astype(object) if "namespace" in rows else pd.Series(None, rows.index, dtype=object)
    return list(zip(spaces.where(spaces.notna(), None), texts, strict=True))


def _said(name: str, values: pd.Series) -> list[str]:
    """The values of a column of a key; what is no object's place says what it is."""
    there = values if name in ("namespace", "kind", "name") else (f"{name} " + values).where(values != "", "")
    return list(there)


@dataclass(frozen=True, slots=True)
class _Counted:
    expected: int
    slots: list[Mapping[str, Conclusion]]
    deviations: pd.DataFrame
    gap: bool

    def of(self, checks: Iterable[str], *, people: bool) -> tuple[Any, ...]:
        """The values of SlotCounts for some checks together; a check that was not run is not collected."""
        wanted = set(checks)
        found = [_first(slot.get(id, "not collected") for id in wanted) for slot in self.slots] if wanted else []
        bad, clean = found.count("exceptions"), found.count("no exceptions")
        open_ended = sum(one in NOT_CONCLUDED for one in found)
        own = self.deviations[self.deviations["check"].isin(wanted)]
        # A capture that stands for no slot can show one too.
        result, note = self._result(bool(wanted), max(bad, len(own)), clean, open_ended, people)
        return (
            self.expected,
            len(self.slots),
            bad,
            clean,
            open_ended,
            len(found) - bad - clean - open_ended,
            bad / (bad + clean) if bad + clean else None,
            len(own),
            int(own["open"].fillna(False).sum()),
            result,
            note,
        )

    def _result(
        self, tested: bool, bad: int, clean: int, open_ended: int, people: bool
    ) -> tuple[ManagementResult, str]:
        if not tested:
            return "Not tested", "no test of the cluster belongs to it"
        missed = self.expected - len(self.slots)
        notes = [
            f"{len(self.slots)} of {self.expected} slots captured" if missed else "",
            "a gap exceeds the tolerance" if self.gap else "",
            f"not concluded in {open_ended} of them" if open_ended else "",
        ]
        note = "; ".join(filter(None, notes))
        if bad:
            return "Exceptions noted", note
        if open_ended or self.gap or not self.slots:
            return "Incomplete evidence", note or "no snapshot"
        if not clean:
            return "Not tested", note or "nothing to test in any slot"
        return ("Manual part open" if people else "No exceptions noted"), note


def _first(conclusions: Iterable[Conclusion]) -> Conclusion:
    """The first in order of precedence."""
    present = set(conclusions)
    return next(one for one in CONCLUSIONS if one in present)


def together(frame: pd.DataFrame) -> pd.DataFrame:
    """Rows of checks or controls by cluster as one row each over all clusters, without `cluster`: its counts are sums.

    The result is the first of RESULTS that one of the clusters has; the note says that of each.
    """
    rows = frame.drop(columns="cluster")
    if frame["cluster"].nunique() < 2:
        return rows
    by, counts = rows.columns[0], list(COUNTS)
    grouped = rows.groupby(by, sort=False)
    found = rows.drop_duplicates(by).set_index(by)
    found[counts] = grouped[counts].sum()
    judged = found["with_exceptions"] + found["clean"]
    found["rate"] = (found["with_exceptions"] / judged.where(judged > 0)).astype("Float64")
    found["result"] = grouped["result"].agg(lambda results: min(results, key=RESULTS.index)).astype("string")
    said = frame["cluster"] + ": " + frame["result"] + (", " + frame["note"]).where(frame["note"] != "", "")
    found["note"] = (said + ".").groupby(frame[by]).agg("\n".join).astype("string")
    return found.reset_index()[list(rows)]
