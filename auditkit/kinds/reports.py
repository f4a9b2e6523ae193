"""What policy engines and scanners report of the objects that exist: wgpolicyk8s.io, and its successor openreports.io."""

import msgspec

from auditkit.kinds.base import Kind, Struct


class ReportSummary(Struct):
    passed: int | None = msgspec.field(default=None, name="pass")
    fail: int | None = None
    warn: int | None = None
    error: int | None = None
    skip: int | None = None


class Moment(Struct):
    seconds: int = 0


class ReportObject(Struct):
    """An object that a report is about."""

    api_version: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str | None = None


class ReportResult(Struct):
    """One result, without its message."""

    policy: str = ""
    rule: str | None = None
    result: str | None = None
    severity: str | None = None
    source: str | None = None
    timestamp: Moment | None = None
    resources: list[ReportObject] | None = None


class PolicyReport(Kind):
    group, plural, kind, versions = "wgpolicyk8s.io", "policyreports", "PolicyReport", ("v1alpha2",)
    scope: ReportObject | None = None
    summary: ReportSummary | None = None
    results: list[ReportResult] | None = None


class ClusterPolicyReport(Kind):
    group, plural, kind = "wgpolicyk8s.io", "clusterpolicyreports", "ClusterPolicyReport"
    versions, namespaced = ("v1alpha2",), False
    scope: ReportObject | None = None
    summary: ReportSummary | None = None
    results: list[ReportResult] | None = None


class OpenReport(Kind):
    group, plural, kind, versions = "openreports.io", "reports", "Report", ("v1alpha1",)
    source: str | None = None
    scope: ReportObject | None = None
    summary: ReportSummary | None = None
    results: list[ReportResult] | None = None


class OpenClusterReport(Kind):
    group, plural, kind = "openreports.io", "clusterreports", "ClusterReport"
    versions, namespaced = ("v1alpha1",), False
    source: str | None = None
    scope: ReportObject | None = None
    summary: ReportSummary | None = None
    results: list[ReportResult] | None = None


class Counted(Struct):
    """A number of vulnerabilities: all of the image, whether or not its process loads the package."""

    all: int = 0


class Severities(Struct):
    critical: Counted | None = None
    high: Counted | None = None
    medium: Counted | None = None
    low: Counted | None = None
    negligible: Counted | None = None
    unknown: Counted | None = None


class Manifest(Struct):
    name: str = ""


class Manifests(Struct):
    """The VulnerabilityManifests that were counted."""

    all: Manifest | None = None


class VulnerabilitySummarySpec(Struct):
    severities: Severities | None = None
    vulnerabilities_ref: Manifests | None = None


class VulnerabilityManifestSummary(Kind):
    """What Kubescape counts in the image of one container; which image, when and how it ended are annotations.

    A list holds metadata alone, with every count zero, unless it names the resourceVersion `fullSpec`
    (github.com/kubescape/storage, pkg/registry/file).
    """

    group, plural = "spdx.softwarecomposition.kubescape.io", "vulnerabilitymanifestsummaries"
    kind, versions, whole_at = "VulnerabilityManifestSummary", ("v1beta1",), "fullSpec"
    spec: VulnerabilitySummarySpec | None = None
