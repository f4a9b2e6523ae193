"""Storage: whether data at rest is encrypted, and what becomes of it."""

import pandas as pd

from auditkit.declare import check


@check("STO-01", severity="high")
def volumes_encrypted(persistent_volumes: pd.DataFrame) -> pd.Series:
    """Volumes are encrypted at rest.

    A disk, or a snapshot of one, that leaves the provider's hands can be read. Encryption shows in the parameters of
    the StorageClass; of file systems, disks of nodes, volumes made by hand, and classes that are gone or were made anew
    since, it does not show in the cluster.

    Fix: move the data to a volume of an encrypting StorageClass; parameters of a volume cannot be changed.
    """
    return ~persistent_volumes.encrypted


@check("STO-02", severity="low")
def volumes_disposed_of(persistent_volumes: pd.DataFrame) -> pd.Series:
    """No volume keeps the data of a claim that is gone.

    A Released or Failed volume holds data that nobody uses and nobody disposed of.

    Fix: check what it holds, keep a copy if you must, and delete the volume and the disk behind it.
    """
    left = (persistent_volumes.phase == "Released") | (persistent_volumes.phase == "Failed")
    return left.astype("boolean")


@check("STO-03", severity="medium")
def default_class_encrypted(storage_classes: pd.DataFrame) -> pd.Series:
    """The default StorageClass makes encrypted volumes.

    Claims that name no class get it: whoever did not think of encryption goes without.

    Fix: make an encrypting class the default (annotation `storageclass.kubernetes.io/is-default-class`).
    """
    return storage_classes.default & ~storage_classes.encrypted


@check("STO-60", severity="medium")
def classes_encrypted(storage_classes: pd.DataFrame) -> pd.Series:
    """StorageClasses make encrypted volumes.

    Each class that does not is one mistake away from data at rest in the open.

    Fix: replace the class by one with the driver's parameter for encryption, or delete it.
    """
    return ~storage_classes.encrypted


@check("STO-61", severity="medium")
def kept_beyond_the_claim(retained_volumes: pd.DataFrame) -> pd.Series:
    """A volume that is deleted with its claim has a copy.

    With the reclaim policy Delete, whoever deletes the claim, or its namespace, deletes the data. A copy is a completed
    Velero Backup or a VolumeSnapshot, of whatever age; in a cluster with neither, other means may copy: undetermined.

    Fix: back up the namespace, or set the volume's `persistentVolumeReclaimPolicy` to Retain.
    """
    return retained_volumes.sole
