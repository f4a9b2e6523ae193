"""What several checks say together of a control or a requirement, in management's words."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import pandas as pd

from auditkit.evaluate import CONCLUSIONS, EXCEPTION, UNDETERMINED, Conclusion, Judged, Result, Results

ManagementResult = Literal[
    "No exceptions noted",
    "Exceptions noted",
    "Not tested",
    "Incomplete evidence",
    "Manual part open",
    "Supporting tests only",
]
# Whether a control is effective is the auditor's word; these are management's.
MANAGEMENT: Mapping[Conclusion, ManagementResult] = {
    "error": "Incomplete evidence",
    "exceptions": "Exceptions noted",
    "not collected": "Incomplete evidence",
    "undetermined": "Incomplete evidence",
    "inherited": "Not tested",
    "no population": "Not tested",
    "no exceptions": "No exceptions noted",
}
NOT_RUN = "not run"
EVERY_ROW: Mapping[str, Sequence[str]] = {}


def among(result: Result, values: Mapping[str, Sequence[str]]) -> Result:
    """What a check says of the rows of its population that have one of these values in each of these columns.

    What it could not say of all it does not say of some: without an exception among them, rows of an incomplete
    population are not collected.
    """
    kept = result.population[[*values]].isin(values).all(axis=1)
    population, conclusion = result.population[kept].reset_index(drop=True), result.conclusion
    verdicts = set(population["verdict"])
    if conclusion in ("exceptions", "undetermined", "no exceptions"):
        if EXCEPTION in verdicts:
            conclusion = "exceptions"
        elif conclusion == "exceptions" and result.note:
            conclusion = "not collected"
        elif UNDETERMINED in verdicts:
            conclusion = "undetermined"
        else:
            conclusion = "no population" if population.empty else "no exceptions"
    return replace(result, judged=Judged.of(population), conclusion=conclusion)


class Counted(Protocol):
    """Results as they are counted: one row per check that ran, as evaluate.Results has it or a pack holds it."""

    @property
    def frame(self) -> pd.DataFrame: ...


def _narrowed(results: Counted, checks: Iterable[str], rows: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The frame of these checks by some of their rows; empty where results come without their populations."""
    if not isinstance(results, Results):
        return results.frame.iloc[:0]
    return Results([among(results[id], rows) for id in checks if id in results], results.tables).frame


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What several checks say together: the first conclusion in order of precedence, and all counts."""

    conclusion: Conclusion | None
    counts: Mapping[str, int]
    rows: int
    exceptions: int
    undetermined: int
    not_run: tuple[str, ...]

    @classmethod
    def of(cls, results: Counted, checks: Iterable[str], rows: Mapping[str, Sequence[str]] = EVERY_ROW) -> "Tally":
        """Of those rows of their populations alone, where any are named; see `among`.

        A check that was not run is evidence not collected, never passed over.
        """
        wanted = sorted(set(checks))
        frame = _narrowed(results, wanted, rows) if rows else results.frame[results.frame["id"].isin(wanted)]
        ran = set(frame["id"])
        not_run = tuple(id for id in wanted if id not in ran)
        counts = Counter(frame["conclusion"])
        present = {*counts, *(["not collected"] if not_run else [])}
        return cls(
            conclusion=next((c for c in CONCLUSIONS if c in present), None),
            counts={**{c: counts[c] for c in CONCLUSIONS}, NOT_RUN: len(not_run)},
            rows=int(frame["population"].sum()),
            exceptions=int(frame["exceptions"].sum()),
            undetermined=int(frame["undetermined"].sum()),
            not_run=not_run,
        )

    @property
    def result(self) -> ManagementResult:
        return MANAGEMENT[self.conclusion] if self.conclusion else "Not tested"

    @property
    def note(self) -> str:
        """Why a result is not simply clean."""
        if self.conclusion is None:
            return "no test of the cluster belongs to it"
        tests = sum(self.counts.values())
        parts = [f"{n} of {tests} tests: {c}" for c, n in self.counts.items() if n and c != "no exceptions"]
        return "; ".join(parts)

    @property
    def columns(self) -> dict[str, int]:
        """The counts of tests by conclusion, titled as in a workbook."""
        return {f"Tests: {conclusion}": n for conclusion, n in self.counts.items()}
