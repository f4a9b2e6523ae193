"""Takes the captures before a day out of a store: asked for, allowed, and written down."""

import errno
import json
import os
import pwd
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from auditkit.capture import tool
from auditkit.engagement import Retention
from auditkit.errors import UsageError
from auditkit.store.adding import settle
from auditkit.store.history import WHOLE, Capture, History
from auditkit.store.publish import locked

HOLD, LOG = "LEGAL-HOLD", "purge-log.jsonl"
_GONE = ".purged"


@dataclass(frozen=True, kw_only=True, slots=True)
class Purge:
    """What a purge takes out of one cluster's history, and which captures are stored whole first as they rest on it."""

    history: History
    before: date
    gone: tuple[Capture, ...]
    whole: tuple[Capture, ...]

    def __str__(self) -> str:
        return "\n".join(
            [
                f"{self.history.cluster}: {len(self.gone)} of {len(self.history)} captures are from before {self.before}",
                *(f"  {c.name}  {c.digest}  {c.retention_class}".rstrip() for c in self.gone),
                *(f"  {c.name} rests on them, and is stored whole first" for c in self.whole),
            ]
        )


def plan(history: History, before: date, retention: Retention | None = None) -> Purge:
    """What would go: the captures taken before the start of that day, UTC. Nothing is written.

    Under `retention`, else under what the newest capture was stored with, and a file LEGAL-HOLD in the store or the
    cluster's folder. Raises UsageError where one of them forbids it.
    """
    gone = tuple(c for c in history.captures if c.taken_at < datetime.combine(before, time(), UTC))
    if gone:
        _refuse_held(history, before, retention)
    names = {capture.name for capture in gone}
    rest = (c for c in history.captures if c.name not in names and c.after in names)
    return Purge(history=history, before=before, gone=gone, whole=tuple(c for c in rest if not history.whole(c.name)))


def purge(history: History, before: date, retention: Retention | None = None) -> Purge:
    """Take them out, after what later captures rest on was stored with these, and say so in purge-log.jsonl.

    The log has who (user of the operating system), when, what; it is written first. Raises as `plan` does, UsageError
    where a capture that stays is damaged: then nothing goes; RetryLater where another run writes there. tables/ is to be
    brought up to it afterwards: `tables.refresh`.
    """
    home = history.path.resolve()
    with locked(home):
        for left in (home / "snapshots").glob(f"*{_GONE}"):
            shutil.rmtree(left)
        planned = plan(History(home), before, retention)
        for capture in planned.whole:
            _make_whole(planned.history, capture)
        if planned.gone:
            _write_down(home / LOG, json.dumps(_entry(planned)))
        # The newest first: what is left when it is cut off rests on nothing that is gone.
        for capture in reversed(planned.gone):
            place = planned.history.place(capture.name)
            # Renamed first: half a capture must not read as one.
            shutil.rmtree(place.rename(place.with_name(f"{capture.name}{_GONE}")))
    return planned


def _refuse_held(history: History, before: date, retention: Retention | None) -> None:
    for place in (history.path / HOLD, history.path.parent / HOLD):
        if place.exists():
            raise UsageError(
                f"{place}: under legal hold, nothing is purged; whoever placed the hold takes the file away"
            )
    newest = history.captures[-1]
    held, days = (retention.legal_hold, retention.keep_days) if retention else (newest.legal_hold, newest.keep_days)
    said = "auditkit.toml says" if retention else f"the capture {newest.name} was stored with"
    if held:
        raise UsageError(f"{history.path}: {said} retention.legal_hold = true; nothing is purged before it is lifted")
    youngest = datetime.now(UTC).date() - timedelta(days=days or 0)
    if days and before > youngest:
        raise UsageError(
            f"{history.path}: {said} retention.keep_days = {days}; --before {youngest} is the latest that it allows"
        )


def _make_whole(history: History, capture: Capture) -> None:
    """Store a capture whole beside its changes, at once; what was written before stays as it is."""
    place = history.place(capture.name)
    draft = place / f"{WHOLE}.incomplete"
    shutil.rmtree(draft, ignore_errors=True)
    for name, lines in history.checked(capture.name).items():
        packed = name.endswith(".jsonl")
        path = draft / (f"{name}.zst" if packed else name)
        path.parent.mkdir(parents=True, exist_ok=True)
        content = b"\n".join(lines)
        path.write_bytes(pa.compress(content, codec="zstd", asbytes=True) if packed else content)
    settle(draft)
    draft.rename(place / WHOLE)


def _write_down(log: Path, entry: str) -> None:
    """Append a line, on the disk before anything is deleted; a full disk leaves no half of it."""
    line = f"{entry}\n".encode()
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        before = os.fstat(out).st_size
        if os.write(out, line) < len(line):
            os.ftruncate(out, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(log))
        os.fsync(out)
    finally:
        os.close(out)


def _entry(planned: Purge) -> Mapping[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "by": _user(),
        "tool": tool(),
        "cluster": planned.history.cluster,
        "before": planned.before.isoformat(),
        "purged": [_said(planned.history, capture) for capture in planned.gone],
        "stored_whole": [capture.name for capture in planned.whole],
    }


def _user() -> str:
    """Who runs this, by the operating system and not by what the environment says."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


def _said(history: History, capture: Capture) -> Mapping[str, Any]:
    return {
        "capture": capture.name,
        "digest": capture.digest,
        "content": capture.content,
        "retention_class": capture.retention_class,
    }
