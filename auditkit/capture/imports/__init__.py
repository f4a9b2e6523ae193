"""Imports: documents that others made (identity exports, scanner reports, logs), each read once into records."""

from auditkit.capture.imports import (  # noqa: F401  (importing a reader declares it)
    audit_log,
    benchmarks,
    exploitability,
    identity,
    image_scans,
    prometheus,
    tickets,
    waivers,
)
from auditkit.capture.imports.base import READERS, Import, Loaded, Supplied, judged, of_clusters, read
from auditkit.capture.imports.saved import load, save

__all__ = ["READERS", "Import", "Loaded", "Supplied", "judged", "load", "of_clusters", "read", "save"]
