"""A period of several clusters: one population each, coverage and results by cluster, and what the scope names and is not there."""

import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import openpyxl
import pandas as pd
import pytest
from builders import imported, snapshot
from click.testing import CliRunner
from periods import of

import auditkit as ak
from auditkit import api
from auditkit import engagement as engagements
from auditkit.capture.imports import Loaded, Supplied, of_clusters, read
from auditkit.capture.imports.waivers import Waiver
from auditkit.cli import cli
from auditkit.errors import UsageError
from auditkit.evaluate import Snapshot
from auditkit.period.effectiveness import together
from auditkit.period.samples import keys
from auditkit.period.whole import LISTINGS, Period, whole
from auditkit.report.period import saved, words
from auditkit.report.period.paper import notebooks
from auditkit.report.sampling import sample
from auditkit.report.workbook import HEADER
from auditkit.run_period import PeriodRun, loaded, stored

JULY = datetime(2026, 7, 1, 6, tzinfo=UTC)
CONFIG = """[period]
start = 2026-07-01
end = 2026-07-02
schedule = "daily"
[scope]
clusters = [{}]
"""
ALL = '"east", "west", "north"'


def pod(*, host: bool) -> dict[str, object]:
    spec = {"hostNetwork": host, "containers": [{"name": "c", "image": "r/c:1"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "web", "name": "p", "uid": "p"}, "spec": spec}


def binding(name: str) -> dict[str, object]:
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name, "uid": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}],
    }


def taken(cluster: str, at: datetime, objects: Sequence[dict[str, object]]) -> Snapshot:
    return of(Snapshot.of(snapshot(objects, at=at)), cluster, f"uid-of-{cluster}")


def captures() -> Iterator[Snapshot]:
    """Of east one each day: its pod leaves the host's network; of west two on the first: a binding comes."""
    for day in (1, 2):
        yield taken("east", JULY + timedelta(days=day - 1), [pod(host=day == 1), binding("ann")])
    for hours in (0, 12):
        yield taken("west", JULY + timedelta(hours=hours), [pod(host=True), *([binding("ann")] if hours else [])])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with store/ of east and west, and auditkit.toml, whose scope names north too."""
    place = tmp_path_factory.mktemp("clusters")
    (place / "auditkit.toml").write_text(CONFIG.format(ALL))
    for one in captures():
        api.keep(one, place / "store")
    return place


@pytest.fixture(scope="module")
def done(place: Path) -> PeriodRun:
    said: list[str] = []
    made = ak.period(
        place=place / "store",
        out=place / "pack",
        config=place / "auditkit.toml",
        names=["coverage"],
        say=said.append,
    )
    assert [line for line in said if line.startswith("capture")][2:] == [
        "capture   west 2026-07-01 06:00 UTC",
        "capture   west 2026-07-01 18:00 UTC",
    ]
    return made


@pytest.fixture(scope="module")
def period(done: PeriodRun) -> Period:
    return saved.load(done.pack)


def listed(pack: Path, name: str) -> pd.DataFrame:
    rows = list(openpyxl.load_workbook(pack / "control-matrix.xlsx", read_only=True)[name].iter_rows(values_only=True))
    return pd.DataFrame(rows[HEADER:], columns=[str(head) for head in rows[HEADER - 1]])


def verified(pack: Path, *options: str) -> tuple[int, str]:
    ended = CliRunner().invoke(cli, ["verify", str(pack), *options], standalone_mode=False)
    assert ended.exception is None, ended.exception
    return ended.return_value, ended.stdout


def test_each_population_holds_of_every_cluster_what_its_own_has(place: Path, period: Period) -> None:
    engagement = engagements.load(place / "auditkit.toml")
    alone = whole(stored(place / "store", engagement, ["west"]), engagement, until=period.until)
    assert alone.clusters == ("west",) and words.left_out(alone, engagement) == "east, north"
    for name, frame in alone.frames.items():
        own = period.frames[name][period.frames[name]["cluster"] == "west"].reset_index(drop=True)
        pd.testing.assert_frame_equal(own, frame, check_exact=True)
    for name, frame in period.frames.items():
        assert frame["cluster"].is_monotonic_increasing and keys(frame, LISTINGS[name].key).is_unique
    own = period.deviations[period.deviations["check"] == "POD-04"]
    assert own[["cluster", "row", "state"]].to_numpy().tolist() == [
        ["east", "web Pod p", "ended"],
        ["west", "web Pod p", "present"],
    ]
    # Of east the binding was there from its first capture on: that of west is the one that is new.
    assert words.granted(period).startswith("2 bindings of subjects over the period: 1 new, 0 ended")


def test_a_day_that_one_cluster_missed_is_missed_there_alone(done: PeriodRun, period: Period) -> None:
    days = listed(done.pack, "Period coverage")
    assert days[["Cluster", "Month", "1", "2"]].to_numpy().tolist() == [
        ["east", "2026-07", "c", "c"],
        ["north", "2026-07", "m", "m"],
        ["west", "2026-07", "c", "m"],
    ]
    assert words.missed(period) == [
        "north: 2026-07-01 to 2026-07-02: 2 slots missed",
        "west: 2026-07-02: 1 slot missed",
    ]
    gaps = listed(done.pack, "Gaps")
    assert gaps[["Cluster", "Days"]].to_numpy().tolist() == [["north", 2], ["west", 1.2]]


def test_a_cluster_of_the_scope_without_a_capture_is_named_and_nothing_of_it_is_clean(
    done: PeriodRun, period: Period
) -> None:
    assert done.exit_code == 3 and period.clusters == ("east", "north", "west")
    assert (
        "6 slots of 3 clusters expected: 3 captured, 3 missed. Nothing is known of north: no capture." in done.summary
    )
    north = period.controls[period.controls["cluster"] == "north"]
    assert set(north["result"]) == {"Incomplete evidence", "Not tested"}
    assert (north["captured"] == 0).all() and (north["expected"] == 2).all()
    assert json.loads((done.pack / "run.json").read_bytes())["clusters"] == ["east", "north", "west"]
    named = json.loads((done.pack / "inputs/captures.json").read_bytes())["clusters"]
    assert {cluster: len(found) for cluster, found in named.items()} == {"east": 2, "north": 0, "west": 2}
    asked = listed(done.pack, "PBC list")
    assert asked["Missing here"].str.contains("2 gaps beyond the tolerance").all()


def test_before_a_slot_is_due_the_clusters_are_named(period: Period) -> None:
    early = replace(period, coverage=period.coverage.head(0), gaps=period.gaps.head(0))
    assert words.clusters(early) == "clusters east, north and west"
    assert words.covered(early) == "0 slots of 3 clusters expected so far. Nothing is known of north: no capture."


def test_a_control_takes_the_first_result_of_its_clusters_and_counts_all(done: PeriodRun, period: Period) -> None:
    rows = listed(done.pack, "Control matrix").set_index("Control")
    assert len(rows) == period.controls["control"].nunique()
    tested = period.deviations.loc[period.deviations["check"] == "POD-04", "controls"].iloc[0][0]
    assert rows.loc[tested, "Management's result"] == "Exceptions noted"
    assert (rows.loc[tested, "Slots expected"], rows.loc[tested, "Slots captured"]) == (6, 3)
    assert "north: Incomplete evidence, 0 of 2 slots captured; a gap exceeds the tolerance." in rows.loc[tested, "Note"]
    tests = listed(done.pack, "Tests")
    assert tests.loc[tests["Test"] == "POD-04", "Management's result"].tolist() == [
        "Exceptions noted",
        "Incomplete evidence",
        "Exceptions noted",
    ]


@pytest.mark.parametrize(
    ("results", "result"),
    [
        (["No exceptions noted", "No exceptions noted"], "No exceptions noted"),
        (["No exceptions noted", "Not tested"], "Not tested"),
        (["Manual part open", "Incomplete evidence"], "Incomplete evidence"),
        (["Incomplete evidence", "Exceptions noted"], "Exceptions noted"),
    ],
)
def test_results_together(results: list[str], result: str, period: Period) -> None:
    rows = (
        period.checks[period.checks["check"] == "POD-04"]
        .head(2)
        .assign(cluster=["a", "b"], result=results, note=["", "why"])
    )
    rows = rows.astype({"cluster": "string", "result": "string", "note": "string"})
    rows[["with_exceptions", "clean", "deviations"]] = [[1, 2, 1], [0, 1, 3]]
    (one,) = together(rows).to_dict("records")
    assert (one["result"], one["with_exceptions"], one["clean"], one["deviations"]) == (result, 1, 3, 4)
    assert one["rate"] == 0.25 and one["note"] == f"a: {results[0]}.\nb: {results[1]}, why."
    assert list(together(rows)) == [name for name in rows if name != "cluster"]
    pd.testing.assert_frame_equal(together(rows.head(1)), rows.head(1).drop(columns="cluster"))


def test_a_sample_is_drawn_of_each_cluster_and_month(done: PeriodRun, tmp_path: Path) -> None:
    options = {"size": 2, "seed": "a", "method": "stratified", "by": "cluster, month"}
    bound = sample(done.pack / "period/bindings.parquet", tmp_path / "c.xlsx", **options)
    assert bound.rows["stratum"].tolist() == ["east / 2026-07", "west / 2026-07"]
    drawn = sample(done.pack / "period/changes.parquet", tmp_path / "a.xlsx", **options)
    again = sample(done.pack / "period/changes.csv", tmp_path / "b.xlsx", **options)
    assert set(drawn.rows["stratum"]) == {"east / 2026-07", "west / 2026-07"}
    assert drawn.rows["name"].tolist() == again.rows["name"].tolist()
    cover = openpyxl.load_workbook(tmp_path / "a.xlsx")["Cover"]
    assert {row[0].value: row[1].value for row in cover.iter_rows(max_col=2)}["Strata"] == "each cluster and month"


def test_a_pack_is_performed_again_from_the_captures_of_every_cluster(
    done: PeriodRun, place: Path, tmp_path: Path
) -> None:
    code, said = verified(done.pack, "--reperform", "--store", str(place / "store"))
    assert code == 0, said
    less = Path(shutil.copytree(place / "store/east", tmp_path / "store/east")).parent
    code, said = verified(done.pack, "--reperform", "--store", str(less))
    assert code == 5 and "no cluster west; there are: east" in said


def test_pages_and_sheets_name_the_clusters(done: PeriodRun) -> None:
    assert "<title>Evidence of clusters east, north and west over a period" in (done.pack / "index.html").read_text()
    page = (done.pack / "binder/P0-coverage.html").read_text()
    assert "Days of the period with a capture: clusters east, north and west" in page
    for name in notebooks():
        paper = ak.workpaper(name, done.pack)
        assert "east, north, west" in paper.objective().text
        assert "west" in paper.results().text
        assert "Nothing is known of north: no capture." in paper.conclusion().text
        assert "A ticket or waiver that names no cluster" in paper.caveats().text
        # Zero deviations or bindings of a cluster that was never read would look like a clean one.
        assert ("<td>north</td>" in paper.results().text) == (name == "coverage")
        assert paper.chart()._repr_png_().startswith(b"\x89PNG")
    for sheet in ("Tests", "Gaps", "Deviations", "Changes", "Access review"):
        assert next(iter(listed(done.pack, sheet))) == "Cluster", sheet


@pytest.mark.parametrize(
    ("scope", "named", "found", "lacking"),
    [
        ("", (), ["east", "west"], []),
        ('"*st"', (), ["east", "west"], []),
        ('"ea*"', (), ["east"], []),
        ('"east", "north-*"', (), ["east"], ["north-*"]),
        ('"east", "north"', (), ["east", "north"], []),
        (ALL, ("west",), ["west"], ["east", "north"]),
    ],
)
def test_which_clusters_a_pack_has(
    scope: str, named: tuple[str, ...], found: list[str], lacking: list[str], place: Path, tmp_path: Path
) -> None:
    (tmp_path / "auditkit.toml").write_text(CONFIG.format(scope))
    engagement = engagements.load(tmp_path / "auditkit.toml")
    assert list(stored(place / "store", engagement, named)) == found
    assert engagement.scope.without(found) == lacking
    of_files = loaded([taken("east", JULY, [])], engagement, ())
    assert list(of_files) == ["east", *(name for name in ("west", "north") if f'"{name}"' in scope)]


def test_what_is_no_cluster_of_the_store_is_refused(place: Path, tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text(CONFIG.format('"north"'))
    for named in ((), ("north",), ("east", "north")):
        with pytest.raises(UsageError, match="no cluster north; there are: east, west"):
            ak.period(place=place / "store", out=tmp_path / "out", config=config, clusters=named)
    with pytest.raises(UsageError, match="snapshots are of one cluster"):
        ak.period(snapshots=captures(), out=tmp_path / "out", config=config, clusters=("east", "west"))
    with pytest.raises(UsageError, match=r"is another cluster than before .* uid-of-west, uid-of-other"):
        two = [taken("west", JULY, []), taken("other", JULY + timedelta(hours=1), [])]
        ak.period(snapshots=two, out=tmp_path / "out", config=config, names=[])
    assert not (tmp_path / "out").exists()


def test_a_cluster_that_the_store_names_otherwise_is_performed_again(tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text('cluster = "prod"\n' + CONFIG.format("").replace("end = 2026-07-02", "end = 2026-07-01"))
    api.keep(taken("kubernetes", JULY, []), tmp_path / "store", config=config)
    done = ak.period(place=tmp_path / "store", out=tmp_path / "pack", config=config, names=[])
    assert done.period.clusters == ("prod",) and done.exit_code == 0
    code, said = verified(done.pack, "--reperform", "--store", str(tmp_path / "store"))
    assert code == 0, said


def imports(**about: str) -> list[Loaded]:
    """Users of the identity provider, and an audit log of one cluster."""
    users, log = imported({"idp_users": [], "audit_uses": []})
    if log.about.source == "idp_users":
        users, log = log, users
    return [users, Loaded(about=msgspec.structs.replace(log.about, **about), records=log.records)]


@pytest.mark.parametrize(
    ("names", "about", "beside"),
    [
        (["east"], {}, ["east"]),
        (["east"], {"same_cluster": "west"}, []),
        (["east", "west"], {"same_cluster": "west"}, ["west"]),
        (["east", "west"], {"cluster": "west"}, ["west"]),
        (["east", "west"], {"cluster": "kind-w", "same_cluster": "west"}, ["west"]),
    ],
)
def test_a_document_of_one_cluster_is_no_evidence_of_another(
    names: list[str], about: dict[str, str], beside: list[str]
) -> None:
    found = of_clusters(imports(**about), names)
    assert [name for name in names if len(found[name]) == 2] == beside
    assert all(loaded[0].about.source == "idp_users" for loaded in found.values())
    for name in beside:
        Snapshot.of(taken(name, JULY, [])).beside(found[name])


@pytest.mark.parametrize("about", [{}, {"cluster": "south"}])
def test_a_document_of_which_of_several_is_not_known_is_refused(about: dict[str, str]) -> None:
    with pytest.raises(UsageError, match=r'say which it is: imports.audit_log.cluster = "east"'):
        of_clusters(imports(**about), ["east", "west"])


@pytest.mark.parametrize(("named", "ticket"), [("west", "T-1"), ("east", None), ("", "T-1")])
def test_a_ticket_explains_changes_of_its_cluster_alone(
    place: Path, tmp_path: Path, named: str, ticket: str | None
) -> None:
    (tmp_path / "tickets.csv").write_text(
        "id,requester,approver,approved_at,objects,cluster\n"
        f"T-1,bob,eve,2026-07-01T05:00:00Z,ClusterRoleBinding/ann,{named}\n"
    )
    given = read([Supplied(source="tickets", paths=(tmp_path / "tickets.csv",))])
    agreed = engagements.load(place / "auditkit.toml")
    assert agreed.period
    period = whole(stored(place / "store", agreed), agreed, imports=given, until=agreed.period.over)
    came = period.changes[period.changes["name"] == "ann"]
    assert came["cluster"].tolist() == ["west"]
    assert came["ticket"].astype(object).where(came["ticket"].notna(), None).tolist() == [ticket]


def test_a_waiver_of_another_cluster_covers_nothing() -> None:
    waiver = {
        "id": "W-1",
        "check": "POD-10",
        "scope": {"name": "p"},
        "reason": "r",
        "expires": "2027-01-01",
        "requester": "bob",
        "approver": "eve",
        "approved_on": "2026-06-01",
    }
    for named, count in (("east", 1), ("prod", 0), (None, 1)):
        given = imported({"waivers": [{**waiver, "cluster": named}]})
        found = taken("east", JULY, [pod(host=True)]).beside(given)
        assert len(found.objects[Waiver]) == count
        assert found.imports[0].about.kept == {"waivers": count}
