"""The sheet of control activities: what each states, how it was tested, what was found."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import pandas as pd

from auditkit import frameworks
from auditkit.declare import Check
from auditkit.evaluate import CONCLUSIONS, Snapshot
from auditkit.frameworks import Control
from auditkit.report import narrative, procedure
from auditkit.report.listings import EXCEPTIONS, Tests
from auditkit.report.workbook import Link, Sheet
from auditkit.tally import NOT_RUN

# A snapshot is of one time: nothing in it tests operation over a period.
TEST = "Configuration test at the as-of date"


def controls_sheet(snapshot: Snapshot, controls: tuple[Control, ...], tests: Tests) -> Sheet:
    """One row a control activity."""
    matrix = frameworks.control_matrix(tests.results, controls)
    rows = [
        _control(control, row, snapshot, tests)
        for control, row in zip(controls, matrix.to_dict("records"), strict=True)
    ]
    return Sheet(
        name="Control matrix",
        note="One row a control activity; it takes the most serious conclusion of its tests, which show the state at one time, "
        "not operation over a period. What is proposed is auditkit's draft until management confirms it or states its own. "
        "A test may serve several controls: counts of controls do not add up.",
        frame=pd.DataFrame(rows),
        people=(
            *("Confirmed by management", "Test of design: result", "Compensating control", "Management response"),
            *("Ticket", "Prepared by, date", "Reviewed by, date"),
        ),
        auditor=("Auditor ref", "Auditor conclusion"),
        fixed=2,
        widest=34,
        widths={
            "Title": 24,
            "Primary criteria": 14,
            "Supporting criteria": 14,
            "Exception refs": 50,
            "Test of design: steps": 150,
            f"{TEST}: steps": 90,
            "Evidence": 50,
        },
    )


def _control(control: Control, row: Mapping[Any, Any], snapshot: Snapshot, tests: Tests) -> dict[str, Any]:
    """One row: what one reads first, then how it was tested."""
    ids = [id for id in control.checks if id in tests.results]
    populations = dict.fromkeys(tests.results[id].check.population for id in ids)
    papers = sorted({tests.workpaper[id] for id in ids}, key=lambda paper: paper.reference)
    named = [paper.reference for paper in papers]
    examined, found = _objects(tests, ids)
    return {
        "Control": control.id,
        "Title": control.title,
        "Control activity": control.statement,
        "Primary criteria": ", ".join(control.primary),
        "Supporting criteria": ", ".join(control.supporting),
        "Management's result": row["Management's result"],
        f"{TEST}: result": counted(row),
        "Objects examined": examined,
        "Objects with exceptions": found,
        "Exceptions": _exceptions(tests, ids),
        "Undetermined": row["Undetermined"] if ids else None,
        "Workpapers": Link(text=", ".join(named), target=papers[0].page) if papers else "",
        "Exception refs": ", ".join(f"{id} ({len(tests.exceptions[id]):,})" for id in ids if len(tests.exceptions[id])),
        "Risk addressed": control.risk,
        "Control owner": stated(control, "owner"),
        **{name.capitalize(): stated(control, name) for name in ("frequency", "nature", "type", "key")},
        "Category": ", ".join(dict.fromkeys(_categories()[id] for id in control.primary)),
        "System": snapshot.origin.cluster,
        "Procedure": "; ".join(_procedure(control)),
        "Test of design: steps": "\n".join(_design(control, tests, ids)),
        f"{TEST}: steps": "\n".join(_steps(control)),
        "Population": "; ".join(f"{name} {len(snapshot.tables[name]):,}" for name in populations),
        "Sample": "none: every row is tested" if ids else "",
        "Evidence": "; ".join([*named, *(f"IPE-{name}" for name in populations)]),
    }


def _objects(tests: Tests, ids: list[str]) -> tuple[int | None, int | None]:
    """Distinct objects in the populations of these tests, and those of them with an exception."""
    if not ids:
        return None, None
    checks = {id: tests.results[id].check for id in ids}
    examined = [_places(check, tests.results[id].population) for id, check in checks.items()]
    found = [_places(check, tests.exceptions[id]) for id, check in checks.items()]
    return len(set[tuple[str, ...]]().union(*examined)), len(set[tuple[str, ...]]().union(*found))


def _places(check: Check, rows: pd.DataFrame) -> set[tuple[str, ...]]:
    """Kind, namespace and name of each row; of what is no object of the cluster its table and key."""
    place = ["kind", "namespace", "name"]
    if set(place) <= set(rows):
        return set(zip(*(rows[column].tolist() for column in place), strict=True))
    keys = zip(*(rows[column].tolist() for column in procedure.key(check)), strict=True)
    return {(check.population, "", " ".join(map(str, key))) for key in keys}


def _exceptions(tests: Tests, ids: list[str]) -> Link | int | None:
    """How many exceptions these tests found, leading to the first of them in the sheet."""
    count = sum(len(tests.exceptions[id]) for id in ids)
    first = next((tests.first_exception[id] for id in tests.order if id in ids and id in tests.first_exception), None)
    return (count if ids else None) if first is None else Link.row(count, EXCEPTIONS, first)


def stated(control: Control, key: str) -> str:
    """An attribute of a control, marked where it is not the entity's own word."""
    value = getattr(control, key)
    text = ("yes" if value else "no") if isinstance(value, bool) else str(value)
    return text if key in control.stated else f"{text} (proposed)"


@cache
def _categories() -> dict[str, str]:
    return {r.id: r.category for r in frameworks.load(frameworks.SOC2).requirement}


def _procedure(control: Control) -> list[str]:
    tested = ["inspection of configuration", "re-performance"] if control.checks else []
    return tested + (["inquiry and inspection of records, by hand"] if control.manual else [])


def _design(control: Control, tests: Tests, ids: list[str]) -> list[str]:
    """A draft of how to inspect the design of this control: who to ask, what to look at, against which risk."""
    looked: dict[str, list[str]] = {}
    for id in ids:
        check = tests.results[id].check
        looked.setdefault(check.population, []).extend(procedure.decisive(check))
    seen = "; ".join(f"{name}: {', '.join(dict.fromkeys(columns)) or 'name'}" for name, columns in looked.items())
    steps = [f"Ask the {control.owner} how this is ensured, and inspect the policy that says: {control.statement}"]
    steps += [f"Trace one row of each table to the cluster, and what its tests look at: {seen}."] if seen else []
    steps += [f"Inspect the record of one case: {step}" for step in control.manual]
    return [*steps, f"Consider what remains of the risk: {control.risk}"]


def _steps(control: Control) -> list[str]:
    tested = [f"Tests {', '.join(control.checks)}."] if control.checks else []
    return tested + [f"By hand: {step}" for step in control.manual]


def counted(row: Mapping[Any, Any]) -> str:
    """How many tests ended how, from the columns that frameworks give."""
    return narrative.worded((name, row[f"Tests: {name}"]) for name in (*CONCLUSIONS, NOT_RUN))
