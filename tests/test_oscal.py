"""A pack as OSCAL: what is not known to be clean is never satisfied, and every reference leads somewhere.

tests/oscal/complete_schema.json.gz is NIST's oscal_complete_schema.json of OSCAL 1.2.3, in the public domain.
"""

import gzip
import hashlib
import itertools
import json
import re
import shutil
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pandas as pd
import pyarrow.parquet as pq
import pytest
from builders import imported, snapshot
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from trestle.oscal.assessment_plan import AssessmentPlan
from trestle.oscal.assessment_results import AssessmentResults
from trestle.oscal.poam import PlanOfActionAndMilestones

import auditkit as ak
from auditkit import frameworks, seal
from auditkit.capture import IMPORTS, imports
from auditkit.capture import snapshot as snapshots
from auditkit.cli import cli
from auditkit.declare import CHECKS
from auditkit.engagement import SHIPPED, Engagement
from auditkit.errors import LeakError, UsageError, VerificationError
from auditkit.evaluate import CONCLUSIONS, Snapshot
from auditkit.frameworks import ManagementResult
from auditkit.report.frames import write_parquet
from auditkit.report.oscal import PLAN, POAM, RESULTS, export
from auditkit.report.oscal.packed import Packed
from auditkit.report.oscal.parts import line, token
from auditkit.report.oscal.results import STATUS, criterion, findings
from auditkit.resources import folder
from auditkit.run import shipped, write_results

SCHEMA = Path(__file__).parent / "oscal" / "complete_schema.json.gz"
MODELS = {PLAN: AssessmentPlan, RESULTS: AssessmentResults, POAM: PlanOfActionAndMilestones}
CLEAN = "No exceptions noted"


@pytest.fixture(scope="module")
def schema() -> jsonschema.Draft7Validator:
    raw = gzip.decompress(SCHEMA.read_bytes())
    assert hashlib.sha256(raw).hexdigest() == "384324105c7a817af0f65b120a963146caa0e0d55d969cf0daf60e063b87a206"
    # Python's re has no \p: the same two classes in its own words.
    text = raw.decode().replace(r"\\p{L}", r"[^\\W\\d_]").replace(r"\\p{N}", r"\\d")
    return jsonschema.Draft7Validator(json.loads(text))


def packed(place: Path, source: snapshots.Snapshot, text: str = "", ids: Sequence[str] | None = ("POD-01",)) -> Path:
    """A sealed pack of these tests, with the tables that an export reads, without notebooks and workbook."""
    snap = Snapshot.of(source)
    results = ak.check(snap, ids)
    snapshots.save(snap, place / "snapshot")
    for name in ("namespaces", "waivers", "containers"):
        write_parquet(snap.tables[name], place / "tables" / f"{name}.parquet")
    write_results(place / "results", results)
    for path in shipped():
        target = place / "inputs" / SHIPPED / path.relative_to(folder("data"))
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    imports.save(snap.imports, place / IMPORTS)
    (place / "inputs" / "auditkit.toml").write_text(text)
    seal.seal(place, {"run_id": "0123456789abcdef", "tool": "auditkit/test", "sealed_at": "2026-11-01T00:00:00+00:00"})
    return place


def pod(name: str, **context: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "a:1", "securityContext": context}
    spec = {"containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "web"}, "spec": spec}


WAIVER = {
    "id": "W-1",
    "check": "POD-01",
    "scope": {"name": "waived"},
    "reason": "reads\nthe disks of the node",
    "approver": "eva",
    "approvedOn": "2026-10-01",
    "expires": "2026-12-31",
    "compensatingControl": "watched by the node's audit log",
    "ticket": "SEC-7",
}


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of a few pods, one exception of which is waived; Secrets, Nodes and Roles were denied; undated."""
    denied = ["secrets", "nodes", "roles.rbac.authorization.k8s.io"]
    web = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "web"}}
    pods = [pod("waived", privileged=True), pod("open", privileged=True), pod("plain")]
    source = snapshot([web, *pods], missing=denied).beside(imported({"waivers": [WAIVER]}))
    return packed(
        tmp_path_factory.mktemp("bare") / "pack", source, 'entity = "Northwind Pay"\npreparer = "Ann"\n', None
    )


@pytest.fixture(scope="module", params=["pack", "bare"])
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pack and the folder of its documents."""
    source: Path = request.getfixturevalue(request.param)
    out = tmp_path_factory.mktemp("oscal") / "out"
    export(source, out)
    return source, out


def document(out: Path, name: str) -> dict[str, Any]:
    ((_, found),) = json.loads((out / name).read_bytes()).items()
    return dict(found)


def result(out: Path) -> dict[str, Any]:
    (found,) = document(out, RESULTS)["results"]
    return dict(found)


def values(part: dict[str, Any], name: str) -> list[str]:
    return [p["value"] for p in part.get("props", ()) if p["name"] == name]


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Every member of every object in a document."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield name, inner
            yield from walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from walk(inner)


@pytest.mark.parametrize("name", MODELS)
def test_documents_are_valid_by_the_schema_of_nist_and_read_back_the_same(
    exported: tuple[Path, Path], schema: jsonschema.Draft7Validator, name: str
) -> None:
    written = (exported[1] / name).read_bytes()
    assert [error.message[:200] for error in schema.iter_errors(json.loads(written))] == []
    again = MODELS[name].oscal_read(exported[1] / name)
    assert again.oscal_serialize_json_bytes(pretty=True) + b"\n" == written


def test_every_reference_leads_somewhere(exported: tuple[Path, Path]) -> None:
    pack, out = exported
    objectives = {v for n, v in walk(document(out, PLAN)) if n == "id"}
    for name in MODELS:
        members = list(walk(document(out, name)))
        ids = [v for n, v in members if n == "uuid"]
        assert [id for id, n in Counter(ids).items() if n > 1 and id not in _tool(out)] == []
        named = [v for n, v in members if n.endswith("-uuid")] + [
            u for n, v in members if n == "party-uuids" for u in v
        ]
        assert set(named) <= set(ids), name
        for href in (v for n, v in members if n == "href"):
            target = href.removeprefix("#") in ids if href.startswith("#") else (pack / href).is_file()
            assert target or (out / href).is_file(), href
        assert {v for n, v in members if n == "target-id"} <= objectives
    assert document(out, RESULTS)["import-ap"]["href"] == PLAN


def _tool(out: Path) -> set[str]:
    """The tool stands in the assets of a plan and of results."""
    return {v for n, v in walk(document(out, PLAN)["assessment-assets"]) if n == "uuid"}


def test_evidence_has_the_hashes_of_the_manifest(exported: tuple[Path, Path]) -> None:
    pack, out = exported
    found = {
        link["href"]: link["hashes"][0]["value"]
        for resource in document(out, RESULTS)["back-matter"]["resources"]
        for link in resource["rlinks"]
    }
    sealed = {file.path: file.sha256 for file in seal.read(pack).files}
    assert sealed.items() <= found.items()
    assert set(found) - set(sealed) == {seal.MANIFEST, seal.SUMS}
    assert {seal.sha256(pack / path) == digest for path, digest in found.items()} == {True}


def test_one_finding_a_control_and_a_criterion_with_all_its_tests(exported: tuple[Path, Path]) -> None:
    told, controls = result(exported[1]), frameworks.controls()
    criteria = frameworks.load("soc2-2017").requirement
    assert len(told["findings"]) == len(controls) + len(criteria)
    names = {o["uuid"]: values(o, "check")[0] for o in told["observations"]}
    assert sorted(names.values()) == sorted(CHECKS)
    by_target = {f["target"]["target-id"]: f for f in told["findings"]}
    for control in controls:
        found = by_target[f"activity_{token(control.id)}_obj"]
        assert {names[o["observation-uuid"]] for o in found.get("related-observations", ())} == set(control.checks)
    assert {f"{token(r.id)}_obj" for r in criteria} <= set(by_target)


def test_findings_say_what_the_matrix_says_and_no_more(exported: tuple[Path, Path]) -> None:
    pack, out = exported
    stored = pd.read_parquet(pack / "results" / "results.parquet").set_index("id")["conclusion"]
    by_target = {f["target"]["target-id"]: f for f in result(out)["findings"]}
    for control in frameworks.controls():
        status = by_target[f"activity_{token(control.id)}_obj"]["target"]["status"]
        clean = bool(control.checks) and all(stored[id] == "no exceptions" for id in control.checks)
        assert (status["state"] == "satisfied") == (clean and not control.rests_on_people), control.id
    for finding in result(out)["findings"]:
        status = finding["target"]["status"]
        (said,) = values(finding, "management-result")
        assert (status["state"], status["reason"]) == STATUS[said]  # type: ignore[index]


def test_every_exception_is_a_risk_and_in_the_plan_of_action(exported: tuple[Path, Path]) -> None:
    pack, out = exported
    told, poam = result(out), document(out, POAM)
    stored = pd.read_parquet(pack / "results" / "results.parquet")
    assert len(told["risks"]) == stored["exceptions"].sum() > 0
    assert poam["risks"] == told["risks"]
    items = {values(item, "check")[0]: item for item in poam["poam-items"]}
    assert {id: len(item["related-risks"]) for id, item in items.items()} == dict(
        stored.loc[stored["exceptions"] > 0, ["id", "exceptions"]].itertuples(index=False)
    )
    risk = next(r for r in told["risks"] if values(r, "check") == ["POD-01"])
    rows = pq.read_table(pack / "results" / "populations" / "POD-01.parquet").to_pylist()
    assert values(risk, "exception")[0] in {row["exception_id"] for row in rows}


def test_a_waived_exception_is_a_risk_with_an_approved_deviation(bare: Path, tmp_path: Path) -> None:
    export(bare, tmp_path / "out")
    told = result(tmp_path / "out")
    risks = {r["title"]: r for r in told["risks"] if values(r, "check") == ["POD-01"]}
    waived = next(risk for title, risk in risks.items() if "waived" in title)
    open_ = next(risk for title, risk in risks.items() if "open" in title)
    assert (waived["status"], waived["deadline"]) == ("deviation-approved", "2027-01-01T00:00:00+00:00")
    assert waived["mitigating-factors"][0]["description"] == (
        "Waiver W-1, approved by eva, on 2026-10-01: reads the disks of the node "
        "Compensating control: watched by the node's audit log"
    )
    assert (values(waived, "waiver"), values(waived, "ticket")) == (["W-1"], ["SEC-7"])
    assert open_["status"] == "open" and "mitigating-factors" not in open_ and "deadline" not in open_
    observation = next(o for o in told["observations"] if values(o, "check") == ["POD-01"])
    assert (values(observation, "exceptions-count"), values(observation, "waived-count")) == (["2"], ["1"])
    spaces = {i["uuid"]: values(i, "namespace") for i in told["local-definitions"]["inventory-items"]}
    assert [spaces.get(s["subject-uuid"]) for s in observation["subjects"]] == [None, ["web"]]


def test_what_was_denied_is_not_satisfied_and_says_so(bare: Path, tmp_path: Path) -> None:
    export(bare, tmp_path / "out")
    told = result(tmp_path / "out")
    lacking = {values(o, "check")[0]: o for o in told["observations"] if values(o, "conclusion") == ["not collected"]}
    assert "nodes denied" in {o["remarks"] for o in lacking.values()}
    unknown = {o["uuid"] for o in lacking.values()}
    for finding in told["findings"]:
        if unknown & {o["observation-uuid"] for o in finding.get("related-observations", ())}:
            assert finding["target"]["status"]["state"] == "not-satisfied"
    reasons = Counter(f["target"]["status"]["reason"] for f in told["findings"])
    assert reasons["other"] and reasons["fail"]


def activity(number: int, checks: Sequence[str], nature: Any, manual: tuple[str, ...]) -> frameworks.Control:
    text: dict[str, Any] = dict.fromkeys(("title", "statement", "owner", "frequency", "risk"), "text")
    known = frameworks.Criteria(primary=("CC6.1",))
    return frameworks.Control(
        **text,
        id=f"X-{number}",
        type="preventive",
        nature=nature,
        manual=manual,
        checks=tuple(checks),
        criteria=known,
    )


def test_only_clean_tests_that_all_ran_are_satisfied() -> None:
    """Every set of up to three conclusions, and of a test that was not run, for controls of every nature."""
    each = [*CONCLUSIONS, "not run"]
    sets = [chosen for size in range(4) for chosen in itertools.combinations(each, size)]
    natures = itertools.product(["automated", "manual", "IT-dependent manual"], [(), ("look",)])
    kinds_ = [(chosen, nature, manual) for nature, manual in natures for chosen in sets]
    rows = [(c, c, 1, int(c == "exceptions"), int(c == "undetermined")) for c in CONCLUSIONS]
    pack = Packed(
        place=Path(),
        manifest=seal.Manifest(schema=seal.SCHEMA, facts={"run_id": "r"}, files=()),
        origin=snapshots.Origin(cluster="c", source="s"),
        coverage=(),
        engagement=Engagement(),
        controls=tuple(activity(number, *kind) for number, kind in enumerate(kinds_)),
        frame=pd.DataFrame(rows, columns=["id", "conclusion", "population", "exceptions", "undetermined"]),
    )
    told = {f["target"]["target-id"]: f["target"]["status"] for f in findings(pack, {}, "tool")}
    satisfied = [n for n in range(len(kinds_)) if told[f"activity_x-{n}_obj"]["state"] == "satisfied"]
    assert [kinds_[n] for n in satisfied] == [
        (("no exceptions",), "automated", ()),
        (("no exceptions",), "automated", ("look",)),
        (("no exceptions",), "IT-dependent manual", ()),
    ]
    failed = [kinds_[n][0] for n in range(len(kinds_)) if told[f"activity_x-{n}_obj"]["reason"] == "fail"]
    assert {("exceptions" in chosen, "error" in chosen) for chosen in failed} == {(True, False)}
    # What remains manual of it keeps a criterion open, whatever its tests found.
    assert told["cc6.1_obj"]["state"] == "not-satisfied"


@pytest.mark.parametrize("said", get_args(ManagementResult))
def test_a_criterion_is_satisfied_by_clean_tests_where_nothing_remains(said: ManagementResult) -> None:
    tested = frameworks.Control.model_construct(checks=("POD-01",))
    untested = frameworks.Control.model_construct(checks=())
    row = {"Management's result": said, "Remains manual": ""}
    assert criterion(row, [tested]) == said
    assert criterion(row | {"Remains manual": "keys"}, [tested]) != CLEAN
    assert criterion(row, [tested, untested]) != CLEAN
    assert (STATUS[said][0] == "satisfied") == (said == CLEAN)


def test_the_same_pack_gives_the_same_bytes(bare: Path, tmp_path: Path) -> None:
    for name in ("one", "two"):
        export(bare, tmp_path / name)
    assert [(tmp_path / "one" / n).read_bytes() == (tmp_path / "two" / n).read_bytes() for n in MODELS] == [True] * 3


def test_objects_of_an_undated_snapshot_have_the_time_of_the_seal_and_say_so(tmp_path: Path) -> None:
    export(packed(tmp_path / "pack", snapshot([pod("a")], at=None)), tmp_path / "out")
    told = result(tmp_path / "out")
    assert told["start"] == told["observations"][0]["collected"] == "2026-11-01T00:00:00+00:00"
    assert values(told, "observed-at")[0].startswith("undated")


def test_without_exceptions_there_is_nothing_to_plan(tmp_path: Path) -> None:
    done = export(packed(tmp_path / "pack", snapshot([pod("a", privileged=False)])), tmp_path / "out")
    assert (done.risks, done.satisfied, done.files) == (0, 0, (PLAN, RESULTS))
    assert f"there is no {POAM}" in str(done) and not (tmp_path / "out" / POAM).exists()


def test_a_changed_pack_is_refused(bare: Path, tmp_path: Path) -> None:
    forged = Path(shutil.copytree(bare, tmp_path / "forged"))
    (forged / "results" / "results.parquet").write_bytes(b"")
    with pytest.raises(VerificationError, match=r"results/results\.parquet: changed") as error:
        export(forged, tmp_path / "out")
    assert error.value.exit_code == 5 and not (tmp_path / "out").exists()


def test_a_pack_that_is_none_of_a_snapshot_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "period"
    place.mkdir()
    (place / "deviations.parquet").write_bytes(b"x")
    seal.seal(place, {})
    with pytest.raises(UsageError, match=r"no pack of one snapshot .* a pack of a period has no OSCAL export"):
        export(place, tmp_path / "out")


@pytest.mark.parametrize("other", ["controls.toml", "frameworks/soc2-2017.toml"])
def test_controls_of_another_version_are_refused(bare: Path, tmp_path: Path, other: str) -> None:
    changed = Path(shutil.copytree(bare, tmp_path / "changed"))
    with (changed / "inputs" / SHIPPED / other).open("a") as file:
        file.write("\n# another\n")
    seal.seal(changed, seal.read(changed).facts)
    with pytest.raises(UsageError, match=rf"made by another auditkit \(auditkit/test\): inputs/shipped/{other}"):
        export(changed, tmp_path / "out")


def test_results_of_unknown_tests_and_columns_are_refused(bare: Path, tmp_path: Path) -> None:
    for number, (path, column, match) in enumerate(
        [("results", "id", "no test X-99 here"), ("populations/POD-01", "privileged", "has no privileged")]
    ):
        changed = Path(shutil.copytree(bare, tmp_path / str(number)))
        file = changed / "results" / f"{path}.parquet"
        frame = pd.read_parquet(file)
        (frame.replace({column: {"POD-01": "X-99"}}) if column == "id" else frame.drop(columns=column)).to_parquet(file)
        seal.seal(changed, seal.read(changed).facts)
        with pytest.raises(UsageError, match=match):
            export(changed, tmp_path / "out")


def test_a_secret_is_not_written(tmp_path: Path) -> None:
    key = "-----BEGIN PRIVATE KEY-----"
    pack = packed(tmp_path / "pack", snapshot([pod("a", privileged=True)]), f'entity = "{key}"\n')
    with pytest.raises(LeakError, match=rf"{PLAN}: "):
        export(pack, tmp_path / "out")
    assert list(tmp_path.glob("out*")) == []


def test_without_the_extra_it_is_named(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "trestle.oscal.assessment_plan", None)
    with pytest.raises(UsageError, match=re.escape("pip install 'auditkit[oscal]'")) as error:
        export(bare, tmp_path / "out")
    assert error.value.exit_code == 2


def test_the_verb_says_what_was_written(bare: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(cli, ["oscal", str(bare), "--out", str(tmp_path / "out")], catch_exceptions=False)
    assert done.exit_code == 0 and f"{PLAN}, {RESULTS}, {POAM}" in done.output
    again = CliRunner().invoke(cli, ["oscal", str(bare), "--out", str(tmp_path / "out")])
    assert isinstance(again.exception, UsageError)


@settings(deadline=None)
@given(st.text())
def test_text_of_a_cluster_is_one_short_line(text: str) -> None:
    assert re.fullmatch(r"\S(.*\S)?", line(text)) and len(line(text)) <= 300


@settings(deadline=None)
@given(st.text(min_size=1))
def test_ids_are_tokens(text: str) -> None:
    assert re.fullmatch(r"[a-z_][a-z0-9._-]*", token(text))
