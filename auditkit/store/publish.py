"""A folder that is written once: published whole, never overwritten, by one writer at a time."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auditkit.errors import AuditkitError, LeakError, RetryLater, UsageError

# A folder in a draft, so that nobody else's folder is taken for one; a file would get into the manifest.
MARK = ".auditkit-draft"


@contextmanager
def publishing(out: Path) -> Iterator[Path]:
    """A folder to write into, renamed to `out` when the block ends well; else it stays as `<out>.incomplete`.

    Of what a LeakError stopped nothing stays.

    Raises UsageError where `out` exists, lies within a sealed pack or cannot be written, RetryLater where another
    run writes it now.
    """
    out = place(out)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        what = "already holds a pack; a new run is a new folder" if (out / "manifest.json").exists() else "is not empty"
        raise UsageError(f"{out}: {what}; choose another --out")
    draft = out.with_name(f"{out.name}.incomplete")
    with locked(out):
        try:
            _remove(draft)
            draft.mkdir()
            (draft / MARK).mkdir()
            yield draft
            if out.exists():
                out.rmdir()
            draft.rename(out)
            (out / MARK).rmdir()
        except LeakError:
            _remove(draft)
            raise
        except OSError as error:
            if error.errno is None:
                raise
            raise AuditkitError(
                f"{error.filename or out}: {error.strerror}; nothing was published, {draft.name} is incomplete"
            ) from error


def place(out: Path) -> Path:
    """Where a path leads; UsageError where that is nowhere, no text, or within a sealed pack."""
    try:
        found = out.resolve()
        str(found).encode()
    except RuntimeError:
        raise UsageError(f"{out}: a link that leads to itself; choose another --out") from None
    except UnicodeEncodeError:
        raise UsageError(f"{out}: the name is no UTF-8; choose another --out") from None
    sealed = next((folder for folder in found.parents if (folder / "manifest.json").exists()), None)
    if sealed:
        raise UsageError(f"{found}: lies within {sealed}, a sealed pack, which would change; choose another --out")
    return found


def publish_file(out: Path, content: bytes) -> None:
    """Write a file that does not exist yet, whole or not at all; UsageError where it does, or cannot be written."""
    path = place(out)
    try:
        with path.open("xb") as stream:
            try:
                stream.write(content)
                stream.flush()
            except OSError:
                path.unlink()
                raise
    except FileExistsError:
        raise UsageError(f"{out}: exists already; choose another --out") from None
    except OSError as error:
        raise AuditkitError(f"{out}: cannot be written ({error.strerror})") from None


def _remove(draft: Path) -> None:
    """Delete what a run before left; raises UsageError where no run of auditkit made it."""
    if not discard(draft):
        raise UsageError(f"{draft}: is in the way and no draft of auditkit; move it, or choose another --out")


def discard(draft: Path) -> bool:
    """Delete a draft; False where something is there that no run of auditkit made."""
    if (draft / MARK).is_dir():
        # The mark last: cut off at any place, what is left is still a draft, or empty.
        for inner in draft.iterdir():
            if inner.is_symlink() or not inner.is_dir():
                inner.unlink()
            elif inner.name != MARK:
                shutil.rmtree(inner)
        (draft / MARK).rmdir()
    try:
        draft.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """The right to write `out`, as long as the block runs; a process that dies gives it back.

    Raises RetryLater where another process has it, UsageError where the folder that holds `out` cannot be written.
    """
    place = out.with_name(f".{out.name}.lock")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        lock = _lock(place)
    except BlockingIOError:
        raise RetryLater(f"{out}: another run writes it now; try again when it has ended") from None
    except OSError as error:
        raise UsageError(f"{out.parent}: not writable ({error.strerror}); choose another place") from None
    try:
        yield
    finally:
        # While the lock is held: another process must not lose the file that it has just locked.
        place.unlink(missing_ok=True)
        os.close(lock)


def _lock(place: Path) -> int:
    """A locked file, open; again where its last holder deleted it meanwhile. Raises BlockingIOError where it is held."""
    while True:
        lock = os.open(place, os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if place.exists() and os.path.samestat(os.fstat(lock), place.stat()):
                return lock
        except OSError:
            os.close(lock)
            raise
        os.close(lock)
