"""Recovery: whether data can be brought back, and batches end well."""

import pandas as pd

from auditkit.declare import check

# github.com/vmware-tanzu/velero pkg/apis/velero/v1/restore_types.go
RUNNING = ["New", "InProgress", "WaitingForPluginOperations", "Finalizing"]


@check("AVL-11", severity="high")
def backups_recent(backup_freshness: pd.DataFrame) -> pd.Series:
    """Backup schedules run, and their backups complete.

    A backup that was not made cannot be restored. A schedule may miss its latest run, which may be under way, but not
    the one before: since then there must be a backup in phase Completed. Paused and invalid schedules make none.

    Fix: look into the Backup's errors, correct the schedule, or unpause it.
    """
    idle = backup_freshness.paused | (backup_freshness.phase == "FailedValidation").fillna(False)
    late = (backup_freshness.completed < backup_freshness.due_at).astype("boolean")
    late = late.mask(backup_freshness.completed.isna(), True).mask(backup_freshness.due_at.isna())
    return late | idle


@check("AVL-63", severity="high")
def data_backed_up(backup_coverage: pd.DataFrame) -> pd.Series:
    """Namespaces with data in volumes are backed up.

    Data outside every backup schedule is lost with its disk. A cluster without any Velero Schedule may be backed up by
    other means, which a snapshot cannot see: its rows are undetermined. So are namespaces of which a Schedule's
    resource policy may leave volumes out.

    Fix: include the namespace in a Schedule, without selectors that leave out a part.
    """
    return ~backup_coverage.covered


@check("AVL-61", severity="medium")
def restores_complete(restores: pd.DataFrame) -> pd.Series:
    """Restores complete.

    A backup proves itself when it is restored; a restore that failed, in a drill or in need, shows that it does not.

    Fix: look into the Restore's errors, and repeat it.
    """
    running = restores.phase.isna() | restores.phase.isin(RUNNING)
    return (restores.phase != "Completed").astype("boolean").mask(running)


@check("AVL-62", severity="low")
def jobs_complete(jobs: pd.DataFrame) -> pd.Series:
    """Jobs complete.

    A batch that failed may be a backup, a reconciliation or a deletion that did not happen. One that waits between
    two attempts is undetermined.

    Fix: look into its logs, run it again, and alert on failed Jobs.
    """
    waits = (jobs.active == 0) & jobs.started_at.notna() & jobs.completed_at.isna() & (jobs.failed > 0)
    return jobs.gave_up.mask(~jobs.gave_up & waits)
