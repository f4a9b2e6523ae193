"""What a contributor writes: @table, @view and @check record a declaration and return what they were given."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from types import MappingProxyType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from auditkit.errors import AuditkitError, instead
from auditkit.kinds import Kind, Record

Severity = Literal["critical", "high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = get_args(Severity)

# One nullable dtype a Python type: a missing value stays missing in comparisons (three-valued logic).
DTYPES: Mapping[Any, str] = MappingProxyType(
    {str: "string", bool: "boolean", int: "Int64", float: "Float64", datetime: "datetime64[us, UTC]", list: "object"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A documented column; dtype is one of the values of DTYPES ("object" is a list of strings)."""

    name: str
    dtype: str
    doc: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Rows read from objects or records (`kinds`, `records`, no `reads`) or computed from tables (`reads` alone: a view).

    `build` takes the snapshot's objects and yields tuples in the order of `columns`; of a view it
    takes the frames it reads, by name, and returns a frame with those columns.
    """

    name: str
    doc: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    kinds: tuple[type[Kind], ...] = ()
    beside: tuple[type[Kind], ...] = ()
    records: tuple[type[Record], ...] = ()
    options: tuple[str, ...] = ()
    reads: tuple[str, ...] = ()
    build: Callable[..., Any] = field(repr=False)

    @property
    def is_view(self) -> bool:
        return bool(self.reads)

    @property
    def title(self) -> str:
        return self.doc.partition("\n")[0]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Check:
    """One automated test; everything but id, severity and `control_plane` is read from its function."""

    id: str
    severity: Severity
    test: Callable[..., Any] = field(repr=False)
    reads: tuple[str, ...]
    settings: Mapping[str, Any]
    control_plane: bool = False

    def __repr__(self) -> str:
        return f"<Check {self.id} {self.severity}: {self.title}>"

    @property
    def population(self) -> str:
        """The table whose rows are tested: the first parameter."""
        return self.reads[0]

    @property
    def title(self) -> str:
        """What is true of a clean row: the docstring's first line, without its full stop."""
        return self._doc.partition("\n")[0].rstrip(".")

    @property
    def rationale(self) -> str:
        """Why it matters: the docstring between title and `Fix:`."""
        return " ".join(self._doc.partition("\n")[2].partition("\nFix:")[0].split())

    @property
    def fix(self) -> str:
        """What removes an exception: the docstring after `Fix:`."""
        return " ".join(self._doc.partition("\nFix:")[2].split())

    @property
    def source(self) -> str:
        """The predicate as written, without its docstring: the test procedure an auditor can re-perform."""
        return _predicate(self.test)

    @property
    def _doc(self) -> str:
        return inspect.getdoc(self.test) or ""


@cache
def _predicate(test: Callable[..., Any]) -> str:
    before, _, text = inspect.getsource(test).partition('"""')
    return before.rstrip() + "\n" + text.partition('"""')[2].lstrip("\n")


# Tables that evaluate makes without a declaration here: where the snapshot came from, what the checks found.
GIVEN = ("origin", "findings")

_tables: dict[str, Table] = {}
_checks: dict[str, Check] = {}

# Readers get a view; only the decorators write.
TABLES: Mapping[str, Table] = MappingProxyType(_tables)
CHECKS: Mapping[str, Check] = MappingProxyType(_checks)

C = TypeVar("C", bound=type)
F = TypeVar("F", bound=Callable[..., Any])


def table(
    name: str,
    *,
    key: tuple[str, ...],
    kinds: tuple[type[Kind], ...] = (),
    records: tuple[type[Record], ...] = (),
    beside: tuple[type[Kind], ...] = (),
    options: tuple[str, ...] = (),
) -> Callable[[C], C]:
    """Declare a table: the class's annotated fields are its columns, `rows(objects)` yields tuples in their order.

    `kinds` are what its rows are made of (`records` where they come out of an import), `beside` what else is looked at to
    fill a row; both are collected (a kind that the cluster does not serve counts as empty); `options` are those of a capture (fields of
    snapshot.Options) of which any reads all that the rows are made of: without one the table is incomplete;
    `key` names the columns that identify a row, the same across snapshots.
    """

    def record(cls: C) -> C:
        declared = Table(
            name=name,
            doc=_doc(cls),
            columns=columns_of(cls),
            key=key,
            kinds=kinds,
            beside=beside,
            records=records,
            options=options,
            build=getattr(cls, "rows"),
        )
        _bind(_tables, name, declared)
        return cls

    return record


def view(name: str, *, key: tuple[str, ...]) -> Callable[[C], C]:
    """Declare a view: like a table, but `frame(table, table, ...)` computes it from the tables its parameters name."""

    def record(cls: C) -> C:
        build = getattr(cls, "frame")
        declared = Table(
            name=name, doc=_doc(cls), columns=columns_of(cls), key=key, reads=_positional(build), build=build
        )
        _bind(_tables, name, declared)
        return cls

    return record


def check(id: str, *, severity: Severity, control_plane: bool = False) -> Callable[[F], F]:
    """Declare a check: a function of tables (positional parameters, the first is the population) and settings (keyword-only).

    It returns one nullable boolean per row of the population: True is an exception, missing is undetermined.
    Its docstring is title, why, and `Fix:`. `control_plane` marks what a managed cluster's provider answers for.
    """

    def record(test: F) -> F:
        settings = {n: p.default for n, p in inspect.signature(test).parameters.items() if p.kind is p.KEYWORD_ONLY}
        reads = _positional(test)
        _bind(
            _checks,
            id,
            Check(id=id, severity=severity, test=test, reads=reads, settings=settings, control_plane=control_plane),
        )
        return test

    return record


def kinds_of(name: str) -> tuple[type[Kind], ...]:
    """The kinds that a table or view rests on, without repeats, in order of declaration."""
    found = [kind for table in tables_of(name) for kind in (*table.kinds, *table.beside)]
    return tuple(dict.fromkeys(found))


def records_of(name: str) -> tuple[type[Record], ...]:
    """The records of imports that a table or view rests on, without repeats, in order of declaration."""
    return tuple(dict.fromkeys(record for table in tables_of(name) for record in table.records))


def rests_on(name: str) -> tuple[type[Kind] | type[Record], ...]:
    """The kinds and records that a table or view rests on."""
    return (*kinds_of(name), *records_of(name))


def tables_of(name: str) -> tuple[Table, ...]:
    """The tables that a table or view rests on, itself among them, without views."""
    if name in GIVEN:
        return ()
    declared = _declared(name)
    return tuple(table for read in declared.reads for table in tables_of(read)) if declared.is_view else (declared,)


def spine_of(name: str) -> tuple[type[Kind] | type[Record], ...]:
    """What the rows are made of: of a view that of the first table it reads, the others only add to rows."""
    if name in GIVEN:
        return ()
    declared = _declared(name)
    return spine_of(declared.reads[0]) if declared.is_view else (*declared.kinds, *declared.records)


def _declared(name: str) -> Table:
    """A table by name, looked up when it is used: it may be declared after what reads it."""
    if name in TABLES:
        return TABLES[name]
    readers = [f"check {c.id}" for c in CHECKS.values() if name in c.reads]
    readers += [f"view {t.name}" for t in TABLES.values() if name in t.reads]
    hint = instead(name, TABLES, "`auditkit tables`")
    raise AuditkitError(f"{', '.join(readers)}: ".removeprefix(": ") + f"no table {name!r} to read; {hint}")


def _bind(registry: dict[str, Any], name: str, value: Any) -> None:
    if name in registry:
        raise AuditkitError(f"{name} is declared twice: choose another name, ids are never reused")
    registry[name] = value


def _doc(cls: type) -> str:
    return inspect.getdoc(cls) or ""


def _positional(function: Callable[..., Any]) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD)


def columns_of(cls: type) -> tuple[Column, ...]:
    """The annotated fields of a class as columns, in their order."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(
        Column(name=name, dtype=_dtype(cls, name, hint), doc=_described(cls, name, hint))
        for name, hint in hints.items()
    )


def _dtype(cls: type, name: str, hint: Any) -> str:
    plain = _plain(hint)
    if plain not in DTYPES:
        known = ", ".join(type_.__name__ for type_ in DTYPES)
        named = getattr(plain, "__name__", plain)
        raise AuditkitError(f"column {name} of {cls.__qualname__}: a column cannot hold {named}, only {known}")
    return DTYPES[plain]


def _plain(hint: Any) -> Any:
    """The Python type of a column's hint: without Annotated, `| None` and the item type of a list."""
    if get_origin(hint) is Annotated:
        hint = get_args(hint)[0]
    if get_origin(hint) in (Union, UnionType):
        hint = next(option for option in get_args(hint) if option is not type(None))
    return get_origin(hint) or hint


def _described(cls: type, name: str, hint: Any) -> str:
    if get_origin(hint) is not Annotated:
        raise AuditkitError(
            f'column {name} of {cls.__qualname__} has no doc: write `{name}: Annotated[type, "what it is"]`'
        )
    return str(get_args(hint)[1])
