"""Where a snapshot came from, and on whose word: what auditkit saw itself, and what a supplier of files states."""

from auditkit.evaluate import Snapshot
from auditkit.report import narrative

UNVERIFIED = "as stated by the supplier of the files; not verified by auditkit"


def from_files(snapshot: Snapshot) -> bool:
    """Whether somebody else read the cluster and auditkit only the files that they made."""
    return not snapshot.origin.server


def read_as(snapshot: Snapshot) -> str:
    """Who read the cluster, with the groups: by the server's own answer, or as the files state."""
    identity = snapshot.origin.identity
    if not identity.username:
        return "not stated in the files" if from_files(snapshot) else "unknown: the server does not say"
    groups = f" (groups: {', '.join(identity.groups)})" if identity.groups else ""
    word = UNVERIFIED if from_files(snapshot) else "by the server's own answer (SelfSubjectReview)"
    return f"{identity.username}{groups}, {word}"


def filters(snapshot: Snapshot) -> str:
    """What was left out between cluster and snapshot."""
    all_ = "every object of each kind, of all namespaces, but for kinds left out by policy"
    if from_files(snapshot):
        return f"auditkit read {all_}; that the files hold all there was: {UNVERIFIED}"
    return f"none: {all_}"


def described(snapshot: Snapshot) -> str:
    """The source and what its objects are."""
    return f"{snapshot.origin.source}: {_basis(snapshot)}"


def _basis(snapshot: Snapshot) -> str:
    if snapshot.origin.basis != "listed":
        return "manifests as supplied; no list shows that they are all"
    return "the API's lists, as the files hold them" if from_files(snapshot) else "lists of the API"


def card(snapshot: Snapshot) -> dict[str, str]:
    """The evidence card: label and text of source, identity, time, completeness and digest."""
    origin, files = snapshot.origin, from_files(snapshot)
    return {
        "Source": origin.source,
        "Server": origin.server or "none: auditkit read files and no server",
        "Kubernetes": f"{origin.version or 'unknown'}{f', {UNVERIFIED}' if files and origin.version else ''}",
        "Cluster": f"{origin.cluster} (UID of kube-system: {origin.cluster_uid or 'unknown'})",
        "As of": narrative.as_of(snapshot),
        "Read as": read_as(snapshot),
        "Read with": f"not known: whoever made the files; {origin.tool} read the files" if files else origin.tool,
        "Basis": _basis(snapshot),
        "Filters": filters(snapshot),
        "Snapshot digest": snapshot.digest,
    }
