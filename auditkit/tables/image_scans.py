"""Scans of images that were supplied, what is said of vulnerabilities beside them, and which scans are about what runs."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.images import parsed
from auditkit.capture.imports.exploitability import KnownExploited, VexStatement
from auditkit.capture.imports.image_scans import ImageScan, ScanFinding
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view

COUNTS = ("critical", "high", "medium", "low")


@table("image_scans", records=(ImageScan,), key=("file",))
class ImageScanRow:
    """One row per scan of an image that was supplied."""

    file: Annotated[str, "Name of the file."]
    reference: Annotated[str, "The image as it was named to the scanner."]
    digests: Annotated[list[str], "Digests of its manifest, or of the index that lists it."]
    tool: Annotated[str, "Scanner."]
    version: Annotated[str | None, "Its version; missing where the report does not say."]
    database_at: Annotated[datetime | None, "When its database was made; reports of Trivy do not say."]
    scanned_at: Annotated[datetime | None, "When it was scanned."]
    targets: Annotated[
        int,
        "Lists of packages that were recognised in it; 0 where its distribution is no longer supported (Trivy's EOSL).",
    ]
    secrets: Annotated[int, "Secrets that the scanner reported; they are not read."]
    suppressed: Annotated[int, "Findings that the scanner's settings took out and that the report lists apart."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for s in objects[ImageScan]:
            yield (
                s.file, s.reference, list(s.digests), s.tool, s.version, s.database_at, s.scanned_at, s.targets,
                s.secrets, s.suppressed,
            )  # fmt: skip


@table("scan_findings", records=(ScanFinding,), key=("file", "vulnerability", "package", "version"))
class ScanFindingRow:
    """One row per vulnerability of a package in a scan that was supplied."""

    file: Annotated[str, "Name of the file."]
    vulnerability: Annotated[str, "Its id of CVE, where it has just one, else the scanner's own."]
    ids: Annotated[list[str], "All its ids."]
    package: Annotated[str, "Name of the package."]
    version: Annotated[str | None, "Version that is installed."]
    purl: Annotated[str | None, "Package URL."]
    fixed_version: Annotated[str | None, "Version that corrects it; missing where there is none."]
    severity: Annotated[str | None, "critical, high, medium, low or negligible; missing where the scanner knows none."]
    published: Annotated[datetime | None, "When it was published; reports of Grype do not say."]
    exploited: Annotated[
        bool | None, "The scanner says that it is known to be exploited; missing where it says nothing."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        # A package can be found in several places of an image: one with a correction goes before one without.
        every = sorted(objects[ScanFinding], key=lambda f: f.fixed_version is not None)
        listed = {(f.file, f.id, f.package, f.version): f for f in every}
        for f in listed.values():
            ids = sorted({f.id, *f.aliases})
            known = [id for id in ids if id.startswith("CVE-")]
            yield (
                f.file, known[0] if len(known) == 1 else f.id, ids, f.package, f.version, f.purl,
                f.fixed_version, f.severity, f.published, f.exploited,
            )  # fmt: skip


@table("vex_statements", records=(VexStatement,), key=("file", "vulnerability", "ref"))
class VexRow:
    """One row per vulnerability and thing that a document of VEX speaks of."""

    file: Annotated[str, "Name of the file."]
    vulnerability: Annotated[str, "Id of the vulnerability."]
    ref: Annotated[str, "What it is about, as written."]
    purl: Annotated[str | None, "Package URL of it."]
    image: Annotated[str | None, "Digest of the image that it is about; missing where it is about a package anywhere."]
    state: Annotated[str | None, "State of the analysis, e.g. not_affected, in_triage, exploitable."]
    justification: Annotated[str | None, "Why it is not affected."]
    detail: Annotated[str | None, "The same in words."]
    author: Annotated[str | None, "Who says so."]
    stated_at: Annotated[datetime | None, "When."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for v in objects[VexStatement]:
            yield (
                v.file, v.id, v.ref, v.purl, v.image, v.state, v.justification, v.detail, v.author, v.stated_at,
            )  # fmt: skip


@table("known_exploited", records=(KnownExploited,), key=("vulnerability",))
class KnownExploitedRow:
    """One row per vulnerability of the catalogue of those known to be exploited (KEV)."""

    vulnerability: Annotated[str, "Id of CVE."]
    added: Annotated[datetime | None, "Day on which it was added."]
    due: Annotated[datetime | None, "Day by which agencies of the USA must have mended it."]
    ransomware: Annotated[str | None, "Known or Unknown: used by ransomware."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for k in objects[KnownExploited]:
            yield k.id, k.added, k.due, k.ransomware


@view("scans", key=("place",))
class Scan:
    """One row per scan of an image, supplied or reported by a scanner in the cluster, and whether that image runs.

    A scan is about what runs where the digests are the same; where either has none, where the references are. One of the same
    reference and another digest is of other content: the tag was moved, or it was scanned for another architecture.
    """

    namespace: Annotated[str, "Namespace of the report; empty for a file."]
    kind: Annotated[str, "Scan of a file that was supplied, or the report's: see vulnerability_reports."]
    name: Annotated[str, "Name of the file, or of the report."]
    place: Annotated[str, "File, or kind of the report with its namespace and name."]
    reference: Annotated[str | None, "What was scanned, spelled out: registry, repository and tag."]
    digests: Annotated[list[str], "Digests that were scanned, with the one by which the scanner was given the image."]
    scanner: Annotated[str, "Trivy, grype, trivy-operator or Kubescape."]
    version: Annotated[str | None, "Version of the scanner."]
    database_at: Annotated[datetime | None, "When its database was made."]
    scanned_at: Annotated[datetime | None, "When it was scanned."]
    targets: Annotated[
        int | None, "Lists of packages that were recognised; reports do not say: 0 where one is not whole."
    ]
    secrets: Annotated[int | None, "Secrets that the scanner reported; they are not read."]
    suppressed: Annotated[int | None, "Findings that the scanner's settings took out."]
    listed: Annotated[bool, "It lists what it found; Kubescape only counts it."]
    critical: Annotated[int | None, "Critical vulnerabilities that a report counts; missing for a file."]
    high: Annotated[int | None, "High ones."]
    medium: Annotated[int | None, "Medium ones."]
    low: Annotated[int | None, "Low ones."]
    runs: Annotated[bool, "A container runs this image."]
    other_runs: Annotated[bool, "Not this image runs, but another under its reference."]

    @staticmethod
    def frame(
        running_images: pd.DataFrame, image_scans: pd.DataFrame, vulnerability_reports: pd.DataFrame
    ) -> pd.DataFrame:
        reports = vulnerability_reports
        digests = [
            sorted({*listed, *filter(None, [_parts(text)[1]])})
            for text, listed in zip(image_scans.reference, image_scans.digests, strict=True)
        ]
        supplied = image_scans.assign(
            namespace="",
            kind="Scan",
            name=image_scans.file,
            place=image_scans.file,
            reference=_spelled(image_scans.reference),
            digests=pd.Series(digests, index=image_scans.index, dtype=object),
            scanner=image_scans.tool,
            listed=True,
        )
        # A tag that a report leaves out beside a digest is unknown; without one Docker takes `latest`.
        tag = reports.tag.mask(reports.tag.isna() & reports.digest.isna(), "latest")
        reported = pd.DataFrame(
            {
                **reports[["namespace", "kind", "name", "scanner", "scanned_at", "listed", *COUNTS]],
                "place": report_place(reports),
                "reference": _spelled(reports.image + ":" + tag),
                "digests": as_lists(reports.digest),
                "targets": pd.Series(pd.NA, index=reports.index, dtype="Int64").mask(~reports.whole, 0),
            }
        )
        scans = pd.concat([supplied, reported], ignore_index=True)
        images = by_digest(running_images)
        runs = scans.place.isin(paired(images, scans).place)
        return scans.assign(runs=runs, other_runs=~runs & scans.reference.isin(images.reference.dropna()))


@view("running_scans", key=("namespace", "kind", "name", "container", "image", "digest"))
class RunningScan:
    """One row per container of a top owner, image and digest that runs, with the scans of it."""

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner."]
    name: Annotated[str, "Name of the top owner."]
    container: Annotated[str, "Name of the container."]
    image: Annotated[str, "Reference of the image as the spec names it."]
    digest: Annotated[str | None, "Digest that the node reports, else the one that the spec names."]
    pods: Annotated[int, "Pods that name it."]
    scanned: Annotated[
        bool | None,
        "A scan is about it; missing where there are no scans at all, or none recognised a list of packages that somebody supports.",
    ]
    matched_by: Annotated[str | None, "digest; or reference, where image or scan has no digest."]
    scanners: Annotated[list[str], "Who scanned it."]
    scanned_at: Annotated[datetime | None, "When it was last scanned."]
    listed: Annotated[bool, "One of these scans lists what it found; else there are counts at most."]
    critical: Annotated[int | None, "Most critical vulnerabilities that a report in the cluster counts."]
    high: Annotated[int | None, "Most high ones."]
    medium: Annotated[int | None, "Most medium ones."]
    low: Annotated[int | None, "Most low ones."]

    @staticmethod
    def frame(running_images: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
        images = by_digest(running_images)
        pairs = paired(images, scans).merge(scans, on="place")
        useful = pairs[pairs.targets.fillna(1) > 0]
        rows = pd.Series(images.index, index=images.index)
        known = rows.isin(useful.row).astype("boolean").mask(rows.isin(pairs.row) & ~rows.isin(useful.row))
        scanners = useful.drop_duplicates(["row", "scanner"]).sort_values("scanner").groupby("row").scanner.agg(list)
        return images.assign(
            scanned=known if len(scans) else pd.array([pd.NA] * len(images), dtype="boolean"),
            matched_by=pairs.groupby("row")["by"].min().reindex(images.index),
            scanners=as_lists(scanners.reindex(images.index)),
            scanned_at=useful.groupby("row").scanned_at.max().reindex(images.index),
            listed=rows.isin(useful[useful.listed].row),
            **useful.groupby("row")[list(COUNTS)].max().reindex(images.index),
        )


def report_place(reports: pd.DataFrame) -> pd.Series:
    """How a report of a scanner in the cluster is named among scans."""
    return reports.kind + " " + reports.namespace + "/" + reports.name


def as_lists(found: pd.Series) -> pd.Series:
    """Lists of strings, whatever pandas made of them: one value is a list of one, a missing value an empty one."""
    return pd.Series(
        [[v] if isinstance(v, str) else list(v) if pd.api.types.is_list_like(v) else [] for v in found],
        index=found.index,
        dtype=object,
    )


def by_digest(running_images: pd.DataFrame) -> pd.DataFrame:
    """One row per running image and digest: a tag that was moved runs under two; the digest of the spec where none is reported."""
    images = running_images.explode("digests", ignore_index=True).rename(columns={"digests": "digest"})
    named = {text: _parts(text) for text in images.image.unique()}
    images["reference"] = images.image.map({text: parts[0] for text, parts in named.items()}).astype("string")
    spec = images.image.map({text: parts[1] for text, parts in named.items()}).astype("string")
    images["digest"] = images.digest.astype("string").fillna(spec)
    return images


def paired(images: pd.DataFrame, scans: pd.DataFrame) -> pd.DataFrame:
    """Which scans are about which rows of `by_digest`: columns row, place, by (digest or reference)."""
    left = images[["reference", "digest"]].reset_index(names="row").astype({"reference": "string", "digest": "string"})
    right = scans[["place", "reference", "digests"]].explode("digests").rename(columns={"digests": "digest"})
    right = right.astype("string")
    same = left.dropna(subset="digest").merge(right.dropna(subset="digest")[["place", "digest"]], on="digest")
    named = left.dropna(subset="reference").merge(right.dropna(subset="reference"), on="reference")
    loose = named[named.digest_x.isna() | named.digest_y.isna()]
    pairs = pd.concat([same.assign(by="digest"), loose.assign(by="reference")], ignore_index=True)
    return pairs[["row", "place", "by"]].drop_duplicates(["row", "place"], ignore_index=True)


def _spelled(references: pd.Series) -> pd.Series:
    return references.map({text: _parts(text)[0] for text in references.dropna().unique()}).astype("string")


def _parts(text: str) -> tuple[str | None, str | None]:
    """Reference with registry and tag, and digest; both None where it is none (a file, an id).

    A digest without a tag is no reference: what it names need not be what `latest` names.
    """
    found = parsed(text)
    if found is None:
        return None, None
    tag = found.tag or (None if found.digest else "latest")
    return tag and f"{found.domain.lower()}/{found.path}:{tag}", found.digest or None
