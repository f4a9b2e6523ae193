"""The manifests that we ship pass our own checks, and name what exists."""

import re
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
    (other,) = re.findall(r"# - (exec auditkit capture .*)", CRONJOB.read_text())
    for command, verb in ((container["args"][0], "run"), (other, "capture")):
        words = shlex.split(command)
        place = words.index("auditkit") + 1
        assert words[place] == verb
        # A source, options that there are, and none that is missing.
        with cli.commands[verb].make_context(verb, words[place + 1 :]) as given:
            assert str(given.params["place"]) == "in-cluster" and given.params["config"]
