"""Reads YAML of others as Kubernetes does, and unharmed by what is nested, tagged or counted beyond reason."""

from collections.abc import Iterator
from typing import Any

import msgspec
import yaml
from yaml.composer import Composer


class _Loader(Composer, yaml.CSafeLoader):
    """A timestamp stays a string.

    Nodes are put together in Python: libyaml's way crashes the process where they are nested too deeply.
    """

    def __init__(self, stream: bytes | str) -> None:
        yaml.CSafeLoader.__init__(self, stream)
        Composer.__init__(self)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def documents(text: bytes | str) -> Iterator[Any]:
    """The documents of a text; raises msgspec.DecodeError for what is no YAML, RecursionError for what is nested too deeply."""
    try:
        yield from yaml.load_all(text, _Loader)
    # The last of them come from numbers of thousands of digits, and from texts that their tag does not fit.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, ArithmeticError) as error:
        raise msgspec.DecodeError(str(error)) from None


def decode(text: str, shape: Any) -> Any:
    """The one document of a text as `shape`, None where it is empty; raises msgspec.MsgspecError where it is another thing."""
    try:
        found = list(documents(text)) or [None]
    except RecursionError:
        raise msgspec.DecodeError("nested too deeply") from None
    if len(found) > 1:
        raise msgspec.DecodeError("several documents")
    return msgspec.convert(found[0], shape)
