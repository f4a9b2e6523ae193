"""Sheets that say where the numbers come from: IPE, evidence index, data dictionary, glossary and tickmarks."""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from auditkit import seal
from auditkit.declare import TABLES, kinds_of
from auditkit.evaluate import Snapshot, declared
from auditkit.kinds import Kind, resource
from auditkit.report import narrative
from auditkit.report.listings import Tests
from auditkit.report.workbook import Link, Sheet

# Written after the workbook.
LATER = ("index.html", "run.json", "VERIFY.md", "manifest.json", "SHA256SUMS", "manifest.dsse.json")

GLOSSARY = (
    ("Population", "All rows that a test examines: the first table it reads. Nothing is sampled."),
    ("Exception", "A row of the population that does not meet what the test states."),
    ("Condition", "The values that the test looked at, by the names of the data dictionary; – is missing."),
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
    ("Not tested", "Management's result: no test of the cluster belongs to it, or there was nothing to test."),
    (
        "Manual part open",
        "Management's result: the tests noted no exceptions; what people do, a part of the control, is not tested here.",
    ),
    (
        "Supporting tests only",
        "Management's result for a criterion: only controls that support it have tests, which do not decide it.",
    ),
    ("IPE", "Information produced by the entity: each table, with its source, completeness and hash."),
    ("In scope", "Whether the engagement's scope names the namespace; rows out of scope are shown, never dropped."),
    ("Kept", "Objects in the snapshot; fewer than were read where an object could not be decoded."),
    ("Yellow headers", "Columns for the auditor: blank and unlocked. auditkit never writes there."),
    ("Blue headers", "Columns for management: blank and unlocked."),
    ("Tickmark A", "Agreed to the listing of the API server, e.g. by the command that counts the same population."),
    ("Tickmark B", "Approval inspected, dated before the change or the access."),
    ("Tickmark C", "Reviewer is not the subject and did not grant the access."),
    ("Tickmark F", "Footed: rows counted again."),
    ("Tickmark IPE", "Completeness and accuracy of the listing tested; see sheet IPE."),
    ("Tickmark R", "Performed again with the predicate of sheet Tests, with the same result."),
    ("Tickmark v", "No exception."),
    ("Tickmark X", "Exception; see its id."),
    ("Tickmark N/A", "Not applicable."),
)


def ipe(pack: Path, snapshot: Snapshot, tests: Tests) -> Sheet:
    """One row a table: source, request, completeness, hash."""
    rows = []
    for name, frame in snapshot.tables.items():
        path, table = f"tables/{name}.parquet", declared(name)
        states = [snapshot.state(kind) for kind in kinds_of(name)]
        lacking = list(snapshot.tables.incomplete([name]).values())
        users = [id for id, r in tests.results.items() if name in r.check.reads]
        key = frame[list(table.key)]
        rows.append(
            {
                "Evidence id": f"IPE-{name}",
                "Table": Link(text=name, target=path),
                "What": table.title,
                "Tests": narrative.count(len(users), "test"),
                "Controls": ", ".join(sorted({c.id for id in users for c in tests.controls[id]})),
                "Rows": len(frame),
                "Objects read": sum(c.seen for c in states),
                "Objects kept": sum(c.kept for c in states),
                "Complete": "no" if lacking else "yes",
                "Missing": "; ".join(f"{c.resource} {c.state}" for c in lacking),
                "How to get it": "; ".join(dict.fromkeys(filter(None, map(narrative.remedy, lacking)))),
                "Kinds": ", ".join(resource(kind) for kind in kinds_of(name)),
                "resourceVersion": ", ".join(sorted({c.resource_version for c in states if c.resource_version})),
                "Pages": sum(len(c.pages) for c in states),
                "Lists restarted": sum(c.restarts for c in states),
                "Filters": "none: every object",
                "Repeated keys": int(key.duplicated().sum()),
                "Count it yourself": _command(kinds_of(name)),
                "Computed from": ", ".join(TABLES[name].reads) if name in TABLES else "",
                "sha256 of table": seal.sha256(pack / path),
            }
        )
    note = (
        "Information produced by the entity, one row a table; source, identity and time are on the Cover, "
        "hashes of the raw pages in snapshot/coverage.json."
    )
    return Sheet(
        name="IPE", note=note, frame=pd.DataFrame(rows), auditor=("Tickmark", "Auditor ref"), fixed=2, widest=36
    )


def _command(kinds: Sequence[type[Kind]]) -> str:
    """What counts the objects that a table was made from."""
    return f"kubectl get {','.join(resource(kind) for kind in kinds)} -A -o name | wc -l" if kinds else ""


def index(pack: Path, tests: Tests, *, without: str) -> Sheet:
    """One row a file that the numbers rest on.

    Notebooks and pages hold times of their own and would change the workbook's bytes: the manifest lists them.
    """
    rows = []
    for path in sorted(p for p in pack.rglob("*") if p.is_file()):
        name = path.relative_to(pack).as_posix()
        if name in (without, *LATER) or name.startswith(("notebooks/", "binder/")):
            continue
        controls, retained = _used(name, tests)
        rows.append(
            {
                "File": Link(text=name, target=name),
                "What": retained,
                "Controls": controls,
                "Size": path.stat().st_size,
                "sha256": seal.sha256(path),
            }
        )
    note = "Files that the numbers rest on. manifest.json lists every file of the pack with its hash, and the signature where there is one."
    return Sheet(name="Evidence index", note=note, frame=pd.DataFrame(rows), widest=66)


def _used(name: str, tests: Tests) -> tuple[str, str]:
    """Controls that a file is evidence of, and what it is."""
    folder, _, file = name.partition("/")
    stem = Path(name).name.partition(".")[0]
    if folder == "tables":
        users = [id for id, r in tests.results.items() if stem in r.check.reads]
        return ", ".join(sorted({c.id for id in users for c in tests.controls[id]})), declared(stem).title
    if folder == "results" and stem in tests.results:
        part = "population with verdicts" if file.startswith("populations/") else "exceptions"
        return tests.control_ids(stem), f"{stem}: {part}"
    said = {
        "results": "one row a test",
        "inputs": "an input that influences numbers",
        "listings": "the whole of a sheet",
        "snapshot": "kept objects, coverage and origin: what everything is computed from",
    }
    return "", said[folder]


def dictionary(snapshot: Snapshot) -> Sheet:
    """One row a column of every table."""
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
    note = "Every column of every table. Columns of one name in two tables join; the key names a row."
    return Sheet(name="Data dictionary", note=note, frame=pd.DataFrame(rows), fixed=2, widest=90)


def glossary() -> Sheet:
    """Words of the workbook, and a legend of tickmarks for those who write in it."""
    frame = pd.DataFrame(GLOSSARY, columns=["Word", "Meaning"])
    return Sheet(
        name="Glossary and tickmarks",
        note="Words of this workbook; tickmarks are for the auditor.",
        frame=frame,
        widest=110,
    )
