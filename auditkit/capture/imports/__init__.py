"""Imports: documents that others made (identity exports, scanner reports, logs), each read once into records."""

from auditkit.capture.imports import audit_log, identity, tickets, waivers  # noqa: F401  (importing a reader declares it)
from auditkit.capture.imports.base import READERS, Import, Loaded, Supplied, judged, read
from auditkit.capture.imports.saved import load, save

__all__ = ["READERS", "Import", "Loaded", "Supplied", "judged", "load", "read", "save"]
