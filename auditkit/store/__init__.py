"""Where snapshots and packs are kept: written once, published whole, never overwritten."""

from auditkit.store.history import Capture, History, histories
from auditkit.store.publish import locked, publishing

__all__ = ["Capture", "History", "histories", "locked", "publishing"]
