"""Objects by kind: what every engine reads, whether it comes from a snapshot or from manifests."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from auditkit import kinds
from auditkit.kinds import Kind

K = TypeVar("K", bound=Kind)


class Objects(Protocol):
    """Objects by kind, as a snapshot keeps them; a kind without any is an empty sequence."""

    def __getitem__(self, kind: type[K], /) -> Sequence[K]: ...


class Gathered:
    """Structs, manifests and lists of them by kind; `others` are the manifests of kinds that auditkit does not read."""

    def __init__(self, objects: Any) -> None:
        """`objects` is a mapping of kinds to objects, or an iterable of Structs and dicts.

        Raises ValueError where a manifest has no kind, msgspec.ValidationError where it is malformed.
        """
        self._found: dict[type[Kind], list[Any]] = {}
        self.others: list[Mapping[str, Any]] = []
        each: Iterable[Any] = (o for k in objects for o in objects[k]) if isinstance(objects, Mapping) else objects
        for obj in each:
            for struct in (obj,) if isinstance(obj, Kind) else self._structs(obj):
                self._found.setdefault(type(struct), []).append(struct)

    def __getitem__(self, kind: type[K]) -> Sequence[K]:
        return self._found.get(kind, ())

    def _structs(self, document: Mapping[str, Any]) -> Iterator[Kind]:
        """The object of a manifest, or those of a list: an API server's leave out kind and apiVersion of each."""
        kind, version = str(document.get("kind") or ""), str(document.get("apiVersion") or "")
        if not kind:
            raise ValueError(f"an object without kind: {(document.get('metadata') or {}).get('name')}")
        if "items" in document:
            for item in document["items"] or ():
                yield from self._structs({"kind": kind.removesuffix("List"), "apiVersion": version, **item})
        elif kinds.named(version.rpartition("/")[0], kind):
            yield kinds.of(document)
        else:
            self.others.append(document)
