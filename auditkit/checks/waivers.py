"""Checks of the waivers themselves."""

import pandas as pd

from auditkit.declare import check


@check("ADM-90", severity="high")
def approved(waivers: pd.DataFrame) -> pd.Series:
    """Waivers are approved before they are used, by another than the requester whom they name.

    A waiver without an approval takes an exception out of sight on nobody's word.

    Fix: have it approved, and write `approver` and `approved_on`; or take the waiver away.
    """
    return ~waivers.approved


@check("ADM-91", severity="medium")
def not_expired(waivers: pd.DataFrame) -> pd.Series:
    """Waivers have not passed their last day.

    What was accepted for a time is accepted for ever where nobody looks at its end.

    Fix: remedy the exception and take the waiver away, or have it approved again with a new end.
    """
    return waivers.expired


@check("ADM-92", severity="low")
def used(waivers: pd.DataFrame, findings: pd.DataFrame) -> pd.Series:
    """Waivers cover at least one exception.

    One that covers nothing is left over from what was remedied, or misspelt: it would cover the next that fits.

    Fix: take it away, or correct its scope. Where the check could not be concluded, whether it is used is not known.
    """
    covering = waivers.id.isin(findings.waiver.dropna())
    concluded = findings.check[~findings.conclusion.isin(["error", "not collected"])]
    return (~covering).astype("boolean").mask(~covering & ~waivers.check.isin(concluded))
