"""Where data/, notebooks/ and templates/ are: beside the package in a checkout, inside it when installed."""

from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent


@cache
def folder(name: str) -> Path:
    """The folder `name` ("data", "notebooks" or "templates") of this installation."""
    inside = PACKAGE / name
    return inside if inside.is_dir() else PACKAGE.parent / name
