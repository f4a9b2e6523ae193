"""What the files of a dump or of manifests hold: lists, single objects, and what kubectl says about the cluster."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import msgspec

from auditkit import kinds
from auditkit.capture import answers
from auditkit.capture.snapshot import Identity
from auditkit.errors import UsageError
from auditkit.kinds import Kind, ListMeta, Malformed, yamls


@dataclass
class Found:
    """What the files held of one kind.

    `places` names the file of each object, `pages` has the sha256 of each file; `faults` say why a list is not whole.
    `listed` are the kinds, in lower case, of which there was a list: several where a whole group is read as one.
    """

    objects: list[Kind] = field(default_factory=list)
    places: list[str] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    pages: dict[str, str] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    unplaced: int = 0
    version: str = ""
    resource_version: str = ""
    listed: set[str] = field(default_factory=set)

    @property
    def seen(self) -> int:
        return len(self.objects) + len(self.malformed)

    @property
    def whole(self) -> bool:
        """Whether a list of the kind was read to its end, and all of it was understood."""
        return bool(self.listed) and not self.malformed and not self.faults

    @property
    def note(self) -> str:
        unread = [f"{m.namespace}/{m.name}: {m.fault}" for m in self.malformed[:3]]
        unplaced = [f"without a namespace, taken to be in default: {self.unplaced}"] if self.unplaced else []
        return "; ".join([*self.faults, *unread, *self.notes, *unplaced])


@dataclass
class Reading:
    """What was read so far from all files.

    `others` counts the objects of kinds that auditkit does not read, `unread` says why a file holds no objects.
    """

    found: dict[type[Kind], Found] = field(default_factory=lambda: defaultdict(Found))
    others: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    unread: dict[str, str] = field(default_factory=dict)
    supplied: bool = False
    version: str = ""
    identity: Identity = field(default_factory=Identity)
    recorded: answers.RecordedAs | None = None
    served: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)


class File(NamedTuple):
    """A file by its name in the folder or archive, as messages name it, and by the sha256 of its bytes."""

    name: str
    place: str
    page: str


class _Head(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    items: msgspec.Raw = msgspec.Raw()


def read_file(name: str, place: str, raw: bytes, reading: Reading) -> None:
    """Add what one file holds to `reading`.

    Raises UsageError that names `place` where the file cannot be understood: what it may hold would be missing.
    """
    try:
        _read(File(name, place, hashlib.sha256(raw).hexdigest()), _utf8(raw), reading)
    except RecursionError:
        raise UsageError(f"{place}: nested too deeply for a Kubernetes object; leave the file out") from None
    except msgspec.ValidationError as error:
        raise UsageError(
            f"{place}: not as Kubernetes writes it: {error}; take it again, or leave the file out"
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        hint = (
            "render templates first, or leave the file out" if b"{{" in raw else "take it again, or leave the file out"
        )
        raise UsageError(f"{place}: not valid {_language(name)}: {reason}; {hint}") from None


def _language(name: str) -> str:
    suffix = PurePosixPath(name).suffix.casefold()
    return "JSON" if suffix.startswith(".json") else "YAML" if suffix in (".yaml", ".yml") else "JSON or YAML"


def _utf8(raw: bytes) -> bytes:
    """The text as UTF-8 without a byte order mark: `>` in PowerShell writes UTF-16."""
    encoding = json.detect_encoding(raw)
    return raw if encoding == "utf-8" else raw.decode(encoding).encode()


def _read(file: File, raw: bytes, reading: Reading) -> None:
    stem = PurePosixPath(file.name).name.casefold()
    if stem == "recorded-as":
        reading.recorded = msgspec.json.decode(raw, type=answers.RecordedAs)
    elif stem == "version.json":
        reading.version = answers.version(raw)
    elif stem.endswith(".json"):
        _read_json(file, raw, reading)
    elif stem.endswith(".jsonl"):
        for line in filter(bytes.strip, raw.splitlines()):
            _read_document(file, msgspec.json.decode(line), reading)
    else:
        for document in yamls.documents(raw):
            _read_document(file, document, reading)


def _read_about(document: dict[str, Any], reading: Reading) -> None:
    if document["kind"] == "SelfSubjectReview":
        reading.identity = answers.identity(document)
    elif document["kind"] == "APIGroupDiscoveryList":
        served, broken = answers.discovered(document)
        reading.served |= served
        reading.broken |= broken


def _read_json(file: File, raw: bytes, reading: Reading) -> None:
    """A list of a known kind is decoded typed, which is fast; all else goes by way of plain dicts."""
    try:
        head = msgspec.json.decode(raw, type=_Head)
    except msgspec.ValidationError:
        head = _Head()
    group, _, version = head.api_version.rpartition("/")
    kind = kinds.named(group, head.kind.removesuffix("List"))
    if kind and head.kind.endswith("List") and head.items and version in kind.versions:
        meta, objects, malformed = kinds.decode_page(kind, raw)
        _listed(file, head.kind, _keep(file, kind, version, objects, malformed, reading), meta)
    else:
        _read_document(file, msgspec.json.decode(raw), reading)


def _named(document: Any) -> bool:
    """Whether the document says what it is."""
    return (
        isinstance(document, dict)
        and isinstance(document.get("kind"), str)
        and isinstance(document.get("apiVersion"), str)
        and bool(document["kind"] and document["apiVersion"])
    )


def _pass_over(file: File, document: Any, reading: Reading) -> None:
    """Note a document that is none of Kubernetes; refuse one that may be, as its objects would be missing."""
    told = document if isinstance(document, dict) else {"items": document}
    items, kind = told.get("items"), told.get("kind")
    if isinstance(items, list) and any(map(_named, items)):
        raise UsageError(f"{file.place}: objects outside a List; give the answer of `kubectl get -o json` as it is")
    if isinstance(kind, str) and kind.removesuffix("List") in {name for _, name in kinds.BY_KIND}:
        raise UsageError(f"{file.place}: a {kind} without apiVersion; add it, or leave the file out")
    if document is not None:
        reading.unread[file.name] = "no kind and apiVersion"


def _read_document(file: File, document: Any, reading: Reading) -> None:
    if isinstance(document, dict) and document.get("kind") in answers.ABOUT:
        _read_about(document, reading)
        return
    if not _named(document):
        _pass_over(file, document, reading)
        return
    kind = str(document["kind"])
    group = str(document["apiVersion"]).rpartition("/")[0]
    if kind.endswith("List") and "items" in document:
        _read_list(file, document, reading)
    elif kind == "List" or (kind.endswith("List") and kinds.named(group, kind.removesuffix("List"))):
        raise UsageError(f"{file.place}: a {kind} without items; take it again")
    else:
        reading.supplied = True
        _add(file, document["apiVersion"], kind, [document], reading)


def _read_list(file: File, document: dict[str, Any], reading: Reading) -> None:
    """A list of one kind, or kubectl's `kind: List` of objects that each say what they are."""
    items = msgspec.convert(document["items"] or [], list[Any])
    meta = msgspec.convert(document.get("metadata") or {}, ListMeta)
    if document["kind"] != "List":
        name = document["kind"].removesuffix("List")
        _listed(file, name, _add(file, document["apiVersion"], name, items, reading), meta)
        return
    sorts: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for number, item in enumerate(items, 1):
        if not _named(item):
            raise UsageError(
                f"{file.place}: item {number} of the List has no kind or no apiVersion, which `kubectl get -o json` writes "
                "for each; take it again"
            )
        if item["kind"].endswith("List"):
            _read_document(file, item, reading)
        else:
            sorts[item["apiVersion"], item["kind"]].append(item)
    if not items and (kind := _kind_of_file(file.name)):
        found = _keep(file, kind, "", [], [], reading)
        found.notes.append(f"{file.name} is an empty List: its name says the kind")
        _listed(file, PurePosixPath(file.name).name.partition(".")[0], found, meta)
    for (api_version, name), documents in sorts.items():
        _listed(file, name, _add(file, api_version, name, documents, reading), meta)


def _listed(file: File, name: str, found: Found | None, meta: ListMeta) -> None:
    """What the list of the kind `name` says of itself; None where auditkit does not read its kind."""
    if found is None:
        return
    found.listed.add(name.removesuffix("List").casefold())
    found.resource_version = meta.resource_version
    if meta.continue_:
        found.faults.append(f"{file.name} is one page of a longer list: `continue` is set")


def _add(file: File, api_version: str, kind_name: str, documents: Sequence[Any], reading: Reading) -> Found | None:
    group, _, version = api_version.rpartition("/")
    kind = kinds.named(group, kind_name)
    if kind is None:
        reading.others[_plural(file.name, group, kind_name)] += len(documents)
        return None
    if version in kind.versions:
        objects, malformed = kinds.read_all(kind, documents)
    else:
        fault = f"served as {version}; this version of auditkit reads {', '.join(kind.versions)}"
        objects, malformed = [], [kinds.unread(document, fault) for document in documents]
    return _keep(file, kind, version, objects, malformed, reading)


def _keep(
    file: File, kind: type[Kind], version: str, objects: list[Any], malformed: list[Malformed], reading: Reading
) -> Found:
    """Add objects of one file; one that names no namespace is in `default`, where kubectl would put it."""
    found = reading.found[kind]
    for obj in objects if kind.namespaced else ():
        if not obj.metadata.namespace:
            obj.metadata.namespace = "default"
            found.unplaced += 1
    found.objects += objects
    found.places += [file.name] * len(objects)
    found.malformed += malformed
    found.pages[file.name] = file.page
    found.version = version
    return found


def _kind_of_file(name: str) -> type[Kind] | None:
    """The kind that a file is named after (pods.json, deployments.apps.json): an empty `kind: List` does not say."""
    stem = PurePosixPath(name).stem.casefold().removesuffix(".core")
    return kinds.served_as(stem) or next((k for k in kinds.ALL if k.plural == stem and k.group in kinds.BUILT_IN), None)


def _plural(name: str, group: str, kind: str) -> str:
    """The resource of a kind that auditkit does not read: the file's name where it says it, else a guess.

    The guess is that of k8s.io/apimachinery/pkg/api/meta/restmapper.go UnsafeGuessKindToResource.
    """
    stem = PurePosixPath(name).stem
    if stem.endswith(f".{group or 'core'}"):
        return stem.removesuffix(".core")
    one = kind.lower()
    plural = (
        one
        if one == "endpoints"
        else one + "es"
        if one.endswith("s")
        else one[:-1] + "ies"
        if one.endswith("y")
        else one + "s"
    )
    return f"{plural}.{group}" if group else plural
