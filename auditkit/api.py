"""The public functions of `import auditkit as ak`."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd

from auditkit import engagement as _engagement
from auditkit import evaluate, frameworks, seal, store, waiving
from auditkit.analysis.access import Access
from auditkit.capture import from_files, imports, live, open_source
from auditkit.capture.imports.waivers import Waiver
from auditkit.capture.snapshot import Options
from auditkit.capture.snapshot import save as _save
from auditkit.declare import CHECKS, TABLES
from auditkit.errors import Faults, UsageError
from auditkit.evaluate import Results, Snapshot
from auditkit.kinds import ALL, Kind
from auditkit.kinds import resource as resource_name
from auditkit.report import workpaper as _workpaper
from auditkit.run import Run
from auditkit.run import run as _run
from auditkit.seal import Verdict, leaks


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
    config: str | Path | None = None,
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


def load(path: str | Path, *, config: str | Path | None = None) -> Snapshot:
    """Open a pack, a saved snapshot, a dump or manifests; also "demo" and "context:NAME".

    The imports that `config` (auditkit.toml) names are laid beside it; a pack has its own already.
    """
    beside = _imports(config)
    return Snapshot.of(open_source(path).beside(beside))


def _imports(config: str | Path | None) -> tuple[imports.Loaded, ...]:
    found = imports.read(_engagement.load(Path(config)).supplied()) if config else ()
    for one in found:
        if faults := waiving.faults(one.records.get(Waiver, ())):
            raise Faults(", ".join(f.name for f in one.about.files), faults)
    return found


def save(snapshot: Snapshot, out: str | Path) -> None:
    """Write a snapshot without its imports into a new folder. Raises LeakError where a kept object holds a secret: then nothing is left."""
    with store.publishing(Path(out)) as draft:
        _save(snapshot, draft)
        leaks.refuse(draft)


def demo() -> Snapshot:
    """The fictional cluster that comes with auditkit."""
    return load("demo")


def check(
    snapshot: Snapshot,
    ids: Iterable[str] | str | None = None,
    *,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Results:
    """Run checks (default: all) over a snapshot: `.frame`, `["RBAC-01"].exceptions`, `.population`, `.why(row)`."""
    return evaluate.run(snapshot.tables, ids, settings=settings)


def who_can(
    snapshot: Snapshot, verb: str, resource: str, *, namespace: str | None = None
) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Who may do something, by every binding and rule that allows it, and the kinds that were not all collected.

    `resource` is RESOURCE[.GROUP][/SUBRESOURCE]; without a group it is that of the kinds that auditkit reads,
    else the core group. `namespace` None is anywhere, "" cluster-wide. Raises UsageError where nothing knows
    the resource: a singular or a misspelt word would find only those who can do everything.
    """
    whole, _, subresource = resource.partition("/")
    plural, _, group = whole.partition(".")
    groups = [kind.group for kind in ALL if kind.plural == plural]
    rules = snapshot.tables["rules"]["resources"].dropna()
    if not (group or groups or any(plural == one.partition("/")[0] for named in rules for one in named)):
        raise UsageError(f"{resource}: no such resource; write the plural, and its group: deployments.apps, pods/exec")
    access = Access.from_tables(snapshot.tables)
    frame = access.who_can(
        verb, plural, group=group or next(iter(groups), ""), subresource=subresource, namespace=namespace
    )
    return frame, tuple(sorted(resource_name(kind) for kind in access.unread))


def run(source: str | Path | Snapshot, out: str | Path, *, config: str | Path | None = None, **options: Any) -> Run:
    """Write a sealed pack of a source into a new folder; options are those of auditkit.run.run.

    A Snapshot is taken as it is, with the imports that it was loaded with.
    """
    engagement = frameworks.settled(Path(config) if config else None)
    snapshot = source if isinstance(source, Snapshot) else load(source, config=config)
    return _run(snapshot, Path(out), engagement=engagement, **options)


def verify(pack: str | Path, *, key: str | Path | None = None, previous: str | Path | None = None) -> Verdict:
    """Compare a pack with its seal, and with the pack that it must follow; `str()` of the verdict names every fault."""
    return seal.verify(Path(pack), key=Path(key) if key else None, previous=Path(previous) if previous else None)


def workpaper(name: str, source: str | Path = "demo") -> _workpaper.Workpaper:
    """The sections of an evidence notebook ("access", "network", ...) over a source; writes nothing."""
    own = Path(source) / "inputs" / "auditkit.toml"
    engagement = _engagement.load(own if own.is_file() else None)
    snapshot = load(source)
    packed = (Path(source) / "snapshot").is_dir()
    return _workpaper.workpaper(name, snapshot, engagement, packed=packed)


def tables() -> pd.DataFrame:
    """One row per column of every table: table, column, dtype, key (joins on equal names), doc, and what a row is."""
    rows = [
        {"table": t.name, "row": t.title, "column": c.name, "dtype": c.dtype, "key": c.name in t.key, "doc": c.doc}
        for t in sorted(TABLES.values(), key=lambda t: t.name)
        for c in t.columns
    ]
    return pd.DataFrame(rows)


def checks() -> pd.DataFrame:
    """One row per check: id, title, severity, population (table), reads, settings."""
    rows = [
        {
            "id": c.id,
            "title": c.title,
            "severity": c.severity,
            "population": c.population,
            "reads": list(c.reads),
            "settings": dict(c.settings),
        }
        for _, c in sorted(CHECKS.items())
    ]
    return pd.DataFrame(rows)


def diff(a: Snapshot, b: Snapshot) -> pd.DataFrame:
    """What changed from snapshot a to b: one row per object added, removed or changed, with the fields that differ.

    A kind that one of them did not completely read has one row, `change` "not comparable": what is not there may only
    not have been read.
    """
    rows: list[dict[str, Any]] = []
    for kind in dict.fromkeys([*a.objects, *b.objects]):
        states = [f"{side}: {s.state(kind).state}" for side, s in (("a", a), ("b", b)) if not _whole(s, kind)]
        if states:
            name = resource_name(kind)
            rows.append({"change": "not comparable", "kind": name, "namespace": "", "name": "", "fields": states})
            continue
        before, after = _by_name(a, kind), _by_name(b, kind)
        for key in sorted(set(before) | set(after)):
            old, new = before.get(key), after.get(key)
            fields = _fields(old, new) if old and new else []
            if not (old and new) or fields:
                change = "changed" if old and new else "added" if new else "removed"
                rows.append(
                    {
                        "change": change,
                        "kind": resource_name(kind),
                        "namespace": key[0],
                        "name": key[1],
                        "fields": fields,
                    }
                )
    return pd.DataFrame(rows, columns=["change", "kind", "namespace", "name", "fields"])


def _whole(snapshot: Snapshot, kind: type[Kind]) -> bool:
    return snapshot.state(kind).state in ("collected", "not served")


def _by_name(snapshot: Snapshot, kind: type[Kind]) -> dict[tuple[str, str], Kind]:
    return {(o.namespace, o.name): o for o in snapshot.objects[kind]}


def _fields(old: Kind, new: Kind) -> list[str]:
    """Dotted names, two deep, of the fields that differ, without managedFields."""
    before, after = msgspec.to_builtins(old), msgspec.to_builtins(new)
    found = []
    for top in sorted(set(before) | set(after)):
        x, y = before.get(top), after.get(top)
        if isinstance(x, dict) and isinstance(y, dict):
            found += [f"{top}.{k}" for k in sorted(set(x) | set(y)) if x.get(k) != y.get(k) and k != "managedFields"]
        elif x != y:
            found.append(top)
    return found
