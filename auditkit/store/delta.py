"""What changed from the files of one snapshot to those of the next, line by line, as `diff --rcs` writes it.

A file is the list of its lines (the text split at newlines), so that joining them gives the same bytes. A delta is
text: `file NAME` begins the changes of a file; `dN C` takes C lines away from line N on; `aN C` adds after line N the C
lines that follow; N counts the lines of the file before, from 1. `gone NAME` is a file that is no more.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from difflib import SequenceMatcher

Lines = list[bytes]
Files = Mapping[str, Lines]
# From line, lines taken away, lines put in their place.
Change = tuple[int, int, Lines]


def split(files: Mapping[str, bytes]) -> dict[str, Lines]:
    """Files by name as lists of lines."""
    return {name: content.split(b"\n") for name, content in files.items()}


def between(old: Files, new: Files) -> bytes:
    """The delta that makes `new` of `old`; empty where they are equal."""
    out: Lines = []
    for name in sorted(new):
        if new[name] != old.get(name):
            out.append(b"file " + name.encode())
            for at, gone, lines in _changes(name, old.get(name, []), new[name]):
                if gone:
                    out.append(b"d%d %d" % (at + 1, gone))
                if lines:
                    out += [b"a%d %d" % (at + gone, len(lines)), *lines]
    out += [b"gone " + name.encode() for name in sorted(set(old) - set(new))]
    return b"".join(line + b"\n" for line in out)


def applied(old: Files, delta: bytes) -> dict[str, Lines]:
    """The files after a delta; a file that it does not name is the same list as before.

    Raises ValueError where the text is no delta of these files.
    """
    new = dict(old)
    said = iter(delta.split(b"\n")[:-1])
    name, before, made, at = "", Lines(), Lines(), 0
    for line in said:
        word, _, rest = line.partition(b" ")
        if word in (b"file", b"gone"):
            made += before[at:]
            name, at, before, made = rest.decode(), 0, old.get(rest.decode(), []), []
            if word == b"file":
                new[name] = made
            elif new.pop(name, None) is None:
                raise ValueError(f"{name} is not there")
            else:
                before = []
            continue
        place, count = int(word[1:]), int(rest)
        upto = place - 1 if word.startswith(b"d") else place
        if not at <= upto <= len(before):
            raise ValueError(f"{name} has no line {place}")
        made += before[at:upto]
        if word.startswith(b"d"):
            at = upto + count
        else:
            at = upto
            made += (next(said) for _ in range(count))
    made += before[at:]
    return new


def _changes(name: str, old: Lines, new: Lines) -> Iterator[Change]:
    if name.endswith(".jsonl"):
        yield from _of_sorted(old, new)
    else:  # the few texts with lines that repeat
        matcher = SequenceMatcher(None, old, new, autojunk=False)
        yield from ((a, b - a, new[c:d]) for what, a, b, c, d in matcher.get_opcodes() if what != "equal")


def _of_sorted(old: Lines, new: Lines) -> Iterator[Change]:
    """Right for any lines, and short for those in an order that does not change: one object a line, sorted."""
    places: dict[bytes, list[int]] = defaultdict(list)
    for place, line in enumerate(old):
        places[line].append(place)
    at, added = 0, Lines()
    for line in new:
        there = places.get(line, ())
        found = bisect_left(there, at)
        if found == len(there):
            added.append(line)
            continue
        if there[found] > at or added:
            yield at, there[found] - at, added
        at, added = there[found] + 1, []
    if added or at < len(old):
        yield at, len(old) - at, added
