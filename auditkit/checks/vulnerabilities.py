"""Vulnerabilities of the images that run: whether they are looked for, and mended in the agreed time."""

import pandas as pd

from auditkit.declare import check


def _open(rows: pd.DataFrame, exception: pd.Series) -> pd.Series:
    """A verdict on findings: closed ones are none; of an image that no scan is about, or that was only counted, none is known."""
    found = rows.vulnerability.notna()
    nothing = pd.Series(False, index=rows.index, dtype="boolean").mask(~(rows.scanned.fillna(False) & rows.listed))
    return (exception.astype("boolean") & ~rows.closed.astype("boolean")).where(found, nothing)


@check("IMG-80", severity="high")
def scanned(running_scans: pd.DataFrame) -> pd.Series:
    """Images that run were scanned for vulnerabilities.

    An image that nobody scanned has no findings, and no less vulnerabilities. A scan is about the digest that runs: one of the
    same tag and another digest looked at other software. Undetermined are all where there is no scan at all, and an image in
    which the scanner recognised no list of packages, whose distribution is no longer supported, as Trivy says (EOSL: nobody
    publishes its vulnerabilities), or whose summary by Kubescape is not whole.

    Fix: scan every image that runs by its digest, and supply the reports (`imports.image_scans`), or run trivy-operator.
    """
    return ~running_scans.scanned


@check("IMG-81", severity="medium")
def scanned_lately(running_scans: pd.DataFrame, origin: pd.DataFrame, *, days: int = 30) -> pd.Series:
    """Scans of images that run are recent.

    Vulnerabilities are published daily of software that did not change: an old scan does not know them. An image without a
    scan is undetermined here, and the exception of another test.

    Fix: scan images that run on a schedule, not only when they are built.
    """
    age: pd.Series = (origin.taken_at.iloc[0] - running_scans.scanned_at).dt.days
    return (age > days).astype("boolean").mask(age.isna())


@check("IMG-82", severity="high")
def mended_in_time(
    image_vulnerabilities: pd.DataFrame, *, critical: int = 15, high: int = 30, medium: int = 90, low: int = 180
) -> pd.Series:
    """Vulnerabilities with a correction are mended in the agreed time.

    Days by severity are the entity's rule; settings give it. Age counts from publication. Where no scanner says when that
    was, from the first scan that found it: older than agreed is an exception then, younger is undetermined. So is a
    finding of unknown severity, and an image of which Kubescape only counts what it found. One that VEX closes with a
    reason is none.

    Fix: build the image anew with the corrected package (`fixed_version`) and roll it out; or state in VEX why it is not affected.
    """
    rows = image_vulnerabilities
    days = {"critical": critical, "high": high, "medium": medium, "low": low}
    limit = rows.severity.map(days).astype("Int64")
    late = (rows.age_days > limit).astype("boolean")
    late = late.mask(late.eq(False).fillna(False) & rows.published.isna())
    return _open(rows, late.mask(rows.severity.eq("negligible").fillna(False), False) & rows.fixed_version.notna())


@check("IMG-83", severity="critical")
def not_exploited(image_vulnerabilities: pd.DataFrame) -> pd.Series:
    """No image that runs has a vulnerability that is known to be exploited.

    What is exploited elsewhere is tried here next. Read is the catalogue KEV (`imports.kev`), and what Grype says of it.
    Without the catalogue a finding of which no scanner says so is undetermined.

    Fix: mend these first, whatever their severity; `due` of known_exploited is the day that others are bound to.
    """
    return _open(image_vulnerabilities, image_vulnerabilities.exploited)


@check("IMG-84", severity="medium")
def critical_without_correction(image_vulnerabilities: pd.DataFrame) -> pd.Series:
    """No image that runs has a critical vulnerability without a correction.

    No update helps: each needs a decision that somebody made and wrote down. A finding of unknown severity is undetermined.

    Fix: shield or replace the package and record it as a waiver, or state in VEX why it is not affected.
    """
    rows = image_vulnerabilities
    return _open(rows, rows.severity.eq("critical").mask(rows.severity.isna()) & rows.fixed_version.isna())


@check("IMG-85", severity="medium")
def statements_agree(image_vulnerabilities: pd.DataFrame) -> pd.Series:
    """Statements of VEX agree with what scans find.

    A finding that is stated as exploitable, as resolved though the image still has it, as not affected without a reason, or as two
    things at once, is not closed by its statement.

    Fix: mend what is exploitable; state the product's digest of what is resolved; give `justification`, or `detail`.
    """
    rows = image_vulnerabilities
    stated = rows.vex.isin(["exploitable", "resolved", "resolved_with_pedigree"])
    bare = rows.vex.isin(["not_affected", "false_positive"]) & rows.vex_reason.isna()
    return _open(rows, stated | bare | rows.vex_conflict)


@check("IMG-86", severity="low")
def scans_of_what_runs(scans: pd.DataFrame) -> pd.Series:
    """No scan is of another image than the one that runs under its name.

    A scan of the same name and another digest gives an assurance about software that does not run: the tag was moved, or
    it was scanned before the build that was rolled out. Scans of images that run nowhere (`runs` is false) are
    listed, and none.

    Fix: scan by the digest that runs: `status.containerStatuses[].imageID` of a pod.
    """
    return scans.other_runs.astype("boolean")


@check("IMG-87", severity="low")
def nothing_suppressed(scans: pd.DataFrame) -> pd.Series:
    """Scans list all findings.

    What the settings of a scanner take out (.trivyignore, `ignore` of Grype) is a decision without a place for its reason and its
    approval. Counted is what reports list apart: trivy-operator lists none, Trivy only with `--show-suppressed`, so
    that none is undetermined for both.

    Fix: state it in VEX, with a justification, in place of the scanner's settings.
    """
    some = (scans.suppressed > 0).astype("boolean")
    return some.mask(~some.fillna(False) & scans.scanner.ne("grype"))
