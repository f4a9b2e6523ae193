"""From when to when something was there, as far as several captures can tell."""

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True, kw_only=True, slots=True)
class Times:
    """What an object says itself of a thing in it: the earliest and the latest that it can have begun."""

    not_before: datetime | None = None
    not_after: datetime | None = None


class SpanColumns:
    """The time columns of an interval; it is certain from `first_seen` to `last_seen`, possible between the outer bounds."""

    valid_from: Annotated[datetime, "When it began where that is known exactly, else when it was first seen."]
    valid_to: Annotated[datetime | None, "The latest it can have ended; missing while it has not."]
    first_seen: Annotated[datetime, "The first capture that holds it."]
    last_seen: Annotated[datetime, "The last capture that holds it without a break."]
    began_not_before: Annotated[datetime | None, "The earliest it can have begun; missing where nothing bounds it."]
    began_not_after: Annotated[datetime, "The latest it can have begun."]
    ended_not_before: Annotated[datetime | None, "The earliest it can have ended; missing while it has not."]
    ended_not_after: Annotated[datetime | None, "The latest it can have ended; missing while it has not."]
    state: Annotated[
        str,
        "present (in the last capture), ended, or unknown: not seen since, in captures that did not read all of its kind.",
    ]
    captures: Annotated[int, "Captures that hold it."]
    unknown: Annotated[int, "Captures in between, or since, in which it was not seen and its kind not completely read."]
    began: Annotated[str, "How the beginning is known, in words."]
    ended: Annotated[str | None, "How the end is known, in words."]
    month: Annotated[str, "Month of `first_seen`, as 2026-08: samples can be drawn of each."]


@dataclass(kw_only=True, slots=True)
class _Open:
    first_seen: datetime
    after: datetime | None
    times: Times
    since: int
    unknown: int = 0
    last_seen: datetime | None = None
    """Set while it is out of sight: else it was seen in the capture before this one."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Span(Generic[Key]):
    """One interval of a key; `values` are those of SpanColumns in their order."""

    key: Key
    values: tuple[Any, ...]


class Spans(Generic[Key]):
    """Follows the keys of one group (a kind, a table, a check) over captures, oldest first.

    What is held is one small record a key that is there, and the time of the last capture: captures themselves are not.
    """

    def __init__(self) -> None:
        self._open: dict[Key, _Open] = {}
        self._away: set[Key] = set()
        # Not seen and not known to be absent, with the last capture in which they were absent for certain.
        self._doubted: dict[Key, datetime | None] = {}
        self._last: datetime | None = None
        self._whole: datetime | None = None
        self._count = 0

    def step(
        self,
        at: datetime,
        there: Collection[Key],
        times: Callable[[Key], Times],
        *,
        whole: bool,
        doubtful: Collection[Key] = (),
        gone_by: Callable[[Key], datetime | None] = lambda _: None,
    ) -> list[Span[Key]]:
        """The intervals that ended before this capture; what is there now begins or goes on.

        `whole`: a key that is not there is gone; else it is unknown, as `doubtful` ones always are. `times` tells of a
        new key what bounds its beginning, `gone_by` of an ended one a moment at which it was gone already.
        """
        now = there if isinstance(there, (set, frozenset, Mapping)) else set(there)
        before, ended = self._open.keys(), []
        for key in [key for key in self._away if key in now]:
            self._away.discard(key)
            self._open[key].last_seen = None
        for key in [key for key in before if key not in now]:
            open_ = self._open[key]
            seen = open_.last_seen or self._last or open_.first_seen
            if whole and key not in doubtful:
                ended.append(self._closed(key, open_, seen, at, gone_by(key)))
                del self._open[key]
                self._away.discard(key)
            else:
                open_.last_seen, open_.unknown = seen, open_.unknown + 1
                self._away.add(key)
        for key in [key for key in now if key not in before]:
            after = self._doubted.get(key, self._whole)
            self._open[key] = _Open(first_seen=at, after=after, times=times(key), since=self._count)
        kept = {} if whole else self._doubted
        doubted = {key: self._doubted.get(key, self._whole) for key in doubtful if key not in self._open}
        self._doubted = {key: after for key, after in (kept | doubted).items() if key not in self._open}
        self._last, self._count = at, self._count + 1
        self._whole = at if whole else self._whole
        return ended

    def rest(self) -> Iterator[Span[Key]]:
        """The intervals that had not ended by the last capture."""
        for key, open_ in self._open.items():
            yield self._closed(key, open_, open_.last_seen or self._last or open_.first_seen, None, None)

    def _closed(
        self, key: Key, open_: _Open, seen: datetime, at: datetime | None, gone_by: datetime | None
    ) -> Span[Key]:
        after, said = open_.after, open_.times
        if after and said.not_after and said.not_after < after:
            # It says that it was there when it was not: a restored object, or a clock that is wrong.
            said = Times()
        latest = min(filter(None, (open_.first_seen, said.not_after)))
        earliest = max(filter(None, (after, said.not_before)), default=None)
        earliest = min(earliest, latest) if earliest else None
        gone = min(at, gone_by) if at and gone_by and gone_by >= seen else at
        state = "ended" if at else "unknown" if open_.last_seen else "present"
        exact = earliest == latest
        return Span(
            key=key,
            values=(
                latest if exact else open_.first_seen,
                gone,
                open_.first_seen,
                seen,
                earliest,
                latest,
                seen if at else None,
                gone,
                state,
                self._count - open_.since - open_.unknown,
                open_.unknown,
                _began(open_, earliest, latest),
                _ended(state, seen, gone, at),
                f"{open_.first_seen:%Y-%m}",
            ),
        )


def text(time: datetime) -> str:
    """A moment as people read it, UTC."""
    return f"{time:%Y-%m-%d %H:%M} UTC"


def _began(open_: _Open, earliest: datetime | None, latest: datetime) -> str:
    if earliest == latest:
        return f"created {text(latest)} by its own time" + (
            f", after the capture of {text(open_.after)}" if open_.after and open_.after < latest else ""
        )
    by = "first seen" if latest == open_.first_seen else "last written"
    return f"between {text(earliest)} and {text(latest)} ({by})" if earliest else f"before {text(latest)} ({by})"


def _ended(state: str, seen: datetime, gone: datetime | None, at: datetime | None) -> str | None:
    if gone is None or at is None:
        return (
            f"not known: not seen since {text(seen)}, its kind was not completely read" if state == "unknown" else None
        )
    by = "not in that capture" if gone == at else "gone by its own or its successor's time"
    return f"between {text(seen)} and {text(gone)} ({by})"
