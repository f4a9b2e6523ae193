"""Every fact that auditkit set out to show is answered, and equivalents in other tools are spelled alike."""

import json
import re
import tomllib

import pytest
from click.testing import CliRunner, Result

import auditkit as ak
from auditkit import catalogue, frameworks
from auditkit.capture.imports import READERS
from auditkit.cli import cli
from auditkit.declare import CHECKS
from auditkit.errors import UsageError
from auditkit.resources import folder

# How many facts each topic has.
TOPICS = {
    "A": 50,
    "B": 49,
    "C": 14,
    "D": 9,
    "E": 23,
    "F": 7,
    "G": 10,
    "H": 12,
    "I": 3,
    "J": 9,
    "K": 47,
    "L": 16,
    "M": 7,
}
ROWS = [f"{topic}{n:02}" for topic, count in TOPICS.items() for n in range(1, count + 1)]
# How each tool writes its ids.
SPELLED = {
    "kubescape": r"C-\d{4}|rules/[a-z*-]+-v1",
    "prowler": r"(apiserver|controllermanager|core|etcd|kubelet|rbac|scheduler)_\w+",
    "trivy": r"K[SC]V-\d{4,5}|VulnerabilityReport|k8s-pss-(baseline|restricted)-0\.1",
    "trivy-nsa": r"[1-8]\.\d+",
    "kube-bench": r"[1-5]\.\d+(\.\d+)?",
    "kyverno": r"[a-z-]+(/([a-z-]+|\*))?",
    "steampipe": r"[a-z*][a-z0-9_*]+",
    "varax": r"[A-Z]+(-[A-Z]+)?-[\d.]+",
}
PEERS = tomllib.loads((folder("data") / "peers.toml").read_text())


def asked(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["checks", *arguments], standalone_mode=False)


def test_every_fact_is_there_and_answered() -> None:
    facts = ak.facts()
    assert facts["row"].tolist() == ROWS
    unanswered = facts[[not (f.checks or f.imports or f.manual) for f in facts.itertuples()]]
    assert unanswered["row"].tolist() == []
    assert {row for id in CHECKS for row in catalogue.rows(id)} <= set(ROWS)


def test_facts_without_a_check_say_what_is_needed() -> None:
    facts = ak.facts()
    bare = facts[[not checks for checks in facts["checks"]]].set_index("row")
    assert {"C06", "D07", "J02", "M07"} <= set(bare.index)
    assert bare.loc["D07", "imports"] == ["kube_bench"]
    assert (bare["manual"].str.endswith(".") | (bare["imports"].str.len() > 0)).all()


def test_imports_are_those_that_there_are() -> None:
    used = {i for imports in ak.facts()["imports"] for i in imports}
    asked = {i for name in frameworks.names() for r in frameworks.load(name).requirement for i in r.imports}
    assert used | asked | set(READERS) <= set(catalogue.imports())
    assert set(catalogue.imports()) - used <= set(READERS)


def test_peers_are_spelled_alike() -> None:
    assert set(PEERS["names"]) == set(SPELLED)
    assert set(PEERS["checks"]) <= set(CHECKS)
    for check, peers in PEERS["checks"].items():
        for peer, ids in peers.items():
            assert [id for id in ids if not re.fullmatch(SPELLED[peer], id)] == [], (check, peer)
            assert ids and len(ids) == len(set(ids)), (check, peer)


def test_what_kube_bench_tests_is_an_item_of_cis() -> None:
    items = {r.id: r.checks for r in frameworks.load("cis-1.12").requirement}
    for check, peers in PEERS["checks"].items():
        assert [id for id in peers.get("kube-bench", []) if check not in items[id]] == [], check


def test_checks_of_other_tools_that_turn_it_round_are_no_equivalents() -> None:
    # DenyServiceExternalIPs was to be off in CIS before 1.24: C-0115 and KCV-0003 fail where it is on.
    known = {id for peers in PEERS["checks"].values() for ids in peers.values() for id in ids}
    assert {"C-0115", "KCV-0003"} & known == set()


def test_a_check_says_what_it_answers() -> None:
    checks = ak.checks().set_index("id")
    assert checks.loc["POD-22", "rows"] == ["B22"]
    assert checks.loc["POD-22", "peers"]["prowler"] == ["core_minimize_admission_hostport_containers"]
    assert checks.loc["POD-22", "requirements"] == {
        **{f"cis-1.{n}": ["5.2.13"] for n in (8, 9, 10, 11)},
        "cis-1.12": ["5.2.12"],
        "cis-2.0.1": ["5.2.12"],
        "nsa-1.2": ["NS-10"],
        "pss": ["baseline.hostPorts"],
        "soc2-2017": ["CC6.6"],
    }


@pytest.mark.parametrize(
    ("peer", "check", "ids"),
    [
        ("prowler", "CP-17", ["apiserver_audit_log_maxage_set"]),
        ("kubescape", "RBAC-07", ["C-0015", "C-0186"]),
        ("cis-1.10", "POD-43", ["5.7.4"]),
    ],
)
def test_equivalents_of_a_peer(peer: str, check: str, ids: list[str]) -> None:
    listed = {row["id"]: row for row in json.loads(asked("--peer", peer, "--json").stdout)}
    assert listed[check] == {"id": check, "title": CHECKS[check].title, "ids": ids}
    assert "NET-17" not in listed
    line = next(line for line in asked("--peer", peer).stdout.splitlines() if line.split()[0] == check)
    assert line.endswith(", ".join(ids))


def test_an_unknown_peer_names_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"no peer polaris; there are: kubescape, prowler, .*cis-2\.0\.1"):
        ak.checks("polaris")
    assert isinstance(asked("--peer", "polaris").exception, UsageError)
    assert "one at a time" in str(asked("--peer", "trivy", "--rows").exception)


def test_facts_are_listed() -> None:
    listed = {row["row"]: row for row in json.loads(asked("--rows", "--json").stdout)}
    assert len(listed) == 256
    assert listed["A07"]["checks"] == ["RBAC-07", "RBAC-60"]
    assert listed["C09"]["imports"] == ["image_scans", "vex", "kev", "kubescape"]
    assert len(asked("--rows").stdout.splitlines()) == 257


def test_a_framework_is_listed_with_what_answers_it() -> None:
    def listed(name: str) -> dict[str, dict[str, str]]:
        answer = CliRunner().invoke(cli, ["frameworks", name, "--json"], standalone_mode=False)
        return {row["id"]: row for row in json.loads(answer.stdout)}

    assert listed("soc2-2017")["A1.3"]["primary controls"] == "AV-04"
    assert listed("cis-1.10")["5.7.4"]["checks"] == "POD-43"
    assert listed("nsa-1.2")["NS-9"]["imports"] == "kube_bench"
    assert listed("pss")["baseline.privileged"]["checks"] == "POD-01"
