"""The evidence of a period: every frame of it, computed in one pass over its captures."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any

import pandas as pd

from auditkit import evaluate
from auditkit.capture.imports import Loaded
from auditkit.capture.imports.tickets import Ticket
from auditkit.capture.snapshot import Snapshot
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.period import tickets as _tickets
from auditkit.period.changes import ChangeRow, Compared
from auditkit.period.coverage import GapRow, SlotRow, slots
from auditkit.period.departures import DepartureRow, Departures
from auditkit.period.effectiveness import CheckRow, ControlRow, DeviationRow, Tested
from auditkit.period.frames import Capture, framed
from auditkit.period.intervals import BindingRow, GrantRow, GrantSpans, ObjectRow, ObjectSpans


class CaptureRow:
    """One row per capture of the period."""

    taken_at: Annotated[datetime, "When the cluster was read."]
    added_at: Annotated[datetime | None, "When it was stored; missing where it is in no store."]
    digest: Annotated[str, "Digest of the snapshot."]
    state: Annotated[str, "complete, or partial: evidence of a kind is missing."]
    incomplete: Annotated[list[str], "Kinds that were not completely read."]
    imports: Annotated[
        list[str], "Imports that are partial when judged by its time: too old or too new, undated, or not all read."
    ]
    objects: Annotated[int, "Objects kept."]
    cluster: Annotated[str, "Name of the cluster, as the capture has it."]
    cluster_uid: Annotated[str | None, "UID of the namespace kube-system."]
    version: Annotated[str | None, "Version of the API server."]
    dated_by: Annotated[str, "How the time is known."]
    tool: Annotated[str, "What read the cluster."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a frame of a period is: the class of its rows, and the columns that tell a row from others."""

    rows: type
    key: tuple[str, ...]


_BOUND = ("kind", "namespace", "name", "uid", "role_kind", "role", "subject_kind", "identity")
# The frames of a period by name, as the files of a pack are named.
LISTINGS: Mapping[str, Listing] = MappingProxyType(
    {
        "captures": Listing(rows=CaptureRow, key=("taken_at", "digest")),
        "coverage": Listing(rows=SlotRow, key=("slot",)),
        "gaps": Listing(rows=GapRow, key=("start",)),
        "controls": Listing(rows=ControlRow, key=("control",)),
        "checks": Listing(rows=CheckRow, key=("check",)),
        "deviations": Listing(rows=DeviationRow, key=("exception_id", "occurrence")),
        "changes": Listing(rows=ChangeRow, key=("seen_at", "change", "group", "kind", "namespace", "name")),
        "objects": Listing(rows=ObjectRow, key=("group", "kind", "namespace", "name", "uid", "first_seen")),
        "bindings": Listing(rows=BindingRow, key=(*_BOUND, "first_seen")),
        "grants": Listing(
            rows=GrantRow,
            key=(*_BOUND, "verbs", "api_groups", "resources", "resource_names", "paths", "first_seen"),
        ),
        "departures": Listing(
            rows=DepartureRow, key=("person", "kind", "namespace", "name", "role", "identity", "first_seen")
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """The evidence of one cluster over a period: its frames, each with the columns of LISTINGS, and the imports as read.

    `until` is the time of judging. `last` is the last snapshot with the imports beside it, None where the period was read
    from a pack or has no capture.
    """

    until: datetime
    captures: pd.DataFrame
    coverage: pd.DataFrame
    gaps: pd.DataFrame
    controls: pd.DataFrame
    checks: pd.DataFrame
    deviations: pd.DataFrame
    changes: pd.DataFrame
    objects: pd.DataFrame
    bindings: pd.DataFrame
    grants: pd.DataFrame
    departures: pd.DataFrame
    imports: Sequence[Loaded] = ()
    last: evaluate.Snapshot | None = field(default=None, repr=False)

    @property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """The frames by name, in the order of LISTINGS."""
        return {name: getattr(self, name) for name in LISTINGS}

    @property
    def cluster(self) -> str:
        return str(self.captures["cluster"].iloc[-1])

    def __repr__(self) -> str:
        first, last = (self.captures["taken_at"].iloc[n] for n in (0, -1))
        return (
            f"<Period of {self.cluster}: {len(self.captures)} captures from {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
            f"{len(self.deviations):,} deviations, {len(self.changes):,} changes>"
        )


def whole(
    pairs: Iterable[tuple[Capture, Snapshot]],
    engagement: Engagement,
    *,
    imports: Sequence[Loaded] = (),
    until: datetime,
) -> Period:
    """Everything that the captures of a period tell. `pairs` are read once, oldest first, one at a time.

    `imports` are laid beside each capture and judged by its time. Per capture it costs the tables and all checks, and a
    comparison with the one before; in memory are two snapshots, the tables of one, and a record of what is there or was.
    Captures outside the period are passed over. Raises UsageError where the engagement states no period or schedule,
    where no capture lies in it, and where captures are undated, not in order, or of two clusters.
    """
    tested = Tested(engagement)
    if engagement.period:
        slots(engagement.period)  # raises, before every capture is read for nothing
    following = _Following(engagement, imports)
    last: evaluate.Snapshot | None = None
    for capture, snapshot in _within(pairs, engagement):
        last = _beside(snapshot, imports)
        tested.step(capture, last)
        following.step(capture, snapshot, last)
    if last is None:
        period = engagement.period
        raise UsageError(
            f"no capture lies in the period {period.start if period else ''} to {period.end if period else ''}"
        )
    found = tested.frames(until=until)
    return Period(
        until=until,
        coverage=found.ledger,
        gaps=found.gaps,
        controls=found.controls,
        checks=found.checks,
        deviations=found.deviations,
        **following.frames(),
        imports=tuple(imports),
        last=last,
    )


def _within(pairs: Iterable[tuple[Capture, Snapshot]], engagement: Engagement) -> Iterable[tuple[Capture, Snapshot]]:
    period, before = engagement.period, None
    for capture, snapshot in pairs:
        if before and capture.taken_at <= before:
            raise UsageError(
                f"captures are not in order: {capture.taken_at:%Y-%m-%dT%H:%M:%SZ} after {before:%Y-%m-%dT%H:%M:%SZ}; name the oldest first"
            )
        before = capture.taken_at
        if period and period.first <= capture.taken_at < period.over:
            yield capture, snapshot


def _beside(snapshot: Snapshot, imports: Sequence[Loaded]) -> evaluate.Snapshot:
    """The snapshot with imports, and tables of its own: they go with it."""
    found = snapshot.beside(tuple(imports))
    return evaluate.Snapshot(origin=found.origin, coverage=found.coverage, objects=found.objects, imports=found.imports)


class _Following:
    """All that follows objects over captures, beside the tests."""

    def __init__(self, engagement: Engagement, imports: Sequence[Loaded]) -> None:
        rows = next((one for one in imports if one.about.source == Ticket.source), None)
        self._objects, self._departures = ObjectSpans(), Departures()
        self._bindings, self._grants = GrantSpans("bindings"), GrantSpans("grants")
        self._compared = Compared(
            tickets=None if rows is None else _tickets.frame_of(rows.records.get(Ticket, ())),
            lacking=lambda at: "" if rows is None else _lacking(rows, at),
            agreed=engagement.changes,
        )
        self._captures: list[tuple[Any, ...]] = []

    def step(self, capture: Capture, snapshot: Snapshot, beside: evaluate.Snapshot) -> None:
        self._captures.append(_capture_row(capture, beside))
        self._objects.step(capture.taken_at, snapshot)
        self._bindings.step(capture.taken_at, beside)
        self._grants.step(capture.taken_at, beside)
        self._departures.step(capture.taken_at, beside.tables)
        # Without its tables: this one is held until the next.
        self._compared.step(snapshot)

    def frames(self) -> dict[str, pd.DataFrame]:
        return {
            "captures": framed(self._captures, CaptureRow),
            "changes": self._compared.frame(),
            "objects": self._objects.frame(),
            "bindings": self._bindings.frame(),
            "grants": self._grants.frame(),
            "departures": self._departures.frame(),
        }


def _capture_row(capture: Capture, snapshot: Snapshot) -> tuple[Any, ...]:
    origin = snapshot.origin
    return (
        capture.taken_at,
        capture.added_at,
        capture.digest,
        "partial" if capture.incomplete else "complete",
        list(capture.incomplete),
        [one.about.source for one in snapshot.imports if one.about.state != "collected"],
        sum(len(snapshot.objects[kind]) for kind in snapshot.objects),
        origin.cluster,
        origin.cluster_uid or None,
        origin.version or None,
        origin.dated_by,
        origin.tool,
    )


def _lacking(tickets: Loaded, at: datetime | None) -> str:
    """Why a change up to this time may have a ticket that the import has not; one made later than the change has all."""
    about = tickets.about
    if about.made_at is None:
        return "the tickets are undated"
    early = at is not None and about.made_at.date() < at.date()
    made = f"the tickets were made on {about.made_at:%Y-%m-%d}, before this capture" if early else ""
    return "; ".join(filter(None, [about.note, made]))
