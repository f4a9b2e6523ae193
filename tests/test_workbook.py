"""The control matrix as a spreadsheet program opens it: its sheets, who may write where, links, and text that stays text."""

import html
import json
import re
import zipfile
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from builders import snapshot
from openpyxl.workbook.workbook import Workbook

import auditkit as ak
from auditkit import engagement, frameworks
from auditkit.declare import CHECKS
from auditkit.evaluate import Judged, Result, Results, Snapshot, declared
from auditkit.report import controls, listings, matrix, procedure
from auditkit.report.workbook import CELL_LIMIT, CUT, HEADER, Cover, Link, Sheet, write

SHEETS = {
    "Cover": (),
    "Control matrix": (
        *("Control", "Title", "Control activity", "Primary criteria", "Supporting criteria", "Management's result"),
        *("Configuration test at the as-of date: result", "Objects examined", "Objects with exceptions"),
        *("Exceptions", "Undetermined", "Exception refs", "Risk addressed", "Control owner", "Frequency", "Nature"),
        *("Type", "Key", "Category", "System", "Procedure", "Test of design: steps"),
        *("Configuration test at the as-of date: steps", "Population", "Sample", "Evidence"),
        *("Confirmed by management", "Test of design: result", "Compensating control", "Management response"),
        *("Ticket", "Prepared by, date", "Reviewed by, date", "Auditor ref", "Auditor conclusion"),
    ),
    "TSC coverage": (
        *("Requirement", "Source", "Management's result", "Primary controls", "Supporting controls", "Exceptions"),
        *("Exceptions of supporting tests", "Gaps", "Evidence in this pack", "Evidence that a cluster can give"),
        *("Remains manual", "In scope", "Auditor ref"),
    ),
    "CIS coverage": ("Requirement", "Tests", "Management's result", "Remains manual"),
    "Tests": ("Test", "Conclusion", "Population", "Controls", "Decided by", "Procedure", "Tickmark"),
    "Exceptions": ("Exception id", "Expected", "Controls", "Criteria", "Cluster", "Condition", "UID", "In scope"),
    "Waivers": ("Waiver", "Test", "Scope", "Exceptions covered", "Holds", "Reason", "Approver", "Expires"),
    "Populations": ("Test", "Rows", "Complete", "Rows with verdict", "Rows as CSV", "sha256 of rows with verdict"),
    "Access listing": ("Subject", "Where", "Role", "Powers", "Binding created", "Decision", "Reviewer"),
    "PBC list": (
        *("Request", "What is asked", "Type", "Criteria", "This pack", "Missing here", "Workpaper", "Tables", "Rows"),
        *("Remains with people", "Status", "Owner", "Auditor ref", "Auditor comment"),
    ),
    "IPE": (
        *("Evidence id", "What a row is", "Tests with it as population", "Tests that also read it", "Complete"),
        *("Objects kept", "Objects to rows", "Rows", "Filters", "Repeated keys", "Count in the snapshot"),
        *("Count in the cluster of today", "sha256 of table"),
    ),
    "Imports": (
        "Import",
        "State",
        "Format",
        "Tool",
        "Supplied by",
        "Made at",
        "Records in the files",
        "sha256 of files",
    ),
    "Evidence index": ("File", "What", "Controls", "Size", "sha256"),
    "Data dictionary": ("Table", "Column", "Type", "Key", "Meaning"),
    "Glossary and tickmarks": ("Word", "Meaning"),
}
ENTRIES = {"auditor header": "entry", "people header": "people entry"}


@pytest.fixture(scope="module")
def book(pack: Path) -> Workbook:
    return openpyxl.load_workbook(pack / "control-matrix.xlsx")


def head(book: Workbook, sheet: str) -> list[str]:
    return [cell.value for cell in book[sheet][HEADER]]


def column(book: Workbook, sheet: str, name: str) -> list[object]:
    place = head(book, sheet).index(name)
    return [row[place].value for row in book[sheet].iter_rows(min_row=HEADER + 1)]


def test_sheets_and_their_columns(book: Workbook) -> None:
    assert book.sheetnames == list(SHEETS)
    for sheet, columns in SHEETS.items():
        if columns:
            assert [c for c in columns if c not in head(book, sheet)] == [], sheet


def test_every_criterion_control_and_table_has_its_row(book: Workbook) -> None:
    assert len(column(book, "TSC coverage", "Requirement")) == 61
    assert len(column(book, "CIS coverage", "Requirement")) == 131
    assert len(set(column(book, "Exceptions", "Exception id"))) == book["Exceptions"].max_row - HEADER
    tables = set(column(book, "Data dictionary", "Table"))
    assert {str(id).removeprefix("IPE-") for id in column(book, "IPE", "Evidence id")} == tables


def test_people_write_where_it_is_blank_and_nowhere_else(book: Workbook) -> None:
    for sheet in book.worksheets[1:]:
        assert sheet.protection.sheet
        for cells in sheet.iter_cols(min_row=HEADER):
            entry = cells[0].style in ENTRIES
            if sheet.max_row == HEADER:
                continue
            assert {cell.protection.locked for cell in cells[1:]} == {not entry}, (sheet.title, cells[0].value)
            assert not entry or {cell.value for cell in cells[1:]} == {None}, (sheet.title, cells[0].value)
            assert not entry or {cell.style for cell in cells[1:]} == {ENTRIES[cells[0].style]}, sheet.title


def test_each_sheet_is_ready_to_filter_scroll_and_print(book: Workbook) -> None:
    for sheet in book.worksheets[1:]:
        assert sheet.auto_filter.ref.startswith(f"A{HEADER}:")
        assert sheet.freeze_panes.endswith(str(HEADER + 1))
        assert sheet.print_title_rows == f"${HEADER}:${HEADER}"
        assert (sheet.page_setup.orientation, sheet.page_setup.fitToHeight) == ("landscape", 0)
        assert not sheet.protection.autoFilter
        footer = sheet.oddFooter.left.text
        assert re.fullmatch(rf"{sheet.title} · run [0-9a-f]{{16}} · cluster northwind-prod, as of .* UTC", footer)
        assert len(str(sheet.oddFooter)) < 255


def test_styles_are_those_of_the_template(book: Workbook) -> None:
    used = {cell.style for sheet in book for row in sheet.iter_rows() for cell in row}
    named = {"title", "note", "header", "text", "number", "link", "number link", *ENTRIES, *ENTRIES.values()}
    assert named <= used <= {*book.named_styles}


@pytest.mark.parametrize("sheet", ["Control matrix", "TSC coverage", "CIS coverage", "Tests", "Populations", "IPE"])
def test_counts_are_numbers_that_can_be_summed(book: Workbook, sheet: str) -> None:
    counts = {"Population", "Rows", "Exceptions", "Undetermined", "Objects examined", "Objects with exceptions"}
    if sheet == "Control matrix":  # there the population is named
        counts -= {"Population"}
    for name in counts & {*head(book, sheet)}:
        assert {type(value) for value in column(book, sheet, name)} <= {int, type(None)}, name


def test_counts_agree_from_sheet_to_sheet(book: Workbook) -> None:
    listed = book["Exceptions"].max_row - HEADER
    assert sum(column(book, "Tests", "Exceptions")) == sum(column(book, "Populations", "Exceptions")) == listed
    assert column(book, "Tests", "Population") == column(book, "Populations", "Rows")


@cache
def anchors(page: Path) -> frozenset[str]:
    return frozenset(re.findall("""\\bid=["']([^"']+)""", page.read_text()))


def test_links_lead_somewhere(book: Workbook, pack: Path) -> None:
    leads = 0
    for sheet in book:
        for row in sheet.iter_rows():
            for cell in row:
                link = cell.hyperlink
                if link is not None and link.location:
                    name, _, place = link.location.rpartition("!")
                    assert book[name.strip("'")][place].value is not None, (sheet.title, cell.coordinate)
                elif link is not None:
                    page, _, anchor = unquote(link.target).partition("#")
                    assert (pack / page).is_file(), (sheet.title, cell.coordinate)
                    assert not anchor or anchor in anchors(pack / page), (sheet.title, cell.coordinate)
                leads += link is not None
    assert leads > 1000


def test_what_an_engagement_does_not_state_is_not_stated_for_management(book: Workbook) -> None:
    cover = dict(matrix.facts(Snapshot.of(ak.load("demo")), engagement.Engagement(), "id"))
    assert (cover["Report"], cover["Period"]) == ("not stated", "not stated")
    assert cover["Scope"] == "clusters: this one; no register of clusters supplied; namespaces: all"
    for attribute in ("Control owner", "Frequency", "Nature", "Type", "Key"):
        assert all(str(value).endswith(" (proposed)") for value in column(book, "Control matrix", attribute))


def test_what_an_engagement_states_is_said_as_it_says(tmp_path: Path, recordings: Path) -> None:
    (tmp_path / "own.toml").write_text('[AC-01]\nowner = "Ann"\nkey = true\n')
    file = tmp_path / "auditkit.toml"
    file.write_text('type = "II"\ncontrols = "own.toml"\n[scope]\nclusters = ["a", "b"]\nnamespaces = ["x-*"]\n')
    given = engagement.load(file)
    snapshot = Snapshot.of(ak.load(recordings / "northwind-prod" / "2026-09-30"))
    facts = dict(matrix.facts(snapshot, given, "id"))
    assert (facts["Report"], facts["Scope"]) == ("SOC 2 type II", "clusters: a, b; namespaces: x-*")
    control = frameworks.controls(given)[0]
    assert [controls.stated(control, key) for key in ("owner", "key", "type")] == [
        "Ann",
        "yes",
        "preventive (proposed)",
    ]


def test_objects_of_a_control_are_counted_once(book: Workbook, pack: Path) -> None:
    places = dict(zip(column(book, "Control matrix", "Control"), range(HEADER + 1, 1000), strict=False))
    for control in frameworks.controls():
        examined, found = set(), set()
        for id in control.checks:
            rows = pd.read_parquet(pack / "results" / "populations" / f"{id}.parquet")
            if not {"kind", "namespace", "name"} <= set(rows):
                named = [" ".join(map(str, key)) for key in rows[procedure.key(CHECKS[id])].itertuples(index=False)]
                rows = rows.assign(kind=CHECKS[id].population, namespace="", name=pd.Series(named, dtype="string"))
            for kind, namespace, name, verdict in rows[["kind", "namespace", "name", "verdict"]].itertuples(
                index=False
            ):
                examined.add((kind, namespace, name))
                if verdict == "exception":
                    found.add((kind, namespace, name))
        row = dict(zip(head(book, "Control matrix"), book["Control matrix"][places[control.id]], strict=True))
        shown = (row["Objects examined"].value or 0, row["Objects with exceptions"].value or 0)
        assert shown == (len(examined), len(found)), control.id


def records(book: Workbook, sheet: str) -> list[dict[str, Any]]:
    names = head(book, sheet)
    return [dict(zip(names, row, strict=True)) for row in book[sheet].iter_rows(min_row=HEADER + 1, values_only=True)]


def test_objects_of_each_table_lead_to_its_rows(book: Workbook, pack: Path) -> None:
    served = {
        c["resource"] for c in json.loads((pack / "snapshot/coverage.json").read_text()) if c["state"] == "collected"
    }
    for row in records(book, "IPE"):
        files = str(row["Count in the snapshot"] or "").removeprefix("zstdcat ").removesuffix(" | wc -l").split()
        lines = 0
        for file in files:
            with pa.CompressedInputStream(str(pack / file), "zstd") as stream:
                lines += len(stream.read().splitlines())
        assert lines == row["Objects kept"], row["Evidence id"]
        asked = str(row["Count in the cluster of today"] or "").removeprefix("kubectl get ").partition(" ")[0]
        assert {*filter(None, asked.split(","))} <= {*served, "constraints"}, row["Evidence id"]
        if row["Objects to rows"]:
            left, _, right = row["Objects to rows"].replace(",", "").partition(" = ")
            terms = re.findall(r"(?:^|([-+]) )(\d+)", left)
            assert sum(int(f"{sign}{n}") for sign, n in terms) == int(right.split()[0]) == row["Rows"]


def test_a_binding_of_two_subjects_is_two_rows(book: Workbook) -> None:
    row = next(row for row in records(book, "IPE") if row["Evidence id"] == "IPE-bindings")
    assert row["Objects to rows"] == "103 objects + 11 rows of objects that have one already = 114 rows"
    assert row["What a row is"].startswith("One row per subject of every")


def test_an_exception_says_why_and_of_which_object(book: Workbook, pack: Path) -> None:
    rows = records(book, "Exceptions")
    assert [row["Exception id"] for row in rows if not row["Condition"]] == []
    conditions = {row["Test"]: row["Condition"] for row in rows}
    assert "target: Deployment.apps/payments/retired-api" in conditions["AVL-09"]
    assert conditions["AVL-09"].endswith("compared with scale_targets")
    assert conditions["RBAC-38"] == "service_account: default"
    with pa.CompressedInputStream(str(pack / "snapshot/objects/pods.jsonl.zst"), "zstd") as stream:
        uids = {json.loads(line)["metadata"].get("uid") for line in stream.read().splitlines()}
    assert {row["UID"] for row in rows if row["Kind"] == "Pod" and row["UID"]} <= uids
    # A log names pods that are gone.
    assert all(row["UID"] for row in rows if row["Kind"] == "Pod" and row["Test"].startswith("POD"))


def test_only_an_exception_has_the_id_of_one(pack: Path) -> None:
    for path in (pack / "results" / "populations").glob("*.parquet"):
        rows = pd.read_parquet(path)
        assert (rows["exception_id"].notna() == (rows["verdict"] == "exception")).all(), path.name


def test_an_exception_count_leads_to_its_first_exception(book: Workbook) -> None:
    tests, exceptions = book["Tests"], book["Exceptions"]
    place = head(book, "Tests").index("Exceptions")
    for row in tests.iter_rows(min_row=HEADER + 1):
        link = row[place].hyperlink
        if link is not None:
            target = exceptions[link.location.rpartition("!")[2]]
            assert str(target.value).startswith(f"{row[0].value}-")
            assert target.row == HEADER + 1 or exceptions.cell(target.row - 1, 2).value != row[0].value


def made(path: Path, *values: object) -> Workbook:
    sheet = Sheet(name="S", note="n", frame=pd.DataFrame({"value": list(values)}), auditor=("Auditor ref",))
    write(path, Cover(title="t", rows=[("a", "b")]), [sheet], created=None)
    return openpyxl.load_workbook(path)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", '=HYPERLINK("x","y")'])
def test_text_is_never_a_formula(text: str, tmp_path: Path) -> None:
    cell = made(tmp_path / "x.xlsx", text)["S"].cell(HEADER + 1, 1)
    assert (cell.value, cell.data_type, cell.quotePrefix) == (text, "s", True)


def test_no_cell_of_a_pack_is_a_formula(book: Workbook) -> None:
    assert [c.coordinate for sheet in book for row in sheet.iter_rows() for c in row if c.data_type == "f"] == []
    assert "=1+1" in {str(v).split()[-1] for v in column(book, "Access listing", "Binding")}


def test_a_footer_of_any_cluster_is_one_that_excel_takes(tmp_path: Path) -> None:
    cover = Cover(title="t", rows=[], footer="run 1 · cluster " + "&P\x00" * 200)
    write(tmp_path / "x.xlsx", cover, [], created=None)
    with zipfile.ZipFile(tmp_path / "x.xlsx") as archive:
        text = archive.read("xl/worksheets/sheet1.xml").decode()
    footer = html.unescape(re.search("<oddFooter>(.*?)</oddFooter>", text, re.DOTALL)[1])  # type: ignore[index]
    assert len(footer) < 255
    left = footer.partition("&R")[0].replace("&&", "")
    assert left.startswith("&L&8 t · run 1 · cluster P") and "&" not in left.removeprefix("&L&8")


def test_a_long_text_is_cut_where_one_sees_it(tmp_path: Path) -> None:
    value = made(tmp_path / "x.xlsx", "x" * (CELL_LIMIT + 1))["S"].cell(HEADER + 1, 1).value
    assert len(value) == CELL_LIMIT
    assert value.endswith(CUT)


def test_control_characters_and_missing_values_do_no_harm(tmp_path: Path) -> None:
    sheet = made(tmp_path / "x.xlsx", "a\x00b", pd.NA, pd.NaT, None, True, pd.Timestamp("2026-10-31", tz="UTC"))["S"]
    values = [sheet.cell(HEADER + 1 + n, 1).value for n in range(6)]
    assert values[:5] == ["a\N{REPLACEMENT CHARACTER}b", None, None, None, "yes"]
    assert str(values[5]) == "2026-10-31 00:00:00"


def test_a_long_listing_goes_into_files_that_are_linked(tmp_path: Path) -> None:
    rows = listings.LISTED + 1
    frame = pd.DataFrame({"a": ["=1"] * rows, "b": [Link(text="t", target="x")] * rows})
    sheet = listings.listed(tmp_path, Sheet(name="Long list", note="All.", frame=frame, people=("Owner",)))
    assert len(sheet.frame) == listings.LISTED
    assert f"all {rows:,}" in sheet.note
    csv, parquet = (tmp_path / link.target for link in sheet.files)
    assert all(f"{rows:,} rows, sha256 " in link.text for link in sheet.files)
    assert csv.read_text().splitlines()[1] == "'=1,t"
    assert len(pd.read_parquet(parquet)) == rows
    assert sheet.people == ("Owner",)


def test_a_listing_that_fits_makes_no_file(tmp_path: Path) -> None:
    sheet = Sheet(name="Short", note="All.", frame=pd.DataFrame({"a": [1]}))
    assert listings.listed(tmp_path, sheet) is sheet
    assert list(tmp_path.iterdir()) == []


def test_a_result_without_evidence_says_how_to_get_it(recordings: Path) -> None:
    results: Results = ak.check(ak.load(recordings / "northwind-prod" / "2026-09-30"), ["CERT-01"])
    sheet = listings.tests(results.tables.snapshot, listings.Tests.of(results, []))
    assert "--tls-secrets" in sheet.frame["Note"][0].partition("To get it:")[2]


# A value of each type of column.
VALUES: dict[str, Any] = {"string": "x", "boolean": True, "bool": True, "Int64": 1, "int64": 1, "Float64": 1.0}


def of_every_kind(id: str) -> Result:
    """A result of which one row is an exception and one undetermined, with every column that the population declares."""
    check = CHECKS[id]
    columns = declared(check.population).columns
    row = {c.name: VALUES.get(c.dtype, pd.NaT if c.dtype.startswith("datetime") else ["x"]) for c in columns}
    rows = pd.DataFrame([row | {"verdict": verdict} for verdict in ("exception", "undetermined")])
    rows["exception_id"] = pd.array([f"{id}-1", None], dtype="string")
    rows["waiver"] = pd.array([None, None], dtype="string")
    return Result(check=check, conclusion="exceptions", judged=Judged.of(rows), settings=check.settings)


def test_no_population_is_too_odd_to_report(tmp_path: Path) -> None:
    """What is no object of the cluster, such as a waiver, has neither kind nor namespace nor name."""
    empty = Snapshot.of(snapshot([]))
    results = Results([of_every_kind(id) for id in sorted(CHECKS)], empty.tables)
    known = frameworks.controls()
    tests = listings.Tests.of(results, known)
    nameless = {id for id in CHECKS if not {"kind", "namespace", "name"} <= set(procedure.key(CHECKS[id]))}
    assert nameless == {"ADM-90", "ADM-91", "ADM-92"}
    sheet = controls.controls_sheet(empty, known, tests).frame.set_index("Control")
    tested = sheet[sheet["Population"] != ""]
    assert (tested["Objects with exceptions"] == tested["Objects examined"]).all()
    listed = listings.exceptions(tmp_path, empty, engagement.load(None), tests).frame
    assert sorted(map(str, listed["Test"])) == sorted(CHECKS)
