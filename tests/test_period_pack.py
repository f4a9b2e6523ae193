"""The pack of a period: what it names of the four recorded dates, its workbook, and that it is performed again alike."""

import json
import re
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from builders import snapshot
from click.testing import CliRunner
from periods import DATES, RECORDINGS, recorded

import auditkit as ak
from auditkit import api, seal
from auditkit.cli import cli
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.evaluate import Snapshot
from auditkit.period.samples import keys
from auditkit.period.whole import LISTINGS, Period
from auditkit.report.charts.period import CHARTS, by_day, draw
from auditkit.report.period import saved, words
from auditkit.report.period.paper import MADE, notebooks
from auditkit.report.sampling import sample
from auditkit.report.workbook import HEADER
from auditkit.report.workpaper import END
from auditkit.resources import folder
from auditkit.run_period import PeriodRun, stored

SHEETS = (
    *("Cover", "Control matrix", "Tests", "Period coverage", "Gaps", "Deviations", "Waivers", "Changes"),
    *(
        "Period populations",
        "Samples",
        "Access review",
        "PBC list",
        "Imports",
        "Data dictionary",
        "Glossary and tickmarks",
    ),
)
JULY = datetime(2026, 7, 1, 6, tzinfo=UTC)
CONFIG = '[period]\nstart = 2026-07-01\nend = 2026-07-02\nschedule = "daily"\n'
WAIVER = """[[waiver]]
id = "W-1"
check = "POD-04"
scope = { name = "p" }
reason = "agreed"
expires = 2027-01-01
requester = "ann"
approver = "ciso"
approved_on = 2026-06-01
"""


@pytest.fixture(scope="module")
def over_period(tmp_path_factory: pytest.TempPathFactory) -> PeriodRun:
    """The sealed pack of the four recorded dates as a period, with one of its notebooks executed."""
    out = tmp_path_factory.mktemp("packs") / "period"
    config = Path(__file__).parent / "northwind-period.toml"
    return ak.period(snapshots=map(recorded, DATES), out=out, config=config, names=["access"])


@pytest.fixture(scope="module")
def period(over_period: PeriodRun) -> Period:
    return saved.load(over_period.pack)


@pytest.fixture(scope="module")
def sheets(over_period: PeriodRun) -> dict[str, list[tuple[object, ...]]]:
    book = openpyxl.load_workbook(over_period.pack / "control-matrix.xlsx", read_only=True)
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def listed(rows: list[tuple[object, ...]]) -> pd.DataFrame:
    head = [str(name) for name in rows[HEADER - 1]]
    return pd.DataFrame(rows[HEADER:], columns=head)


def test_the_period_is_read_from_its_pack_as_it_was_computed(over_period: PeriodRun, period: Period) -> None:
    for name, frame in over_period.period.frames.items():
        pd.testing.assert_frame_equal(frame, period.frames[name], check_exact=True)
        declared = LISTINGS[name].columns
        assert [(c.name, c.dtype) for c in declared] == [(n, str(d)) for n, d in frame.dtypes.items()], name
        assert keys(frame, LISTINGS[name].key).is_unique
    assert period.until == over_period.period.until == datetime(2026, 11, 1, tzinfo=UTC)
    assert {one.about.source for one in period.imports} == {"idp_groups", "idp_users", "leavers", "tickets"}


def test_the_temporary_administrator_has_dates_and_uncertainty(period: Period) -> None:
    found = words.privileged(period.grants)
    row = found[found["name"] == "temp-incident-4711"].iloc[0]
    assert (row.identity, row.role, row.state, row.captures) == ("carol@northwind.example", "cluster-admin", "ended", 1)
    assert str(row.began_not_before) == "2026-07-14 21:12:00+00:00" == str(row.began_not_after)
    assert [str(t)[:10] for t in (row.ended_not_before, row.ended_not_after)] == ["2026-08-15", "2026-09-30"]
    change = period.changes[period.changes["name"] == "temp-incident-4711"]
    assert change["change"].tolist() == ["added", "removed"]
    assert change["ticket"].tolist()[0] == "CHG-1052"
    assert change["explained"].isna().tolist() == [False, True]


def test_the_leaver_kept_access_for_a_hundred_days(period: Period) -> None:
    row = period.departures.iloc[0]
    assert len(period.departures) == 1
    assert (row.person, row.role, row.state) == ("mallory@northwind.example", "northwind-sre", "ended")
    assert (str(row.last_working_day)[:10], row.days_at_least, row.days_at_most) == ("2026-06-19", 102.25, 133.25)
    deviations = period.deviations[period.deviations["row"].str.contains("mallory-sre", regex=False)]
    assert {"RBAC-80"} <= set(deviations["check"]) and (deviations["state"] == "ended").all()


def test_deleted_edited_and_approved_changes_are_named(period: Period) -> None:
    frame = period.changes.set_index(["kind", "namespace", "name"])
    gone = frame.loc["NetworkPolicy", "payments", "default-deny"].iloc[0]
    assert gone.change == "removed" and pd.isna(gone.explained)
    assert (str(gone.not_before)[:10], str(gone.not_after)[:10]) == ("2026-07-01", "2026-08-15")
    (edited,) = frame.loc[[("Deployment", "ledger", "reconciler")]].itertuples()
    assert (edited.manager, bool(edited.explained), bool(edited.drift)) == ("kubectl-edit", False, True)
    tickets = {"CHG-1052", "CHG-1055", "CHG-1066", "CHG-1070", "CHG-1074", "CHG-1081", "CHG-1090", "CHG-1093"}
    assert tickets <= set(period.changes["ticket"].dropna())
    assert period.changes["month"].notna().all()


def test_missed_days_are_named_as_ranges(over_period: PeriodRun, period: Period) -> None:
    assert words.missed(period) == [
        "2026-07-02 to 2026-08-14: 44 slots missed",
        "2026-08-16 to 2026-09-29: 45 slots missed",
        "2026-10-01 to 2026-10-30: 30 slots missed",
    ]
    assert words.statuses(period) == {"captured": 3, "late": 0, "partial": 1, "missed": 119}
    assert json.loads((over_period.pack / "run.json").read_bytes())["missed"] == words.missed(period)
    assert over_period.exit_code == 3
    held = by_day(period.coverage)
    assert held.shape == (4, 31)
    assert tuple(
        held.loc["northwind-prod"].loc[month, day] for month, day in (("2026-08", 15), ("2026-09", 30), ("2026-09", 31))
    ) == ("captured", "partial", "")


def test_no_control_is_clean_where_days_were_missed(period: Period) -> None:
    assert "No exceptions noted" not in set(period.controls["result"])
    assert set(period.controls["expected"]) == {123}


def test_the_workbook_has_every_sheet(sheets: dict[str, list[tuple[object, ...]]], period: Period) -> None:
    assert tuple(sheets) == SHEETS
    controls = listed(sheets["Control matrix"]).set_index("Control")
    assert controls.loc["AC-01", "Slots expected"] == 123 and controls.loc["AC-01", "Slots captured"] == 4
    assert controls["Auditor conclusion"].isna().all() and controls["Management response"].isna().all()
    assert len(listed(sheets["Deviations"])) == len(period.deviations)
    # What names one of several clusters is only in a pack of several.
    assert [name for name in SHEETS if "Cluster" in sheets[name][HEADER - 1]] == ["Period coverage"]
    days = listed(sheets["Period coverage"])
    assert days["Days missed"].tolist() == [30, 30, 29, 30] and days["15"].tolist() == ["m", "c", "m", "m"]
    assert days["31"].fillna("").tolist() == ["m", "m", "", "c"]
    assert [row[0] for row in sheets["Cover"]].count("Missed") == 3
    review = listed(sheets["Access review"])
    assert review.loc[review["Of somebody who left"] == "yes", "Subject"].tolist() == ["mallory@northwind.example"]
    asked = listed(sheets["PBC list"])
    assert len(asked) == 17 and asked["Missing here"].str.contains("gaps beyond the tolerance").all()


def test_every_population_is_a_file_with_hash_and_count(
    over_period: PeriodRun, sheets: dict[str, list[tuple[object, ...]]], tmp_path: Path
) -> None:
    rows = listed(sheets["Period populations"])
    assert set(LISTINGS) <= set(rows["Population"])
    for row in rows.to_dict("records"):
        assert seal.sha256(over_period.pack / row["File"]) == row["sha256 of the file"]
        if row["File"].endswith(".parquet"):
            assert len(pd.read_parquet(over_period.pack / row["File"])) == row["Rows"]
    drawn = sample(over_period.pack / "period/changes.parquet", tmp_path / "s.xlsx", size=5, seed="auditor")
    again = sample(over_period.pack / "period/changes.csv", tmp_path / "t.xlsx", size=5, seed="auditor")
    assert drawn.population == 47 and len(drawn.rows) == len(again.rows) == 5
    months = sample(
        over_period.pack / "period/changes.parquet",
        tmp_path / "u.xlsx",
        size=8,
        seed="a",
        method="stratified",
        by="month",
    )
    assert set(months.rows["month"]) == {"2026-07", "2026-08", "2026-09", "2026-10"}
    assert sample(over_period.pack / "period/grants.parquet", tmp_path / "v.xlsx", size=5, seed="a").size == 5


@pytest.mark.parametrize("name", notebooks())
def test_each_workpaper_reads_the_pack(name: str, over_period: PeriodRun) -> None:
    paper = ak.workpaper(name, over_period.pack)
    sections = ("objective", "criteria", "source", "procedure", "population", "results", "exceptions", "conclusion")
    texts = {section: getattr(paper, section)().text for section in sections}
    assert all(len(text) > 100 for text in texts.values())
    assert "<script>alert" not in "".join(texts.values())
    assert END in paper.caveats().text
    data, metadata = paper.chart()._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG") and len(metadata["image/png"]["alt"].split()) > 8
    cells = json.loads((folder("notebooks") / notebooks()[name].source).read_text())["cells"]
    assert [c for c in cells if c["cell_type"] == "code" and (c["outputs"] or c["execution_count"])] == []
    assert f'ak.workpaper("{name}", source)' in "".join(line for c in cells for line in c["source"])


def test_workpapers_name_what_an_auditor_follows_up(over_period: PeriodRun) -> None:
    page = (over_period.pack / "binder/P2-access.html").read_text()
    for text in ("temp-incident-4711", "2026-07-14 21:12", "mallory@northwind.example", "102.25"):
        assert text in page
    shown = re.sub("<[^>]+>", "", ak.workpaper("changes", over_period.pack).exceptions().text)
    for text in ("kubectl-edit", "between 2026-07-01 06:00 and 2026-08-15 06:00", "CHG-1093"):
        assert text in shown
    index = (over_period.pack / "index.html").read_text()
    assert "119 missed" in index and 'href="binder/P2-access.html"' in index
    assert set(MADE) == set(LISTINGS) and {n.chart for n in notebooks().values()} == set(CHARTS)


def test_an_unknown_workpaper_names_the_known_ones(over_period: PeriodRun) -> None:
    with pytest.raises(UsageError, match="coverage, effectiveness, access, changes, deviations"):
        ak.workpaper("network", over_period.pack)


# Two days of a small cluster in a store.


def pod(host: bool, name: str = "p") -> dict[str, object]:
    spec = {"hostNetwork": host, "containers": [{"name": "c", "image": "r/c:1"}]}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": "web", "name": name, "uid": name},
        "spec": spec,
    }


def keep(place: Path, host: bool, at: datetime) -> None:
    api.keep(Snapshot.of(snapshot([pod(host)], at=at)), place)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with store/ of a cluster `test`, auditkit.toml with a waiver, and pack/."""
    place = tmp_path_factory.mktemp("small")
    (place / "waivers.toml").write_text(WAIVER)
    (place / "auditkit.toml").write_text(f'{CONFIG}[imports]\nwaivers = "waivers.toml"\n')
    keep(place / "store", True, JULY)
    keep(place / "store", False, JULY + timedelta(days=1))
    options = {"names": [], "fail_on_exceptions": True}
    done = ak.period(place=place / "store", out=place / "pack", config=place / "auditkit.toml", **options)
    # Every slot has its capture: what is told is that there are deviations, though one is waived.
    assert done.exit_code == 4 and "2 slots expected: 2 captured" in done.summary
    return place


def verified(pack: Path, *options: str) -> tuple[int, str]:
    ended = CliRunner().invoke(cli, ["verify", str(pack), *options], standalone_mode=False)
    assert ended.exception is None, ended.exception
    return ended.return_value, ended.stdout


def test_waived_deviations_are_deviations(small: Path) -> None:
    period = saved.load(small / "pack")
    own = period.deviations[period.deviations["check"] == "POD-04"]
    assert own[["waiver", "state"]].to_numpy().tolist() == [["W-1", "ended"]]
    assert period.checks.set_index("check").loc["POD-04", "result"] == "Exceptions noted"


def test_a_pack_is_performed_again_from_the_store_whatever_came_later(small: Path, tmp_path: Path) -> None:
    place = Path(shutil.copytree(small / "store", tmp_path / "store"))
    keep(place, True, JULY + timedelta(hours=3))
    code, said = verified(small / "pack", "--reperform", "--store", str(place))
    assert code == 0, said
    assert "every table and result and the workbook are the same" in said


def test_a_changed_listing_and_a_missing_capture_are_found_though_the_pack_is_sealed_anew(
    small: Path, tmp_path: Path
) -> None:
    forged = Path(shutil.copytree(small / "pack", tmp_path / "forged"))
    text = (forged / "period/changes.csv").read_text()
    (forged / "period/changes.csv").write_text("\n".join(text.splitlines()[:1]) + "\n")
    seal.seal(forged, seal.read(forged).facts)
    place = Path(shutil.copytree(small / "store", tmp_path / "store"))
    shutil.rmtree(sorted((place / "test/snapshots").iterdir())[-1])
    code, said = verified(forged, "--reperform", "--store", str(place))
    assert code == 5
    assert "period/deviations.csv: differs when performed again" in said
    assert "capture 2026-07-02T06:00:00Z of test (" in said and "not found" in said


@pytest.mark.parametrize(
    ("days", "config", "says"),
    [
        ([0], CONFIG.replace('schedule = "daily"', ""), "states no schedule"),
        ([0], "", r"states no \[period\]"),
        ([1, 0], CONFIG, "not in order"),
        ([90], CONFIG, "no capture lies in the period 2026-07-01 to 2026-07-02"),
        ([None], CONFIG, "undated"),
    ],
)
def test_what_cannot_be_a_period_is_refused(days: list[int | None], config: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "auditkit.toml").write_text(config)
    taken = [snapshot([], at=None if day is None else JULY + timedelta(days=day)) for day in days]
    with pytest.raises(UsageError, match=says):
        ak.period(snapshots=taken, out=tmp_path / "out", config=tmp_path / "auditkit.toml", names=[])  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


def test_the_captures_of_the_period_are_read(small: Path) -> None:
    engagement = Engagement.model_validate({"period": {"start": JULY.date(), "end": JULY.date()}})
    assert [capture.taken_at for capture, _ in stored(small / "store", engagement)["test"]] == [JULY]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["period", "--config", "a", "--out", "b"], "--store DIR, or --from"),
        (["period", "--config", "a", "--out", "b", "--store", "c", "--from", "d"], "--store DIR, or --from"),
        (["verify", "PACK", "--reperform"], "performed again from its captures"),
        (["verify", "PACK", "--store", "c"], "only with --reperform"),
    ],
)
def test_the_command_line_says_what_is_missing(arguments: list[str], says: str, small: Path) -> None:
    given = [str(small / "pack") if word == "PACK" else word for word in arguments]
    ended = CliRunner().invoke(cli, given, standalone_mode=False)
    assert isinstance(ended.exception, UsageError) and says in str(ended.exception)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_of_little(name: str, small: Path) -> None:
    assert draw(name, saved.load(small / "pack"))._repr_png_().startswith(b"\x89PNG")


def test_the_readme_counts_what_the_period_has(period: Period) -> None:
    readme = (RECORDINGS.parents[1] / "README.md").read_text()
    slots = words.statuses(period)["missed"]
    for text in (
        f"{slots} of {len(period.coverage)} slots",
        f"{len(period.deviations):,} deviations",
        f"{len(period.changes)} changes",
    ):
        assert text in readme
