"""What the control matrix workbook says, sheet by sheet; workbook.py knows how it is written."""

from pathlib import Path

import pandas as pd

from auditkit import frameworks, seal
from auditkit.declare import CHECKS, kinds_of
from auditkit.engagement import Engagement, in_scope
from auditkit.evaluate import Results, Snapshot, declared
from auditkit.kinds import resource
from auditkit.report import narrative
from auditkit.report.frames import write_csv
from auditkit.report.workbook import Cover, Link, Sheet
from auditkit.report.workbook import write as write_workbook

NAME = "control-matrix.xlsx"
# Longer listings are files beside the workbook, linked with hash and count.
LISTED = 10_000
# Written after the workbook, or the workbook itself.
UNLISTED = (NAME, "index.html", "run.json", "VERIFY.md", "manifest.json", "SHA256SUMS", "manifest.dsse.json")

GLOSSARY = (
    ("Population", "All rows that a test examines: the first table it reads. Nothing is sampled."),
    ("Exception", "A row of the population that does not meet what the test states."),
    ("Undetermined", "A row that the evidence does not decide; it is not passed."),
    (
        "Not collected",
        "Evidence that the test needs was denied, failed, partial or left out by policy; the test is not passed.",
    ),
    ("No population", "There is nothing of this kind in the cluster; the test says nothing."),
    ("Inherited", "The control plane is the provider's; its SOC 2 report covers it."),
    ("No exceptions noted", "Management's result: every row was examined and none is an exception."),
    ("Exceptions noted", "Management's result: at least one row is an exception."),
    ("Incomplete evidence", "Management's result: a test could not be concluded."),
    ("Not tested", "Management's result: no test of the cluster belongs to the control, or there was nothing to test."),
    ("IPE", "Information produced by the entity: each table, with its source, completeness and hash."),
    ("In scope", "Whether the engagement's scope names the namespace; rows out of scope are shown, never dropped."),
    ("Yellow headers", "Columns for the auditor: blank and unlocked. auditkit never writes there."),
    ("Blue headers", "Columns for management: blank and unlocked."),
)


def facts(snapshot: Snapshot, engagement: Engagement, identity: str) -> list[tuple[str, str]]:
    """Label and text of what identifies a pack."""
    origin = snapshot.origin
    return [
        ("Entity", engagement.entity),
        ("System", engagement.system),
        ("Cluster", origin.cluster),
        ("Cluster UID", origin.cluster_uid or "unknown"),
        ("Kubernetes", origin.version or "unknown"),
        ("As of", f"{origin.taken_at:%Y-%m-%d %H:%M:%S} UTC ({origin.dated_by})" if origin.taken_at else "undated"),
        ("Read as", origin.identity.username or "unknown"),
        ("Source", f"{origin.source} ({origin.basis})"),
        ("Tool", origin.tool),
        ("Snapshot digest", snapshot.digest),
        ("Run id", identity),
    ]


def write(pack: Path, snapshot: Snapshot, results: Results, engagement: Engagement, identity: str) -> None:
    """Write control-matrix.xlsx into the pack."""
    summary = narrative.conclude(list(results.values()), snapshot)
    cover = Cover(
        title="SOC 2 control matrix: Kubernetes",
        rows=[
            *facts(snapshot, engagement, identity),
            ("", "Result"),
            ("Tests", summary),
            ("Completeness", narrative.completeness(snapshot)),
            ("Prepared by", "management, with auditkit; the auditor's cells are blank"),
            ("", "What this evidence cannot show"),
            *((str(n), text) for n, text in enumerate(narrative.CAVEATS, start=1)),
        ],
    )
    controls = frameworks.controls(engagement)
    sheets = [
        Sheet(
            name="Control matrix",
            note="One row a control activity; a control takes the most serious conclusion of its tests.",
            frame=frameworks.control_matrix(results, controls),
            people=("Management response", "Compensating control", "Ticket"),
            auditor=("Auditor ref", "Auditor conclusion"),
        ),
        Sheet(
            name="TSC coverage",
            note="All 61 criteria: what the cluster evidences, and what remains for other sources.",
            frame=frameworks.coverage(results, frameworks.load("soc2-2017"), controls),
            auditor=("Auditor ref",),
        ),
        Sheet(
            name="CIS coverage",
            note="CIS Kubernetes Benchmark 1.12 (same numbering as 2.0.1), in our own words.",
            frame=frameworks.coverage(results, frameworks.load("cis-1.12"), controls),
        ),
        _tests(results),
        _exceptions(results, engagement),
        _populations(pack, results),
        _access(pack, snapshot),
        _ipe(pack, snapshot),
        _index(pack),
        _dictionary(snapshot),
        Sheet(
            name="Glossary",
            note="Words of this workbook.",
            frame=pd.DataFrame(GLOSSARY, columns=["Word", "Meaning"]),
        ),
    ]
    write_workbook(pack / NAME, cover, sheets, created=snapshot.origin.taken_at)


def _tests(results: Results) -> Sheet:
    rows = [
        {
            "Test": r.check.id,
            "Title": r.check.title,
            "Severity": r.check.severity,
            "Conclusion": r.conclusion,
            "Population": len(r.population),
            "Exceptions": len(r.exceptions),
            "Undetermined": len(r.undetermined),
            "Population table": r.check.population,
            "Settings": ", ".join(f"{k} = {v}" for k, v in r.settings.items()),
            "Note": r.note,
            "Why": r.check.rationale,
            "Procedure": r.check.source.strip(),
        }
        for r in results.values()
    ]
    return Sheet(
        name="Tests",
        note="One row a test; the procedure is the predicate applied to every row of the population.",
        frame=pd.DataFrame(rows),
    )


def _exceptions(results: Results, engagement: Engagement) -> Sheet:
    found = [_rows(id, results) for id, r in results.items() if len(r.exceptions)]
    columns = ["Exception id", "Test", "Title", "Severity", "Kind", "Namespace", "Name", "Row"]
    frame = pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=columns)
    frame["In scope"] = in_scope(engagement, frame["Namespace"])
    return Sheet(
        name="Exceptions",
        note=f"{len(frame):,} exceptions; the id is stable from run to run."
        + (f" The first {LISTED:,} are listed." if len(frame) > LISTED else ""),
        frame=frame.head(LISTED),
        people=("Management response", "Owner", "Due", "Ticket"),
        auditor=("Auditor ref",),
    )


def _rows(id: str, results: Results) -> pd.DataFrame:
    """The exceptions of one test: the object, and the remaining key columns as one text."""
    result = results[id]
    found = result.exceptions
    key = [c for c in declared(result.check.population).key if c not in ("kind", "namespace", "name")]
    row = pd.Series("", index=found.index, dtype="string")
    for column in key:
        row = row.str.cat(f"{column} " + found[column].astype("string").fillna("–"), sep=", ")
    columns = {
        "Exception id": found["exception_id"],
        "Test": id,
        "Title": result.check.title,
        "Severity": result.check.severity,
    }
    named = {c.capitalize(): found.get(c, "") for c in ("kind", "namespace", "name")}
    return pd.DataFrame({**columns, **named, "Row": row.str.removeprefix(", ")}, index=found.index)


def _populations(pack: Path, results: Results) -> Sheet:
    rows = []
    for id, r in results.items():
        path = f"results/populations/{id}.parquet"
        rows.append(
            {
                "Test": Link(text=id, target="#'Tests'!A1"),
                "Table": r.check.population,
                "Rows": len(r.population),
                "Exceptions": len(r.exceptions),
                "File": Link(text=path, target=path),
                "sha256": seal.sha256(pack / path),
            }
        )
    note = "Each row that a test judged, with its verdict, is in the linked Parquet file."
    return Sheet(name="Populations", note=note, frame=pd.DataFrame(rows))


def _access(pack: Path, snapshot: Snapshot) -> Sheet:
    frame = snapshot.tables["grants"]
    note = f"Who holds what: {len(frame):,} rows of table grants."
    if len(frame) > LISTED:
        write_csv(frame, pack / "tables" / "grants.csv")
        digest = seal.sha256(pack / "tables" / "grants.csv")
        note += f" The first {LISTED:,} are listed; all are in tables/grants.csv (sha256 {digest})."
    return Sheet(name="Access listing", note=note, frame=frame.head(LISTED), people=("Owner", "Justification"))


def _ipe(pack: Path, snapshot: Snapshot) -> Sheet:
    origin = snapshot.origin
    rows = []
    for name, frame in snapshot.tables.items():
        path = f"tables/{name}.parquet"
        states = [snapshot.state(kind) for kind in kinds_of(name)]
        lacking = [f"{c.resource} {c.state}" for c in states if c.state not in ("collected", "not served")]
        rows.append(
            {
                "Table": Link(text=name, target=path),
                "What": declared(name).title,
                "Rows": len(frame),
                "Objects read": sum(c.seen for c in states),
                "Kinds": ", ".join(resource(kind) for kind in kinds_of(name)),
                "Complete": "no" if lacking else "yes",
                "Missing": "; ".join(lacking),
                "Filters": "none: every object of these kinds",
                "Source": origin.source,
                "As of": pd.Timestamp(origin.taken_at) if origin.taken_at else None,
                "Read as": origin.identity.username,
                "sha256": seal.sha256(pack / path),
            }
        )
    note = "Information produced by the entity: one row a table, with source, completeness and hash."
    return Sheet(name="IPE", note=note, frame=pd.DataFrame(rows))


def _index(pack: Path) -> Sheet:
    rows = []
    for path in sorted(p for p in pack.rglob("*") if p.is_file()):
        name = path.relative_to(pack).as_posix()
        # Notebooks and pages hold times of their own; they are in the manifest, and would change the workbook's bytes.
        if name not in UNLISTED and not name.startswith(("notebooks/", "binder/")):
            rows.append(
                {"File": Link(text=name, target=name), "Size": path.stat().st_size, "sha256": seal.sha256(path)}
            )
    note = "Files that the numbers rest on; manifest.json lists every file of the pack."
    return Sheet(name="Evidence index", note=note, frame=pd.DataFrame(rows))


def _dictionary(snapshot: Snapshot) -> Sheet:
    rows = [
        {
            "Table": name,
            "Column": c.name,
            "Type": c.dtype,
            "Key": "yes" if c.name in declared(name).key else "",
            "Meaning": c.doc,
        }
        for name in snapshot.tables
        for c in declared(name).columns
    ]
    note = f"Every column of every table; {len(CHECKS)} tests read them."
    return Sheet(name="Data dictionary", note=note, frame=pd.DataFrame(rows))
