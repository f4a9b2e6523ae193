"""What every import shares: how a document that others made is read once into records, and what is said of it."""

import hashlib
import inspect
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import msgspec

from auditkit.capture.snapshot import Coverage, Origin, State
from auditkit.errors import AuditkitError, UsageError
from auditkit.kinds import Malformed, Record, fields_of
from auditkit.memory import collection_paused

Read = Callable[..., "Document"]

# An export that is this many days older or younger than the snapshot says little about it.
MAX_AGE_DAYS = 31
# Records that could not be read and are named; the others are counted.
NAMED = 100


class File(msgspec.Struct, kw_only=True, frozen=True):
    """One file of an import: its name, size in bytes and sha256, by which whoever holds it can check it."""

    name: str
    size: int
    sha256: str


class Import(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """What an auditor asks of information that others produced: source, files, tool, date, counts, and what is missing.

    `state` is collected, partial (records that could not be read, too old, undated) or not supplied. `made_at` is the
    document's own date, or the one that `dated_by` names; `rows` were in the files, of them `malformed` were not read (the
    first are named, `malformed_count` are all). `cluster` is the one that the document names, `same_cluster` what the user says that
    it calls the cluster of the snapshot; `covers` is from when to when the records of a document of what happened are, and
    `period` the engagement's; `fields` are a hash of the fields kept of each record, `kept` their counts.
    """

    source: str
    state: State
    files: tuple[File, ...] = ()
    format: str = ""
    tool: str = ""
    by: str = ""
    made_at: datetime | None = None
    dated_by: str = ""
    cluster: str = ""
    same_cluster: str = ""
    max_age_days: int = MAX_AGE_DAYS
    rows: int = 0
    malformed: tuple[Malformed, ...] = ()
    malformed_count: int = 0
    covers: tuple[datetime, datetime] | None = None
    period: tuple[date, date] | None = None
    note: str = ""
    fields: dict[str, str] = {}
    kept: dict[str, int] = {}

    @property
    def coverage(self) -> Coverage:
        """The same as coverage of a kind, so that a test which rests on it can say what it lacks."""
        return Coverage(
            resource=f"imports/{self.source}",
            state=self.state,
            seen=self.rows,
            kept=sum(self.kept.values()),
            malformed=self.malformed,
            pages=tuple(f.sha256 for f in self.files),
            note=self.note,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Document:
    """What a reader makes of the files of one import.

    `records` by their class, `rows` how many were in the files; `malformed` names each that could not be read: `name` is
    `FILE:LINE`. `made_at` is the time that the documents state; `cluster` the cluster that they name.
    """

    records: Mapping[type[Record], Sequence[Record]]
    rows: int
    format: str
    tool: str = ""
    made_at: datetime | None = None
    cluster: str = ""
    malformed: Sequence[Malformed] = ()
    # Where not all of them are named, as in a log of millions of lines.
    malformed_count: int | None = None
    # First and last time, of a document of what happened: it is partial where it does not cover the period.
    covers: tuple[datetime, datetime] | None = None
    # The record that says until when nothing more happened, where the user states it.
    nothing_until: Callable[[datetime], Record] | None = None
    note: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reader:
    """How the files of one import are read, and into which records."""

    source: str
    records: tuple[type[Record], ...]
    dated: bool
    of_cluster: bool
    read: Read = field(repr=False)

    @property
    def doc(self) -> str:
        """What the import is, for a listing."""
        return (self.read.__doc__ or "").partition("\n")[0]

    @property
    def options(self) -> tuple[str, ...]:
        """What a user may set of this import beside its files: the keyword-only parameters of `read`."""
        parameters = inspect.signature(self.read).parameters.values()
        return tuple(p.name for p in parameters if p.kind is p.KEYWORD_ONLY)


_readers: dict[str, Reader] = {}
READERS: Mapping[str, Reader] = MappingProxyType(_readers)


def reader(*records: type[Record], dated: bool = True, of_cluster: bool = False) -> Callable[[Read], Read]:
    """Declare the function that reads an import, the one that these records name as their `source`.

    It takes the files, and as keyword-only parameters the options that a user may set: `columns`, `prefix` (see
    engagement.Named). It raises UsageError with file and line where one is of another format. A document that is not
    `dated` holds until it is changed: it is never too old. One that is `of_cluster` tells of one cluster: it is no evidence
    of another.
    """

    def record(read: Read) -> Read:
        source = records[0].source
        if source in _readers or any(one.source != source for one in records):
            raise AuditkitError(f"import {source} is declared twice, or for records of another")
        _readers[source] = Reader(source=source, records=records, dated=dated, of_cluster=of_cluster, read=read)
        return read

    return record


@dataclass(frozen=True, kw_only=True, slots=True)
class Supplied:
    """Files that the user names for one import, and what they state of them: when, by whom and how they were made."""

    source: str
    paths: tuple[Path, ...]
    options: Mapping[str, Any] = field(default_factory=dict)
    made_at: date | None = None
    by: str = ""
    cluster: str = ""
    max_age_days: int = MAX_AGE_DAYS
    period: tuple[date, date] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Loaded:
    """One import with its records."""

    about: Import
    records: Mapping[type[Record], Sequence[Record]]

    def __repr__(self) -> str:
        about = self.about
        kept = ", ".join(f"{count:,} {plural}" for plural, count in about.kept.items()) or "no records"
        made = f", made at {about.made_at:%Y-%m-%d}" if about.made_at else ", undated"
        note = f"; {about.note}" if about.note else ""
        return f"<Import {about.source} {about.state}: {kept} of {len(about.files)} file(s){made}{note}>"


def read(supplied: Iterable[Supplied]) -> tuple[Loaded, ...]:
    """Read the imports that a user names, sorted by name.

    Raises UsageError that names file and line where one cannot be read or is of another format.
    """
    return tuple(_read(one) for one in sorted(supplied, key=lambda s: s.source))


def _read(supplied: Supplied) -> Loaded:
    chosen = READERS[supplied.source]
    try:
        files = tuple(map(_file, supplied.paths))
        _refuse_copies(files)
        with collection_paused():
            document = chosen.read(supplied.paths, **supplied.options)
    except OSError as error:
        raise UsageError(f"{error.filename}: cannot be read ({error.strerror}); imports.{supplied.source}") from None
    bad = len(document.malformed) if document.malformed_count is None else document.malformed_count
    unread = f"{bad:,} of {document.rows:,} records could not be read" if bad else ""
    stated, covers = _stated(supplied, document)
    records = dict(document.records)
    if covers and covers != document.covers and document.nothing_until:
        mark = document.nothing_until(covers[1])
        records[type(mark)] = [*records[type(mark)], mark]
    about = Import(
        source=supplied.source,
        state="partial" if bad or document.note else "collected",
        files=files,
        format=document.format,
        tool=document.tool,
        by=supplied.by,
        made_at=stated or document.made_at,
        dated_by="stated in auditkit.toml" if stated else "the document" if document.made_at else "",
        cluster=document.cluster,
        same_cluster=supplied.cluster,
        max_age_days=supplied.max_age_days,
        rows=document.rows,
        malformed=tuple(document.malformed[:NAMED]),
        malformed_count=bad,
        covers=covers,
        period=supplied.period if covers else None,
        note="; ".join(filter(None, [unread, document.note])),
        fields={one.plural: fields_of(one) for one in chosen.records},
        kept={one.plural: len(records.get(one, ())) for one in chosen.records},
    )
    return Loaded(about=about, records={one: tuple(records.get(one, ())) for one in chosen.records})


def _stated(supplied: Supplied, document: Document) -> tuple[datetime | None, tuple[datetime, datetime] | None]:
    """When the user says that the document was made, and what it covers then.

    A document's own date goes before the user's; but of what happened, its last record is not when it was taken: one taken
    later says that nothing happened between: `nothing_until` counts the silence.
    """
    said = _moment(supplied.made_at) if supplied.made_at else None
    if document.covers is None:
        return (said if document.made_at is None else None), None
    first, last = document.covers
    return (said, (first, said)) if said and said > last else (None, document.covers)


def of_clusters(imports: Iterable[Loaded], names: Sequence[str]) -> dict[str, list[Loaded]]:
    """The imports that lie beside the snapshots of each of these clusters: one that is of a cluster beside those alone.

    It is of the cluster that it names, else of the one that the user states. Raises UsageError where neither says which of
    several it is.
    """
    found: dict[str, list[Loaded]] = {name: [] for name in names}
    for one in imports:
        if not READERS[one.about.source].of_cluster:
            for name in names:
                found[name].append(_shared(one, name))
            continue
        whose = _whose(one.about, names)
        for name in names if whose is None else {whose} & {*names}:
            found[name].append(one if whose is None else _known_as(one, name))
    return found


def _known_as(loaded: Loaded, cluster: str) -> Loaded:
    """The import as one of this cluster, whatever the document calls it."""
    called = loaded.about.cluster or cluster
    return replace(loaded, about=msgspec.structs.replace(loaded.about, cluster=called, same_cluster=called))


def _shared(loaded: Loaded, cluster: str) -> Loaded:
    """An import of all clusters as one of them has it."""
    own = _own(loaded, {cluster})
    return replace(own, about=msgspec.structs.replace(own.about, same_cluster=cluster))


def _own(loaded: Loaded, names: Collection[str]) -> Loaded:
    """The import without the records that are of a cluster of another name."""
    records = {
        record: [one for one in every if getattr(one, "cluster", None) in (None, *names)]
        for record, every in loaded.records.items()
    }
    kept = {record.plural: len(own) for record, own in records.items()}
    if kept == loaded.about.kept:
        return loaded
    return Loaded(about=msgspec.structs.replace(loaded.about, kept=kept), records=records)


def _whose(about: Import, names: Sequence[str]) -> str | None:
    """The cluster that a document is of; None where there is one, and `judged` says whether it is that."""
    said = [name for name in (about.cluster, about.same_cluster) if name]
    if known := [name for name in said if name in names]:
        return known[0]
    if len(names) > 1:
        raise UsageError(
            f"imports.{about.source} is of one cluster, {said[0] if said else 'and does not say which'}, and the evidence of "
            f'{", ".join(names)}; say which it is: imports.{about.source}.cluster = "{names[0]}"'
        )
    return None if about.cluster or not said else said[0]


def judged(loaded: Loaded, origin: Origin) -> Loaded:
    """An import as evidence beside a snapshot: partial where it is undated, or made too far from the snapshot's time.

    Records of other clusters are left out: those of which neither the snapshot nor imports.NAME.cluster has the name. Raises UsageError where the document names another cluster.
    """
    about = loaded.about
    if about.cluster and about.cluster not in (origin.cluster, about.same_cluster):
        raise UsageError(
            f"{about.files[0].name}: is of cluster {about.cluster}, the snapshot of {origin.cluster}; supply that of "
            f'{origin.cluster}, or say that they are one: imports.{about.source}.cluster = "{about.cluster}"'
        )
    found = [said for said in (_age(about, origin), _uncovered(about, origin)) if said and said not in about.note]
    own = _own(loaded, {origin.cluster, about.same_cluster})
    if not found:
        return own
    note = "; ".join(filter(None, [about.note, *found]))
    return replace(own, about=msgspec.structs.replace(own.about, state="partial", note=note))


def _age(about: Import, origin: Origin) -> str:
    if not READERS[about.source].dated:
        return ""
    if about.made_at is None:
        return f"undated: state when it was made, imports.{about.source}.made_at in auditkit.toml"
    if origin.taken_at is None:
        return "the snapshot is undated: how old it is beside that is not known"
    days = round((origin.taken_at - about.made_at).total_seconds() / 86_400)
    if abs(days) <= about.max_age_days:
        return ""
    return f"made {abs(days)} days {'before' if days > 0 else 'after'} the snapshot, more than {about.max_age_days}"


def _uncovered(about: Import, origin: Origin) -> str:
    """What the period has and the document has not; a day at either end may pass without a record."""
    if about.covers is None or about.period is None:
        return ""
    first, last = about.covers
    begin, end = map(_moment, about.period)
    end = min(end + timedelta(days=1), origin.taken_at or _moment(about.period[1]) + timedelta(days=1))
    if first < begin + timedelta(days=1) and last >= end - timedelta(days=1):
        return ""
    return f"covers {first:%Y-%m-%d} to {last:%Y-%m-%d}, the period is {about.period[0]} to {about.period[1]}"


def _refuse_copies(files: Sequence[File]) -> None:
    seen: dict[str, str] = {}
    for file in files:
        if file.sha256 in seen and file.size:
            raise UsageError(
                f"{file.name}: the same file as {seen[file.sha256]} (sha256 {file.sha256}); supply it once"
            )
        seen[file.sha256] = file.name


def _file(path: Path) -> File:
    try:
        path.name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path}: the name is no UTF-8; rename the file") from None
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256")
    return File(name=path.name, size=path.stat().st_size, sha256=digest.hexdigest())


def _moment(stated: date) -> datetime:
    if isinstance(stated, datetime):
        return stated if stated.tzinfo else stated.replace(tzinfo=UTC)
    return datetime(stated.year, stated.month, stated.day, tzinfo=UTC)
