"""Reads the files of a folder or an archive, without unpacking: nothing in an archive decides where anything is written."""

import gzip
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from auditkit.errors import UsageError

SUFFIXES = (".json", ".yaml", ".yml", ".jsonl")
GZIPPED = tuple(f"{suffix}.gz" for suffix in SUFFIXES)
TARS = (".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")
# Files that tell about a dump and carry no suffix.
NAMES = ("recorded-as",)
# A dump of the largest supported cluster (150,000 pods) stays under 2 GiB.
LARGEST = 4 << 30


def files(path: Path) -> Iterator[tuple[str, bytes | None]]:
    """Name (relative, with /) and bytes of every file of a folder, .zip, .tar (plain, .gz, .bz2, .xz) or a single file.

    The bytes are None where the name is not that of a JSON or YAML file; those compressed alone (.json.gz) are
    unpacked. Hidden files are left out. Raises UsageError where there is nothing to read, where a name is no UTF-8, where
    a folder holds a link to another, or where an archive is truncated or hostile: names that lead out of it, links, devices, more than
    4 GiB of content.
    """
    if not path.exists():
        raise UsageError(f"{path}: no such file or folder")
    _refuse_unwritable(path, path.resolve().name)
    for name, raw in _files(path):
        _refuse_unwritable(path, name)
        yield name, raw


def _refuse_unwritable(path: Path, name: str) -> None:
    """Raises UsageError where a name is no text: it is written down, in UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path}: the name {name} is no UTF-8; rename it") from None


def _files(path: Path) -> Iterator[tuple[str, bytes | None]]:
    try:
        if path.is_dir():
            yield from _folder(path)
        elif zipfile.is_zipfile(path):
            yield from _zip(path)
        elif _is_tar(path):
            yield from _tar(path)
        else:
            raw = path.read_bytes()
            # The user names this one, so that its suffix does not matter.
            yield _unpacked(path, path.name, raw) if path.suffix.casefold() == ".gz" else (path.name, raw)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        raise UsageError(f"{path}: the archive is damaged or truncated ({error}); copy it again") from None
    except RuntimeError as error:  # of zipfile: a password, or a way to compress that it does not know
        raise UsageError(f"{path}: the archive cannot be read ({error}); pack it anew, without a password") from None
    except PermissionError as error:
        raise UsageError(f"{error.filename}: not readable; check its permissions") from None


def _is_tar(path: Path) -> bool:
    name = path.name.casefold()
    return name.endswith(TARS) or (name.endswith(".gz") and not name.endswith(GZIPPED) and tarfile.is_tarfile(path))


def _folder(path: Path) -> Iterator[tuple[str, bytes | None]]:
    for file in sorted(path.rglob("*")):
        name = file.relative_to(path).as_posix()
        if _hidden(name):
            continue
        if file.is_symlink() and not file.is_file():
            raise UsageError(f"{file}: a link to a folder or to nothing; give that folder itself, or take the link out")
        if file.is_dir():
            # rglob passes over a folder that may not be read; this raises.
            os.scandir(file).close()
        elif file.is_file():
            yield _unpacked(path, name, file.read_bytes()) if _wanted(name) else (name, None)


def _zip(path: Path) -> Iterator[tuple[str, bytes | None]]:
    with zipfile.ZipFile(path) as archive:
        members = sorted(archive.infolist(), key=lambda m: m.filename)
        for member in members:
            link = (member.external_attr >> 16) & 0o170000 == 0o120000
            _refuse_hostile(path, member.filename, link=link)
        _refuse_large(path, sum(m.file_size for m in members))
        for member in members:
            name = member.filename
            if member.is_dir() or _hidden(name):
                continue
            yield _unpacked(path, name, archive.read(member)) if _wanted(name) else (name, None)


def _tar(path: Path) -> Iterator[tuple[str, bytes | None]]:
    # Streamed: a bomb is noticed as it unfolds, not after it was unpacked.
    total = 0
    with tarfile.open(path, "r|*") as archive:
        for member in archive:
            _refuse_hostile(path, member.name, link=not (member.isfile() or member.isdir()))
            total += member.size
            _refuse_large(path, total)
            if not member.isfile() or _hidden(member.name):
                continue
            stream = archive.extractfile(member) if _wanted(member.name) else None
            yield _unpacked(path, member.name, stream.read()) if stream else (member.name, None)


def _wanted(name: str) -> bool:
    return name.casefold().endswith((*SUFFIXES, *GZIPPED)) or PurePosixPath(name).name in NAMES


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts if part != ".")


def _unpacked(path: Path, name: str, raw: bytes) -> tuple[str, bytes]:
    """The file itself, or what it is where it was compressed alone."""
    if not name.casefold().endswith(".gz"):
        return name, raw
    with gzip.open(io.BytesIO(raw)) as stream:
        content = stream.read(LARGEST + 1)
    _refuse_large(path, len(content))
    return name[: -len(".gz")], content


def _refuse_hostile(path: Path, name: str, *, link: bool) -> None:
    if name.startswith(("/", "\\")) or ".." in PurePosixPath(name.replace("\\", "/")).parts or ":" in name[:3]:
        raise UsageError(f"{path}: member {name!r} leads out of the archive; pack the files of the dump only")
    if link:
        raise UsageError(f"{path}: member {name!r} is a link or a device; pack the files themselves")


def _refuse_large(path: Path, size: int) -> None:
    if size > LARGEST:
        raise UsageError(f"{path}: unpacks to more than {LARGEST >> 30} GiB; that is no dump of one cluster")
