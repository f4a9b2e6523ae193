"""English sentences made from results, so that prose cannot contradict a number."""

from collections.abc import Iterable, Mapping, Sequence

from auditkit.capture.snapshot import Coverage, in_short
from auditkit.declare import SEVERITIES
from auditkit.evaluate import CONCLUSIONS, Conclusion, Result, Snapshot
from auditkit.kinds import asked_as

CAVEATS: tuple[str, ...] = (
    "People are not Kubernetes objects: subjects are names. Who stands behind a user or group is known to the "
    "identity provider; holders of client certificates of system:masters cannot be listed through the API.",
    "Approval and intent lie in tickets and reviews, which this evidence does not hold.",
    "This is the state at one time. What appeared and disappeared before or after it cannot be seen here.",
    "The control plane of a managed cluster is the provider's: its own SOC 2 report covers it.",
    "Encryption of etcd and settings of a managed control plane are visible through the provider's API only.",
    "Results are management's tests. Whether a control is suitably designed and operated is the auditor's to judge.",
)


# How the time of a snapshot is known, by `origin.dated_by`.
DATED: Mapping[str, str] = {
    "server Date header": "by the Date header of the server's first answer",
    "recorded-as": "as stated by the supplier of the files, in their file recorded-as; not verified by auditkit",
    "--taken-at": "as stated by whoever ran auditkit, with --taken-at; not verified by auditkit",
}


def count(number: int, noun: str, plural: str = "") -> str:
    """ "1 row", "2 rows"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def taken(snapshot: Snapshot) -> str:
    """When and of what: the opening of every statement."""
    origin = snapshot.origin
    when = f"as of {origin.taken_at:%Y-%m-%d %H:%M} UTC" if origin.taken_at else "undated"
    return f"cluster {origin.cluster}, {when}"


def as_of(snapshot: Snapshot) -> str:
    """The time of the snapshot and who says so."""
    origin = snapshot.origin
    if origin.taken_at is None:
        return "undated: nothing says when; tests that need the time are undetermined"
    skew = origin.clock_skew_seconds
    beside = f"; the clock that ran auditkit differs by {skew:,} s" if skew else ""
    known = DATED.get(origin.dated_by, origin.dated_by)
    return f"{origin.taken_at:%Y-%m-%d %H:%M:%S} UTC, {known}{beside}"


def completeness(snapshot: Snapshot) -> str:
    """What was read and what was not, in one paragraph."""
    states = [c.state for c in snapshot.coverage]
    kept = sum(c.kept for c in snapshot.coverage if c.state == "collected")
    text = f"{count(kept, 'object')} of {count(states.count('collected'), 'kind')} were completely read."
    if snapshot.incomplete:
        text += f" Evidence is incomplete: {in_short(snapshot.incomplete)}. Tests that need these kinds are not passed."
    excluded = [c.resource for c in snapshot.coverage if c.state == "excluded"]
    if excluded:
        text += f" Left out by policy: {', '.join(excluded)}."
    unread = [c for c in snapshot.coverage if c.state == "not read"]
    if unread:
        objects = count(sum(c.seen for c in unread), "object")
        were = "was" if len(unread) == 1 else "were"
        text += f" A further {count(len(unread), 'kind')} ({objects}) {were} listed but not read, as no test uses them."
    if snapshot.origin.basis == "as supplied":
        text += " The objects are as supplied in files: nobody's list shows that they are all."
    elif not snapshot.origin.server:
        text += " The lists were supplied in files: that they are whole is their supplier's statement, not verified by auditkit."
    return text


def remedy(coverage: Coverage) -> str:
    """How evidence of a kind that was not completely read can be had."""
    resource, secret = coverage.resource, coverage.resource == "secrets"
    match coverage.state:
        case "excluded" if "needs --" in coverage.note:
            return f"capture again with {coverage.note.partition('needs ')[2]}"
        case "excluded" if secret:
            return "capture again with --secrets (metadata), or --tls-secrets for public certificates as well"
        case "excluded":
            return "left out by policy; it is not evidence of a state"
        case "denied":
            return "let the reading identity list it (`auditkit role` prints the least ClusterRole), then capture again"
        case "failed" if coverage.resource.startswith("*.") and not coverage.kind:
            group = coverage.resource.removeprefix("*.")
            return f"`kubectl get apiservices | grep {group}` names what does not answer; repair it, then capture again"
        case "failed":
            return f"see why `kubectl get {asked_as(resource)}` does not answer, or add its list to the files; then capture again"
        case "partial" if resource.startswith("imports/"):
            return "supply the document again, whole, and of the time that is asked for"
        case "partial":
            return "capture again; correct the objects that are named as malformed"
        case "not supplied":
            return f"name the document in auditkit.toml: `[imports]`, `{resource.partition('/')[2]} = ...`"
        case "not read":
            return "capture again with this version of auditkit, which reads this kind"
    return ""


def gravest(results: Iterable[Result]) -> list[str]:
    """Tests with exceptions by severity, each with its counts: "critical: RBAC-01 (3 of 114)"."""
    found = [r for r in results if r.conclusion == "exceptions"]
    lines = []
    for severity in SEVERITIES:
        named = [
            f"{r.check.id} ({len(r.exceptions):,} of {len(r.population):,})"
            for r in found
            if r.check.severity == severity
        ]
        if named:
            lines.append(f"{severity[:1].upper()}{severity[1:]}: {', '.join(named)}.")
    return lines


def missing(results: Iterable[Result], snapshot: Snapshot) -> list[str]:
    """Tests that were not run for want of evidence: one sentence a reason, with the way to get it."""
    found: dict[str, list[Result]] = {}
    for result in results:
        if result.conclusion == "not collected":
            found.setdefault(result.note, []).append(result)
    return [
        f"Not tested, as evidence is missing: {', '.join(r.check.id for r in those)}. {note}. To get it: {ways(those[0], snapshot)}."
        for note, those in found.items()
    ]


def ways(result: Result, snapshot: Snapshot) -> str:
    """How the evidence that a test lacks can be had."""
    states = snapshot.tables.incomplete(result.check.reads).values()
    return "; ".join(dict.fromkeys(filter(None, map(remedy, states))))


def sentence(result: Result, *, named: bool = True) -> str:
    """What one check found, with its id and title or without."""
    about = f"{result.check.id} ({result.title}): " if named else ""
    match result.conclusion:
        case "exceptions" | "no exceptions" | "undetermined":
            text = f"{about}{judged(result)}."
            return text + (f" {result.note[:1].upper()}{result.note[1:]}." if result.note else "")
        case "not collected":
            return f"{about}not tested, as evidence is missing: {result.note}."
        case "inherited":
            return f"{about}not tested here; {result.note}."
        case "no population":
            return f"{about}nothing to test" + (f", {result.note}." if result.note else ".")
        case "error":
            return f"{about}the test itself failed: {result.note}"


def judged(result: Result) -> str:
    """The rows of a population by verdict: "77 rows: 1 exception, 22 not judged, 54 without"."""
    population, found, open_ = len(result.population), len(result.exceptions), len(result.undetermined)
    waived = f" ({result.waived:,} waived)" if result.waived else ""
    parts = [
        count(found, "exception") + waived if found else "no exception",
        f"{open_:,} not judged" if open_ else "",
        f"{population - found - open_:,} without" if found or open_ else "",
    ]
    return f"{count(population, 'row')}: {', '.join(filter(None, parts))}"


def unjudged(results: Iterable[Result]) -> str:
    """Rows that could not be judged, and in how many tests: "172 rows in 23 tests"; empty where there are none."""
    open_ = [len(r.undetermined) for r in results if len(r.undetermined)]
    return f"{count(sum(open_), 'row')} in {count(len(open_), 'test')}" if open_ else ""


def conclude(results: Sequence[Result], snapshot: Snapshot) -> str:
    """The conclusion over several checks: counts by conclusion, never a score."""
    if not results:
        return "No tests belong to this workpaper."
    tallied = tally(results)
    exceptions = sum(len(r.exceptions) for r in results)
    text = f"Based on {count(len(results), 'test')} of {taken(snapshot)}: {counts(results)}."
    waived = sum(r.waived for r in results)
    text += (
        f" {count(exceptions, 'exception')} in total{f', {waived:,} of them waived' if waived else ''}."
        if exceptions
        else ""
    )
    if tallied["not collected"] or tallied["error"]:
        text += " Evidence is missing for the tests so marked; they are not passed."
    open_ = unjudged(results)
    if open_:
        text += f" {open_} could not be judged from this evidence; they are not passed."
    return text


def counts(results: Sequence[Result]) -> str:
    """How many tests ended how: "3 with exceptions; 2 undetermined; 2 without exceptions"."""
    return worded(tally(results).items())


def found(results: Sequence[Result]) -> str:
    """What a workpaper's tests found: how many ended how, and the rows that none of them could judge."""
    open_ = unjudged(results)
    return counts(results) + (f". {open_} could not be judged" if open_ else "")


def worded(counts: Iterable[tuple[str, int]]) -> str:
    """Counts of tests by conclusion in words."""
    return "; ".join(f"{n} {_SAID.get(c, c)}" for c, n in counts if n)


_SAID: dict[str, str] = {
    "error": "that could not be run",
    "exceptions": "with exceptions",
    "not collected": "not tested, as evidence is missing",
    "undetermined": "without exceptions, but with rows that could not be judged",
    "inherited": "inherited from the provider",
    "no population": "without a population",
    "no exceptions": "without exceptions",
}


def tally(results: Iterable[Result]) -> dict[Conclusion, int]:
    """How many results have each conclusion, in order of precedence."""
    found = [result.conclusion for result in results]
    return {conclusion: found.count(conclusion) for conclusion in CONCLUSIONS}
