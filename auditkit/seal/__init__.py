"""Seals a pack: the manifest of its hashes, checks of a pack against it, and how far that goes."""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from auditkit.errors import UsageError, VerificationError
from auditkit.kinds import UNREADABLE
from auditkit.seal import signature

MANIFEST, SUMS, ENVELOPE = "manifest.json", "SHA256SUMS", "manifest.dsse.json"
SCHEMA = "auditkit-manifest/1"
CHANGED = "changed"
SIGNER = "signed_by"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a pack: path with /, size in bytes, sha256 in hex."""

    path: str
    size: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """Every file of a pack but the seal itself, and what it was made of.

    `facts` holds run id, snapshot digest, package version and hash, notebooks' digests, whether the tree was
    dirty, the time of sealing, and the fingerprint of the key where it is signed; `previous` is the sha256 of the preceding pack's manifest; `digest` is the
    sha256 of this document with `digest` empty, so that a change of the manifest shows in the manifest.
    """

    schema: str
    facts: dict[str, Any]
    files: tuple[File, ...]
    previous: str = ""
    digest: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What verification found: `faults` name every changed, missing or added file; `level` says what the seal proves."""

    pack: Path
    faults: tuple[str, ...]
    level: str
    files: int

    @property
    def ok(self) -> bool:
        return not self.faults

    def __repr__(self) -> str:
        return f"<Verdict {self}>"

    def __str__(self) -> str:
        if self.ok:
            return f"{self.pack}: all {self.files} files are as sealed; {self.level}"
        return "\n".join(
            [f"{self.pack}: {len(self.faults)} fault(s); {self.level}", *(f"  - {f}" for f in self.faults)]
        )


def seal(pack: Path, facts: dict[str, Any], *, previous: Path | None = None, key: Path | None = None) -> Manifest:
    """Write manifest.json, SHA256SUMS and, with an Ed25519 private key (PEM), the signed envelope; the last step of a run.

    `previous` is the pack before this one, whose manifest's hash is carried on.
    """
    files = tuple(File(path=p, size=f.stat().st_size, sha256=sha256(f)) for p, f in _content(pack))
    before = sha256(previous / MANIFEST) if previous else ""
    private = signature.private_key(key) if key else None
    # The manifest names its signer, so that an envelope taken away is missed.
    facts = {**facts, SIGNER: signature.fingerprint(private.public_key())} if private else facts
    manifest = Manifest(schema=SCHEMA, facts=facts, files=files, previous=before)
    manifest = msgspec.structs.replace(manifest, digest=hashlib.sha256(_encoded(manifest)).hexdigest())
    (pack / MANIFEST).write_bytes(_encoded(manifest))
    (pack / SUMS).write_text(_sums(manifest, sha256(pack / MANIFEST)), encoding="utf-8")
    if private:
        subjects = {name: sha256(pack / name) for name in (MANIFEST, SUMS)}
        (pack / ENVELOPE).write_bytes(signature.envelope(subjects, {"facts": facts}, private))
    return manifest


def check_inputs(*, previous: Path | None = None, key: Path | None = None) -> None:
    """Raises UsageError where the previous pack is none or the private key cannot be read, VerificationError where
    the previous pack is not as it was sealed.
    """
    if previous and not (verdict := verify(previous)).ok:
        raise VerificationError(f"a chain must not rest on it: {verdict}")
    if key:
        signature.private_key(key)


def read(pack: Path) -> Manifest:
    """The manifest of a pack.

    Raises UsageError where the folder is none, VerificationError where its manifest is not one that was written here.
    """
    path = pack / MANIFEST
    if fault := _irregular(path):
        raise VerificationError(f"{MANIFEST}: {fault}")
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except (FileNotFoundError, NotADirectoryError):
        raise UsageError(f"{pack}: no {MANIFEST}; this is no pack, or its run did not end") from None
    except OSError as error:
        raise VerificationError(f"{MANIFEST}: cannot be read ({error.strerror})") from None
    except UNREADABLE as error:
        raise VerificationError(f"{MANIFEST}: changed, it cannot be read ({error})") from None
    if manifest.schema != SCHEMA:
        raise VerificationError(f"{MANIFEST}: schema {manifest.schema!r}; this version reads {SCHEMA}")
    return manifest


def verify(pack: Path, *, key: Path | None = None, previous: Path | None = None) -> Verdict:
    """Compare every file of a pack with its seal; `key` is the public key (PEM) that you trust.

    `previous` is the pack that it must follow, itself as sealed. Raises UsageError where there is no manifest.
    """
    try:
        manifest = read(pack)
    except VerificationError as error:
        return Verdict(pack=pack, faults=(str(error),), level="unverified", files=0)
    blank = msgspec.structs.replace(manifest, digest="")
    faults = []
    if hashlib.sha256(_encoded(blank)).hexdigest() != manifest.digest or (pack / MANIFEST).read_bytes() != _encoded(
        manifest
    ):
        faults.append(f"{MANIFEST}: changed since it was written")
    sealed = {f.path: f for f in manifest.files}
    present = dict(_content(pack))
    faults += [f"{path}: missing" for path in sorted(set(sealed) - set(present))]
    faults += [f"{path}: added after sealing" for path in sorted(set(present) - set(sealed))]
    found = {path: _changed(f, sealed[path]) for path, f in present.items() if path in sealed}
    faults += [f"{path}: {fault}" for path, fault in found.items() if fault]
    sums = _sums(manifest, sha256(pack / MANIFEST)).encode()
    fault = _changed(pack / SUMS, File(path=SUMS, size=len(sums), sha256=hashlib.sha256(sums).hexdigest()))
    if fault and (fault != CHANGED or not faults):
        faults.append(f"{SUMS}: {fault}")
    level, signed = _level(pack, manifest, key)
    if previous:
        faults += _unchained(manifest, previous)
    return Verdict(pack=pack, faults=(*faults, *signed), level=level, files=len(manifest.files))


def _unchained(manifest: Manifest, previous: Path) -> list[str]:
    before = verify(previous)
    if before.ok and manifest.previous == sha256(previous / MANIFEST):
        return []
    named = f"{MANIFEST}: does not follow {previous}" + ("" if manifest.previous else ", nor any other pack")
    return [f"{previous}: {fault}" for fault in before.faults] or [named]


def irregular(pack: Path) -> list[str]:
    """What in a pack is a link, or neither file nor folder, as "path: what": reading it might never end."""
    found = ((path, _irregular(path)) for path in sorted(pack.rglob("*")) if not path.is_dir() or path.is_symlink())
    return [f"{path.relative_to(pack).as_posix()}: {fault}" for path, fault in found if fault]


def _irregular(path: Path) -> str:
    if path.is_symlink():
        return "replaced by a link"
    return "replaced by what is not a file" if path.exists() and not path.is_file() else ""


def _changed(path: Path, sealed: File) -> str:
    """How a file differs from what was sealed; empty where it does not."""
    if fault := _irregular(path):
        return fault
    try:
        same = path.stat().st_size == sealed.size and sha256(path) == sealed.sha256
    except FileNotFoundError:
        return "missing"
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    return "" if same else CHANGED


def _level(pack: Path, manifest: Manifest, key: Path | None) -> tuple[str, list[str]]:
    path = pack / ENVELOPE
    if fault := _irregular(path):
        return "signature broken", [f"{ENVELOPE}: {fault}"]
    if not path.exists():
        by = key or manifest.facts.get(SIGNER)
        return "unsigned: finds accidents, not forgery", [f"{ENVELOPE}: missing, so nothing is signed by {by}"] * bool(
            by
        )
    try:
        subjects, fingerprint = signature.opened(path.read_bytes(), signature.public_key(key) if key else None)
    except (signature.BadSignature, OSError) as error:
        return "signature broken", [f"{ENVELOPE}: {error}"]
    differing = [n for n in (MANIFEST, SUMS) if not (pack / n).is_file() or subjects.get(n) != sha256(pack / n)]
    faults = [f"{name}: not what was signed" for name in differing]
    if manifest.facts.get(SIGNER, fingerprint) != fingerprint:
        faults.append(f"{ENVELOPE}: signed by another key than the manifest names")
    trust = "the key you gave" if key else "a key named only by the pack itself; give --key to know whose"
    return f"signed by {fingerprint[:16]} ({trust})", faults


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _content(pack: Path) -> list[tuple[str, Path]]:
    """All that is no folder but the seal's own, sorted by path; a link is content of its own and never followed out."""
    found = ((f.relative_to(pack).as_posix(), f) for f in pack.rglob("*") if f.is_symlink() or not f.is_dir())
    return sorted((path, f) for path, f in found if path not in (MANIFEST, SUMS, ENVELOPE))


def _encoded(manifest: Manifest) -> bytes:
    return msgspec.json.format(msgspec.json.encode(manifest, order="sorted"), indent=1) + b"\n"


def _sums(manifest: Manifest, own: str) -> str:
    rows = [*((f.path, f.sha256) for f in manifest.files), (MANIFEST, own)]
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(rows))
