"""What travels with the code: where data/, notebooks/ and templates/ are, and what a file of data/ says."""

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parent


@cache
def folder(name: str) -> Path:
    """The folder `name` ("data", "notebooks" or "templates"): beside the package in a checkout, inside it when installed."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name


@cache
def data(name: str) -> Mapping[str, Any]:
    """A TOML file of data/ by its path there; it is read once, and nobody may change what is given."""
    return tomllib.loads((folder("data") / name).read_text(encoding="utf-8"))
