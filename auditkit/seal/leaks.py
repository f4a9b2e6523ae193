"""Looks for secrets in the finished files of a pack, inside archives too: the last gate before the seal."""

import json
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from auditkit.errors import LeakError
from auditkit.kinds.judge import UNMISTAKABLE

PATTERNS = {what: re.compile(text.encode()) for what, text in UNMISTAKABLE.items()}


def refuse(folder: Path) -> None:
    """Raises LeakError where a file of the folder holds a secret, and names file, object and field."""
    if found := scan(folder):
        raise LeakError("not published, as secrets were found in: " + "; ".join(found))


def scan(folder: Path) -> list[str]:
    """What was found, as "path: what", of a kept object "path: what in NAMESPACE/NAME FIELD"; the value is never repeated."""
    faults = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        for content in _contents(path):
            for what, pattern in PATTERNS.items():
                if pattern.search(content):
                    places = _places(content, pattern) if path.name.endswith(".jsonl.zst") else [""]
                    faults += [f"{path.relative_to(folder)}: {what}{place}" for place in places]
    return list(dict.fromkeys(faults))


def _places(content: bytes, pattern: re.Pattern[bytes]) -> list[str]:
    """The objects, one JSON document a line, and their fields that hold what the pattern finds."""
    found = []
    for document in (json.loads(line) for line in content.splitlines() if pattern.search(line)):
        name = "/".join(filter(None, (document["metadata"].get(key) for key in ("namespace", "name"))))
        fields = [field for field, text in _texts(document) if pattern.search(text.encode())]
        said = f" in {name} {', '.join(fields)}"
        found.append("" if pattern.search(said.encode()) else said)
    return found


def _texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Every text of a JSON document with its dotted place."""
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, f"{place}.{name}".lstrip("."))
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from _texts(inner, f"{place}[{number}]")


def _contents(path: Path) -> Iterator[bytes]:
    """The bytes of a file as a reader would see them: unzipped, decompressed, decoded."""
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as archive:
            yield from (archive.read(name) for name in archive.namelist())
    elif path.suffix == ".zst":
        with pa.CompressedInputStream(str(path), "zstd") as stream:
            yield stream.read()
    elif path.suffix == ".parquet":
        table = pq.read_table(path)
        for column in table.columns:
            values = column.combine_chunks()
            while pa.types.is_list(values.type):
                values = values.flatten()
            if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
                yield "\n".join(v for v in values.to_pylist() if v).encode()
    else:
        yield path.read_bytes()
