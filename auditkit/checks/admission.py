"""What the cluster enforces when objects are created."""

import pandas as pd

from auditkit.declare import check


@check("ADM-01", severity="high")
def enforced_level(namespaces: pd.DataFrame) -> pd.Series:
    """Every namespace enforces at least the baseline level of Pod Security.

    Without a level every pod is let in, privileged ones too. The namespaces that Kubernetes makes itself
    are not judged. An invalid value acts as restricted, as long as nobody corrects it
    (k8s.io/pod-security-admission/api/helpers.go): the row is undetermined.

    Fix: label the namespace `pod-security.kubernetes.io/enforce: baseline` or `restricted`.
    """
    level = namespaces["enforce"]
    meets = ((level == "baseline") | (level == "restricted")).fillna(False)
    return (~meets & ~namespaces["system"]).mask(namespaces["enforce_valid"].eq(False).fillna(False))
