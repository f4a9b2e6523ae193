"""The parts that OSCAL documents are made of, as JSON objects in its own names."""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any
from uuid import NAMESPACE_URL, UUID, uuid5

Part = dict[str, Any]

# The namespace of our properties: OSCAL's own names mean what NIST says, and nothing else.
NS = "urn:auditkit:oscal"
# Evidence is in the files: a document only says which, and what was found there, in a line.
LONGEST = 300


def uuid(run: str, *place: str) -> str:
    """The same id for the same object of the same run, in every export."""
    return str(uuid5(_base(run), "/".join(place)))


@cache
def _base(run: str) -> UUID:
    return uuid5(NAMESPACE_URL, f"urn:auditkit:{run}")


def line(value: object, longest: int = LONGEST) -> str:
    """Text as OSCAL takes it: one line without space around it, never empty; what is longer is cut."""
    text = " ".join(str(value).split()) or "–"
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def token(text: str) -> str:
    """An id as OSCAL takes it: `CC6.3` becomes `cc6.3`."""
    plain = re.sub(r"[^a-z0-9._-]", "-", text.lower())
    return plain if plain[:1].isalpha() else f"_{plain}"


def prop(name: str, value: object, remarks: str = "") -> Part:
    """A property of our own namespace."""
    return {"name": name, "ns": NS, "value": line(value)} | ({"remarks": line(remarks)} if remarks else {})


def props(values: Mapping[str, object]) -> list[Part]:
    """Our properties, without those that have no value."""
    return [prop(name, value) for name, value in values.items() if value not in (None, "")]


def origins(tool: str) -> list[Part]:
    """Who says so: the tool, by the uuid of its component."""
    return [{"actors": [{"type": "tool", "actor-uuid": tool}]}]


def related(name: str, uuids: Iterable[str]) -> list[Part]:
    """References to other parts, by the member that names one."""
    return [{name: id} for id in uuids]


def component(id: str, kind: str, title: str, description: str, values: Mapping[str, object]) -> Part:
    """A component of the system, or the tool; `values` become its properties."""
    found = props(values)
    return {
        "uuid": id,
        "type": kind,
        "title": line(title),
        "description": line(description),
        **({"props": found} if found else {}),
        "status": {"state": "operational"},
    }


def resource(id: str, path: str, sha256: str) -> Part:
    """A file of the pack, by its path in there."""
    link: Part = {"href": path, "hashes": [{"algorithm": "SHA-256", "value": sha256}]}
    return {"uuid": id, "title": path, "rlinks": [link | {"media-type": media_type(path)}]}


def media_type(path: str) -> str:
    return _MEDIA.get(path.rpartition(".")[2], "application/octet-stream")


_MEDIA = {
    "csv": "text/csv",
    "html": "text/html",
    "ipynb": "application/x-ipynb+json",
    "json": "application/json",
    "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet",
    "toml": "application/toml",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "zst": "application/zstd",
}
