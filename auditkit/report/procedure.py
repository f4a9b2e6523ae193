"""How a test is done, as text for an auditor: its settings, the columns that decide, its source and that of what it calls."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator, Mapping
from types import FunctionType
from typing import Any

import pandas as pd

from auditkit.declare import Check, Table
from auditkit.evaluate import Result, declared
from auditkit.report.frames import said

_WORD = re.compile(r"\w+")
# Whose functions judge; a declaration only records.
_JUDGING = ("auditkit.checks", "auditkit.tables", "auditkit.analysis")
_PLACE = ("kind", "namespace", "name")


def place(table: Table) -> list[str]:
    """The columns that name a row: kind, namespace and name, then the rest of the table's key."""
    there = {column.name for column in table.columns}
    return list(dict.fromkeys([*(c for c in _PLACE if c in there), *table.key]))


def key(check: Check) -> list[str]:
    """The columns that name a row of the population."""
    return place(declared(check.population))


def decisive(check: Check) -> list[str]:
    """The columns of the population that the predicate's source names, in its order, without those of the key."""
    there = {column.name for column in declared(check.population).columns}
    named = dict.fromkeys(_WORD.findall(_body(check)))
    return [word for word in named if word in there and word not in key(check)]


def conditions(check: Check, rows: pd.DataFrame) -> pd.Series:
    """What each row shows in the decisive columns, e.g. `privileged: yes; user: –`."""
    text = pd.Series("", index=rows.index, dtype="string")
    for column in decisive(check):
        text = text + "; " + column + ": " + pd.Series([said(v) for v in rows[column]], rows.index, dtype="string")
    return text.str.removeprefix("; ")


def settings(values: Mapping[str, Any]) -> str:
    """Settings as `days = 30, names = a b c`."""
    return ", ".join(
        f"{name} = {said(sorted(v) if isinstance(v, (set, frozenset)) else v)}" for name, v in values.items()
    )


def source(result: Result) -> str:
    """The predicate as written and the functions of ours that it calls, each once: all that decides a row."""
    check = result.check
    return "\n\n".join(
        [check.source.strip(), *(inspect.getsource(f).strip() for f in _called(check.test, {check.test}))]
    )


def reads(check: Check) -> list[tuple[str, str]]:
    """Name and description of every table that the test reads."""
    return [(name, " ".join(declared(name).doc.split())) for name in check.reads]


def _body(check: Check) -> str:
    return check.source.partition(":\n")[2]


def _called(function: Any, seen: set[Any]) -> Iterator[Any]:
    """Functions of auditkit by the names in the source, depth first."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    names = [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
    for name in dict.fromkeys(names):
        found = function.__globals__.get(name)
        if isinstance(found, FunctionType) and found.__module__.startswith(_JUDGING) and found not in seen:
            seen.add(found)
            yield found
            yield from _called(found, seen)
