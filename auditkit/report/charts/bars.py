"""Charts of counts and of time: bars."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from auditkit import frameworks
from auditkit.capture.snapshot import INCOMPLETE
from auditkit.evaluate import CONCLUSIONS, Result, Results, Snapshot
from auditkit.report.charts.drawing import COLOURS, CONCLUDED, MOST, lacking, short, sized, some, stack, titled

# Days: the span that the timeline of certificates calls soon, as CERT-01 does by default.
SOON = 30
# What the prefixes of check ids stand for.
TOPICS: Mapping[str, str] = MappingProxyType(
    {
        "ADM": "admission",
        "AVL": "availability",
        "CERT": "certificates",
        "CP": "control plane",
        "IMG": "images",
        "LOG": "logging",
        "NET": "network",
        "NODE": "nodes",
        "POD": "pods",
        "RBAC": "access",
        "SEC": "secrets",
        "STO": "storage",
    }
)


def verdicts(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Rows with and without exceptions, one bar a test that has a population."""
    shown = [r for r in results if len(r.population)]
    rows = pd.DataFrame(
        {
            "exception": [len(r.exceptions) for r in shown],
            "undetermined": [len(r.undetermined) for r in shown],
            "ok": [len(r.population) - len(r.exceptions) - len(r.undetermined) for r in shown],
        },
        index=[r.check.id for r in shown],
    )
    figure = sized(len(shown))
    axes = figure.subplots()
    stack(axes, rows.div(rows.sum(axis=1), axis=0) * 100, [COLOURS[str(part)] for part in rows])
    for position, (found, total) in enumerate(zip(rows["exception"], rows.sum(axis=1), strict=True)):
        axes.text(101, position, f"{found:,} of {total:,}", va="center", fontsize=8)
    axes.set_xlim(0, 118)
    said = f"{(rows['exception'] > 0).sum()} of {len(shown)} tests with a population have exceptions"
    return titled(figure, "Share of each population that is an exception", said, "per cent of rows")


def coverage(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """How the request for each kind ended."""
    states = pd.Series([c.state for c in snapshot.coverage]).value_counts()
    figure = sized(len(states))
    axes = figure.subplots()
    colours = [COLOURS["exception"] if state in INCOMPLETE else COLOURS["ink"] for state in states.index]
    axes.bar_label(axes.barh(list(states.index), states.to_numpy(), color=colours), padding=3, fontsize=8)
    axes.invert_yaxis()
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    missing = [c.resource for c in snapshot.incomplete]
    rest = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
    said = f"incomplete: {', '.join(missing[:3])}{rest}" if missing else "nothing was denied, failed or partial"
    return titled(figure, "How the request for each kind of object ended", said, "kinds")


def levels(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Pods and templates of each namespace by the Pod Security level that they meet, beside the level that is enforced."""
    rows = snapshot.tables["pod_security"]
    met = rows["level"].mask(rows["level_unknown"].fillna(True).astype(bool)).fillna("unknown")
    order = ["privileged", "baseline", "restricted", "unknown"]
    counts = pd.crosstab(rows["namespace"], met).reindex(columns=order, fill_value=0)
    enforced = rows.groupby("namespace")["enforced"].first().fillna("unknown")
    worst = counts.sort_values(order[:2], ascending=False, kind="stable").index[:MOST].sort_values()
    every, counts = counts, counts.loc[worst]
    figure = sized(len(counts))
    axes = figure.subplots()
    colours = [COLOURS["exception"], COLOURS["undetermined"], COLOURS["ok"], COLOURS["quiet"]]
    stack(axes, counts, colours, labels=[f"enforced: {enforced[name]}" for name in counts.index])
    below = int(rows["below"].fillna(False).sum())
    open_ = int((met == "privileged").sum())
    pods = int((rows["kind"] == "Pod").sum())
    said = f"{open_} of {len(rows)} ({pods} pods, {len(rows) - pods} templates of workloads) do not meet baseline; "
    said += f"{below} meet less than is enforced{some(every, counts)}{lacking(snapshot, 'pod_security')}"
    title = "Pod Security level that the pods and templates of each namespace meet"
    return titled(figure, title, said, "pods and templates")


def expiry(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """When each certificate ends, seen from the time of the snapshot; equal certificates are one line.

    Of equal ones the line names where one is used, before a request for it.
    """
    listed = snapshot.tables["certificates"]
    found = listed.dropna(subset=["not_before", "not_after"])
    used = found["kind"].str.endswith("Request")
    rows = found.assign(request=used).sort_values(["not_after", "request", "kind", "namespace", "name"])
    every = rows.drop_duplicates("sha256").reset_index(drop=True)
    rows = every.head(MOST)
    now = snapshot.origin.taken_at
    figure = sized(len(rows))
    axes = figure.subplots()
    if rows.empty or now is None:
        axes.axis("off")
        said = "no certificate was read" if rows.empty else "the snapshot is undated"
        said += lacking(snapshot, "certificates")
        return titled(figure, "Certificates by the day they end", said, "")
    left = (every["not_after"] - pd.Timestamp(now)).dt.days
    early = every["not_before"] > pd.Timestamp(now)
    colours = [
        "exception" if d < 0 or e else "undetermined" if d < SOON else "ok" for d, e in zip(left, early, strict=True)
    ]
    names = (
        rows["kind"] + " " + rows["namespace"].where(rows["namespace"] == "", rows["namespace"] + "/") + rows["name"]
    )
    names = names.where(~rows["is_ca"].fillna(False), names + " (CA)")
    drawn = [COLOURS[c] for c in colours[: len(rows)]]
    axes.hlines(range(len(rows)), rows["not_before"], rows["not_after"], colors=drawn, lw=6)
    marks = _marks(every)
    for position, (end, days) in enumerate(zip(rows["not_after"], left[: len(rows)], strict=True)):
        text = f" {end:%Y-%m-%d} (expired" if days < 0 else f" {end:%Y-%m-%d} (in {days:,} days"
        text += f", valid from {rows['not_before'][position]:%Y-%m-%d}" if early[position] else ""
        text += f"{marks[position]})"
        axes.text(end, position, text, va="center", fontsize=7, bbox={"color": "white", "pad": 0.6}, zorder=3)
    axes.axvline(now, color=COLOURS["ink"], lw=1.2, ls="--")  # type: ignore[arg-type]
    axes.set_yticks(range(len(rows)), [short(name, 46) for name in names])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.margins(x=0.16)
    soon = int(((left >= 0) & (left < SOON)).sum())
    unread = f" ({len(listed) - len(found)} more without dates)" if len(found) < len(listed) else ""
    said = f"{len(every)} distinct certificates in {len(found)} places{unread}, "
    said += f"{int(every['request'].sum())} of them in requests only:\n"
    said += f"{_expired(every[left < 0])}, {soon} end within {SOON} days, {int(early.sum())} not yet valid,\n"
    said += (
        f"{int(marks.ne('').sum())} with a weak key or signature{some(every, rows)}{lacking(snapshot, 'certificates')}"
    )
    key = f"dashed: {now:%Y-%m-%d}, the time of the snapshot; red: not valid then; yellow: ends within {SOON} days"
    return titled(figure, "Certificates by the day they end", said, key)


def _marks(rows: pd.DataFrame) -> pd.Series:
    """ ", weak key" and ", weak signature" of each certificate."""
    key = rows["weak_key"].fillna(False).map({True: ", weak key", False: ""})
    return key + rows["weak_signature"].fillna(False).map({True: ", weak signature", False: ""})


def _expired(rows: pd.DataFrame) -> str:
    """How many certificates have expired, and where they are: "2 expired (1 Secret, 1 CertificateRequest)"."""
    where = ", ".join(f"{n} {kind}" for kind, n in rows["kind"].value_counts().items())
    return f"{len(rows)} expired" + (f" ({where})" if where else "")


def registries(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Containers by registry, with those named by digest, by tag, and by a tag that moves."""
    images = snapshot.tables["images"]
    # The name of a host has no case.
    by = images["registry"].str.lower().fillna("not a reference")
    moving = images["mutable"].fillna(False).astype(bool)
    pinned = images["digest"].notna()
    parts = {"named by a digest": pinned, "by a tag": ~pinned & ~moving, "by latest or no tag": moving & ~pinned}
    counts = pd.DataFrame(parts).groupby(by).sum()
    counts = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
    every, counts = counts, counts.head(MOST)
    figure = sized(len(counts))
    colours = [COLOURS["ok"], COLOURS["undetermined"], COLOURS["exception"]]
    stack(figure.subplots(), counts, colours, labels=[f"{n:,}" for n in counts.sum(axis=1)])
    said = f"{int(pinned.sum())} of {len(images)} containers name a digest; {len(every)} registries"
    said += some(every, counts) + lacking(snapshot, "images")
    return titled(figure, "Where images come from, and how they are named", said, "containers")


def requirements(snapshot: Snapshot, results: Sequence[Result], framework: str = "cis-1.12") -> Figure:
    """The items of a benchmark by section and management's result; an item without a test is manual."""
    named = Results(results, snapshot.tables)
    covered = frameworks.coverage(named, frameworks.load(framework), ())
    tested = covered["Tests"] != ""
    result = covered["Management's result"].where(tested, "no test: manual")
    shades = {
        "Exceptions noted": COLOURS["exception"],
        "Incomplete evidence": COLOURS["undetermined"],
        "No exceptions noted": COLOURS["ok"],
        "Not tested": COLOURS["quiet"],
        "no test: manual": "#e8e8e8",
    }
    there = [word for word in shades if (result == word).any()]
    order = dict.fromkeys(covered["Category"])
    counts = pd.crosstab(covered["Category"], result).reindex(index=list(order), columns=there)
    figure = sized(len(counts))
    stack(figure.subplots(), counts, [shades[word] for word in there], labels=[f"{n}" for n in counts.sum(axis=1)])
    said = f"{int(tested.sum())} of {len(covered)} items have tests, {int((result == 'Exceptions noted').sum())} of them with exceptions"
    return titled(figure, "Items of the benchmark by section and result", said, "items")


def conclusions(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Tests by topic and conclusion."""
    codes = [r.check.id.partition("-")[0] for r in results]
    topics = [f"{TOPICS[code]} ({code})" for code in codes]
    pairs = pd.DataFrame({"topic": topics, "conclusion": [r.conclusion for r in results]})
    there = [c for c in CONCLUSIONS if (pairs["conclusion"] == c).any()]
    counts = pd.crosstab(pairs["topic"], pairs["conclusion"]).reindex(columns=there)
    figure = sized(len(counts))
    totals = [f"{n}" for n in counts.sum(axis=1)]
    stack(figure.subplots(), counts, [CONCLUDED[c] for c in there], labels=totals)
    clean = int((pairs["conclusion"] == "no exceptions").sum())
    said = f"{clean} of {len(results)} tests without exceptions"
    return titled(figure, "Tests by topic and conclusion", said, "tests")
