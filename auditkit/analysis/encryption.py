"""Whether volumes of a storage driver are encrypted at rest, as far as the cluster can tell."""

from collections.abc import Mapping

from auditkit.resources import data


def encrypted(driver: str | None, parameters: Mapping[str, str] | None) -> bool | None:
    """Whether a driver with these StorageClass parameters makes encrypted volumes (data/encryption.toml).

    None where it is not visible: NFS, EFS and other file systems, disks of nodes, and parameters that are not known (None).
    All drivers take `true`; another spelling of it (`True`, `1`, yes), or of the parameter's name, some take and some do
    not, without an error: None as well.
    """
    known = data("encryption.toml")
    if driver in known["always"]:
        return True
    name = known["by_parameter"].get(driver or "") or known["or_below"].get(driver or "")
    if name is None or parameters is None:
        return None
    spelled = driver in known["any_case"]
    values = {k: v for k, v in parameters.items() if k.lower() == name}
    if any(v == "true" and (spelled or k == name) for k, v in values.items()):
        return True
    off = all(v.lower() in ("", "false", "f", "0") for v in values.values())
    return False if off and driver in known["by_parameter"] else None
