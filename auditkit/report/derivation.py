"""How tables come about, as text for an auditor: the functions that make each, and the rules of the engines behind it."""

import ast
import inspect
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from auditkit.declare import GIVEN
from auditkit.evaluate import declared
from auditkit.report import procedure
from auditkit.resources import PACKAGE

_ENGINES = "auditkit.analysis"


def behind(names: Iterable[str]) -> list[str]:
    """These tables and all that they are computed from, each once, a view before what it reads."""
    found: dict[str, None] = {}
    for name in names:
        if name not in GIVEN:
            found |= dict.fromkeys([name, *behind(declared(name).reads)])
    return list(found)


@cache
def source(name: str) -> str:
    """What makes the rows of a table: constants, its own function and those of ours that it calls."""
    return procedure.listing(declared(name).build)


@cache
def engines(name: str) -> tuple[tuple[str, str], ...]:
    """File and docstring, with the rule it cites, of every engine that a table leads to."""
    build = declared(name).build
    named = [found for function in (build, *procedure.called(build)) for found in procedure.names(function).values()]
    modules = filter(None, map(inspect.getmodule, named))
    waiting = [Path(inspect.getfile(m)) for m in modules if m.__name__.startswith(f"{_ENGINES}.")]
    found: dict[Path, str] = {}
    while waiting:
        path = waiting.pop(0)
        if path not in found:
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found[path] = ast.get_docstring(tree) or ""
            waiting += _imported(tree)
    return tuple((path.relative_to(PACKAGE.parent).as_posix(), text) for path, text in found.items())


def _imported(tree: ast.Module) -> Iterator[Path]:
    """The files of the engines that a module imports, within functions too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(_ENGINES):
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                path = PACKAGE.parent / f"{name.replace('.', '/')}.py"
                if path.is_file():
                    yield path
