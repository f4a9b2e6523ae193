"""The lists: what tables, checks, facts, controls and frameworks there are."""

from pathlib import Path

import pandas as pd

from auditkit import catalogue, engagement, frameworks
from auditkit.declare import CHECKS, TABLES
from auditkit.errors import UsageError, instead
from auditkit.evaluate import ORIGIN, Results, declared


def tables(name: str | None = None) -> pd.DataFrame:
    """One row per table: table, what a row of it is, its key and columns; of the table `name` one row per column.

    A column has column, dtype, key (is it part of what names a row; tables join on equal names) and doc. Raises UsageError where
    there is no such table.
    """
    if name is None:
        every = sorted((*TABLES.values(), ORIGIN), key=lambda t: t.name)
        rows = [(t.name, t.title, list(t.key), [c.name for c in t.columns]) for t in every]
        return pd.DataFrame(rows, columns=["table", "row", "key", "columns"])
    table = declared(name)
    columns = [(c.name, c.dtype, c.name in table.key, c.doc) for c in table.columns]
    return pd.DataFrame(columns, columns=["column", "dtype", "key", "doc"])


def checks(peer: str | None = None) -> pd.DataFrame:
    """One row per check: id, title, severity, population (table), reads, settings, and what it answers.

    `rows` are ids of `facts()`; `peers` are ids by tool, of tests that look at the same thing and may judge it otherwise;
    `requirements` are ids by framework, every version. With `peer`, a tool or a framework: only the checks that it has
    an equivalent of, with its ids. Raises UsageError where no such tool or framework is known.
    """
    answered = frameworks.answered()
    known = [*catalogue.names(), *frameworks.names()]
    if peer is not None and peer not in known:
        raise UsageError(f"no peer {peer}; {instead(peer, known)}")
    if peer is not None:
        named = {id: {**catalogue.peers(id), **answered.get(id, {})} for id in sorted(CHECKS)}
        equal = [(id, CHECKS[id].title, ids[peer]) for id, ids in named.items() if peer in ids]
        return pd.DataFrame(equal, columns=["id", "title", "ids"])
    rows = [
        {
            "id": c.id,
            "title": c.title,
            "severity": c.severity,
            "population": c.population,
            "reads": list(c.reads),
            "settings": dict(c.settings),
            "rows": catalogue.rows(c.id),
            "peers": catalogue.peers(c.id),
            "requirements": answered.get(c.id, {}),
        }
        for _, c in sorted(CHECKS.items())
    ]
    return pd.DataFrame(rows)


def facts() -> pd.DataFrame:
    """One row per fact that auditkit set out to show: id, title, checks, imports, and what is left to a person, or why."""
    return catalogue.facts()


def controls(results: Results | None = None, *, config: str | Path | None = None) -> pd.DataFrame:
    """One row per control: id, title, criteria, owner, frequency, checks, why; with `results` the control matrix instead.

    The control matrix has rows tested, exceptions, undetermined and management's result; see frameworks.control_matrix.
    `config` (auditkit.toml) names the entity's own controls.
    """
    known = frameworks.controls(engagement.load(Path(config) if config else None))
    return frameworks.controls_frame(known) if results is None else frameworks.control_matrix(results, known)


def requirements(
    name: str | Path | None = None, results: Results | None = None, *, config: str | Path | None = None
) -> pd.DataFrame:
    """One row per requirement of the framework `name`, or of your own by the path of its .toml file; without a name one
    row per framework: framework, title, requirements (count).

    With `results` each has management's result instead of what remains manual, see frameworks.coverage. Raises UsageError where there is no such framework.
    """
    if name is None:
        found = map(frameworks.load, frameworks.names())
        rows = [(f.name, f.title, len(f.requirement)) for f in found]
        return pd.DataFrame(rows, columns=["framework", "title", "requirements"])
    framework = frameworks.load(name)
    known = frameworks.controls(engagement.load(Path(config) if config else None))
    if results is None:
        return frameworks.requirements_frame(framework, known)
    return frameworks.coverage(results, framework, known)
