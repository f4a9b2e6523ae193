"""Charts of yes and no: a tile a fact."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from auditkit.evaluate import CONCLUSIONS, Result, Snapshot
from auditkit.report.charts.drawing import COLOURS, CONCLUDED, MOST, answers, short, sized, some, tile, titled


def policies(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """Which policies hold in each namespace: yes, no, or not known."""
    tables = snapshot.tables
    psa = tables["psa"].set_index("name")
    labelled = (psa["enforce"].isin(["baseline", "restricted"]) & psa["enforce_valid"]).astype("boolean")
    network, limits = (tables[name].set_index("name") for name in ("namespace_network", "namespace_limits"))
    engines = tables["namespace_engines"].set_index("name")
    held = pd.DataFrame(
        {
            "Pod Security\nbaseline or more": labelled.mask(psa["enforce"].isna()),
            "policy engine\non pods": engines["governed"],
            "ingress denied\nby default": network["default_deny_ingress"],
            "egress denied\nby default": network["default_deny_egress"],
            "limits of\ncontainers": limits["limits_containers"],
            "quota of CPU\nand memory": limits["quota_cpu"] & limits["quota_memory"],
        },
        index=psa.index,
    )
    for column, name in zip(
        held, ("psa", "namespace_engines", *["namespace_network"] * 2, *["namespace_limits"] * 2), strict=True
    ):
        if tables.incomplete([name]):
            held[column] = pd.NA
    policed = held.fillna(False).astype(bool).sum(axis=1)
    unknown = held.isna().any(axis=1)
    every, held = held, held.loc[policed.sort_values(kind="stable").index[:MOST].sort_values()]
    figure = sized(len(held))
    answers(figure.subplots(), held)
    bare, open_ = int(((policed == 0) & ~unknown).sum()), int(((policed == 0) & unknown).sum())
    said = f"of {len(every)} namespaces {bare} {'is' if bare == 1 else 'are'} under none of these policies; "
    said += f"of {open_} more not all is known or tested{some(every, held)}"
    unit = "–: not known, or not tested: a namespace that Kubernetes itself makes"
    return titled(figure, "Policies that hold in each namespace", said, unit)


_DOES = {
    "enforced": COLOURS["ink"],
    "audited": COLOURS["ok"],
    "exempt": COLOURS["exception"],
    "nothing": COLOURS["quiet"],
    "not known": COLOURS["undetermined"],
}


def enforcement(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """What each policy engine does in each namespace: enforces, audits, leaves it out, nothing."""
    tables = snapshot.tables
    rows = tables["enforcement"]
    rows = rows[~rows["system"]]
    held = rows.pivot(index="name", columns="engine", values="state").fillna("not known")
    # An engine that does nothing anywhere is said in words.
    idle = [engine for engine in held if (held[engine] == "nothing").all()]
    if tables.incomplete(["enforcement"]):
        held, idle = held.mask(held != "enforced", "not known"), []
    held = held.drop(columns=idle)
    enforced = (held == "enforced").sum(axis=1)
    unknown = (held == "not known").any(axis=1)
    every, held = held, held.loc[enforced.sort_values(kind="stable").index[:MOST].sort_values()]
    figure = sized(len(held))
    axes = figure.subplots()
    for x, engine in enumerate(held):
        for y, word in enumerate(held[engine]):
            tile(axes, x, y, word, _DOES[word], dark=word in ("enforced", "exempt"), size=8)
    axes.set_xticks(range(held.shape[1]), [str(engine) for engine in held])
    axes.set_yticks(range(len(held)), [short(name) for name in held.index])
    axes.xaxis.tick_top()
    axes.set_ylim(len(held) - 0.4, -0.6)
    bare, open_ = int(((enforced == 0) & ~unknown).sum()), int(((enforced == 0) & unknown).sum())
    said = f"in {bare} of {len(every)} namespaces no engine refuses what violates a policy; in {open_} more that is not known"
    said += f"; without any policy: {', '.join(map(str, idle))}" if idle else ""
    unit = "the most that an engine does there; exempt: left out; nothing: no policy is meant for it"
    return titled(figure, "What policy engines do in each namespace", said + some(every, held), unit)


def settings(snapshot: Snapshot, results: Sequence[Result]) -> Figure:
    """One tile a test, in the row of the component that it inspects."""
    rows: dict[str, list[Result]] = {}
    for result in results:
        rows.setdefault(result.check.population.replace("_", " "), []).append(result)
    ordered = sorted(rows.items(), key=lambda item: (item[1][0].check.id.partition("-")[0], -len(item[1])))
    figure = sized(len(ordered), width=11)
    axes = figure.subplots()
    for y, (_, tests) in enumerate(ordered):
        for x, result in enumerate(tests):
            dark = result.conclusion in ("error", "exceptions")
            id = result.check.id.replace("-", "\n")
            tile(axes, x, y, id, CONCLUDED[result.conclusion], dark=dark, size=5.5)
    axes.set_yticks(range(len(ordered)), [name for name, _ in ordered])
    axes.set_ylim(len(ordered) - 0.4, -0.6)
    axes.set_xticks([])
    there = [c for c in CONCLUSIONS if any(r.conclusion == c for r in results)]
    handles = [Patch(color=CONCLUDED[c], label=c) for c in there]
    axes.legend(handles=handles, frameon=False, loc="lower right", fontsize=8)
    found = sum(r.conclusion == "exceptions" for r in results)
    said = f"{found} of {len(results)} tests have exceptions"
    return titled(figure, "Tests of the platform by what they inspect", said, "one tile a test")
