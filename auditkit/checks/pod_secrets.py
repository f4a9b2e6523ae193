"""Whether workloads get their credentials as files."""

import pandas as pd

from auditkit.checks.lists import filled
from auditkit.declare import check


@check("SEC-01", severity="medium")
def secret_environment(containers: pd.DataFrame) -> pd.Series:
    """Secrets are not passed as environment variables.

    Variables are inherited by child processes and end up in crash dumps and logs.

    Fix: mount the Secret as a file.
    """
    found = filled(containers.secret_env)
    return found.mask(~found & containers.env_unknown)


@check("SEC-02", severity="high")
def plain_credentials(containers: pd.DataFrame) -> pd.Series:
    """No credential stands in the open in variables or arguments.

    Whoever may read the workload reads the credential, and every copy of the manifest holds it.

    Fix: move the value into a Secret and mount it; then change the credential.
    """
    return filled(containers.plain_env) | containers.secret_argv
