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

import pandas as pd
import pytest

import auditkit as ak
from auditkit import engagement, seal
from auditkit.cli import cli
from auditkit.report.frames import write_parquet
from auditkit.run import reperform

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
    for name in ("manifest.json", "SHA256SUMS"):
        (forged / name).unlink()
    seal.seal(forged, {})
    assert ak.verify(forged).ok
    assert reperform(forged) == ["results/populations/RBAC-01.parquet: differs when performed again"]


def test_a_changed_byte_is_named(pack: Path, tmp_path: Path) -> None:
    changed = Path(shutil.copytree(pack, tmp_path / "changed"))
    path = changed / "tables" / "bindings.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert ak.verify(changed).faults == ("tables/bindings.parquet: changed",)


def test_workbook_and_tables_are_the_same_bytes_again(pack: Path, tmp_path: Path) -> None:
    again = ak.run("demo", tmp_path / "again", names=["scope"]).pack
    for name in ("control-matrix.xlsx", "tables/bindings.parquet", "results/results.csv"):
        assert (again / name).read_bytes() == (pack / name).read_bytes(), name


def test_exit_codes_of_the_scheduler(recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    october = recordings / "northwind-prod" / "2026-10-31"
    september = recordings / "northwind-prod" / "2026-09-30"
    assert ak.run(october, "a", names=["scope"]).exit_code == 0
    assert ak.run(october, tmp_path / "b", names=["scope"], fail_on_exceptions=True).exit_code == 4
    incomplete = ak.run(september, tmp_path / "c", names=["scope"])
    assert incomplete.exit_code == 3
    assert "custom.metrics.k8s.io" in incomplete.summary


def test_a_leak_stops_the_seal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from auditkit.errors import LeakError

    leaking = tmp_path / "auditkit.toml"
    leaking.write_text('entity = "see https://ann:hunter2@wiki.example/x"\n')
    with pytest.raises(LeakError, match="a password in a URL") as caught:
        ak.run("demo", tmp_path / "pack", config=leaking, names=["scope"])
    assert "hunter2" not in str(caught.value)
    assert not (tmp_path / "pack").exists()
    assert not (tmp_path / "pack.incomplete" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "--out", "x"], 2, "name one source"),
        (["check", "nowhere"], 2, "no such file or folder"),
        (["verify", "."], 2, "no manifest.json"),
        (["check", "demo", "--id", "NOPE-01"], 2, "no check NOPE-01"),
        (["who-can", "get", "secret", "demo"], 2, "write the plural"),
        (["run", "--from", "demo", "--config", "none.toml", "--out", "x"], 2, "none.toml"),
        (["check", "demo", "--fail-on", "exceptions"], 4, ""),
        (["check", "demo", "--secrets"], 2, "cannot add to it"),
        (["capture", "--from", "demo", "--out", "/proc/pack"], 2, "not writable"),
        (["run", "--from", "demo", "--notebooks", "scoop", "--out", "x"], 2, "no notebook scoop; there are: scope"),
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


@pytest.mark.parametrize("kilobytes", [20, 300])
def test_a_full_disk_leaves_nothing_that_looks_whole(tmp_path: Path, kilobytes: int) -> None:
    command = f"ulimit -f {kilobytes}; exec {shlex.quote(sys.executable)} -m auditkit run --from demo --out pack"
    ended = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    said = [line for line in ended.stderr.splitlines() if line.startswith("auditkit: ")]
    assert (ended.returncode, len(said)) == (1, 1), ended.stderr
    assert "File too large" in said[0]
    assert "Traceback" not in ended.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["pack.incomplete"]
    assert not (tmp_path / "pack.incomplete" / "manifest.json").exists()


def test_every_verb_is_documented() -> None:
    assert [name for name, verb in cli.commands.items() if not verb.help] == []


def test_the_engagement_travels_with_the_pack(tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text('entity = "Northwind Pay"\n[scope]\nnamespaces = ["web"]\n')
    pack = ak.run("demo", tmp_path / "pack", config=config, names=["scope"]).pack
    assert engagement.load(pack / "inputs" / "auditkit.toml").entity == "Northwind Pay"
    assert "Northwind Pay" in (pack / "index.html").read_text()


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
    assert run["rows"] == {name: frame[name].sum() for name in ("population", "exceptions", "undetermined")}
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
