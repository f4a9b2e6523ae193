"""Controls and frameworks are complete, name what exists, and never turn missing evidence into a pass."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from builders import imported, snapshot

from auditkit import engagement, evaluate, frameworks
from auditkit.declare import CHECKS
from auditkit.engagement import Engagement
from auditkit.errors import Faults, UsageError
from auditkit.evaluate import Results, Snapshot, Tables
from auditkit.report.workpaper import papers, workpaper
from auditkit.tally import among

SOC2 = {"CC1": 5, "CC2": 3, "CC3": 4, "CC4": 2, "CC5": 3, "CC6": 8, "CC7": 5, "CC8": 1, "CC9": 2, "A1": 3, "C1": 2} | {
    "PI1": 5, "P1": 1, "P2": 1, "P3": 2, "P4": 3, "P5": 2, "P6": 7, "P7": 1, "P8": 1
}  # fmt: skip
CIS = {"1.1": 21, "1.2": 30, "1.3": 7, "1.4": 2, "2": 7, "3.1": 3, "3.2": 2, "4.1": 10, "4.2": 14, "4.3": 1} | {
    "5.1": 13, "5.2": 12, "5.3": 2, "5.4": 2, "5.5": 1, "5.6": 4
}  # fmt: skip


class Ran(dict[str, None]):
    """What the matrix reads of results: ids and their frame."""

    def __init__(self, **conclusions: str) -> None:
        super().__init__(dict.fromkeys(conclusions))
        rows = [(id, c, 10, int(c == "exceptions"), int(c == "undetermined")) for id, c in conclusions.items()]
        self.frame = pd.DataFrame(rows, columns=["id", "conclusion", "population", "exceptions", "undetermined"])


def control(*checks: str, primary: tuple[str, ...] = (), supporting: tuple[str, ...] = ()) -> frameworks.Control:
    text: dict[str, Any] = dict.fromkeys(("title", "statement", "owner", "frequency", "risk"), "text")
    kind = {"id": "AC-01", "type": "preventive", "nature": "automated"}
    return frameworks.Control(
        **text, **kind, criteria=frameworks.Criteria(primary=primary, supporting=supporting), checks=checks
    )


@pytest.mark.parametrize(("name", "sections", "total"), [("soc2-2017", SOC2, 61), ("cis-1.12", CIS, 131)])
def test_every_requirement_is_there_once(name: str, sections: dict[str, int], total: int) -> None:
    expected = [f"{section}.{n}" for section, count in sections.items() for n in range(1, count + 1)]
    found = [r.id for r in frameworks.load(name).requirement]
    assert len(found) == total
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("name", frameworks.names())
def test_every_requirement_is_answered(name: str) -> None:
    named = {id for c in frameworks.controls() for id in (*c.primary, *c.supporting)}
    assert [
        r.id for r in frameworks.load(name).requirement if not (r.checks or r.imports or r.manual or r.id in named)
    ] == []


def test_a_version_is_the_same_items_by_its_own_numbers() -> None:
    ours = {r.id: r for r in frameworks.load("cis-1.12").requirement}
    assert {r.id: r for r in frameworks.load("cis-2.0.1").requirement} == ours
    oldest = {r.id: r for r in frameworks.load("cis-1.8").requirement}
    assert (oldest["1.2.13"].checks, oldest["1.2.30"].checks, oldest["1.2.12"].checks) == (("CP-12",), ("CP-28",), ())
    assert [r.checks for r in frameworks.load("cis-1.11").requirement if r.id in ("2.1", "2.2", "2.8")] == [
        *(("CP-41",), ("CP-41",), ("CP-47",))
    ]
    older = {r.id: r for r in frameworks.load("cis-1.10").requirement}
    assert older["5.2.12"].checks == ours["5.2.11"].checks == ("POD-17",)
    assert older["5.7.4"].checks == ours["5.6.4"].checks
    assert {"1.2.30", "4.2.14", "5.6.1"} & set(older) == set()
    assert [r.id for r in frameworks.load("cis-1.10").requirement][-6:] == [
        *("5.4.2", "5.5.1", "5.7.1", "5.7.2", "5.7.3", "5.7.4")
    ]


def test_a_version_names_items_that_there_are() -> None:
    for name in ("soc2-2017", "cis-1.12", "nsa-1.2", "pss"):
        framework = frameworks.load(name)
        ids = {r.id for r in framework.requirement}
        for version in framework.version:
            assert {*version.renumbered, *version.without} <= ids


def test_an_engagement_may_name_a_version(tmp_path: Path) -> None:
    (tmp_path / "auditkit.toml").write_text('frameworks = ["soc2-2017", "cis-2.0.1", "pss"]\n')
    chosen = frameworks.chosen(frameworks.settled(engagement.load(tmp_path / "auditkit.toml")))
    assert [f.name for f in chosen] == ["soc2-2017", "cis-2.0.1", "pss"]
    frame = frameworks.coverage(Ran(**{"POD-01": "exceptions"}), chosen[2], ())  # type: ignore[arg-type]
    assert frame.set_index("Requirement").loc["baseline.privileged", "Management's result"] == "Exceptions noted"


def test_every_criterion_of_a_control_has_its_reason() -> None:
    for one in frameworks.controls():
        assert set(one.why) == {*one.primary, *one.supporting}, one.id
        assert all(reason.endswith(".") and reason.count(". ") == 0 for reason in one.why.values()), one.id
    covered = frameworks.coverage(Ran(), frameworks.load("soc2-2017"), frameworks.controls())  # type: ignore[arg-type]
    assert (covered["Controls"] != "").eq(covered["Why these controls"] != "").all()


def test_every_check_is_named_by_a_framework() -> None:
    assert set(CHECKS) == set(frameworks.answered())


def test_every_check_belongs_to_a_control() -> None:
    assert set(CHECKS) == {check for c in frameworks.controls() for check in c.checks}


@pytest.mark.parametrize(
    ("conclusions", "result"),
    [
        ({"A": "no exceptions", "B": "no exceptions"}, "No exceptions noted"),
        ({"A": "no exceptions", "B": "exceptions"}, "Exceptions noted"),
        ({"A": "exceptions", "B": "error"}, "Incomplete evidence"),
        ({"A": "no exceptions", "B": "not collected"}, "Incomplete evidence"),
        ({"A": "inherited", "B": "undetermined"}, "Incomplete evidence"),
        ({"A": "no exceptions", "B": "inherited"}, "Not tested"),
        ({"A": "no population", "B": "no exceptions"}, "Not tested"),
        ({"A": "no exceptions"}, "Incomplete evidence"),
        ({"A": "exceptions"}, "Exceptions noted"),
    ],
)
def test_a_control_takes_the_first_conclusion_in_order(conclusions: dict[str, str], result: str) -> None:
    row = frameworks.control_matrix(Ran(**conclusions), [control("A", "B")]).iloc[0]  # type: ignore[arg-type]
    assert row["Management's result"] == result
    assert row[[c for c in row.index if c.startswith("Tests: ")]].sum() == 2


def test_a_control_without_checks_is_not_tested() -> None:
    row = frameworks.control_matrix(Ran(), [control()]).iloc[0]  # type: ignore[arg-type]
    assert (row["Management's result"], row["Note"]) == ("Not tested", "no test of the cluster belongs to it")


def test_a_manual_control_is_not_passed_by_checks() -> None:
    manual = control("A", primary=("CC6.2",)).model_copy(update={"nature": "manual"})
    partly = manual.model_copy(update={"nature": "IT-dependent manual", "manual": ("Agree to tickets.",)})
    for one in (manual, partly):
        for conclusion, result in (("no exceptions", "Manual part open"), ("exceptions", "Exceptions noted")):
            ran: Any = Ran(A=conclusion)
            assert frameworks.control_matrix(ran, [one])["Management's result"].item() == result
            covered = frameworks.coverage(ran, frameworks.load("soc2-2017"), [one]).set_index("Requirement")
            assert covered.loc["CC6.2", "Management's result"] == result


def test_support_alone_is_no_result() -> None:
    known = [control("A", primary=("CC6.1",), supporting=("CC1.3",))]
    for conclusion, result, count in (
        ("no exceptions", "No exceptions noted", 0),
        ("exceptions", "Exceptions noted", 1),
    ):
        ran: Any = Ran(A=conclusion)
        frame = frameworks.coverage(ran, frameworks.load("soc2-2017"), known).set_index("Requirement")
        assert len(frame) == 61
        assert frame.loc["CC6.1", ["Management's result", "Exceptions"]].tolist() == [result, count]
        assert frame.loc["CC1.3", "Management's result"] == "Supporting tests only"
        assert frame.loc["CC1.3", "Note"] == "supporting tests only"
        assert frame.loc["CC1.3", "Supporting exceptions"] == count
        assert frame.loc[["CC1.3", "CC1.1"], "Exceptions"].isna().all()
        sources = frame.loc[["CC6.1", "CC1.3", "CC1.1"], "Source"].tolist()
        assert sources == ["cluster", "cluster, supporting", "manual"]


def test_exceptions_of_a_criterion_are_those_of_its_primary_controls() -> None:
    first = control("A", primary=("CC6.1",))
    second = control("B", "C", primary=("CC6.2",), supporting=("CC6.1",)).model_copy(update={"id": "AC-02"})
    ran: Any = Ran(A="exceptions", B="exceptions", C="exceptions")
    row = frameworks.coverage(ran, frameworks.load("soc2-2017"), [first, second]).set_index("Requirement").loc["CC6.1"]
    assert row[["Primary controls", "Supporting controls"]].tolist() == ["AC-01", "AC-02"]
    assert row[["Exceptions", "Supporting exceptions"]].tolist() == [1, 2]
    assert row[["Tests", "Supporting tests"]].tolist() == ["A", "B, C"]


def test_controls_beside_a_result_that_no_test_decides_are_named() -> None:
    tested = control("A", primary=("CC6.2",))
    manual = tested.model_copy(update={"id": "AC-07", "nature": "manual"})
    silent = tested.model_copy(update={"id": "VM-01", "checks": ()})
    ran: Any = Ran(A="no exceptions")
    frame = frameworks.coverage(ran, frameworks.load("soc2-2017"), [tested, manual, silent]).set_index("Requirement")
    assert frame.loc["CC6.2", ["Management's result", "Note"]].tolist() == [
        "Manual part open",
        "tests alone do not decide AC-07, VM-01",
    ]


def test_the_audit_policy_is_tested() -> None:
    frame = frameworks.coverage(Ran(**{"LOG-01": "exceptions"}), frameworks.load("cis-1.12"), ())  # type: ignore[arg-type]
    assert frame.set_index("Requirement").loc["3.2.1", "Management's result"] == "Exceptions noted"


def kube_bench(*tests: tuple[str, str], benchmark: str = "cis-1.12") -> pd.DataFrame:
    """The items of CIS, answered by one node and its report of kube-bench: the number of an item and how it ended."""
    node = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": "cp", "labels": {"node-role.kubernetes.io/control-plane": ""}},
    }
    records = [
        {"file": "cp.json", "node": "cp", "benchmark": benchmark, "target": "master", "text": "x"}
        | {"item": item, "section": item.rpartition(".")[0], "status": status}
        for item, status in tests
    ]
    tables = evaluate.Tables(snapshot([node]).beside(imported({"node_tests": records})))
    ran = evaluate.run(tables, ["CP-80", "NODE-80", "NODE-81"])
    return frameworks.coverage(ran, frameworks.load("cis-1.12"), ()).set_index("Requirement")


def test_an_item_shows_its_own_rows_of_a_test_of_its_section() -> None:
    frame = kube_bench(("1.1.1", "PASS"), ("1.1.2", "FAIL"), ("1.1.3", "WARN"), ("3.2.2", "PASS"), ("4.2.7", "FAIL"))
    results = frame.loc[
        ["1.1.1", "1.1.2", "1.1.3", "1.1.4", "3.2.2", "4.2.7", "1.2.28"], "Management's result"
    ].tolist()
    assert results == [
        *("No exceptions noted", "Exceptions noted", "Incomplete evidence", "Incomplete evidence"),
        *("No exceptions noted", "Exceptions noted", "Not tested"),
    ]
    assert frame.loc[["1.1.1", "1.1.2", "1.1.3"], ["Exceptions", "Undetermined"]].to_numpy().tolist() == [
        *([0, 0], [1, 0], [0, 1])
    ]
    assert set(frame.loc[["1.1.1", "3.2.2", "4.1.1"], "Source"]) == {"import kube_bench"}
    assert frame.loc["1.2.1", "Source"] == "cluster"


def test_results_without_their_populations_answer_no_item() -> None:
    frame = frameworks.coverage(Ran(**{"CP-80": "no exceptions"}), frameworks.load("cis-1.12"), ())
    assert frame.set_index("Requirement").loc["1.1.1", "Management's result"] == "Incomplete evidence"


def test_a_benchmark_that_numbers_items_otherwise_answers_none() -> None:
    frame = kube_bench(("1.1.1", "PASS"), ("3.2.2", "PASS"), benchmark="cis-1.23")
    assert frame.loc[["1.1.1", "3.2.2"], "Management's result"].tolist() == ["Incomplete evidence", "Not tested"]


def test_rows_of_an_item_are_told_by_columns_that_there_are(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        'name = "own"\ntitle = "x"\n[[requirement]]\nid = "1"\ntitle = "x"\nchecks = ["CP-80"]\nrows = {items = ["1"]}\n'
    )
    with pytest.raises(Faults) as caught:
        frameworks.load(own)
    assert caught.value.faults == ["1.rows: items is no column of what its checks test"]


def test_an_incomplete_population_answers_no_item_without_an_exception() -> None:
    check = CHECKS["CP-80"]
    rows = pd.DataFrame({"item": ["1.1.1", "1.1.2"], "verdict": ["ok", "exception"]})
    found = evaluate.Result(
        check=check, conclusion="exceptions", judged=evaluate.Judged.of(rows), settings={}, note="incomplete"
    )
    said = [among(found, {"item": [item]}).conclusion for item in ("1.1.1", "1.1.2")]
    assert said == ["not collected", "exceptions"]
    assert among(replace(found, conclusion="not collected"), {"item": ["1.1.1"]}).conclusion == "not collected"


def test_faults_of_own_controls_come_at_once(tmp_path: Path) -> None:
    own = tmp_path / "own.toml"
    own.write_text(
        '[AC-01]\nchecks = ["RBAC-99"]\ncriteria = {primary = ["CC6.9"]}\n[XX-01]\ntitle = "x"\n[AC-02]\nspeed = 1\n[AC-03]\nwhy = {"A1.1" = "x"}\n'
    )
    given: Any = SimpleNamespace(controls_path=own)
    with pytest.raises(Faults) as caught:
        frameworks.controls(given)
    told = "\n".join(caught.value.faults)
    for part in (
        "no check RBAC-99",
        "no criterion CC6.9",
        "XX-01.statement",
        "AC-02.speed: unknown key",
        "AC-03.why: A1.1 is not",
    ):
        assert part in told


def test_own_controls_change_ours_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('[AC-01]\nowner = "Ann"\n')
    (tmp_path / "auditkit.toml").write_text('controls = "own.toml"\n')
    ours, theirs = frameworks.controls(), frameworks.controls(engagement.load(tmp_path / "auditkit.toml"))
    assert theirs[0].owner == "Ann"
    assert (theirs[0].stated, ours[0].stated) == (("owner",), ())
    assert theirs[0].model_copy(update={"owner": ours[0].owner, "stated": ()}) == ours[0]
    assert theirs[1:] == ours[1:]


def test_an_unknown_framework_names_those_there_are() -> None:
    with pytest.raises(UsageError, match="soc2-2017"):
        frameworks.load("iso")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ('name = "own"\ntitle = "t"\n[[requirement]]\nid = "1"\ntitle = "t"\n', "1: neither `checks` nor"),
        (
            'name = "own"\ntitle = "t"\n[[requirement]]\nid = "1"\ntitle = "t"\nimports = ["kubench"]\n',
            "1.imports: no import kubench; did you mean kube_bench",
        ),
        ('name = "a/b"\ntitle = "t"\nrequirement = []\n', "name: string should match pattern"),
        ('name = "pss"\ntitle = "t"\nrequirement = []\n', "two are named pss; give your own another `name`"),
    ],
)
def test_an_own_framework_is_looked_at_before_the_work(tmp_path: Path, written: str, says: str) -> None:
    (tmp_path / "own.toml").write_text(written)
    config = tmp_path / "auditkit.toml"
    config.write_text('frameworks = ["pss", "own.toml"]\n')
    with pytest.raises(Faults) as caught:
        frameworks.settled(engagement.load(config))
    assert says in str(caught.value)


OWN = """
name = "own"
title = "Rules of the house"
[[requirement]]
id = "H-1"
title = "Claims"
checks = ["STO-61"]
"""


def test_the_conclusion_and_the_papers_follow_the_chosen_frameworks(tmp_path: Path) -> None:
    def chosen(*names: str) -> Engagement:
        (tmp_path / "auditkit.toml").write_text(f"frameworks = {list(names)}")
        return engagement.load(tmp_path / "auditkit.toml")

    (tmp_path / "own.toml").write_text(OWN)
    assert "cis" not in papers(chosen("own.toml"))
    assert papers(chosen("soc2-2017", "cis-2.0.1"))["cis"].framework == "cis-2.0.1"
    results = Results([], Tables(snapshot([])))
    shown = workpaper("conclusion", Snapshot.of(snapshot([])), chosen("own.toml", "pss"), results).coverage().text
    assert "Rules of the house" in shown and "H-1" in shown and "baseline.privileged" in shown and "CC6.1" in shown
    assert (
        "Rules of the house"
        not in workpaper("conclusion", Snapshot.of(snapshot([])), chosen(), results).coverage().text
    )
    with pytest.raises(UsageError, match="no workpaper 'cis'"):
        workpaper("cis", Snapshot.of(snapshot([])), chosen("pss"), results)


def test_a_test_belongs_to_one_control() -> None:
    """Else its exceptions are counted for two control activities."""
    named = Counter(check for control in frameworks.controls() for check in control.checks)
    assert {check: n for check, n in named.items() if n != 1} == {}
    assert set(named) == set(CHECKS)
