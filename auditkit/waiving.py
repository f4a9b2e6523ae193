"""Which exceptions a waiver covers: they stay exceptions, and say by which waiver they are accepted."""

from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Annotated

import pandas as pd

from auditkit.capture.imports.waivers import Waiver
from auditkit.declare import CHECKS, TABLES, Table, columns_of
from auditkit.errors import instead
from auditkit.kinds import Record

# A waiver of what is said of waivers would excuse itself.
OWN = ("ADM-90", "ADM-91", "ADM-92")


class Findings:
    """One row per exception of the checks that waivers name, and one per check of them without any."""

    check: Annotated[str, "The check."]
    conclusion: Annotated[str, "How it ended."]
    exception_id: Annotated[str | None, "The exception; missing where the check has none."]
    waiver: Annotated[str | None, "Id of the waiver in force that covers it."]


FINDINGS = Table(
    name="findings",
    doc=str(Findings.__doc__),
    columns=columns_of(Findings),
    key=("check", "exception_id"),
    build=lambda: None,
)


def faults(waivers: Iterable[Record]) -> list[str]:
    """What is wrong with waivers beside the checks: one names no check, or a column that its population has not."""
    found = []
    for waiver in (one for one in waivers if isinstance(one, Waiver)):
        check = CHECKS.get(waiver.check)
        if check is None or waiver.check in OWN:
            found.append(
                f"waiver {waiver.id}: no check {waiver.check} that can be waived; "
                + instead(waiver.check, [id for id in CHECKS if id not in OWN], "`auditkit checks`")
            )
            continue
        columns = [column.name for column in TABLES[check.population].columns] if check.population in TABLES else []
        found += [
            f"waiver {waiver.id}: scope.{name}: {check.population} has no such column; {instead(name, columns)}"
            for name in waiver.scope
            if name not in columns
        ]
    return found


def waived(population: pd.DataFrame, exception: pd.Series, waivers: Mapping[str, Mapping[str, str]]) -> pd.Series:
    """The id of the first waiver that covers each row that is an `exception`; missing where none does.

    `waivers` are those in force for the check, by id: patterns by column; a missing value matches no pattern, a list
    one that matches each of its items, as each is a part of what is accepted.
    """
    found = pd.Series(pd.NA, population.index, "string")
    for id, scope in waivers.items():
        covered = exception & found.isna()
        for column, pattern in scope.items():
            covered &= _matching(population[column], pattern)
        found = found.mask(covered, id)
    return found


def _matching(values: pd.Series, pattern: str) -> pd.Series:
    if values.dtype == object:
        return values.map(lambda items: _each(items, pattern)).astype(bool)
    text = values.astype("string")
    known = {value: fnmatchcase(value, pattern) for value in text.dropna().unique()}
    return text.map(known).astype("boolean").fillna(False).astype(bool)


def _each(items: Sequence[str] | None, pattern: str) -> bool:
    return isinstance(items, list | tuple) and bool(items) and all(fnmatchcase(item, pattern) for item in items)
