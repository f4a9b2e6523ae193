"""Exports of people: what is kept of them, columns of other names, and what is refused."""

from datetime import UTC, date, datetime
from pathlib import Path

import pytest

import auditkit as ak
from auditkit.capture import imports
from auditkit.capture.imports import Supplied
from auditkit.capture.imports.identity import IdpUser
from auditkit.errors import UsageError

PEOPLE = "user,status,mfa,last_login,groups\n"


def users(path: Path, text: str, **options: object) -> imports.Loaded:
    path.write_text(text)
    stated = Supplied(source="idp_users", paths=(path,), made_at=date(2026, 10, 30), options=options)
    return imports.read([stated])[0]


def test_an_export_of_people_keeps_what_tests_need(tmp_path: Path) -> None:
    text = "name,user,status,mfa,last_login,groups,salary\nAnn Berg,ann,ACTIVE,Yes,2026-10-30,a;b,9\nBob,bob,,,2026-10-30 07:00:00,,\n"
    (ann, bob) = users(tmp_path / "u.csv", text).records[IdpUser]
    assert ann == IdpUser(
        user="ann", status="ACTIVE", mfa=True, last_login=datetime(2026, 10, 30, tzinfo=UTC), groups=["a", "b"]
    )
    assert bob == IdpUser(user="bob", last_login=datetime(2026, 10, 30, 7, tzinfo=UTC))


def test_columns_of_other_names_and_the_prefix_of_kubernetes(tmp_path: Path) -> None:
    options = {"columns": {"user": "Login", "mfa": "MFA enabled"}, "prefix": "corp:"}
    (ann,) = users(tmp_path / "u.csv", "Login,MFA enabled\nann,no\n", **options).records[IdpUser]
    assert ann == IdpUser(user="ann", mfa=False, kubernetes_user="corp:ann")


def test_a_user_twice_and_words_and_dates_that_are_none_are_named(tmp_path: Path) -> None:
    rows = "ann,active,yes,2026-10-30,\nann,terminated,yes,,\nbob,active,perhaps,,\ncat,active,yes,10/30/2026,\n,active,yes,,\n"
    found = users(tmp_path / "u.csv", PEOPLE + rows)
    faults = {m.name: m.fault for m in found.about.malformed}
    assert list(faults) == ["u.csv:3", "u.csv:4", "u.csv:5", "u.csv:6"]
    assert faults["u.csv:3"] == "user ann is that of u.csv:2 already"
    assert "mfa" in faults["u.csv:4"] and "last_login" in faults["u.csv:5"] and "user" in faults["u.csv:6"]
    assert found.about.state == "partial" and len(found.records[IdpUser]) == 1


@pytest.mark.parametrize("day", ["45961", "20261031", "1761868800", "45961.5", "31/10/2026", "Oct 31, 2026"])
def test_a_number_is_no_day(tmp_path: Path, day: str) -> None:
    """A spreadsheet's day read as seconds since 1970 would have been before whatever it is compared with."""
    found = users(tmp_path / "u.csv", f'{PEOPLE}ann,active,yes,"{day}",\n')
    assert [m.fault for m in found.about.malformed] == ["last_login: no time, write 2026-10-31 or 2026-10-31T06:00:00Z"]
    assert found.about.state == "partial" and not found.records[IdpUser]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("login\nann\n", {}, "u.csv:1: the header lacks user; it has login; known columns are user, email"),
        ("user\nann\n", {"columns": {"mfa": "MFA"}}, "u.csv:1: the header lacks MFA"),
        (
            "user\nann\n",
            {"columns": {"salary": "Pay"}},
            r"imports\.idp_users\.columns: no column salary; known are user",
        ),
        ("user,status,user\nann,active,bob\n", {}, "u.csv:1: the header names user twice"),
        ("user;status\nann;active\n", {}, "u.csv:1: the header lacks user; it has user;status"),
    ],
)
def test_other_columns_are_refused(tmp_path: Path, text: str, options: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        users(tmp_path / "u.csv", text, **options)


def test_an_option_that_an_import_does_not_have(tmp_path: Path) -> None:
    config = tmp_path / "auditkit.toml"
    config.write_text('[imports]\ntickets = { files = "t.csv", prefix = "x" }\n')
    with pytest.raises(UsageError, match=r"imports\.tickets\.prefix: this import has no such option"):
        ak.load("demo", config=config)
