"""Puts a snapshot into the history of its cluster: whole now and then, else what changed since the capture before."""

import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pyarrow as pa

from auditkit.capture import snapshot as snapshots
from auditkit.capture.snapshot import Snapshot
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.resources import folder
from auditkit.seal import leaks
from auditkit.store import delta
from auditkit.store.history import CHANGES, RECORD, WHOLE, Capture, History, content, named, written
from auditkit.store.publish import discard, locked, place, publishing

# A whole one twice in a year of daily captures: a second whole one a year is what the store may cost beside the changes.
WHOLE_AFTER = timedelta(days=200)
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Added:
    """A capture in the store; `new` is False where it was there already and nothing was written."""

    history: History
    capture: Capture
    new: bool
    note: str = ""

    @property
    def place(self) -> Path:
        return self.history.place(self.capture.name)


def add(store: Path, snapshot: Snapshot, engagement: Engagement) -> Added:
    """Store a snapshot as STORE/CLUSTER/snapshots/TIME; the same one again is left as it is.

    CLUSTER is the engagement's `cluster`, else the name in the snapshot. Raises UsageError where the snapshot is undated,
    the name is another cluster's or no name of a folder, or another snapshot of that time is stored; RetryLater where
    another run writes to this cluster's folder; LeakError where a kept object holds a secret.
    """
    home = place(store) / _cluster(snapshot, engagement)
    taken_at = snapshot.origin.taken_at
    if taken_at is None:
        raise UsageError("the snapshot is undated, and a store is in order of time; say when it was taken: --taken-at")
    with locked(home):
        (home / "snapshots").mkdir(parents=True, exist_ok=True)
        for draft in (home / "snapshots").glob("*.incomplete"):
            discard(draft)
        readme = store / "README.md"
        if not readme.exists():
            readme.write_text((folder("templates") / "STORE.md").read_text(encoding="utf-8"), encoding="utf-8")
        history = History(home)
        _refuse_other(history, snapshot)
        name = named(taken_at)
        if not history.place(name).exists():
            capture, note = _write(history, name, snapshot, taken_at, engagement)
            return Added(history=History(home), capture=capture, new=True, note=note)
        stored = history[name]
        if stored.digest != snapshot.digest or stored.incomplete != _incomplete(snapshot):
            raise UsageError(
                f"{history.place(name)}: another snapshot of that time is stored ({stored.state}, digest {stored.digest[:16]}, "
                f"this is {snapshot.digest[:16]}); a capture is never overwritten"
            )
    return Added(history=history, capture=stored, new=False)


def _incomplete(snapshot: Snapshot) -> tuple[str, ...]:
    """The kinds of which evidence is missing; documents of others that lie beside a snapshot are not stored with it."""
    return tuple(c.resource for c in snapshot.coverage if c.state in snapshots.INCOMPLETE)


def _cluster(snapshot: Snapshot, engagement: Engagement) -> str:
    name = engagement.cluster or snapshot.origin.cluster
    if not _CLUSTER.fullmatch(name):
        raise UsageError(
            f'{name!r}: no name for a folder; give the cluster one of letters, digits and ._- in auditkit.toml: cluster = "prod"'
        )
    return name


def _refuse_other(history: History, snapshot: Snapshot) -> None:
    """Raises UsageError where the captures are of another cluster, as far as both say which."""
    known = next((c.cluster_uid for c in reversed(history.sound()) if c.cluster_uid), "")
    uid = snapshot.origin.cluster_uid
    if known and uid and uid != known:
        raise UsageError(
            f"{history.path}: holds the cluster with UID {known}, and this is {uid}; "
            "name it otherwise in auditkit.toml (`cluster`), or choose another store"
        )


def _write(
    history: History, name: str, snapshot: Snapshot, taken_at: datetime, engagement: Engagement
) -> tuple[Capture, str]:
    """Publish the capture; returns it, and what the user should know of how it was stored."""
    before = max((c.name for c in history.sound() if c.name < name), default="")
    incomplete = _incomplete(snapshot)
    with publishing(history.place(name)) as draft:
        snapshots.save(snapshot, draft / WHOLE)
        leaks.refuse(draft)
        files = snapshots.parts(draft / WHOLE)
        note = ""
        try:
            after = before if before and _changes(history, before, taken_at, files, draft) else ""
        except UsageError as error:  # today's evidence does not wait for yesterday's to be mended
            after, note = "", f"stored whole, as the capture before it cannot be read: {error}"
        record = Capture(
            name=name,
            taken_at=taken_at,
            digest=snapshot.digest,
            state="partial" if incomplete else "complete",
            incomplete=incomplete,
            added_at=datetime.now(UTC).replace(microsecond=0),
            tool=snapshot.origin.tool,
            cluster_uid=snapshot.origin.cluster_uid,
            after=after,
            sha256="",
            content=content({name: sha256(file).hexdigest() for name, file in files.items()}),
            retention_class=engagement.retention.name,
            keep_days=engagement.retention.keep_days,
            legal_hold=engagement.retention.legal_hold,
        )
        (draft / RECORD).write_bytes(written(record))
        settle(draft)
    return record, note


def _changes(history: History, before: str, taken_at: datetime, files: Mapping[str, bytes], draft: Path) -> bool:
    """Whether the changes since `before` were written in place of the whole: not where that is old, or not larger."""
    if taken_at - history.rests_on(before)[0].taken_at > WHOLE_AFTER:
        return False
    changes = delta.between(history.checked(before), delta.split(files))
    (draft / CHANGES).write_bytes(pa.Codec("zstd", compression_level=9).compress(changes, asbytes=True))
    whole = sum(path.stat().st_size for path in (draft / WHOLE).rglob("*") if path.is_file())
    if (draft / CHANGES).stat().st_size > whole / 2:
        (draft / CHANGES).unlink()
        return False
    shutil.rmtree(draft / WHOLE)
    return True


def settle(draft: Path) -> None:
    """Have a folder's files on the disk before its name says that they are there."""
    for path in (*draft.rglob("*"), draft):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
