"""Verbs that answer a question."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import auditkit as ak
from auditkit.cli import cli


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["who-can", *arguments], standalone_mode=False)


def test_who_can_lists_every_binding_that_allows_it() -> None:
    answer = asked("get", "secrets", "demo", "--json")
    rows = json.loads(answer.stdout)
    named = {row["subject"]: row for row in rows}
    assert answer.return_value == 0
    assert named["ann@northwind.example"]["limited_by_names"] == "fraud-api, stripe-webhook"
    assert named["ann@northwind.example"]["scope"] == "payments"
    assert named["system:serviceaccount:velero:velero"]["kind"] == "ServiceAccount"
    assert "system:masters is allowed everything" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "subject", "listed"),
    [
        (("create", "pods/exec", "-n", "payments", "demo"), "quentin@northwind.example", True),
        (("patch", "deployments", "-n", "web", "demo"), "oidc:developers", True),
        (("patch", "deployments", "-n", "payments", "demo"), "oidc:developers", False),
        (("patch", "deployments.apps", "-n", "payments", "demo"), "oidc:payments-developers", True),
    ],
)
def test_who_can_in_a_namespace(arguments: tuple[str, ...], subject: str, listed: bool) -> None:
    assert (subject in asked(*arguments).stdout) == listed


def test_who_can_of_what_was_not_all_collected(tmp_path: Path, recordings: Path) -> None:
    dump = tmp_path / "dump"
    dump.mkdir()
    for path in (recordings / "northwind-prod" / "2026-10-31").iterdir():
        if not path.name.startswith("rolebindings."):
            shutil.copy(path, dump)
    assert ak.load(dump).incomplete
    answer = asked("get", "secrets", str(dump))
    assert answer.return_value == 3
    assert "rolebindings.rbac.authorization.k8s.io" in answer.stderr
