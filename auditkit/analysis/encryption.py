"""Whether volumes of a storage driver are encrypted at rest, as far as the cluster can tell."""

from collections.abc import Mapping

# The provider encrypts every volume, and it cannot be switched off (documents of Google Cloud and Azure).
ALWAYS = frozenset(
    [
        "pd.csi.storage.gke.io",
        "filestore.csi.storage.gke.io",
        "kubernetes.io/gce-pd",
        "disk.csi.azure.com",
        "file.csi.azure.com",
        "kubernetes.io/azure-disk",
        "kubernetes.io/azure-file",
    ]
)
# Encrypted if and only if this parameter is "true". An AWS account may encrypt by default; the cluster cannot see it.
BY_PARAMETER: Mapping[str, str] = {
    "ebs.csi.aws.com": "encrypted",
    "kubernetes.io/aws-ebs": "encrypted",
    "driver.longhorn.io": "encrypted",
    "diskplugin.csi.alibabacloud.com": "encrypted",
}
# Encrypted if this parameter is "true"; otherwise it depends on what lies below.
OR_BELOW: Mapping[str, str] = {
    "rbd.csi.ceph.com": "encrypted",
    "pxd.portworx.com": "secure",
    "kubernetes.io/portworx-volume": "secure",
    "csi.scaleway.com": "encrypted",
    "linodebs.csi.linode.com": "linodebs.csi.linode.com/luks-encrypted",
}


def encrypted(driver: str | None, parameters: Mapping[str, str] | None) -> bool | None:
    """Whether a driver with these StorageClass parameters makes encrypted volumes; None where it is not visible.

    Not visible are NFS, EFS and other file systems, disks of nodes, and parameters that are not known (None). Names
    of parameters are compared without case, values as Go's strconv.ParseBool reads `true`.
    """
    if driver in ALWAYS:
        return True
    name = BY_PARAMETER.get(driver or "") or OR_BELOW.get(driver or "")
    if name is None or parameters is None:
        return None
    value = next((v for k, v in parameters.items() if k.lower() == name), "")
    if value.lower() in ("true", "t", "1"):
        return True
    return False if driver in BY_PARAMETER else None
