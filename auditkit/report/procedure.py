"""How a test is done, as text for an auditor: its settings, the columns that decide, its source and that of what it calls."""

import ast
import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from functools import cache
from types import FunctionType, ModuleType
from typing import Any

import pandas as pd

from auditkit.declare import Check, Table
from auditkit.evaluate import Result, declared
from auditkit.report.frames import said

_WORD = re.compile(r"\w+")
# Whose functions judge; a declaration only records.
_JUDGING = ("auditkit.checks", "auditkit.tables", "auditkit.analysis")
# A constant by its name, and what of them can be written down.
_CONSTANT = re.compile("_*[A-Z][A-Z0-9_]*")
_PLAIN = (str, int, float, re.Pattern)
# The columns that name an object.
PLACE = ("kind", "namespace", "name")


def place(table: Table) -> list[str]:
    """The columns that name a row: kind, namespace and name, then the rest of the table's key."""
    there = {column.name for column in table.columns}
    return list(dict.fromkeys([*(c for c in PLACE if c in there), *table.key]))


def key(check: Check) -> list[str]:
    """The columns that name a row of the population."""
    return place(declared(check.population))


@cache
def decisive(check: Check) -> tuple[str, ...]:
    """The columns of the population that decide a row, without those of the key.

    Those that the predicate's source names, in its order, those that its helpers look at, and `text`: in words, what
    a test of another tool asks for.
    """
    there = {column.name for column in declared(check.population).columns}
    named = dict.fromkeys([*_WORD.findall(_body(check)), *_looked_at(check), "text"])
    return tuple(word for word in named if word in there and word not in key(check))


def _looked_at(check: Check) -> Iterator[str]:
    """Attributes that helpers of the predicate read of what they are given."""
    for helper in called(check.test):
        if helper.__module__.startswith("auditkit.checks"):
            given = set(inspect.signature(helper).parameters)
            for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(helper)))):
                if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in given:
                    yield node.attr


def part(rows: pd.DataFrame, columns: Iterable[str]) -> pd.Series:
    """What names a row beside its object, e.g. `container app, image nginx`; what is empty or missing is left out."""
    shown = [c for c in columns if c not in PLACE]
    text = pd.Series("", index=rows.index, dtype="string")
    for column in shown:
        values = (said(v) for v in rows[column])
        text += [f", {column} {v}" if v not in ("", "–") else "" for v in values]
    return text.str.removeprefix(", ")


def conditions(check: Check, rows: pd.DataFrame) -> pd.Series:
    """What each row shows in the decisive columns, e.g. `privileged: yes; user: –`."""
    text = pd.Series("", index=rows.index, dtype="string")
    for column in decisive(check):
        text = (
            text
            + "; "
            + column
            + ": "
            + pd.Series([said(v) or "empty" for v in rows[column]], rows.index, dtype="string")
        )
    return text.str.removeprefix("; ")


def settings(values: Mapping[str, Any]) -> str:
    """Settings as `days = 30, names = a b c`."""
    return ", ".join(
        f"{name} = {said(sorted(v) if isinstance(v, (set, frozenset)) else v)}" for name, v in values.items()
    )


def source(result: Result) -> str:
    """The predicate as written, the constants it names and the functions of ours that it calls: all that decides a row."""
    return listing(result.check.test, result.check.source.strip())


def listing(function: Any, text: str = "") -> str:
    """The constants that a function and what it calls name, with their values, then the sources; `text` stands for its own."""
    functions = [function, *called(function)]
    values = {name: v for f in functions for name, v in names(f).items() if _CONSTANT.fullmatch(name)}
    constants = [f"{name} = {_value(v)}" for name, v in values.items() if _plain(v)]
    sources = [_written(f).strip() for f in functions]
    return "\n\n".join(filter(None, ["\n".join(constants), text or sources[0], *sources[1:]]))


def reads(check: Check) -> list[tuple[str, str]]:
    """Name and description of every table that the test reads."""
    return [(name, " ".join(declared(name).doc.split())) for name in check.reads]


def _body(check: Check) -> str:
    return check.source.partition(":\n")[2]


def called(function: Any) -> list[Any]:
    """The functions of ours that a function calls, and those that they call, depth first, each once."""
    return list(_called(function, {function}))


def _called(function: Any, seen: set[Any]) -> Iterator[Any]:
    for found in names(function).values():
        if isinstance(found, FunctionType) and found.__module__.startswith(_JUDGING) and found not in seen:
            seen.add(found)
            yield found
            yield from _called(found, seen)


@cache
def names(function: Any) -> dict[str, Any]:
    """What the names in a function's source stand for, in its order: `limit`, or `podrules.judge` of a module."""
    found = {}
    for node in ast.walk(ast.parse(_written(function))):
        if isinstance(node, ast.Name) and node.id in function.__globals__:
            found[node.id] = function.__globals__[node.id]
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = function.__globals__.get(node.value.id)
            if isinstance(module, ModuleType) and hasattr(module, node.attr):
                found[node.attr] = getattr(module, node.attr)
    return found


@cache
def _written(function: Any) -> str:
    return textwrap.dedent(inspect.getsource(function))


def _plain(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(_plain, value.values()))
    if isinstance(value, (tuple, list, set, frozenset)):
        return all(map(_plain, value))
    return isinstance(value, _PLAIN) or (is_dataclass(value) and not isinstance(value, type))


def _value(value: Any) -> str:
    """A constant as Python writes it, whole and the same in every process."""
    if isinstance(value, Mapping):
        return "{\n" + "".join(f"    {key!r}: {_value(one)},\n" for key, one in value.items()) + "}"
    if isinstance(value, (set, frozenset)):
        return f"{{{', '.join(sorted(map(repr, value)))}}}"
    if isinstance(value, re.Pattern):
        return f"re.compile({value.pattern!r})"
    return repr(value)
