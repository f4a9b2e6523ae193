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
def jobs_not_failed(jobs: pd.DataFrame) -> pd.Series:
    """No Job has failed.

    A batch that failed may be a backup, a reconciliation or a deletion that did not happen. One that runs has not
    failed yet, and one that waits between two attempts is undetermined.

    Fix: look into its logs, run it again, and alert on failed Jobs.
    """
    waits = (jobs.active == 0) & jobs.started_at.notna() & jobs.completed_at.isna() & (jobs.failed > 0)
    return jobs.gave_up.mask(~jobs.gave_up & waits)


@check("AVL-70", severity="high")
def copied_lately(volume_copies: pd.DataFrame, *, days: int = 7) -> pd.Series:
    """Data in volumes was copied within the last `days` days.

    What changed since the last copy is lost with the disk. A copy is a completed Velero Backup that holds the volume,
    or a VolumeSnapshot that is ready, made since the claim is there: an earlier one is of another volume. A claim of so few
    days without a copy is undetermined, and all are in a cluster with neither: other means may copy.

    Fix: add the namespace to a Schedule that runs daily, or snapshot the volume on a schedule.
    """
    late = (volume_copies.age_days > days).fillna(volume_copies.copied_at.isna())
    dated = volume_copies.age_days.notna() | volume_copies.copied_at.isna()
    young = (volume_copies.claim_days <= days).fillna(False) & volume_copies.copied_at.isna()
    maybe = (volume_copies.maybe_days <= days).fillna(volume_copies.maybe_at.notna())
    return late.mask(late & (maybe | young)).mask(~volume_copies.known | ~dated)


@check("AVL-71", severity="medium")
def backup_store_available(backup_locations: pd.DataFrame) -> pd.Series:
    """Where Velero keeps backups is available, and can be written to.

    Nothing is backed up to, or restored from, a store that Velero cannot reach.

    Fix: look into the location's message; mend address, credential or bucket.
    """
    unavailable = (backup_locations.phase != "Available").astype("boolean").mask(backup_locations.phase.isna())
    return unavailable | (backup_locations.access_mode == "ReadOnly").astype("boolean")
