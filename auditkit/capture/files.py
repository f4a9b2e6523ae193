"""The door for files: dumps of `kubectl get -o json`, single objects, manifests, recorded API answers."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from auditkit import kinds
from auditkit.capture import archive, tool
from auditkit.capture.answers import RecordedAs
from auditkit.capture.documents import Found, Reading, read_file
from auditkit.capture.policy import EXCLUDED, SECRETS_EXCLUDED, kept_secret, reads_secrets
from auditkit.capture.snapshot import DEFAULTS, Coverage, Options, Origin, Snapshot
from auditkit.errors import UsageError
from auditkit.kinds import Kind, resource
from auditkit.kinds.certificates import Secret
from auditkit.kinds.platform import CustomResourceDefinition, Namespace

_NO_DISCOVERY = "the group's API server did not answer discovery"


def capture(path: Path, *, taken_at: datetime | None = None, options: Options = DEFAULTS) -> Snapshot:
    """Read a folder, .zip, .tar.gz or file of Kubernetes objects into a snapshot.

    Objects out of Lists are what the API listed; single objects and manifests are "as supplied". A kind of
    which the files have no list has failed, unless discovery (or the CRDs) says that it is not served.
    Raises UsageError that names the file.
    """
    reading = Reading()
    for name, raw in archive.files(path):
        if raw is None:
            reading.unread[name] = "no JSON or YAML"
        else:
            read_file(
                name, str(path if path.is_file() and path.name.startswith(name) else f"{path}/{name}"), raw, reading
            )
    if not reading.found and not reading.others:
        raise UsageError(
            f"{path}: no Kubernetes objects found; give a folder or archive of `kubectl get KIND -A -o json` output or of manifests"
        )
    objects = {kind: _kept(kind, found, options) for kind, found in reading.found.items()}
    recorded = reading.recorded
    taken_at, dated_by = _dated(taken_at, recorded)
    origin = Origin(
        cluster=_cluster_name(path, recorded),
        source=f"files:{path.resolve().name}",
        basis="as supplied" if reading.supplied else "listed",
        cluster_uid=next((n.metadata.uid for n in objects.get(Namespace, ()) if n.name == "kube-system"), ""),
        version=reading.version,
        identity=reading.identity,
        taken_at=taken_at,
        dated_by=dated_by,
        options=options,
        tool=tool(),
    )
    return Snapshot(origin=origin, coverage=[*_coverage(reading, objects, options)], objects=objects)


def _dated(stated: datetime | None, recorded: RecordedAs | None) -> tuple[datetime | None, str]:
    """When the files were taken, in UTC, and what says so; UsageError for a time at which there was no Kubernetes."""
    when, by = stated or (recorded.server_time if recorded else None), "--taken-at" if stated else "recorded-as"
    if when is None:
        return None, "undated"
    if not 2014 <= when.year < 9999:
        raise UsageError(
            f"{by} {when.isoformat()}: no time at which a cluster was read; write it as 2026-10-31T06:00:00Z"
        )
    return when.astimezone(UTC), by


def _cluster_name(path: Path, recorded: RecordedAs | None) -> str:
    whole = path.resolve()
    name = whole.parent.name if recorded and whole.is_dir() else whole.name
    return name.removesuffix(".gz").removesuffix(".tgz").removesuffix(".tar").removesuffix(".zip")


def _kept(kind: type[Kind], found: Found, options: Options) -> list[Kind]:
    """The objects that these options allow, each once.

    Raises UsageError where two that differ have one name: they are of two clusters, or of two times.
    """
    placed: dict[tuple[str, str], tuple[Kind, str]] = {}
    for obj, place in zip(found.objects, found.places, strict=True):
        first, where = placed.setdefault((obj.namespace, obj.name), (obj, place))
        if first is not obj and first != obj:
            name = "/".join(filter(None, (obj.namespace, obj.name)))
            both = f"twice in {place}" if where == place else f"in {where} and in {place}"
            raise UsageError(f"{kind.kind} {name} is {both}, and they differ: give one dump of one cluster at a time")
    once = [obj for obj, _ in placed.values()]
    if kind is not Secret:
        return once
    secrets = [obj for obj in once if isinstance(obj, Secret)]
    for secret in secrets:
        # k8s.io/kubernetes/pkg/apis/core/v1/defaults.go SetDefaults_Secret
        secret.type = secret.type or "Opaque"
    return [reduced for secret in secrets if (reduced := kept_secret(secret, options))]


def _coverage(reading: Reading, objects: dict[type[Kind], list[Kind]], options: Options) -> Iterator[Coverage]:
    custom = _custom(reading)
    for kind in kinds.ALL:
        found, served = reading.found.get(kind), _served(kind, reading, custom)
        if kind is Secret and not reads_secrets(options):
            seen = found.seen if found else 0
            yield Coverage(resource=resource(kind), kind=kind.kind, state="excluded", note=SECRETS_EXCLUDED, seen=seen)
        elif found:
            yield _covered(kind, found, len(objects[kind]), _unlisted(kind, found, served, reading))
        elif kind.group in reading.broken:
            yield Coverage(resource=resource(kind), kind=kind.kind, state="failed", note=_NO_DISCOVERY)
        elif served == set():
            yield Coverage(resource=resource(kind), kind=kind.kind, state="not served")
        else:
            yield Coverage(resource=resource(kind), kind=kind.kind, state="failed", note="no list of it in the files")
    yield from _beside(reading)


def _covered(kind: type[Kind], found: Found, kept: int, unlisted: str) -> Coverage:
    """How a kind of which the files hold objects was read; `unlisted` says which of its lists are missing."""
    return Coverage(
        resource=resource(kind),
        kind=kind.kind,
        version=found.version,
        state="partial" if found.malformed or found.faults or unlisted else "collected",
        seen=found.seen,
        kept=kept,
        malformed=tuple(found.malformed),
        pages=tuple(found.pages.values()),
        resource_version=found.resource_version,
        request=", ".join(found.pages),
        note="; ".join(filter(None, (found.note, unlisted))),
    )


def _beside(reading: Reading) -> Iterator[Coverage]:
    """What there is beside the kinds that auditkit reads: groups that did not answer, other kinds, other files."""
    for group in sorted(reading.broken - {kind.group for kind in kinds.ALL}):
        yield Coverage(resource=f"*.{group}", state="failed", note=_NO_DISCOVERY)
    unlisted = {name: 0 for name in reading.served if kinds.served_as(name) is None}
    for name, count in {**unlisted, **reading.others}.items():
        if name in EXCLUDED:
            yield Coverage(resource=name, state="excluded", note=EXCLUDED[name], seen=count)
        elif name in reading.others:
            yield Coverage(resource=name, state="not read", note="auditkit has no use for this kind", seen=count)
    if reading.unread:
        named = [f"{name} ({why})" for name, why in sorted(reading.unread.items())]
        more = f" and {len(named) - 5} more" if len(named) > 5 else ""
        note = f"files without objects of a cluster: {', '.join(named[:5])}{more}"
        yield Coverage(resource="files", state="not read", note=note)


def _custom(reading: Reading) -> set[str] | None:
    """The resources that CRDs define; None where the files have no whole list of CRDs."""
    found = reading.found.get(CustomResourceDefinition)
    if not found or not found.whole:
        return None
    defined = [c.spec for c in found.objects if isinstance(c, CustomResourceDefinition)]
    if not all(spec and spec.names for spec in defined):
        return None
    return {f"{spec.names.plural}.{spec.group}" for spec in defined if spec and spec.names}


def _served(kind: type[Kind], reading: Reading, custom: set[str] | None) -> set[str] | None:
    """The resources of this kind that the cluster serves, by discovery or else a whole list of CRDs; None: not known."""
    # Discovery is two documents: one of the core group ("pods"), one of all others ("jobs.batch").
    if any(("." in name) == bool(kind.group) for name in reading.served):
        known = reading.served
    elif custom is not None and kind.group not in kinds.BUILT_IN:
        known = custom
    else:
        return None
    return {name for name in known if kinds.served_as(name) is kind}


def _unlisted(kind: type[Kind], found: Found, served: set[str] | None, reading: Reading) -> str:
    """Why the lists of a kind that is a whole group are not all that the cluster has; empty where they are."""
    if kind.plural != "*" or not found.listed:
        return ""
    if served is None or kind.group in reading.broken:
        return "which resources the group has is not in the files: add discovery, or the list of CRDs"
    missing = sorted(served - {f"{name}.{kind.group}" for name in found.listed})
    return f"no list of {', '.join(missing)} in the files" if missing else ""
