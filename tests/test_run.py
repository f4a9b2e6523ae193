"""A run gives a sealed pack; flipped, edited or leaking packs are found."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow as pa
import pytest
from click.testing import CliRunner
from conftest import DEMO

import auditkit as ak
from auditkit import api, engagement, seal
from auditkit.capture import snapshot as snapshots
from auditkit.capture import tool
from auditkit.cli import cli
from auditkit.kinds.rbac import ClusterRoleBinding
from auditkit.kinds.workloads import Pod
from auditkit.reperform import reperform
from auditkit.report.frames import write_parquet
from auditkit.resources import folder
from auditkit.run import exit_code, identify, write_results, write_tables

DUMP = Path(__file__).parent / "recordings" / "northwind-prod" / "2026-10-31"
FILES = ("index.html", "control-matrix.xlsx", "run.json", "manifest.json", "SHA256SUMS", "VERIFY.md")


def test_a_pack_holds_what_it_should(pack: Path) -> None:
    assert [name for name in FILES if not (pack / name).is_file()] == []
    assert len(list((pack / "binder").glob("*.html"))) == len(list((pack / "notebooks").glob("*.ipynb")))
    assert (pack / "snapshot" / "origin.json").is_file()
    assert ak.verify(pack).ok


def test_the_tests_can_be_performed_again(pack: Path) -> None:
    assert reperform(pack) == []


def test_an_exception_edited_out_is_found_though_all_is_hashed_again(pack: Path, tmp_path: Path) -> None:
    forged = Path(shutil.copytree(pack, tmp_path / "forged"))
    path = forged / "results" / "populations" / "RBAC-01.parquet"
    rows = pd.read_parquet(path, dtype_backend="numpy_nullable")
    kept = rows[rows["verdict"] != "exception"]
    assert 0 < len(kept) < len(rows)
    kept.to_parquet(path)
    seal.seal(forged, seal.read(forged).facts)
    assert ak.verify(forged).ok
    assert "results/populations/RBAC-01.parquet: differs when performed again" in reperform(forged)


def test_objects_forged_away_are_found_though_all_is_made_and_hashed_again(pack: Path, tmp_path: Path) -> None:
    forged = Path(shutil.copytree(pack, tmp_path / "forged"))
    true = ak.load(pack)
    gone = msgspec.structs.replace(true.state(ClusterRoleBinding), seen=0, kept=0)
    kept = {kind: true.objects[kind] for kind in true.objects if kind is not ClusterRoleBinding}
    coverage = [gone if one.resource == gone.resource else one for one in true.coverage]
    for part in ("snapshot", "tables", "results"):
        shutil.rmtree(forged / part)
    snapshots.save(snapshots.Snapshot(origin=true.origin, coverage=coverage, objects=kept), forged / "snapshot")
    snapshot = ak.load(forged)
    write_tables(forged, snapshot)
    write_results(forged / "results", ak.check(snapshot))
    seal.seal(forged, seal.read(forged).facts)
    assert ak.verify(forged).ok
    faults = reperform(forged)
    for name in ("manifest.json", "run.json"):
        for key in ("snapshot_digest", "run_id"):
            assert f"{name}: {key} is not that of snapshot/ and inputs/" in faults
    assert "control-matrix.xlsx: differs when performed again" in faults


@pytest.mark.parametrize("name", ["snapshot/origin.json", "snapshot/coverage.json"])
def test_the_run_id_covers_time_and_coverage(pack: Path, tmp_path: Path, name: str) -> None:
    changed = Path(shutil.copytree(pack, tmp_path / "changed"))
    digest, by = ak.load(pack).digest, tool()
    assert identify(pack, digest, by) == seal.read(pack).facts["run_id"]
    (changed / name).write_bytes((changed / name).read_bytes() + b" ")
    assert identify(changed, digest, by) != identify(pack, digest, by)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("inputs/auditkit.toml", None),
        ("snapshot/origin.json", None),
        ("snapshot/origin.json", b"[]"),
        ("snapshot/objects/pods.jsonl.zst", b"garbage"),
        ("snapshot/objects/pods.jsonl.zst", pa.compress(b"garbage\n", codec="zstd", asbytes=True)),
        ("run.json", b"{"),
        ("control-matrix.xlsx", b"garbage"),
    ],
)
def test_what_cannot_be_read_is_a_fault_of_the_pack(
    pack: Path, tmp_path: Path, name: str, content: bytes | None
) -> None:
    damaged = Path(shutil.copytree(pack, tmp_path / "damaged"))
    (damaged / name).unlink(missing_ok=True)
    if content is not None:
        (damaged / name).write_bytes(content)
    seal.seal(damaged, {**seal.read(damaged).facts, "tool": "auditkit/0.0"})
    ended = CliRunner().invoke(cli, ["verify", str(damaged), "--reperform"], standalone_mode=False)
    assert ended.return_value == 5, ended.exception
    assert f"{name}: differs" in ended.stdout or "cannot be performed again: " in ended.stdout
    assert "made by auditkit/0.0 (code " in ended.stdout.splitlines()[-1]


def test_a_changed_byte_is_named(pack: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(pack, tmp_path / "changed"))
    path = changed / "tables" / "bindings.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert ak.verify(changed).faults == ("tables/bindings.parquet: changed",)


def test_workbook_and_tables_are_the_same_bytes_again(pack: Path, tmp_path: Path) -> None:
    again = ak.run("demo", tmp_path / "again", config=DEMO, names=[]).pack
    for name in ("control-matrix.xlsx", "tables/bindings.parquet", "results/results.csv"):
        assert (again / name).read_bytes() == (pack / name).read_bytes(), name


def test_exit_codes_of_the_scheduler(recordings: Path) -> None:
    october = ak.load(recordings / "northwind-prod" / "2026-10-31")
    results = ak.check(october)
    assert exit_code(october, results) == 0
    assert exit_code(october, results, fail_on_exceptions=True) == 4
    september = ak.load(recordings / "northwind-prod" / "2026-09-30")
    assert "custom.metrics.k8s.io (failed)" in repr(september)
    assert exit_code(september, ak.check(september), fail_on_exceptions=True) == 3


def test_a_leak_stops_the_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditkit.errors import LeakError

    dump, leaking = pod_dump(tmp_path / "dump", {}), tmp_path / "auditkit.toml"
    leaking.write_text('entity = "see https://ann:hunter2@wiki.example/x"\n')
    with pytest.raises(LeakError, match="a password in a URL") as caught:
        ak.run(dump, tmp_path / "pack", config=leaking, names=[])
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "pack").exists()
    assert sorted(tmp_path.iterdir()) == [leaking, dump]


def pod_dump(folder: Path, metadata: dict[str, object], **fields: object) -> Path:
    folder.mkdir()
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "web", "name": "p", **metadata}, **fields}
    (folder / "pods.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [pod]}))
    return folder


def test_a_credential_in_a_label_or_kept_annotation_is_withheld(tmp_path: Path) -> None:
    labels = {"app": "web", "tok": "AKIA" + "ABCDEFGHIJKLMNOP"}
    annotations = {
        "kubernetes.io/ingress.class": "-----BEGIN RSA PRIVATE KEY-----",
        "kubernetes.io/config.source": "api",
    }
    dump = pod_dump(tmp_path / "dump", {"labels": labels, "annotations": annotations})
    ended = CliRunner().invoke(cli, ["capture", "--from", str(dump), "--out", str(tmp_path / "s")])
    assert (tmp_path / "s" / "origin.json").is_file(), ended.exception
    (pod,) = ak.load(tmp_path / "s").objects[Pod]
    assert pod.labels == {"app": "web", "tok": "(withheld)"}
    assert list(pod.annotations.values()) == ["api", "(withheld)"]


def test_a_leaking_capture_names_the_object_and_leaves_nothing(tmp_path: Path) -> None:
    from auditkit.errors import LeakError

    token = "AKIA" + "ABCDEFGHIJKLMNOP"
    dump = pod_dump(tmp_path / "dump", {}, spec={"serviceAccountName": token, "containers": []})
    with pytest.raises(LeakError) as caught:
        api.save(ak.load(dump), tmp_path / "s")
    assert "objects/pods.jsonl.zst: an AWS access key in web/p spec.serviceAccountName" in str(caught.value)
    assert token not in str(caught.value)
    assert list(tmp_path.iterdir()) == [dump]


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "--out", "x"], 2, "name one source"),
        (["check", "nowhere"], 2, "no such file or folder"),
        (["verify", "."], 2, "no manifest.json"),
        (["check", "demo", "--id", "NOPE-01"], 2, "no check NOPE-01"),
        (["who-can", "get", "secret", "demo"], 2, "Write the plural"),
        (["run", "--from", "demo", "--config", "none.toml", "--out", "x"], 2, "none.toml"),
        (["check", "demo", "--fail-on", "exceptions"], 4, ""),
        (["check", "demo", "--secrets"], 2, "cannot add to it"),
        (["check", "demo", "--qps", "5"], 2, "--qps cannot add to it"),
        (["check", str(DUMP), "--qps", "0"], 2, "--qps cannot add to it"),
        (["check", "context:x", "--taken-at", "2026-01-01"], 2, "--taken-at cannot add to it"),
        (["check", "demo", "--rows"], 2, "--rows: only with --json"),
        (
            ["run", "--from", "demo", "--notebooks", "scope, scoop", "--out", "x"],
            2,
            "no notebook scoop; did you mean scope?",
        ),
        (["capture", "--from", "demo", "--out", "/proc/pack"], 2, "not writable"),
        (["run", "--from", "demo", "--notebooks", "scoop", "--out", "x"], 2, "no notebook scoop; did you mean scope?"),
        (["run", "--from", "demo", "--key", "none.pem", "--out", "x"], 2, "no readable private key"),
        (["run", "--from", "demo", "--previous", ".", "--out", "x"], 2, "no manifest.json"),
        (["frameworks", "nope"], 2, "no framework nope"),
    ],
)
def test_each_failure_is_one_line_and_its_code(
    arguments: list[str],
    code: int,
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from auditkit.cli import main

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["auditkit", *arguments])
    with pytest.raises(SystemExit) as ended:
        main()
    error = capsys.readouterr().err
    assert ended.value.code == code
    assert says in error
    assert "Traceback" not in error
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kilobytes", "notebook"),
    [
        pytest.param(20, "scope", id="snapshot"),
        pytest.param(300, "access", id="notebook"),
        pytest.param(300, "scope", id="workbook"),
    ],
)
def test_a_full_disk_leaves_nothing_that_looks_whole(tmp_path: Path, kilobytes: int, notebook: str) -> None:
    asked = f"run --from demo --notebooks {notebook} --out pack"
    command = f"ulimit -f {kilobytes}; exec {shlex.quote(sys.executable)} -m auditkit {asked}"
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    said = [line for line in ended.stderr.splitlines() if line.startswith("auditkit: ")]
    assert (ended.returncode, len(said)) == (1, 1), ended.stderr
    assert "File too large" in said[0]
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pack.incomplete"]
    assert not (tmp_path / "pack.incomplete" / "manifest.json").exists()


def test_every_verb_is_documented() -> None:
    assert [name for name, verb in cli.commands.items() if not verb.help] == []


def test_a_run_says_what_is_missing_and_the_engagement_travels(tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text('entity = "Northwind Pay"\n[scope]\nnamespaces = ["web"]\n')
    done = ak.run(pod_dump(tmp_path / "dump", {}), tmp_path / "pack", config=config, names=[])
    assert (done.exit_code, ak.verify(done.pack).ok) == (3, True)
    assert "evidence incomplete: " in done.summary and "kinds (failed, see coverage)" in done.summary
    assert engagement.load(done.pack / "inputs" / "auditkit.toml").entity == "Northwind Pay"
    assert "Northwind Pay" in (done.pack / "index.html").read_text()


def test_what_ships_with_auditkit_is_an_input_too(pack: Path, tmp_path: Path) -> None:
    for name in ("controls.toml", "catalogue.toml", "frameworks/soc2-2017.toml", "networks.toml"):
        assert (pack / "inputs" / "shipped" / name).read_bytes() == (folder("data") / name).read_bytes()
    changed = Path(shutil.copytree(pack, tmp_path / "changed"))
    with (changed / "inputs" / "shipped" / "controls.toml").open("a") as file:
        file.write("# another control")
    faults = reperform(changed)
    assert "inputs/shipped/controls.toml: differs from that of this installation" in faults
    assert "manifest.json: run_id is not that of snapshot/ and inputs/" in faults


def test_parquet_keeps_what_is_missing(tmp_path: Path) -> None:
    frame = pd.DataFrame({"a": pd.array(["x", None], dtype="string"), "b": pd.array([True, None], dtype="boolean")})
    write_parquet(frame, tmp_path / "x.parquet")
    again = pd.read_parquet(tmp_path / "x.parquet", dtype_backend="numpy_nullable")
    assert again["a"].isna().tolist() == [False, True]
    assert again["b"].isna().tolist() == [False, True]


def test_the_index_says_when_it_was_made_and_what_the_seal_proves(pack: Path) -> None:
    index, run = (pack / "index.html").read_text(), json.loads((pack / "run.json").read_text())
    at = datetime.fromisoformat(run["prepared_at"])
    assert f"{at:%Y-%m-%d %H:%M:%S} UTC" in index
    assert "hashes without a signature" in index
    frame = pd.read_csv(pack / "results" / "results.csv")
    assert run["rows"] == {name: frame[name].sum() for name in ("population", "exceptions", "waived", "undetermined")}
    assert (
        f"{run['rows']['undetermined']} rows in {run['tests_with_undetermined_rows']} tests could not be judged"
        in index
    )
    assert "listed but not read" in index


def test_verify_md_computes_the_digests_that_the_pack_names(
    pack: Path, program: Callable[[str], str], tmp_path: Path
) -> None:
    program("zstdcat")
    named = json.loads((pack / "manifest.json").read_text())["facts"]
    blocks = re.findall(r"<<'END'\n(.*?)\n    END", (pack / "VERIFY.md").read_text(), re.DOTALL)
    place = os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])}
    printed = [
        subprocess.run(
            [sys.executable, "-c", textwrap.dedent(block)],
            cwd=pack, env=place, capture_output=True, text=True, timeout=60, check=True,
        ).stdout.strip()
        for block in blocks
    ]  # fmt: skip
    assert printed == [named["package_sha256"], named["snapshot_digest"]]


def test_text_is_utf8_whatever_the_locale(tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text('entity = "Büro Ⅱ"\n', encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from auditkit import engagement; from auditkit.run import write_inputs; "
        "write_inputs(Path(sys.argv[2]), engagement.load(Path(sys.argv[1])))"
    )
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", code, str(config), str(tmp_path / "inputs")], check=True, env=plain)
    assert (tmp_path / "inputs" / "auditkit.toml").read_bytes() == config.read_bytes()
