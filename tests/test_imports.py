"""Imports: what is said of them, what makes them partial, how they travel in a pack, and what is refused."""

import shutil
from datetime import UTC, date, datetime
from pathlib import Path

import pandas as pd
import pytest
from builders import imported, snapshot
from conftest import DEMO

import auditkit as ak
from auditkit import engagement
from auditkit.capture import imports
from auditkit.capture.imports import Supplied
from auditkit.capture.imports.tickets import Ticket
from auditkit.capture.snapshot import Origin
from auditkit.errors import Faults, UsageError
from auditkit.evaluate import Snapshot, Tables
from auditkit.waiving import waived

HEADER = "id,title,requester,approver,approved_at,objects\n"
ONE = "CHG-1,Open the gate,ann,ciso,2026-10-01T10:00:00Z,Deployment/web/shop;Namespace/web\n"
ORIGIN = Origin(cluster="prod", source="tests", taken_at=datetime(2026, 10, 31, 6, tzinfo=UTC))


def read(path: Path, text: str, **stated: object) -> imports.Loaded:
    path.write_text(text)
    (found,) = imports.read([Supplied(source="tickets", paths=(path,), **stated)])  # type: ignore[arg-type]
    return imports.judged(found, ORIGIN)


def test_what_is_said_of_an_import(tmp_path: Path) -> None:
    found = read(tmp_path / "t.csv", HEADER + ONE, made_at=date(2026, 10, 30), by="the ticket system")
    about = found.about
    assert (about.state, about.rows, about.kept, about.by) == ("collected", 1, {"tickets": 1}, "the ticket system")
    assert (about.files[0].name, about.files[0].size) == ("t.csv", len(HEADER + ONE))
    assert about.made_at == datetime(2026, 10, 30, tzinfo=UTC) and about.dated_by == "stated in auditkit.toml"
    (ticket,) = found.records[Ticket]
    assert isinstance(ticket, Ticket) and ticket.objects == ["Deployment/web/shop", "Namespace/web"]


@pytest.mark.parametrize(
    ("made_at", "note"),
    [
        (None, "undated"),
        (date(2026, 6, 1), "made 152 days before the snapshot, more than 31"),
        (date(2027, 1, 1), "made 62 days after the snapshot"),
    ],
)
def test_too_old_and_undated_is_partial(tmp_path: Path, made_at: date | None, note: str) -> None:
    about = read(tmp_path / "t.csv", HEADER + ONE, made_at=made_at).about
    assert about.state == "partial" and note in about.note


def test_a_bad_line_is_named_and_the_rest_is_kept(tmp_path: Path) -> None:
    found = read(tmp_path / "t.csv", HEADER + ONE + "CHG-2,x,y,z,yesterday,\nCHG-3,a\n", made_at=date(2026, 10, 30))
    assert found.about.state == "partial" and found.about.malformed_count == 2
    assert [m.name for m in found.about.malformed] == ["t.csv:3", "t.csv:4"]
    assert len(found.records[Ticket]) == 1 and "2 of 3 records could not be read" in found.about.note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("title,requester\nx,y\n", "t.csv:1: the header lacks id"),
        ("", "t.csv:1: the header lacks id; it has nothing"),
        ('id,title\nCHG-1,"open', "t.csv:1: not CSV after this line"),
    ],
)
def test_another_format_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path / "t.csv", text)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"id,title\n\xff\xfe\n")
    with pytest.raises(UsageError, match="not UTF-8"):
        imports.read([Supplied(source="tickets", paths=(tmp_path / "t.csv",))])


def test_what_nobody_supplied_is_not_an_empty_table() -> None:
    bare = Tables(snapshot([]))
    assert bare["tickets"].empty
    assert [c.state for c in bare.incomplete(["tickets"]).values()] == ["not supplied"]
    assert not Tables(snapshot([]).beside(imported({"tickets": []}))).incomplete(["tickets"])


def test_imports_do_not_change_the_digest() -> None:
    bare = snapshot([])
    assert bare.beside(imported({"tickets": [{"id": "CHG-1"}]})).digest == bare.digest


def test_saved_imports_are_the_same(tmp_path: Path) -> None:
    found = read(tmp_path / "t.csv", HEADER + ONE, made_at=date(2026, 10, 30))
    imports.save((found,), tmp_path / "saved")
    assert imports.load(tmp_path / "saved") == (found,)
    (tmp_path / "saved" / "tickets.jsonl.zst").write_bytes(b"no")
    with pytest.raises(UsageError, match="damaged"):
        imports.load(tmp_path / "saved")


def test_a_pack_carries_its_imports(pack: Path, tmp_path: Path) -> None:
    """The records travel, not the files."""
    from auditkit.reperform import reperform

    supplied = engagement.load(DEMO).supplied()
    given, kept = ak.load("demo", config=DEMO), ak.load(pack)
    assert {one.about.source for one in kept.imports} == {one.source for one in supplied}
    assert len(given.tables["tickets"]) > 0
    assert kept.tables["tickets"].equals(given.tables["tickets"])
    assert [path.name for one in supplied for path in one.paths if [*(pack / "inputs").rglob(path.name)]] == []
    changed = Path(shutil.copytree(pack, tmp_path / "changed"))
    shutil.rmtree(changed / "inputs" / "imports")
    assert any("run_id" in fault for fault in reperform(changed))


@pytest.mark.parametrize("pattern", ["/nowhere/t.csv", "/nowhere/*", "**x", "", ".", "a\\u0000b"])
def test_a_pattern_of_any_form_is_named(tmp_path: Path, pattern: str) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text(f'[imports]\ntickets = "{pattern}"\n')
    with pytest.raises(UsageError, match=r"imports\.tickets: .* does not exist"):
        ak.load("demo", config=config)


def test_a_file_with_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bad\udcff.csv").write_text(HEADER + ONE)
    config = tmp_path / "auditkit.toml"
    config.write_text('[imports]\ntickets = { files = "*.csv", made_at = 2026-10-30 }\n')
    with pytest.raises(UsageError, match="the name is no UTF-8"):
        ak.load("demo", config=config)


def test_a_file_is_named_by_its_whole_path_too(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "t.csv").write_text(HEADER + ONE)
    (tmp_path / "auditkit.toml").write_text(
        f'[imports]\ntickets = {{ files = "{tmp_path}/elsewhere/*.csv", made_at = 2026-10-30 }}\n'
    )
    assert list(ak.load("demo", config=tmp_path / "auditkit.toml").tables["tickets"]["id"]) == ["CHG-1"]


def test_a_file_that_is_not_there_and_an_unknown_import(tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text('[imports]\ntickets = "missing.csv"\n')
    with pytest.raises(UsageError, match=r"imports\.tickets: .*missing\.csv does not exist beside auditkit\.toml"):
        ak.load("demo", config=config)
    config.write_text('[imports]\nnothing = "x.csv"\n')
    with pytest.raises(UsageError, match=r"imports\.nothing: no such import; there are: "):
        ak.load("demo", config=config)


def test_the_demo_has_tables_without_imports() -> None:
    assert isinstance(ak.demo(), Snapshot) and ak.demo().imports == ()


WAIVER = """
[[waiver]]
id = "W-1"
check = "{check}"
scope = {{ {scope} = "velero" }}
reason = "restores need it"
expires = 2027-01-31
approver = "ciso@northwind.example"
approved_on = 2026-07-24
"""


def waiving(tmp_path: Path, check: str = "RBAC-01", scope: str = "name") -> Path:
    (tmp_path / "waivers.toml").write_text(WAIVER.format(check=check, scope=scope))
    config = tmp_path / "auditkit.toml"
    config.write_text('[imports]\nwaivers = "waivers.toml"\n')
    return config


def test_a_waived_exception_stays_one(tmp_path: Path) -> None:
    results = ak.check(ak.load("demo", config=waiving(tmp_path)), ["RBAC-01", "ADM-92"])
    found, bare = results["RBAC-01"], ak.check(ak.demo(), "RBAC-01")["RBAC-01"]
    assert found.conclusion == "exceptions" and len(found.exceptions) == len(bare.exceptions)
    assert list(found.exceptions.loc[found.exceptions["waiver"] == "W-1", "name"]) == ["velero"]
    assert (found.waived, bare.waived, results["ADM-92"].conclusion) == (1, 0, "no exceptions")
    assert list(results.frame["waived"]) == [1, 0]


def test_a_waiver_is_judged_though_its_check_is_not_asked_for(tmp_path: Path) -> None:
    assert ak.check(ak.load("demo", config=waiving(tmp_path)), "ADM-92")["ADM-92"].conclusion == "no exceptions"


@pytest.mark.parametrize(
    ("check", "scope", "said"),
    [
        ("RBAC-1", "name", "waiver W-1: no check RBAC-1 that can be waived"),
        ("ADM-90", "id", "waiver W-1: no check ADM-90 that can be waived"),
        ("RBAC-01", "nmae", r"waiver W-1: scope\.nmae: bindings has no such column; did you mean name"),
    ],
)
def test_a_waiver_of_what_is_not_there_is_refused(tmp_path: Path, check: str, scope: str, said: str) -> None:
    with pytest.raises(Faults, match=said):
        ak.load("demo", config=waiving(tmp_path, check, scope))


def test_all_that_is_wrong_with_waivers_is_said_at_once(tmp_path: Path) -> None:
    config = waiving(tmp_path)
    (tmp_path / "waivers.toml").write_text('[[waiver]]\nid = ""\ncheck = "RBAC-01"\nscope = {}\nwho = "ann"\n')
    with pytest.raises(Faults) as error:
        ak.load("demo", config=config)
    assert {fault.partition(":")[0] for fault in error.value.faults} == {
        *("waiver.0.id", "waiver.0.scope", "waiver.0.reason", "waiver.0.expires", "waiver.0.who"),
    }


@pytest.mark.parametrize("approver", ["", "  "])
def test_a_blank_approves_nothing(tmp_path: Path, approver: str) -> None:
    config = waiving(tmp_path)
    file = tmp_path / "waivers.toml"
    file.write_text(file.read_text().replace("ciso@northwind.example", approver))
    with pytest.raises(Faults, match=r"waiver\.0\.approver"):
        ak.load("demo", config=config)


def test_who_asked_cannot_approve_with_a_blank_more(tmp_path: Path) -> None:
    config = waiving(tmp_path)
    with (tmp_path / "waivers.toml").open("a") as file:
        file.write('requester = "CISO@northwind.example "\n')
    found = ak.check(ak.load("demo", config=config), ["RBAC-01", "ADM-90"])
    assert found["RBAC-01"].waived == 0 and found["ADM-90"].conclusion == "exceptions"


def test_a_waiver_of_a_list_accepts_each_of_its_items() -> None:
    population = pd.DataFrame({"verbs": pd.Series([["get"], ["get", "delete"], [], None], dtype=object)})
    exception = pd.Series(True, population.index)
    assert list(waived(population, exception, {"W": {"verbs": "*get*"}}).notna()) == [True, False, False, False]
    assert list(waived(population, exception, {"W": {"verbs": "*"}}).notna()) == [True, True, False, False]
