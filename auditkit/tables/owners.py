"""Owners of pods, as `auditkit.analysis.owners` finds them, for the tables that name them."""

from auditkit.analysis import owners
from auditkit.analysis.owners import POD_KINDS, Owned, Owners, created, ended, is_mirror
from auditkit.capture.snapshot import Objects

__all__ = ["POD_KINDS", "Owned", "Owners", "created", "ended", "is_mirror", "owned"]


def owned(objects: Objects) -> tuple[Owned, ...]:
    """Every top owner with its pods, folded once a snapshot; a pod that nothing collected owns is its own."""
    return objects.once(_owned)


def _owned(objects: Objects) -> tuple[Owned, ...]:
    return tuple(owners.owned(objects))
