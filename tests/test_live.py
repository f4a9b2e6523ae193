"""From a running cluster to conclusions: what the server withholds is never passed."""

import json
from pathlib import Path

import pytest
from apiserver import ApiServer, Fault
from test_capture_cluster import HASTY, take

from auditkit import evaluate
from auditkit.capture import files
from auditkit.capture.snapshot import Snapshot
from auditkit.cli import main
from auditkit.declare import CHECKS, kinds_of
from auditkit.errors import UsageError
from auditkit.kinds.rbac import ClusterRole

CLUSTER_ROLES = "clusterroles.rbac.authorization.k8s.io"
NEED_CLUSTER_ROLES = {id for id, check in CHECKS.items() if any(ClusterRole in kinds_of(read) for read in check.reads)}


def conclusions(snapshot: Snapshot) -> dict[str, tuple[str, str]]:
    results = evaluate.run(evaluate.Tables(snapshot), sorted(NEED_CLUSTER_ROLES))
    return {id: (result.conclusion, result.note) for id, result in results.items()}


def auditkit(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr("sys.argv", ["auditkit", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_a_denied_list_is_exit_code_3_and_nothing_that_needs_it_passes(
    october: ApiServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    october.denied = (CLUSTER_ROLES,)
    monkeypatch.setenv("KUBECONFIG", str(october.kubeconfig(tmp_path)))
    assert auditkit(monkeypatch, "check", "context:northwind", "--qps", "0", "--json") == 3
    found = {row["id"]: row for row in json.loads(capsys.readouterr().out)}
    assert len(NEED_CLUSTER_ROLES) > 20
    # An exception among the Roles that were read stays one, noted as of an incomplete population.
    assert {found[id]["conclusion"] for id in NEED_CLUSTER_ROLES} == {"not collected", "exceptions"}
    assert all("clusterroles.rbac.authorization.k8s.io denied" in found[id]["note"] for id in NEED_CLUSTER_ROLES)
    assert {row["conclusion"] for row in found.values()} >= {"exceptions", "no exceptions"}


def test_a_list_that_breaks_in_the_middle_passes_nothing(october: ApiServer, tmp_path: Path) -> None:
    october.faults = [Fault(to=r"/clusterroles\?limit=20&continue", after=1, status=500)]
    snapshot = take(october, tmp_path, limit=20)
    coverage = snapshot.state(ClusterRole)
    assert (coverage.state, coverage.kept) == ("partial", 40)
    said = conclusions(snapshot)
    assert {conclusion for conclusion, _ in said.values()} <= {"not collected", "exceptions"}
    assert all(CLUSTER_ROLES in note for _, note in said.values())


def test_an_expired_list_begun_again_is_whole(october: ApiServer, tmp_path: Path) -> None:
    october.faults = [Fault(to=r"/clusterroles\?limit=20&continue", after=1, times=1, status=410)]
    snapshot = take(october, tmp_path, limit=20, patience=HASTY)
    assert (snapshot.state(ClusterRole).state, snapshot.state(ClusterRole).restarts) == ("collected", 1)
    assert conclusions(snapshot) == conclusions(files.capture(october.dump))


@pytest.mark.parametrize(
    ("kubeconfig", "arguments", "code", "says"),
    [
        ("unreachable", ["--context", "northwind"], 75, "is not reachable"),
        ("expired", ["--context", "northwind"], 2, "does not accept the credentials"),
        ("good", ["--context", "nowhere"], 2, "choose one of: northwind"),
        ("missing", ["--context", "northwind"], 2, "no kubeconfig there"),
        ("good", ["--in-cluster"], 2, "elsewhere name a --context"),
        ("good", ["--context", "northwind", "--from", "demo"], 2, "name one source"),
    ],
)
def test_a_cluster_that_cannot_be_read_leaves_nothing(
    october: ApiServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    kubeconfig: str,
    arguments: list[str],
    code: int,
    says: str,
) -> None:
    wrong = {"url": "http://127.0.0.1:9"} if kubeconfig == "unreachable" else {}
    token = {"token": "expired"} if kubeconfig == "expired" else {}
    place = tmp_path / "none" if kubeconfig == "missing" else october.kubeconfig(tmp_path, **wrong, **token)
    monkeypatch.setenv("KUBECONFIG", str(place))
    # What is told after the last attempt is tested, not the time until then.
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    before = set(tmp_path.iterdir())
    assert auditkit(monkeypatch, "run", *arguments, "--out", str(tmp_path / "pack")) == code
    said = capsys.readouterr().err
    assert says in said
    assert len(said.strip().splitlines()) == 1
    assert set(tmp_path.iterdir()) == before


def test_a_login_page_is_not_tried_again(october: ApiServer, tmp_path: Path) -> None:
    october.faults = [Fault(to=".", do="login")]
    with pytest.raises(UsageError, match="not the answer of a Kubernetes API server; check the address"):
        take(october, tmp_path)
    assert len(october.requests) == 2


def test_one_list_that_a_login_page_answers_fails_alone(october: ApiServer, tmp_path: Path) -> None:
    october.faults = [Fault(to=r"/clusterroles\?", do="login")]
    coverage = take(october, tmp_path).state(ClusterRole)
    assert (coverage.state, coverage.note) == ("failed", "the answer is not JSON")
    assert len(october.asked(r"/clusterroles$")) == 1
