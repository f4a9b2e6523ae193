"""Imports as they lie in a pack: imports.json says what they are, a file of lines holds the records of each kind."""

from pathlib import Path

import msgspec
import pyarrow as pa

from auditkit.capture.imports.base import READERS, Import, Loaded
from auditkit.errors import UsageError
from auditkit.kinds import UNREADABLE, Record, fields_of
from auditkit.memory import collection_paused

INDEX = "imports.json"
_ENCODER = msgspec.json.Encoder(order="sorted")


def save(imports: tuple[Loaded, ...], folder: Path) -> None:
    """Write imports.json and <plural>.jsonl.zst for each class of records into a new folder; the same gives the same bytes."""
    folder.mkdir(parents=True)
    abouts = msgspec.json.encode([one.about for one in imports], order="sorted")
    (folder / INDEX).write_bytes(msgspec.json.format(abouts, indent=1) + b"\n")
    for record, rows in ((record, rows) for one in imports for record, rows in one.records.items()):
        with pa.CompressedOutputStream(str(_place(folder, record)), "zstd") as stream:
            stream.write(b"".join(_ENCODER.encode(row) + b"\n" for row in rows))


def load(folder: Path) -> tuple[Loaded, ...]:
    """Read saved imports; one of which other fields were kept than this version reads is partial.

    Raises UsageError where a file is damaged, or does not hold the records that were saved.
    """
    try:
        abouts = msgspec.json.decode((folder / INDEX).read_bytes(), type=tuple[Import, ...])
    except (OSError, *UNREADABLE) as error:
        raise UsageError(f"{folder / INDEX}: damaged ({error}); copy the pack again") from None
    unknown = [about.source for about in abouts if about.source not in READERS]
    if unknown:
        raise UsageError(f"{folder / INDEX}: this version of auditkit does not read the import {', '.join(unknown)}")
    return tuple(_loaded(folder, about) for about in abouts)


def _loaded(folder: Path, about: Import) -> Loaded:
    records = {record: _rows(folder, record, about) for record in READERS[about.source].records}
    if about.fields != {record.plural: fields_of(record) for record in records}:
        note = "; ".join(filter(None, [about.note, "saved with other fields than this version reads; import again"]))
        about = msgspec.structs.replace(about, state="partial", note=note)
    return Loaded(about=about, records=records)


def _rows(folder: Path, record: type[Record], about: Import) -> tuple[Record, ...]:
    path, decoder = _place(folder, record), msgspec.json.Decoder(record)
    try:
        with pa.CompressedInputStream(str(path), "zstd") as stream, collection_paused():
            rows = tuple(decoder.decode(line) for line in bytes(stream.read()).splitlines())
    except (OSError, *UNREADABLE) as error:
        raise UsageError(f"{path}: damaged ({error}); copy the pack again") from None
    if len(rows) != about.kept.get(record.plural):
        raise UsageError(
            f"{path}: {len(rows)} records where {about.kept.get(record.plural)} were saved; copy the pack again"
        )
    return rows


def _place(folder: Path, record: type[Record]) -> Path:
    return folder / f"{record.plural}.jsonl.zst"
