"""Objects by kind: what every engine reads, whether it comes from a snapshot or from manifests."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from auditkit import kinds
from auditkit.kinds import Kind

K = TypeVar("K", bound=Kind)


class Objects(Protocol):
    """Objects by kind, as a snapshot keeps them; a kind without any is an empty sequence."""

    def __getitem__(self, kind: type[K], /) -> Sequence[K]: ...


class Gathered:
    """Structs and manifests by kind; `others` are the manifests of kinds that auditkit does not read."""

    def __init__(self, objects: Any) -> None:
        """`objects` is a mapping of kinds to objects, or an iterable of Structs and dicts.

        Raises msgspec.ValidationError where a manifest is malformed.
        """
        self._found: dict[type[Kind], list[Any]] = {}
        self.others: list[Mapping[str, Any]] = []
        each: Iterable[Any] = (o for k in objects for o in objects[k]) if isinstance(objects, Mapping) else objects
        for obj in each:
            try:
                struct = obj if isinstance(obj, Kind) else kinds.of(obj)
            except KeyError:
                self.others.append(obj)
            else:
                self._found.setdefault(type(struct), []).append(struct)

    def __getitem__(self, kind: type[K]) -> Sequence[K]:
        return self._found.get(kind, ())
