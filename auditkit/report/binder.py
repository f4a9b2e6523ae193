"""The HTML binder: one self-contained page a notebook, and the index that leads through a pack."""

import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import nbformat
import pandas as pd
from nbconvert import HTMLExporter

from auditkit.report.page import Html, escape, facts, table
from auditkit.report.workpaper import Notebook
from auditkit.resources import folder

# Words that a reader of the pages meets before the workbook's glossary.
WORDS = (
    ("Population", "All rows that a test examines. Nothing is sampled."),
    ("Exception", "A row that does not meet what the test states, whether or not somebody approved it."),
    ("Not judged, undetermined", "A row that the evidence does not decide; it is not passed."),
    ("Subject", "A user, a group or a ServiceAccount that a binding gives rights to."),
    ("Stock", "Exactly as Kubernetes itself ships it, by content and not by name."),
    ("Variant", "A number where pods of one workload differ, as while a new version is rolled out; 0 is the newest."),
)


def page(executed: Path, target: Path, title: str, *, others: Sequence[Notebook] = ()) -> None:
    """Render an executed notebook: code folded away but there, no address outside the pack; `others` are linked."""
    document = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="binder", extra_template_basedirs=[str(folder("templates"))]
    )
    around = "".join(f'<a href="{Path(n.page).name}">{escape(n.title)}</a>' for n in others if n.title != title)
    body, _ = exporter.from_notebook_node(document, resources={"metadata": {"name": title}, "around": around})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(body)


def index(
    target: Path,
    *,
    title: str,
    summary: Sequence[str],
    about: Sequence[tuple[str, str]],
    notebooks: Sequence[Notebook],
    found: Mapping[str, str],
) -> None:
    """The first page of a pack: what it is, what was found, where everything lies; `found` by notebook's name."""
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
    style = (folder("templates") / "binder" / "binder.css").read_text()
    target.write_text(
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{escape(title)}</title><style>{style}</style></head><body><main>
<h1>{escape(title)}</h1>{"".join(f"<p>{escape(s)}</p>" for s in summary)}
<p>Prepared by management with auditkit. These are results of management's tests; what the auditor must judge is left blank.</p>
<h2>Workpapers</h2>{table(papers)}
<h2>Files</h2><ul class="contents">
<li><a href="control-matrix.xlsx">control-matrix.xlsx</a> <span>the workbook: controls, criteria, tests, exceptions, populations, access, completeness, index of evidence</span></li>
<li><a href="results/results.csv">results/results.csv</a> <span>one row per test; exceptions (CSV) and populations with verdicts (Parquet) in folders beside it</span></li>
<li><a href="tables/">tables/</a> <span>every table as CSV and Parquet; the workbook's data dictionary documents each column</span></li>
<li><a href="notebooks/">notebooks/</a> <span>the executed notebooks from which the workpapers were made, with their code</span></li>
<li><a href="snapshot/coverage.json">snapshot/coverage.json</a> <span>how the request for every kind of object ended; the objects lie beside it</span></li>
<li><a href="VERIFY.md">VERIFY.md</a> <span>how to check this pack with stock commands, and how to perform the tests again</span></li>
</ul>
<h2>Words</h2>{facts(dict(WORDS))}<p class="rest">More in the workbook, sheet Glossary and tickmarks.</p>
<h2>What was examined</h2>{facts(dict(about))}
</main></body></html>
"""
    )
