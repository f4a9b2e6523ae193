"""The HTML binder: one self-contained page a notebook, and the index that leads through a pack."""

import html
from collections.abc import Sequence
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter

from auditkit.report.workpaper import Notebook
from auditkit.resources import folder


def page(executed: Path, target: Path, title: str) -> None:
    """Render an executed notebook: code folded away but there, no address outside the file."""
    document = nbformat.read(executed, as_version=4)  # type: ignore[no-untyped-call]
    exporter = HTMLExporter(  # type: ignore[no-untyped-call]
        template_name="binder", extra_template_basedirs=[str(folder("templates"))]
    )
    body, _ = exporter.from_notebook_node(document, resources={"metadata": {"name": title}})
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(body)


def index(
    target: Path, *, title: str, summary: str, facts: Sequence[tuple[str, str]], notebooks: Sequence[Notebook]
) -> None:
    """The first page of a pack: what it is, what was found, where everything lies."""
    links = "".join(
        f'<li><a href="binder/{n.file.removesuffix(".ipynb")}.html">{html.escape(n.title)}</a> '
        f"<span>{html.escape(n.objective)}</span></li>"
        for n in notebooks
    )
    rows = "".join(f"<tr><th scope='row'>{html.escape(k)}</th><td>{html.escape(v)}</td></tr>" for k, v in facts)
    style = (folder("templates") / "binder" / "binder.css").read_text()
    target.write_text(
        f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<title>{html.escape(title)}</title><style>{style}</style></head><body><main>
<h1>{html.escape(title)}</h1><p>{html.escape(summary)}</p>
<table class="facts">{rows}</table>
<h2>Workpapers</h2><ol class="contents">{links}</ol>
<h2>Files</h2><ul class="contents">
<li><a href="control-matrix.xlsx">control-matrix.xlsx</a> <span>controls, criteria, tests, exceptions, populations</span></li>
<li><a href="results/results.csv">results/results.csv</a> <span>one row per test; populations and exceptions beside it</span></li>
<li><a href="tables/">tables/</a> <span>every table as Parquet</span></li>
<li><a href="VERIFY.md">VERIFY.md</a> <span>how to check this pack with stock commands, and how to perform the tests again</span></li>
</ul></main></body></html>
"""
    )
