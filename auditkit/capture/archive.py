"""Reads the files of a folder or an archive, without unpacking: nothing in an archive decides where anything is written."""

import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from auditkit.errors import UsageError

SUFFIXES = (".json", ".yaml", ".yml", ".jsonl")
# Files that tell about a dump and carry no suffix.
NAMES = ("recorded-as",)
# A dump of the largest supported cluster (150,000 pods) stays under 2 GiB.
LARGEST = 4 << 30


def files(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name (relative, with /) and bytes of every JSON or YAML file of a folder, .zip, .tar, .tar.gz, .tgz or a single file.

    Raises UsageError where there is nothing to read, or where an archive is truncated or hostile: names that
    lead out of it, links, devices, more than 4 GiB of content.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    try:
        if path.is_dir():
            yield from _folder(path)
        elif zipfile.is_zipfile(path):
            yield from _zip(path)
        elif path.suffix in (".tar", ".tgz", ".gz"):
            yield from _tar(path)
        else:
            yield path.name, path.read_bytes()
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error) as error:
        raise UsageError(f"{path}: the archive is damaged or truncated ({error}); copy it again") from None
    except PermissionError as error:
        raise UsageError(f"{error.filename}: not readable; check its permissions") from None


def _folder(path: Path) -> Iterator[tuple[str, bytes]]:
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if _wanted(name) and file.is_file():
            yield name, file.read_bytes()


def _zip(path: Path) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda m: m.filename)
        for member in members:
            link = (member.external_attr >> 16) & 0o170000 == 0o120000
            _refuse_hostile(path, member.filename, link=link)
        _refuse_large(path, sum(m.file_size for m in members))
        for member in members:
            if not member.is_dir() and _wanted(member.filename):
                with archive.open(member) as stream:
                    yield member.filename, stream.read(LARGEST)


def _tar(path: Path) -> Iterator[tuple[str, bytes]]:
    # Streamed: a bomb is noticed as it unfolds, not after it was unpacked.
    total = 0
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            _refuse_hostile(path, member.name, link=not (member.isfile() or member.isdir()))
            total += member.size
            _refuse_large(path, total)
            stream = archive.extractfile(member) if member.isfile() and _wanted(member.name) else None
            if stream:
                yield member.name, stream.read()


def _wanted(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return (name.endswith(SUFFIXES) or parts[-1] in NAMES) and not any(
        p.startswith((".", "__MACOSX")) for p in parts if p != "."
    )


def _refuse_hostile(path: Path, name: str, *, link: bool) -> None:
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name[:3]:
        raise UsageError(f"{path}: member {name!r} leads out of the archive; pack the files of the dump only")
    if link:
        raise UsageError(f"{path}: member {name!r} is a link or a device; pack the files themselves")


def _refuse_large(path: Path, size: int) -> None:
    if size > LARGEST:
        raise UsageError(f"{path}: unpacks to more than {LARGEST >> 30} GiB; that is no dump of one cluster")
