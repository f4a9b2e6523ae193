"""The snapshots of one cluster over time: what was captured when, each as it was, and all of a period in order."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec
import pyarrow as pa

from auditkit.capture import snapshot as snapshots
from auditkit.display import shown
from auditkit.errors import RetryLater, UsageError, instead
from auditkit.evaluate import Snapshot
from auditkit.kinds import UNREADABLE
from auditkit.memory import collection_paused
from auditkit.store import delta

RECORD, WHOLE, CHANGES = "capture.json", "whole", "changes.zst"
_NAME = re.compile(r"\d{8}T\d{6}Z")


class Capture(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """One stored snapshot, as its capture.json says.

    `name` is `taken_at` to the second. `state` is "partial" where evidence of a kind is missing, `incomplete` names
    those kinds. `added_at` is when it was stored, by the clock of the machine that did: a late one shows. `tool` captured
    it. `after` is the capture that its changes rest on, "" where it was stored whole; `content` is the sha256 of its
    files, see `content`. The last three are the retention of the engagement when it was stored. `sha256` is that of
    this document with `sha256` empty, so that a change of it shows in it.
    """

    name: str
    taken_at: datetime
    digest: str
    state: Literal["complete", "partial"]
    incomplete: tuple[str, ...] = ()
    added_at: datetime
    tool: str
    cluster_uid: str = ""
    after: str = ""
    content: str
    sha256: str
    retention_class: str = ""
    keep_days: int | None = None
    legal_hold: bool = False


def _purged(place: Path) -> RetryLater:
    return RetryLater(f"{place}: was purged while the store was read; try again")


def written(capture: Capture) -> bytes:
    """A capture.json, with its own hash."""
    whole = hashlib.sha256(_encoded(msgspec.structs.replace(capture, sha256=""))).hexdigest()
    return _encoded(msgspec.structs.replace(capture, sha256=whole))


def _encoded(capture: Capture) -> bytes:
    return msgspec.json.format(msgspec.json.encode(capture, order="sorted"), indent=1) + b"\n"


def named(taken_at: datetime) -> str:
    """The name of a capture: 20261031T060000Z."""
    return f"{taken_at.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def moment(name: str) -> datetime:
    """The time that a capture's name says."""
    return datetime.strptime(name, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def histories(store: Path) -> list["History"]:
    """The histories of a store, one a cluster, by name; UsageError where it holds none."""
    found = sorted(path.parent for path in store.glob("*/snapshots") if path.is_dir())
    if not found:
        raise UsageError(f"{store}: no store of snapshots; `auditkit capture --store {store}` makes one")
    return [History(path) for path in found]


class History:
    """The captures in one cluster's folder of a store, as they were when first looked at."""

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)

    @property
    def cluster(self) -> str:
        """The name under which the cluster is stored."""
        return self.path.name

    @cached_property
    def captures(self) -> tuple[Capture, ...]:
        """In order of `taken_at`; raises UsageError where the record of one is missing or damaged."""
        return tuple(self._record(path) for path in self._folders())

    def sound(self) -> tuple[Capture, ...]:
        """Those whose record can be read: what is stored today does not wait for others to be mended."""
        found = []
        for path in self._folders():
            with suppress(UsageError):
                found.append(self._record(path))
        return tuple(found)

    def _folders(self) -> list[Path]:
        folder = self.path / "snapshots"
        if not folder.is_dir():
            raise UsageError(f"{self.path}: holds no snapshots/ of a cluster; name a folder STORE/CLUSTER")
        return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))

    def load(self, name: str) -> Snapshot:
        """The snapshot of one capture, checked; raises UsageError where it is not there or a part is damaged."""
        return _Reader().snapshot(self, self[name], self.files(name))

    def between(self, start: datetime | None = None, end: datetime | None = None) -> Iterator[tuple[Capture, Snapshot]]:
        """Each capture with start <= taken_at <= end and its snapshot, in order; None is open.

        One set of changes is applied after the other: memory holds one snapshot, and the objects that did not change
        are the same Structs in the next. Raises as `load` does, when it gets there.
        """
        captures = [
            c for c in self.captures if (start is None or c.taken_at >= start) and (end is None or c.taken_at <= end)
        ]
        needed = Counter(capture.after for capture in captures)
        states: dict[str, delta.Files] = {}
        reader = _Reader()
        for capture in captures:
            files = self._next(capture, states.get(capture.after))
            needed[capture.after] -= 1
            if not needed[capture.after]:
                states.pop(capture.after, None)
            if needed[capture.name]:
                states[capture.name] = files
            yield capture, reader.snapshot(self, capture, files)

    def __getitem__(self, name: str) -> Capture:
        found = self._by_name.get(name)
        if found is None:
            raise UsageError(f"{self.path}: no capture {name}; {instead(name, self._by_name, '`auditkit store list`')}")
        return found

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __len__(self) -> int:
        return len(self.captures)

    def __repr__(self) -> str:
        span = f" from {self.captures[0].name} to {self.captures[-1].name}" if self.captures else ""
        return f"<History of {self.cluster}: {len(self)} captures{span}>"

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = [(c.name, c.state, ", ".join(c.incomplete), c.tool) for c in reversed(self.captures)]
        frame = pd.DataFrame(rows, columns=["capture", "state", "incomplete", "tool"])
        return shown(repr(self).strip("<>"), frame=frame, whole="history.captures")

    def place(self, name: str) -> Path:
        """The folder of a capture."""
        return self.path / "snapshots" / name

    def whole(self, name: str) -> bool:
        """Whether a capture rests on no other."""
        return (self.place(name) / WHOLE).is_dir()

    def rests_on(self, name: str) -> list[Capture]:
        """The captures that this one is made of: a whole one first, itself last."""
        chain = [self[name]]
        while not self.whole(chain[-1].name):
            after, place = chain[-1].after, self.place(chain[-1].name)
            if not place.exists():
                raise _purged(place)
            if after not in self:
                raise UsageError(f"{place}: rests on {after or WHOLE}, which is missing; copy it again from a backup")
            chain.append(self[after])
        return chain[::-1]

    def files(self, name: str) -> delta.Files:
        """The files of a capture's saved snapshot as lines, not yet checked."""
        files: delta.Files = {}
        for capture in self.rests_on(name):
            files = self._next(capture, files)
        return files

    def checked(self, name: str) -> delta.Files:
        """The files of a capture; UsageError where they are not those that were stored."""
        files = self.files(name)
        _Reader().parts(self, self[name], files)
        return files

    def _next(self, capture: Capture, before: delta.Files | None) -> delta.Files:
        """The files of a capture, from those of the one that it rests on where they are at hand."""
        try:
            return self._made(capture, before)
        except (UsageError, FileNotFoundError):
            if self.place(capture.name).exists():
                raise
            raise _purged(self.place(capture.name)) from None

    def _made(self, capture: Capture, before: delta.Files | None) -> delta.Files:
        place = self.place(capture.name)
        if self.whole(capture.name):
            return delta.split(snapshots.parts(place / WHOLE))
        if before is None:
            return self.files(capture.name)
        try:
            with pa.CompressedInputStream(str(place / CHANGES), "zstd") as stream:
                return delta.applied(before, bytes(stream.read()))
        except FileNotFoundError:
            raise UsageError(f"{place}: {CHANGES} is missing; copy it again from a backup") from None
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"{place / CHANGES}: damaged ({error}); copy it again from a backup") from None

    @cached_property
    def _by_name(self) -> Mapping[str, Capture]:
        return {capture.name: capture for capture in self.captures}

    def _record(self, folder: Path) -> Capture:
        try:
            raw = (folder / RECORD).read_bytes()
            capture = msgspec.json.decode(raw, type=Capture)
        except FileNotFoundError:
            if not folder.exists():
                raise _purged(folder) from None
            raise UsageError(f"{folder}: {RECORD} is missing; copy the capture again from a backup") from None
        except UNREADABLE as error:
            raise UsageError(f"{folder / RECORD}: damaged ({error}); copy the capture again from a backup") from None
        if raw != written(capture):
            raise UsageError(f"{folder / RECORD}: changed since it was written; copy the capture again from a backup")
        if capture.name != folder.name or named(capture.taken_at) != folder.name:
            raise UsageError(f"{folder}: holds the capture {capture.name}; a capture's folder has its own name")
        return capture


def content(hashes: Mapping[str, str]) -> str:
    """sha256 over the files of a saved snapshot by name: one line `NAME SHA256` each, sorted."""
    return hashlib.sha256("".join(f"{name} {hashes[name]}\n" for name in sorted(hashes)).encode()).hexdigest()


class _Reader:
    """Makes snapshots of files; what did not change since the one before is neither joined, hashed nor decoded again."""

    def __init__(self) -> None:
        self._joined: dict[str, tuple[delta.Lines, bytes, str]] = {}
        self._objects: dict[type[Any], tuple[bytes, list[Any]]] = {}

    def snapshot(self, history: History, capture: Capture, files: delta.Files) -> Snapshot:
        parts, place = self.parts(history, capture, files), history.place(capture.name)
        snapshot = Snapshot.of(snapshots.of_parts(parts, place, self._decode))
        origin, incomplete = snapshot.origin, snapshots.incomplete(parts, place)
        if (origin.taken_at, origin.cluster_uid, origin.tool, incomplete) != (
            capture.taken_at,
            capture.cluster_uid,
            capture.tool,
            capture.incomplete,
        ):
            raise UsageError(
                f"{place / RECORD}: is not of the snapshot beside it; copy the capture again from a backup"
            )
        return snapshot

    def parts(self, history: History, capture: Capture, files: delta.Files) -> Mapping[str, bytes]:
        self._joined = {name: self._join(name, lines) for name, lines in files.items()}
        if content({name: sha256 for name, (_, _, sha256) in self._joined.items()}) != capture.content:
            place = history.place(capture.name)
            raise UsageError(f"{place}: damaged, it does not give what was stored; copy it again from a backup")
        return {name: joined for name, (_, joined, _) in self._joined.items()}

    def _join(self, name: str, lines: delta.Lines) -> tuple[delta.Lines, bytes, str]:
        before = self._joined.get(name)
        if before and before[0] is lines:
            return before
        joined = b"\n".join(lines)
        return lines, joined, hashlib.sha256(joined).hexdigest()

    def _decode(self, kind: type[Any], lines: bytes) -> list[Any]:
        before = self._objects.get(kind)
        if before and before[0] is lines:
            return before[1]
        known = dict(zip(before[0].splitlines(), before[1], strict=True)) if before else {}
        decoder = msgspec.json.Decoder(kind)
        with collection_paused():
            objects = [known.get(line) or decoder.decode(line) for line in lines.splitlines()]
        self._objects[kind] = (lines, objects)
        return objects
