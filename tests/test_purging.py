"""What is purged is what was asked for, allowed and written down, and nothing that later captures rest on."""

import json
import resource
import shutil
import signal
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner
from test_history import PROD, day, pods, same, snapshot

from auditkit import store
from auditkit.capture.snapshot import Snapshot
from auditkit.cli import cli
from auditkit.engagement import Engagement, Retention
from auditkit.errors import RetryLater, UsageError
from auditkit.store import History
from auditkit.store.publish import locked

# Days 0 and 1 of four are before it.
BEFORE = date(2026, 11, 2)


def held(**said: object) -> Engagement:
    return Engagement(cluster="prod", retention=Retention.model_validate(said))


@pytest.fixture
def taken(tmp_path: Path) -> list[Snapshot]:
    found = [snapshot(pods(f"p-{n}", release=str(n)), at=day(n)) for n in range(4)]
    for one in found:
        store.add(tmp_path, one, PROD)
    return found


def names(place: Path) -> list[str]:
    return [capture.name for capture in History(place / "prod").captures]


def asked(*arguments: str) -> str:
    done = CliRunner().invoke(cli, ["store", "purge", *arguments], standalone_mode=False)
    if done.exception:
        raise done.exception
    return done.output


def test_without_yes_it_only_says_what_would_go(tmp_path: Path, taken: list[Snapshot]) -> None:
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    text = asked("--store", str(tmp_path), "--before", "2026-11-02")
    assert "prod: 2 of 4 captures are from before 2026-11-02" in text
    assert f"20261101T060000Z  {taken[1].digest}" in text
    assert "20261102T060000Z rests on them, and is stored whole first" in text
    assert "nothing was deleted" in text
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_stays_is_as_it_was(tmp_path: Path, taken: list[Snapshot]) -> None:
    records = {name: (tmp_path / "prod/snapshots" / name / "capture.json").read_bytes() for name in names(tmp_path)}
    asked("--store", str(tmp_path), "--before", "2026-11-02", "--yes")
    assert names(tmp_path) == ["20261102T060000Z", "20261103T060000Z"]
    history = History(tmp_path / "prod")
    for (capture, found), one in zip(history.between(), taken[2:], strict=True):
        assert same(found, one)
        assert same(history.load(capture.name), one)
        assert (history.place(capture.name) / "capture.json").read_bytes() == records[capture.name]
    assert [p.name for p in sorted((tmp_path / "prod" / "snapshots").iterdir())] == names(tmp_path)
    rows = pd.read_parquet(tmp_path / "prod" / "tables" / "pods")
    assert rows["captured_at"].min() == day(2)
    assert set(rows[rows["captured_at"] == day(2)]["change"]) == {"first"}


def test_the_log_says_who_when_and_what(tmp_path: Path, taken: list[Snapshot]) -> None:
    for before in (BEFORE, BEFORE, date(2026, 11, 3)):
        store.purge(History(tmp_path / "prod"), before)
    first, second = (json.loads(line) for line in (tmp_path / "prod" / "purge-log.jsonl").read_text().splitlines())
    assert [(one["capture"], one["digest"]) for one in first["purged"]] == [
        ("20261031T060000Z", taken[0].digest),
        ("20261101T060000Z", taken[1].digest),
    ]
    assert (first["by"], first["before"], first["stored_whole"]) == (
        tmp_path.owner(),
        "2026-11-02",
        ["20261102T060000Z"],
    )
    assert datetime.now(UTC) - datetime.fromisoformat(first["at"]) < timedelta(minutes=5)
    assert [one["capture"] for one in second["purged"]] == ["20261102T060000Z"]


def test_a_store_of_which_all_was_purged_is_listed_as_empty(tmp_path: Path, taken: list[Snapshot]) -> None:
    store.purge(History(tmp_path / "prod"), date(2026, 12, 1))
    done = CliRunner().invoke(cli, ["store", "list", "--verify", "--store", str(tmp_path)], standalone_mode=False)
    assert done.exception is None and done.output == "none\n"
    listed = CliRunner().invoke(cli, ["store", "list", "--json", "--store", str(tmp_path)], standalone_mode=False)
    assert json.loads(listed.output) == []


def test_a_legal_hold_stops_it(tmp_path: Path, taken: list[Snapshot]) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text("[retention]\nlegal_hold = true\n")
    with pytest.raises(UsageError, match=r"auditkit.toml says retention.legal_hold = true"):
        asked("--store", str(tmp_path), "--before", "2026-11-02", "--config", str(config), "--yes")
    for place in (tmp_path / "LEGAL-HOLD", tmp_path / "prod" / "LEGAL-HOLD"):
        place.write_text("matter 12\n")
        with pytest.raises(UsageError, match=f"{place}: under legal hold"):
            asked("--store", str(tmp_path), "--before", "2026-11-02")
        place.unlink()
    # Without --config the newest capture says it, and an engagement that was given lifts it.
    store.add(tmp_path, snapshot(pods("x"), at=day(4)), held(legal_hold=True))
    with pytest.raises(UsageError, match=r"20261104T060000Z was stored with retention\.legal_hold = true"):
        store.purge(History(tmp_path / "prod"), BEFORE)
    assert len(store.purge(History(tmp_path / "prod"), BEFORE, Retention.model_validate({})).gone) == 2


def test_what_is_to_be_kept_yet_stays(tmp_path: Path, taken: list[Snapshot]) -> None:
    kept = Retention.model_validate({"keep_days": 90_000})
    with pytest.raises(UsageError, match=r"keep_days = 90000; --before .* is the latest that it allows"):
        store.purge(History(tmp_path / "prod"), BEFORE, kept)
    assert len(names(tmp_path)) == 4


def test_one_cluster_under_hold_stops_all(tmp_path: Path, taken: list[Snapshot]) -> None:
    store.add(tmp_path, snapshot(pods("x"), at=day(0)), Engagement(cluster="test"))
    (tmp_path / "test" / "LEGAL-HOLD").touch()
    with pytest.raises(UsageError, match="under legal hold"):
        asked("--store", str(tmp_path), "--before", "2026-11-02", "--yes")
    assert len(names(tmp_path)) == 4


def test_what_stays_is_looked_at_before_anything_goes(tmp_path: Path, taken: list[Snapshot]) -> None:
    (tmp_path / "prod/snapshots/20261102T060000Z/changes.zst").write_bytes(b"")
    with pytest.raises(UsageError, match="damaged"):
        store.purge(History(tmp_path / "prod"), BEFORE)
    assert len(names(tmp_path)) == 4
    assert not (tmp_path / "prod" / "purge-log.jsonl").exists()


def test_a_purge_that_was_cut_off_leaves_no_half_capture(tmp_path: Path, taken: list[Snapshot]) -> None:
    place = tmp_path / "prod" / "snapshots"
    (place / "20261031T060000Z").rename(place / "20261031T060000Z.purged")
    assert names(tmp_path)[0] == "20261101T060000Z"
    (place / "20261031T060000Z.purged").rename(place / "20261031T060000Z")
    with locked(tmp_path / "prod"), pytest.raises(RetryLater):
        store.purge(History(tmp_path / "prod"), BEFORE)
    assert len(names(tmp_path)) == 4


def test_a_purge_that_is_killed_leaves_captures_that_can_be_read(
    tmp_path: Path, taken: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    delete = shutil.rmtree

    def killed(path: Path, **options: bool) -> None:
        if path.suffix == ".purged":
            raise KeyboardInterrupt
        delete(path, **options)

    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(shutil, "rmtree", killed)
        store.purge(History(tmp_path / "prod"), date(2026, 11, 3))
    read = [capture.name for capture, _ in History(tmp_path / "prod").between()]
    assert read == ["20261031T060000Z", "20261101T060000Z", "20261103T060000Z"]
    store.purge(History(tmp_path / "prod"), date(2026, 11, 3))
    assert [p.name for p in (tmp_path / "prod" / "snapshots").iterdir()] == names(tmp_path) == ["20261103T060000Z"]


def test_a_full_disk_leaves_no_half_line_in_the_log_and_deletes_nothing(tmp_path: Path, taken: list[Snapshot]) -> None:
    store.purge(History(tmp_path / "prod"), date(2026, 11, 1))
    log = tmp_path / "prod" / "purge-log.jsonl"
    before = log.read_bytes()
    # The draft of a whole capture still fits, the line of the log does not.
    log.write_bytes(before * (40_000 // len(before)))
    kept, limit = log.read_bytes(), resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(kept) + 20, limit[1]))
        with pytest.raises(OSError, match="No space left"):
            store.purge(History(tmp_path / "prod"), BEFORE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert log.read_bytes() == kept and len(names(tmp_path)) == 3
