"""The evidence of a period: every frame of it, computed in one pass over the captures of each cluster."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import Annotated, Any, Literal

import pandas as pd

from auditkit import evaluate
from auditkit.capture.imports import Loaded, of_clusters
from auditkit.capture.imports.tickets import Ticket
from auditkit.capture.snapshot import Snapshot
from auditkit.declare import Column, columns_of
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.period import tickets as _tickets
from auditkit.period.changes import ChangeRow, Compared
from auditkit.period.coverage import GapRow, SlotRow, slots
from auditkit.period.departures import DepartureRow, Departures
from auditkit.period.effectiveness import CheckRow, ControlRow, DeviationRow, Tested
from auditkit.period.frames import Capture, framed
from auditkit.period.intervals import BindingRow, GrantRow, GrantSpans, ObjectRow, ObjectSpans, Pairs


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
    cluster_uid: Annotated[str | None, "UID of the namespace kube-system."]
    version: Annotated[str | None, "Version of the API server."]
    dated_by: Annotated[str, "How the time is known."]
    tool: Annotated[str, "What read the cluster."]


class _OfCluster:
    cluster: Annotated[str, "Name of the cluster, in a store that of its folder."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Listing:
    """What a frame of a period is: the class of its rows within a cluster, and the columns that tell a row from others."""

    rows: type
    key: tuple[str, ...]

    @property
    def columns(self) -> tuple[Column, ...]:
        """The cluster, and the columns of the rows."""
        return (*columns_of(_OfCluster), *columns_of(self.rows))


_BOUND = ("cluster", "kind", "namespace", "name", "uid", "role_kind", "role", "subject_kind", "identity")
# The frames of a period by name, as the files of a pack are named.
LISTINGS: Mapping[str, Listing] = MappingProxyType(
    {
        "captures": Listing(rows=CaptureRow, key=("cluster", "taken_at", "digest")),
        "coverage": Listing(rows=SlotRow, key=("cluster", "slot")),
        "gaps": Listing(rows=GapRow, key=("cluster", "start")),
        "controls": Listing(rows=ControlRow, key=("cluster", "control")),
        "checks": Listing(rows=CheckRow, key=("cluster", "check")),
        "deviations": Listing(rows=DeviationRow, key=("cluster", "exception_id", "occurrence")),
        "changes": Listing(rows=ChangeRow, key=("cluster", "seen_at", "change", "group", "kind", "namespace", "name")),
        "objects": Listing(rows=ObjectRow, key=("cluster", "group", "kind", "namespace", "name", "uid", "first_seen")),
        "bindings": Listing(rows=BindingRow, key=(*_BOUND, "first_seen")),
        "grants": Listing(
            rows=GrantRow,
            key=(*_BOUND, "verbs", "api_groups", "resources", "resource_names", "paths", "first_seen"),
        ),
        "departures": Listing(
            rows=DepartureRow,
            key=("cluster", "person", "kind", "namespace", "name", "role", "identity", "first_seen"),
        ),
    }
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Period:
    """The evidence of clusters over a period: frames with the columns of LISTINGS, by cluster, and the imports as read.

    `until` is the time of judging. `lasts` are the last snapshots of clusters that have a capture, without objects and with
    the imports beside; empty where the period was read from a pack.
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
    lasts: Mapping[str, evaluate.Snapshot] = field(default_factory=dict, repr=False)

    @property
    def frames(self) -> Mapping[str, pd.DataFrame]:
        """The frames by name, in the order of LISTINGS."""
        return {name: getattr(self, name) for name in LISTINGS}

    @property
    def clusters(self) -> tuple[str, ...]:
        """The names of the clusters, also of one without a capture: its slots are missed."""
        return tuple(sorted(set(self.checks["cluster"])))

    def with_cluster(self, *columns: str) -> list[str]:
        """These columns, after that of the cluster where there are several."""
        return ["cluster", *columns] if len(self.clusters) > 1 else [*columns]

    def start(self, frame: pd.DataFrame) -> pd.Series:
        """For each row of a frame the first capture of its cluster."""
        return self._of_cluster(frame, "min")

    def end(self, frame: pd.DataFrame) -> pd.Series:
        """For each row of a frame the last capture of its cluster."""
        return self._of_cluster(frame, "max")

    def _of_cluster(self, frame: pd.DataFrame, which: Literal["min", "max"]) -> pd.Series:
        taken = self.captures.groupby("cluster")["taken_at"].agg(which)
        return frame["cluster"].map(taken).astype(taken.dtype)

    def __repr__(self) -> str:
        first, last = self.captures["taken_at"].min(), self.captures["taken_at"].max()
        return (
            f"<Period of {', '.join(self.clusters)}: {len(self.captures)} captures from {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
            f"{len(self.deviations):,} deviations, {len(self.changes):,} changes>"
        )


def whole(
    clusters: Mapping[str, Pairs],
    engagement: Engagement,
    *,
    imports: Sequence[Loaded] = (),
    until: datetime,
) -> Period:
    """Everything that the captures of a period tell. `clusters` gives by name those of each, oldest first, read once.

    `imports` are laid beside each capture and judged by its time; of_clusters says of which cluster. Per capture it costs
    the tables and all checks, and a comparison with the one before; in memory are two snapshots, the tables of one, and of
    one cluster a record of what is there or was. Captures outside the period are passed over; of a cluster without any every slot
    is missed. Raises UsageError where the engagement states no period or schedule, where no cluster has a capture in it, where
    captures of a cluster are undated, not in order, or of two, and where it is not known of which an import is.
    """
    if engagement.period:
        slots(engagement.period)  # raises, before every capture is read for nothing
    beside = of_clusters(imports, sorted(clusters))
    found: dict[str, Mapping[str, pd.DataFrame]] = {}
    lasts: dict[str, evaluate.Snapshot] = {}
    for name in sorted(clusters):
        found[name], last = _followed(clusters[name], engagement, beside[name], until)
        lasts |= {name: last} if last else {}
    if not lasts:
        period = engagement.period
        raise UsageError(
            f"no capture lies in the period {period.start if period else ''} to {period.end if period else ''}"
        )
    frames = {listing: _joined({name: frames[listing] for name, frames in found.items()}) for listing in LISTINGS}
    return Period(until=until, imports=tuple(imports), lasts=lasts, **frames)


def _followed(
    pairs: Pairs, engagement: Engagement, imports: Sequence[Loaded], until: datetime
) -> tuple[Mapping[str, pd.DataFrame], evaluate.Snapshot | None]:
    """The frames of one cluster, without its name, and its last snapshot as in Period."""
    tested, following = Tested(engagement), _Following(engagement, imports)
    last: evaluate.Snapshot | None = None
    for capture, snapshot in _within(pairs, engagement):
        last = _beside(snapshot, imports)
        tested.step(capture, last)
        following.step(capture, snapshot, last)
    if last:
        last = evaluate.Snapshot(origin=last.origin, coverage=last.coverage, objects={}, imports=last.imports)
    found = tested.frames(until=until)
    frames = {
        "coverage": found.ledger,
        "gaps": found.gaps,
        "controls": found.controls,
        "checks": found.checks,
        "deviations": found.deviations,
        **following.frames(),
    }
    return frames, last


def _joined(frames: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The frames of clusters as one, in the order given, with the cluster's name as first column."""
    for name, frame in frames.items():
        frame.insert(0, "cluster", pd.Series(name, frame.index, "string"))
    one, *others = frames.values()
    return pd.concat([one, *others], ignore_index=True) if others else one


def _within(pairs: Pairs, engagement: Engagement) -> Pairs:
    period, before, uid = engagement.period, None, ""
    for capture, snapshot in pairs:
        if uid and snapshot.origin.cluster_uid not in ("", uid):
            raise UsageError(
                f"{snapshot.origin.cluster} at {capture.taken_at:%Y-%m-%dT%H:%M:%SZ} is another cluster than before "
                f"(UIDs of kube-system: {uid}, {snapshot.origin.cluster_uid})"
            )
        uid = uid or snapshot.origin.cluster_uid
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
