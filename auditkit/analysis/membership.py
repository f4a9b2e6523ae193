"""Whom a group of the identity provider holds, groups within groups resolved."""

from collections.abc import Iterable, Mapping


def members(direct: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
    """The people of each group, sorted: a member that is itself a group stands for its own members, at any depth.

    Whether a provider names the outer groups of a nested one in its tokens is its own setting: here it does.
    """
    return {group: sorted(_people(group, direct)) for group in direct}


def _people(group: str, direct: Mapping[str, Iterable[str]]) -> set[str]:
    found: set[str] = set()
    seen, open_ = {group}, [group]
    while open_:
        for member in direct[open_.pop()]:
            if member not in direct:
                found.add(member)
            elif member not in seen:
                seen.add(member)
                open_.append(member)
    return found
