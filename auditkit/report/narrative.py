"""English sentences made from results, so that prose cannot contradict a number."""

import re
from collections.abc import Iterable, Sequence

from auditkit.capture.snapshot import Coverage, in_short
from auditkit.declare import SEVERITIES
from auditkit.evaluate import CONCLUSIONS, Conclusion, Result, Snapshot
from auditkit.report.frames import said

CAVEATS: tuple[str, ...] = (
    "People are not Kubernetes objects: subjects are names. Who stands behind a user or group is known to the "
    "identity provider; holders of client certificates of system:masters cannot be listed through the API.",
    "Approval and intent lie in tickets and reviews, which this evidence does not hold.",
    "This is the state at one time. What appeared and disappeared before or after it cannot be seen here.",
    "The control plane of a managed cluster is the provider's: its own SOC 2 report covers it.",
    "Encryption of etcd and settings of a managed control plane are visible through the provider's API only.",
    "Results are management's tests. Whether a control is suitably designed and operated is the auditor's to judge.",
)


_SETTING = re.compile(r"`(\w+)`")


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
    return f"{origin.taken_at:%Y-%m-%d %H:%M:%S} UTC ({origin.dated_by})" if origin.taken_at else "undated"


def completeness(snapshot: Snapshot) -> str:
    """What was read and what was not, in one paragraph."""
    states = [c.state for c in snapshot.coverage]
    kept = sum(c.kept for c in snapshot.coverage)
    text = f"{count(kept, 'object')} of {count(states.count('collected'), 'kind')} were completely read."
    if snapshot.incomplete:
        text += f" Evidence is incomplete: {in_short(snapshot.incomplete)}. Tests that need these kinds are not passed."
    excluded = [c.resource for c in snapshot.coverage if c.state == "excluded"]
    if excluded:
        text += f" Left out by policy: {', '.join(excluded)}."
    if snapshot.origin.basis == "as supplied":
        text += " The objects are as supplied in files: nobody's list shows that they are all."
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
        case "failed" if coverage.resource.startswith("*."):
            group = coverage.resource.removeprefix("*.")
            return f"`kubectl get apiservices | grep {group}` names what does not answer; repair it, then capture again"
        case "failed":
            return f"see why `kubectl get {resource}` does not answer, or add its list to the files; then capture again"
        case "partial":
            return "capture again; correct the objects that are named as malformed"
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


def title(result: Result) -> str:
    """What is true of a clean row, with the settings that applied in place of their names."""
    return _SETTING.sub(lambda m: said(result.settings.get(m[1], m[0])), result.check.title)


def sentence(result: Result, *, named: bool = True) -> str:
    """What one check found, with or without its title."""
    population, found, open_ = len(result.population), len(result.exceptions), len(result.undetermined)
    about = f"{result.check.id} ({title(result)})" if named else result.check.id
    beside = f" {count(open_, 'row')} could not be judged." if open_ else ""
    match result.conclusion:
        case "exceptions":
            text = (
                f"{about}: {count(found, 'exception')} in a population of {population:,}, all of it examined.{beside}"
            )
            return text + (f" {result.note[:1].upper()}{result.note[1:]}." if result.note else "")
        case "no exceptions":
            return f"{about}: no exceptions in a population of {population:,}, all of it examined."
        case "undetermined":
            return f"{about}: no exceptions among the rows that could be judged;{beside}"
        case "not collected":
            return f"{about}: not tested, as evidence is missing: {result.note}."
        case "inherited":
            return f"{about}: not tested here; {result.note}."
        case "no population":
            return f"{about}: nothing to test" + (f", {result.note}." if result.note else ".")
        case "error":
            return f"{about}: the test itself failed: {result.note}"


def conclude(results: Sequence[Result], snapshot: Snapshot) -> str:
    """The conclusion over several checks: counts by conclusion, never a score."""
    if not results:
        return "No tests belong to this workpaper."
    tallied = tally(results)
    exceptions = sum(len(r.exceptions) for r in results)
    text = f"Based on {count(len(results), 'test')} of {taken(snapshot)}: {counts(results)}."
    text += f" {count(exceptions, 'exception')} in total." if exceptions else ""
    if tallied["not collected"] or tallied["error"]:
        text += " Evidence is missing for the tests so marked; they are not passed."
    if tallied["undetermined"]:
        text += " An undetermined test has rows that this evidence cannot judge; it is not passed."
    return text


def counts(results: Iterable[Result]) -> str:
    """How many tests ended how: "3 with exceptions; 2 without exceptions"."""
    return worded(tally(results).items())


def worded(counts: Iterable[tuple[str, int]]) -> str:
    """Counts of tests by conclusion in words."""
    return "; ".join(f"{n} {_SAID.get(c, c)}" for c, n in counts if n)


_SAID: dict[str, str] = {
    "error": "that could not be run",
    "exceptions": "with exceptions",
    "not collected": "not tested, as evidence is missing",
    "undetermined": "undetermined",
    "inherited": "inherited from the provider",
    "no population": "without a population",
    "no exceptions": "without exceptions",
}


def tally(results: Iterable[Result]) -> dict[Conclusion, int]:
    """How many results have each conclusion, in order of precedence."""
    found = [result.conclusion for result in results]
    return {conclusion: found.count(conclusion) for conclusion in CONCLUSIONS}
