"""Every check against its own file of manifests: each row of the population and its verdict.

A document of cases/ID.yaml has `objects` (manifests) and `rows`: each names one row of the population by some of its
columns, with its `verdict`; every row is named once. It may have `title`, `at` (time of the snapshot), `version` of the
server, `missing` (resources whose list is denied), `options` of the capture for Secrets, `basis`, `settings` of the check,
`records` of imports by their plural (an import of which none is named was not supplied; [] is an empty one), and the `conclusion` that is expected.
"""

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from builders import AT, EVERYTHING, imported, snapshot

from auditkit import evaluate
from auditkit.capture.snapshot import Options
from auditkit.declare import CHECKS
from auditkit.resources import folder

CASES = Path(__file__).parent / "cases"


class Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a timestamp is a string."""


Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def documents(id: str) -> list[dict[str, Any]]:
    path = CASES / f"{id}.yaml"
    assert path.is_file(), f"write tests/cases/{id}.yaml; its keys are told at the top of this file"
    return list(yaml.load_all(path.read_text(), Loader))


CASE_IDS = sorted(path.stem for path in CASES.glob("*.yaml"))
PARAMETERS = [pytest.param(id, case, id=f"{id}-{n}") for id in CASE_IDS for n, case in enumerate(documents(id))]


def matching(population: pd.DataFrame, row: dict[str, Any]) -> pd.DataFrame:
    odd = {*row} - {*population}
    assert not odd, f"{row}: {', '.join(odd)} is no column of the population; it has {', '.join(population)}"
    for column, value in row.items():
        population = population[population[column].isna() if value is None else population[column] == value]
    return population


@pytest.mark.parametrize(("id", "case"), PARAMETERS)
def test_verdicts(id: str, case: dict[str, Any]) -> None:
    at = datetime.fromisoformat(case["at"]) if case.get("at") else (None if "at" in case else AT)
    version = case.get("version", "v1.36.2")
    options = Options(**case["options"]) if "options" in case else EVERYTHING
    basis = case.get("basis", "listed")
    source = snapshot(
        case["objects"], at=at, missing=case.get("missing", ()), version=version, options=options, basis=basis
    ).beside(imported(case.get("records", {})))
    result = evaluate.run(evaluate.Tables(source), [id], settings={id: case.get("settings", {})})[id]
    assert result.conclusion != "error", result.note
    if "conclusion" in case:
        assert result.conclusion == case["conclusion"], result.note
    found = set()
    for row in case["rows"]:
        named = {column: value for column, value in row.items() if column != "verdict"}
        rows = matching(result.population, named)
        assert len(rows) == 1, f"{named} names {len(rows)} rows of:\n{result.population.to_string()}"
        assert rows["verdict"].iloc[0] == row["verdict"], f"{named}:\n{rows.iloc[0].to_string()}"
        found.add(rows.index[0])
    assert len(found) == len(result.population), f"rows not named:\n{result.population.drop(list(found)).to_string()}"


KEYS = {"records", "title", "objects", "rows", "at", "version", "missing", "options", "basis", "settings", "conclusion"}


@pytest.mark.parametrize("id", CASE_IDS)
def test_a_case_has_no_key_that_nothing_reads(id: str) -> None:
    assert [sorted(set(case) - KEYS) for case in documents(id) if set(case) - KEYS] == []


def test_every_check_has_its_cases() -> None:
    assert sorted(set(CHECKS) - set(CASE_IDS)) == [], "write tests/cases/ID.yaml for these"
    assert sorted(set(CASE_IDS) - set(CHECKS)) == [], "no check has these ids"


def test_every_check_is_in_the_catalogue() -> None:
    catalogue = tomllib.loads((folder("data") / "catalogue.toml").read_text())
    assert sorted(set(CHECKS) - set(catalogue)) == [], "add [ID] to data/catalogue.toml; without a row: rows = []"
    assert sorted(set(catalogue) - set(CHECKS)) == [], "no check has these ids"


@pytest.mark.parametrize("id", sorted(CHECKS))
def test_a_case_shows_an_exception_and_a_clean_row(id: str) -> None:
    verdicts = {row["verdict"] for case in documents(id) for row in case["rows"]}
    assert {"exception", "ok"} <= verdicts


@pytest.mark.parametrize("id", sorted(CHECKS))
def test_every_check_is_documented(id: str) -> None:
    check = CHECKS[id]
    assert check.title
    assert check.rationale
    assert check.fix
