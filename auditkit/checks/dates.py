"""Predicates over times, seen from the time of the snapshot."""

import pandas as pd


def later(origin: pd.DataFrame, since: pd.Series, *, days: int, where: pd.Series) -> pd.Series:
    """Whether the snapshot was taken `days` or more after `since`; missing where it is undated, or `since` is.

    Outside `where` the answer does not matter, and is False.
    """
    taken = origin["taken_at"].iloc[0]
    found: pd.Series = (taken - since >= pd.Timedelta(days=days)).astype("boolean").mask(since.isna() | pd.isna(taken))
    return found.where(where.fillna(True).astype(bool), False)
