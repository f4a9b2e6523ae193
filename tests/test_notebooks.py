"""Evidence notebooks: their order, their charts, how one runs alone, and that one which did not end is found."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from auditkit import frameworks
from auditkit.declare import CHECKS
from auditkit.engagement import Engagement
from auditkit.errors import UsageError
from auditkit.evaluate import CONCLUSIONS, Judged, Result, Results, Snapshot
from auditkit.report import narrative, notebooks, source
from auditkit.report import workpaper as papers
from auditkit.report.charts import CHARTS, draw
from auditkit.report.page import escape
from auditkit.report.workpaper import END, workpaper
from auditkit.report.workpaper import notebooks as declared
from auditkit.resources import folder

ORDER = (
    *("Objective", "Criteria and controls", "Source and completeness", "Procedure", "Population", "Results"),
    *("Exceptions", "Controls", "Criteria", "Conclusion", "Standing caveats"),
)
FILES = sorted(folder("notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    return [{**c, "source": "".join(c["source"])} for c in json.loads(path.read_text())["cells"]]


@pytest.fixture(scope="module")
def september(recordings: Path) -> tuple[Snapshot, Results]:
    import auditkit as ak

    snapshot = ak.load(recordings / "northwind-prod" / "2026-09-30")
    return snapshot, ak.check(snapshot)


def test_every_notebook_is_declared_and_there() -> None:
    assert [n.file for n in declared().values()] == [path.name for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_is_a_workpaper_without_outputs(path: Path) -> None:
    found = cells(path)
    headings = [c["source"].splitlines()[0].removeprefix("## ") for c in found if c["source"].startswith("## ")]
    assert headings == [h for h in ORDER if h in headings]
    assert {*ORDER} - {*headings} <= {"Controls", "Criteria", "Population", "Exceptions"}
    assert [c["metadata"].get("tags") for c in found if c["source"].startswith("source =")] == [["parameters"]]
    code = [c for c in found if c["cell_type"] == "code"]
    assert [
        c["source"] for c in code if c["outputs"] or c["execution_count"] or len(c["source"].splitlines()) > 3
    ] == []


def test_papermill_runs_a_notebook_alone(tmp_path: Path) -> None:
    path = FILES[-1]
    command = [sys.executable, "-m", "papermill", str(path), "out.ipynb", "-p", "source", "demo", "--no-progress-bar"]
    place = {"PYTHONPATH": str(Path(__file__).parents[1]), "IPYTHONDIR": str(tmp_path / "ipython")}
    subprocess.run(command, cwd=tmp_path, env=os.environ | place, capture_output=True, timeout=120, check=True)
    assert notebooks._unfinished(tmp_path / "out.ipynb") == ""
    assert [place.name for place in tmp_path.iterdir() if place.name != "ipython"] == ["out.ipynb"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_notebook_runs_on_the_demo_without_a_pack(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    shell = InteractiveShell(config=Config({"HistoryManager": {"enabled": False}}))
    for cell in cells(path):
        if cell["cell_type"] == "code":
            ended = shell.run_cell(cell["source"])
            ended.raise_error()
            shown = shell.display_formatter.format(ended.result)[0]
    assert END in shown["text/html"]
    assert list(place.iterdir()) == []


def test_a_parameter_that_a_notebook_has_not_is_an_error() -> None:
    with pytest.raises(UsageError, match=r"00-scope\.ipynb has no parameter cluster"):
        notebooks._refuse_unknown(FILES[0], {"source": "demo", "cluster": "x"})


@pytest.mark.parametrize(
    ("count", "outputs", "says"),
    [
        (None, [], "not every cell ran"),
        (1, [{"output_type": "error", "ename": "E"}], "a cell failed"),
        (1, [{"output_type": "stream", "text": "x"}], "its last section is missing"),
        (1, [{"output_type": "stream", "text": END}], ""),
    ],
)
def test_a_notebook_that_did_not_end_is_found_whatever_papermill_says(
    count: int | None, outputs: list[dict[str, str]], says: str, tmp_path: Path
) -> None:
    cell = {
        "cell_type": "code",
        "execution_count": count,
        "outputs": outputs,
        "metadata": {"papermill": {"status": "completed"}},
    }
    (tmp_path / "x.ipynb").write_text(json.dumps({"cells": [cell]}))
    assert notebooks._unfinished(tmp_path / "x.ipynb") == says


def test_executed_notebooks_name_no_machine_and_no_clock(pack: Path) -> None:
    for path in (pack / "notebooks").glob("*.ipynb"):
        text = path.read_text()
        assert str(pack) not in text
        assert '"papermill"' not in text.replace("papermill notebooks/", "")


@pytest.mark.parametrize("name", declared())
def test_each_workpaper_has_a_chart_that_says_what_it_shows(name: str, september: tuple[Snapshot, Results]) -> None:
    snapshot, results = september
    picture = draw(declared()[name].chart, snapshot, papers.tested(declared()[name], results))
    data, metadata = picture._repr_mimebundle_()
    assert data["image/png"].startswith(b"\x89PNG")
    assert metadata["image/png"]["alt"] == picture.alt
    assert len(picture.alt.split()) > 6


@pytest.fixture(scope="module")
def nothing(tmp_path_factory: pytest.TempPathFactory) -> tuple[Snapshot, Results]:
    """A cluster of which one manifest is known."""
    import auditkit as ak

    place = tmp_path_factory.mktemp("nothing")
    (place / "x.yaml").write_text("kind: Namespace\napiVersion: v1\nmetadata: {name: web}\n")
    snapshot = ak.load(place)
    return snapshot, ak.check(snapshot)


@pytest.mark.parametrize("name", CHARTS)
def test_a_chart_is_drawn_of_nothing(name: str, nothing: tuple[Snapshot, Results]) -> None:
    snapshot, results = nothing
    assert draw(name, snapshot, list(results.values()))._repr_mimebundle_()[0]["image/png"]


def test_what_is_missing_is_said_with_the_way_to_get_it(september: tuple[Snapshot, Results]) -> None:
    snapshot, results = september
    paper = workpaper("certificates", snapshot, Engagement(), results)
    for section in (paper.source(), paper.conclusion()):
        assert "--tls-secrets for public certificates" in section.text
    assert "incomplete: secrets excluded" in paper.chart().alt
    scope = workpaper("scope", snapshot, Engagement(), results).source().text
    assert "*.custom.metrics.k8s.io" in scope
    assert "the group&#x27;s API server did not answer" in scope


def test_every_conclusion_has_its_words(september: tuple[Snapshot, Results]) -> None:
    _, results = september
    assert list(narrative.tally(results.values())) == list(CONCLUSIONS)
    for result in results.values():
        assert narrative.sentence(result).startswith(f"{result.check.id} (")


def test_text_of_a_cluster_is_not_markup(pack: Path) -> None:
    page = (pack / declared()["access"].page).read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_rows_that_could_not_be_judged_are_counted_whatever_else_their_test_found(
    september: tuple[Snapshot, Results],
) -> None:
    snapshot, results = september
    open_ = results.frame[results.frame["undetermined"] > 0]
    assert (open_["conclusion"] == "exceptions").any()
    said = f"{open_['undetermined'].sum()} rows in {len(open_)} tests could not be judged"
    assert said in narrative.conclude(list(results.values()), snapshot)
    both = results[open_.loc[open_["conclusion"] == "exceptions", "id"].iloc[0]]
    found, without = len(both.exceptions), (both.population["verdict"] == "ok").sum()
    sentence = narrative.sentence(both, named=False)
    assert f"{len(both.population):,} rows: {found} exception" in sentence
    assert f"{len(both.undetermined)} not judged, {without} without." in sentence


def test_a_test_with_both_shows_exceptions_and_rows_not_judged(september: tuple[Snapshot, Results]) -> None:
    snapshot, results = september
    paper = workpaper("access", snapshot, Engagement(), results, packed=True)
    both = next(r for r in paper.tested if len(r.exceptions) and len(r.undetermined))
    shown = paper._found(both)
    assert "Rows that this evidence does not decide" in shown
    assert shown.count("<table") == 2
    long = next(r for r in paper.tested if len(r.exceptions) > papers.FOUND)
    assert f"The first {papers.FOUND} of {len(long.exceptions):,} rows are shown. All of them:" in paper._found(long)
    assert "sheet Exceptions" in paper._found(long)


def test_what_files_state_is_not_said_as_seen(september: tuple[Snapshot, Results]) -> None:
    snapshot, results = september
    card = source.card(snapshot)
    for label in ("As of", "Read as", "Filters", "Kubernetes"):
        assert "not verified by auditkit" in card[label], label
    assert "recorded-as" in card["As of"]
    assert "groups: system:masters" in card["Read as"]
    assert card["Read with"].startswith("not known")
    assert "not verified by auditkit" in narrative.completeness(snapshot)
    paper = workpaper("access", snapshot, Engagement(), results)
    assert "<td>not stated</td>" in paper.objective().text
    assert "type II" not in paper.objective().text


def test_what_auditkit_read_itself_is_said_so(september: tuple[Snapshot, Results]) -> None:
    snapshot, _ = september
    origin = msgspec.structs.replace(
        snapshot.origin, server="https://10.0.0.1", dated_by="server Date header", clock_skew_seconds=1.5
    )
    live = Snapshot(origin=origin, coverage=snapshot.coverage, objects=snapshot.objects)
    card = source.card(live)
    assert card["As of"].endswith(
        "by the Date header of the server's first answer; the clock that ran auditkit differs by 1.5 s"
    )
    assert card["Filters"].startswith("none: every object")
    assert not any("not verified" in text for text in card.values())


def test_the_page_shows_the_parameter_that_was_executed(pack: Path) -> None:
    page = (pack / declared()["access"].page).read_text()
    assert 'source = ".."' in page
    assert 'source = "demo"' not in page


def test_what_remains_by_hand_is_listed_for_every_control(september: tuple[Snapshot, Results]) -> None:
    snapshot, results = september
    shown = workpaper("access", snapshot, Engagement(), results).matrix().text
    known = {c.id: c for c in frameworks.controls(Engagement())}
    for id in ("AC-02", "AC-03", "AC-08"):
        assert all(escape(text) in shown for text in known[id].manual), id


def test_one_day_is_no_days() -> None:
    check = CHECKS["RBAC-46"]
    one = Result(
        check=check, conclusion="no exceptions", judged=Judged.of(pd.DataFrame({"verdict": []})), settings={"days": 1}
    )
    assert "1 days" not in one.title
    assert "1 day" in one.title
