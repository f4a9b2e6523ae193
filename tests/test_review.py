"""Access reviews: what reviewers are shown, what their decisions come to, and the round from workbook to findings."""

import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pandas as pd
import pytest
from builders import imported, snapshot
from click.testing import CliRunner
from conftest import RECORDINGS
from periods import northwind, of

import auditkit as ak
from auditkit import engagement, seal, store
from auditkit.cli import cli
from auditkit.errors import UsageError, VerificationError
from auditkit.evaluate import Snapshot
from auditkit.period import intervals
from auditkit.period.frames import framed
from auditkit.report.workbook import HEADER
from auditkit.resources import folder
from auditkit.review import access, rounds
from auditkit.review.access import Held
from auditkit.review.decisions import EXCEPTION, OK, UNDETERMINED, Decision, Terms, due_by, judged

START = datetime(2026, 9, 28, 6, tzinfo=UTC)  # a Monday
TERMS = Terms(first=date(2026, 7, 1), last=date(2026, 10, 9), revoke_days=5, provisioners=("gina@x.io",))
RULE = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}


def role(*rules: dict[str, Any]) -> dict[str, Any]:
    kind = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole"}
    return {**kind, "metadata": {"name": "reader"}, "rules": list(rules or (RULE,))}


def binding(name: str, *subjects: tuple[str, str], by: str = "kubectl-create") -> dict[str, Any]:
    written = {"manager": by, "operation": "Update", "time": "2026-09-01T00:00:00Z", "fieldsType": "FieldsV1"}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "creationTimestamp": "2026-09-01T00:00:00Z", "managedFields": [written]},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "reader"},
        "subjects": [{"kind": kind, "name": name} for kind, name in subjects],
    }


STAFF = [
    {"user": f"{name}@x.io", "kubernetesUser": f"{name}@x.io", "status": "active"}
    for name in ("ann", "bob", "gina", "eve")
]
BOUND = [
    role(),
    binding("a-ann", ("User", "ann@x.io")),
    binding("b-ops", ("Group", "ops")),
    binding("c-evil", ("User", '=cmd|"/C calc"!A0'), by="bob"),
]


def shown(*manifests: dict[str, Any], day: int = 0, people: bool = True, **options: Any) -> Snapshot:
    at = START + timedelta(days=day)
    group = {"group": "ops", "kubernetesGroup": "ops", "owner": "ann@x.io", "members": ["bob@x.io"]}
    beside = imported({"idp_users": STAFF, "idp_groups": [group]}, at=at) if people else []
    return Snapshot.of(snapshot(manifests, at=at, **options).beside(beside))


@cache
def bound_listing() -> tuple[pd.DataFrame, pd.DataFrame]:
    """The listing of BOUND, and its people."""
    return access.listing(shown(*BOUND), engagement.Engagement())


def decide(listing: pd.DataFrame, said: Mapping[str, Sequence[str | None]]) -> pd.DataFrame:
    """Decisions by name of the binding: decision, reviewer, day, and where they are not given a reason and a ticket."""
    rows = []
    for row in listing.itertuples():
        decision, reviewer, on, *rest = said.get(str(row.name), ("keep", "eve@x.io", "2026-10-01"))
        rows.append((row.row, decision, reviewer, on, *(rest or ("not needed", "T-1")), []))
    return framed(rows, Decision)


def findings(
    said: Mapping[str, Sequence[str | None]], *later: Snapshot, of: Snapshot | None = None, **options: Any
) -> pd.DataFrame:
    """What decisions come to, by name of the binding."""
    listing, people = access.listing(of, engagement.Engagement()) if of else bound_listing()
    found = judged(
        decide(listing, said), listing, [access.held(one) for one in later], people=people, terms=TERMS,
        taken_at=START, **options,
    )  # fmt: skip
    return found.set_index(found["binding"].str.removeprefix("ClusterRoleBinding "))


def test_the_listing_says_who_holds_what_and_since_when() -> None:
    listing, people = bound_listing()
    rows = listing.set_index("name")
    assert rows.loc["b-ops", "members"] == rows.loc["b-ops", "people"] == ["bob@x.io"]
    assert (rows.loc["b-ops", "owner"], rows.loc["a-ann", "powers"]) == ("ann@x.io", "reads secrets")
    assert rows.loc["c-evil", "standing"] == "not known to the identity provider"
    # The manager bob is a person; kubectl-create is nobody.
    assert (rows.loc["c-evil", "provisioners"], rows.loc["a-ann", "provisioners"]) == (["bob@x.io"], [])
    assert list(rows["granters_known"]) == [name == "c-evil" for name in rows.index]
    assert rows["row"].is_unique and len(people) == len(STAFF)
    assert rows.loc["a-ann", "last_used_said"] == "not known: audit log not supplied"


def test_of_the_time_after_its_last_event_a_log_shows_no_use() -> None:
    """Whenever it was taken: nothing is said of a fortnight that it does not have."""
    times = {"first": "2026-08-01T00:00:00Z", "last": "2026-09-14T00:00:00Z"}
    (log,) = imported({"audit_files": [{"name": "audit.log", "lines": 1, **times}]}, at=START)
    covers = (datetime(2026, 8, 1, tzinfo=UTC), START)
    taken_later = replace(log, about=msgspec.structs.replace(log.about, covers=covers))
    rows, _ = access.listing(Snapshot.of(shown(*BOUND).beside([taken_later])), engagement.Engagement())
    assert set(rows["last_used_said"]) == {"no use from 2026-08-01 to 2026-09-14"}


def test_a_row_keeps_its_id_and_its_content_tells_another_access() -> None:
    def one(*manifests: dict[str, Any]) -> pd.Series:
        return access.listing(shown(*manifests), engagement.Engagement())[0].iloc[0]

    before, same = one(role(), BOUND[1]), one(role(), BOUND[1])
    wider = one(role({**RULE, "verbs": ["*"]}), BOUND[1])
    assert (before["row"], before["content"]) == (same["row"], same["content"])
    assert before["row"] == wider["row"] and before["content"] != wider["content"]


def test_nobody_decides_on_their_own_access_or_on_what_they_granted() -> None:
    found = findings(
        {
            "a-ann": ("keep", "ANN@x.io", "2026-10-01"),
            "b-ops": ("keep", "bob@x.io", "2026-10-01"),
            "c-evil": ("keep", "bob@x.io", "2026-10-01"),
        }
    )
    assert list(found["conclusion"]) == [EXCEPTION] * 3
    assert found.loc["a-ann", "independent"] == "refused: ANN@x.io reviews their own access; somebody else must decide"
    assert "reviews their own access as a member of ops" in found.loc["b-ops", "independent"]
    assert "bob@x.io granted this access (bob (managedFields))" in found.loc["c-evil", "independent"]


def test_who_granted_is_known_by_a_complete_audit_log_alone() -> None:
    def listed(user: str, *, state: str = "collected", people: bool = True) -> pd.Series:
        event = {
            "what": "rbac",
            "group": "rbac.authorization.k8s.io",
            "resource": "clusterrolebindings",
            "name": "a-ann",
        }
        event |= {"user": user, "verb": "create", "code": 201, "count": 1, "namespace": ""}
        times = {"first": "2026-09-01T00:00:00Z", "last": "2026-09-01T00:00:00Z"}
        (log,) = imported({"audit_activity": [event | times]}, at=START)
        about = msgspec.structs.replace(log.about, state=state)
        found, _ = access.listing(
            Snapshot.of(shown(*BOUND).beside([replace(log, about=about)])), engagement.Engagement()
        )
        return found.set_index("name").loc["a-ann"]

    row = listed("gina@x.io")
    assert (row["provisioners"], row["granters_known"]) == (["gina@x.io"], True)
    assert row["granted_by"].startswith("gina@x.io (create 2026-09-01 00:00, audit log); kubectl-create")
    # A program's account hides the person behind it; a log that lacks events hides later writes.
    assert not listed("system:serviceaccount:argocd:argocd")["granters_known"]
    assert not listed("gina@x.io", state="partial")["granters_known"]


def test_independence_that_cannot_be_told_is_not_passed() -> None:
    found = findings({"a-ann": ("keep", "Ann Berg", "2026-10-01"), "b-ops": ("keep", "gina@x.io", "2026-10-01")})
    assert "Ann Berg is not known to the identity provider" in found.loc["a-ann", "independent"]
    unknown = "who granted it is not known (kubectl-create (managedFields)), and gina@x.io may grant access"
    assert found.loc["b-ops", "independent"] == unknown
    assert "who =cmd" in found.loc["c-evil", "independent"]
    assert list(found["conclusion"]) == [UNDETERMINED] * 3
    assert set(findings({}, of=shown(*BOUND, people=False))["conclusion"]) == {UNDETERMINED}
    named = shown(role(), binding("d-mal", ("User", "system:mal")), binding("e-own", ("User", "system:kube-proxy")))
    found = findings({}, of=named)
    assert "who system:mal is, is not known" in found.loc["d-mal", "independent"]
    assert "who system:kube-proxy" not in found.loc["e-own", "independent"]
    assert set(findings({}).loc[["a-ann", "b-ops"], "conclusion"]) == {OK}


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ((None, None, None), "no decision"),
        (("unknown", "eve@x.io", "2026-10-01"), "decided unknown"),
        (("kep", "eve@x.io", "2026-10-01"), "'kep' is no decision; there are keep, modify"),
        (("keep", None, "2026-10-01"), "no reviewer is named"),
        (("keep", "eve@x.io", None), "no date"),
        (("keep", "eve@x.io", "10/01/2026"), "'10/01/2026' is no date; write it as 2026-10-02"),
        (("keep", "eve@x.io", "2026-09-27"), "before the listing was taken on 2026-09-28"),
        (("keep", "eve@x.io", "2026-10-10"), "outside 2026-07-01 to 2026-10-09"),
        (("revoke", "eve@x.io", "2026-10-01", None, None), "without reason and ticket"),
    ],
)
def test_what_is_not_decided_well_is_an_exception(said: Sequence[str | None], text: str) -> None:
    row = findings({"a-ann": said}).loc["a-ann"]
    assert row["conclusion"] == EXCEPTION
    assert text in "; ".join(row["exceptions"])


REVOKED = {"a-ann": ("revoke", "eve@x.io", "2026-10-01")}  # a Thursday: due on Thursday 8


def closed(*later: Snapshot, decided: Mapping[str, Sequence[str | None]] = REVOKED, **options: Any) -> tuple[str, str]:
    row = findings(decided, *later, **options).loc["a-ann"]
    return row["conclusion"], row["carried_out"]


def test_a_revoke_is_done_when_later_complete_captures_show_it_in_time() -> None:
    rest = [one for one in BOUND if one is not BOUND[1]]
    assert closed(shown(*rest, day=10)) == (OK, "removed by 2026-10-08 06:00")
    assert closed(shown(*BOUND, day=9), shown(*rest, day=10))[0] == OK
    assert closed(shown(*BOUND, day=12)) == (EXCEPTION, "not removed by 2026-10-08: still as it was on 2026-10-10")
    late = closed(shown(*BOUND, day=12), shown(*rest, day=13))
    assert late == (EXCEPTION, "removed late, after 2026-10-10; it was due 2026-10-08")
    assert closed(shown(*rest, day=5), shown(*BOUND, day=20))[0] == EXCEPTION


def test_what_no_later_complete_capture_shows_is_undetermined() -> None:
    rest = [one for one in BOUND if one is not BOUND[1]]
    denied = "clusterrolebindings.rbac.authorization.k8s.io"
    for later in ([], [shown(*rest, day=9, missing=[denied])]):
        assert closed(*later) == (
            UNDETERMINED,
            "no later complete capture shows whether it was removed by 2026-10-08",
        )
    assert (
        closed(shown(*BOUND, day=9))[1] == "not yet removed on 2026-10-07, due 2026-10-08: a later capture must show it"
    )
    between = closed(shown(*rest, day=20))
    assert between == (UNDETERMINED, "removed between 2026-09-28 and 2026-10-18; whether by 2026-10-08 is not known")
    # A complete audit log tells when.
    place = ("ClusterRoleBinding", "", "a-ann")
    for day, verb, conclusion in ((6, "delete", OK), (9, "delete", EXCEPTION), (6, "update", UNDETERMINED)):
        log = {place: (datetime(2026, 10, day, tzinfo=UTC), verb)}
        assert closed(shown(*rest, day=20), changed_at=log)[0] == conclusion


def test_the_same_right_by_another_binding_is_not_gone() -> None:
    rest = [one for one in BOUND if one is not BOUND[1]]
    again = closed(shown(*rest, binding("z-new", ("User", "ann@x.io")), day=14))
    assert again == (
        EXCEPTION,
        "not removed by 2026-10-08: given again by ClusterRoleBinding z-new on 2026-10-12",
    )
    alias, account = ("User", "system:serviceaccount:x:y"), {"kind": "ServiceAccount", "name": "y", "namespace": "x"}
    other = {**binding("z-new"), "subjects": [account]}
    renamed = closed(shown(role(), other, day=14), of=shown(role(), binding("a-ann", alias)))
    assert renamed[1] == "not removed by 2026-10-08: given again by ClusterRoleBinding z-new on 2026-10-12"
    # One that was there before has a row and a decision of its own.
    two = [*BOUND, binding("z-new", ("User", "ann@x.io"))]
    assert closed(shown(*[one for one in two if one is not BOUND[1]], day=10), of=shown(*two))[0] == OK


def test_a_modification_changes_rules_or_members() -> None:
    modify = dict.fromkeys(("a-ann", "b-ops"), ("modify", "eve@x.io", "2026-10-01"))
    narrower = [role({**RULE, "resourceNames": ["one"]}), *BOUND[1:]]
    assert closed(shown(*narrower, day=10), decided=modify) == (OK, "changed by 2026-10-08 06:00")
    assert (
        closed(shown(*BOUND, day=14), decided=modify)[1] == "not changed by 2026-10-08: still as it was on 2026-10-12"
    )
    # Of a group whose members are not known then, equal rules say nothing.
    found = findings(modify, shown(*BOUND, day=14, people=False))
    assert (found.loc["a-ann", "conclusion"], found.loc["b-ops", "conclusion"]) == (EXCEPTION, UNDETERMINED)
    listed = access.held(shown(*BOUND, day=10))
    members = [[] if row.name == "b-ops" else row.members for row in listed.rows.itertuples(index=False)]
    empty = replace(listed, rows=listed.rows.assign(members=members))
    listing, people = bound_listing()
    left = judged(decide(listing, modify), listing, [empty], people=people, terms=TERMS, taken_at=START)
    group = left[left["subject"] == "Group ops"].iloc[0]
    assert group["carried_out"] == "changed by 2026-10-08 06:00"


def test_business_days() -> None:
    assert [due_by(date(2026, 10, day), 5).date().day for day in (1, 2, 3, 4, 5)] == [8, 9, 9, 9, 12]


def test_rows_that_were_removed_or_added_and_cells_that_were_edited() -> None:
    listing, people = bound_listing()
    written = decide(listing, {})
    ann = listing["row"][listing["name"] == "a-ann"].iloc[0]
    edited = written.assign(edited=[["Role"] if row != ann else [] for row in written["row"]])
    extra = edited[edited["row"] != ann].iloc[:1].assign(row="AR-new", edited=[[]])
    found = judged(
        pd.concat([edited[edited["row"] != ann], extra]), listing, [], people=people, terms=TERMS, taken_at=START
    ).set_index("row")
    assert found.loc[ann, "exceptions"] == ["the row was taken out of the workbook"]
    assert found.loc["AR-new", "exceptions"] == ["a row that auditkit did not write"]
    assert (found["untouched"] == "edited by hand: Role").sum() == 2


def test_held_is_not_whole_where_bindings_were_not_read() -> None:
    one = access.held(shown(*BOUND, missing=["rolebindings.rbac.authorization.k8s.io"]))
    assert isinstance(one, Held) and not one.whole


# ---- the round, on the recorded cluster ----


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("engagement")
    for name in ("audit.log.gz", "idp_groups.csv", "idp_users.csv", "hr_leavers.csv"):
        shutil.copy(folder("data") / "demo" / "imports" / name, place)
    files = {
        "audit_log": "audit.log.gz",
        "idp_groups": "idp_groups.csv",
        "idp_users": "idp_users.csv",
        "leavers": "hr_leavers.csv",
    }
    lines = [f'{source} = {{ files = "{name}", made_at = 2026-10-31 }}' for source, name in files.items()]
    terms = '[review]\ndays_after = 10\nprovisioners = ["ann@northwind.example", "ingrid@northwind.example"]\n'
    (place / "auditkit.toml").write_text(f"{terms}[imports]\n" + "\n".join(lines))
    return place / "auditkit.toml"


@cache
def recorded(day: str, config: Path) -> Snapshot:
    return ak.load(RECORDINGS / "northwind-prod" / day, config=config)


@pytest.fixture(scope="module")
def prepared(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("review") / "2026Q3"
    spans = intervals.bindings(list(northwind())[:3])
    rounds.prepare(recorded("2026-09-30", config), out, engagement.load(config), "2026Q3", spans=spans)
    return out


def workbook(place: Path) -> Path:
    return next(place.glob("*.xlsx"))


def fill(prepared: Path, out: Path, own: Mapping[str, Mapping[str, Any]]) -> Path:
    """The workbook filled by a careful reviewer; `own` are cells by the name of the binding (first row that has it)."""
    found = openpyxl.load_workbook(workbook(prepared))
    ws = found["Review"]
    head = {c.value: c.column for c in ws[HEADER]}
    seen = set()
    for r in range(HEADER + 1, ws.max_row + 1):
        name = str(ws.cell(r, head["Binding"]).value).partition(" ")[2]
        cells: dict[str, Any] = {
            "Decision": "keep",
            "Reviewer": "ciso@northwind.example",
            "Reviewed on": datetime(2026, 10, 5),
        }
        cells |= own.get(name, {}) if name not in seen else {}
        seen.add(name)
        for column, value in cells.items():
            ws.cell(r, head[column]).value = value
    found.save(out)
    return out


REVOKE = {"Decision": "revoke", "Reason": "left in June", "Ticket": "CHG-1088"}


def test_the_workbook_is_locked_validated_and_text_stays_text(prepared: Path) -> None:
    found = openpyxl.load_workbook(workbook(prepared))
    assert found.sheetnames == ["Cover", "Review", "Members", "Made by Kubernetes"]
    ws = found["Review"]
    head = {c.value: c.column for c in ws[HEADER]}
    cells = [cell for row in ws.iter_rows(min_row=HEADER + 1) for cell in row]
    assert ws.protection.sheet and ws.max_row - HEADER == 53
    people = [head[name] for name in ("Decision", "Reviewer", "Reviewed on", "Reason", "Ticket")]
    assert all(cell.protection.locked == (cell.column not in people) for cell in cells)
    assert not any(cell.data_type == "f" for cell in cells)
    assert any(str(cell.value).startswith("=HYPERLINK") and cell.quotePrefix for cell in cells)
    (offered,) = ws.data_validations.dataValidation
    assert offered.formula1 == '"keep,modify,revoke,unknown"'
    row = next(
        r for r in ws.iter_rows(min_row=HEADER + 1) if r[head["Subject"] - 1].value == "mallory@northwind.example"
    )
    said = {name: row[column - 1].value for name, column in head.items()}
    assert said["People and status"] == "mallory@northwind.example (last working day 2026-06-19, account terminated)"
    assert said["First seen"] == datetime(2026, 7, 1, 6) and said["Granted"].startswith("created 2026-03-10")
    assert said["Last used"] == "2026-09-29 22:00" and said["Granted by"] == "kubectl-create (managedFields)"
    assert said["Way to cluster-admin"].startswith("becomes it: ")
    assert seal.verify(prepared).ok
    record = rounds.read(prepared)
    assert record.workbook_sha256 == seal.sha256(workbook(prepared)) and len(record.rows) == 115


def test_filled_in_libreoffice_and_closed(
    prepared: Path, config: Path, tmp_path: Path, program: Callable[[str], str]
) -> None:
    """mallory's binding went on 2026-10-06, olaf's is there still; ann reviews her own; nothing else is an exception."""
    own = {
        "mallory-sre": REVOKE,
        "superuser-lite": {**REVOKE, "Reason": "too wide", "Ticket": "CHG-2"},
        "platform-admins": {"Reviewer": "ann@northwind.example"},
    }
    filled = fill(prepared, tmp_path / "filled.xlsx", own)
    command = [program("libreoffice"), f"-env:UserInstallation=file://{tmp_path}/profile", "--headless"]
    subprocess.run(
        [*command, "--convert-to", "xlsx", "--outdir", str(tmp_path / "lo"), str(filled)],
        check=True,
        capture_output=True,
    )
    later = recorded("2026-10-31", config)
    done = rounds.close(tmp_path / "lo" / "filled.xlsx", prepared, [later], tmp_path / "closed")
    found = done.findings.set_index("binding")
    assert set(found["untouched"]) == {"as written"}
    assert found.loc["ClusterRoleBinding mallory-sre", "conclusion"] == OK
    assert found.loc["ClusterRoleBinding mallory-sre", "carried_out"] == "removed by 2026-10-06 10:02 (audit log)"
    wrong = found[found["conclusion"] == EXCEPTION]["exceptions"].to_dict()
    assert wrong == {
        "ClusterRoleBinding superuser-lite": ["not removed by 2026-10-12: still as it was on 2026-10-31"],
        "ClusterRoleBinding platform-admins": [
            "refused: ann@northwind.example reviews their own access as a member of oidc:platform-admins; somebody else must decide"
        ],
    }
    # Subjects whom the identity provider does not know, and masters, whom no list has.
    assert (found["conclusion"] == UNDETERMINED).sum() == 7
    assert seal.verify(tmp_path / "closed", previous=prepared).ok
    assert "2 with exceptions, 7 undetermined" in (tmp_path / "closed" / "summary.txt").read_text()

    after = tmp_path / "next"
    rounds.prepare(later, after, engagement.load(config), "2026Q4", previous=tmp_path / "closed")
    ws = openpyxl.load_workbook(workbook(after))["Review"]
    head = {c.value: c.column - 1 for c in ws[HEADER]}
    carried = {
        r[head["Binding"]]: r[head["Previous decision"]] for r in ws.iter_rows(min_row=HEADER + 1, values_only=True)
    }
    assert carried["ClusterRoleBinding superuser-lite"] == (
        "revoke by ciso@northwind.example on 2026-10-05; reason: too wide; ticket CHG-2; "
        "exception: not removed by 2026-10-12: still as it was on 2026-10-31"
    )
    assert rounds.read(after).previous_sha256 == seal.sha256(tmp_path / "closed" / "manifest.json")


def test_a_cell_that_was_edited_and_a_row_that_is_gone_show(prepared: Path, config: Path, tmp_path: Path) -> None:
    filled = fill(prepared, tmp_path / "filled.xlsx", {"auditors": {"Effective risk": "none"}})
    found = openpyxl.load_workbook(filled)
    found["Review"].delete_rows(HEADER + 1)
    found["Members"]["C5"].value = "active, of course"
    found.save(filled)
    done = rounds.close(
        filled, prepared, [recorded("2026-10-31", config)], tmp_path / "closed", fail_on_exceptions=True
    )
    found = done.findings[done.findings["conclusion"] == EXCEPTION].set_index("binding")["exceptions"]
    assert found["ClusterRoleBinding auditors"] == ["edited by hand: Effective risk"]
    assert found["RoleBinding nobody"] == ["the row was taken out of the workbook"]
    assert found[""] == ["edited by hand: oidc:auditors | dave@northwind.example Account"]
    assert (len(found), done.exit_code) == (3, 3)


def test_a_prepared_folder_that_changed_or_another_cluster_is_refused(
    prepared: Path, config: Path, tmp_path: Path
) -> None:
    filled, later = fill(prepared, tmp_path / "f.xlsx", {}), recorded("2026-10-31", config)
    with pytest.raises(UsageError, match="later than the listing"):
        rounds.close(filled, prepared, [recorded("2026-09-30", config)], tmp_path / "c")
    with pytest.raises(UsageError, match=r"of cluster test \(u-1\), the review of northwind-prod"):
        rounds.close(filled, prepared, [shown(*BOUND, day=40)], tmp_path / "c")
    with pytest.raises(UsageError, match="has no sheet Review"):
        rounds.close(folder("templates") / "control-matrix.xlsx", prepared, [later], tmp_path / "c")
    with pytest.raises(UsageError, match="no such file"):
        rounds.close(tmp_path / "none.xlsx", prepared, [later], tmp_path / "c")
    with pytest.raises(UsageError, match=r"a listing for 2026Q1 is taken from 2026-01-01 to 2026-04-10"):
        rounds.prepare(later, tmp_path / "p", engagement.load(config), "2026Q1")
    with pytest.raises(UsageError, match="write it as 2026Q3"):
        rounds.quarter_of("Q3")
    for text in ("0000Q1", "٢٠٢٦Q3"):
        with pytest.raises(UsageError, match="write it as 2026Q3"):
            rounds.quarter_of(text)
    changed = shutil.copytree(prepared, tmp_path / "changed")
    shutil.copy(filled, workbook(changed))
    with pytest.raises(VerificationError, match="changed"):
        rounds.close(filled, changed, [later], tmp_path / "c")
    assert not (tmp_path / "c").exists()


def test_the_verbs_over_a_store(config: Path, tmp_path: Path) -> None:
    for day in ("2026-08-15", "2026-09-30", "2026-10-31"):
        store.add(tmp_path / "store", recorded(day, config), engagement.load(config))

    def run(*arguments: object) -> tuple[int, str]:
        done = CliRunner().invoke(cli, ["review", *map(str, arguments)], standalone_mode=False, catch_exceptions=False)
        return done.return_value, done.output

    place = ["--store", tmp_path / "store", "--config", config]
    code, said = run("prepare", *place, "--quarter", "2026Q3", "--out", tmp_path / "p")
    assert (code, "listing of 2026-09-30 06:00 UTC" in said) == (0, True)
    filled = fill(tmp_path / "p", tmp_path / "f.xlsx", {"mallory-sre": REVOKE})
    ending = ["--prepared", tmp_path / "p", "--out", tmp_path / "c", "--fail-on", "exceptions"]
    code, said = run("close", filled, *ending, *place)
    assert (code, "0 with exceptions, 7 undetermined" in said) == (3, True)
    other = of(recorded("2026-09-30", config), "northwind-eu", "another")
    store.add(tmp_path / "store", other, engagement.load(config))
    with pytest.raises(UsageError, match="several clusters; there are: northwind-eu, northwind-prod; name one"):
        run("prepare", *place, "--quarter", "2026Q3", "--out", tmp_path / "q")
    code, said = run("prepare", *place, "--cluster", "northwind-eu", "--quarter", "2026Q3", "--out", tmp_path / "eu")
    assert (code, "access review 2026Q3 of northwind-eu" in said) == (0, True)
    place += ["--cluster", "northwind-prod"]
    with pytest.raises(UsageError, match="no capture from 2025-01-01 to 2025-03-31"):
        run("prepare", *place, "--quarter", "2025Q1", "--out", tmp_path / "q")
    with pytest.raises(UsageError, match="name one source"):
        run("prepare", "--quarter", "2026Q3", "--out", tmp_path / "q")
