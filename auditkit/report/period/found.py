"""What the workpapers of a period found: results counted, rows to follow up, and a sentence over each."""

from collections.abc import Callable, Mapping
from itertools import product

import pandas as pd

from auditkit.period import changes as _changes
from auditkit.period.coverage import STATUSES
from auditkit.period.effectiveness import together
from auditkit.period.whole import Period
from auditkit.report.page import escape, items, table
from auditkit.report.period import words

# Rows to follow up that a page shows; all of them are in the files.
MOST = 40
_SEVERITIES = ("critical", "high", "medium", "low", "info")
# The columns that a page has place for.
_SHOWN: Mapping[str, tuple[str, ...]] = {
    "captures": ("taken_at", "state", "objects", "incomplete", "version", "tool"),
    "coverage": ("slot", "status", "taken_at", "late_hours", "captures", "incomplete"),
    "gaps": ("start", "end", "days", "missed", "first_missed", "last_missed", "exceeds"),
    "controls": (
        "control",
        "title",
        "expected",
        "captured",
        "with_exceptions",
        "clean",
        "deviations",
        "open",
        "result",
    ),
    "checks": ("check", "title", "severity", "captured", "with_exceptions", "clean", "deviations", "open", "result"),
    "deviations": (
        "exception_id",
        "severity",
        "row",
        "first_seen",
        "last_seen",
        "state",
        "days_at_least",
        "days_at_most",
    ),
    "changes": ("change", "kind", "namespace", "name", "manager", "at", "explained", "why"),
    "objects": ("kind", "namespace", "name", "first_seen", "last_seen", "state", "began", "ended"),
    "bindings": ("kind", "namespace", "name", "role", "identity", "first_seen", "last_seen", "state"),
    "grants": ("name", "identity", "verbs", "resources", "first_seen", "last_seen", "state"),
    "departures": ("person", "last_working_day", "name", "role", "first_seen", "last_seen", "days_at_least", "ended"),
}


def readable(period: Period, name: str, frame: pd.DataFrame) -> pd.DataFrame:
    """The columns of a listing that a page has place for, with the cluster where there are several."""
    return worded(frame[period.with_cluster(*_SHOWN[name])])


def worded(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame with blanks in the names of its columns."""
    return frame.rename(columns=lambda name: name.replace("_", " "))


def _coverage(period: Period) -> str:
    slots = period.coverage.assign(Month=[f"{slot:%Y-%m}" for slot in period.coverage["slot"]])
    counts = pd.crosstab([slots[name] for name in period.with_cluster("Month")], slots["status"].rename(None))
    counts = counts.reindex(columns=list(STATUSES), fill_value=0).assign(expected=lambda frame: frame.sum(axis=1))
    return f"<p>{escape(words.covered(period))}</p>{table(counts.reset_index())}"


def _effectiveness(period: Period) -> str:
    frame = period.controls
    text = f"<p>{escape(words.concluded(period))}</p>" + table(together(frame)[list(_SHOWN["controls"])])
    if len(period.clusters) > 1:
        results = frame.pivot(index=["control", "title"], columns="cluster", values="result").reset_index()
        text += "<h3>By cluster</h3>" + table(results.rename_axis(None, axis=1))
    return text


def _access(period: Period) -> str:
    rows = [
        {
            "Listing": name,
            **of,
            "Rows": len(own),
            "Subjects": own["identity"].nunique(),
            **_movement(period, own),
        }
        for name, frame in (
            ("bindings", period.bindings),
            ("grants", period.grants),
            ("grants of everything", words.privileged(period.grants)),
        )
        for of, own in _each(period, frame)
    ]
    return f"<p>{escape(words.granted(period))}</p>" + table(pd.DataFrame(rows))


def _each(period: Period, frame: pd.DataFrame) -> list[tuple[dict[str, str], pd.DataFrame]]:
    """The rows of each cluster that has a capture after a cell that names it, where there are several; else all."""
    if len(period.clusters) == 1:
        return [({}, frame)]
    return [({"Cluster": name}, frame[frame["cluster"] == name]) for name in sorted(set(period.captures["cluster"]))]


def _movement(period: Period, frame: pd.DataFrame) -> dict[str, int]:
    first, last = period.start(frame), period.end(frame)
    new, gone = frame["first_seen"] > first, frame["state"] == "ended"
    return {
        "In the first capture": int((~new).sum()),
        "New": int(new.sum()),
        "Ended": int(gone.sum()),
        "New and ended": int((new & gone).sum()),
        "In the last capture": int((frame["last_seen"] == last).sum()),
    }


def _changed(period: Period) -> str:
    frame = period.changes
    said = frame["explained"].map({True: "explained", False: "not explained"}).fillna("cannot be told")
    counts = pd.crosstab([frame[name] for name in period.with_cluster("kind")], said)
    counts = counts.reindex(columns=["explained", "not explained", "cannot be told"], fill_value=0)
    counts = counts.sort_values(["not explained", "cannot be told", "explained"], ascending=False, kind="stable")
    with_ticket = frame[frame["ticket"].notna()]
    text = f"<p>{escape(words.changed(period))} {len(with_ticket)} have a ticket: {escape(', '.join(sorted(set(with_ticket['ticket']))) or 'none')}.</p>"
    return text + table(counts.rename_axis(None, axis=1).reset_index())


def _deviations(period: Period) -> str:
    frame = period.deviations
    rows = []
    for severity, (of, own) in product(_SEVERITIES, _each(period, frame)):
        own = own[own["severity"] == severity]
        ended = own[own["state"] == "ended"]
        rows.append(
            {
                "Severity": severity,
                **of,
                "Deviations": len(own),
                "Open": int(own["open"].fillna(False).sum()),
                "Ended": len(ended),
                "Not known": int(own["open"].isna().sum()),
                "Recurred": int(own["recurred"].sum()),
                "Waived": int(own["waiver"].notna().sum()),
                "Longest of the ended, days at most": "–"
                if ended["days_at_most"].isna().all()
                else f"{ended['days_at_most'].max():.0f}",
            }
        )
    return f"<p>{escape(words.deviated(period))}</p>" + table(pd.DataFrame(rows))


def _follow_coverage(period: Period) -> str:
    missed = words.missed(period)
    text = "<h3>Missed slots</h3>" + (items(missed) or "<p class='none'>None.</p>")
    text += "<h3>Gaps</h3>" + table(readable(period, "gaps", period.gaps))
    partial = period.captures[period.captures["state"] == "partial"]
    return (
        text
        + "<h3>Captures with missing evidence</h3>"
        + table(
            worded(partial[period.with_cluster("taken_at", "incomplete")].assign(digest=partial["digest"].str[:16]))
        )
    )


def _follow_effectiveness(period: Period) -> str:
    frame = period.checks[period.checks["result"] != "No exceptions noted"]
    order = frame.assign(rank=frame["severity"].map(list(_SEVERITIES).index)).sort_values(
        ["rank", "deviations"], ascending=[True, False], kind="stable"
    )
    return "<h3>Tests, gravest first</h3>" + table(readable(period, "checks", order), shown=MOST)


def _follow_access(period: Period) -> str:
    every = words.privileged(period.grants)
    text = "<h3>Access to everything that began or ended in the period</h3>" + table(
        _dated(period, every[words.moved(period, every)], "name", "identity", "role")
    )
    kept = period.departures
    text += "<h3>Access that people who left kept</h3>"
    text += table(
        _dated(period, kept, "person", "last_working_day", "name", "role").assign(
            **{"days at least": kept["days_at_least"].round(1)}
        )
    )
    new = period.bindings[words.moved(period, period.bindings)]
    return (
        text
        + "<h3>Every binding that began or ended</h3>"
        + table(_dated(period, new, "kind", "namespace", "name", "identity"), shown=MOST)
    )


def _dated(period: Period, frame: pd.DataFrame, *columns: str) -> pd.DataFrame:
    """These columns, the cluster where there are several, and when each began and ended with the uncertainty."""
    return worded(frame[period.with_cluster(*columns)]).assign(
        began=words.began(frame),
        ended=words.ended(frame),
        seen=[_days(a, b) for a, b in zip(frame["first_seen"], frame["last_seen"], strict=True)],
    )


def _days(first: pd.Timestamp, last: pd.Timestamp) -> str:
    return " to ".join(dict.fromkeys([f"{first:%Y-%m-%d}", f"{last:%Y-%m-%d}"]))


def _follow_changes(period: Period) -> str:
    frame = period.changes
    columns = period.with_cluster("kind", "namespace", "name", "change", "fields", "manager", "when", "drift", "why")
    parts = (
        ("Not explained: exceptions of CC8.1", _changes.exceptions(frame)),
        ("Cannot be told", frame[frame["explained"].isna()]),
        ("With a ticket", frame[frame["ticket"].notna()]),
    )
    return "".join(
        f"<h3>{title}</h3>" + table(worded(rows.assign(when=_when(rows))[columns]), shown=MOST) for title, rows in parts
    )


def _when(frame: pd.DataFrame) -> list[str]:
    times = zip(frame["at"], frame["not_before"], frame["not_after"], strict=True)
    return [f"{at:%Y-%m-%d %H:%M}" if pd.notna(at) else words.bounds(before, after) for at, before, after in times]


def _follow_deviations(period: Period) -> str:
    frame = period.deviations
    grave = frame[frame["severity"].isin(["critical", "high"]) & words.moved(period, frame)]
    recurred = frame[frame["recurred"] | (frame["occurrence"] > 1)]
    columns = ("exception_id", "title", "severity", "row")
    text = "<h3>Critical and high, that began or ended within the period</h3>" + table(
        _dated(period, grave, *columns), shown=MOST
    )
    text += "<h3>Came again</h3>" + table(_dated(period, recurred, *columns, "occurrence"), shown=MOST)
    waived = frame[frame["waiver"].notna()]
    return (
        text
        + "<h3>Covered by a waiver, and deviations still</h3>"
        + table(_dated(period, waived, *columns, "waiver"), shown=MOST)
    )


Said = Callable[[Period], str]
RESULTS: Mapping[str, Said] = {
    "coverage": _coverage,
    "effectiveness": _effectiveness,
    "access": _access,
    "changes": _changed,
    "deviations": _deviations,
}
EXCEPTIONS: Mapping[str, Said] = {
    "coverage": _follow_coverage,
    "effectiveness": _follow_effectiveness,
    "access": _follow_access,
    "changes": _follow_changes,
    "deviations": _follow_deviations,
}
SENTENCE: Mapping[str, Said] = {
    "coverage": words.covered,
    "effectiveness": words.concluded,
    "access": words.granted,
    "changes": words.changed,
    "deviations": words.deviated,
}
