"""Runs the evidence notebooks: the only user of papermill."""

import json
import multiprocessing
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import AuditkitError, KernelDied, UsageError, instead
from auditkit.report.workpaper import END, Notebook, notebooks
from auditkit.resources import folder
from auditkit.store.publish import place, publish_file

# One cell that computes longer than this has hung.
CELL_SECONDS = 600


@dataclass(frozen=True, kw_only=True, slots=True)
class Executed:
    """How one notebook ended: `fault` is empty where every cell ran to the end of the workpaper."""

    name: str
    path: Path
    fault: str = ""
    kernel_died: bool = False


def copy(to: Path) -> list[Path]:
    """Copy the notebooks of this installation into a folder; existing files are never overwritten."""
    to = place(to)
    sources = sorted(folder("notebooks").rglob("*.ipynb"))
    copies = {to / source.relative_to(folder("notebooks")): source for source in sources}
    taken = [copy_ for copy_ in copies if copy_.exists()]
    if taken:
        raise UsageError(f"{taken[0]}: exists already; choose another folder")
    for copy_, source in copies.items():
        copy_.parent.mkdir(parents=True, exist_ok=True)
        publish_file(copy_, source.read_bytes())
    return list(copies)


def chosen(names: Sequence[str] | None, of: Mapping[str, Notebook] | None = None) -> list[Notebook]:
    """The notebooks of these names (default: all), in order; `of` others than those of one snapshot.

    Raises UsageError that names the known ones.
    """
    known = notebooks() if of is None else of
    unknown = [n for n in names or () if n not in known]
    if unknown:
        raise UsageError(f"no notebook {', '.join(unknown)}; {instead(unknown[0], known)}")
    return [n for n in known.values() if names is None or n.name in names]


def execute(
    pack: Path,
    wanted: Sequence[Notebook],
    *,
    done: Callable[[Executed], None] = lambda _: None,
) -> list[Executed]:
    """Run notebooks over a pack in processes of their own, each kernel with sockets of its own.

    The executed notebooks, a failed one too, are in `pack`/notebooks; a failed one is named *.failed.ipynb.
    """
    (pack / "notebooks").mkdir(exist_ok=True)
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(os.cpu_count() or 1, len(wanted) or 1), mp_context=context) as pool:
        ended = []
        for result in pool.map(_execute, [(n, str(pack.resolve())) for n in wanted]):
            done(result)
            ended.append(result)
    return ended


def raise_for(ended: Sequence[Executed]) -> None:
    """Raises AuditkitError that names every notebook which did not end; KernelDied where one's kernel was killed."""
    failed = [e for e in ended if e.fault]
    if failed:
        error = KernelDied if any(e.kernel_died for e in failed) else AuditkitError
        raise error("not sealed, as notebooks failed: " + "; ".join(f"{e.path.name}: {e.fault}" for e in failed))


def _execute(job: tuple[Notebook, str]) -> Executed:
    notebook, pack = job
    from nbclient.exceptions import DeadKernelError

    source, target = folder("notebooks") / notebook.source, Path(pack) / "notebooks" / notebook.file
    parameters = {"source": pack}
    _refuse_unknown(source, parameters)
    fault, died = "", False
    try:
        _run(source, target, parameters)
    except DeadKernelError:
        fault, died = "its kernel was killed", True
    except Exception as error:  # whatever fails, the notebook is named and the pack is not sealed
        fault = _said(error)
    fault = fault or _unfinished(target)
    if not fault:
        _cleaned(target)
    elif target.exists():
        # As it ended, perhaps in the middle of a line: where the disk was full.
        target = target.rename(target.with_suffix(".failed.ipynb"))
    return Executed(name=notebook.name, path=target, fault=fault, kernel_died=died)


def _run(source: Path, target: Path, parameters: Mapping[str, Any]) -> None:
    """Run a notebook in a kernel whose files and sockets are its own; raises what papermill and nbclient do."""
    import papermill
    from traitlets.config import Config

    with tempfile.TemporaryDirectory(prefix="ak-") as private:
        os.environ["IPYTHONDIR"] = private
        os.environ["JUPYTER_RUNTIME_DIR"] = private
        os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"
        sockets = Config({"KernelManager": {"transport": "ipc", "ip": f"{private}/k"}})
        papermill.execute_notebook(
            str(source),
            str(target),
            parameters,
            kernel_name="python3",
            progress_bar=False,
            execution_timeout=CELL_SECONDS,
            start_timeout=120,
            request_save_on_cell_execute=False,
            cwd=private,
            config=sockets,
            # Interrupting a kernel that is told to stop is no error of the notebook.
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        )


def _said(error: Exception) -> str:
    """What ended a notebook."""
    import papermill
    from nbclient.exceptions import CellTimeoutError

    if isinstance(error, papermill.PapermillExecutionError):
        return f"cell {error.cell_index}: {error.ename}: {error.evalue}"
    if isinstance(error, CellTimeoutError):
        return f"a cell took longer than {CELL_SECONDS} s"
    return f"{type(error).__name__}: {error}"


def _refuse_unknown(source: Path, parameters: Mapping[str, Any]) -> None:
    """papermill only warns of a parameter that the notebook does not have."""
    import papermill

    unknown = set(parameters) - set(papermill.inspect_notebook(str(source)))
    if unknown:
        raise UsageError(f"{source.name} has no parameter {', '.join(sorted(unknown))}")


def _unfinished(path: Path) -> str:
    """Why this notebook did not run to its end; papermill's own metadata says `completed` even after a kill."""
    if not path.exists():
        return "it was not written"
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    if any(cell["execution_count"] is None for cell in cells):
        return "not every cell ran"
    if any(output["output_type"] == "error" for cell in cells for output in cell["outputs"]):
        return "a cell failed"
    return "" if END in json.dumps(cells[-1]["outputs"]) else "its last section is missing"


def _cleaned(path: Path) -> None:
    """Drop what changes from run to run or names this machine: timings, random ids, folders."""
    document = json.loads(path.read_text(encoding="utf-8"))
    document["metadata"].pop("papermill", None)
    for number, cell in enumerate(document["cells"]):
        cell["metadata"].pop("papermill", None)
        cell["metadata"].pop("execution", None)
        cell["id"] = f"cell-{number}"
        if "injected-parameters" in cell["metadata"].get("tags", ()):
            cell["source"] = '# Parameters\nsource = ".."\n'
    path.write_text(json.dumps(document, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
