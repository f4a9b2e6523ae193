"""Snapshots in a store: each comes back as it was, in order, and nothing half written or damaged reads as one."""

import json
import shutil
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from builders import AT, snapshot
from click.testing import CliRunner
from msgspec.structs import replace

import auditkit as ak
from auditkit import api, store
from auditkit.capture.snapshot import Snapshot
from auditkit.cli import cli
from auditkit.engagement import Engagement
from auditkit.errors import LeakError, RetryLater, UsageError
from auditkit.store import Capture, History, adding
from auditkit.store.history import written
from auditkit.store.publish import locked

PROD = Engagement(cluster="prod")


def day(number: int) -> datetime:
    return AT + timedelta(days=number)


def pod(name: str, **labels: str) -> dict[str, Any]:
    manager = {"manager": "kubectl-edit", "operation": "Update", "time": "2026-10-30T12:00:00Z"}
    meta = {"name": name, "namespace": "web", "uid": f"u-{name}", "labels": labels, "managedFields": [manager]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta,
        "spec": {"containers": [{"name": "c", "image": "i:1"}]},
    }


def pods(*names: str, **labels: str) -> list[dict[str, Any]]:
    """Some that stay, so that changes are smaller than the whole; and these."""
    return [*(pod(f"stays-{n}", app=f"stays-{n * 7919}") for n in range(40)), *(pod(name, **labels) for name in names)]


def same(one: Snapshot, other: Snapshot) -> bool:
    return (
        one.digest == other.digest
        and one.origin == other.origin
        and one.coverage == other.coverage
        and all(one.objects[kind] == other.objects[kind] for kind in one.objects)
    )


@pytest.fixture
def days(tmp_path: Path) -> list[Snapshot]:
    """Three days in STORE: a pod changes, one comes, one goes, a list is denied on the third day."""
    taken = [
        snapshot(pods("a", "b"), at=day(0)),
        snapshot(pods("b", "c", release="2"), at=day(1)),
        snapshot(pods("b", "c", release="2"), at=day(2), missing=("services",)),
    ]
    for one in taken:
        assert store.add(tmp_path, one, PROD).new
    return taken


def test_each_capture_comes_back_as_it_was(tmp_path: Path, days: list[Snapshot]) -> None:
    history = History(tmp_path / "prod")
    assert [history.whole(c.name) for c in history.captures] == [True, False, False]
    for capture, taken in zip(history.captures, days, strict=True):
        assert same(history.load(capture.name), taken)
        assert capture.digest == taken.digest
    found = history.load(history.captures[1].name)
    kind = next(kind for kind in found.objects if kind.plural == "pods")
    assert {m.manager for one in found.objects[kind] for m in one.metadata.managed_fields or ()} == {"kubectl-edit"}


def test_a_record_has_its_own_hash_as_the_readme_of_a_store_says(tmp_path: Path, days: list[Snapshot]) -> None:
    text = (tmp_path / "prod" / "snapshots" / "20261101T060000Z" / "capture.json").read_bytes()
    own = json.loads(text)["sha256"]
    assert sha256(text.replace(own.encode(), b"")).hexdigest() == own


def test_what_a_capture_says_of_itself(tmp_path: Path, days: list[Snapshot]) -> None:
    first, _, last = History(tmp_path / "prod").captures
    assert (first.name, first.taken_at, first.state, first.incomplete) == ("20261031T060000Z", AT, "complete", ())
    assert (last.name, last.state, last.incomplete) == ("20261102T060000Z", "partial", ("services",))
    assert datetime.now(UTC) - last.added_at < timedelta(minutes=5)
    assert last.cluster_uid == "u-1"


def test_a_period_is_read_in_order(tmp_path: Path, days: list[Snapshot]) -> None:
    history = History(tmp_path / "prod")
    assert [same(found, taken) for (_, found), taken in zip(history.between(), days, strict=True)] == [True] * 3
    assert [capture.taken_at for capture, _ in history.between(day(1), day(2))] == [day(1), day(2)]
    assert list(history.between(day(3))) == []
    # What did not change is decoded once.
    (_, second), (_, third) = history.between(day(1))
    kind = next(kind for kind in second.objects if kind.plural == "pods")
    assert all(a is b for a, b in zip(second.objects[kind], third.objects[kind], strict=True))


def test_a_late_capture_takes_its_place_in_time(tmp_path: Path, days: list[Snapshot]) -> None:
    late = snapshot(pods("late"), at=day(0) + timedelta(hours=12))
    assert store.add(tmp_path, late, PROD).capture.after == "20261031T060000Z"
    history = History(tmp_path / "prod")
    assert [c.name for c in history.captures][1] == "20261031T180000Z"
    taken = [days[0], late, *days[1:]]
    assert [same(found, one) for (_, found), one in zip(history.between(), taken, strict=True)] == [True] * 4
    assert same(history.load("20261102T060000Z"), days[2])


def test_a_whole_one_comes_now_and_then(tmp_path: Path) -> None:
    for number in (0, 150, 201, 202):
        store.add(tmp_path, snapshot(pods(f"p-{number}"), at=day(number)), PROD)
    history = History(tmp_path / "prod")
    assert [history.whole(c.name) for c in history.captures] == [True, False, True, False]
    assert [c.name for c in history.rests_on(history.captures[-1].name)] == [c.name for c in history.captures[2:]]


def test_changes_that_are_no_smaller_are_not_kept_as_changes(tmp_path: Path) -> None:
    store.add(tmp_path, snapshot([pod("a")], at=day(0)), PROD)
    other = [pod(f"p-{n}", app=sha256(b"%d" % n).hexdigest()) for n in range(1500)]
    added = store.add(tmp_path, snapshot(other, at=day(1)), PROD)
    assert (added.history.whole(added.capture.name), added.note) == (True, "")


def test_the_same_time_twice(tmp_path: Path, days: list[Snapshot]) -> None:
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    again = store.add(tmp_path, days[1], PROD)
    assert (again.new, again.capture.digest) == (False, days[1].digest)
    with pytest.raises(UsageError, match="20261101T060000Z: another snapshot of that time is stored"):
        store.add(tmp_path, snapshot(pods("x"), at=day(1)), PROD)
    after = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.name != tmp_path.name}
    assert {p: t for p, t in after.items() if p.is_file()} == {p: t for p, t in before.items() if p.is_file()}


def test_what_is_no_part_of_this_history_is_refused(tmp_path: Path, days: list[Snapshot]) -> None:
    other = snapshot(pods("a"), at=day(5))
    other.origin = replace(other.origin, cluster_uid="u-2")
    with pytest.raises(UsageError, match="holds the cluster with UID u-1, and this is u-2"):
        store.add(tmp_path, other, PROD)
    with pytest.raises(UsageError, match="undated"):
        store.add(tmp_path, snapshot(pods("a"), at=None), PROD)
    assert len(History(tmp_path / "prod")) == 3


@pytest.mark.parametrize("name", ["arn:aws:eks:eu-west-1:1:cluster/prod", "../prod", ".hidden", "a b"])
def test_a_name_that_is_none_of_a_folder_is_refused(tmp_path: Path, name: str) -> None:
    one = snapshot(pods("a"))
    one.origin = replace(one.origin, cluster=name)
    with pytest.raises(UsageError, match=r'in auditkit.toml: cluster = "prod"'):
        store.add(tmp_path / "store", one, Engagement())
    assert store.add(tmp_path / "store", one, PROD).place.parent.parent.name == "prod"


def test_two_writers(tmp_path: Path) -> None:
    with locked(tmp_path / "prod"), pytest.raises(RetryLater, match="another run writes it now"):
        store.add(tmp_path, snapshot(pods("a")), PROD)


def test_a_crash_leaves_nothing_that_reads_as_a_capture(
    tmp_path: Path, days: list[Snapshot], monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as at_the_end, pytest.raises(KeyboardInterrupt):
        at_the_end.setattr(adding, "settle", crash)
        store.add(tmp_path, snapshot(pods("a"), at=day(3)), PROD)
    assert (tmp_path / "prod" / "snapshots" / "20261103T060000Z.incomplete" / "capture.json").exists()
    assert len(History(tmp_path / "prod")) == 3
    store.add(tmp_path, snapshot(pods("a"), at=day(4)), PROD)
    assert sorted(p.name for p in (tmp_path / "prod" / "snapshots").iterdir()) == [
        c.name for c in History(tmp_path / "prod").captures
    ]


def test_a_secret_is_not_stored(tmp_path: Path, days: list[Snapshot]) -> None:
    leaking = snapshot(pods("a"), at=day(3))
    kind = next(kind for kind in leaking.objects if kind.plural == "pods")
    leaking.objects[kind][0].metadata.labels = {"key": "-----BEGIN RSA PRIVATE KEY-----"}
    with pytest.raises(LeakError, match=r"in web/a metadata\.labels\.key"):
        store.add(tmp_path, leaking, PROD)
    assert not list((tmp_path / "prod" / "snapshots").glob("20261103*"))


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        ("20261101T060000Z/changes.zst", "cut", "20261101T060000Z/changes.zst: damaged"),
        ("20261101T060000Z/changes.zst", "gone", "20261101T060000Z: changes.zst is missing"),
        ("20261101T060000Z/capture.json", "gone", "20261101T060000Z: capture.json is missing"),
        ("20261101T060000Z/capture.json", "cut", "20261101T060000Z/capture.json: damaged"),
        ("20261101T060000Z/capture.json", "no text", "20261101T060000Z/capture.json: damaged"),
        (
            "20261031T060000Z/whole/coverage.json",
            "other",
            "20261102T060000Z: damaged, it does not give what was stored",
        ),
        ("20261031T060000Z/whole/objects/pods.jsonl.zst", "gone", "20261101T060000Z/changes.zst: damaged"),
        ("20261031T060000Z", "gone", "rests on 20261031T060000Z, which is missing"),
    ],
)
def test_a_damaged_or_missing_part_is_one_clear_error(
    tmp_path: Path, days: list[Snapshot], name: str, damage: str, said: str
) -> None:
    path = tmp_path / "prod" / "snapshots" / name
    if damage == "gone":
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:-9])
    elif damage == "no text":
        path.write_bytes(path.read_bytes().replace(b"20261101T", b"2026110\xffT"))
    else:
        path.write_bytes(path.read_bytes().replace(b'"collected"', b'"partial"  '))
    with pytest.raises(UsageError, match=said):
        History(tmp_path / "prod").load("20261102T060000Z")


def edited(place: Path, capture: str, *, hashed: bool, said: dict[str, Any]) -> None:
    """Edit the record of a capture, as somebody would who can write to the store; `hashed` with its own hash anew."""
    record = place / "prod" / "snapshots" / capture / "capture.json"
    document = json.loads(record.read_bytes()) | said
    if hashed:
        record.write_bytes(written(msgspec.convert(document, Capture)))
    else:
        record.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    if "name" in said:
        record.parent.rename(record.parent.with_name(said["name"]))


@pytest.mark.parametrize(
    "said",
    [
        {"name": "20261103T060000Z", "taken_at": "2026-11-03T06:00:00Z"},
        {"state": "complete", "incomplete": []},
        {"digest": "0" * 64},
        {"legal_hold": False},
        {"added_at": "2026-11-02T06:00:00Z"},
        {"unknown": 1},
    ],
)
def test_a_record_that_was_edited_shows(tmp_path: Path, days: list[Snapshot], said: dict[str, Any]) -> None:
    edited(tmp_path, "20261102T060000Z", hashed=False, said=said)
    with pytest.raises(UsageError, match=r"capture\.json: changed since it was written"):
        History(tmp_path / "prod").captures  # noqa: B018


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"name": "20261103T060000Z", "taken_at": "2026-11-03T06:00:00Z"}, "is not of the snapshot beside it"),
        ({"state": "complete", "incomplete": []}, "is not of the snapshot beside it"),
        ({"cluster_uid": "another"}, "is not of the snapshot beside it"),
        ({"digest": "0" * 64}, "not the one it names"),
    ],
)
def test_a_record_says_nothing_else_than_its_snapshot(
    tmp_path: Path, days: list[Snapshot], said: dict[str, Any], why: str
) -> None:
    edited(tmp_path, "20261102T060000Z", hashed=True, said=said)
    with pytest.raises(UsageError, match=why):
        api.captures(tmp_path, checked=True)


def test_the_same_objects_less_completely_read_are_another_snapshot(tmp_path: Path, days: list[Snapshot]) -> None:
    again = Snapshot(origin=days[2].origin, objects=days[2].objects, coverage=days[1].coverage)
    assert again.digest == days[2].digest
    with pytest.raises(UsageError, match=r"another snapshot of that time is stored \(partial"):
        store.add(tmp_path, again, PROD)


@pytest.mark.parametrize("name", ["20261031T060000Z", "20261101T060000Z"])
def test_a_capture_that_is_purged_while_it_is_read_is_try_later(
    tmp_path: Path, days: list[Snapshot], name: str
) -> None:
    history = History(tmp_path / "prod")
    assert len(history) == 3
    shutil.rmtree(history.place(name))
    for read in (lambda: list(history.between()), lambda: history.load(name)):
        with pytest.raises(RetryLater, match=f"{name}: was purged while the store was read"):
            read()


def test_a_damaged_record_does_not_stop_the_next(tmp_path: Path, days: list[Snapshot]) -> None:
    (tmp_path / "prod" / "snapshots" / "20261101T060000Z" / "capture.json").write_bytes(b"{")
    taken = snapshot(pods("a"), at=day(3))
    added = store.add(tmp_path, taken, PROD)
    assert added.new and "cannot be read" in added.note
    assert (added.history.place(added.capture.name) / "whole").is_dir()
    with pytest.raises(UsageError, match=r"20261101T060000Z/capture\.json: damaged"):
        store.add(tmp_path, snapshot(pods("a"), at=day(1)), PROD)


def test_a_damaged_capture_does_not_stop_the_next(tmp_path: Path, days: list[Snapshot]) -> None:
    (tmp_path / "prod" / "snapshots" / "20261101T060000Z" / "changes.zst").write_bytes(b"")
    taken = snapshot(pods("a"), at=day(3))
    added = store.add(tmp_path, taken, PROD)
    assert added.note.startswith("stored whole, as the capture before it cannot be read")
    assert same(added.history.load(added.capture.name), taken)


def test_the_verbs(tmp_path: Path, recordings: Path) -> None:
    config, place = tmp_path / "auditkit.toml", tmp_path / "store"
    config.write_text('cluster = "shop"\n[retention]\nclass = "audit"\n')

    def said(*arguments: str) -> str:
        done = CliRunner().invoke(cli, list(arguments), standalone_mode=False)
        if done.exception:
            raise done.exception
        return done.output

    source = str(recordings / "northwind-prod" / "2026-10-31")
    first = said("capture", "--from", source, "--store", str(place), "--config", str(config))
    assert f"stored: {place}/shop/snapshots/20261031T060000Z" in first
    assert "already stored, nothing was written" in said(
        "capture", "--from", source, "--store", str(place), "--config", str(config)
    )
    listed = json.loads(said("store", "list", "--store", str(place), "--verify", "--json"))
    assert [(row["cluster"], row["capture"], row["state"], row["stored"]) for row in listed] == [
        ("shop", "20261031T060000Z", "complete", "whole")
    ]
    capture = place / "shop" / "snapshots" / "20261031T060000Z"
    assert ak.load(capture).digest == listed[0]["digest"] == ak.load(source).digest
    assert "RBAC-01" in said("check", str(capture), "--id", "RBAC-01")
    assert "0 captures read" in said("store", "tables", "--store", str(place))
    with pytest.raises(UsageError, match="--out DIR or --store DIR"):
        said("capture", "--from", "demo")
    with pytest.raises(UsageError, match="no store of snapshots"):
        said("store", "list", "--store", str(tmp_path / "none"))
