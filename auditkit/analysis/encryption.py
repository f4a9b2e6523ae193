"""Whether volumes of a storage driver are encrypted at rest, as far as the cluster can tell."""

from collections.abc import Mapping

from auditkit.resources import data


def encrypted(driver: str | None, parameters: Mapping[str, str] | None) -> bool | None:
    """Whether a driver with these StorageClass parameters makes encrypted volumes (data/encryption.toml).

    None where it is not visible: NFS, EFS and other file systems, disks of nodes, and parameters that are not known (None). Names
    of parameters are compared without case, values as Go's strconv.ParseBool reads `true`.
    """
    known = data("encryption.toml")
    if driver in known["always"]:
        return True
    name = known["by_parameter"].get(driver or "") or known["or_below"].get(driver or "")
    if name is None or parameters is None:
        return None
    value = next((v for k, v in parameters.items() if k.lower() == name), "")
    if value.lower() in ("true", "t", "1"):
        return True
    return False if driver in known["by_parameter"] else None
