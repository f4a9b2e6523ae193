"""The public functions of `import auditkit as ak`; its lists are in auditkit.listing."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from auditkit import engagement as _engagement
from auditkit import evaluate, frameworks, seal, store, waiving
from auditkit.analysis.access import OUTSIDE_RBAC, Access
from auditkit.analysis.connections import Answer
from auditkit.analysis.reachability import Reachability
from auditkit.capture import from_files, imports, live, open_source, tool
from auditkit.capture.imports.tickets import Ticket
from auditkit.capture.imports.waivers import Waiver
from auditkit.capture.snapshot import Options
from auditkit.capture.snapshot import save as _save
from auditkit.display import shown
from auditkit.engagement import Engagement
from auditkit.errors import Faults, UsageError, instead
from auditkit.evaluate import Results, Snapshot
from auditkit.kinds import ALL
from auditkit.kinds import resource as resource_name
from auditkit.kinds.platform import Namespace
from auditkit.listing import checks as checks
from auditkit.listing import controls as controls
from auditkit.listing import facts as facts
from auditkit.listing import requirements as requirements
from auditkit.listing import tables as tables
from auditkit.period import changes as _changes
from auditkit.period import intervals as _intervals
from auditkit.period import tickets as _tickets
from auditkit.report import workpaper as _workpaper
from auditkit.seal import Verdict, leaks
from auditkit.store import History as History

# A notebook's kernel needs none of these, and would wait for the workbook's libraries.
if TYPE_CHECKING:
    from auditkit.report.period import paper as _period_paper
    from auditkit.review.rounds import Closed, Review
    from auditkit.run import Run
    from auditkit.run_period import PeriodRun

# The engagement: the path of an auditkit.toml, or what was loaded from one.
Config = str | Path | Engagement | None


def capture(
    *,
    context: str | None = None,
    in_cluster: bool = False,
    path: str | Path | None = None,
    taken_at: datetime | None = None,
    secrets: bool = False,
    tls_secrets: bool = False,
    secret_facts: bool = False,
    qps: float = 50.0,
    config: Config = None,
) -> Snapshot:
    """Read a cluster (a kubeconfig context, or from inside) or files, into a snapshot with tables.

    Of Secrets nothing is read unless asked: `secrets` metadata, `tls_secrets` public certificates,
    `secret_facts` expiry and usage of tokens; values never. `qps` bounds requests a second. The imports that `config`
    (auditkit.toml) names are read first, and laid beside the snapshot.
    """
    beside = _imports(config)
    options = Options(secrets=secrets, tls_secrets=tls_secrets, secret_facts=secret_facts)
    if path is not None:
        if context is not None or in_cluster:
            raise UsageError("give one source: context, in_cluster or path")
        return Snapshot.of(from_files(Path(path), taken_at=taken_at, options=options).beside(beside))
    return Snapshot.of(live(context, in_cluster=in_cluster, options=options, qps=qps).beside(beside))


def load(path: str | Path, *, config: Config = None) -> Snapshot:
    """Open a pack, a saved snapshot, a capture in a store, a dump or manifests; also "demo" and "context:NAME".

    The imports that `config` (auditkit.toml) names are laid beside it; a pack has its own already.
    """
    beside = _imports(config)
    return Snapshot.of((_captured(Path(path)) or open_source(path)).beside(beside))


def _captured(path: Path) -> Snapshot | None:
    """The snapshot of STORE/CLUSTER/snapshots/TIME; None for another path."""
    if not (path / store.RECORD).is_file():
        return None
    return store.History(path.resolve().parents[1]).load(path.resolve().name)


def _engaged(config: Config) -> Engagement:
    """The engagement, by defaults where none is named."""
    return config if isinstance(config, Engagement) else _engagement.load(Path(config) if config else None)


def _imports(config: Config) -> tuple[imports.Loaded, ...]:
    found = imports.read(_engaged(config).supplied())
    for one in found:
        if faults := waiving.faults(one.records.get(Waiver, ())):
            raise Faults(", ".join(f.name for f in one.about.files), faults)
    return found


def save(snapshot: Snapshot, out: str | Path) -> None:
    """Write a snapshot without its imports into a new folder. Raises LeakError where a kept object holds a secret: then nothing is left."""
    with store.publishing(Path(out)) as draft:
        _save(snapshot, draft)
        leaks.refuse(draft)


def keep(snapshot: Snapshot, place: str | Path, *, config: Config = None) -> store.Added:
    """Add a snapshot, without its imports, to the history of its cluster in a store, and bring the tables there up to it.

    `config` (auditkit.toml) says the cluster's name in the store, and the retention. Raises as store.add does; a snapshot
    that is there already is left as it is.
    """
    added = store.add(Path(place), snapshot, _engaged(config))
    store.refresh(added.history)
    return added


def captures(place: str | Path, *, checked: bool = False) -> pd.DataFrame:
    """One row per capture in a store: cluster, capture, state, incomplete, added_at, tool, stored (whole, changes), bytes, digest.

    `checked` reads every one; raises UsageError at the first that is not what was stored.
    """
    for history in store.histories(Path(place)) if checked else ():
        for capture, snapshot in history.between():
            if snapshot.digest != capture.digest:
                raise UsageError(
                    f"{history.place(capture.name)}: its objects have the digest {snapshot.digest}, not the one it names; "
                    "copy the capture again from a backup"
                )
    rows = [
        (
            history.cluster,
            capture.name,
            capture.state,
            ", ".join(capture.incomplete),
            capture.added_at,
            capture.tool,
            "whole" if history.whole(capture.name) else "changes",
            sum(p.stat().st_size for p in history.place(capture.name).rglob("*") if p.is_file()),
            capture.digest,
        )
        for history in store.histories(Path(place))
        for capture in history.captures
    ]
    columns = ["cluster", "capture", "state", "incomplete", "added_at", "tool", "stored", "bytes", "digest"]
    return pd.DataFrame(rows, columns=columns)


def purge(place: str | Path, before: date, *, config: Config = None, really: bool = False) -> list[store.Purge]:
    """What goes of a store that was taken before a day, UTC; only `really` deletes it, see store.purge.

    The retention is that of `config` (auditkit.toml), else what the newest capture of the cluster was stored with. Raises
    UsageError before anything is deleted where one of the clusters is under legal hold.
    """
    retention = _engaged(config).retention if config else None
    planned = [store.plan(history, before, retention) for history in store.histories(Path(place))]
    if not really:
        return planned
    done = [store.purge(one.history, before, retention) for one in planned]
    for one in done:
        store.refresh(store.History(one.history.path))
    return done


def demo() -> Snapshot:
    """The fictional cluster that comes with auditkit."""
    return load("demo")


def check(
    snapshot: Snapshot | str | Path,
    ids: Iterable[str] | str | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Results:
    """Run checks over a snapshot, or what `load` opens: `.frame`, `["RBAC-01"].exceptions`, `.why(row)`.

    `ids` are checks ("RBAC-01") or topics ("RBAC"); default: all. Raises UsageError where there is none of that name.
    """
    return evaluate.run(_opened(snapshot).tables, ids, settings=settings)


def _opened(source: Snapshot | str | Path, config: Config = None) -> Snapshot:
    return source if isinstance(source, Snapshot) else load(source, config=config)


@dataclass(frozen=True, kw_only=True)
class Holders:
    """Who may do something: `frame` as Access.who_can says it, and the kinds `unread` of which not all was collected.

    Where `unread` names a kind, others may hold the same right.
    """

    asked: str
    frame: pd.DataFrame
    unread: tuple[str, ...]

    @property
    def notes(self) -> list[str]:
        """What must be read beside the frame."""
        return [OUTSIDE_RBAC, *([f"incomplete: not all collected: {', '.join(self.unread)}"] if self.unread else [])]

    def __repr__(self) -> str:
        lack = f", incomplete: {', '.join(self.unread)}" if self.unread else ""
        return f"<Holders of {self.asked}: {self.frame['subject'].nunique()} subjects by {len(self.frame)} rules{lack}>"

    def _repr_html_(self) -> str:
        return shown(repr(self).strip("<>"), {"Beside": " ".join(self.notes)}, self.frame, whole=".frame")


def who_can(snapshot: Snapshot | str | Path, verb: str, resource: str, *, namespace: str | None = None) -> Holders:
    """Who may do something in a snapshot, or what `load` opens: `.frame` has every binding and rule that allows it.

    `resource` is RESOURCE[.GROUP][/SUBRESOURCE]; without a group it is that of the kinds that auditkit reads,
    else the core group. `namespace` None is anywhere, "" cluster-wide. Raises UsageError where nothing knows
    the resource or the namespace: a singular or a misspelt word would find only those who can do everything.
    """
    whole, _, subresource = resource.partition("/")
    plural, _, group = whole.partition(".")
    groups = [kind.group for kind in ALL if kind.plural == plural]
    snapshot = _opened(snapshot)
    named = {one.partition("/")[0] for rule in snapshot.tables["rules"]["resources"].dropna() for one in rule}
    if not (group or groups or plural in named):
        known = sorted({*named, *(kind.plural for kind in ALL)} - {"*"})
        way = instead(plural, known, "`kubectl api-resources`")
        raise UsageError(
            f"{resource}: no such resource; {way} Write the plural, and its group: deployments.apps, pods/exec"
        )
    there = [one.name for one in snapshot.objects[Namespace]]
    if namespace and namespace not in there and snapshot.state(Namespace).state == "collected":
        raise UsageError(f"no namespace {namespace}; {instead(namespace, there)}")
    access = Access.from_tables(snapshot.tables)
    frame = access.who_can(
        verb, plural, group=group or next(iter(groups), ""), subresource=subresource, namespace=namespace
    )
    where = {None: "", "": " in the whole cluster"}.get(namespace, f" in {namespace}")
    unread = tuple(sorted(resource_name(kind) for kind in access.unread))
    return Holders(asked=f"{verb} {resource}{where}", frame=frame, unread=unread)


def reach(
    snapshot: Snapshot | str | Path,
    source: str,
    target: str,
    port: int | str,
    *,
    protocol: str = "TCP",
    enforced: bool = False,
) -> Answer:
    """Whether NetworkPolicies allow a connection: `.value` (None where that cannot be told), `.reason`, `.policies`.

    An end is "namespace/pod", an address or a range (CIDR); `port` a number, or the name of a port of the target pod.
    `enforced` says that you assert that the network enforces NetworkPolicies. Raises UsageError where an end is none.
    """
    answers = Reachability.from_tables(_opened(snapshot).tables, enforced=True if enforced else None)
    return answers.why(source, target, port, protocol)


def write(frame: pd.DataFrame, path: str | Path) -> Path:
    """Write a frame as .xlsx, .csv or .parquet, by the path's ending: no text of a cluster becomes a formula.

    Times with their zone, which pandas' own to_excel refuses, and lists are written as text. Raises UsageError where
    the file exists or the ending is another.
    """
    from auditkit.report import frames

    place = Path(path)
    if place.exists():
        raise UsageError(f"{place}: exists already; choose another name")
    if place.suffix == ".csv":
        frames.write_csv(frame, place)
    elif place.suffix == ".parquet":
        frames.write_parquet(frame, place)
    elif place.suffix == ".xlsx":
        from auditkit.report import workbook  # Here, as in `run`: it makes workbooks.

        note = f"{len(frame):,} rows, written by {tool()}."
        sheet = workbook.Sheet(name="Rows", note=note, frame=frame)
        workbook.write(place, workbook.Cover(title=place.stem, rows=[("Rows", len(frame))]), [sheet], created=None)
    else:
        raise UsageError(f"{place}: name a file that ends with .xlsx, .csv or .parquet")
    return place


def run(source: str | Path | Snapshot, out: str | Path, *, config: Config = None, **options: Any) -> "Run":
    """Write a sealed pack of a source into a new folder; options are those of auditkit.run.run.

    A Snapshot is taken as it is, with the imports that it was loaded with.
    """
    # Here, as only a run writes: the kernel of a notebook does not wait for what makes workbooks and pages.
    from auditkit.run import run as _run

    engagement = frameworks.settled(_engaged(config))
    return _run(_opened(source, config), Path(out), engagement=engagement, **options)


def period(
    *,
    place: str | Path | None = None,
    snapshots: Iterable[Snapshot] = (),
    out: str | Path,
    config: str | Path | Engagement,
    clusters: Iterable[str] | str = (),
    **options: Any,
) -> "PeriodRun":
    """Write a sealed pack over the period of an engagement (`config`) into a new folder; options are those of run_period.run.

    The captures are those in the store at `place`, or `snapshots` of one cluster, oldest first, read one at a time. Of a
    store it is the `clusters` that are named, else the engagement's `cluster`, else all that are in its scope; one that the
    scope names and the store has not is in the pack with every slot missed. Raises UsageError where a cluster is not there.
    """
    from auditkit.run_period import run as _run_period

    engagement = frameworks.settled(_engaged(config))
    documents = _imports(config)
    found = _clusters(place, snapshots, engagement, [clusters] if isinstance(clusters, str) else list(clusters))
    return _run_period(found, Path(out), engagement=engagement, documents=documents, **options)


def _clusters(
    place: str | Path | None, snapshots: Iterable[Snapshot], engagement: Engagement, names: Sequence[str]
) -> Mapping[str, _intervals.Pairs]:
    from auditkit.run_period import loaded, stored

    return loaded(snapshots, engagement, names) if place is None else stored(Path(place), engagement, names)


def reperform(pack: str | Path, *, place: str | Path | None = None, snapshots: Iterable[Snapshot] = ()) -> list[str]:
    """What differs when the tests of a pack are performed again, by file; empty where nothing does.

    A pack of a period is made again from the captures that it names: of the store at `place`, or `snapshots`.
    """
    from auditkit import reperform as _reperform
    from auditkit.report.period.saved import is_period

    if not is_period(Path(pack)):
        return _reperform.reperform(Path(pack))
    engagement = _engagement.load(Path(pack) / "inputs" / _engagement.NAME)
    return _reperform.reperform_period(Path(pack), lambda names: _clusters(place, snapshots, engagement, names))


def verify(pack: str | Path, *, key: str | Path | None = None, previous: str | Path | None = None) -> Verdict:
    """Compare a pack with its seal, and with the pack that it must follow; `str()` of the verdict names every fault."""
    return seal.verify(Path(pack), key=Path(key) if key else None, previous=Path(previous) if previous else None)


def workpaper(name: str, source: str | Path = "demo") -> "_workpaper.Workpaper | _period_paper.Workpaper":
    """The sections of an evidence notebook ("access", "network", ...) over a source, or over a period where it is a pack
    of one; writes nothing."""
    from auditkit.report.period import paper as _period_paper
    from auditkit.report.period import saved

    own = Path(source) / "inputs" / _engagement.NAME
    engagement = _engagement.load(own if own.is_file() else None)
    if saved.is_period(Path(source)):
        return _period_paper.workpaper(name, saved.load(Path(source)), engagement)
    snapshot = load(source)
    packed = (Path(source) / "snapshot").is_dir()
    return _workpaper.workpaper(name, snapshot, engagement, packed=packed)


def changes(
    before: Snapshot,
    after: Snapshot,
    *,
    tickets: str | Path | pd.DataFrame | None = None,
    config: Config = None,
) -> pd.DataFrame:
    """What changed between two snapshots, by whom, and whether a ticket or an agreed deployer explains it.

    One row per object, with the fields that differ; `auditkit.period.changes.ChangeRow` documents the columns. A kind that
    one of them did not completely read has one row, `change` "not comparable": what is not there may only not have been
    read. `tickets` is a CSV file or a table of that name; else the import of `after` is used. `[changes]` of
    auditkit.toml (`config`) names deployers and how long an approval holds.
    """
    agreed = _engaged(config).changes
    lacking = ""
    if isinstance(tickets, (str, Path)):
        every = imports.read([imports.Supplied(source=Ticket.source, paths=(Path(tickets),))])
        (read,) = imports.of_clusters(every, [after.origin.cluster])[after.origin.cluster]
        tickets, lacking = _tickets.frame_of(read.records[Ticket]), read.about.note
    elif tickets is None and (state := after.state(Ticket)).state != "not supplied":
        tickets, lacking = after.tables["tickets"], state.note if state.state == "partial" else ""
    return _changes.changes(before, after, tickets=tickets, lacking=lacking, agreed=agreed)


def prepare_review(
    out: str | Path,
    quarter: str,
    *,
    place: str | Path | None = None,
    path: str | Path | None = None,
    config: Config = None,
    cluster: str = "",
    **options: Any,
) -> "Review":
    """Write the workbook of a quarter's access review into a new sealed folder; options are those of rounds.prepare.

    The listing is one snapshot (`path`), or the last capture in the quarter of a `cluster` in a store (`place`): the one
    named, else the engagement's, else the only one. Each cluster has a review of its own.
    """
    from auditkit.review import rounds  # Here, as in `run`: it makes workbooks.

    engagement = _engaged(config)
    _one_of(place, path)
    if path is not None:
        return rounds.prepare(load(path, config=config), Path(out), engagement, quarter, **options)
    history, (first, end) = _history(Path(str(place)), engagement, cluster), rounds.quarter_of(quarter)
    within = [c for c in history.captures if first <= c.taken_at.date() <= end]
    if not within:
        raise UsageError(f"{history.path}: no capture from {first} to {end}, in {quarter}")
    last: list[Snapshot] = []
    spans = _intervals.bindings(_kept(history.between(end=within[-1].taken_at), last))
    snapshot = last[0].beside(_imports_of(history, config))
    return rounds.prepare(snapshot, Path(out), engagement, quarter, spans=spans, **options)


def close_review(
    filled: str | Path,
    prepared: str | Path,
    out: str | Path,
    *,
    place: str | Path | None = None,
    path: str | Path | None = None,
    config: Config = None,
    cluster: str = "",
    **options: Any,
) -> "Closed":
    """Judge a filled workbook by one later snapshot (`path`) or all later captures of a `cluster` in a store (`place`).

    The imports of `config` are laid beside the last. Options are those of rounds.close.
    """
    from auditkit.review import rounds

    _one_of(place, path)
    later: Iterable[Snapshot]
    if path is not None:
        later = [load(path, config=config)]
    else:
        history = _history(Path(str(place)), _engaged(config), cluster)
        since = rounds.read(Path(prepared)).taken_at
        captures = [c for c in history.captures if c.taken_at > since]
        beside = _imports_of(history, config)
        later = (
            snapshot.beside(beside if capture is captures[-1] else ())
            for capture, snapshot in (history.between(captures[0].taken_at) if captures else ())
        )
    return rounds.close(Path(filled), Path(prepared), later, Path(out), **options)


def _one_of(place: str | Path | None, path: str | Path | None) -> None:
    if (place is None) == (path is None):
        raise UsageError("name one source: --store DIR or --from PATH")


def _history(place: Path, engagement: Engagement, cluster: str) -> History:
    """The history of this cluster in a store, else of the engagement's, else the only one there."""
    if (place / "snapshots").is_dir():
        return History(place)
    known = {history.cluster: history for history in store.histories(place)}
    name = cluster or engagement.cluster or (next(iter(known)) if len(known) == 1 else "")
    if name not in known:
        raise UsageError(
            f"{place}: {f'no cluster {name}' if name else 'several clusters'}; there are: {', '.join(known)}; name one with --cluster"
        )
    return known[name]


def _imports_of(history: History, config: Config) -> list[imports.Loaded]:
    return imports.of_clusters(_imports(config), [history.cluster])[history.cluster]


def _kept(pairs: Iterable[tuple[Any, Snapshot]], last: list[Snapshot]) -> Iterator[tuple[Any, Snapshot]]:
    """The pairs as they are; `last` holds the snapshot of the one that was read last."""
    for capture, snapshot in pairs:
        last[:] = [snapshot]
        yield capture, snapshot
