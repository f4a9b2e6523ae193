"""Samples: anybody draws the same, whatever the order of the rows; sizes, strata, replacements, refusals."""

import hashlib
import itertools
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.errors import Faults, UsageError
from auditkit.period.samples import Sizes, draw
from auditkit.report.frames import write_csv, write_parquet
from auditkit.report.sampling import sample

ROWS = pd.DataFrame(
    {"id": [f"CHG-{n:03}" for n in range(100)], "month": [f"2026-{7 + n // 90:02}" for n in range(100)]}
)


def ids(**options: object) -> list[str]:
    return list(draw(ROWS, key=["id"], **options).rows["id"])  # type: ignore[arg-type]


def test_a_random_sample_is_what_sha256sum_gives() -> None:
    ranked = sorted(ROWS["id"], key=lambda id: hashlib.sha256(f"auditor 7\n{id}".encode()).hexdigest())
    assert ids(size=25, seed="auditor 7") == sorted(ranked[:25])
    assert ids(size=5, seed="auditor 7") == ["CHG-010", "CHG-014", "CHG-027", "CHG-039", "CHG-062"]


@given(st.permutations(range(100)), st.sampled_from(["random", "systematic", "stratified"]), st.integers(2, 100))
def test_the_order_of_the_population_does_not_matter(places: list[int], method: str, size: int) -> None:
    by = ["month"] if method == "stratified" else []
    again = draw(ROWS.iloc[places], key=["id"], size=size, seed="s", method=method, by=by)  # type: ignore[arg-type]
    assert list(again.rows["id"]) == ids(size=size, seed="s", method=method, by=by)
    assert len(again.rows) == size == again.rows["id"].nunique()


def test_each_stratum_has_its_share_and_one_at_least() -> None:
    found = draw(ROWS, key=["id"], size=5, seed="s", method="stratified", by=["month"]).rows
    assert found["stratum"].value_counts().to_dict() == {"2026-07": 4, "2026-08": 1}
    with pytest.raises(UsageError, match="2 strata, but a sample of 1"):
        draw(ROWS, key=["id"], size=1, seed="s", method="stratified", by=["month"])


def test_strata_of_several_columns_are_their_pairs() -> None:
    rows = ROWS.assign(cluster=["east", "west"] * 50)
    found = draw(rows, key=["id"], size=6, seed="s", method="stratified", by=["cluster", "month"])
    counts = {"east / 2026-07": 2, "west / 2026-07": 2, "east / 2026-08": 1, "west / 2026-08": 1}
    assert found.rows["stratum"].value_counts().to_dict() == counts and found.by == ("cluster", "month")
    with pytest.raises(UsageError, match="no column quarter; it has id, month, cluster"):
        draw(rows, key=["id"], size=6, seed="s", method="stratified", by=["cluster", "quarter"])


def test_a_systematic_sample_has_even_steps() -> None:
    at = [int(id[-3:]) for id in ids(size=10, seed="s", method="systematic")]
    assert {b - a for a, b in itertools.pairwise(at)} == {10}


def test_replacing_takes_the_next_of_the_draw_and_says_why() -> None:
    first = ids(size=5, seed="s")
    done = draw(ROWS, key=["id"], size=5, seed="s", replace={first[0]: "ticket was a test"})
    (log,) = done.replaced.to_dict("records")
    assert log["Taken out"] == first[0] and log["Reason"] == "ticket was a test"
    assert set(done.rows["id"]) == {*first[1:], log["In its place"]} and {*first, log["In its place"]} == set(
        ids(size=6, seed="s")
    )
    with pytest.raises(UsageError, match="is not in the sample"):
        draw(ROWS, key=["id"], size=5, seed="s", replace={"CHG-999": "x"})


@pytest.mark.parametrize(
    ("frequency", "risk", "population", "size"),
    [
        ("daily", "moderate", 365, 30),
        ("per event", "high", 249, 40),
        ("per event", "high", 250, 60),
        ("weekly", "low", 3, 3),
        ("automated", "high", 900, 1),
    ],
)
def test_sizes_of_the_table(frequency: str, risk: str, population: int, size: int) -> None:
    assert Sizes.load().of(frequency, risk, population) == size  # type: ignore[arg-type]


def test_a_table_of_sizes_with_faults_is_refused_whole(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text('[[size]]\nfrequency = "daily"\nlow = "two"\n')
    with pytest.raises(Faults) as error:
        Sizes.load(tmp_path / "s.toml")
    assert [f.partition(":")[0] for f in error.value.faults] == [
        "source",
        "size.0.low",
        "size.0.moderate",
        "size.0.high",
    ]


def test_the_workbook_says_how_it_was_drawn(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "changes.csv", index=False)
    for out in ("a.xlsx", "b.xlsx"):
        sample(tmp_path / "changes.csv", tmp_path / out, frequency="weekly", seed="auditor 7", key="id")
    assert (tmp_path / "a.xlsx").read_bytes() == (tmp_path / "b.xlsx").read_bytes()
    book = openpyxl.load_workbook(tmp_path / "a.xlsx")
    cover = {row[0]: row[1] for row in book["Cover"].iter_rows(values_only=True) if row[0]}
    assert cover["sha256 of the population"] == hashlib.sha256((tmp_path / "changes.csv").read_bytes()).hexdigest()
    assert cover["Seed"] == "auditor 7 (supplied)" and cover["Rows in the population"] == "100"
    assert [row[1] for row in book["Sample"].iter_rows(min_row=5, values_only=True)] == ids(size=8, seed="auditor 7")


def test_the_auditors_own_list(tmp_path: Path) -> None:
    ROWS.to_csv(tmp_path / "changes.csv", index=False)
    (tmp_path / "mine.csv").write_text("id\nCHG-007\nCHG-003\n")
    done = sample(tmp_path / "changes.csv", tmp_path / "a.xlsx", method="list", listed=tmp_path / "mine.csv", key="id")
    assert list(done.rows["id"]) == ["CHG-003", "CHG-007"]
    (tmp_path / "mine.csv").write_text("id\nCHG-700\n")
    with pytest.raises(UsageError, match="not in the population: CHG-700"):
        sample(tmp_path / "changes.csv", tmp_path / "b.xlsx", method="list", listed=tmp_path / "mine.csv", key="id")


def test_the_population_of_a_check_has_its_own_key(pack: Path, tmp_path: Path) -> None:
    done = sample(pack / "results" / "populations" / "RBAC-01.parquet", tmp_path / "a.xlsx", size=5, seed="s")
    assert done.size == 5 and {"verdict", "exception_id"} <= set(done.rows)


def test_csv_and_parquet_of_one_population_give_one_sample(tmp_path: Path) -> None:
    """Text that a spreadsheet would run, times, numbers and lists are the same key in both."""
    size = 20
    frame = pd.DataFrame(
        {
            "id": pd.Series([f"{'=+-@x'[n % 5]}{n}" for n in range(size)], dtype="string"),
            "at": pd.to_datetime([f"2026-10-{1 + n:02}T06:00:00Z" for n in range(size)], utc=True).astype(
                "datetime64[us, UTC]"
            ),
            "n": pd.Series([n if n % 3 else None for n in range(size)], dtype="Int64"),
            "flag": pd.Series([bool(n % 2) if n % 5 else None for n in range(size)], dtype="boolean"),
            "verbs": pd.Series([["get", "list"][: n % 3] for n in range(size)], dtype=object),
        }
    )
    write_csv(frame, tmp_path / "p.csv")
    write_parquet(frame, tmp_path / "p.parquet")
    drawn = [
        sample(tmp_path / name, tmp_path / f"{name}.xlsx", size=7, seed="s", key="id,at,n,flag,verbs")
        .rows["id"]
        .tolist()
        for name in ("p.csv", "p.parquet")
    ]
    assert drawn[0] == drawn[1] and any(id.startswith("=") for id in drawn[0])
    done = sample(tmp_path / "p.csv", tmp_path / "r.xlsx", size=20 - 1, seed="s", key="id")
    taken = next(id for id in done.rows["id"] if id.startswith("="))
    again = sample(tmp_path / "p.csv", tmp_path / "q.xlsx", size=19, seed="s", key="id", replace=[f"{taken}=a = b"])
    assert again.replaced.to_dict("records")[0]["Reason"] == "a = b"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 0}, "a sample of 0 cannot be drawn from 100 rows"),
        ({"size": 101}, "a sample of 101"),
        ({}, "give --size, or --frequency"),
        ({"size": 1, "frequency": "daily"}, "give --size, or --frequency"),
        ({"frequency": "hourly"}, "no frequency 'hourly'"),
        ({"size": 1, "method": "best"}, "no method best"),
        ({"size": 1, "by": "month"}, "go together"),
        ({"size": 1, "by": "nothing", "method": "stratified"}, "no column nothing; it has id, month"),
        ({"size": 1, "seed": "bad\udcff"}, "--seed .*: is no UTF-8"),
        ({"size": 1, "key": "nothing"}, "no column nothing; it has id, month"),
        ({"size": 1, "key": "month"}, "month does not name one row: 2026-07"),
        ({"size": 1, "key": ""}, "name the columns that tell a row from others"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, options: dict[str, str], said: str) -> None:
    ROWS.to_csv(tmp_path / "changes.csv", index=False)
    with pytest.raises(UsageError, match=said):
        sample(tmp_path / "changes.csv", tmp_path / "a.xlsx", **{"key": "id", **options})  # type: ignore[arg-type]
    assert not (tmp_path / "a.xlsx").exists()
