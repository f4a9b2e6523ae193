"""What every Kubernetes kind shares, and how JSON becomes the few fields that auditkit keeps."""

import hashlib
from collections.abc import Iterable, Iterator
from datetime import datetime
from functools import cache
from types import UnionType
from typing import Annotated, Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin

import msgspec
import yaml

from auditkit.kinds import judge
from auditkit.resources import data

# The groups that the API server itself serves, which no CRD defines: the folders of k8s.io/api, with apiextensions and
# kube-aggregator. A group is no CRD's because it ends in k8s.io: gateway.networking.k8s.io is one's.
BUILT_IN = (
    "",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "apps",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "events.k8s.io",
    "extensions",
    "flowcontrol.apiserver.k8s.io",
    "internal.apiserver.k8s.io",
    "networking.k8s.io",
    "node.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "resource.k8s.io",
    "scheduling.k8s.io",
    "storage.k8s.io",
    "storagemigration.k8s.io",
)

T = TypeVar("T")
K = TypeVar("K", bound="Kind")


class Struct(msgspec.Struct, rename="camel", omit_defaults=True, repr_omit_defaults=True, kw_only=True, gc=False):
    """Declared fields are kept, all others are dropped while decoding.

    Every field that a server may leave out is `X | None = None`: null and absent are the same to
    Kubernetes (both decode to Go's nil), while zero, "" and [] are values of their own.
    """


class Closed(Struct, forbid_unknown_fields=True):
    """A Struct in which the presence of a member that we do not know could change a verdict.

    `unknown` names such members; a check that meets one leaves the row undetermined.
    """

    unknown: tuple[str, ...] = ()


class Present(Struct):
    """An object of which only the presence is kept."""


class OwnerReference(Struct):
    api_version: str = ""
    kind: str = ""
    name: str = ""
    uid: str = ""
    controller: bool | None = None


class ManagedField(Struct):
    """Who wrote an object, how and when; which fields is dropped (their names can hold keys of secrets)."""

    manager: str = ""
    operation: str = ""
    subresource: str = ""
    time: datetime | None = None


class ObjectMeta(Struct):
    """metadata of an object; of annotations only those of data/annotations.toml; a value that is a credential is withheld."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    generation: int | None = None
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] | None = None
    annotations: dict[str, str] | None = None
    owner_references: list[OwnerReference] | None = None
    managed_fields: list[ManagedField] | None = None

    def __post_init__(self) -> None:
        if self.annotations:
            self.annotations = _without_credentials(kept_annotations(self.annotations))
        if self.labels:
            self.labels = _without_credentials(self.labels)


class Kind(Struct):
    """One object of a kind that auditkit reads; the class attributes say where the API serves it.

    The plural "*" is every resource of the group: those that a cluster makes for itself by templates.
    """

    group: ClassVar[str] = ""
    plural: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    versions: ClassVar[tuple[str, ...]] = ("v1",)
    namespaced: ClassVar[bool] = True
    # The resourceVersion that a list must name for its server to send whole objects.
    whole_at: ClassVar[str] = ""

    metadata: ObjectMeta

    @property
    def namespace(self) -> str:
        return self.metadata.namespace

    @property
    def name(self) -> str:
        return self.metadata.name or self.metadata.generate_name

    @property
    def labels(self) -> dict[str, str]:
        return self.metadata.labels or {}

    @property
    def annotations(self) -> dict[str, str]:
        return self.metadata.annotations or {}

    def __str__(self) -> str:
        """The kept fields as YAML, as `kubectl get -o yaml` writes them."""
        return yaml.safe_dump(
            {"kind": type(self).kind, **msgspec.to_builtins(self)}, sort_keys=False, allow_unicode=True
        )

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """What a notebook shows."""
        printer.text(str(self))


class Record(Struct):
    """One record of an import, a document that others made; `source` names the import, `plural` records of this class.

    `optional` ones only add: where nobody supplied them a table is complete, and a column says what is not known.
    """

    source: ClassVar[str] = ""
    plural: ClassVar[str] = ""
    optional: ClassVar[bool] = False


def resource(kind: type[Kind] | type[Record]) -> str:
    """The kind's name as kubectl prints it, e.g. "deployments.apps"; of a record "imports/" and the import's name."""
    if issubclass(kind, Record):
        return f"imports/{kind.source}"
    return f"{kind.plural}.{kind.group}" if kind.group else kind.plural


def asked_as(name: str) -> str:
    """What `kubectl get` is given for a resource: a whole group goes by its category.

    Gatekeeper puts the CRDs of constraints.gatekeeper.sh into the category `constraints` (frameworks, crd_helpers.go).
    """
    return name.removeprefix("*.").partition(".")[0] if name.startswith("*.") else name


@cache
def fields_of(struct: type[msgspec.Struct]) -> str:
    """A hash of the names of all fields that are kept, to any depth: whether two versions keep the same."""
    names = [
        f"{field.encode_name}({','.join(map(fields_of, _structs(field.type)))})"
        for field in msgspec.structs.fields(struct)
    ]
    return hashlib.sha256("\n".join(sorted(names)).encode()).hexdigest()[:16]


def _structs(hint: Any) -> Iterator[type[msgspec.Struct]]:
    for option in _options(hint):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            yield option
        elif get_origin(option) in (list, tuple, dict, Annotated):
            for inner in get_args(option):
                yield from _structs(inner)


class ListMeta(Struct):
    resource_version: str = ""
    continue_: str = msgspec.field(default="", name="continue")
    remaining_item_count: int | None = None


class Page(Struct, Generic[T]):
    """One page of a list as the API server answers it."""

    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[T] | None = None


class Malformed(Struct):
    """An object that could not be read as its kind: where, and what is wrong with it."""

    namespace: str = ""
    name: str = ""
    fault: str = ""


@cache
def _decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


# What decoding raises of bytes that are not as they were written.
UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def decode_page(kind: type[K], raw: bytes) -> tuple[ListMeta, list[K], list[Malformed]]:
    """Decode one page of a list; a page that fails is decoded again item by item.

    Raises msgspec.DecodeError where the bytes are not a JSON list document at all, or hold an object nested too deeply.
    """
    try:
        return _page(kind, raw)
    except RecursionError:
        raise msgspec.DecodeError("it holds an object that is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from None


def _page(kind: type[K], raw: bytes) -> tuple[ListMeta, list[K], list[Malformed]]:
    try:
        page = _decoder(Page[kind]).decode(raw)  # type: ignore[valid-type]
        return page.metadata, page.items or [], []
    except msgspec.ValidationError:
        loose = _decoder(Page[msgspec.Raw]).decode(raw)
    objects, faults = read_all(kind, (msgspec.json.decode(item) for item in loose.items or ()))
    return loose.metadata, objects, faults


def read_all(kind: type[K], documents: Iterable[Any]) -> tuple[list[K], list[Malformed]]:
    """Convert parsed documents to `kind`; what cannot be read is named, the rest is kept."""
    objects, faults = [], []
    for document in documents:
        try:
            objects.append(read(kind, document))
        except msgspec.ValidationError as error:
            faults.append(unread(document, str(error)))
    return objects, faults


def unread(document: Any, fault: str) -> Malformed:
    """A parsed document that is not read, by its name where it says one."""
    meta = document.get("metadata") if isinstance(document, dict) else None
    place = meta if isinstance(meta, dict) else {}
    return Malformed(namespace=str(place.get("namespace") or ""), name=str(place.get("name") or ""), fault=fault)


def read(kind: type[T], document: Any) -> T:
    """Convert one parsed document (a dict) to a Struct, with the names of unknown members in Closed ones.

    Raises msgspec.ValidationError that names the field.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError:
        return msgspec.convert(_named_unknowns(kind, document), kind)


def _named_unknowns(hint: Any, value: Any) -> Any:
    """`value` with the unknown members of Closed structs moved, by name, into `unknown`."""
    if isinstance(value, list):
        inner = next((a for t in _options(hint) if get_origin(t) in (list, tuple) for a in get_args(t)[:1]), None)
        return [_named_unknowns(inner, item) for item in value] if inner else value
    if not isinstance(value, dict):
        return value
    for option in _options(hint):
        if isinstance(option, type) and issubclass(option, msgspec.Struct):
            fields = {f.encode_name: f.type for f in msgspec.structs.fields(option)}
            known = {k: _named_unknowns(fields[k], v) for k, v in value.items() if k in fields}
            if issubclass(option, Closed):
                known["unknown"] = sorted({*value.get("unknown", ()), *(set(value) - set(fields))})
            return known
        if get_origin(option) is dict:
            return {k: _named_unknowns(get_args(option)[1], v) for k, v in value.items()}
    return value


def _options(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


@cache
def _annotation_rules() -> tuple[frozenset[str], tuple[str, ...], frozenset[str], tuple[str, ...]]:
    keep, present = data("annotations.toml")["keep"], data("annotations.toml")["present"]
    return (
        frozenset(n for n in keep if not n.endswith("*")),
        tuple(n[:-1] for n in keep if n.endswith("*")),
        frozenset(n for n in present if not n.startswith("*")),
        tuple(n[1:] for n in present if n.startswith("*")),
    )


def _without_credentials(values: dict[str, str] | None) -> dict[str, str] | None:
    if not values or not any(map(judge.is_credential, values.values())):
        return values
    return {name: judge.WITHHELD if judge.is_credential(value) else value for name, value in values.items()}


def kept_annotations(annotations: dict[str, str]) -> dict[str, str] | None:
    """The annotations of data/annotations.toml: `keep` with their value, `present` with an empty one."""
    names, prefixes, present, suffixes = _annotation_rules()
    kept = {}
    for name, value in annotations.items():
        if name in names or name.startswith(prefixes):
            kept[name] = value
        elif name in present or name.endswith(suffixes):
            kept[name] = ""
    return kept or None
