"""CSV files of people: how the rows of one become records, and what is wrong with it by file and line."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar, get_args

import msgspec

from auditkit.capture.imports.base import Document
from auditkit.errors import UsageError
from auditkit.kinds import Malformed, Record

T = TypeVar("T", bound=Record)
Row = tuple[str, dict[str, Any]]

NONE: Mapping[str, str] = MappingProxyType({})
# How exports write yes and no.
_WORDS = {
    **dict.fromkeys(["yes", "y", "true", "1", "enabled", "on"], True),
    **dict.fromkeys(["no", "n", "false", "0", "disabled", "off"], False),
}
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")


def document(
    paths: Sequence[Path],
    record: type[T],
    lists: Mapping[str, str] = NONE,
    *,
    columns: Mapping[str, str] = NONE,
    key: Sequence[str] = (),
) -> Document:
    """The rows of CSV files with a header as records: a column is named as the field, or not kept.

    `lists` gives the separator of fields that hold several values, `columns` the headers of fields that are named
    otherwise, `key` the fields that no two records share: the second is malformed. An empty cell is a missing value,
    a day is its midnight, a time without zone is UTC. Raises UsageError that names file and line where a file is no
    CSV in UTF-8, or its header lacks a column that every record needs or that `columns` names.
    """
    fields = {f.name: f for f in msgspec.structs.fields(record)}
    if odd := [name for name in columns if name not in fields]:
        raise UsageError(f"imports.{record.source}.columns: no column {', '.join(odd)}; known are {', '.join(fields)}")
    headers = {name: columns.get(name, name) for name in fields}
    needed = [headers[name] for name, f in fields.items() if f.required or name in columns]
    records: list[T] = []
    faults: list[Malformed] = []
    first: dict[tuple[Any, ...], str] = {}
    rows = 0
    for place, row in _rows(paths, needed, headers.values()):
        rows += 1
        try:
            found = msgspec.convert(_values(row, fields, headers, lists), record, strict=False)
            same = tuple(getattr(found, name) for name in key)
            if key and first.setdefault(same, place) != place:
                raise ValueError(f"{', '.join(key)} {', '.join(map(str, same))} is that of {first[same]} already")
            records.append(found)
        except (msgspec.ValidationError, ValueError) as error:
            faults.append(Malformed(name=place, fault=str(error)))
    return Document(records={record: records}, rows=rows, format="CSV", malformed=faults)


def _rows(paths: Sequence[Path], needed: Sequence[str], known: Iterable[str]) -> Iterator[Row]:
    """Each row by its header, with its place: FILE:LINE."""
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                reader = csv.DictReader(stream, strict=True)
                header = [name.strip() for name in reader.fieldnames or ()]
                _refuse(path, header, needed, known)
                reader.fieldnames = header
                for row in reader:
                    yield f"{path.name}:{reader.line_num}", row
        except UnicodeDecodeError as error:
            raise UsageError(f"{path}: not UTF-8 at byte {error.start}; save it as CSV in UTF-8") from None
        except csv.Error as error:
            raise UsageError(f"{path}:{reader.line_num}: not CSV after this line: {error}") from None


def _refuse(path: Path, header: Sequence[str], needed: Sequence[str], known: Iterable[str]) -> None:
    there = ", ".join(header) or "nothing"
    if lacking := [name for name in needed if name not in header]:
        raise UsageError(
            f"{path}:1: the header lacks {', '.join(lacking)}; it has {there}; known columns are {', '.join(known)}"
        )
    if twice := sorted({name for name in known if header.count(name) > 1}):
        raise UsageError(f"{path}:1: the header names {', '.join(twice)} twice; it has {there}")


def _values(
    row: Mapping[str, Any], fields: Mapping[str, Any], headers: Mapping[str, str], lists: Mapping[str, str]
) -> dict[str, Any]:
    if None in row or None in row.values():
        raise ValueError("as many cells as the header has columns are needed")
    found: dict[str, Any] = {}
    for name, field in fields.items():
        text = (row.get(headers[name]) or "").strip()
        if not text:
            continue
        types = get_args(field.type) or (field.type,)
        if name in lists:
            found[field.encode_name] = [part.strip() for part in text.split(lists[name]) if part.strip()]
        elif bool in types:
            found[field.encode_name] = _WORDS.get(text.lower(), text)
        elif datetime in types:
            found[field.encode_name] = _time(headers[name], text)
        else:
            found[field.encode_name] = text
    return found


def _time(column: str, text: str) -> str:
    """A time as RFC 3339 writes it: a day is its midnight, and what has no zone is UTC.

    A bare number, as spreadsheets write days (45961, 20261031), is none: it would be read as seconds since 1970.
    """
    if not _DAY.match(text):
        raise ValueError(f"{column}: no time, write 2026-10-31 or 2026-10-31T06:00:00Z")
    whole = f"{text}T00:00:00" if _DAY.fullmatch(text) else text
    return whole if re.search(r"(Z|[+-]\d{2}:?\d{2})$", whole) else f"{whole}Z"
