"""Verbs that answer a question."""

import json
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

import auditkit as ak
from auditkit.cli import VERBS, cli, main
from auditkit.errors import UsageError
from auditkit.kinds.network import Service


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


@pytest.mark.parametrize(
    "arguments",
    [
        ["who-can", "get", "secrets"],
        ["reach", "10.0.0.1", "payments/x:443"],
        ["check", "--id", "RBAC-01"],
        ["run", "--out", "nowhere/there", "--notebooks", "none"],
    ],
    ids=lambda words: words[0],
)
def test_a_source_is_named_alike(arguments: list[str], tmp_path: Path) -> None:
    def said(*source: str) -> Result:
        return CliRunner().invoke(cli, [*arguments, *source], standalone_mode=False)

    last, option = said("demo"), said("--from", "demo")
    assert last.stdout == option.stdout and type(last.exception) is type(option.exception)
    for wrong in ([], ["demo", "--from", "demo"]):
        assert "name one source" in str(said(*wrong).exception)
    assert "demo: a snapshot holds" in str(said("demo", "--secrets").exception)


def test_a_capture_takes_its_source_last_too(tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["capture", "demo", "--out", str(tmp_path / "s")], standalone_mode=False)
    assert done.return_value == 0 and ak.load(tmp_path / "s").digest == ak.demo().digest
    inside = CliRunner().invoke(cli, ["check", "in-cluster"], standalone_mode=False)
    assert "a pod with a mounted ServiceAccount token" in str(inside.exception)


def test_a_list_of_results_is_filtered() -> None:
    def shown(*arguments: str) -> Result:
        return CliRunner().invoke(cli, ["check", "demo", "--id", "STO", *arguments], standalone_mode=False)

    rows = json.loads(shown("--json", "--only", "no exceptions").stdout)
    assert {row["conclusion"] for row in rows} == {"no exceptions"}
    assert {row["id"][:4] for row in rows} == {"STO-"}
    assert "did you mean exceptions" in str(shown("--only", "exception").exception)


def test_one_check_says_all_of_itself() -> None:
    said = CliRunner().invoke(cli, ["checks", "RBAC-01"], standalone_mode=False).stdout
    assert "Fix: bind a narrower role" in said and "CC6.1" in said and "def " in said


def test_help_groups_every_verb() -> None:
    grouped = [name for names in VERBS.values() for name in names]
    assert sorted(grouped) == sorted(cli.commands)
    helped = CliRunner().invoke(cli, ["--help"]).stdout
    assert "..." not in helped.partition("Options:")[2]
    for name, verb in cli.commands.items():
        bare = [p.opts for p in verb.params if isinstance(p, click.Option) and not p.help]
        assert bare == [], f"{name}: options without help"


def test_a_source_of_the_library_is_a_snapshot_or_what_load_opens() -> None:
    assert ak.check("demo", "RBAC-01").frame.equals(ak.check(ak.demo(), "RBAC-01").frame)
    assert ak.who_can("demo", "get", "secrets").frame.equals(ak.who_can(ak.demo(), "get", "secrets").frame)


def test_lists_take_a_word() -> None:
    def listed(*arguments: str) -> list[dict[str, str]]:
        return json.loads(CliRunner().invoke(cli, [*arguments, "--json"], standalone_mode=False).stdout)  # type: ignore[no-any-return]

    assert {row["id"][:5] for row in listed("checks", "rbac-")} == {"RBAC-"}
    assert "NET-16" in {row["id"] for row in listed("checks", "ingress")}
    assert {"bindings", "namespace_bindings"} <= {row["table"] for row in listed("tables", "binding")}
    assert {row["column"] for row in listed("tables", "bindings")} >= {"kind", "namespace", "name", "role"}
    assert [row["id"] for row in listed("controls", "STO-61")] == ["AV-03"]
    assert {"soc2-2017", "pss"} <= {row["framework"] for row in listed("frameworks")}
    assert [row["id"] for row in listed("frameworks", "soc2-2017", "A1.2")] == ["A1.2"]
    assert [row["row"] for row in listed("checks", "--rows", "J03")] == ["J03"]
    none = CliRunner().invoke(cli, ["checks", "unheardof"], standalone_mode=False)
    assert "unheardof: nothing that is listed has this in its id or title" in str(none.exception)


def test_objects_are_found_by_the_name_of_their_kind() -> None:
    objects = ak.demo().objects
    assert objects["services"] == objects["Service"] == objects[Service] != ()
    assert {type(one) for one in objects["deployments.apps"]} == {type(one) for one in objects["deployments"]}
    for name, says in (
        ("servces", "did you mean services"),
        ("gateways", "gateways.networking.istio.io"),
        ("x", "lists them"),
    ):
        with pytest.raises(UsageError, match=says):
            objects[name]
