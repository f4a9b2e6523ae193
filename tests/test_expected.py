"""Agreement of the checks with the planted facts of the recorded cluster, on all four dates."""

import csv
import gzip
import tomllib
from collections import defaultdict
from datetime import date as day
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from conftest import DATES, RECORDINGS

import auditkit as ak
from auditkit.capture import imports
from auditkit.capture.imports import Loaded, Supplied
from auditkit.evaluate import Results
from auditkit.resources import folder

CATALOGUE = tomllib.loads((folder("data") / "catalogue.toml").read_text())

# Facts that a check judges on another object than the one the file names, or leaves open, and why.
EXPLAINED: dict[tuple[str, str], str] = {
    ("C02", "payments-api"): "its own image is pinned; that of the istio-proxy injected beside it is not",
    (
        "E10",
        "from-prod-web",
    ): "judged as the namespace staging that production reaches, not as the policy that opens it",
    ("F02", "ledger-db-tls"): "whether a private key belongs to its certificate is not tested: no private key is read",
    ("J04", "fluentd"): "judged by node: nwp-cp-1 and nwp-win-1, which it leaves out, are the exceptions",
    ("J06", "falco"): "judged by node: nwp-win-1, which it leaves out, is the exception",
}


EXPORTS = {"idp_users": "idp_users", "idp_groups": "idp_groups", "leavers": "hr_leavers", "tickets": "tickets"}


@cache
def results(date: str) -> Results:
    """All checks of one date, with the exports of people as if they were made on it: what they say has dates of its own."""
    source = RECORDINGS / "northwind-prod" / date
    settings = {"IMG-04": {"registries": ("registry.northwind.example",)}}
    snapshot = ak.capture(path=source, secrets=True, tls_secrets=True, secret_facts=True)
    return ak.check(snapshot.beside((*imports.read(exports(date)), log(date))), settings=settings)


def exports(date: str) -> list[Supplied]:
    place = RECORDINGS / "identity"
    return [
        Supplied(source=name, paths=(place / f"{file}.csv",), made_at=day.fromisoformat(date))
        for name, file in EXPORTS.items()
    ]


def log(date: str) -> Loaded:
    """The audit log as it was at the date."""
    with gzip.open(RECORDINGS / "audit" / "audit.log.gz", "rt") as lines, TemporaryDirectory() as folder:
        cut = Path(folder) / "audit.log"
        cut.write_text("".join(line for line in lines if stage_time(line) < f"{date}T06:00:00"))
        return imports.read([Supplied(source="audit_log", paths=(cut,))])[0]


def stage_time(line: str) -> str:
    return line.partition('"stageTimestamp":"')[2][:19]


def facts() -> list[dict[str, str]]:
    rows = {row for entry in CATALOGUE.values() for row in entry["rows"]}
    with (RECORDINGS / "expected.csv").open(newline="") as file:
        return [fact for fact in csv.DictReader(file) if fact["check"] in rows]


@cache
def verdicts(date: str, row: str) -> dict[tuple[str, ...], set[str]]:
    """The verdicts of each object by kind, namespace and name, in all checks of the row."""
    found = defaultdict[tuple[str, ...], set[str]](set)
    for id, entry in CATALOGUE.items():
        if row in entry["rows"]:
            population = results(date)[id].population
            places = population[["kind", "namespace", "name"]].fillna("").itertuples(index=False, name=None)
            for place, verdict in zip(places, population["verdict"], strict=True):
                found[place].add(verdict)
    return found


def verdict(fact: dict[str, str]) -> str:
    """The worst verdict of the named object in any check of the row; an object that is not there is ok."""
    found = verdicts(fact["date"], fact["check"]).get((fact["kind"], fact["namespace"], fact["name"]), set())
    return next((v for v in ("exception", "undetermined") if v in found), "ok")


def test_every_catalogued_row_has_planted_facts() -> None:
    assert len(facts()) > 400


@pytest.mark.parametrize("date", DATES)
def test_agreement(date: str) -> None:
    differing = [
        f"{fact['check']} {fact['kind']} {fact['namespace']}/{fact['name']}: {fact['fact']}: expected {fact['expected']}, is {verdict(fact)}"
        for fact in facts()
        if fact["date"] == date and (fact["check"], fact["name"]) not in EXPLAINED and verdict(fact) != fact["expected"]
    ]
    assert differing == []


def test_every_explanation_is_needed() -> None:
    differing = {(f["check"], f["name"]) for f in facts() if verdict(f) != f["expected"]}
    assert differing == set(EXPLAINED)


def test_the_leaver_is_found_by_name_until_the_binding_is_gone() -> None:
    found = {
        date: list(results(date)["RBAC-80"].exceptions["name"]) for date in ("2026-07-01", "2026-09-30", "2026-10-31")
    }
    assert found == {"2026-07-01": ["mallory-sre"], "2026-09-30": ["mallory-sre"], "2026-10-31": []}
    assert results("2026-10-31")["RBAC-80"].conclusion == "no exceptions"


def test_people_of_the_recorded_cluster() -> None:
    found = results("2026-10-31")
    assert set(found["RBAC-85"].exceptions["person"]) == {"frank@northwind.example"}
    assert list(found["RBAC-87"].exceptions["name"]) == ["break-glass@northwind.example"]
    assert list(found["RBAC-89"].exceptions["name"]) == ["mallory@northwind.example"]
    assert list(found["RBAC-91"].exceptions["name"]) == ["mallory@northwind.example"]
