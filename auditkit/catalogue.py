"""The catalogue: the facts that this project set out to show, and what other tools call the tests of them.

Which checks answer a fact stands in data/catalogue.toml, its title, imports and manual part in data/rows.toml, the ids
of other tools in data/peers.toml. What a check answers in a framework stands in data/frameworks (auditkit.frameworks).
"""

from collections.abc import Mapping

import pandas as pd

from auditkit.declare import CHECKS
from auditkit.resources import data


def imports() -> Mapping[str, str]:
    """What is read beside the API, and what each file is: `kube_bench` and its report in JSON."""
    found: Mapping[str, str] = data("rows.toml")["imports"]
    return found


def rows(check: str) -> list[str]:
    """The ids of the facts that a check answers; none where the catalogue has no entry of it."""
    return list(data("catalogue.toml").get(check, {}).get("rows", ()))


def peers(check: str) -> dict[str, list[str]]:
    """By tool: its own ids of tests that look at the same thing as a check of ours; they may judge it otherwise."""
    return {peer: list(ids) for peer, ids in data("peers.toml")["checks"].get(check, {}).items()}


def names() -> Mapping[str, str]:
    """The tools whose ids are known, and what these are ids of."""
    found: Mapping[str, str] = data("peers.toml")["names"]
    return found


def facts() -> pd.DataFrame:
    """One row per fact: id, title, checks, imports, and what they leave to a person or why there are none."""
    checks: dict[str, list[str]] = {}
    for id in sorted(CHECKS):
        for row in rows(id):
            checks.setdefault(row, []).append(id)
    found = [
        (row, fact["title"], checks.get(row, []), list(fact.get("imports", ())), fact.get("manual", ""))
        for row, fact in data("rows.toml")["rows"].items()
    ]
    return pd.DataFrame(found, columns=["row", "title", "checks", "imports", "manual"])
