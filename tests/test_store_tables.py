"""The tables of a store: row by row what changed, readable without auditkit, and the same however they came to be."""

import resource
import shutil
import signal
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest
from builders import AT, EVERYTHING, snapshot

from auditkit import store
from auditkit.capture.snapshot import Options
from auditkit.engagement import Engagement
from auditkit.errors import AuditkitError
from auditkit.resources import folder
from auditkit.store import History

PROD = Engagement(cluster="prod")
README = (folder("templates") / "STORE.md").read_text()


def day(number: int) -> datetime:
    return AT + timedelta(days=number)


def binding(name: str, *people: str) -> dict[str, Any]:
    subjects = [{"kind": "User", "name": one, "apiGroup": "rbac.authorization.k8s.io"} for one in people]
    role = {"kind": "ClusterRole", "name": "view", "apiGroup": "rbac.authorization.k8s.io"}
    meta = {"name": name, "uid": f"u-{name}"}
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding"}
    return {**kind, "metadata": meta, "roleRef": role, "subjects": subjects}


def kept(place: Path, number: int, bindings: Sequence[dict[str, Any]], **how: Any) -> History:
    history = store.add(place, snapshot(bindings, at=day(number), **how), PROD).history
    store.refresh(history)
    return history


def changes(history: History, table: str = "bindings") -> list[tuple[int, str, str, str]]:
    """Day, change, name of the binding, subject."""
    found = pd.read_parquet(history.path / "tables" / table).sort_values(["captured_at", "name", "subject"])
    days = (found["captured_at"] - pd.Timestamp(AT)).dt.days
    return list(zip(days, found["change"], found["name"], found["subject"], strict=True))


def said(history: History, table: str = "bindings") -> list[str]:
    log = pd.read_parquet(history.path / "tables" / "captures").sort_values("captured_at")
    return list(log[log["table"] == table]["state"])


def content(history: History) -> dict[str, Any]:
    """Every file's rows: what was written, not how it was laid out."""
    place = history.path / "tables"
    return {str(p.relative_to(place)): pq.read_table(p).to_pylist() for p in sorted(place.rglob("*.parquet"))}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Day 0 in October, the others in November; nothing changes on day 2."""
    place = tmp_path_factory.mktemp("stores") / "store"
    kept(place, 0, [binding("a", "ann"), binding("b", "bob")])
    kept(place, 1, [binding("a", "ann"), binding("b", "eve"), binding("c", "cat")])
    kept(place, 2, [binding("a", "ann"), binding("b", "eve"), binding("c", "cat")])
    kept(place, 3, [binding("b", "eve"), binding("c", "cat")])
    return place


@pytest.fixture
def history(tmp_path: Path, made: Path) -> History:
    """A copy of it, to be changed."""
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    return History(tmp_path / "prod")


EXPECTED = [
    (0, "first", "a", "ann"),
    (0, "first", "b", "bob"),
    (1, "changed", "b", "eve"),
    (1, "added", "c", "cat"),
    (3, "removed", "a", "ann"),
]


def test_rows_are_there_when_they_change_and_by_month(history: History) -> None:
    assert changes(history) == EXPECTED
    assert sorted(p.name for p in (history.path / "tables" / "bindings").iterdir()) == [
        "2026-10.parquet",
        "2026-11.parquet",
    ]
    assert said(history) == ["complete"] * 4
    # A table that never changed is where it was written first; one that is empty has no file.
    assert not (history.path / "tables" / "pods").exists()


def test_made_again_by_another_version_they_are_all_made_by_it(history: History) -> None:
    before = content(history)
    dictionary = history.path / "tables" / "dictionary.json"
    dictionary.write_text(dictionary.read_text().replace("auditkit/", "auditkit/older-"))
    assert store.refresh(history) == 4
    assert content(history) == before
    assert "auditkit/older-" not in dictionary.read_text()
    assert store.refresh(history) == 0


def test_a_run_that_was_cut_off_is_made_good(history: History) -> None:
    before = content(history)
    log = history.path / "tables" / "captures" / "2026-11.parquet"
    rows = pq.read_table(log)
    # As if the last run had written its rows and died before it said so.
    pq.write_table(rows.filter([name != "20261103T060000Z" for name in rows["capture"].to_pylist()]), log)
    assert store.refresh(history) == 1
    assert content(history) == before


@pytest.mark.parametrize("name", ["captures/2026-10.parquet", "bindings/2026-10.parquet"])
def test_a_damaged_file_is_made_again(history: History, name: str) -> None:
    before, log = content(history), history.path / "tables" / "captures" / "2026-11.parquet"
    (history.path / "tables" / name).write_bytes(b"PAR1, and no more")
    pq.write_table(pq.read_table(log).slice(0, 0), log)
    assert store.refresh(history) == 4
    assert content(history) == before


def test_a_full_disk_says_that_the_captures_are_there(history: History) -> None:
    store.add(history.path.parent, snapshot([binding("z", "zoe")], at=day(4)), PROD)
    limit, ignored = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100, limit[1]))
        with pytest.raises(AuditkitError, match=r"tables: .*; the captures are as they were, and the next run"):
            store.refresh(history)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert store.refresh(history) > 0
    assert (4, "added", "z", "zoe") in changes(history)


def test_what_a_killed_run_left_does_not_stop_who_reads_the_folder(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(self: Path, target: Path) -> None:
        self.write_bytes(b"PAR1, and no more")
        raise KeyboardInterrupt

    late = snapshot([binding("a", "ann"), binding("b", "eve")], at=AT + timedelta(days=1, hours=12))
    store.add(history.path.parent, late, PROD)
    with monkeypatch.context() as m, pytest.raises(KeyboardInterrupt):
        m.setattr(Path, "replace", killed)
        store.refresh(history)
    assert len(pd.read_parquet(history.path / "tables" / "captures")) > 0
    assert store.refresh(history) > 0
    assert (1, "removed", "c", "cat") in changes(history)


def test_a_late_capture_is_put_between(tmp_path: Path, history: History) -> None:
    late = store.add(tmp_path, snapshot([binding("d", "dan")], at=day(1) + timedelta(hours=12)), PROD).history
    assert store.refresh(late) == 3
    told = changes(late)
    assert [one for one in told if one[0] == 0] == EXPECTED[:2]
    assert (1, "added", "d", "dan") in told
    assert (2, "removed", "d", "dan") in told
    fresh = content(late)
    shutil.rmtree(late.path / "tables")
    store.refresh(late)
    assert content(late) == fresh


def test_what_was_not_read_is_not_removed(tmp_path: Path, history: History) -> None:
    kept(tmp_path, 4, [], missing=("clusterrolebindings.rbac.authorization.k8s.io",))
    after = kept(
        tmp_path, 5, [binding("b", "eve")], missing=("clusterrolebindings.rbac.authorization.k8s.io",), state="partial"
    )
    assert changes(after) == EXPECTED
    assert said(after)[4:] == ["not compared", "not compared"]
    again = kept(tmp_path, 6, [binding("b", "eve")])
    assert changes(again)[len(EXPECTED) :] == [(6, "removed", "c", "cat")]
    log = pd.read_parquet(again.path / "tables" / "captures")
    denied = log[(log["table"] == "bindings") & (log["capture"] == "20261104T060000Z")]["lacking"].item()
    assert list(denied) == ["clusterrolebindings.rbac.authorization.k8s.io denied"]


def test_what_is_read_for_the_first_time_was_perhaps_there_before(tmp_path: Path) -> None:
    kept(tmp_path, 0, [], missing=("rolebindings.rbac.authorization.k8s.io",))
    kept(tmp_path, 1, [binding("a", "ann")], missing=("rolebindings.rbac.authorization.k8s.io",))
    history = kept(tmp_path, 2, [binding("a", "ann"), binding("b", "bob")])
    assert changes(history) == [(1, "added", "a", "ann"), (2, "first", "b", "bob")]
    assert said(history) == ["incomplete", "incomplete", "complete"]


def test_options_that_open_less_are_no_removal(tmp_path: Path) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": "s", "namespace": "x", "uid": "u"},
    }
    kept(tmp_path, 0, [secret], options=EVERYTHING)
    history = kept(tmp_path, 1, [], options=Options())
    found = pd.read_parquet(history.path / "tables" / "secrets")
    assert list(found["change"]) == ["first"]
    assert said(history, "secrets") == ["complete", "not compared"]


def fenced(language: str) -> str:
    return README.partition(f"```{language}\n")[2].partition("```")[0]


def test_the_query_of_the_readme(tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    assert (tmp_path / "README.md").read_text() == README
    monkeypatch.chdir(tmp_path)
    query = fenced("sql").replace("CLUSTER", "prod")

    def at(moment: str) -> list[tuple[Any, ...]]:
        asked = query.replace("2026-10-01", moment)
        assert moment in asked
        return sorted(duckdb.sql(f"SELECT name, subject, since FROM ({asked})").fetchall())

    assert [row[:2] for row in at("2026-11-01")] == [("a", "ann"), ("b", "bob")]
    assert [row[:2] for row in at("2026-11-02")] == [("a", "ann"), ("b", "eve"), ("c", "cat")]
    assert [row[:2] for row in at("2026-12-01")] == [("b", "eve"), ("c", "cat")]
    assert at("2026-12-01")[0][2].astimezone(UTC) == day(1)
    every = "SELECT count(*) FROM read_parquet('*/tables/bindings/*.parquet', filename = true)"
    assert duckdb.sql(every).fetchall() == [(5,)]


def test_the_pandas_line_of_the_readme(tmp_path: Path, history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = next(line for line in README.splitlines() if line.startswith("pd.read_parquet")).replace("CLUSTER", "prod")
    assert sorted(eval(line, {"pd": pd})["change"]) == ["added", "changed", "removed"]
