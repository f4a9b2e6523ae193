"""Recovery: backups, their schedules, restores, and jobs."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis import cron
from auditkit.analysis.selectors import some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import (
    Backup,
    BackupSpec,
    BackupStorageLocation,
    JobStatus,
    PersistentVolumeClaim,
    Restore,
    RestoreSpec,
    Schedule,
    ScheduleSpec,
)
from auditkit.kinds.workloads import Job

# github.com/vmware-tanzu/velero pkg/apis/velero/v1/labels_annotations.go
SCHEDULE_LABEL = "velero.io/schedule-name"


class _Place:
    namespace: Annotated[str, "Namespace of the object."]
    kind: Annotated[str, "Kind of the object."]
    name: Annotated[str, "Name of the object."]


class _Run:
    phase: Annotated[str | None, "Completed, PartiallyFailed, Failed, InProgress, ..."]
    started_at: Annotated[datetime | None, "When it started."]
    completed_at: Annotated[datetime | None, "When it ended."]
    errors: Annotated[int | None, "Errors."]


def _run(status: JobStatus | None) -> tuple[Any, ...]:
    status = status or JobStatus()
    return (status.phase or None, status.start_timestamp, status.completion_timestamp, status.errors)


@table("backups", kinds=(Backup,), key=("namespace", "name"))
class BackupRow(_Run, _Place):
    """One row per Velero Backup."""

    schedule: Annotated[str | None, "Schedule that made it; missing where somebody did."]
    included: Annotated[list[str], "Namespaces in it; `*` is all."]
    excluded: Annotated[list[str], "Namespaces that it leaves out."]
    whole: Annotated[
        bool | None,
        "Holds all volumes of those namespaces, as `backup_schedules` says it; missing where a policy may drop some.",
    ]
    expires_at: Annotated[datetime | None, "When Velero deletes it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Backup]:
            spec, expires = found.spec or BackupSpec(), found.status.expiration if found.status else None
            holds = (_included(spec), sorted(spec.excluded_namespaces or []), _holds_volumes(spec))
            place = (found.namespace, "Backup", found.name)
            yield (*place, *_run(found.status), found.labels.get(SCHEDULE_LABEL), *holds, expires)


def _included(spec: BackupSpec | None) -> list[str]:
    return sorted((spec.included_namespaces if spec else None) or ["*"])


@table("restores", kinds=(Restore,), key=("namespace", "name"))
class RestoreRow(_Run, _Place):
    """One row per Velero Restore."""

    backup: Annotated[str | None, "Backup that was restored."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Restore]:
            spec = found.spec or RestoreSpec()
            yield (found.namespace, "Restore", found.name, *_run(found.status), spec.backup_name or None)


@table("backup_schedules", kinds=(Schedule,), key=("namespace", "name"))
class ScheduleRow(_Place):
    """One row per Velero Schedule."""

    schedule: Annotated[str | None, "When it is due, as cron writes it."]
    paused: Annotated[bool, "Makes no backups."]
    phase: Annotated[str | None, "Enabled, New or FailedValidation."]
    included: Annotated[list[str], "Namespaces that it backs up; `*` is all."]
    excluded: Annotated[list[str], "Namespaces that it leaves out."]
    whole: Annotated[
        bool | None,
        "Holds all volumes of those namespaces: no selector, resource list or switch drops any; missing where a policy may.",
    ]
    created_at: Annotated[datetime | None, "When the schedule was made."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Schedule]:
            spec = found.spec or ScheduleSpec()
            template = spec.template or BackupSpec()
            yield (
                found.namespace,
                "Schedule",
                found.name,
                spec.schedule,
                bool(spec.paused),
                found.status.phase if found.status else None,
                _included(template),
                sorted(template.excluded_namespaces or []),
                _holds_volumes(template),
                found.metadata.creation_timestamp,
            )


def _holds_volumes(template: BackupSpec) -> bool | None:
    """Velero has two ways to list resources, by scope and without (velero pkg/apis/velero/v1 BackupSpec)."""
    claims = {"*", "persistentvolumeclaims", "persistentvolumeclaim", "pvc"}
    volumes = {"*", "persistentvolumes", "persistentvolume", "pv"}
    selected = template.label_selector is None and not template.or_label_selectors
    switched_off = template.snapshot_volumes is False and not template.default_volumes_to_fs_backup
    lists = (template.included_resources, template.included_namespace_scoped_resources)
    included = all(claims & _lower(listed or ["*"]) for listed in lists)
    dropped = _lower([*(template.excluded_resources or ()), *(template.excluded_namespace_scoped_resources or ())])
    excluded = (claims | volumes) & dropped or volumes & _lower(template.excluded_cluster_scoped_resources or ())
    if not selected or switched_off or not included or excluded:
        return False
    return None if template.resource_policy else True


def _lower(resources: Iterable[str]) -> set[str]:
    """Velero finds resources as kubectl does: by plural, singular or short name, in either case."""
    return {resource.lower() for resource in resources}


@view("backup_freshness", key=("namespace", "name"))
class BackupFreshness(_Place):
    """One row per Velero Schedule: when it should have made a backup, and when it last completed one."""

    schedule: Annotated[str | None, "When it is due, as cron writes it."]
    paused: Annotated[bool, "Makes no backups."]
    phase: Annotated[str | None, "Enabled, New or FailedValidation."]
    due_at: Annotated[
        datetime | None,
        "Its last run but one before the snapshot (analysis/cron.py); missing where it cannot be told or is before the schedule was made.",
    ]
    completed: Annotated[datetime | None, "Start of its latest backup that completed."]

    @staticmethod
    def frame(backup_schedules: pd.DataFrame, backups: pd.DataFrame, origin: pd.DataFrame) -> pd.DataFrame:
        rows, at = backup_schedules, origin.taken_at[0]
        times = [None if pd.isna(at) or pd.isna(s) else cron.due(s, at.to_pydatetime(), 2) for s in rows.schedule]
        due = pd.to_datetime(pd.Series(times, index=rows.index, dtype=object), utc=True)
        rows["due_at"] = due.where(~(rows.created_at > due).fillna(False))
        done = backups[(backups.phase == "Completed").fillna(False)]
        latest = done.groupby(["namespace", "schedule"]).started_at.max().rename("completed").reset_index()
        latest = latest.rename(columns={"schedule": "name"})
        return rows.merge(latest, on=["namespace", "name"], how="left")


@table("claim_namespaces", kinds=(PersistentVolumeClaim,), key=("name",))
class ClaimNamespace(_Place):
    """One row per namespace that holds data in volumes."""

    claims: Annotated[int, "Bound PersistentVolumeClaims."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        bound = [c.namespace for c in objects[PersistentVolumeClaim] if c.status and c.status.phase == "Bound"]
        return (("", "Namespace", name, bound.count(name)) for name in sorted(set(bound)))


@view("backup_coverage", key=("name",))
class BackupCoverage(_Place):
    """One row per namespace that holds data in volumes, and whether a Velero Schedule backs it up."""

    claims: Annotated[int, "Bound PersistentVolumeClaims."]
    schedules: Annotated[list[str], "Schedules, enabled and not paused, that back up all its volumes."]
    covered: Annotated[
        bool | None,
        "There is such a schedule; missing where the cluster has no schedule at all, or a policy may drop volumes.",
    ]

    @staticmethod
    def frame(claim_namespaces: pd.DataFrame, backup_schedules: pd.DataFrame) -> pd.DataFrame:
        enabled = (backup_schedules.phase == "Enabled").fillna(False)
        live = backup_schedules[~backup_schedules.paused & backup_schedules.whole.fillna(True) & enabled]
        plans = list(zip(live.name, live.whole, live.included, live.excluded, strict=True))
        named = [
            [
                (plan, None if pd.isna(whole) else True)
                for plan, whole, included, excluded in plans
                if _among(name, included) and not _among(name, excluded)
            ]
            for name in claim_namespaces.name
        ]
        schedules = [[plan for plan, whole in found if whole] for found in named]
        answers = [some(whole for _, whole in found) for found in named]
        covered = pd.Series(answers, index=claim_namespaces.index, dtype="boolean")
        rows = claim_namespaces.assign(schedules=pd.Series(schedules, index=claim_namespaces.index, dtype=object))
        return rows.assign(covered=covered.mask(covered.notna() & bool(backup_schedules.empty)))


def _among(namespace: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(namespace, pattern) for pattern in patterns)


@view("volume_copies", key=("namespace", "name"))
class VolumeCopy(_Place):
    """One row per bound PersistentVolumeClaim: when it was last copied, by a Velero Backup or a VolumeSnapshot.

    What was made before the claim is a copy of another volume, of a claim of that name that is gone.
    """

    created_at: Annotated[datetime | None, "When the claim was made."]
    claim_days: Annotated[float | None, "Days from then until the snapshot of the cluster."]
    backed_up_at: Annotated[datetime | None, "Start of the latest completed Backup that holds all volumes there."]
    snapped_at: Annotated[datetime | None, "Time of its latest VolumeSnapshot that is ready."]
    copied_at: Annotated[datetime | None, "The later of both."]
    age_days: Annotated[float | None, "Days from then until the snapshot of the cluster."]
    maybe_at: Annotated[datetime | None, "Start of a later completed Backup that may leave the volume out."]
    maybe_days: Annotated[float | None, "Days from then until the snapshot of the cluster."]
    known: Annotated[bool, "The cluster has Backups or VolumeSnapshots: without any, other means may copy."]

    @staticmethod
    def frame(
        persistent_volume_claims: pd.DataFrame,
        backups: pd.DataFrame,
        volume_snapshots: pd.DataFrame,
        origin: pd.DataFrame,
    ) -> pd.DataFrame:
        rows = persistent_volume_claims
        rows = rows[(rows.phase == "Bound").fillna(False)].reset_index(drop=True)
        done = backups[(backups.phase == "Completed").fillna(False)].dropna(subset=["started_at"])
        sure, maybe = done[done.whole.fillna(False)], done[done.whole.isna()]
        latest = {
            name: [_latest(found, *claim) for claim in zip(rows.namespace, rows.created_at, strict=True)]
            for name, found in (("backed_up_at", sure), ("maybe_at", maybe))
        }
        ready = volume_snapshots[volume_snapshots.ready.fillna(False)]
        ready = ready[["namespace", "claim", "taken_at"]].rename(columns={"claim": "name"})
        ready = ready.merge(rows[["namespace", "name", "created_at"]], on=["namespace", "name"])
        taken = ready[~(ready.taken_at < ready.created_at)].groupby(["namespace", "name"]).taken_at.max()
        rows = rows.merge(taken.rename("snapped_at").reset_index(), on=["namespace", "name"], how="left")
        for name, times in latest.items():
            rows[name] = pd.to_datetime(pd.Series(times, index=rows.index, dtype=object), utc=True)
        copied = rows[["backed_up_at", "snapped_at"]].max(axis=1)
        maybe_at = rows.maybe_at.where(rows.maybe_at > copied.fillna(pd.Timestamp(0, tz="UTC")))
        ages = [
            ((origin.taken_at.iloc[0] - since).dt.total_seconds() / 86400).astype("Float64").round(2)
            for since in (copied, maybe_at, rows.created_at)
        ]
        known = bool(len(backups) or len(volume_snapshots))
        named = dict(zip(("age_days", "maybe_days", "claim_days"), ages, strict=True))
        return rows.assign(copied_at=copied, maybe_at=maybe_at, known=known, **named)


@view("retained_volumes", key=("name",))
class RetainedVolume(_Place):
    """One row per PersistentVolume that is bound to a claim: what becomes of the data when the claim goes."""

    claim_namespace: Annotated[str | None, "Namespace of the claim."]
    claim: Annotated[str | None, "Name of the claim."]
    reclaim_policy: Annotated[str, "Delete, Retain or Recycle."]
    copied_at: Annotated[datetime | None, "When the claim was last copied, as `volume_copies` says it."]
    sole: Annotated[
        bool | None,
        "It goes with the claim and there is no copy; missing where a copy is not known to be or not to be.",
    ]

    @staticmethod
    def frame(persistent_volumes: pd.DataFrame, volume_copies: pd.DataFrame) -> pd.DataFrame:
        rows = persistent_volumes[(persistent_volumes.phase == "Bound").fillna(False)]
        copies = volume_copies.rename(columns={"namespace": "claim_namespace", "name": "claim"})
        copies = copies[["claim_namespace", "claim", "copied_at", "maybe_at", "known"]]
        rows = rows.merge(copies, on=["claim_namespace", "claim"], how="left")
        goes = (rows.reclaim_policy != "Retain").astype("boolean")
        bare = rows.copied_at.isna().astype("boolean").mask(rows.maybe_at.notna()).mask(~rows.known.fillna(False))
        return rows.assign(sole=goes & bare.mask(rows.copied_at.notna(), False))


def _latest(backups: pd.DataFrame, namespace: str, created: datetime | None) -> datetime | None:
    """Start of the latest of these backups that holds a namespace, and began when the claim was there."""
    held = zip(backups.started_at, backups.included, backups.excluded, strict=True)
    found = [at for at, included, excluded in held if _among(namespace, included) and not _among(namespace, excluded)]
    return max((at for at in found if pd.isna(created) or at >= created), default=None)


@table("backup_locations", kinds=(BackupStorageLocation,), key=("namespace", "name"))
class LocationRow(_Place):
    """One row per place where Velero keeps backups."""

    provider: Annotated[str | None, "Provider of the store."]
    default: Annotated[bool, "Used by backups that name none."]
    access_mode: Annotated[str, "ReadWrite, or ReadOnly: no backup is written there."]
    phase: Annotated[str | None, "Available, Unavailable, or missing where Velero has not looked."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[BackupStorageLocation]:
            spec = found.spec
            yield (
                found.namespace, "BackupStorageLocation", found.name, spec.provider if spec else None,
                bool(spec and spec.default), (spec.access_mode if spec else None) or "ReadWrite",
                found.status.phase if found.status else None,
            )  # fmt: skip


@table("jobs", kinds=(Job,), key=("namespace", "name"))
class JobRow(_Place):
    """One row per Job that is in the cluster still."""

    cron_job: Annotated[str | None, "CronJob that made it."]
    active: Annotated[int, "Pods that run."]
    succeeded: Annotated[int, "Pods that succeeded."]
    failed: Annotated[int, "Pods that failed."]
    started_at: Annotated[datetime | None, "When it started."]
    completed_at: Annotated[datetime | None, "When it succeeded; missing where it did not, or not yet."]
    gave_up: Annotated[bool, "It has the condition Failed, or FailureTarget while its pods end (batch/v1)."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Job]:
            status = found.status
            owner = next((o.name for o in found.metadata.owner_references or () if o.kind == "CronJob"), None)
            counts = (status.active or 0, status.succeeded or 0, status.failed or 0) if status else (0, 0, 0)
            times = (status.start_time, status.completion_time) if status else (None, None)
            holding = {c.type for c in (status and status.conditions) or () if c.status == "True"}
            gave_up = not holding.isdisjoint(("Failed", "FailureTarget"))
            yield (found.namespace, "Job", found.name, owner, *counts, *times, gave_up)
