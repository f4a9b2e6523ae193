"""What is known to be vulnerable in the images that run: findings of all scans, with VEX, KEV and age."""

from datetime import datetime
from typing import Annotated
from urllib.parse import unquote

import pandas as pd

from auditkit.declare import view
from auditkit.tables.image_scans import as_lists, by_digest, paired, report_place

RANKS = ("critical", "high", "medium", "low", "negligible")
PLACE = ["namespace", "kind", "name", "container", "image", "digest"]
FOUND = ["vulnerability", "package", "version"]


@view("image_vulnerabilities", key=(*PLACE, *FOUND))
class ImageVulnerability:
    """One row per container, image and digest that runs and vulnerability of a package in it; one without where none was found.

    Scanners that find the same are one row: the worst severity, the earliest date. Age counts from the day of publication; where no
    scanner says it, from the first scan that found it, which is a least age. A statement of VEX is about a package by its package
    URL without qualifiers, or about an image by its digest; of several the latest counts. `not_affected` with a
    justification, and `false_positive` with a reason, close a finding: it stays listed.
    """

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner."]
    name: Annotated[str, "Name of the top owner."]
    container: Annotated[str, "Name of the container."]
    image: Annotated[str, "Reference of the image as the spec names it."]
    digest: Annotated[str | None, "Digest that runs."]
    scanned: Annotated[bool | None, "A scan is about it; see running_scans."]
    listed: Annotated[bool, "A scan about it lists what it found; where there are only counts, nothing here says what."]
    vulnerability: Annotated[str | None, "Its id; missing where none was found."]
    package: Annotated[str | None, "Name of the package."]
    version: Annotated[str | None, "Version that is installed."]
    severity: Annotated[str | None, "The worst that a scanner gives; missing where none knows one."]
    fixed_version: Annotated[str | None, "Version that corrects it; missing where no scanner knows one."]
    known_since: Annotated[datetime | None, "When it was published, else when a scan first found it."]
    published: Annotated[datetime | None, "When it was published."]
    age_days: Annotated[int | None, "Whole days from then to the snapshot."]
    exploited: Annotated[bool | None, "In the catalogue KEV, or so says a scanner; missing where neither was supplied."]
    vex: Annotated[str | None, "State that a statement of VEX gives it."]
    vex_reason: Annotated[str | None, "Justification, else the detail, of that statement."]
    vex_about: Annotated[str | None, "image, or package: the statement is about that package wherever it is."]
    vex_conflict: Annotated[bool, "Statements of one time disagree."]
    closed: Annotated[bool, "VEX says with a reason that it does not apply."]
    scanners: Annotated[list[str], "Who found it."]

    @staticmethod
    def frame(
        running_scans: pd.DataFrame,
        running_images: pd.DataFrame,
        scans: pd.DataFrame,
        scan_findings: pd.DataFrame,
        report_findings: pd.DataFrame,
        vex_statements: pd.DataFrame,
        known_exploited: pd.DataFrame,
        origin: pd.DataFrame,
    ) -> pd.DataFrame:
        reported = report_findings.assign(place=report_place(report_findings))
        reported["ids"] = as_lists(reported.vulnerability)
        findings = pd.concat([scan_findings.assign(place=scan_findings.file), reported], ignore_index=True)
        images = by_digest(running_images)
        found = paired(images, scans).merge(scans[["place", "scanner", "scanned_at"]], on="place")
        merged = _merged(found.merge(findings, on="place"))
        rows = images[PLACE].reset_index(names="row").merge(merged, on="row", how="left")
        rows = rows.merge(running_scans[[*PLACE, "scanned", "listed"]], on=PLACE, how="left")
        stated = _stated(rows, vex_statements)
        since = rows.published.fillna(rows.scanned_at)
        rows = rows.assign(
            **stated,
            known_since=since,
            age_days=(origin.taken_at.iloc[0] - since).dt.days,
            exploited=_exploited(rows, known_exploited),
            scanners=as_lists(rows.scanners),
        )
        reasoned = rows.vex.isin(["not_affected", "false_positive"]) & rows.vex_reason.notna()
        return rows.assign(closed=reasoned & ~rows.vex_conflict)


def _merged(found: pd.DataFrame) -> pd.DataFrame:
    """Findings of several scanners as one row an image, vulnerability and package."""
    by = ["row", *FOUND]
    found = found.assign(rank=found.severity.map({name: n for n, name in enumerate(RANKS)}).astype("Float64"))
    groups = found.groupby(by, dropna=False, as_index=False)
    merged = groups.agg(
        rank=("rank", "min"),
        fixed_version=("fixed_version", "first"),
        published=("published", "min"),
        scanned_at=("scanned_at", "min"),
        purl=("purl", "first"),
        said=("exploited", "max"),
        ids=("ids", lambda lists: sorted({id for ids in lists for id in ids})),
        scanners=("scanner", lambda names: sorted(set(names))),
    )
    return merged.assign(severity=merged["rank"].map(dict(enumerate(RANKS))).astype("string"))


def _exploited(rows: pd.DataFrame, catalogue: pd.DataFrame) -> pd.Series:
    """The catalogue has ids of CVE alone: of a finding without one it says nothing."""
    said = rows.said.astype("boolean")
    if catalogue.empty:
        return said
    ids = as_lists(rows.ids).explode().astype("string")
    listed = ids.isin(catalogue.vulnerability).groupby(level=0).any().astype("boolean")
    named = ids.str.startswith("CVE-").fillna(False).groupby(level=0).any()
    return (said.fillna(False) | listed).mask(~said.fillna(False) & ~named)


def _stated(rows: pd.DataFrame, statements: pd.DataFrame) -> dict[str, pd.Series]:
    """What VEX says of each row: columns vex, vex_reason, vex_about, vex_conflict."""
    keys = pd.DataFrame({"at": rows.index, "id": as_lists(rows.ids), "base": _base(rows.purl), "digest": rows.digest})
    keys = keys.explode("id").dropna(subset="id")
    said = statements.rename(columns={"vulnerability": "id"}).assign(base=_base(statements.purl))
    both = keys.merge(said, on="id", suffixes=("", "_said"))
    package = both.base_said.isna() | (both.base == both.base_said).fillna(False)
    image = both.image.isna() | (both.digest == both.image).fillna(False)
    named = both.base_said.notna() | both.image.notna()
    about = both[package & image & named]
    latest = about.stated_at.eq(about.groupby("at").stated_at.transform("max")) | about.stated_at.isna()
    chosen = about[latest].groupby("at")
    first = about[latest].drop_duplicates("at").set_index("at").reindex(rows.index)
    where = first.image.isna().map({True: "package", False: "image"}).where(first.id.notna())
    return {
        "vex": first.state.astype("string"),
        "vex_reason": first.justification.fillna(first.detail).astype("string"),
        "vex_about": where.astype("string"),
        "vex_conflict": chosen.state.nunique(dropna=False).reindex(rows.index, fill_value=0) > 1,
    }


def _base(purls: pd.Series) -> pd.Series:
    """Package URLs without qualifiers and subpath, decoded: pkg:deb/debian/openssl@3.0.15-1."""
    texts = {text: unquote(text.partition("#")[0].partition("?")[0]) for text in purls.dropna().unique()}
    return purls.map(texts).astype("string")
