"""The HTML binder: one self-contained page a notebook, and the index that leads through a pack."""

import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pandas as pd
from nbconvert import HTMLExporter

from auditkit.report.page import Html, escape, facts, table
from auditkit.report.workpaper import Notebook
from auditkit.resources import folder

# A link from one workpaper to another, which is kept where that one is in the pack.
_PAPER = re.compile('<a href="(?P<page>[^"/#]+[.]html)#?[^"]*">(?P<text>[^<]*)</a>')
# From a control to what an auditor decides on, step by step, with the file that has it.
TRAIL = (
    (
        "Control",
        "Sheet Control matrix: what it states, management's result, its tests; its exceptions and workpapers are linked.",
    ),
    ("Test", "Sheet Tests: what each test states, why, and how it is done; the workpaper shows the procedure in full."),
    ("Population", "Sheet Populations: all rows that a test judged, as files. Nothing is sampled."),
    (
        "Completeness",
        "Sheet IPE: where each table comes from, and how to count it again; WP-00 for every kind of object.",
    ),
    ("Exception", "Sheet Exceptions: one row each, with its test and the condition found. Filter by control."),
    (
        "Management's response",
        "Blue columns of Exceptions and Control matrix, for people. Yellow ones are the auditor's, and blank.",
    ),
)
# Words that a reader of the pages meets before the workbook's glossary.
WORDS = (
    ("Population", "All rows that a test examines. Nothing is sampled."),
    ("Exception", "A row that does not meet what the test states, whether or not somebody approved it."),
    ("Not judged, undetermined", "A row that the evidence does not decide; it is not passed."),
    ("Subject", "A user, a group or a ServiceAccount that a binding gives rights to."),
    ("Stock", "Exactly as Kubernetes itself ships it, by content and not by name."),
    ("–", "No value: not set, or not known. An empty list reads none."),
    ("Time", "UTC, to the minute; a day without a time begins at 00:00."),
    ("Variant", "A number where pods of one workload differ, as while a new version is rolled out; 0 is the newest."),
)


def page(executed: Path, target: Path, title: str, *, papers: Sequence[Notebook] = ()) -> None:
    """Render an executed notebook: code folded away but there, no address outside the pack; `papers` and its sections are linked."""
    document = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="binder", extra_template_basedirs=[str(folder("templates"))]
    )
    around = {"papers": [_lead(n, title) for n in papers], "sections": _sections(document)}
    body, _ = exporter.from_notebook_node(document, resources={"metadata": {"name": title}, **around})
    there = {Path(n.page).name for n in papers}
    body = _PAPER.sub(lambda m: m[0] if m["page"] in there else m["text"], body)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(body, encoding="utf-8")


def _lead(paper: Notebook, title: str) -> str:
    """A link to a workpaper; the one that is shown stands out in its place."""
    text = f"{paper.reference}&nbsp;{escape(paper.title)}"
    return f"<b>{text}</b>" if paper.title == title else f'<a href="{Path(paper.page).name}">{text}</a>'


def _sections(document: nbformat.NotebookNode) -> list[str]:
    """The headings of a notebook's sections; nbconvert makes an anchor of each, with hyphens for blanks."""
    cells = (cell.source for cell in document.cells if cell.cell_type == "markdown")
    return [text.partition("\n")[0].removeprefix("## ") for text in cells if text.startswith("## ")]


def index(
    target: Path,
    *,
    title: str,
    summary: Sequence[str],
    about: Sequence[tuple[str, str]],
    notebooks: Sequence[Notebook],
    found: Mapping[str, str],
    files: Sequence[tuple[str, str]],
    trail: Sequence[tuple[str, str]] = TRAIL,
    words: Sequence[tuple[str, str]] = WORDS,
) -> None:
    """The first page of a pack: what it is, what was found, where everything lies.

    `found` by notebook's name; `files` are paths with what they hold; `trail` leads from a control through the workbook.
    """
    papers = pd.DataFrame(
        [
            {
                "Workpaper": Html(f'<a href="{n.page}">{n.reference} {html.escape(n.title)}</a>'),
                "Objective": n.objective,
                "Tests": found[n.name],
            }
            for n in notebooks
        ]
    )
    listed = "\n".join(f'<li><a href="{path}">{path}</a> <span>{escape(what)}</span></li>' for path, what in files)
    style = (folder("templates") / "binder" / "binder.css").read_text(encoding="utf-8")
    target.write_text(
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{escape(title)}</title><style>{style}</style></head><body><main>
<h1>{escape(title)}</h1>{"".join(f"<p>{escape(s)}</p>" for s in summary)}
<p>Prepared by management with auditkit. These are results of management's tests; what the auditor must judge is left blank.</p>
<h2>From a control to its evidence</h2><p>In the workbook <a href="control-matrix.xlsx">control-matrix.xlsx</a>:</p>{facts(dict(trail))}
<h2>Workpapers</h2>{table(papers)}
<h2>Files</h2><ul class="contents">
{listed}
</ul>
<h2>Words</h2>{facts(dict(words))}<p class="rest">More in the workbook, sheet Glossary and tickmarks.</p>
<h2>What was examined</h2>{facts(dict(about))}
</main></body></html>
""",
        encoding="utf-8",
    )
