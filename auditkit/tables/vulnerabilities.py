"""What is known to be vulnerable: components by their version, and what a scanner in the cluster reports."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.components import recognise, vulnerabilities
from auditkit.analysis.images import ImageReference, parsed
from auditkit.analysis.selectors import some
from auditkit.capture.imports.image_scans import severity
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.delivery import Artifact, Found, Registry, VulnerabilityReport
from auditkit.kinds.delivery import Report as Scan
from auditkit.kinds.reports import (
    Counted,
    Manifest,
    Manifests,
    Severities,
    VulnerabilityManifestSummary,
    VulnerabilitySummarySpec,
)
from auditkit.tables.containers import PLACE, ContainerPlace
from auditkit.tables.reports import moment


@view("known_components", key=("namespace", "kind", "name", "component", "version"))
class KnownComponent:
    """One row per workload or node and version of a component that data/components.toml knows.

    Of images the tag is taken for the version, of nodes what the kubelet reports.
    """

    namespace: Annotated[str, "Namespace of the workload; empty for a Node."]
    kind: Annotated[str, "Kind of the top owner, or Node."]
    name: Annotated[str, "Name of the object."]
    component: Annotated[str, "Name of the component."]
    version: Annotated[str | None, "Version, as the tag or the node says; missing where an image has no tag."]
    cves: Annotated[list[str], "Vulnerabilities that were published of the version."]
    vulnerable: Annotated[bool | None, "There is one; missing where the version is not a full one."]

    @staticmethod
    def frame(images: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
        runtime = nodes.runtime.str.extract(r"^containerd://(.*)$", expand=False)
        place = ["namespace", "kind", "name"]
        parts = [
            images[place].assign(component=images.repository.map(recognise, na_action="ignore"), version=images.tag),
            nodes[place].assign(component="kubelet", version=nodes.kubelet_version),
            nodes[place].assign(component="containerd", version=runtime)[runtime.notna()],
        ]
        found = pd.concat([part.astype("string") for part in parts], ignore_index=True)
        found = found[found.component.notna()].drop_duplicates(ignore_index=True)
        texts = list(zip(found.component, found.version.fillna(""), strict=True))
        known = {pair: vulnerabilities(*pair) for pair in set(texts)}
        cves = [[cve for cve, has in known[pair].items() if has] for pair in texts]
        return found.assign(
            cves=pd.Series(cves, index=found.index, dtype=object),
            vulnerable=pd.Series([some(known[pair].values()) for pair in texts], index=found.index, dtype="boolean"),
        )


# Statuses of Kubescape with which a summary is whole (github.com/kubescape/k8s-interface, instanceidhandler/v1/helpers).
WHOLE = ("", "ready", "completed", "learning")


@table(
    "vulnerability_reports",
    kinds=(VulnerabilityReport, VulnerabilityManifestSummary),
    key=("namespace", "kind", "name"),
)
class VulnerabilityReportRow:
    """One row per report on the image of a container that a scanner in the cluster wrote.

    Reports are VulnerabilityReports of trivy-operator and VulnerabilityManifestSummaries of Kubescape. A summary that names no
    manifest and counts nothing was written before the scan, or was listed without its content: it says nothing.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "VulnerabilityReport or VulnerabilityManifestSummary."]
    name: Annotated[str, "Name of the report."]
    scanner: Annotated[str, "trivy-operator or Kubescape."]
    image: Annotated[str | None, "Repository with its registry, as runtimes spell it; missing where it is none."]
    tag: Annotated[str | None, "Tag that was scanned."]
    digest: Annotated[str | None, "Digest that was scanned."]
    scanned_at: Annotated[datetime | None, "When the report was last written by the scanner."]
    whole: Annotated[
        bool,
        "The scan came to its end, what it counts was read, and the image's distribution is supported: of another nobody publishes vulnerabilities.",
    ]
    listed: Annotated[bool, "Each vulnerability is in report_findings; Kubescape's summary only counts them."]
    critical: Annotated[int | None, "Number of critical vulnerabilities."]
    high: Annotated[int | None, "Number of high vulnerabilities."]
    medium: Annotated[int | None, "Number of medium vulnerabilities."]
    low: Annotated[int | None, "Number of low vulnerabilities."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[VulnerabilityReport]:
            report = found.report or Scan()
            artifact, summary = report.artifact or Artifact(), report.summary or Found()
            image = _scanned(report.registry or Registry(), artifact)
            yield (
                found.namespace, "VulnerabilityReport", found.name, "trivy-operator", image and image.repository,
                artifact.tag or None, artifact.digest or None, report.update_timestamp,
                not (report.os and report.os.eosl), True,
                summary.critical_count, summary.high_count, summary.medium_count, summary.low_count,
            )  # fmt: skip
        for counted in objects[VulnerabilityManifestSummary]:
            yield _summary(counted)


def _summary(found: VulnerabilityManifestSummary) -> tuple[Any, ...]:
    """A row of vulnerability_reports; what makes a summary whole is `summaryHasVulnerabilityData` of kubevuln."""
    spec = found.spec or VulnerabilitySummarySpec()
    said = spec.severities or Severities()
    counts = [
        (severity or Counted()).all
        for severity in (said.critical, said.high, said.medium, said.low, said.negligible, said.unknown)
    ]
    manifest = (spec.vulnerabilities_ref or Manifests()).all or Manifest()
    whole = found.annotations.get("kubescape.io/status", "") in WHOLE and (any(counts) or bool(manifest.name))
    named = parsed(found.annotations.get("kubescape.io/image-tag", ""))
    id = parsed(found.annotations.get("kubescape.io/image-id", "").rpartition("://")[2])
    image = id or named
    return (
        found.namespace, "VulnerabilityManifestSummary", found.name, "Kubescape", image and image.repository,
        named and (named.tag or (None if named.digest else "latest")), image and (image.digest or None),
        _seconds(found.annotations.get("kubescape.io/timestamp", "")), whole, whole and not any(counts),
        *(counts[:4] if whole else [None] * 4),
    )  # fmt: skip


@table(
    "report_findings", kinds=(VulnerabilityReport,), key=("namespace", "name", "vulnerability", "package", "version")
)
class ReportFinding:
    """One row per vulnerability of a package in a VulnerabilityReport of trivy-operator."""

    namespace: Annotated[str, "Namespace of the report."]
    kind: Annotated[str, "VulnerabilityReport."]
    name: Annotated[str, "Name of the report."]
    vulnerability: Annotated[str, "Its id, e.g. of CVE."]
    package: Annotated[str, "Name of the package."]
    version: Annotated[str | None, "Version that is installed."]
    purl: Annotated[str | None, "Package URL; reports of older versions have none."]
    fixed_version: Annotated[str | None, "Version that corrects it; missing where there is none."]
    severity: Annotated[str | None, "critical, high, medium or low; missing where the scanner knows none."]
    published: Annotated[datetime | None, "When it was published; missing where the report does not say."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[VulnerabilityReport]:
            # A package can be found in several places of an image.
            listed = {
                (v.vulnerability_id, v.resource, v.installed_version or None): v
                for v in (found.report or Scan()).vulnerabilities or ()
            }
            for key, v in listed.items():
                yield (
                    found.namespace, "VulnerabilityReport", found.name, *key, v.package_purl or None,
                    v.fixed_version or None, severity(v.severity), moment(v.published_date),
                )  # fmt: skip


def _seconds(text: str) -> datetime | None:
    """The moment that seconds since 1970 name; None where the text is none."""
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _scanned(registry: Registry, artifact: Artifact) -> ImageReference | None:
    return parsed(f"{registry.server}/{artifact.repository}" if registry.server else artifact.repository)


@view("scanned_images", key=PLACE)
class ScannedImage(ContainerPlace):
    """One row per container whose image is named, and whether a report is about it; none where there are no reports."""

    reference: Annotated[str | None, "The image's reference spelled out."]
    reported: Annotated[
        bool | None,
        "A report is about its digest or, without one, its tag; missing where it is none, or where that report is not whole.",
    ]

    @staticmethod
    def frame(images: pd.DataFrame, vulnerability_reports: pd.DataFrame) -> pd.DataFrame:
        if vulnerability_reports.empty:
            return images.iloc[:0].assign(reported=pd.Series(dtype="boolean"))
        repository = images.registry + "/" + images.repository
        tags = images.tag.fillna("latest")

        def among(reports: pd.DataFrame) -> pd.Series:
            by_digest = (repository + "@" + images.digest).isin((reports.image + "@" + reports.digest).dropna())
            by_tag = (repository + ":" + tags).isin((reports.image + ":" + reports.tag).dropna())
            return by_digest.where(images.digest.notna(), by_tag).astype("boolean")

        whole = among(vulnerability_reports[vulnerability_reports.whole])
        begun = among(vulnerability_reports) & ~whole
        return images.assign(reported=whole.mask(begun | ~images.valid))
