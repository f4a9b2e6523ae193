"""Which kept fields of an object differ, by path, with their values before and after."""

from collections.abc import Iterator
from typing import Any

import msgspec

from auditkit.kinds import Kind

Field = tuple[str, str | None, str | None]
# Judged apart: who wrote is no state, and what identifies an object is not changed in it.
_APART = {"managedFields", "uid", "name", "namespace", "generateName", "creationTimestamp"}
_ENCODER = msgspec.json.Encoder(order="sorted")


def differing(old: Kind, new: Kind) -> list[Field]:
    """Path, value before and value after as JSON (None: not there), sorted by path.

    Lists whose items have names of their own are compared by name, `containers[web].image`; of other lists the items
    that came and went are given, as the list's own path. Swapped arguments give the same paths with swapped values.
    """
    return sorted(_walk("", _plain(old), _plain(new)))


def _plain(obj: Kind) -> dict[str, Any]:
    document: dict[str, Any] = msgspec.to_builtins(obj)
    meta = {k: v for k, v in document.get("metadata", {}).items() if k not in _APART}
    return {**document, "metadata": meta}


def _walk(path: str, old: Any, new: Any) -> Iterator[Field]:
    if old == new and type(old) is type(new):
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in {*old, *new}:
            yield from _walk(_step(path, key), old.get(key), new.get(key))
    elif isinstance(old, list) and isinstance(new, list):
        before, after = _by_name(old), _by_name(new)
        if before is not None and after is not None:
            for key in {*before, *after}:
                yield from _walk(f"{path}[{key}]", before.get(key), after.get(key))
        else:
            yield _items(path, old, new)
    else:
        yield path, _text(old), _text(new)


def _step(path: str, key: str) -> str:
    """A key with dots, as labels and annotations have, is quoted."""
    if "." in key or "/" in key:
        return f'{path}["{key}"]'
    return f"{path}.{key}" if path else key


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """The items by their names where each has one of its own."""
    named = {item["name"]: item for item in items if isinstance(item, dict) and isinstance(item.get("name"), str)}
    return named if len(named) == len(items) else None


def _items(path: str, old: list[Any], new: list[Any]) -> Field:
    before, after = [_ENCODER.encode(item) for item in old], [_ENCODER.encode(item) for item in new]
    gone, come = _without(before, after), _without(after, before)
    if not gone and not come:  # the order alone differs
        gone, come = before, after
    return path, _list(gone), _list(come)


def _without(items: list[bytes], others: list[bytes]) -> list[bytes]:
    left = list(others)
    return [item for item in items if item not in left or left.remove(item)]  # type: ignore[func-returns-value]


def _list(items: list[bytes]) -> str:
    return f"[{','.join(item.decode() for item in items)}]"


def _text(value: Any) -> str | None:
    return None if value is None else _ENCODER.encode(value).decode()
