"""What a period says in words: results, completeness, and what it cannot show."""

from collections.abc import Iterable

import pandas as pd

from auditkit.engagement import Engagement
from auditkit.period import changes
from auditkit.period.coverage import STATUSES
from auditkit.period.effectiveness import together
from auditkit.period.whole import Period
from auditkit.report.frames import records
from auditkit.report.narrative import count

CAVEATS = (
    "What began and ended between two captures is not seen; the gaps are named, and each date has its bounds.",
    "managedFields name the client as it called itself, and only the last write of each field: only the API server's audit log names users.",
    "A deletion has neither time nor author in a snapshot; it lies between two captures.",
    "A deviation that a capture does not show was remediated or did not apply any more: which of both is for people to say.",
    "Results of the captures are of their times: nothing is inferred for slots that were missed.",
    "Tests see the cluster's API; approvals, reviews and procedures of people are not in it but for the imports.",
)


def caveats(period: Period) -> tuple[str, ...]:
    """What this evidence cannot show."""
    several = "A ticket or waiver that names no cluster explains a change, or covers a deviation, of that name in each."
    return (*CAVEATS, several) if len(period.clusters) > 1 else CAVEATS


def clusters(period: Period) -> str:
    """Of what the evidence is: "cluster a", "clusters a and b"."""
    *before, last = period.clusters
    return f"clusters {', '.join(before)} and {last}" if before else f"cluster {last}"


def of_cluster(period: Period, name: str) -> str:
    """What leads a text about one of several clusters; "" where there is one."""
    return f"{name}: " if len(period.clusters) > 1 else ""


def left_out(period: Period, engagement: Engagement) -> str:
    """What the scope of the engagement states and this evidence does not cover."""
    return ", ".join(engagement.scope.without(period.clusters))


def uncaptured(period: Period) -> str:
    """What every sentence about a period says of clusters without a capture: that of them it says nothing."""
    without = sorted(set(period.clusters) - set(period.captures["cluster"]))
    return f" Nothing is known of {', '.join(without)}: no capture." if without else ""


def statuses(period: Period) -> dict[str, int]:
    """Slots by status, in the order of STATUSES."""
    found = period.coverage["status"].value_counts()
    return {status: int(found.get(status, 0)) for status in STATUSES}


def covered(period: Period) -> str:
    """How many slots of the schedule have a capture, and the longest gap."""
    found = statuses(period)
    rest = ", ".join(f"{number:,} {status}" for status, number in found.items() if number)
    several = len(period.clusters)
    text = f"{count(len(period.coverage), 'slot')}{f' of {several} clusters' if several > 1 else ''} expected"
    text += f": {rest}." if rest else " so far."
    text += uncaptured(period)
    longest = period.gaps.sort_values("days", ascending=False, kind="stable").head(1)
    for one in records(longest):
        text += (
            f" Longest gap {one.days:.1f} days, {of_cluster(period, one.cluster)}{day(one.start)} to {day(one.end)}; "
        )
        text += f"{count(int(period.gaps['exceeds'].sum()), 'gap')} beyond the tolerance."
    return text


def missed(period: Period) -> list[str]:
    """Missed slots as ranges, oldest first: "2026-07-02 to 2026-08-14: 44 slots missed"; of several clusters by cluster."""
    found = period.gaps[period.gaps["missed"] > 0]
    return [
        of_cluster(period, one.cluster)
        + (
            f"{day(one.first_missed)} to {day(one.last_missed)}: {count(int(one.missed), 'slot')} missed"
            if one.missed > 1
            else f"{day(one.first_missed)}: 1 slot missed"
        )
        for one in records(found)
    ]


def partial(period: Period) -> list[str]:
    """Captures of which evidence is missing."""
    return [
        f"{of_cluster(period, one.cluster)}{day(one.taken_at)}: not completely read: {', '.join(one.incomplete)}"
        for one in records(period.captures[period.captures["state"] == "partial"])
    ]


def concluded(period: Period) -> str:
    """Management's results over the controls, of several clusters together, and the deviations."""
    tally = together(period.controls)["result"].value_counts()
    results = ", ".join(f"{name} {number}" for name, number in tally.items())
    return f"{count(int(tally.sum()), 'control')}: {results}. {deviated(period)}"


def moved(period: Period, frame: pd.DataFrame) -> pd.Series:
    """Whether each row began after the first capture of its cluster, or is not in the last."""
    return (frame["first_seen"] > period.start(frame)) | (frame["state"] != "present")


def deviated(period: Period) -> str:
    """How many deviations there are, and in which state."""
    frame = period.deviations
    open_, ended = int(frame["open"].fillna(False).sum()), int((frame["state"] == "ended").sum())
    unknown, waived = len(frame) - open_ - ended, int(frame["waiver"].notna().sum())
    text = f"{count(len(frame), 'deviation')}: {open_:,} open in the last capture, {ended:,} ended, "
    text += f"{unknown:,} not known; {int(frame['recurred'].sum()):,} recurred"
    return text + (f"; {waived:,} covered by a waiver, and counted." if waived else ".") + uncaptured(period)


def changed(period: Period) -> str:
    """How many changes there are, and how many of them nothing explains."""
    frame = period.changes
    if frame.empty:
        return f"Nothing changed from capture to capture.{uncaptured(period)}"
    known = frame["explained"]
    unexplained, unknown = len(changes.exceptions(frame)), int(known.isna().sum())
    drift = int(frame["drift"].fillna(False).sum())
    return (
        f"{count(len(frame), 'change')}: {int(known.fillna(False).sum()):,} explained by a ticket, an agreed deployer or "
        f"Kubernetes itself, {unexplained:,} not explained (exceptions of CC8.1), {unknown:,} that cannot be told; {drift:,} drift from GitOps.{uncaptured(period)}"
    )


def granted(period: Period) -> str:
    """Bindings of subjects over the period, and what leavers kept."""
    frame, first, last = period.bindings, period.start(period.bindings), period.end(period.bindings)
    new, gone = int((frame["first_seen"] > first).sum()), int((frame["state"] == "ended").sum())
    brief = int(((frame["first_seen"] > first) & (frame["last_seen"] < last)).sum())
    text = f"{count(len(frame), 'binding')} of subjects over the period: {new:,} new, {gone:,} ended, {brief:,} of them both. "
    text += (
        f"Leavers kept {count(len(period.departures), 'binding')} after their last working day."
        if len(period.departures)
        else "No capture shows a binding of somebody on the list of leavers."
        if any(one.about.source == "leavers" for one in period.imports)
        else "No list of leavers was supplied."
    )
    return text + uncaptured(period)


def day(moment: pd.Timestamp) -> str:
    return f"{moment:%Y-%m-%d}"


def bounds(earliest: pd.Timestamp, latest: pd.Timestamp) -> str:
    """A moment that is known to lie between two: one day where both are the same, else both; "" where it has not come."""
    if pd.isna(latest):
        return ""
    if pd.isna(earliest):
        return f"before {latest:%Y-%m-%d %H:%M}"
    if earliest == latest:
        return f"{latest:%Y-%m-%d %H:%M}"
    return f"between {earliest:%Y-%m-%d %H:%M} and {latest:%Y-%m-%d %H:%M}"


def began(frame: pd.DataFrame) -> list[str]:
    """The beginning of each interval with its uncertainty."""
    return _bounds(frame, "began_not_before", "began_not_after")


def ended(frame: pd.DataFrame) -> list[str]:
    """The end of each interval with its uncertainty."""
    return _bounds(frame, "ended_not_before", "ended_not_after")


def _bounds(frame: pd.DataFrame, *columns: str) -> list[str]:
    pairs: Iterable[tuple[pd.Timestamp, pd.Timestamp]] = zip(*(frame[name] for name in columns), strict=True)
    return [bounds(earliest, latest) for earliest, latest in pairs]


def privileged(frame: pd.DataFrame) -> pd.DataFrame:
    """The grants that allow every verb on every resource of every group, in one namespace or everywhere."""
    every = [
        "*" in verbs and "*" in resources and "*" in groups
        for verbs, resources, groups in zip(frame["verbs"], frame["resources"], frame["api_groups"], strict=True)
    ]
    return frame[pd.Series(every, frame.index, dtype=bool)].reset_index(drop=True)
