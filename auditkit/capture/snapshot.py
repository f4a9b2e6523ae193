"""A snapshot: the kept objects of one cluster at one time, what was asked for, and where it came from."""

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, overload

import msgspec

from auditkit import kinds
from auditkit.display import shown
from auditkit.errors import UsageError, instead
from auditkit.kinds import UNREADABLE, Kind, Malformed, Record, resource
from auditkit.memory import collection_paused

if TYPE_CHECKING:
    import pandas as pd

    from auditkit.capture.imports import Loaded

K = TypeVar("K", bound=Kind)
R = TypeVar("R", bound=Record)
T = TypeVar("T")

# Raised when a Struct changes so that the same cluster state gives other kept bytes.
SCHEMA = "auditkit-snapshot/1"

# An import that nobody gave is "not supplied"; the others are states of a kind, and `collected` and `partial` of both.
State = Literal["collected", "partial", "denied", "failed", "not served", "excluded", "not read", "not supplied"]
INCOMPLETE: frozenset[State] = frozenset({"partial", "denied", "failed"})


class Identity(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """Who read the cluster, by its own SelfSubjectReview."""

    username: str = ""
    groups: tuple[str, ...] = ()


class Options(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True):
    """What the user allowed beyond the default: metadata of Secrets, public certificates, facts of tokens."""

    secrets: bool = False
    tls_secrets: bool = False
    secret_facts: bool = False


DEFAULTS = Options()


class Origin(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """Where a snapshot came from: cluster, identity, time, tool.

    `taken_at` is the server's first Date header, a dump's `recorded-as`, or `--taken-at`; None is undated.
    `dated_by` says which. `basis` is "listed" (the API's lists) or "as supplied" (somebody's manifests).
    """

    cluster: str
    source: str
    basis: Literal["listed", "as supplied"] = "listed"
    cluster_uid: str = ""
    server: str = ""
    version: str = ""
    identity: Identity = Identity()
    taken_at: datetime | None = None
    dated_by: str = ""
    clock_skew_seconds: float | None = None
    options: Options = DEFAULTS
    tool: str = ""


class Coverage(msgspec.Struct, kw_only=True, frozen=True, omit_defaults=True, repr_omit_defaults=True):
    """How the request for one kind ended.

    `seen` objects came from the source, `kept` are in the snapshot, `malformed` could not be read.
    `expected` is the server's own count (first page + remainingItemCount) where it gave one.
    `pages` are the sha256 of the raw pages: a commitment that whoever holds the bytes can check.
    """

    resource: str
    state: State
    kind: str = ""
    version: str = ""
    seen: int = 0
    kept: int = 0
    expected: int | None = None
    malformed: tuple[Malformed, ...] = ()
    pages: tuple[str, ...] = ()
    restarts: int = 0
    resource_version: str = ""
    list_allowed: bool | None = None
    request: str = ""
    note: str = ""


class Ledger(tuple[Coverage, ...]):
    """The coverage of every kind that was asked for, by resource."""

    __slots__ = ()

    def __repr__(self) -> str:
        states = Counter(one.state for one in self)
        return f"<Ledger of {len(self)} kinds: {', '.join(f'{n} {state}' for state, n in states.most_common())}>"

    def _repr_html_(self) -> str:
        return shown(repr(self)[1:-1], frame=self.frame, whole="snap.coverage.frame")

    @property
    def frame(self) -> "pd.DataFrame":
        """One row per kind: resource, state, seen, kept, expected, malformed (counts), note; by state, what is missing first."""
        import pandas as pd

        rows = [(c.resource, c.state, c.seen, c.kept, c.expected, len(c.malformed), c.note) for c in self]
        columns = ["resource", "state", "seen", "kept", "expected", "malformed", "note"]
        frame = pd.DataFrame(rows, columns=columns).astype({"expected": "Int64"})
        order = [*sorted(INCOMPLETE), "excluded", "collected", "not read", "not served"]
        return frame.sort_values("state", key=lambda s: s.map(order.index), kind="stable", ignore_index=True)


def _place(obj: Kind) -> tuple[str, str, str]:
    return obj.namespace, obj.name, obj.metadata.uid


class Objects(Mapping[type[Kind], Sequence[Kind]]):
    """The kept objects by kind, or its name as kubectl prints it ("services"); one of which nothing was kept is an empty sequence.

    `version` is the server's (gitVersion), "" where unknown: it decides what some objects mean. Records of imports
    are answered for too, but are no objects of the cluster: no iteration or digest has them.
    """

    def __init__(
        self,
        objects: Mapping[type[Kind], Sequence[Kind]],
        *,
        version: str = "",
        records: Mapping[type[Record], Sequence[Record]] = MappingProxyType({}),
    ) -> None:
        self.version = version
        self._records = records
        self._objects = {kind: tuple(sorted(found, key=_place)) for kind, found in objects.items()}
        self._derived: dict[Callable[[Objects], Any], Any] = {}

    def once(self, derive: Callable[["Objects"], T]) -> T:
        """`derive(self)`, computed at most once: what several tables read out of the same objects."""
        if derive not in self._derived:
            self._derived[derive] = derive(self)
        return self._derived[derive]  # type: ignore[no-any-return]

    @overload
    def __getitem__(self, kind: str) -> tuple[Kind, ...]: ...
    @overload
    def __getitem__(self, kind: type[K]) -> tuple[K, ...]: ...
    @overload
    def __getitem__(self, kind: type[R]) -> tuple[R, ...]: ...
    def __getitem__(self, kind: Any) -> Any:
        if isinstance(kind, str):
            kind = _kind_of(kind)
        return self._records.get(kind, ()) if issubclass(kind, Record) else self._objects.get(kind, ())

    def beside(self, records: Mapping[type[Record], Sequence[Record]]) -> "Objects":
        """The same objects with these records of imports beside them."""
        return Objects(self._objects, version=self.version, records=records)

    def __iter__(self) -> Iterator[type[Kind]]:
        return iter(sorted(self._objects, key=lambda kind: (kind.group, kind.plural)))

    def __len__(self) -> int:
        return len(self._objects)

    def _ipython_key_completions_(self) -> list[str]:
        return [resource(kind) for kind in self if self[kind]]

    def __repr__(self) -> str:
        counts = [len(self[kind]) for kind in self if self[kind]]
        return f"<Objects: {sum(counts):,} of {len(counts)} kinds>"

    def _repr_html_(self) -> str:
        import pandas as pd

        rows = sorted(((resource(kind), len(self[kind])) for kind in self if self[kind]), key=lambda row: -row[1])
        return shown(
            repr(self)[1:-1], frame=pd.DataFrame(rows, columns=["resource", "objects"]), whole="list(snap.objects)"
        )


def _kind_of(name: str) -> type[Kind]:
    """The Struct of a resource ("services", "deployments.apps"); UsageError where none, or several, have that name."""
    if whole := kinds.BY_RESOURCE.get(name):
        return whole
    found = [kind for kind in kinds.ALL if name.lower() in (kind.plural, kind.kind.lower())]
    if len(found) != 1:
        meant = ", ".join(resource(kind) for kind in found)
        way = f"did you mean {meant}?" if meant else instead(name, kinds.BY_RESOURCE, "list(snap.objects)")
        raise UsageError(f"objects[{name!r}]: auditkit reads no one kind of that name; {way}")
    return found[0]


def in_short(coverage: Sequence[Coverage]) -> str:
    """The kinds by name and state; those of one state are counted where they are more than six."""
    by_state: dict[State, list[str]] = {}
    for one in coverage:
        by_state.setdefault(one.state, []).append(one.resource)
    return ", ".join(
        f"{len(names)} kinds ({state}, see coverage)" if len(names) > 6 else f"{', '.join(names)} ({state})"
        for state, names in by_state.items()
    )


class Snapshot:
    """Objects, coverage and origin; tables are derived from it (`snap.tables`), never stored in it.

    `imports` are documents that others made, laid beside it for tests that need both.
    """

    def __init__(
        self,
        *,
        origin: Origin,
        coverage: Sequence[Coverage],
        objects: Mapping[type[Kind], Sequence[Kind]],
        imports: Sequence["Loaded"] = (),
    ) -> None:
        self.origin = origin
        self.coverage = Ledger(sorted(coverage, key=lambda c: c.resource))
        self.imports = tuple(imports)
        known = objects if isinstance(objects, Objects) else Objects(objects, version=origin.version)
        records = {record: rows for one in self.imports for record, rows in one.records.items()}
        self.objects = known.beside(records) if records else known

    def beside(self, imports: Sequence["Loaded"]) -> Self:
        """The same snapshot with these imports, each judged by the snapshot's time and cluster; see imports.judged."""
        from auditkit.capture.imports import judged

        if not imports:
            return self
        found = {one.about.source: one for one in (*self.imports, *(judged(i, self.origin) for i in imports))}
        return type(self)(
            origin=self.origin,
            coverage=self.coverage,
            objects=self.objects,
            imports=[found[source] for source in sorted(found)],
        )

    def state(self, kind: type[Kind] | type[Record]) -> Coverage:
        """The coverage of a kind or an import; a kind that nobody asked for has failed, it is not empty."""
        name = resource(kind)
        found = self._states.get(name)
        if found:
            return found
        if issubclass(kind, Record):
            return Coverage(
                resource=name, state="not supplied", note=f"name it in auditkit.toml: imports.{kind.source}"
            )
        return Coverage(resource=name, state="failed", note="not asked for by this capture")

    @cached_property
    def _states(self) -> Mapping[str, Coverage]:
        imported = (one.about.coverage for one in self.imports)
        return {c.resource: c for c in (*reversed(self.coverage), *imported)}

    def object(self, row: Mapping[str, Any]) -> Kind:
        """The kept object that a row of a table is about, by its `kind`, `namespace` and `name`; print() shows it as YAML.

        Raises UsageError where no object, or several, are kept of that name: a User is no object of the cluster.
        """
        kind, namespace, name = (str(row.get(column) or "") for column in ("kind", "namespace", "name"))
        named = [k for k in self.objects if k.kind == kind or resource(k) == kind]
        found = [one for k in named for one in self.objects[k] if (one.namespace, one.name) == (namespace, name)]
        if len(found) != 1:
            what = f"{kind} {namespace}/{name}".replace(" /", " ")
            of = " and ".join(resource(type(one)) for one in found)
            way = f"it is of {of}; give `kind` as one of them" if found else "none is kept"
            raise UsageError(f"{what}: no one object of that kind, namespace and name: {way}")
        return found[0]

    @property
    def incomplete(self) -> tuple[Coverage, ...]:
        """The kinds and imports of which evidence is missing; what policy excludes or nobody supplied is not among them."""
        every = (*self.coverage, *(one.about.coverage for one in self.imports))
        return tuple(c for c in every if c.state in INCOMPLETE)

    @property
    def digest(self) -> str:
        """sha256 over the kept objects as canonical JSON: equal for two captures of the same state."""
        return self.objects.once(_digest)

    def __repr__(self) -> str:
        counts = [len(self.objects[kind]) for kind in self.objects if self.objects[kind]]
        when = self.origin.taken_at.isoformat() if self.origin.taken_at else "undated"
        missing = f", incomplete: {in_short(self.incomplete)}" if self.incomplete else ""
        return f"<Snapshot {self.origin.cluster} {when}: {sum(counts)} objects of {len(counts)} kinds{missing}>"

    def _repr_html_(self) -> str:
        origin, states = self.origin, Counter(one.state for one in self.coverage)
        facts = {
            "Source": f"{origin.source}, read by {origin.identity.username or 'nobody that is known'}",
            "Kubernetes": origin.version,
            "Lists": ", ".join(f"{n} {state}" for state, n in states.most_common()),
            "Incomplete": in_short(self.incomplete),
            "Imports": ", ".join(one.about.source for one in self.imports),
            "Go on": "snap.tables.<Tab>, ak.tables() says what each holds; ak.check(snap)",
        }
        return shown(repr(self).partition(", incomplete")[0].strip("<>"), facts)


_ENCODER = msgspec.json.Encoder(order="sorted")


def _digest(objects: Objects) -> str:
    digest = hashlib.sha256(f"{SCHEMA}\n".encode())
    for kind in objects:
        for obj in objects[kind]:
            digest.update(f"{resource(kind)} ".encode() + _canonical(obj) + b"\n")
    return digest.hexdigest()


def _canonical(obj: Kind) -> bytes:
    """The object as sorted JSON without managedFields: controllers rewrite those without a change of state."""
    managers, obj.metadata.managed_fields = obj.metadata.managed_fields, None
    try:
        return _ENCODER.encode(obj)
    finally:
        obj.metadata.managed_fields = managers


def file_of(kind: type[Kind]) -> str:
    """The file of a kind in objects/, e.g. "deployments.apps.jsonl.zst"; a kind that is a whole group has `_` for `*`."""
    return f"{resource(kind).replace('*', '_')}.jsonl.zst"


def save(snapshot: Snapshot, folder: Path) -> None:
    """Write origin.json, coverage.json, digest, fields.json and objects/<resource>.jsonl.zst into a new folder.

    `digest` is the sha256 of all lines of objects/ in the order of their files, with what the snapshot's own digest
    leaves out; `fields.json` says which fields this version keeps of each kind. The same snapshot gives the same bytes.
    """
    import pyarrow as pa

    (folder / "objects").mkdir(parents=True)
    (folder / "origin.json").write_bytes(_pretty(snapshot.origin))
    (folder / "coverage.json").write_bytes(_pretty(snapshot.coverage))
    (folder / "fields.json").write_bytes(_pretty({resource(kind): kinds.fields_of(kind) for kind in kinds.ALL}))
    whole = hashlib.sha256()
    for kind in sorted(snapshot.objects, key=resource):
        if found := snapshot.objects[kind]:
            lines = b"".join(_ENCODER.encode(obj) + b"\n" for obj in found)
            whole.update(lines)
            with pa.CompressedOutputStream(str(folder / "objects" / file_of(kind)), "zstd") as stream:
                stream.write(lines)
    (folder / "digest").write_text(f"{whole.hexdigest()}\n")


def load(folder: Path) -> Snapshot:
    """Read a saved snapshot. A kind of which it keeps other fields than this version would is partial.

    Raises UsageError where the folder is not one, was written by a version with another schema, or does not hold
    the objects that were saved: too few of a kind, or others.
    """
    return of_parts(parts(folder), folder)


def parts(folder: Path) -> dict[str, bytes]:
    """The files of a saved snapshot by name, unpacked and without `.zst`; UsageError names a damaged one."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        path.relative_to(folder).as_posix().removesuffix(".zst"): _unpacked(path)
        if path.suffix == ".zst"
        else path.read_bytes()
        for path in files
    }


def incomplete(parts: Mapping[str, bytes], folder: Path) -> tuple[str, ...]:
    """The kinds of which evidence was missing when these files were saved, by name."""
    return tuple(
        c.resource for c in _read(parts, folder, "coverage.json", tuple[Coverage, ...]) if c.state in INCOMPLETE
    )


def decoded(kind: type[K], lines: bytes) -> list[K]:
    """The objects of one file of objects/; raises msgspec.MsgspecError."""
    decoder = msgspec.json.Decoder(kind)
    with collection_paused():
        return [decoder.decode(line) for line in lines.splitlines()]


def of_parts(
    parts: Mapping[str, bytes], folder: Path, decode: Callable[[type[Any], bytes], list[Any]] = decoded
) -> Snapshot:
    """The snapshot that these files hold, `folder` being where they came from; raises UsageError as `load` does."""
    origin = _read(parts, folder, "origin.json", Origin)
    coverage = _read(parts, folder, "coverage.json", tuple[Coverage, ...])
    objects: dict[type[Kind], list[Kind]] = {}
    whole, known = hashlib.sha256(), {file_of(kind).removesuffix(".jsonl.zst"): kind for kind in kinds.ALL}
    for name in sorted(p.removeprefix("objects/").removesuffix(".jsonl") for p in parts if p.startswith("objects/")):
        kind, lines = known.get(name), parts[f"objects/{name}.jsonl"]
        place = folder / "objects" / f"{name}.jsonl.zst"
        if kind is None:
            raise UsageError(
                f"{place}: this version of auditkit does not read that kind; use the one named in origin.json ({origin.tool})"
            )
        whole.update(lines)
        try:
            objects[kind] = decode(kind, lines)
        except UNREADABLE as error:
            raise UsageError(f"{place}: damaged ({error}); copy the snapshot again") from None
    kept = _read(parts, folder, "fields.json", dict[str, str])
    coverage = tuple(_as_read_today(one, kept, origin.tool) for one in coverage)
    snapshot = Snapshot(origin=origin, coverage=coverage, objects=objects)
    _refuse_changed(folder, snapshot, parts.get("digest"), whole.hexdigest())
    return snapshot


def _as_read_today(coverage: Coverage, kept: Mapping[str, str], tool: str) -> Coverage:
    """Partial where the fields that were kept are not today's: what was dropped then would read as absent."""
    kind = kinds.BY_RESOURCE.get(coverage.resource)
    if kind is None or coverage.state != "collected" or kept.get(coverage.resource) == kinds.fields_of(kind):
        return coverage
    note = f"{tool} kept other fields of it than this version reads; capture again"
    return msgspec.structs.replace(coverage, state="partial", note=note)


def _unpacked(path: Path) -> bytes:
    import pyarrow as pa

    try:
        with pa.CompressedInputStream(str(path), "zstd") as stream:
            return bytes(stream.read())
    except OSError as error:
        raise UsageError(f"{path}: damaged ({error}); copy the snapshot again") from None


def _refuse_changed(folder: Path, snapshot: Snapshot, saved: bytes | None, digest: str) -> None:
    """Raises UsageError where the objects are not those that coverage counts and `digest` commits to."""
    for kind in kinds.ALL:
        kept, found = snapshot.state(kind).kept, len(snapshot.objects[kind])
        if kept != found:
            raise UsageError(
                f"{folder}: {found} {resource(kind)} where {kept} were saved; copy the snapshot again, or take a new one"
            )
    if saved is None:
        raise UsageError(f"{folder}: digest is missing, so its objects cannot be checked; take the snapshot again")
    if saved.decode(errors="replace").strip() != digest:
        raise UsageError(
            f"{folder}: the objects are not those that were saved (sha256 {digest}); copy the snapshot again, or take a new one"
        )


def _pretty(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1) + b"\n"


def _read(parts: Mapping[str, bytes], folder: Path, name: str, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(parts[name], type=type_)
    except KeyError:
        raise UsageError(f"{folder}: not a snapshot, {name} is missing") from None
    except UNREADABLE as error:
        raise UsageError(f"{folder / name}: {error}") from None
