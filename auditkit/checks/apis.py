"""Versions of APIs in use."""

import pandas as pd

from auditkit.declare import check


@check("ADM-80", severity="low")
def stored_versions(custom_resources: pd.DataFrame) -> pd.Series:
    """Custom resources are stored in versions that are served and not deprecated.

    An object in a version that its definition drops can no longer be read. status.storedVersions names every version
    in which objects were stored and not known to be migrated; without a status only the version of today is known.
    Which versions clients call is not kept with the objects.

    Fix: write every object again in the current version, then take the old one out of status.storedVersions.
    """
    outdated = (custom_resources.outdated.str.len() > 0).astype("boolean")
    return outdated.mask(~outdated & custom_resources.stored.isna())
