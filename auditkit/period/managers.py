"""Who wrote an object, by its managedFields, and whether Argo CD or Flux says that it is theirs.

A manager is the name that a client gives itself (`--field-manager`, else its program's): a claim, not an identity. An
entry goes when another manager has taken all its fields, and a write that only takes fields away leaves no time
(apimachinery pkg/util/managedfields/internal/managedfieldsupdater.go). So the latest manager is the latest that is known.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from auditkit.engagement import managers, matches
from auditkit.kinds import Kind, ManagedField

# Argo CD: argo-cd docs/user-guide/resource_tracking.md; Flux: fluxcd.io/flux/components/{kustomize,helm}.
ARGO_ANNOTATION, ARGO_LABEL = "argocd.argoproj.io/tracking-id", "argocd.argoproj.io/instance"
FLUX_LABELS = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name")
_UNDATED = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """One entry of managedFields that is no write of status."""

    manager: str
    operation: str
    subresource: str
    time: datetime | None

    def __str__(self) -> str:
        return f"{self.manager} {self.operation}" + (f" {self.subresource}" if self.subresource else "")


def writes(obj: Kind | None) -> tuple[Write, ...]:
    """The known writes of an object, oldest first, without those of its status."""
    entries = (obj.metadata.managed_fields or ()) if obj else ()
    found = (_write(entry) for entry in entries if entry.subresource != "status")
    return tuple(sorted(found, key=lambda one: (one.time or _UNDATED, one.manager, one.operation, one.subresource)))


def _write(entry: ManagedField) -> Write:
    return Write(manager=entry.manager, operation=entry.operation, subresource=entry.subresource, time=entry.time)


def new_writes(old: Kind | None, new: Kind) -> tuple[Write, ...]:
    """The writes of `new` that `old` does not have: made after `old` was read, whatever the clocks say."""
    known = set(writes(old))
    return tuple(write for write in writes(new) if write not in known)


def last_written(obj: Kind) -> datetime | None:
    """The latest known write, at least the creation; None where managedFields are not there."""
    times = [write.time for write in writes(obj) if write.time]
    return max([*times, *filter(None, [obj.metadata.creation_timestamp])]) if times else None


def all_of(found: Iterable[Write], patterns: Iterable[str]) -> bool:
    """Whether there are writes, and all by managers of these names."""
    names, known = {write.manager for write in found}, tuple(patterns)
    return bool(names) and all(matches(name, known) for name in names)


def controllers() -> tuple[str, ...]:
    """Names of Kubernetes' own controllers."""
    return managers()["controllers"]


def tracked_by(obj: Kind) -> str | None:
    """Argo CD or Flux where their tracking annotation or label is on the object; a copied label is there too."""
    if ARGO_ANNOTATION in obj.annotations or ARGO_LABEL in obj.labels:
        return "Argo CD"
    return "Flux" if any(label in obj.labels for label in FLUX_LABELS) else None
