"""What the cluster enforces when objects are created."""

import pandas as pd

from auditkit.declare import check


@check("ADM-01", severity="high")
def enforced_level(namespaces: pd.DataFrame) -> pd.Series:
    """Every namespace enforces at least the baseline level of Pod Security; those that Kubernetes makes itself are not judged as exceptions.

    Without a level every pod is let in, privileged ones too. An invalid value is no level to rely on.

    Fix: label the namespace `pod-security.kubernetes.io/enforce: baseline` or `restricted`.
    """
    level = namespaces["enforce"]
    meets = ((level == "baseline") | (level == "restricted")).fillna(False)
    return ~meets & ~namespaces["system"]
