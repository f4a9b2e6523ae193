"""The audit log of an API server: read once, line by line, and reduced while it passes.

What an event weighs is forgotten with its line; what stays grows with days, users and objects touched, not with lines.
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO

import msgspec

from auditkit.capture.imports.audit_events import Activity, Event, Hour, LogFile, Scope, Use
from auditkit.capture.imports.audit_reduce import Reduction
from auditkit.capture.imports.base import NAMED, Document, reader
from auditkit.errors import UsageError
from auditkit.kinds import UNREADABLE, Malformed

# Bytes of lines that are read at a time; one of the first must be an event.
BATCH = 1 << 18
_HOUR = timedelta(hours=1)
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@reader(Activity, Use, Hour, LogFile, Scope, of_cluster=True)
def read(paths: Sequence[Path]) -> Document:
    """Audit log of the API server: one event of audit.k8s.io/v1 a line, plain or gzip, any number of files in any order."""
    heads = [(_head(path), path) for path in paths]
    _refuse_twice(heads)
    reduction, log = Reduction(), _Log()
    # In order of time, so that a request that began in one file is found when it ends in the next.
    for _, path in sorted(heads, key=lambda head: head[0].stage_timestamp if head[0] else _NEVER):
        log.read(path, reduction)
    reduction.finish()
    if not log.hours:
        raise UsageError(f"{paths[0]}: holds no event; supply the log with what was rotated out of it")
    return Document(
        records={
            Activity: reduction.activities(),
            Use: list(reduction.uses()),
            Hour: [Hour(hour=hour, lines=lines) for hour, lines in sorted(log.hours.items())],
            LogFile: log.files,
            Scope: reduction.scopes(),
        },
        rows=sum(file.lines for file in log.files),
        format="audit.k8s.io/v1 JSON lines",
        made_at=max(file.last for file in log.files if file.last),
        covers=(min(file.first for file in log.files if file.first), max(file.last for file in log.files if file.last)),
        malformed=log.faults,
        malformed_count=sum(file.malformed for file in log.files),
        nothing_until=lambda at: Hour(hour=_whole(at), lines=0),
        note="; ".join(reduction.notes()),
    )


def _whole(at: datetime) -> datetime:
    """The first whole hour not before a time, UTC."""
    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return hour if hour == at else hour + _HOUR


class _Log:
    """What is known of the lines themselves: hours, files, faults."""

    def __init__(self) -> None:
        self.hours: dict[datetime, int] = {}
        self.files: list[LogFile] = []
        self.faults: list[Malformed] = []

    def read(self, path: Path, reduction: Reduction) -> None:
        """Read one file. Events are in order of time but for moments: an hour of them is counted when another begins."""
        decode, add = msgspec.json.Decoder(Event).decode, reduction.add
        file = LogFile(name=path.name)
        self.files.append(file)
        hour = end = at = _EVER
        events = 0
        for first, lines in _batches(path):
            for number, line in enumerate(lines, first):
                try:
                    event = decode(line)
                except UNREADABLE as error:
                    self._fault(file, number, line, error)
                    continue
                if not hour <= event.stage_timestamp < end:
                    if not 1970 <= event.stage_timestamp.year < 9999:
                        self._fault(file, number, line, ValueError("stageTimestamp is no time of a request"))
                        continue
                    self._passed(file, hour, at, events)
                    at = event.stage_timestamp
                    hour = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
                    end, events = hour + _HOUR, 0
                    file.first = min(file.first or at, at)
                    file.returns += file.last is not None and at < file.last
                at = event.stage_timestamp
                events += 1
                add(event)
            file.lines += len(lines)
        self._passed(file, hour, at, events)

    def _passed(self, file: LogFile, hour: datetime, last: datetime, events: int) -> None:
        if events:
            self.hours[hour] = self.hours.get(hour, 0) + events
            file.last = max(file.last or last, last)

    def _fault(self, file: LogFile, number: int, line: bytes, error: Exception) -> None:
        file.malformed += 1
        if not line.strip():
            said = "empty"
        elif not line.endswith(b"\n"):
            said = "cut off: the last line of a log that is still written, or of a copy that broke off"
        else:
            said = str(error)
        if len(self.faults) < NAMED:
            self.faults.append(Malformed(name=f"{file.name}:{number}", fault=said))


def _batches(path: Path) -> Iterator[tuple[int, list[bytes]]]:
    """Lines of a plain or gzip file, some at a time with the number of their first; UsageError where the gzip ends before its end."""
    number = 1
    try:
        with _opened(path) as stream:
            while lines := stream.readlines(BATCH):
                yield number, lines
                number += len(lines)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise UsageError(
            f"{path}:{number}: the gzip file is cut off or damaged after this line; copy it again, or supply `zcat` of what is whole"
        ) from None


def _opened(path: Path) -> BinaryIO | gzip.GzipFile:
    with path.open("rb") as stream:
        packed = stream.read(2) == b"\x1f\x8b"
    return gzip.open(path) if packed else path.open("rb")


def _head(path: Path) -> Event | None:
    """The first event of a file, None of an empty one; UsageError where it is no audit log."""
    first = ""
    for number, line in enumerate(next(_batches(path), (1, []))[1], 1):
        try:
            return msgspec.json.decode(line, type=Event)
        except UNREADABLE as error:
            first = first or f"{path}:{number}: not an event of an audit log ({error}); {_way_out(line)}"
    if first:
        raise UsageError(first)
    return None


def _way_out(line: bytes) -> str:
    text = line.lstrip()
    if text.startswith(b"["):
        return "a JSON array: make lines of it, `jq -c '.[]'`"
    if b'"EventList"' in text:
        return "an EventList, as webhooks get it: make lines of it, `jq -c '.items[]'`"
    if b'"auditID"' in text and text.startswith(b"{"):
        return "wrapped by a log collector, or of another version: take out the audit.k8s.io/v1 events, one a line"
    return "supply the file of --audit-log-path, one JSON event of audit.k8s.io/v1 a line"


def _refuse_twice(heads: Sequence[tuple[Event | None, Path]]) -> None:
    """UsageError where two files begin with the same event: one log, copied twice, would be counted twice."""
    seen: dict[tuple[str, str], Path] = {}
    for event, path in heads:
        if event is None:
            continue
        other = seen.setdefault((event.audit_id, event.stage), path)
        if other is not path:
            raise UsageError(f"{path}: begins with the same event as {other.name}; supply each log once")
