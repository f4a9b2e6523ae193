"""The chart of people: who has access, and what of each a reviewer asks."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from auditkit.capture.snapshot import in_short
from auditkit.checks.dates import later
from auditkit.evaluate import Result, Snapshot
from auditkit.report.charts.drawing import COLOURS, MOST, short, sized, some, tile, titled

# Days without login that are long, as RBAC-88 does by default.
LONG = 90


def people(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """One line a person whom bindings reach: privileged or not, and five questions whose answer should be yes."""
    rows = _answered(snapshot)
    asked = [str(column) for column in rows.columns[4:]]
    bad = (rows[asked] == False).fillna(False).sum(axis=1)  # noqa: E712  (a missing answer is neither)
    rows = rows.assign(bad=bad).sort_values(["privileged", "bad"], ascending=False, kind="stable", ignore_index=True)
    shown = rows.head(MOST)
    figure = sized(len(shown), width=11)
    axes = figure.subplots()
    for y, (name, privileged, *answers) in enumerate(shown[["name", "privileged", *asked]].itertuples(index=False)):
        _tile(axes, 0, y, privileged, yes=COLOURS["undetermined"], no=COLOURS["quiet"])
        for x, answer in enumerate(answers, start=1):
            _tile(axes, x, y, answer, yes=COLOURS["ok"], no=COLOURS["exception"])
        through = ", ".join("by name" if text == name else text for text in shown["through"][y])
        roles = len(shown["roles"][y])
        text = f"{roles} role{'s' * (roles != 1)}: {through}"
        axes.text(len(asked) + 0.6, y, short(text, 52), va="center", fontsize=7.5)
    axes.set_xticks(range(len(asked) + 1), ["is or can become\ncluster-admin", *asked])
    axes.set_yticks(range(len(shown)), [short(name, 36) for name in shown["name"]])
    axes.xaxis.tick_top()
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.set_xlim(-0.6, len(asked) + 4.2)
    powerful = rows["privileged"].fillna(False).astype(bool)
    said = f"bindings reach {len(rows)} people and names; {int(powerful.sum())} are or can become cluster-admin, "
    said += f"of these {int((powerful & (rows['bad'] > 0)).sum())} with an answer no{some(rows, shown)}"
    lacking = snapshot.tables.incomplete(["people", "leavers"]).values()
    said += f"\nincomplete: {in_short(list(lacking))}" if lacking else ""
    return titled(figure, "People with access to the cluster", said, "–: not known, or the list was not supplied")


def _answered(snapshot: Snapshot) -> pd.DataFrame:
    """Each person with the answers; a list that was not wholly read answers nothing."""
    tables = snapshot.tables
    rows, last = tables["people"], tables["people"]["last_login"]
    used = ~later(tables["origin"], last, days=LONG, where=last.notna())
    answers = {
        "privileged": ("escalation_paths", rows["privileged"]),
        "known to the\nprovider": ("idp_users", rows["known"]),
        "account\nactive": ("idp_users", (rows["status"] == "active").astype("boolean").mask(rows["status"].isna())),
        "second\nfactor": ("idp_users", rows["mfa"]),
        f"login within\n{LONG} days": ("idp_users", used.mask(last.isna())),
        "has not\nleft": ("leavers", _stays(snapshot).reindex(rows["name"]).set_axis(rows.index)),
    }
    unread = {table for table, _ in answers.values() if tables.incomplete([table])}
    none = pd.Series(pd.NA, index=rows.index, dtype="boolean")
    known = {name: none if table in unread else answer for name, (table, answer) in answers.items()}
    return rows[["name", "roles", "through"]].assign(**known)


def _stays(snapshot: Snapshot) -> pd.Series:
    """Whether each user of the identity provider has not left at the time of the snapshot."""
    rows = snapshot.tables["account_departures"].set_index("name")
    day = rows["last_working_day"]
    return ~(rows["listed"] & later(snapshot.tables["origin"], day, days=1, where=day.notna()))


def _tile(axes: Axes, x: int, y: int, answer: bool, *, yes: str, no: str) -> None:
    word = "–" if pd.isna(answer) else "yes" if answer else "no"
    colour = {"yes": yes, "no": no, "–": COLOURS["quiet"]}[word]
    tile(axes, x, y, word, colour, dark=colour == COLOURS["exception"], size=8)
