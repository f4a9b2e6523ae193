"""The evidence run of a period, top to bottom: from the captures of clusters to a sealed pack."""

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, islice
from pathlib import Path

from auditkit import seal, store
from auditkit.capture import imports, tool
from auditkit.capture.snapshot import INCOMPLETE as LACKING
from auditkit.capture.snapshot import Snapshot
from auditkit.engagement import Engagement, matches
from auditkit.errors import UsageError
from auditkit.period.effectiveness import together
from auditkit.period.frames import Taken
from auditkit.period.intervals import Pairs
from auditkit.period.whole import Period, whole
from auditkit.report import binder, notebooks
from auditkit.report.period import found, matrix, paper, saved, words
from auditkit.report.workpaper import Notebook
from auditkit.resources import folder
from auditkit.run import COMPLETE, EXCEPTIONS, INCOMPLETE, facts_of_code, identify, preparation, write_inputs
from auditkit.seal import leaks

# Files and folders of a pack as its first page leads to them.
FILES = (
    (
        "control-matrix.xlsx",
        "the workbook: controls over the period, coverage by cluster and day, deviations, changes, access, populations, register of samples",
    ),
    ("period/", "every listing of the period as CSV and Parquet: populations from which samples are drawn"),
    ("notebooks/", "the executed notebooks from which the workpapers were made, with their code"),
    ("inputs/captures.json", "the captures that this rests on, by digest; they lie in the store"),
    ("VERIFY.md", "how to check this pack with stock commands, and how to perform it again against the store"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class PeriodRun:
    """A finished run: the sealed pack, the period, the exit code of the scheduler's contract, and a summary."""

    pack: Path
    period: Period
    exit_code: int
    summary: str

    def __str__(self) -> str:
        return self.summary


def run(
    clusters: Mapping[str, Pairs],
    out: Path,
    *,
    engagement: Engagement,
    documents: Sequence[imports.Loaded] = (),
    names: Sequence[str] | None = None,
    fail_on_exceptions: bool = False,
    previous: Path | None = None,
    key: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> PeriodRun:
    """Write a pack of the engagement's period into a new folder and seal it.

    `clusters` gives by name the captures of each, oldest first, read one at a time; `documents` are the imports, `names`
    chooses notebooks. While the period lasts, slots up to now are expected. Raises as period.whole.whole, LeakError where a secret
    is in an output, AuditkitError where a notebook fails: then nothing is sealed.
    """
    started, until = time.monotonic(), _until(engagement)
    # What the user named is looked at before an hour of work rests on it.
    papers = notebooks.chosen(names, paper.notebooks())
    seal.check_inputs(previous=previous, key=key)
    with store.publishing(out) as pack:
        told = {name: _told(name, pairs, say) for name, pairs in clusters.items()}
        period = whole(told, engagement, imports=documents, until=until)
        say(f"period    {words.covered(period)}")
        write_inputs(pack / "inputs", engagement)
        saved.save(period, pack)
        identity = identify(pack, saved.Captures.of(period).digest, tool())
        ended = notebooks.execute(pack, papers, done=lambda e: say(f"notebook  {e.path.name}"))
        notebooks.raise_for(ended)
        prepared = datetime.now(UTC)
        about = [*matrix.facts(period, engagement, identity), *preparation(prepared, signed=key is not None)]
        _write_binder(pack, period, about, papers)
        matrix.write(pack, period, engagement, identity)
        shutil.copyfile(folder("templates") / "VERIFY-period.md", pack / "VERIFY.md")
        _write_run(pack / "run.json", period, identity, prepared, time.monotonic() - started)
        leaks.refuse(pack)
        facts = {
            "run_id": identity,
            "captures_digest": saved.Captures.of(period).digest,
            **facts_of_code("period/*.ipynb"),
        }
        seal.seal(pack, facts, previous=previous, key=key)
    code = exit_code(period, fail_on_exceptions)
    summary = "\n".join([words.covered(period), words.concluded(period), words.changed(period), f"pack: {out}"])
    return PeriodRun(pack=out, period=period, exit_code=code, summary=summary)


def stored(place: Path, engagement: Engagement, names: Sequence[str] = ()) -> dict[str, Pairs]:
    """The captures of a store within the period, by cluster, oldest first.

    Of the clusters `names`, else of the engagement's `cluster`, else of all in its scope: one that the scope names and the
    store has not is there without a capture. UsageError where the store has none of them, or not each that is named.
    """
    known = {history.cluster: history for history in store.histories(place)}
    named = list(names) or [name for name in [engagement.cluster] if name]
    scope = engagement.scope.clusters or ["*"]
    chosen = named or [name for name in known if matches(name, scope)]
    if unknown := [name for name in chosen or scope if name not in known]:
        raise UsageError(f"{place}: no cluster {', '.join(unknown)}; there are: {', '.join(known)}")
    found = {name: _within(known[name], engagement) for name in chosen}
    return found if named else _with_scope(found, engagement)


def _within(history: store.History, engagement: Engagement) -> Pairs:
    period = engagement.period
    return history.between(period.first, period.over) if period else ()


def loaded(snapshots: Iterable[Snapshot], engagement: Engagement, names: Sequence[str] = ()) -> dict[str, Pairs]:
    """Snapshots as captures of one cluster that are in no store, oldest first; it has the name given, else the first one's.

    Others of the scope are there without a capture, as in `stored`. UsageError where several are named, and where a
    snapshot is undated, when it is read.
    """
    if len(names) > 1:
        raise UsageError(f"{', '.join(names)}: snapshots are of one cluster; keep those of several in a store")
    rest = iter(snapshots)
    first = list(islice(rest, 1))
    name = next(iter(names), engagement.cluster) or next((one.origin.cluster for one in first), "")
    found: dict[str, Pairs] = {name: _dated(chain(first, rest))}
    return found if names or engagement.cluster else _with_scope(found, engagement)


def _with_scope(found: Mapping[str, Pairs], engagement: Engagement) -> dict[str, Pairs]:
    """Beside these clusters those that the scope names, not as a pattern: without a capture."""
    lacking = [name for name in engagement.scope.without(found) if not set(name) & set("*?[")]
    return {**found, **dict.fromkeys(lacking, ())}


def _dated(snapshots: Iterable[Snapshot]) -> Pairs:
    for snapshot in snapshots:
        if snapshot.origin.taken_at is None:
            raise UsageError(
                f"{snapshot.origin.source}: undated; put its time into a file recorded-as, or capture it with --taken-at"
            )
        lacking = tuple(one.resource for one in snapshot.coverage if one.state in LACKING)
        yield Taken(taken_at=snapshot.origin.taken_at, digest=snapshot.digest, incomplete=lacking), snapshot


def exit_code(period: Period, fail_on_exceptions: bool = False) -> int:
    """What a scheduler is told: a slot missed or partial, or a gap, before deviations; a waived one is a deviation."""
    open_ = period.coverage["status"].isin(["missed", "partial"]).any() or period.gaps["exceeds"].any()
    if open_ or (period.captures["state"] == "partial").any():
        return INCOMPLETE
    return EXCEPTIONS if fail_on_exceptions and len(period.deviations) else COMPLETE


def _until(engagement: Engagement) -> datetime:
    """The time of judging: the end of the period, or now while it lasts."""
    now = datetime.now(UTC).replace(microsecond=0)
    return min(now, engagement.period.over) if engagement.period else now


def _told(name: str, pairs: Pairs, say: Callable[[str], None]) -> Pairs:
    for capture, snapshot in pairs:
        say(f"capture   {name} {capture.taken_at:%Y-%m-%d %H:%M} UTC")
        yield capture, snapshot


def _write_binder(pack: Path, period: Period, about: Sequence[tuple[str, str]], papers: Sequence[Notebook]) -> None:
    for one in papers:
        binder.page(pack / "notebooks" / one.file, pack / one.page, one.title, papers=papers)
    binder.index(
        pack / "index.html",
        title=f"Evidence of {words.clusters(period)} over a period",
        summary=[words.covered(period), words.concluded(period)],
        about=about,
        notebooks=papers,
        found={one.name: found.SENTENCE[one.name](period) for one in papers},
        files=FILES,
        trail=matrix.TRAIL,
        words=matrix.GLOSSARY,
    )


def _write_run(path: Path, period: Period, identity: str, prepared: datetime, seconds: float) -> None:
    document = {
        "run_id": identity,
        "tool": tool(),
        "python": sys.version.split()[0],
        "prepared_at": prepared.isoformat(timespec="seconds"),
        "judged_until": period.until.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "clusters": list(period.clusters),
        "rows": {name: len(frame) for name, frame in period.frames.items()},
        "slots": words.statuses(period),
        "missed": words.missed(period),
        "results": {
            str(name): int(number) for name, number in together(period.controls)["result"].value_counts().items()
        },
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
