"""Reports of scanners of images: Trivy (schema 2) and Grype, one file an image.

Formats: pkg/types/report.go of github.com/aquasecurity/trivy; grype/presenter/models of github.com/anchore/grype.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import msgspec

from auditkit.capture.imports.base import Document, reader
from auditkit.capture.imports.jsons import CamelShape, PascalShape, Shape, decode, listed, moment, named_once, tools
from auditkit.errors import UsageError
from auditkit.kinds import Record

# Trivy's classes of results that are about packages; others are settings, licenses and secrets.
PACKAGES = ("os-pkgs", "lang-pkgs")


class ImageScan(Record):
    """One scan of an image: which one, by what, when; `secrets` that the scanner reported are counted and not kept.

    `suppressed` are findings that the scanner's own settings took out and that the report still lists; what its options left
    out before (`--severity`, `--ignore-unfixed`) no report says.
    """

    source: ClassVar[str] = "image_scans"
    plural: ClassVar[str] = "image_scans"
    optional: ClassVar[bool] = True

    file: str
    reference: str
    digests: tuple[str, ...] = ()
    tool: str = ""
    version: str | None = None
    database_at: datetime | None = None
    scanned_at: datetime | None = None
    targets: int = 0
    secrets: int = 0
    suppressed: int = 0


class ScanFinding(Record):
    """One vulnerability of one package of a scanned image; a severity that the scanner does not know is missing."""

    source: ClassVar[str] = "image_scans"
    plural: ClassVar[str] = "scan_findings"
    optional: ClassVar[bool] = True

    file: str
    id: str
    package: str
    aliases: tuple[str, ...] = ()
    version: str | None = None
    purl: str | None = None
    fixed_version: str | None = None
    severity: str | None = None
    published: datetime | None = None
    exploited: bool | None = None


class _TrivyPackage(PascalShape):
    purl: str | None = msgspec.field(default=None, name="PURL")


class _TrivyFinding(PascalShape):
    id: str = msgspec.field(name="VulnerabilityID")
    pkg_name: str
    vendor_ids: list[str] | None = msgspec.field(default=None, name="VendorIDs")
    pkg_identifier: _TrivyPackage | None = None
    installed_version: str | None = None
    fixed_version: str | None = None
    severity: str | None = None
    published_date: datetime | None = None


class _TrivyResult(PascalShape):
    class_: str = msgspec.field(default="", name="Class")
    vulnerabilities: list[_TrivyFinding] | None = None
    # Their number is all that is read: a match can hold part of the secret.
    secrets: list[Shape] | None = None
    experimental_modified_findings: list[Shape] | None = None


class _TrivySystem(PascalShape):
    ended: bool | None = msgspec.field(default=None, name="EOSL")


class _TrivyMetadata(PascalShape):
    repo_digests: list[str] | None = None
    system: _TrivySystem | None = msgspec.field(default=None, name="OS")


class _TrivyTool(PascalShape):
    version: str | None = None


class _Trivy(PascalShape):
    artifact_name: str
    artifact_type: str = ""
    created_at: datetime | None = None
    trivy: _TrivyTool | None = None
    metadata: _TrivyMetadata | None = None
    results: list[_TrivyResult] | None = None


class _GrypeFix(Shape):
    versions: list[str] | None = None
    state: str = ""


class _GrypeVulnerability(CamelShape):
    id: str
    severity: str | None = None
    fix: _GrypeFix | None = None
    known_exploited: list[Shape] | None = None


class _GrypeRelated(Shape):
    id: str


class _GrypePackage(Shape):
    name: str
    version: str | None = None
    purl: str | None = None


class _GrypeMatch(CamelShape):
    vulnerability: _GrypeVulnerability
    artifact: _GrypePackage
    related_vulnerabilities: list[_GrypeRelated] | None = None


class _GrypeTarget(CamelShape):
    user_input: str
    manifest_digest: str | None = None
    repo_digests: list[str] | None = None


class _GrypeSource(Shape):
    # A folder or file is named by a text.
    target: msgspec.Raw
    type: str = ""


class _GrypeStatus(Shape):
    built: datetime | None = None


class _GrypeDatabase(Shape):
    built: datetime | None = None
    status: _GrypeStatus | None = None


class _GrypeTool(Shape):
    name: str = ""
    version: str | None = None
    timestamp: datetime | None = None
    db: _GrypeDatabase | None = None


class _Grype(CamelShape):
    source: _GrypeSource
    descriptor: _GrypeTool
    matches: list[_GrypeMatch] | None = None
    ignored_matches: list[Shape] | None = None


class _Any(Shape):
    """What tells the formats apart."""

    schema_version: int | None = msgspec.field(default=None, name="SchemaVersion")
    descriptor: _GrypeTool | None = None


@reader(ImageScan, ScanFinding)
def read(paths: Sequence[Path]) -> Document:
    """Scans of images: JSON of Trivy (schema 2) or Grype, one file an image, both told apart by content.

    `made_at` is the latest scan: how old each one is a test says.
    """
    named_once(paths)
    scans, findings = [], []
    for path in paths:
        scan, found = _one(path)
        scans.append(scan)
        findings += found
    return Document(
        records={ImageScan: scans, ScanFinding: findings},
        rows=len(scans) + len(findings),
        format="JSON",
        tool=tools([f"{s.tool} {s.version or ''}".strip() for s in scans]),
        made_at=max((s.scanned_at for s in scans if s.scanned_at), default=None),
    )


def _one(path: Path) -> tuple[ImageScan, list[ScanFinding]]:
    what = "a report of Trivy or Grype"
    found = decode(path, _Any, what)
    if found.schema_version is not None:
        if found.schema_version != 2:
            raise UsageError(f"{path}: SchemaVersion {found.schema_version} of Trivy is not read, only 2: scan again")
        return _trivy(path, decode(path, _Trivy, "a report of Trivy"))
    if found.descriptor and found.descriptor.name == "grype":
        return _grype(path, decode(path, _Grype, "a report of Grype"))
    raise UsageError(f"{path}: not {what}: neither SchemaVersion nor descriptor is there; make it with --format json")


def _trivy(path: Path, report: _Trivy) -> tuple[ImageScan, list[ScanFinding]]:
    if report.artifact_type not in ("", "container_image"):
        raise UsageError(f"{path}: a scan of a {report.artifact_type}, not of an image: `trivy image --format json`")
    results, metadata = listed(report.results), report.metadata or _TrivyMetadata()
    # Of a distribution that is no longer supported nobody publishes vulnerabilities: that none was found says nothing.
    ended = bool(metadata.system and metadata.system.ended)
    scan = ImageScan(
        file=path.name,
        reference=report.artifact_name,
        digests=_digests(metadata.repo_digests),
        tool="Trivy",
        version=report.trivy.version if report.trivy else None,
        scanned_at=moment(report.created_at),
        targets=0 if ended else sum(r.class_ in PACKAGES for r in results),
        secrets=sum(len(listed(r.secrets)) for r in results),
        suppressed=sum(len(listed(r.experimental_modified_findings)) for r in results),
    )
    found = (v for r in results for v in listed(r.vulnerabilities))
    return scan, [
        ScanFinding(
            file=path.name,
            id=v.id,
            aliases=tuple(listed(v.vendor_ids)),
            package=v.pkg_name,
            version=v.installed_version or None,
            purl=v.pkg_identifier.purl if v.pkg_identifier else None,
            fixed_version=v.fixed_version or None,
            severity=severity(v.severity),
            published=moment(v.published_date),
        )
        for v in found
    ]


def _grype(path: Path, report: _Grype) -> tuple[ImageScan, list[ScanFinding]]:
    if report.source.type != "image":
        raise UsageError(f"{path}: a scan of a {report.source.type or 'thing'}, not of an image: `grype IMAGE -o json`")
    try:
        target = msgspec.json.decode(report.source.target, type=_GrypeTarget)
    except msgspec.ValidationError as error:
        raise UsageError(f"{path}: not a report of Grype: source.target: {error}") from None
    tool, database = report.descriptor, report.descriptor.db or _GrypeDatabase()
    scan = ImageScan(
        file=path.name,
        reference=target.user_input,
        digests=_digests([target.manifest_digest or "", *listed(target.repo_digests)]),
        tool="grype",
        version=tool.version,
        database_at=moment(database.status.built if database.status else database.built),
        scanned_at=moment(tool.timestamp),
        targets=1,
        suppressed=len(listed(report.ignored_matches)),
    )
    return scan, list(_matches(path, listed(report.matches)))


def _matches(path: Path, matches: Sequence[_GrypeMatch]) -> Iterator[ScanFinding]:
    for m in matches:
        found, fix = m.vulnerability, m.vulnerability.fix or _GrypeFix()
        yield ScanFinding(
            file=path.name,
            id=found.id,
            aliases=tuple(r.id for r in listed(m.related_vulnerabilities) if r.id != found.id),
            package=m.artifact.name,
            version=m.artifact.version or None,
            purl=m.artifact.purl or None,
            fixed_version=", ".join(listed(fix.versions)) or None,
            severity=severity(found.severity),
            exploited=True if found.known_exploited else None,
        )


def severity(text: str | None) -> str | None:
    """critical, high, medium, low or negligible; None where a scanner knows none."""
    known = (text or "").lower()
    return known if known in ("critical", "high", "medium", "low", "negligible") else None


def _digests(references: Sequence[str] | None) -> tuple[str, ...]:
    """Digests of `name@digest`, or of a bare digest, each once."""
    return tuple(sorted({text.rpartition("@")[2] for text in references or () if ":" in text.rpartition("@")[2]}))
