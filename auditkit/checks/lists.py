"""Predicates over columns that hold lists of strings."""

import pandas as pd


def filled(lists: pd.Series) -> pd.Series:
    """Whether the list of a row holds anything."""
    return (lists.str.len() > 0).astype("boolean")


def holds(lists: pd.Series, *names: str) -> pd.Series:
    """Whether the list of a row holds one of the names."""
    return lists.explode().isin(names).groupby(level=0).any().astype("boolean")


def adds(capabilities: pd.Series, *names: str) -> pd.Series:
    """Whether one of the capabilities, or ALL, is added: runtimes accept lower case and a prefix CAP_."""
    plain = capabilities.explode().astype("string").str.upper().str.removeprefix("CAP_")
    return plain.isin([*names, "ALL"]).groupby(level=0).any().astype("boolean")
