"""The manifests that we ship pass our own checks, and name what exists."""

import shlex
from pathlib import Path

import yaml

import auditkit as ak
from auditkit import kinds
from auditkit.capture.role import cluster_role
from auditkit.capture.snapshot import Options
from auditkit.cli import cli
from auditkit.resources import folder

CRONJOB = folder("templates") / "kubernetes" / "cronjob.yaml"


def test_the_scheduled_run_meets_what_it_tests(tmp_path: Path) -> None:
    (tmp_path / "cronjob.yaml").write_text(CRONJOB.read_text())
    (tmp_path / "role.yaml").write_text(yaml.safe_dump(cluster_role(kinds.ALL, Options())))
    results = ak.check(ak.capture(path=tmp_path))
    found = {id for id, result in results.items() if len(result.exceptions)}
    # It needs the API, so it holds a token; user namespaces do not work on every node; the resources of
    # constraints.gatekeeper.sh are made by templates and have no names beforehand.
    assert found <= {"RBAC-39", "POD-34", "RBAC-05"}
    assert len(results["POD-06"].population) == 1
    assert len(results["RBAC-07"].population) >= 1


def test_the_scheduled_command_is_one_that_the_command_line_takes() -> None:
    job = next(d for d in yaml.safe_load_all(CRONJOB.read_text()) if d["kind"] == "CronJob")
    container = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]
    words = shlex.split(container["args"][0])
    verb = words[words.index("auditkit") + 1]
    known = {option for parameter in cli.commands[verb].params for option in parameter.opts}
    assert verb == "run"
    assert {word for word in words if word.startswith("--")} <= known
