"""Verbs that answer a question."""

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import auditkit as ak
from auditkit.cli import cli, main


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


@pytest.mark.parametrize("as_json", [[], ["--json"]])
def test_text_of_a_cluster_does_not_act_on_the_terminal(tmp_path: Path, as_json: list[str]) -> None:
    evil = "eve\x1b]0;x\x07\x9b31m\u202etxt"
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "b"},
        "subjects": [{"kind": "User", "name": evil, "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "r", "apiGroup": "rbac.authorization.k8s.io"},
    }
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "r"},
        "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}],
    }
    dump = tmp_path / "list.json"
    dump.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [binding, role]}))
    answer = asked("get", "secrets", str(dump), *as_json)
    assert r"eve\u001b]0;x\u0007\u009b31m\u202etxt" in answer.stdout
    assert not any(sign in answer.stdout for sign in "\x1b\x07\x9b\u202e")
    if as_json:
        assert evil in {row["subject"] for row in json.loads(answer.stdout)}


def test_an_error_does_not_act_on_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["auditkit", "check", "\x1b[31mnowhere"])
    with pytest.raises(SystemExit):
        main()
    assert r"\u001b[31mnowhere" in capsys.readouterr().err
