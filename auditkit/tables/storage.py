"""Volumes: where data lies, whether it is encrypted, and what becomes of it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import msgspec

from auditkit.analysis.encryption import encrypted
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.platform import (
    PersistentVolume,
    PersistentVolumeClaim,
    PersistentVolumeSpec,
    StorageClass,
    VolumeSnapshot,
    VolumeSnapshotContent,
)

# The first is current, the second was before 1.6 (k8s.io/component-helpers storage/volume).
DEFAULT_CLASS = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_PROVISIONED = "pv.kubernetes.io/provisioned-by"
# In-tree sources by the name of the driver that StorageClasses give them.
_IN_TREE = {
    "aws_elastic_block_store": "kubernetes.io/aws-ebs",
    "gce_persistent_disk": "kubernetes.io/gce-pd",
    "azure_disk": "kubernetes.io/azure-disk",
    "azure_file": "kubernetes.io/azure-file",
    "portworx_volume": "kubernetes.io/portworx-volume",
}
_NOT_SOURCES = {
    "capacity", "access_modes", "claim_ref", "persistent_volume_reclaim_policy", "storage_class_name", "csi",
}  # fmt: skip
_SOURCES = [f.name for f in msgspec.structs.fields(PersistentVolumeSpec) if f.name not in _NOT_SOURCES]


@table("storage_classes", kinds=(StorageClass,), key=("name",))
class StorageClassRow:
    """One row per StorageClass."""

    namespace: Annotated[str, "Empty: a StorageClass lies in no namespace."]
    kind: Annotated[str, "StorageClass."]
    name: Annotated[str, "Name of the class."]
    provisioner: Annotated[str | None, "Driver that makes its volumes."]
    default: Annotated[bool, "Used by claims that name no class."]
    encrypted: Annotated[
        bool | None, "Its volumes are encrypted (analysis/encryption.py); missing where it is not visible."
    ]
    reclaim_policy: Annotated[str, "What becomes of a volume when its claim goes: Delete or Retain."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[StorageClass]:
            default = any(found.annotations.get(name) == "true" for name in DEFAULT_CLASS)
            secured = encrypted(found.provisioner, found.parameters or {})
            policy = found.reclaim_policy or "Delete"
            yield ("", "StorageClass", found.name, found.provisioner, default, secured, policy)


@table("persistent_volumes", kinds=(PersistentVolume,), beside=(StorageClass,), key=("name",))
class VolumeRow:
    """One row per PersistentVolume.

    Encryption follows from the parameters of its StorageClass. Where the class is gone, was made after the volume
    (classes cannot be changed, but made anew under their name), or is of another driver, it is known only of drivers that
    always encrypt. So it is of a volume that somebody made by hand and gave the name of an encrypting class: it lacks the
    annotation that provisioners leave (k8s.io/component-helpers storage/volume AnnDynamicallyProvisioned).
    """

    namespace: Annotated[str, "Empty: a PersistentVolume lies in no namespace."]
    kind: Annotated[str, "PersistentVolume."]
    name: Annotated[str, "Name of the volume."]
    driver: Annotated[str | None, "CSI driver, or kind of the in-tree source; missing where it is not known."]
    storage_class: Annotated[str | None, "StorageClass that made it; missing where it was made by hand."]
    encrypted: Annotated[bool | None, "Encrypted at rest; missing where it is not visible."]
    reclaim_policy: Annotated[str, "What becomes of it when its claim goes: Delete, Retain or Recycle."]
    phase: Annotated[str | None, "Available, Bound, Released (its claim is gone) or Failed."]
    claim_namespace: Annotated[str | None, "Namespace of the claim that it is or was bound to."]
    claim: Annotated[str | None, "Name of that claim."]
    capacity: Annotated[str | None, "Size."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        classes = {found.name: found for found in objects[StorageClass]}
        for found in objects[PersistentVolume]:
            spec = found.spec or PersistentVolumeSpec()
            made_by, driver = classes.get(spec.storage_class_name or ""), _driver(spec)
            parameters = (made_by.parameters or {}) if made_by and _made(made_by, driver, found) else None
            secured = encrypted(driver, parameters)
            if secured and _PROVISIONED not in found.annotations:
                secured = encrypted(driver, None)
            claim, size = spec.claim_ref, (spec.capacity or {}).get("storage")
            yield (
                "",
                "PersistentVolume",
                found.name,
                driver,
                spec.storage_class_name or None,
                secured,
                spec.persistent_volume_reclaim_policy or "Retain",
                found.status.phase if found.status else None,
                claim.namespace if claim else None,
                claim.name if claim else None,
                None if size is None else str(size),
            )


def _made(made_by: StorageClass, driver: str | None, volume: PersistentVolume) -> bool:
    """Whether a class as it is now can have made a volume."""
    first, then = made_by.metadata.creation_timestamp, volume.metadata.creation_timestamp
    return made_by.provisioner == driver and not (first and then and then < first)


def _driver(spec: PersistentVolumeSpec) -> str | None:
    if spec.csi:
        return spec.csi.driver
    source = next((name for name in _SOURCES if getattr(spec, name) is not None), None)
    return _IN_TREE.get(source, source) if source else None


@table("persistent_volume_claims", kinds=(PersistentVolumeClaim,), key=("namespace", "name"))
class ClaimRow:
    """One row per PersistentVolumeClaim."""

    namespace: Annotated[str, "Namespace of the claim."]
    kind: Annotated[str, "PersistentVolumeClaim."]
    name: Annotated[str, "Name of the claim."]
    created_at: Annotated[datetime | None, "When it was made."]
    phase: Annotated[str | None, "Pending, Bound or Lost."]
    storage_class: Annotated[str | None, "StorageClass; missing is the default class at the time it was made."]
    volume: Annotated[str | None, "PersistentVolume that it is bound to."]
    access_modes: Annotated[list[str], "Access modes."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[PersistentVolumeClaim]:
            spec, phase = found.spec, found.status.phase if found.status else None
            place = (found.namespace, "PersistentVolumeClaim", found.name, found.metadata.creation_timestamp, phase)
            if spec is None:
                yield (*place, None, None, [])
            else:
                yield (*place, spec.storage_class_name or None, spec.volume_name or None, spec.access_modes or [])


@table("volume_snapshots", kinds=(VolumeSnapshot,), beside=(VolumeSnapshotContent,), key=("namespace", "name"))
class SnapshotRow:
    """One row per VolumeSnapshot."""

    namespace: Annotated[str, "Namespace of the snapshot."]
    kind: Annotated[str, "VolumeSnapshot."]
    name: Annotated[str, "Name of the snapshot."]
    claim: Annotated[str | None, "Claim that it was taken of."]
    taken_at: Annotated[datetime | None, "When it was taken."]
    ready: Annotated[bool | None, "Ready to restore from."]
    driver: Annotated[str | None, "Driver that took it."]
    deletion_policy: Annotated[str | None, "What becomes of the data when the snapshot goes: Delete or Retain."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        contents = {found.name: found.spec for found in objects[VolumeSnapshotContent]}
        for found in objects[VolumeSnapshot]:
            source, status = found.spec.source if found.spec else None, found.status
            content = contents.get((status.bound_volume_snapshot_content_name if status else None) or "")
            yield (
                found.namespace,
                "VolumeSnapshot",
                found.name,
                source.persistent_volume_claim_name if source else None,
                status.creation_time if status else None,
                status.ready_to_use if status else None,
                content.driver if content else None,
                content.deletion_policy if content else None,
            )
