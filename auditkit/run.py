"""The evidence run, top to bottom: from a snapshot to a sealed pack. The file to read first."""

import hashlib
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from auditkit import frameworks, seal, store
from auditkit.capture import IMPORTS, imports, tool
from auditkit.capture import snapshot as snapshots
from auditkit.engagement import SHIPPED, Engagement
from auditkit.evaluate import Results, Snapshot
from auditkit.report import binder, matrix, narrative, notebooks
from auditkit.report.frames import write_csv, write_parquet
from auditkit.report.workpaper import Notebook, evaluated, tested
from auditkit.report.workpaper import papers as workpapers
from auditkit.resources import PACKAGE, folder
from auditkit.seal import leaks

COMPLETE, INCOMPLETE, EXCEPTIONS = 0, 3, 4
# Files and folders of a pack as its first page leads to them.
FILES = (
    (
        "control-matrix.xlsx",
        "the workbook: controls, criteria, tests, exceptions, populations, access, completeness, index of evidence",
    ),
    (
        "results/results.csv",
        "one row per test; exceptions and rows not judged (CSV) and populations with verdicts (Parquet) in folders beside it",
    ),
    ("tables/", "every table as CSV and Parquet; the workbook's data dictionary documents each column"),
    ("notebooks/", "the executed notebooks from which the workpapers were made, with their code"),
    ("snapshot/coverage.json", "how the request for every kind of object ended; the objects lie beside it"),
    ("VERIFY.md", "how to check this pack with stock commands, and how to perform the tests again"),
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """A finished run: the sealed pack, its results, the exit code of the scheduler's contract, and a summary."""

    pack: Path
    results: Results
    exit_code: int
    summary: str

    def __str__(self) -> str:
        return self.summary

    def __repr__(self) -> str:
        return f"<Run {self.pack}: ended with {self.exit_code}>"


def run(
    source: snapshots.Snapshot,
    out: Path,
    *,
    engagement: Engagement,
    names: Sequence[str] | None = None,
    fail_on_exceptions: bool = False,
    previous: Path | None = None,
    key: Path | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Run:
    """Write a pack of this snapshot into a new folder and seal it.

    `names` chooses notebooks, `previous` is the pack before, `key` an Ed25519 private key. Raises
    LeakError where a secret is in an output, AuditkitError where a notebook fails: then nothing is sealed.
    """
    started = time.monotonic()
    snapshot = Snapshot.of(source)
    # What the user named is looked at before an hour of work rests on it.
    papers = notebooks.chosen(names, workpapers(engagement))
    seal.check_inputs(previous=previous, key=key)
    with store.publishing(out) as pack:
        say(f"snapshot  {narrative.taken(snapshot)}: {narrative.completeness(snapshot)}")
        snapshots.save(snapshot, pack / "snapshot")
        write_inputs(pack / "inputs", engagement)
        if snapshot.imports:
            imports.save(snapshot.imports, pack / IMPORTS)
        results = evaluated(snapshot, engagement)
        write_tables(pack, snapshot)
        write_results(pack / "results", results)
        say(f"tests     {narrative.conclude(list(results.values()), snapshot)}")
        identity = identify(pack, snapshot.digest, tool())
        ended = notebooks.execute(pack, papers, done=lambda e: say(f"notebook  {e.path.name}"))
        notebooks.raise_for(ended)
        prepared = datetime.now(UTC)
        about = [*matrix.facts(snapshot, engagement, identity), *preparation(prepared, signed=key is not None)]
        _write_binder(pack, snapshot, results, about, papers)
        matrix.write(pack, snapshot, results, engagement, identity)
        shutil.copyfile(folder("templates") / "VERIFY.md", pack / "VERIFY.md")
        _write_run(pack / "run.json", snapshot, results, identity, prepared, time.monotonic() - started)
        leaks.refuse(pack)
        seal.seal(pack, _facts(snapshot, identity), previous=previous, key=key)
    code = exit_code(snapshot, results, fail_on_exceptions)
    return Run(pack=out, results=results, exit_code=code, summary=_summary(out, snapshot, results, engagement))


def exit_code(snapshot: snapshots.Snapshot, results: Results, fail_on_exceptions: bool = False) -> int:
    """What a scheduler is told: incomplete evidence before exceptions; what policy excludes is not incomplete."""
    if snapshot.incomplete or (results.frame["conclusion"] == "error").any():
        return INCOMPLETE
    return EXCEPTIONS if fail_on_exceptions and results.frame["exceptions"].sum() else COMPLETE


def identify(pack: Path, digest: str, by: str) -> str:
    """The run id: 16 hex digits over the snapshot's digest, every byte of snapshot/ and inputs/, and the tool `by`.

    The digest leaves out what two captures of one state may differ in, yet verdicts rest on it too: time, coverage,
    options, field managers.
    """
    whole = "\n".join([digest, _digest(pack / "snapshot"), _digest(pack / "inputs"), by])
    return hashlib.sha256(whole.encode()).hexdigest()[:16]


def _digest(folder_: Path) -> str:
    """sha256 over names and content of all files below a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder_.rglob("*") if p.is_file()):
        digest.update(f"{path.relative_to(folder_).as_posix()} {seal.sha256(path)}\n".encode())
    return digest.hexdigest()


def write_inputs(inputs: Path, engagement: Engagement) -> None:
    """Copy every file that influences a number: the engagement's but for imports, and under shipped/ those that come with auditkit."""
    inputs.mkdir()
    (inputs / "auditkit.toml").write_text(engagement.text, encoding="utf-8")
    for source in engagement.inputs():
        shutil.copy(source, inputs / source.name)
    for source in shipped():
        target = inputs / SHIPPED / source.relative_to(folder("data"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, target)


def write_tables(pack: Path, snapshot: Snapshot) -> None:
    """Write every table into `pack`/tables, as Parquet and CSV."""
    for name in snapshot.tables:
        write_parquet(snapshot.tables[name], pack / "tables" / f"{name}.parquet")
        write_csv(snapshot.tables[name], pack / "tables" / f"{name}.csv")


def write_results(place: Path, results: Results) -> None:
    """Write what every test found: conclusions, populations with verdicts, exceptions."""
    frame = results.frame.astype(dict.fromkeys(["population", "exceptions", "waived", "undetermined"], "Int64"))
    text = ["id", "title", "severity", "conclusion", "note"]
    frame = frame.astype(dict.fromkeys(text, "string"))
    write_parquet(frame, place / "results.parquet")
    write_csv(frame, place / "results.csv")
    for id, result in results.items():
        write_parquet(result.population, place / "populations" / f"{id}.parquet")
        if len(result.exceptions):
            write_csv(result.exceptions, place / "exceptions" / f"{id}.csv")
        if len(result.undetermined):
            write_csv(result.undetermined, place / "undetermined" / f"{id}.csv")


def _write_binder(
    pack: Path,
    snapshot: Snapshot,
    results: Results,
    about: Sequence[tuple[str, str]],
    papers: Sequence[Notebook],
) -> None:
    for paper in papers:
        binder.page(pack / "notebooks" / paper.file, pack / paper.page, paper.title, papers=papers)
    binder.index(
        pack / "index.html",
        title=f"Evidence of cluster {snapshot.origin.cluster}",
        summary=[narrative.conclude(list(results.values()), snapshot), narrative.completeness(snapshot)],
        about=about,
        notebooks=papers,
        found={paper.name: narrative.found(tested(paper, results)) for paper in papers},
        files=FILES,
    )


def preparation(at: datetime, *, signed: bool) -> list[tuple[str, str]]:
    """When the pack was made, and what its seal proves."""
    seal_ = (
        "hashes and a signature (manifest.dsse.json); `auditkit verify . --key` with the signer's public key proves whose"
        if signed
        else "hashes without a signature: they find accidents, not forgery; `auditkit verify .` says what holds"
    )
    return [
        ("Prepared at", f"{at:%Y-%m-%d %H:%M:%S} UTC, by the clock of the machine that ran auditkit (run.json)"),
        ("Seal", seal_),
    ]


def _write_run(
    path: Path, snapshot: Snapshot, results: Results, identity: str, prepared: datetime, seconds: float
) -> None:
    document: dict[str, Any] = {
        "run_id": identity,
        "tool": tool(),
        "python": sys.version.split()[0],
        "prepared_at": prepared.isoformat(timespec="seconds"),
        "seconds": round(seconds, 1),
        "snapshot_digest": snapshot.digest,
        "conclusions": narrative.tally(results.values()),
        "rows": {
            name: int(results.frame[name].sum()) for name in ("population", "exceptions", "waived", "undetermined")
        },
        "tests_with_undetermined_rows": int((results.frame["undetermined"] > 0).sum()),
        "incomplete": [c.resource for c in snapshot.incomplete],
    }
    path.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _facts(snapshot: Snapshot, identity: str) -> dict[str, Any]:
    """What the manifest says of how the pack was made."""
    return {"run_id": identity, "snapshot_digest": snapshot.digest, **facts_of_code("*.ipynb")}


def facts_of_code(notebooks: str) -> dict[str, Any]:
    """What the manifest says of the code that ran, with the notebooks of this pattern, and of the time."""
    return {
        "tool": tool(),
        "package_sha256": package(),
        "notebooks": {p.name: seal.sha256(p) for p in sorted(folder("notebooks").glob(notebooks))},
        "tree": _tree(),
        "sealed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def shipped() -> list[Path]:
    """The data files of this installation: controls, frameworks, what agents, networks and stock roles are known by."""
    data = folder("data")
    return sorted(p for p in (*data.glob("*"), *(data / "frameworks").glob("*")) if p.is_file())


def package() -> str:
    """sha256 over the code that ran, with its data and templates."""
    code = {f"auditkit/{p.relative_to(PACKAGE).as_posix()}": p for p in PACKAGE.rglob("*.py")}
    beside = {
        f"{name}/{p.relative_to(folder(name)).as_posix()}": p
        for name in ("data", "templates")
        for p in folder(name).rglob("*")
        if p.is_file()
    }
    digest = hashlib.sha256()
    for name, path in sorted({**code, **beside}.items()):
        digest.update(f"{name} {seal.sha256(path)}\n".encode())
    return digest.hexdigest()


def _tree() -> str:
    """Whether the code that ran is a commit, a changed checkout, or an installed package."""
    if not (PACKAGE.parent / ".git").exists():
        return "installed"
    folders = ("auditkit", "data", "notebooks", "templates")
    asked = ["git", "-C", str(PACKAGE.parent), "status", "--porcelain", "--", *folders]
    try:
        answer = subprocess.run(asked, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return "dirty" if answer.stdout else "clean"


def _summary(out: Path, snapshot: Snapshot, results: Results, engagement: Engagement) -> str:
    verdict = "evidence incomplete" if snapshot.incomplete else "every list was completely read"
    controls = frameworks.controls(engagement)
    return "\n".join(
        [
            narrative.conclude(list(results.values()), snapshot),
            f"{len(controls)} controls; {verdict}"
            + (f": {snapshots.in_short(snapshot.incomplete)}" if snapshot.incomplete else ""),
            f"pack: {out}",
        ]
    )
