"""The door in: opens whatever a user names as a source, and gives a snapshot."""

from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from auditkit.capture import imports, snapshot
from auditkit.capture.snapshot import DEFAULTS, Options, Snapshot
from auditkit.errors import UsageError
from auditkit.resources import folder

# Where a pack keeps the records of imports.
IMPORTS = "inputs/imports"


@cache
def tool() -> str:
    """ "auditkit/<version>": user agent, and the tool named in origin.json."""
    try:
        return f"auditkit/{version('auditkit')}"
    except PackageNotFoundError:
        return "auditkit/unknown"


def live(
    context: str | None = None, *, in_cluster: bool = False, options: Options = DEFAULTS, qps: float = 50.0
) -> Snapshot:
    """Read a running cluster; see capture.cluster for what is raised."""
    from auditkit.capture import cluster

    return cluster.capture(context, in_cluster=in_cluster, options=options, qps=qps)


def from_files(path: Path, *, taken_at: datetime | None = None, options: Options = DEFAULTS) -> Snapshot:
    """Read a dump, manifests, a saved snapshot, or the snapshot inside a pack.

    Raises UsageError where the path holds none of them.
    """
    if (path / "origin.json").is_file():
        return snapshot.load(path)
    if (path / "snapshot" / "origin.json").is_file():
        return packed(path)
    from auditkit.capture import files

    return files.capture(path, taken_at=taken_at, options=options)


def packed(pack: Path) -> Snapshot:
    """The snapshot inside a pack, with the imports that lie in its inputs."""
    found, place = snapshot.load(pack / "snapshot"), pack / IMPORTS
    return found.beside(imports.load(place)) if place.is_dir() else found


def open_source(source: str | Path) -> Snapshot:
    """A source by name: `demo`, `context:NAME`, or the path of a pack, a snapshot, a dump or manifests."""
    text = str(source)
    if text == "demo":
        return snapshot.load(folder("data") / "demo")
    if text.startswith("context:"):
        return live(text.removeprefix("context:") or None)
    if not Path(text).exists():
        raise UsageError(f"{text}: no such file or folder; a source is a path, context:NAME or demo")
    return from_files(Path(text))
