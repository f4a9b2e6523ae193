"""Merge-back: people's cells go into the next workbook by the names of rows; nothing is lost, tampering shows."""

import resource
import shutil
import signal
import subprocess
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pytest
from click.testing import CliRunner

from auditkit import seal
from auditkit.cli import cli
from auditkit.errors import AuditkitError, UsageError, VerificationError
from auditkit.report.workbook import HEADER, Cover, Sheet, entries, write
from auditkit.review.merge import ADDED, CARRIED, CHANGED, CONFLICT, MISSING, ORPHAN, REPORT, SIGNED, TAMPERED, merge


def book(path: Path, rows: dict[str, str]) -> Path:
    """A workbook with one row a finding: id and condition, and cells for management and the auditor."""
    frame = pd.DataFrame({"Exception id": list(rows), "Condition": list(rows.values())})
    sheet = Sheet(
        name="Exceptions", note="n", frame=frame, people=("Management response", "Due"), auditor=("Auditor ref",)
    )
    cover = Cover(title="t", rows=[("Run id", "1"), ("Reviewed by, date", None)])
    write(path, cover, [sheet], created=None)
    return path


def edit(source: Path, out: Path, cells: dict[tuple[str, str], Any], *, sheet: str = "Exceptions") -> Path:
    """A copy in which somebody wrote cells by row and column name."""
    found = openpyxl.load_workbook(source)
    ws = found[sheet]
    head = {c.value: c.column for c in ws[HEADER]}
    names = {c.value: c.row for c in ws["A"]}
    for (row, column), value in cells.items():
        ws.cell(names[row], head[column]).value = value
    found.save(out)
    return out


def cells(path: Path, row: str) -> dict[str, Any]:
    ws = openpyxl.load_workbook(path)["Exceptions"]
    head = [c.value for c in ws[HEADER]]
    return next(
        dict(zip(head, r, strict=True)) for r in ws.iter_rows(min_row=HEADER + 1, values_only=True) if r[0] == row
    )


def report(path: Path) -> list[tuple[str, str, str, Any]]:
    ws = openpyxl.load_workbook(path)[REPORT]
    return [(r[0], r[2], r[3], r[4]) for r in ws.iter_rows(min_row=HEADER + 1, values_only=True)]


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return book(tmp_path / "one.xlsx", {"X-1": "open", "X-2": "=1+1", "X-3": "wide"})


def test_people_write_and_it_is_carried(tmp_path: Path, original: Path) -> None:
    edited = edit(
        original, tmp_path / "e.xlsx", {("X-1", "Management response"): "=SUM(1)", ("X-2", "Auditor ref"): "B-7"}
    )
    newer = book(tmp_path / "two.xlsx", {"X-0": "new", "X-2": "=1+1", "X-1": "wider"})
    done = merge(edited, original, newer, tmp_path / "out.xlsx")
    assert cells(tmp_path / "out.xlsx", "X-1")["Management response"] == "=SUM(1)"
    assert cells(tmp_path / "out.xlsx", "X-2") == {**cells(newer, "X-2"), "Auditor ref": "B-7"}
    assert cells(tmp_path / "out.xlsx", "X-0") == cells(newer, "X-0")
    assert (done.count(CARRIED), done.count(CHANGED), done.count(TAMPERED), len(done.report)) == (2, 1, 0, 3)
    filled = openpyxl.load_workbook(tmp_path / "out.xlsx")["Exceptions"]["C6"]
    assert (filled.data_type, filled.quotePrefix, filled.protection.locked) == (
        "s",
        False,
        False,
    ) or filled.value is None


def test_a_text_that_is_there_is_never_overwritten(tmp_path: Path, original: Path) -> None:
    edited = edit(original, tmp_path / "e.xlsx", {("X-1", "Due"): "May", ("X-2", "Due"): "June"})
    newer = edit(original, tmp_path / "two.xlsx", {("X-1", "Due"): "July", ("X-2", "Due"): "June"})
    done = merge(edited, original, newer, tmp_path / "out.xlsx")
    assert cells(tmp_path / "out.xlsx", "X-1")["Due"] == "July"
    assert report(tmp_path / "out.xlsx")[0] == (CONFLICT, "X-1", "Due", "May")
    assert (done.count(CONFLICT), done.count(CARRIED)) == (1, 1)


def test_merged_twice_nothing_is_lost(tmp_path: Path, original: Path) -> None:
    """A row that goes away and comes back has its text again; what was written in between stays too."""
    first = edit(original, tmp_path / "e1.xlsx", {("X-1", "Management response"): "accepted", ("X-3", "Due"): "May"})
    second = book(tmp_path / "two.xlsx", {"X-3": "wide"})
    done = merge(first, original, second, tmp_path / "m1.xlsx")
    assert report(tmp_path / "m1.xlsx") == [
        (ORPHAN, "X-1", "Management response", "accepted"),
        (CARRIED, "X-3", "Due", "May"),
    ]
    again = edit(tmp_path / "m1.xlsx", tmp_path / "e2.xlsx", {("X-3", "Auditor ref"): "C-1"})
    third = book(tmp_path / "three.xlsx", {"X-3": "wide", "X-1": "open"})
    done = merge(again, second, third, tmp_path / "m2.xlsx")
    assert cells(tmp_path / "m2.xlsx", "X-1")["Management response"] == "accepted"
    assert cells(tmp_path / "m2.xlsx", "X-3") == {**cells(third, "X-3"), "Due": "May", "Auditor ref": "C-1"}
    assert set(done.report["What"]) == {CARRIED}


def test_a_row_whose_name_has_a_bar_in_it_comes_back(tmp_path: Path) -> None:
    one, two = (
        book(tmp_path / f"{n}.xlsx", rows) for n, rows in (("one", {"a | b": "x", "c": "y"}), ("two", {"c": "y"}))
    )
    merge(edit(one, tmp_path / "e.xlsx", {("a | b", "Due"): "May"}), one, two, tmp_path / "m1.xlsx")
    merge(tmp_path / "m1.xlsx", two, one, tmp_path / "m2.xlsx")
    assert cells(tmp_path / "m2.xlsx", "a | b")["Due"] == "May"


def test_edited_computed_cells_are_reported(tmp_path: Path, original: Path) -> None:
    edited = edit(original, tmp_path / "e.xlsx", {("X-1", "Condition"): "closed", ("X-3", "Exception id"): "X-9"})
    done = merge(edited, original, original, tmp_path / "out.xlsx")
    assert report(tmp_path / "out.xlsx") == [
        (TAMPERED, "X-1", "Condition", "closed"),
        (MISSING, "X-3", None, None),
        (ADDED, "X-9", None, None),
    ]
    assert cells(tmp_path / "out.xlsx", "X-1")["Condition"] == "open"
    assert done.report["Beside it"].iloc[0] == "open"


def test_a_column_written_twice_hides_no_edit(tmp_path: Path, original: Path) -> None:
    edited = edit(original, tmp_path / "e.xlsx", {("X-1", "Condition"): "closed"})
    found = openpyxl.load_workbook(edited)
    for row, text in zip(range(HEADER, HEADER + 4), ("Condition", "open", "=1+1", "wide"), strict=True):
        found["Exceptions"].cell(row, 20).value = text
    found.save(edited)
    done = merge(edited, original, original, tmp_path / "out.xlsx")
    tampered = done.report[done.report["What"] == TAMPERED]
    assert tampered[["Row", "Column"]].to_numpy().tolist() == [["(heading)", "Condition (T)"], ["X-1", "Condition"]]


def test_a_signature_on_the_cover_is_not_carried(tmp_path: Path, original: Path) -> None:
    found = openpyxl.load_workbook(original)
    row = next(c.row for c in found["Cover"]["A"] if c.value == "Reviewed by, date")
    found["Cover"].cell(row, 2).value = "ann, 2026-11-01"
    found.save(tmp_path / "e.xlsx")
    merge(tmp_path / "e.xlsx", original, original, tmp_path / "out.xlsx")
    assert report(tmp_path / "out.xlsx") == [(SIGNED, "Reviewed by, date", "Entry", "ann, 2026-11-01")]
    assert openpyxl.load_workbook(tmp_path / "out.xlsx")["Cover"].cell(row, 2).value is None
    merge(tmp_path / "out.xlsx", original, original, tmp_path / "again.xlsx")
    assert report(tmp_path / "again.xlsx") == [(SIGNED, "Reviewed by, date", "Entry", "ann, 2026-11-01")]


def test_saved_by_libreoffice_it_is_the_same(tmp_path: Path, program: Callable[[str], str]) -> None:
    """Another program writes styles, escapes and numbers its own way: none of it is tampering."""
    hostile = {"X-1": "_x0041_ =1+1\nline", "X-2": "=1+1", "X-3": "<b>&amp;"}
    original = book(tmp_path / "one.xlsx", hostile)
    edited = edit(original, tmp_path / "e.xlsx", {("X-2", "Management response"): "accepted"})
    command = [program("libreoffice"), f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"]
    subprocess.run(
        [*command, "--convert-to", "xlsx", "--outdir", str(tmp_path / "lo"), str(edited)],
        check=True,
        capture_output=True,
    )
    done = merge(tmp_path / "lo" / "e.xlsx", original, original, tmp_path / "out.xlsx")
    assert list(done.report["What"]) == [CARRIED]
    assert cells(tmp_path / "out.xlsx", "X-2")["Management response"] == "accepted"


def test_what_cannot_be_merged_is_refused(tmp_path: Path, original: Path) -> None:
    (tmp_path / "no.xlsx").write_text("no")
    with pytest.raises(UsageError, match="is no workbook"):
        merge(tmp_path / "no.xlsx", original, original, tmp_path / "out.xlsx")
    with pytest.raises(UsageError, match="no such file"):
        merge(tmp_path / "absent.xlsx", original, original, tmp_path / "out.xlsx")
    (tmp_path / "out.xlsx").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        merge(original, original, original, tmp_path / "out.xlsx")
    assert (tmp_path / "out.xlsx").read_text() == "mine"


def test_a_pack_that_changed_is_no_original(tmp_path: Path, original: Path) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    shutil.copy(original, pack / "control-matrix.xlsx")
    seal.seal(pack, {})
    assert merge(original, pack, pack, tmp_path / "out.xlsx").report.empty
    was = seal.sha256(pack / "control-matrix.xlsx")
    edit(original, pack / "control-matrix.xlsx", {("X-1", "Condition"): "closed"})
    with pytest.raises(VerificationError, match=r"control-matrix\.xlsx: changed"):
        merge(original, pack, original, tmp_path / "again.xlsx")
    # Nor where somebody wrote its new hash into the manifest.
    text = (pack / "manifest.json").read_text()
    (pack / "manifest.json").write_text(text.replace(was, seal.sha256(pack / "control-matrix.xlsx")))
    with pytest.raises(VerificationError, match=r"manifest\.json: changed"):
        merge(original, original, pack, tmp_path / "again.xlsx")


def damaged(source: Path, out: Path, name: str, content: bytes) -> Path:
    """A copy in which one part of the archive is another."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, content if part == name else old.read(part))
    return out


def test_a_damaged_workbook_is_one_clear_error(tmp_path: Path, original: Path) -> None:
    bomb = b"<worksheet>" + b" " * (entries.LARGEST + 1)
    for name, content in (
        ("xl/workbook.xml", b"<a>"),
        ("xl/styles.xml", b"<styleSheet/>"),
        ("docProps/core.xml", b""),
        ("xl/worksheets/sheet2.xml", b"<worksheet"),
        ("xl/worksheets/sheet2.xml", bomb),
    ):
        edited = damaged(original, tmp_path / "e.xlsx", name, content)
        with pytest.raises(UsageError, match=r"e\.xlsx: is no workbook \(.xlsx\) that can be read: .+") as said:
            merge(edited, original, original, tmp_path / "out.xlsx")
        assert "\n" not in str(said.value)


def test_a_cell_at_the_far_end_of_a_sheet_does_no_harm(tmp_path: Path, original: Path) -> None:
    found = openpyxl.load_workbook(original)
    for sheet in found.worksheets:
        sheet["XFD1048576"] = "x"
    found["Exceptions"]["A1048576"] = "X-9"
    found.save(tmp_path / "e.xlsx")
    started = time.process_time()
    done = merge(tmp_path / "e.xlsx", original, original, tmp_path / "out.xlsx")
    assert time.process_time() - started < 20
    assert done.count(ADDED) == 1


def test_a_full_disk_leaves_no_half_workbook(tmp_path: Path, original: Path) -> None:
    limit, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limit[1]))
        with pytest.raises(AuditkitError, match=r"out\.xlsx: cannot be written \(File too large\)"):
            merge(original, original, original, tmp_path / "out.xlsx")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not (tmp_path / "out.xlsx").exists()


def test_nothing_is_written_into_a_sealed_pack_or_a_link_that_leads_nowhere(tmp_path: Path, original: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack" / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match=r"lies within .*pack, a sealed pack"):
        merge(original, original, original, tmp_path / "pack" / "out.xlsx")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match="loop: a link that leads to itself"):
        merge(original, original, original, tmp_path / "loop")
    with pytest.raises(UsageError, match="the name is no UTF-8"):
        merge(original, original, original, tmp_path / "bad\udcff" / "out.xlsx")


def test_the_verb_ends_with_5_where_computed_cells_were_edited(tmp_path: Path, original: Path) -> None:
    edited = edit(original, tmp_path / "e.xlsx", {("X-1", "Condition"): "closed"})
    arguments = ["matrix", "merge", str(edited), "--original", str(original), "--into", str(original)]
    result = CliRunner().invoke(cli, [*arguments, "--out", str(tmp_path / "out.xlsx")], standalone_mode=False)
    assert result.return_value == 5 and "1 computed cell edited" in result.output
