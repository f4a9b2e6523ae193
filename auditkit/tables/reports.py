"""What policy engines and scanners report: tests done by others, their age, and where they reported nothing."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import Namespace
from auditkit.kinds.policies import Constraint
from auditkit.kinds.reports import (
    ClusterPolicyReport,
    OpenClusterReport,
    OpenReport,
    PolicyReport,
    ReportObject,
    ReportResult,
    ReportSummary,
)
from auditkit.kinds.workloads import Pod
from auditkit.tables.namespaces import SYSTEM

AnyReport = PolicyReport | ClusterPolicyReport | OpenReport | OpenClusterReport
REPORTS = (PolicyReport, ClusterPolicyReport, OpenReport, OpenClusterReport)


def _reports(objects: Objects) -> Iterator[AnyReport]:
    yield from objects[PolicyReport]
    yield from objects[ClusterPolicyReport]
    yield from objects[OpenReport]
    yield from objects[OpenClusterReport]


def _source(report: AnyReport, result: ReportResult) -> str | None:
    """Who found it: the result says, or the report for all (openreports.io v1alpha1 Report)."""
    return result.source or (report.source if isinstance(report, OpenReport | OpenClusterReport) else None) or None


@table("policy_reports", kinds=REPORTS, key=("namespace", "kind", "name"))
class PolicyReportRow:
    """One row per PolicyReport, ClusterPolicyReport, Report and ClusterReport: what engines found in objects that exist."""

    namespace: Annotated[str, "Namespace; empty for a report about cluster-scoped objects."]
    kind: Annotated[str, "Kind of the report."]
    name: Annotated[str, "Name of the report."]
    sources: Annotated[list[str], "Engines that wrote results."]
    passed: Annotated[int | None, "Results `pass`; missing where the report has neither summary nor results."]
    failed: Annotated[int | None, "Results `fail`."]
    warned: Annotated[int | None, "Results `warn`."]
    errors: Annotated[int | None, "Results `error`: the policy could not be evaluated."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for report in _reports(objects):
            sources = sorted({source for result in report.results or () if (source := _source(report, result))})
            yield (report.namespace, report.kind, report.name, sources, *_counts(report))


def _counts(report: AnyReport) -> tuple[int | None, ...]:
    """Pass, fail, warn and error: the larger of summary and results, which an engine may cut short."""
    if report.summary is None and report.results is None:
        return (None,) * 4
    summary, counted = report.summary or ReportSummary(), Counter(r.result for r in report.results or ())
    return (
        max(summary.passed or 0, counted["pass"]),
        max(summary.fail or 0, counted["fail"]),
        max(summary.warn or 0, counted["warn"]),
        max(summary.error or 0, counted["error"]),
    )


@table(
    "reported_results",
    kinds=(*REPORTS, Constraint),
    key=("report", "source", "policy", "rule", "namespace", "kind", "name"),
)
class ReportedResult:
    """One row per result that another tool reports about an object: a test done by others, as that tool says it.

    Results come from PolicyReports (wgpolicyk8s.io), Reports (openreports.io) and the violations that Gatekeeper's
    audit writes into the status of a constraint. An engine may cut its lists short: the counts of `policy_reports`, and
    `violations` of `constraints`, are the whole. Of several results of one rule about one object the worst is shown.
    """

    namespace: Annotated[str, "Namespace of the object; empty where it is cluster-scoped."]
    kind: Annotated[str, "Kind of the object; that of the report where it names none."]
    name: Annotated[str, "Name of the object; that of the report where it names none."]
    source: Annotated[str, "Engine that found it; `unknown` where it does not say."]
    policy: Annotated[str, "Policy, or KIND/NAME of the constraint."]
    rule: Annotated[str, "Rule of the policy; may be empty."]
    result: Annotated[str | None, "pass, fail, warn, error or skip."]
    severity: Annotated[str | None, "critical, high, medium, low or info, where the policy has one."]
    at: Annotated[datetime | None, "When it was found; missing where the report does not say."]
    report: Annotated[str, "KIND/NAME of the report."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found: dict[tuple[str, ...], tuple[Any, ...]] = {}
        for row in [*_results(objects), *_violations(objects)]:
            key = (*row[:6], row[-1])
            if key not in found or _weight(row[6]) > _weight(found[key][6]):
                found[key] = row
        yield from found.values()


def _weight(result: str | None) -> int:
    order = ("pass", "skip", "warn", None, "error", "fail")
    return order.index(result) if result in order else order.index(None)


def _results(objects: Objects) -> Iterator[tuple[Any, ...]]:
    for report in _reports(objects):
        whole = report.scope or ReportObject(kind=report.kind, namespace=report.namespace, name=report.name)
        for one in report.results or ():
            at = datetime.fromtimestamp(one.timestamp.seconds, UTC) if one.timestamp and one.timestamp.seconds else None
            for about in one.resources or [whole]:
                yield (
                    about.namespace or "", about.kind or "", about.name or "", _source(report, one) or "unknown",
                    one.policy, one.rule or "", one.result, one.severity, at,
                    "/".join(filter(None, (report.kind, report.namespace, report.name))),
                )  # fmt: skip


def _violations(objects: Objects) -> Iterator[tuple[Any, ...]]:
    """What Gatekeeper's audit found: `fail` where the constraint denies, `warn` where it only warns or is a dry run."""
    for constraint in objects[Constraint]:
        status = constraint.status
        at = moment(status.audit_timestamp) if status else None
        for one in (status and status.violations) or ():
            result = "fail" if (one.enforcement_action or "deny") in ("deny", "scoped") else "warn"
            yield (
                one.namespace or "", one.kind, one.name, "gatekeeper", constraint.name, "", result, None, at,
                f"Constraint/{constraint.name}",
            )  # fmt: skip


def moment(text: str | None) -> datetime | None:
    """A time as Kubernetes writes it; None where it is none."""
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


@view("result_sources", key=("source",))
class ResultSource:
    """One row per tool that reports results, with their number and the newest."""

    namespace: Annotated[str, "Empty: a tool is not in a namespace."]
    kind: Annotated[str, "Source."]
    name: Annotated[str, "The tool, as it calls itself."]
    source: Annotated[str, "The same."]
    results: Annotated[int, "Number of results."]
    failed: Annotated[int, "Of these `fail` and `error`."]
    newest: Annotated[datetime | None, "Time of the newest result; missing where none is dated."]

    @staticmethod
    def frame(reported_results: pd.DataFrame) -> pd.DataFrame:
        bad = reported_results.result.isin(["fail", "error"])
        grouped = reported_results.assign(bad=bad).groupby("source")
        frame = grouped.agg(results=("policy", "size"), failed=("bad", "sum"), newest=("at", "max")).reset_index()
        return frame.assign(namespace="", kind="Source", name=frame.source)


@table("reported_namespaces", kinds=(Namespace,), beside=(Pod, *REPORTS), key=("name",))
class ReportedNamespace:
    """One row per namespace that Kubernetes did not make itself, and the tools that report results there.

    A tool that reports somewhere is installed; where pods run and it reports nothing its tests were not done, or
    nothing matched them. Violations of Gatekeeper are not looked at: it reports no object that passes.
    """

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace."]
    pods: Annotated[int, "Number of its pods."]
    sources: Annotated[list[str], "Tools that report results about objects in it."]
    silent: Annotated[list[str], "Tools that report results elsewhere and none here."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        pods = Counter(pod.namespace for pod in objects[Pod])
        told: dict[str, set[str]] = defaultdict(set)
        for namespace, _, _, source, *_ in _results(objects):
            told[namespace].add(source)
        every = set().union(*(sources for namespace, sources in told.items() if namespace))
        for one in objects[Namespace]:
            if one.name not in SYSTEM:
                here = told.get(one.name, set())
                yield ("", one.kind, one.name, pods[one.name], sorted(here), sorted(every - here))
