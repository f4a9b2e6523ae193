"""Looks for secrets in the finished files of a pack, inside archives too: the last gate before the seal."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

PATTERNS = {
    "a private key": re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----"),
    "a JSON web token": re.compile(rb"\beyJ[A-Za-z0-9_-]{16,}\.eyJ[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    "an AWS access key": re.compile(rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"),
    "a GitHub token": re.compile(rb"\bgh[pousr]_[A-Za-z0-9]{36}\b"),
    "a Slack token": re.compile(rb"\bxox[abprs]-[A-Za-z0-9-]{10,}"),
    "a password in a URL": re.compile(rb"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@\"'<>]{1,64}:[^\s/@\"'<>]{3,64}@[\w.-]+"),
}


def scan(folder: Path) -> list[str]:
    """What was found, as "path: what"; the value itself is never repeated."""
    faults = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        for content in _contents(path):
            faults += [
                f"{path.relative_to(folder)}: {what}" for what, pattern in PATTERNS.items() if pattern.search(content)
            ]
    return list(dict.fromkeys(faults))


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
