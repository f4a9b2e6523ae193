"""CSV files of people: how the rows of one become records, and what is wrong with it by file and line."""

import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from auditkit.capture.imports.base import Document
from auditkit.errors import UsageError
from auditkit.kinds import Malformed, Record

T = TypeVar("T", bound=Record)


def document(paths: Sequence[Path], record: type[T], lists: Mapping[str, str] | None = None) -> Document:
    """The rows of CSV files with a header as records: a column is named as the field, or not kept.

    `lists` gives the separator of fields that hold several values. An empty cell is a missing value. Raises UsageError
    that names file and line where a file is no CSV in UTF-8, or its header lacks a column that every record needs.
    """
    fields = {f.name: f for f in msgspec.structs.fields(record)}
    records, faults, rows = [], [], 0
    for path in paths:
        for line, row in _rows(path, [name for name, f in fields.items() if f.required], fields):
            rows += 1
            try:
                records.append(msgspec.convert(_values(row, fields, lists or {}), record, strict=False))
            except (msgspec.ValidationError, ValueError) as error:
                faults.append(Malformed(name=f"{path.name}:{line}", fault=str(error)))
    return Document(records={record: records}, rows=rows, format="CSV", malformed=faults)


def _rows(path: Path, needed: Sequence[str], known: Mapping[str, Any]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.DictReader(stream, strict=True)
            header = [name.strip() for name in reader.fieldnames or ()]
            if lacking := [name for name in needed if name not in header]:
                there = ", ".join(header) or "nothing"
                raise UsageError(
                    f"{path}:1: the header lacks {', '.join(lacking)}; it has {there}; known columns are {', '.join(known)}"
                )
            reader.fieldnames = header
            for row in reader:
                yield reader.line_num, row
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: not UTF-8 at byte {error.start}; save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise UsageError(f"{path}:{reader.line_num}: not CSV after this line: {error}") from None


def _values(row: Mapping[str, Any], fields: Mapping[str, Any], lists: Mapping[str, str]) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ValueError("as many cells as the header has columns are needed")
    found: dict[str, Any] = {}
    for name, field in fields.items():
        text = (row.get(name) or "").strip()
        if not text:
            continue
        if name in lists:
            found[field.encode_name] = [part.strip() for part in text.split(lists[name]) if part.strip()]
        else:
            found[field.encode_name] = text
    return found
