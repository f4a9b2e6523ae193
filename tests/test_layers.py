"""The layers go one way, and one module talks to one outside."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "auditkit"

# Low to high; a module imports from its own layer and from those before it.
LAYERS = (
    ("display", "errors", "memory", "resources"),
    ("kinds", "declare"),
    ("analysis",),
    ("capture",),
    ("tables",),
    ("checks",),
    ("waiving", "evaluate"),
    ("tally",),
    ("engagement", "catalogue", "frameworks", "listing"),
    ("seal", "store"),
    ("period",),
    ("report",),
    ("run",),
    ("run_period",),
    ("review",),
    ("reperform",),
    ("api",),
    ("options", "terminal"),
    ("cli_period", "cli_review"),
    ("cli", "__init__", "__main__"),
)
# What talks to an outside, and the module or package it talks through.
ONLY = {
    "papermill": "report.notebooks",
    "openpyxl": "report.workbook",
    "matplotlib": "report.charts",
    "nbconvert": "report.binder",
    "trestle": "report.oscal",
}
MODULES = {p.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", "."): p for p in PACKAGE.rglob("*.py")}


def rank(module: str) -> int:
    top = module.split(".")[0]
    return next(n for n, layer in enumerate(LAYERS) if top in layer)


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


@pytest.mark.parametrize("module", sorted(MODULES))
def test_layers_go_one_way(module: str) -> None:
    for name in imports(MODULES[module]):
        if name.startswith("auditkit."):
            target = name.removeprefix("auditkit.")
            assert rank(target) <= rank(module), f"{module} imports {target}, which is above it"


@pytest.mark.parametrize("outside", sorted(ONLY))
def test_one_module_talks_to_one_outside(outside: str) -> None:
    users = [m for m, path in MODULES.items() if any(n.split(".")[0] == outside for n in imports(path))]
    assert users
    assert [m for m in users if not f"{m}.".startswith(f"{ONLY[outside]}.")] == []
