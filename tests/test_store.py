"""A pack is published whole or not at all, and never overwritten."""

import shutil
from pathlib import Path

import pytest

from auditkit import store
from auditkit.errors import RetryLater, UsageError
from auditkit.store.publish import MARK


def test_what_ends_well_is_published(tmp_path: Path) -> None:
    with store.publishing(tmp_path / "a" / "pack") as draft:
        (draft / "x").write_text("x")
        assert not (tmp_path / "a" / "pack").exists()
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["pack"]


def test_what_fails_stays_incomplete(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), store.publishing(tmp_path / "pack") as draft:
        (draft / "x").write_text("x")
        raise ValueError("stop")
    assert not (tmp_path / "pack").exists()
    assert (tmp_path / "pack.incomplete" / "x").exists()


def test_a_pack_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(UsageError, match="already holds a pack"), store.publishing(tmp_path):
        pytest.fail("must not be entered")
    assert (tmp_path / "manifest.json").read_text() == "{}"


@pytest.mark.parametrize("out", ["pack/sub", "pack/a/b", "link/sub", "pack/../pack/sub"])
def test_nothing_is_written_into_a_pack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str) -> None:
    pack = tmp_path / "pack"
    pack.mkdir()
    (pack / "manifest.json").write_text("{}")
    (tmp_path / "link").symlink_to(pack)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="a sealed pack"), store.publishing(Path(out)):
        pytest.fail("must not be entered")
    assert [path.name for path in pack.iterdir()] == ["manifest.json"]


def test_a_second_writer_is_told_to_come_again(tmp_path: Path) -> None:
    with store.publishing(tmp_path / "pack"):
        for _ in range(2):  # a refused writer leaves the lock as it is
            with pytest.raises(RetryLater), store.publishing(tmp_path / "pack"):
                pytest.fail("must not be entered")


def test_a_place_below_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="not writable"), store.publishing(tmp_path / "file" / "pack"):
        pytest.fail("must not be entered")


def test_a_draft_is_begun_again_and_a_folder_of_the_user_is_not_deleted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="stop"), store.publishing(tmp_path / "pack") as draft:
        (draft / "x").write_text("x")
        raise ValueError("stop")
    with store.publishing(tmp_path / "pack") as draft:
        (draft / "y").write_text("y")
    assert [p.name for p in (tmp_path / "pack").iterdir()] == ["y"]
    (tmp_path / "mine.incomplete").mkdir()
    (tmp_path / "mine.incomplete" / "work").write_text("of a year")
    with pytest.raises(UsageError, match="in the way"), store.publishing(tmp_path / "mine"):
        pytest.fail("must not be entered")
    assert (tmp_path / "mine.incomplete" / "work").read_text() == "of a year"


def test_a_run_killed_while_it_makes_or_deletes_a_draft_does_not_block_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "made.incomplete").mkdir()
    with store.publishing(tmp_path / "made") as draft:
        (draft / "x").write_text("x")
    old = tmp_path / "deleted.incomplete"
    for name in ("a", MARK, "z"):
        (old / name).mkdir(parents=True)
    delete = shutil.rmtree
    for left in (1, 0):  # as many folders go before the kill

        def killed(path: Path, gone: list[Path] = [], left: int = left) -> None:  # noqa: B006
            if len(gone) == left:
                raise KeyboardInterrupt
            gone.append(path)
            delete(path)

        with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
            m.setattr(shutil, "rmtree", killed)
            with store.publishing(tmp_path / "deleted"):
                pytest.fail("must not be entered")
        assert (old / MARK).is_dir()
    with store.publishing(tmp_path / "deleted") as draft:
        (draft / "y").write_text("y")
    assert [p.name for p in (tmp_path / "deleted").iterdir()] == ["y"]


def test_an_empty_folder_may_be_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with store.publishing(Path()) as draft:
        (draft / "x").write_text("x")
    assert [p.name for p in (tmp_path / "here").iterdir()] == ["x"]
