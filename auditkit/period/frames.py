"""What the frames of a period share: how rows become declared dtypes, and the shape of a capture."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pandas as pd

from auditkit import evaluate
from auditkit.declare import columns_of

DAY = 86_400.0


class Capture(Protocol):
    """One capture as the store lists it: when the cluster was read, when it was stored, its digest, kinds incomplete."""

    @property
    def taken_at(self) -> datetime: ...
    @property
    def added_at(self) -> datetime | None: ...
    @property
    def digest(self) -> str: ...
    @property
    def incomplete(self) -> Sequence[str]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A capture without its snapshot; `added_at` is missing where it is in no store."""

    taken_at: datetime
    added_at: datetime | None = None
    digest: str
    incomplete: tuple[str, ...] = ()

    @classmethod
    def of(cls, capture: Capture) -> "Taken":
        return cls(
            taken_at=capture.taken_at,
            added_at=capture.added_at,
            digest=capture.digest,
            incomplete=tuple(capture.incomplete),
        )


def framed(rows: Iterable[tuple[Any, ...]], declared: type) -> pd.DataFrame:
    """Rows in the order of the annotated fields of `declared`, in their dtypes; without rows the columns are there."""
    return evaluate.framed(rows, columns_of(declared), declared.__name__)
