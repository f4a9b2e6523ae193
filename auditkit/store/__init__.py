"""Where snapshots and packs are kept: written once, published whole, never overwritten."""

from auditkit.store.adding import Added, add
from auditkit.store.history import RECORD, Capture, History, histories
from auditkit.store.publish import publish_file, publishing
from auditkit.store.purging import Purge, plan, purge
from auditkit.store.tables import refresh

__all__ = [
    "RECORD",
    "Added",
    "Capture",
    "History",
    "Purge",
    "add",
    "histories",
    "plan",
    "publish_file",
    "publishing",
    "purge",
    "refresh",
]
