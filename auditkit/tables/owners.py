"""Owners of pods, as `auditkit.analysis.owners` finds them, for the tables that name them."""

from auditkit.analysis.owners import POD_KINDS, Owned, Owners, created, ended, is_mirror, owned

__all__ = ["POD_KINDS", "Owned", "Owners", "created", "ended", "is_mirror", "owned"]
