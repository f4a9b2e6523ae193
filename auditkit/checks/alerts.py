"""What Prometheus saw in the range of the saved answers: alerts that fired, targets that were down."""

import pandas as pd

from auditkit.declare import check


@check("LOG-80", severity="medium")
def targets_up(scrape_targets: pd.DataFrame, *, minutes: int = 15) -> pd.Series:
    """Targets of Prometheus were not down for long.

    What is not scraped raises no alert. A target is an exception where one span has more minutes of samples that say down; where only
    samples that are missing make it that long, Prometheus itself was down or did not ask: undetermined, as is a shorter span
    with which the answer begins. Two spans with a sample between them that says up count apart. Step and range are those of
    the samples (prometheus_queries).

    Fix: agree each span in targets_down to an incident or a maintenance, and record it.
    """
    rows = scrape_targets
    late = (rows.longest_down_minutes > minutes).astype("boolean")
    unseen = (rows.longest_minutes > minutes).astype("boolean").fillna(True)
    return late.mask(~late.fillna(False) & (unseen | rows.cut))


@check("LOG-81", severity="medium")
def critical_alerts_end(alerts_fired: pd.DataFrame, *, minutes: int = 240) -> pd.Series:
    """Critical alerts did not fire for long.

    An alert that nobody acts on trains everybody to look away. Who acted, and when, stands in the record of incidents and not in
    Prometheus: this shows only how long each fired (label severity is critical or page). An alert without such a label is undetermined
    where it fired as long, and one that fires from the first sample of the answer where it ends sooner.

    Fix: agree each span in alerts_fired to an incident; correct the rule where none was one.
    """
    rows = alerts_fired
    long = (rows.minutes > minutes).astype("boolean")
    critical = rows.severity.str.lower().isin(["critical", "page"]).astype("boolean").mask(rows.severity.isna())
    return long.mask(~long.fillna(False) & rows.cut) & critical


@check("LOG-82", severity="medium")
def answers_reach_the_snapshot(prometheus_queries: pd.DataFrame, origin: pd.DataFrame, *, days: int = 2) -> pd.Series:
    """Saved answers of Prometheus are of a range that ends at the snapshot.

    An answer of an earlier range says nothing of the days since, one of a later range is about another time. An empty one has
    no range of its own: undetermined, whether no alert fired or nothing was asked.

    Fix: save the answers anew, with `end` the day of the snapshot and `start` the first day of the period.
    """
    apart: pd.Series = (origin.taken_at.iloc[0] - prometheus_queries.ends).dt.total_seconds().abs() / 86_400
    return (apart > days).astype("boolean").mask(apart.isna())
