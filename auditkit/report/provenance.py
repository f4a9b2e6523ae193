"""Sheets that say where the numbers come from: IPE, evidence index, data dictionary, glossary and tickmarks."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from auditkit import seal
from auditkit.capture.imports import READERS, Import, Loaded
from auditkit.capture.snapshot import file_of
from auditkit.declare import TABLES, kinds_of, spine_of
from auditkit.evaluate import Snapshot, declared
from auditkit.kinds import Kind, Record, asked_as, resource
from auditkit.report import narrative, source
from auditkit.report.listings import IPE, Tests
from auditkit.report.workbook import Link, Sheet

# Written after the workbook.
LATER = ("index.html", "run.json", "VERIFY.md", "manifest.json", "SHA256SUMS", "manifest.dsse.json")

GLOSSARY = (
    ("Population", "All rows that a test examines: the first table it reads. Nothing is sampled."),
    ("Exception", "A row of the population that does not meet what the test states."),
    (
        "Condition",
        "The values that the test looked at, by the names of the data dictionary (– is missing), and the tables compared.",
    ),
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
    ("Yellow", "Columns for the auditor: blank and unlocked. auditkit never writes there."),
    ("Blue", "Columns for management: blank and unlocked."),
    (
        "(proposed)",
        "auditkit's draft of an attribute of a control, until management confirms it or states its own in a file.",
    ),
    (
        "Objects examined",
        "Distinct objects (kind, namespace, name) in the populations of a control's tests; an object may be several rows.",
    ),
    (
        "Tickmark A",
        "Objects agreed to the listing of the API server: counts by kind of sheet IPE, from which it leads to the rows of a population.",
    ),
    ("Tickmark B", "Approval inspected, dated before the change or the access."),
    ("Tickmark C", "Reviewer is not the subject and did not grant the access."),
    ("Tickmark F", "Footed: rows counted again."),
    ("Tickmark IPE", "Completeness and accuracy of the listing tested; see sheet IPE."),
    ("Tickmark R", "Performed again with the predicate of sheet Tests, with the same result."),
    ("Tickmark v", "No exception."),
    ("Tickmark X", "Exception; see its id."),
    ("Tickmark N/A", "Not applicable."),
)


# The type of a column in words.
TYPES: Mapping[str, str] = {
    "string": "text",
    "boolean": "yes or no",
    "Int64": "whole number",
    "Float64": "number",
    "datetime64[us, UTC]": "time, UTC",
    "object": "list of texts",
}


def ipe(pack: Path, snapshot: Snapshot, tests: Tests) -> Sheet:
    """One row a table: source, request, completeness, how objects become rows, hash."""
    note = (
        "Information produced by the entity, one row a table; source, identity and time are on the Cover, hashes of the raw "
        "pages in snapshot/coverage.json. Counting in the snapshot must give Objects kept; the cluster of today may differ. "
        "Objects to rows leads from there to Rows."
    )
    return Sheet(
        name=IPE,
        note=note,
        frame=pd.DataFrame([_table(pack, name, snapshot, tests) for name in snapshot.tables]),
        auditor=("Tickmark", "Auditor ref"),
        fixed=2,
        listing=True,
        widest=36,
        widths={"What a row is": 70, "Objects to rows": 60, "Filters": 110, "Count in the snapshot": 90},
    )


def _table(pack: Path, name: str, snapshot: Snapshot, tests: Tests) -> dict[str, Any]:
    frame, table = snapshot.tables[name], declared(name)
    spine, every = spine_of(name), kinds_of(name)
    own = [kind for kind in spine if issubclass(kind, Kind)]
    states = [*{resource(kind): snapshot.state(kind) for kind in spine}.values()]
    lacking = list(snapshot.tables.incomplete([name]).values())
    users = [id for id, r in tests.results.items() if name in r.check.reads]
    tested = [id for id in users if tests.results[id].check.population == name]
    return {
        "Evidence id": f"IPE-{name}",
        "Table": Link(text=name, target=f"tables/{name}.parquet"),
        "What a row is": " ".join(table.doc.split()),
        "Tests with it as population": len(tested),
        "Tests that also read it": len(users) - len(tested),
        "Controls": ", ".join(sorted({c.id for id in users for c in tests.controls[id]})),
        "Complete": "no" if lacking else "yes",
        "Missing": "; ".join(f"{c.resource} {c.state}" for c in lacking),
        "How to get it": "; ".join(dict.fromkeys(filter(None, map(narrative.remedy, lacking)))),
        "Objects read": sum(c.seen for c in states),
        "Objects kept": sum(len(snapshot.objects[kind]) for kind in spine),
        "Kept by kind": "; ".join(
            f"{_named(kind)} {len(snapshot.objects[kind]):,}" for kind in spine if _served(kind, snapshot)
        ),
        "Not served": ", ".join(c.resource for c in states if c.state == "not served"),
        "Objects to rows": _bridge(frame, own, snapshot),
        "Rows": len(frame),
        "Rows by kind": "; ".join(f"{kind} {n:,}" for kind, n in _kinds(frame).items()),
        "Also looks at": ", ".join(resource(k) for k in every if k not in own and snapshot.state(k).kept),
        "Computed from": ", ".join(TABLES[name].reads) if name in TABLES else "",
        "Repeated keys": int(frame[list(table.key)].duplicated().sum()),
        "Filters": source.filters(snapshot),
        "resourceVersion": ", ".join(sorted({c.resource_version for c in states if c.resource_version})),
        "Pages": sum(len(c.pages) for c in states),
        "Lists restarted": sum(c.restarts for c in states),
        "Count in the snapshot": _count_files(spine, snapshot),
        "Count in the cluster of today": _count_cluster(own, snapshot),
        "sha256 of table": seal.sha256(pack / "tables" / f"{name}.parquet"),
    }


def _named(kind: type[Kind] | type[Record]) -> str:
    """A kind as kubectl names it; of an import's records which of them, as it may have several classes."""
    return f"{resource(kind)}: {kind.plural}" if issubclass(kind, Record) else resource(kind)


def _served(kind: type[Kind] | type[Record], snapshot: Snapshot) -> bool:
    return snapshot.state(kind).state not in ("not served", "not supplied")


def _kinds(frame: pd.DataFrame) -> Mapping[str, int]:
    return Counter(sorted(frame["kind"].dropna())) if "kind" in frame else {}


def _bridge(frame: pd.DataFrame, own: Sequence[type[Kind]], snapshot: Snapshot) -> str:
    """From the objects that were kept to the rows: a sum that foots, whatever the table's rows are."""
    if not own or not {"kind", "namespace", "name"} <= set(frame):
        return ""
    objects = [(kind.kind, one.namespace, one.name) for kind in own for one in snapshot.objects[kind]]
    named = set(frame[["kind", "namespace", "name"]].fillna("").itertuples(index=False, name=None))
    absent = Counter(kind for kind, *place in objects if (kind, *place) not in named)
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in sorted(absent.items()))
    parts = (
        (-absent.total(), f"without a row under their own name ({kinds})"),
        (len(named - {*objects}), "that rows name from elsewhere"),
        (len(frame) - len(named), "rows of objects that have one already"),
    )
    steps = "".join(f" {'-' if n < 0 else '+'} {abs(n):,} {text}" for n, text in parts if n)
    return f"{narrative.count(len(objects), 'object')}{steps} = {narrative.count(len(frame), 'row')}"


def _count_files(own: Sequence[type[Kind] | type[Record]], snapshot: Snapshot) -> str:
    """The command that counts the kept objects or records in the pack, one a line of its files."""
    files = [
        f"inputs/imports/{kind.plural}.jsonl.zst" if issubclass(kind, Record) else f"snapshot/objects/{file_of(kind)}"
        for kind in own
        if snapshot.state(kind).kept
    ]
    return f"zstdcat {' '.join(files)} | wc -l" if files else ""


def _count_cluster(own: Sequence[type[Kind]], snapshot: Snapshot) -> str:
    """The command that counts the same kinds in the cluster; kubectl fails on one that is not served."""
    read = [asked_as(resource(kind)) for kind in own if snapshot.state(kind).state in ("collected", "partial")]
    return f"kubectl get {','.join(read)} -A -o name | wc -l" if read else ""


def imports(loaded: Iterable[Loaded]) -> Sheet:
    """One row per import, those that nobody supplied among them: files and hashes, tool, date, counts, what is missing."""
    there = {one.about.source: one.about for one in loaded}
    rows = []
    for source_, reader in sorted(READERS.items()):
        about = there.get(source_) or Import(source=source_, state="not supplied")
        when = f"{about.made_at:%Y-%m-%d %H:%M} UTC ({about.dated_by})" if about.made_at else ""
        rows.append(
            {
                "Import": source_,
                "What": reader.doc,
                "State": about.state,
                "Note": about.note,
                "Format": about.format,
                "Tool": about.tool,
                "Supplied by": about.by,
                "Made at": when,
                "Cluster named": about.cluster,
                "Records in the files": about.rows,
                "Not readable": about.malformed_count,
                "Where": "; ".join(f"{m.name}: {m.fault}" for m in about.malformed[:5]),
                "Kept": "; ".join(f"{name} {n:,}" for name, n in sorted(about.kept.items())),
                "Files": "\n".join(f"{f.name} ({f.size:,} bytes)" for f in about.files),
                "sha256 of files": "\n".join(f.sha256 for f in about.files),
            }
        )
    note = (
        "Documents that others made, read once into the records that tests use (inputs/imports/); the files themselves are not in "
        "this pack: whoever holds them checks them by the hash. Too old, undated or partly unreadable is partial: no test passes on it."
    )
    return Sheet(name="Imports", note=note, frame=pd.DataFrame(rows), auditor=("Auditor ref",), fixed=1, widest=44)


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
    return Sheet(name="Evidence index", note=note, frame=pd.DataFrame(rows), listing=True, widest=66)


def _used(name: str, tests: Tests) -> tuple[str, str]:
    """Controls that a file is evidence of, and what it is."""
    folder, _, file = name.partition("/")
    stem = Path(name).name.partition(".")[0]
    if folder == "tables":
        users = [id for id, r in tests.results.items() if stem in r.check.reads]
        return ", ".join(sorted({c.id for id in users for c in tests.controls[id]})), declared(stem).title
    if folder == "results" and stem in tests.results:
        part = {"populations": "population with verdicts", "undetermined": "rows not judged"}.get(
            file.partition("/")[0]
        )
        return tests.control_ids(stem), f"{stem}: {part or 'exceptions'}"
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
            "Type": TYPES[c.dtype],
            "Key": "yes" if c.name in declared(name).key else "",
            "Meaning": c.doc,
        }
        for name in snapshot.tables
        for c in declared(name).columns
    ]
    note = "Every column of every table. Columns of one name in two tables join; the key names a row."
    return Sheet(name="Data dictionary", note=note, frame=pd.DataFrame(rows), fixed=2, listing=True, widest=90)


def glossary(more: Sequence[tuple[str, str]] = ()) -> Sheet:
    """Words of the workbook, `more` before them, and a legend of tickmarks for those who write in it."""
    frame = pd.DataFrame([*more, *GLOSSARY], columns=["Word", "Meaning"])
    return Sheet(
        name="Glossary and tickmarks",
        note="Words of this workbook; tickmarks are for the auditor.",
        frame=frame,
        widest=110,
    )
