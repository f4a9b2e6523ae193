"""The printed procedure names all that decides a row: constants with their values, and how each table comes about."""

import ast
from pathlib import Path

import pandas as pd
import pytest

from auditkit.declare import CHECKS, TABLES
from auditkit.evaluate import Judged, Result
from auditkit.report import derivation, procedure
from auditkit.resources import PACKAGE


def printed(id: str) -> str:
    check = CHECKS[id]
    return procedure.source(
        Result(
            check=check,
            conclusion="no exceptions",
            judged=Judged.of(pd.DataFrame({"verdict": []})),
            settings=check.settings,
        )
    )


@pytest.mark.parametrize(
    ("id", "constant"),
    [
        ("RBAC-34", "UNAUTHENTICATED = ('system:anonymous', 'system:unauthenticated')"),
        ("AVL-61", "RUNNING = ['New', 'InProgress', 'WaitingForPluginOperations', 'Finalizing']"),
        ("POD-30", "ALLOWED_SOURCES = ('configMap',"),
        ("RBAC-43", "POWERS = {\n    'reads_secrets': Power(doc='get, list or watch Secrets',"),
        ("POD-31", "LEVELS = ('privileged', 'baseline', 'restricted')"),
    ],
)
def test_a_constant_is_printed_with_its_value(id: str, constant: str) -> None:
    assert printed(id).startswith(constant)


@pytest.mark.parametrize("id", sorted(CHECKS))
def test_a_procedure_names_no_constant_that_it_does_not_give(id: str) -> None:
    tree = ast.parse(printed(id))
    given = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    named = {n.id for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id.isupper()}
    assert named <= given


def test_a_table_is_followed_down_to_its_engines() -> None:
    assert "def all_powerful(" in derivation.source("roles")
    assert "return staticmethod" not in derivation.source("roles")
    files = dict(derivation.engines("escalation_paths"))
    assert "pkg/registry/rbac/escalation_check.go" in files["auditkit/analysis/means.py"]
    assert "auditkit/analysis/stock.py" in dict(derivation.engines("bindings"))


@pytest.mark.parametrize("name", sorted(TABLES))
def test_every_table_says_what_it_is_made_from(name: str) -> None:
    assert "def " in derivation.source(name)
    assert derivation.behind([name])[0] == name
    assert all((PACKAGE.parent / Path(file)).is_file() and text for file, text in derivation.engines(name))


def test_a_row_is_decided_by_what_a_helper_looks_at() -> None:
    """kube-bench's FAIL is read by a helper; the title of the item says what it is about."""
    assert procedure.decisive(CHECKS["CP-80"]) == ("in_cluster", "status", "text")
    assert procedure.decisive(CHECKS["RBAC-72"]) == ("person",)


def test_the_part_of_an_object_leaves_out_what_is_empty() -> None:
    rows = pd.DataFrame({"kind": ["Secret", "Secret"], "user": ["ann", "bob"], "path": ["", "/x"], "as": [None, "eve"]})
    assert list(procedure.part(rows, list(rows))) == ["user ann", "user bob, path /x, as eve"]
    assert list(procedure.part(rows, ["kind"])) == ["", ""]
