"""auditkit.toml: every fault is named with its place, all at once."""

from pathlib import Path

import pandas as pd
import pytest

from auditkit import declare, engagement
from auditkit.errors import Faults, UsageError


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check with two settings, whatever the checks of this version have."""

    def test(things: object, *, days: int = 30, registries: tuple[str, ...] = ()) -> None:
        """Things are young."""

    known = {"days": 30, "registries": ()}
    check = declare.Check(id="XX-01", severity="low", test=test, reads=("things",), settings=known)
    monkeypatch.setattr(engagement, "CHECKS", {"XX-01": check})


def written(folder: Path, text: str) -> Path:
    path = folder / "auditkit.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[checks.XX-01]\ndayz = 1", "checks.XX-01.dayz: unknown setting; did you mean days?"),
        ('[checks.XX-01]\ndays = "1"', "checks.XX-01.days: '1' does not fit; the default is 30"),
        ("[checks.XX-01]\ndays = true", "checks.XX-01.days: True does not fit; the default is 30"),
        ("[checks.XX-99]\ndays = 1", "checks.XX-99: no such check; `auditkit checks` lists them"),
        (
            '[files]\nwaivers = "a.toml"',
            "files: unknown key; there are: entity, system, type, cluster, preparer, frameworks, controls, registries, period, scope, labels, changes, review, retention, imports, checks",
        ),
        ("entitty = 1", "entitty: unknown key; did you mean entity?"),
        ("[retention]\nclas = 1", "retention.clas: unknown key; did you mean class?"),
        ("[period]\nstart = 2026-01-01\nend = 2026-01-02\nstrt = 1", "period.strt: unknown key; did you mean start?"),
        ('[imports.tickets]\nfiles = "a"\nmde_at = 1', "imports.tickets.mde_at: unknown key; did you mean made_at?"),
        ("entity = 1", "entity: input should be a valid string"),
        ('type = "III"', "type: input should be 'I' or 'II'"),
        ("[period]\nstart = 2026-01-01", "period.end: field required"),
        ("[period]\nstart = 2026-02-01\nend = 2026-01-01", "period: start 2026-02-01 is after end 2026-01-01"),
        (
            'frameworks = ["soc2"]',
            "frameworks: no framework soc2; did you mean soc2-2017? Your own is a file: soc2.toml",
        ),
        ('controls = "a.toml"', "a.toml does not exist beside auditkit.toml"),
        ("entity = ", "Invalid value (at end of document)"),
    ],
)
@pytest.mark.usefixtures("days")
def test_faults_name_place_and_fault(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(Faults) as caught:
        engagement.load(written(tmp_path, text))
    assert caught.value.faults == [fault]


@pytest.mark.usefixtures("days")
def test_all_faults_come_at_once(tmp_path: Path) -> None:
    with pytest.raises(Faults) as caught:
        engagement.load(written(tmp_path, "a = 1\nentity = 2\n[checks.YY-01]\n[checks.XX-01]\nb = 1\n"))
    assert len(caught.value.faults) == 4


@pytest.mark.usefixtures("days")
def test_settings_reach_the_checks_that_have_them(tmp_path: Path) -> None:
    given = engagement.load(written(tmp_path, 'registries = ["r.example"]\n[checks.XX-01]\ndays = 5\n'))
    assert given.settings == {"XX-01": {"days": 5, "registries": ("r.example",)}}
    assert engagement.load(None).settings == {}


def test_the_template_loads(tmp_path: Path) -> None:
    given = engagement.load(written(tmp_path, engagement.template()))
    assert given.entity == "Example Ltd"
    assert given.text == engagement.template()
    assert given.inputs() == ()


def test_files_are_found_again_in_a_pack(tmp_path: Path) -> None:
    text = 'controls = "conf/controls.toml"\n'
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "controls.toml").touch()
    assert engagement.load(written(tmp_path, text)).inputs() == (tmp_path / "conf" / "controls.toml",)
    pack = tmp_path / "inputs"
    pack.mkdir()
    (pack / "controls.toml").touch()
    assert engagement.load(written(pack, text)).controls_path == pack / "controls.toml"


def test_a_file_in_the_folder_of_shipped_ones_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shipped").mkdir()
    (tmp_path / "shipped" / "a.toml").touch()
    with pytest.raises(Faults, match=r"shipped/a\.toml lies in shipped/, auditkit's own in a pack"):
        engagement.load(written(tmp_path, 'controls = "shipped/a.toml"'))


def test_scope_marks_and_never_drops(tmp_path: Path) -> None:
    text = '[scope]\nnamespaces = ["web*", "kube-system"]\nexclude_namespaces = ["web-test"]\n'
    namespaces = pd.Series(["web", "web-test", "kube-system", "ops", "", None], index=[5, 4, 3, 2, 1, 0])
    found = engagement.in_scope(engagement.load(written(tmp_path, text)), namespaces)
    expected = pd.Series([True, False, True, False, True, pd.NA], index=namespaces.index, dtype="boolean")
    pd.testing.assert_series_equal(found, expected)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        engagement.load(tmp_path / "none.toml")


def test_the_period_says_when_a_snapshot_is_expected(tmp_path: Path) -> None:
    text = "[period]\nstart = 2026-07-01\nend = 2026-07-31\nschedule = '0 6 * * *'\ngap_tolerance_days = 2\n"
    period = engagement.load(written(tmp_path, text)).period
    assert period and (period.schedule, period.late_tolerance_hours, period.gap_tolerance_days) == (
        "0 6 * * *",
        1.0,
        2.0,
    )
    assert [period.first.isoformat(), period.over.isoformat()] == [
        "2026-07-01T00:00:00+00:00",
        "2026-08-01T00:00:00+00:00",
    ]
    bad = text.replace("0 6 * * *", "nightly").replace("= 2\n", "= 0\n") + "[changes]\nticket_days = -1\n"
    with pytest.raises(Faults) as caught:
        engagement.load(written(tmp_path, bad))
    assert caught.value.faults == [
        "period.schedule: 'nightly' is neither daily, weekly nor five fields of cron, e.g. 0 6 * * *",
        "period.gap_tolerance_days: input should be greater than 0",
        "changes.ticket_days: input should be greater than or equal to 0",
    ]


def test_the_template_states_the_deployers_that_are_agreed_by_default(tmp_path: Path) -> None:
    given = engagement.load(written(tmp_path, engagement.template()))
    assert given.changes == engagement.load(None).changes
    assert set(engagement.managers()["gitops"]) < set(given.changes.deployers)
