"""What is known to be vulnerable: components by their version, and what a scanner in the cluster reports."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.components import recognise, vulnerabilities
from auditkit.analysis.images import ImageReference, parse
from auditkit.analysis.selectors import some
from auditkit.capture.imports.image_scans import severity
from auditkit.capture.imports.jsons import moment
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.delivery import Artifact, Found, Registry, VulnerabilityReport
from auditkit.kinds.delivery import Report as Scan


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


@table("vulnerability_reports", kinds=(VulnerabilityReport,), key=("namespace", "name"))
class VulnerabilityReportRow:
    """One row per VulnerabilityReport of trivy-operator: an image of a container that was scanned."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "VulnerabilityReport."]
    name: Annotated[str, "Name of the report."]
    image: Annotated[str | None, "Repository with its registry, as runtimes spell it; missing where it is none."]
    tag: Annotated[str | None, "Tag that was scanned."]
    digest: Annotated[str | None, "Digest that was scanned."]
    scanned_at: Annotated[datetime | None, "When the report was last written by the scanner."]
    critical: Annotated[int | None, "Number of critical vulnerabilities."]
    high: Annotated[int | None, "Number of high vulnerabilities."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[VulnerabilityReport]:
            report = found.report or Scan()
            artifact, summary = report.artifact or Artifact(), report.summary or Found()
            image = _scanned(report.registry or Registry(), artifact)
            yield (
                found.namespace, "VulnerabilityReport", found.name, image and image.repository,
                artifact.tag or None, artifact.digest or None, report.update_timestamp,
                summary.critical_count, summary.high_count,
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
                    v.fixed_version or None, severity(v.severity), _published(v.published_date),
                )  # fmt: skip


def _published(text: str | None) -> datetime | None:
    try:
        return moment(datetime.fromisoformat(text)) if text else None
    except ValueError:
        return None


def _scanned(registry: Registry, artifact: Artifact) -> ImageReference | None:
    try:
        return parse(f"{registry.server}/{artifact.repository}" if registry.server else artifact.repository)
    except ValueError:
        return None


@view("scanned_images", key=("namespace", "kind", "name", "role", "container", "variant"))
class ScannedImage:
    """One row per container whose image is named, and whether a report is about it; none where there are no reports."""

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner."]
    name: Annotated[str, "Name of the top owner."]
    role: Annotated[str, "main, init, sidecar or ephemeral."]
    container: Annotated[str, "Name of the container."]
    variant: Annotated[int, "0, or a number where pods of one owner differ."]
    reference: Annotated[str | None, "The image's reference spelled out."]
    reported: Annotated[bool | None, "A report is about its digest or, without one, its tag; missing where it is none."]

    @staticmethod
    def frame(images: pd.DataFrame, vulnerability_reports: pd.DataFrame) -> pd.DataFrame:
        if vulnerability_reports.empty:
            return images.iloc[:0].assign(reported=pd.Series(dtype="boolean"))
        repository = images.registry + "/" + images.repository
        reports = vulnerability_reports
        by_digest = (repository + "@" + images.digest).isin((reports.image + "@" + reports.digest).dropna())
        tags = images.tag.fillna("latest")
        by_tag = (repository + ":" + tags).isin((reports.image + ":" + reports.tag).dropna())
        reported = by_digest.where(images.digest.notna(), by_tag).astype("boolean")
        return images.assign(reported=reported.mask(~images.valid))
