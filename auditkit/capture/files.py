"""The door for files: dumps of `kubectl get -o json`, single objects, manifests, recorded API answers."""

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
import yaml

from auditkit import kinds
from auditkit.capture import archive
from auditkit.capture.policy import EXCLUDED, SECRETS_EXCLUDED, kept_secret, reads_secrets
from auditkit.capture.snapshot import Coverage, Identity, Options, Origin, Snapshot
from auditkit.errors import UsageError
from auditkit.kinds import Kind, Malformed, resource
from auditkit.kinds.certificates import Secret
from auditkit.kinds.platform import CustomResourceDefinition, Namespace

# Groups whose kinds are built into every API server, or into none: what is not a CRD's.
BUILT_IN = ("", "apps", "batch", "autoscaling", "policy", "extensions")


DEFAULTS = Options()


class _Head(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""


class _RecordedAs(msgspec.Struct):
    recorded_as: str = ""
    server_time: datetime | None = None


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp stays a string."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass
class _Found:
    """What the files held of one kind."""

    seen: int = 0
    objects: list[Kind] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    version: str = ""
    resource_version: str = ""


@dataclass
class _Reading:
    """What was read so far from all files."""

    found: dict[type[Kind], _Found] = field(default_factory=lambda: defaultdict(_Found))
    others: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    supplied: bool = False
    ignored: list[str] = field(default_factory=list)
    version: str = ""
    identity: Identity = field(default_factory=Identity)
    recorded: _RecordedAs | None = None
    served: set[str] | None = None
    broken: set[str] = field(default_factory=set)


def capture(
    path: Path, *, cluster: str = "", taken_at: datetime | None = None, options: Options = DEFAULTS, tool: str = ""
) -> Snapshot:
    """Read a folder, .zip, .tar.gz or file of Kubernetes objects into a snapshot.

    Objects out of Lists are what the API listed; single objects and manifests are "as supplied". A kind of
    which the files have no list has failed, unless discovery (or the CRDs) says that it is not served.
    Raises UsageError that names the file.
    """
    reading = _Reading()
    for name, raw in archive.files(path):
        try:
            _read_file(name, raw, reading)
        except (msgspec.DecodeError, yaml.YAMLError, UnicodeDecodeError) as error:
            reason = " ".join(str(error).split())
            place = path if path.is_file() and name == path.name else f"{path}/{name}"
            raise UsageError(f"{place}: not valid {'JSON' if name.endswith('json') else 'YAML'}: {reason}") from None
    if not reading.found and not reading.others:
        raise UsageError(
            f"{path}: no Kubernetes objects found; give a folder or archive of `kubectl get KIND -A -o json` output or of manifests"
        )
    objects = {kind: _kept(kind, found, options) for kind, found in reading.found.items()}
    recorded = reading.recorded
    dated = taken_at or (recorded.server_time if recorded else None)
    origin = Origin(
        cluster=cluster or _cluster_name(path, recorded),
        source=f"files:{path.resolve().name}",
        basis="as supplied" if reading.supplied else "listed",
        cluster_uid=next((n.metadata.uid for n in objects.get(Namespace, ()) if n.name == "kube-system"), ""),
        version=reading.version,
        identity=reading.identity,
        taken_at=dated.astimezone(UTC) if dated else None,
        dated_by="--taken-at" if taken_at else ("recorded-as" if dated else "undated"),
        options=options,
        tool=tool,
    )
    return Snapshot(origin=origin, coverage=[*_coverage(reading, objects, options)], objects=objects)


def _cluster_name(path: Path, recorded: _RecordedAs | None) -> str:
    whole = path.resolve()
    name = whole.parent.name if recorded and whole.is_dir() else whole.name
    return name.removesuffix(".gz").removesuffix(".tgz").removesuffix(".tar").removesuffix(".zip")


def _read_file(name: str, raw: bytes, reading: _Reading) -> None:
    stem = PurePosixPath(name).name
    if stem == "recorded-as":
        reading.recorded = msgspec.json.decode(raw, type=_RecordedAs)
    elif stem == "version.json":
        reading.version = str(msgspec.json.decode(raw).get("gitVersion", ""))
    elif stem == "selfsubjectreview.json":
        user = msgspec.json.decode(raw).get("status", {}).get("userInfo", {})
        reading.identity = Identity(username=user.get("username", ""), groups=tuple(user.get("groups", ())))
    elif stem.startswith("discovery-"):
        _read_discovery(stem, raw, reading)
    elif stem.endswith(".json"):
        _read_json(name, raw, reading)
    else:
        for document in yaml.load_all(raw, _Loader):
            _read_document(name, document, reading)


def _read_discovery(stem: str, raw: bytes, reading: _Reading) -> None:
    """Aggregated discovery: what is served, and the groups whose server did not answer."""
    if not stem.startswith("discovery-aggregated"):
        return
    served = reading.served = reading.served or set()
    for group in msgspec.json.decode(raw).get("items", ()):
        name = group.get("metadata", {}).get("name", "")
        for version in group.get("versions", ()):
            if version.get("freshness") == "Stale" and not version.get("resources"):
                reading.broken.add(name)
            served.update(f"{r['resource']}.{name}" if name else r["resource"] for r in version.get("resources", ()))


def _read_json(name: str, raw: bytes, reading: _Reading) -> None:
    head = msgspec.json.decode(raw, type=_Head)
    group = head.api_version.rpartition("/")[0]
    kind = kinds.BY_KIND.get((group, head.kind.removesuffix("List")))
    if head.kind.endswith("List") and head.kind != "List" and kind:
        meta, objects, malformed = kinds.decode_page(kind, raw)
        found = reading.found[kind]
        found.seen += len(objects) + len(malformed)
        found.objects += objects
        found.malformed += malformed
        found.pages.append(hashlib.sha256(raw).hexdigest())
        found.places += [name] * len(objects)
        found.version, found.resource_version = head.api_version.rpartition("/")[2], meta.resource_version
        if meta.continue_:
            found.malformed.append(Malformed(fault=f"{name} is one page of a longer list: `continue` is set"))
        return
    _read_document(name, msgspec.json.decode(raw), reading, pages=[hashlib.sha256(raw).hexdigest()])


def _read_document(name: str, document: Any, reading: _Reading, pages: list[str] | None = None) -> None:
    if not isinstance(document, dict) or not document.get("kind") or not document.get("apiVersion"):
        reading.ignored += [name] if document is not None else []
        return
    kind_name, group = str(document["kind"]), str(document["apiVersion"]).rpartition("/")[0]
    if isinstance(document.get("items"), list):
        items = document["items"]
        kind = kinds.BY_KIND.get((group, kind_name.removesuffix("List"))) or _kind_of_file(name)
        if kind:
            reading.found[kind].pages += pages or []
        if kind_name not in ("List",) and not kind:
            reading.others[_unread(group, kind_name.removesuffix("List"), name)] += len(items)
            return
        for item in items:
            if isinstance(item, dict) and kind_name != "List":
                item = {"apiVersion": document["apiVersion"], "kind": kind_name.removesuffix("List"), **item}
            _read_object(name, item, reading)
        return
    reading.supplied = True
    _read_object(name, document, reading)


def _read_object(name: str, document: Any, reading: _Reading) -> None:
    if not isinstance(document, dict):
        reading.ignored.append(name)
        return
    group = str(document.get("apiVersion") or "").rpartition("/")[0]
    kind = kinds.BY_KIND.get((group, str(document.get("kind") or "")))
    if kind is None:
        reading.others[_unread(group, str(document.get("kind") or ""), "")] += 1
        return
    found = reading.found[kind]
    objects, malformed = kinds.read_all(kind, [document])
    found.seen += 1
    found.version = str(document["apiVersion"]).rpartition("/")[2]
    found.objects += objects
    found.malformed += malformed
    found.places += [name] * len(objects)


def _kind_of_file(name: str) -> type[Kind] | None:
    """The kind that a file is named after (pods.json, deployments.apps.json): an empty `kind: List` does not say."""
    stem = PurePosixPath(name).stem.removesuffix(".core")
    return kinds.BY_RESOURCE.get(stem) or next((k for k in kinds.ALL if k.plural == stem and k.group in BUILT_IN), None)


def _unread(group: str, kind: str, name: str) -> str:
    stem = PurePosixPath(name).stem.removesuffix(".core")
    return stem if stem and "." in stem else f"{stem or kind.lower()}{'.' + group if group else ''}"


def _kept(kind: type[Kind], found: _Found, options: Options) -> list[Kind]:
    """The objects that these options allow, each once."""
    placed: dict[tuple[str, str], str] = {}
    for obj, place in zip(found.objects, found.places, strict=True):
        key = (obj.namespace, obj.name)
        if key in placed:
            both = f"{placed[key]} and {place}" if placed[key] != place else f"twice in {place}"
            raise UsageError(
                f"{kind.kind} {'/'.join(filter(None, key))} is in {both}: give one dump of one cluster at a time"
            )
        placed[key] = place
    if kind is not Secret:
        return list(found.objects)
    secrets = [obj for obj in found.objects if isinstance(obj, Secret)]
    for secret in secrets:
        # k8s.io/kubernetes/pkg/apis/core/v1/defaults.go SetDefaults_Secret
        secret.type = secret.type or "Opaque"
    return [reduced for secret in secrets if (reduced := kept_secret(secret, options))]


def _coverage(reading: _Reading, objects: dict[type[Kind], list[Kind]], options: Options) -> Iterator[Coverage]:
    custom = {
        f"{c.spec.names.plural}.{c.spec.group}"
        for c in objects.get(CustomResourceDefinition, ())
        if isinstance(c, CustomResourceDefinition) and c.spec and c.spec.names
    }
    for kind in kinds.ALL:
        found = reading.found.get(kind)
        name = resource(kind)
        if kind is Secret and not reads_secrets(options):
            yield Coverage(
                resource=name, kind=kind.kind, state="excluded", note=SECRETS_EXCLUDED, seen=found.seen if found else 0
            )
        elif found:
            yield Coverage(
                resource=name,
                kind=kind.kind,
                version=found.version,
                state="partial" if found.malformed else "collected",
                seen=found.seen,
                kept=len(objects[kind]),
                malformed=tuple(found.malformed),
                pages=tuple(found.pages),
                resource_version=found.resource_version,
                request=", ".join(dict.fromkeys(found.places)),
                note="; ".join(f"{m.namespace}/{m.name}: {m.fault}" for m in found.malformed[:3]),
            )
        elif kind.group in reading.broken:
            yield Coverage(
                resource=name, kind=kind.kind, state="failed", note="the group's API server did not answer discovery"
            )
        elif _not_served(kind, reading, custom, CustomResourceDefinition in reading.found):
            yield Coverage(resource=name, kind=kind.kind, state="not served")
        else:
            yield Coverage(resource=name, kind=kind.kind, state="failed", note="no list of it in the files")
    for group in sorted(reading.broken - {kind.group for kind in kinds.ALL}):
        yield Coverage(resource=f"*.{group}", state="failed", note="the group's API server did not answer discovery")
    known = {resource(kind) for kind in kinds.ALL}
    unlisted = {name: 0 for name in reading.served or () if name not in known}
    for name, count in {**unlisted, **reading.others}.items():
        if name in EXCLUDED:
            yield Coverage(resource=name, state="excluded", note=EXCLUDED[name], seen=count)
        elif name in reading.others:
            yield Coverage(resource=name, state="not read", note="auditkit has no use for this kind", seen=count)


def _not_served(kind: type[Kind], reading: _Reading, custom: set[str], crds_listed: bool) -> bool:
    """Whether discovery, or else the list of CRDs, shows that the cluster does not serve this kind."""
    if reading.served is not None:
        return resource(kind) not in reading.served
    built_in = kind.group in BUILT_IN or (kind.group.endswith(".k8s.io") and "gateway" not in kind.group)
    return crds_listed and not built_in and resource(kind) not in custom
