"""A round of access review: prepared as a sealed folder with the workbook, and closed from the filled one."""

import calendar
import hashlib
import json
import re
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pandas as pd
import pyarrow.parquet as pq

from auditkit import seal, store
from auditkit.capture import tool
from auditkit.engagement import Engagement
from auditkit.errors import UsageError, VerificationError
from auditkit.evaluate import Snapshot
from auditkit.kinds import UNREADABLE
from auditkit.period.frames import framed
from auditkit.report.frames import said, write_csv, write_parquet
from auditkit.report.workbook import entries
from auditkit.review import access, books, granting
from auditkit.review.access import Held, Listed, Person
from auditkit.review.decisions import EXCEPTION, OK, UNDETERMINED, Finding, Terms, judged
from auditkit.run import COMPLETE, EXCEPTIONS, INCOMPLETE
from auditkit.seal import leaks

RECORD, SUMMARY = "review.json", "summary.txt"


class Review(msgspec.Struct, kw_only=True, frozen=True):
    """What review.json says of a prepared review.

    `rows` has the sha256 of the computed cells of each row; a row's id is `AR-` and the first twelve hex digits of the
    sha256 of the columns `key`. `imports` has the sha256 of the files of each. `workbook` is the file that reviewers fill, `previous` the decisions before, with hash.
    """

    quarter: str
    cluster: str
    cluster_uid: str
    taken_at: datetime
    snapshot_digest: str
    first: date
    last: date
    revoke_days: int
    provisioners: tuple[str, ...]
    whole: bool
    tool: str
    workbook: str
    workbook_sha256: str
    previous: str
    previous_sha256: str
    imports: dict[str, tuple[str, ...]]
    key: tuple[str, ...]
    rows: dict[str, str]

    @classmethod
    def of(
        cls,
        snapshot: Snapshot,
        taken_at: datetime,
        listing: pd.DataFrame,
        terms: Terms,
        *,
        quarter: str,
        workbook: Path,
        previous: Path | None,
    ) -> "Review":
        """What is said of the listing of a snapshot, once its workbook is written."""
        return cls(
            quarter=quarter,
            cluster=snapshot.origin.cluster,
            cluster_uid=snapshot.origin.cluster_uid or "",
            taken_at=taken_at,
            snapshot_digest=snapshot.digest,
            **asdict(terms),
            whole=not snapshot.tables.incomplete(["grants"]),
            tool=tool(),
            workbook=workbook.name,
            workbook_sha256=seal.sha256(workbook),
            previous=previous.name if previous else "",
            previous_sha256=_hash(previous) if previous else "",
            imports={one.about.source: tuple(f.sha256 for f in one.about.files) for one in snapshot.imports},
            key=access.KEY,
            rows=_hashes(listing),
        )

    @property
    def terms(self) -> Terms:
        """What was agreed when it was prepared."""
        return Terms(first=self.first, last=self.last, revoke_days=self.revoke_days, provisioners=self.provisioners)


@dataclass(frozen=True, kw_only=True, slots=True)
class Closed:
    """A review that was closed: one finding per row, the exit code, and a summary in words."""

    place: Path
    findings: pd.DataFrame = field(repr=False)
    exit_code: int
    summary: str

    def __str__(self) -> str:
        return self.summary


def quarter_of(text: str) -> tuple[date, date]:
    """First and last day of a calendar quarter, 2026Q3; UsageError for another text."""
    found = re.fullmatch(r"(20[0-9]{2})Q([1-4])", text)
    if not found:
        raise UsageError(f"--quarter {text}: write it as 2026Q3")
    year, month = int(found[1]), 3 * int(found[2])
    return date(year, month - 2, 1), date(year, month, calendar.monthrange(year, month)[1])


def prepare(
    snapshot: Snapshot,
    out: Path,
    engagement: Engagement,
    quarter: str,
    *,
    spans: pd.DataFrame | None = None,
    previous: Path | None = None,
    key: Path | None = None,
) -> Review:
    """Write the workbook of a quarter's review into a new folder, with the listing as files, and seal it.

    `spans` are intervals of bindings up to the snapshot, `previous` the filled workbook (or closed folder) of the review
    before, `key` an Ed25519 private key. Raises UsageError where the snapshot is undated or outside the quarter.
    """
    terms, taken_at = _terms(engagement, quarter), snapshot.origin.taken_at
    if taken_at is None or not terms.first <= taken_at.astimezone(UTC).date() <= terms.last:
        raise UsageError(
            f"the snapshot is {taken_at or 'undated'}: a listing for {quarter} is taken from {terms.first} to {terms.last}"
        )
    seal.check_inputs(key=key)
    before = _before(previous) if previous else None
    listing, people = access.listing(snapshot, engagement, spans=spans)
    name = f"access-review-{quarter}-{re.sub('[^A-Za-z0-9.-]+', '-', snapshot.origin.cluster)}.xlsx"
    with store.publishing(out) as draft:
        books.write_review(
            draft / name,
            listing,
            snapshot,
            engagement,
            quarter=quarter,
            terms=terms,
            previous={} if before is None else books.previous(before, listing),
        )
        _write(listing, draft / "listing")
        _write(people, draft / "people")
        record = Review.of(
            snapshot, taken_at, listing, terms, quarter=quarter, workbook=draft / name, previous=previous
        )
        (draft / RECORD).write_bytes(msgspec.json.format(msgspec.json.encode(record), indent=1))
        _sealed(draft, "access review, prepared", record, key=key)
    return record


def _terms(engagement: Engagement, quarter: str) -> Terms:
    first, end = quarter_of(quarter)
    agreed = engagement.review
    return Terms(
        first=first,
        last=end + timedelta(days=agreed.days_after),
        revoke_days=agreed.revoke_days,
        provisioners=tuple(agreed.provisioners),
    )


def _write(frame: pd.DataFrame, stem: Path) -> None:
    write_parquet(frame, stem.with_suffix(".parquet"))
    write_csv(frame, stem.with_suffix(".csv"))


def _read(path: Path, declared: type) -> pd.DataFrame:
    table = pq.read_table(path)
    return framed(zip(*(column.to_pylist() for column in table.columns), strict=True), declared)


def _hashes(listing: pd.DataFrame) -> dict[str, str]:
    """sha256 of the computed cells of each row, as JSON of their texts."""
    cells = books.computed(listing)
    rows: list[dict[Any, Any]] = cells.to_dict("records")
    texts = [json.dumps({name: said(value) for name, value in row.items()}, ensure_ascii=False) for row in rows]
    return {row: hashlib.sha256(text.encode()).hexdigest() for row, text in zip(cells["Row"], texts, strict=True)}


def _hash(place: Path) -> str:
    return seal.sha256(place / seal.MANIFEST if place.is_dir() else place)


def _sealed(draft: Path, what: str, record: Review, *, previous: Path | None = None, key: Path | None = None) -> None:
    leaks.refuse(draft)
    facts = {
        "what": what,
        "quarter": record.quarter,
        "cluster": record.cluster,
        "snapshot_digest": record.snapshot_digest,
        "tool": tool(),
        "sealed_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    seal.seal(draft, facts, previous=previous, key=key)


def _before(previous: Path) -> pd.DataFrame:
    """The decisions of the review before, of a closed folder as sealed, or of a filled workbook that was not closed."""
    if previous.is_dir():
        _verified(previous)
        if not (previous / "findings.parquet").is_file():
            raise UsageError(
                f"{previous}: holds no closed review; give the folder of `review close`, or the filled workbook"
            )
        return _read(previous / "findings.parquet", Finding)
    grid = entries.read(previous).get(books.REVIEW)
    if grid is None or not {*books.ENTRIES, "Content"} <= set(grid.columns):
        raise UsageError(f"{previous}: is no workbook of an access review, it has no sheet {books.REVIEW}")
    rows: list[tuple[Any, ...]] = [
        (*key[:1], *books.decision(cells), cells.get("Content"), [])
        for key, cells in grid.rows.items()
        if len(key) == 1
    ]
    columns = ["row", "decision", "reviewer", "reviewed_on", "reason", "ticket", "content", "exceptions"]
    return pd.DataFrame(rows, columns=columns, dtype=object)


def _verified(place: Path) -> None:
    verdict = seal.verify(place)
    if not verdict.ok:
        raise VerificationError(str(verdict))


def read(prepared: Path) -> Review:
    """What a prepared review says; VerificationError where the folder is not as sealed, UsageError where it is none."""
    _verified(prepared)
    try:
        return msgspec.json.decode((prepared / RECORD).read_bytes(), type=Review)
    except (FileNotFoundError, *UNREADABLE):
        raise UsageError(f"{prepared}: holds no prepared review; give the folder that `review prepare` wrote") from None


def close(
    filled: Path,
    prepared: Path,
    later: Iterable[Snapshot],
    out: Path,
    *,
    fail_on_exceptions: bool = False,
    key: Path | None = None,
) -> Closed:
    """Judge the filled workbook of a prepared review by later snapshots, in order, into a new sealed folder.

    The terms are those it was prepared with. Raises UsageError where a snapshot is another cluster's or not later.
    """
    record = read(prepared)
    if not filled.is_file():
        raise UsageError(f"{filled}: no such file; give the workbook that reviewers filled")
    seal.check_inputs(key=key)
    states, log = [], dict[granting.Place, tuple[datetime, str]]()
    for snapshot in later:
        _refuse(snapshot, record)
        states.append(access.held(snapshot))
        log = granting.last_writes(snapshot, record.taken_at)
    findings = judged(
        books.read_decisions(filled, prepared / record.workbook),
        _read(prepared / "listing.parquet", Listed),
        states,
        people=_read(prepared / "people.parquet", Person),
        terms=record.terms,
        taken_at=record.taken_at,
        changed_at=log,
    )
    counts = Counter(findings["conclusion"])
    summary = _summary(record, findings, counts, states, out)
    with store.publishing(out) as draft:
        shutil.copy(filled, draft / "filled.xlsx")
        shutil.copy(prepared / RECORD, draft / RECORD)
        _write(findings, draft / "findings")
        facts, title = _facts(record, counts, states, filled), f"Access review {record.quarter}, closed"
        books.write_findings(draft / "findings.xlsx", findings, facts, title)
        (draft / SUMMARY).write_text(summary + "\n", encoding="utf-8")
        _sealed(draft, "access review, closed", record, previous=prepared, key=key)
    untold, found = counts[UNDETERMINED] or not record.whole, fail_on_exceptions and counts[EXCEPTION]
    code = INCOMPLETE if untold else EXCEPTIONS if found else COMPLETE
    return Closed(place=out, findings=findings, exit_code=code, summary=summary)


def _refuse(snapshot: Snapshot, record: Review) -> None:
    origin = snapshot.origin
    if origin.taken_at is None or origin.taken_at <= record.taken_at:
        raise UsageError(
            f"the snapshot is {origin.taken_at or 'undated'}: what was removed shows only in one later than the listing of {record.taken_at}"
        )
    if record.cluster_uid and origin.cluster_uid and record.cluster_uid != origin.cluster_uid:
        raise UsageError(
            f"the snapshot is of cluster {origin.cluster} ({origin.cluster_uid}), the review of {record.cluster} ({record.cluster_uid})"
        )


def _facts(record: Review, counts: Counter[str], states: list[Held], filled: Path) -> list[tuple[str, Any]]:
    whole = [one for one in states if one.whole]
    return [
        ("Quarter", record.quarter),
        ("Cluster", record.cluster),
        ("Listing as of", f"{record.taken_at:%Y-%m-%d %H:%M} UTC"),
        ("Listing complete", "yes" if record.whole else "no: bindings or roles were not completely read"),
        ("Snapshot digest", record.snapshot_digest),
        ("Filled workbook", f"{filled.name}, sha256 {seal.sha256(filled)}"),
        (
            "Later captures",
            f"{len(states):,}, complete {len(whole):,}"
            + (f", the last {states[-1].taken_at:%Y-%m-%d %H:%M} UTC" if states else ""),
        ),
        ("Rows with exceptions", counts[EXCEPTION]),
        ("Rows undetermined", counts[UNDETERMINED]),
        ("Rows without exception", counts[OK]),
        ("Tool", tool()),
        ("", "Sign-off"),
        ("Reviewed and approved by, date", None),
    ]


def _summary(record: Review, findings: pd.DataFrame, counts: Counter[str], states: list[Held], out: Path) -> str:
    decided = findings["decision"].value_counts()
    lines = [
        f"access review {record.quarter} of {record.cluster}: {len(findings):,} rows, "
        f"{counts[EXCEPTION]:,} with exceptions, {counts[UNDETERMINED]:,} undetermined",
        "decisions: " + (", ".join(f"{n:,} {name}" for name, n in decided.items()) or "none"),
        f"later captures: {len(states):,}" + ("" if record.whole else "; the listing itself is not complete"),
    ]
    lines += list(_lines(findings))
    return "\n".join([*lines, f"folder: {out}"])


def _lines(findings: pd.DataFrame) -> Iterator[str]:
    for verdict, column in ((EXCEPTION, "exceptions"), (UNDETERMINED, "undetermined")):
        rows = findings[findings["conclusion"] == verdict]
        for row in rows.head(20).itertuples(index=False):
            yield f"  {verdict}  {row.row}  {row.subject}: {row.binding}: {'; '.join(getattr(row, column))}"
        if len(rows) > 20:
            yield f"  {verdict}  and {len(rows) - 20:,} more rows, see findings.xlsx"
