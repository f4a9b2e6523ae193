"""Tests, exceptions, controls and criteria of a pack as OSCAL observations, risks and findings."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from auditkit import frameworks
from auditkit.capture.snapshot import Coverage
from auditkit.declare import CHECKS, Check, rests_on
from auditkit.frameworks import SOC2, Control
from auditkit.kinds import resource as resource_of
from auditkit.report import procedure
from auditkit.report.frames import said
from auditkit.report.oscal.packed import Packed, evidence
from auditkit.report.oscal.parts import Part, line, origins, prop, props, related, token, uuid
from auditkit.tally import ManagementResult

PASSED: ManagementResult = "No exceptions noted"
# OSCAL knows two states: whatever is not clean, or not known to be, is not satisfied; the reason tells them apart.
STATUS: Mapping[ManagementResult, tuple[str, str]] = {
    **dict.fromkeys(get_args(ManagementResult), ("not-satisfied", "other")),
    PASSED: ("satisfied", "pass"),
    "Exceptions noted": ("not-satisfied", "fail"),
}


@dataclass(frozen=True, slots=True)
class Found:
    """What the documents share: observations by check, risks by check, findings, and the namespaces with exceptions."""

    observations: dict[str, Part] = field(default_factory=dict)
    risks: dict[str, list[Part]] = field(default_factory=dict)
    findings: list[Part] = field(default_factory=list)
    namespaces: dict[str, str] = field(default_factory=dict)


def found(pack: Packed, tool: str, cluster: str) -> Found:
    """Everything that was found, by the uuids of the tool and the cluster."""
    told = Found()
    told.namespaces.update(
        {row["name"]: uuid(pack.run_id, "namespace", row["name"]) for row in pack.rows("namespaces")}
    )
    waivers = {row["id"]: row for row in pack.rows("waivers")}
    states = {c.resource: c for c in pack.coverage}
    there = {file.path for file in pack.manifest.files}
    for row in pack.frame.to_dict("records"):
        check = CHECKS[row["id"]]
        rows = pack.exceptions(check) if row["exceptions"] else []
        observation = _observation(pack, check, row, tool, states)
        hit = sorted({ns for one in rows if (ns := _namespace(one)) in told.namespaces})
        observation["subjects"] = [
            {"subject-uuid": cluster, "type": "component"},
            *({"subject-uuid": told.namespaces[ns], "type": "inventory-item"} for ns in hit),
        ]
        observation["relevant-evidence"] = [
            {"href": f"#{uuid(pack.run_id, 'file', path)}", "description": path}
            for path in evidence(check)
            if path in there
        ]
        told.observations[check.id] = observation
        if rows:
            told.risks[check.id] = _risks(pack, check, row, rows, observation["uuid"], waivers)
    told.findings.extend(findings(pack, told.observations, tool))
    return told


def _namespace(row: Mapping[str, Any]) -> str | None:
    found: str | None = row.get("name") if row.get("kind") == "Namespace" else row.get("namespace")
    return found


def _observation(pack: Packed, check: Check, row: Mapping[Any, Any], tool: str, states: Mapping[str, Coverage]) -> Part:
    """One test of one population."""
    counts = {name: row[name] for name in ("population", "exceptions", "waived", "undetermined")}
    text = (
        f"{counts['exceptions']:,} exceptions, {counts['undetermined']:,} undetermined, {counts['population']:,} rows"
    )
    read = [states[name] for kind in rests_on(check.population) if (name := resource_of(kind)) in states]
    values = {
        "check": check.id,
        "severity": row["severity"],
        "conclusion": row["conclusion"],
        "population-table": check.population,
        "population-count": counts["population"],
        **{f"{name}-count": counts[name] for name in ("exceptions", "waived", "undetermined")},
    }
    return {
        "uuid": uuid(pack.run_id, "observation", check.id),
        "title": line(f"{check.id} {row['title']}"),
        "description": f"{text} of {check.population}; conclusion: {row['conclusion']}.",
        "props": [
            *props(values),
            *(prop("resource-version", c.resource_version, c.resource) for c in read if c.resource_version),
        ],
        "methods": ["EXAMINE", "TEST"],
        "types": ["control-objective"],
        "origins": origins(tool),
        "collected": collected(pack),
        **({"remarks": line(row["note"])} if row["note"] else {}),
    }


def collected(pack: Packed) -> str:
    """When the objects were read; where nothing says so, when the pack was sealed, which is later."""
    return pack.origin.taken_at.isoformat() if pack.origin.taken_at else pack.sealed_at


def _risks(
    pack: Packed,
    check: Check,
    test: Mapping[Any, Any],
    rows: list[dict[str, Any]],
    observation: str,
    waivers: Mapping[str, Mapping[str, Any]],
) -> list[Part]:
    """One risk per exception; one that a waiver covers is a risk still, with an approved deviation."""
    key, decisive = procedure.key(check), procedure.decisive(check)
    seen: Counter[str] = Counter()
    risks = []
    for row in rows:
        id = row["exception_id"]
        seen[id] += 1
        waiver = waivers.get(row["waiver"], {})
        place = " ".join(text for column in key if (text := said(row[column])) not in ("", "–"))
        shown = "; ".join(f"{column}: {said(row[column])}" for column in decisive)
        values = {"exception": id, "check": check.id, "severity": test["severity"], "waiver": row["waiver"]}
        risks.append(
            {
                "uuid": uuid(pack.run_id, "risk", id, str(seen[id])),
                "title": line(f"{check.id} {place}"),
                "description": line(shown),
                "statement": line(f"Expected and not so: {test['title']}."),
                "props": props(values | {"ticket": waiver.get("ticket")}),
                "status": "deviation-approved" if row["waiver"] else "open",
                **(_mitigation(pack, id, seen[id], row["waiver"], waiver) if row["waiver"] else {}),
                "related-observations": related("observation-uuid", [observation]),
            }
        )
    return risks


def _mitigation(pack: Packed, id: str, number: int, name: str, waiver: Mapping[str, Any]) -> Part:
    """Why a waived exception is accepted, by whom and until when."""
    approved = f", on {said(waiver['approved_on'])[:10]}" if waiver.get("approved_on") else ""
    text = f"Waiver {name}, approved by {waiver.get('approver')}{approved}: {waiver.get('reason')}"
    beside = f" Compensating control: {waiver['compensating_control']}" if waiver.get("compensating_control") else ""
    factor = {"uuid": uuid(pack.run_id, "mitigation", id, str(number)), "description": line(text + beside)}
    until = {"deadline": waiver["expires"].isoformat()} if waiver.get("expires") else {}
    return {"mitigating-factors": [factor], **until}


def findings(pack: Packed, observations: Mapping[str, Part], tool: str) -> list[Part]:
    """One finding per control activity and one per criterion, each with the observations of all its tests."""
    matrix = frameworks.control_matrix(pack, pack.controls).to_dict("records")
    criteria = frameworks.coverage(pack, frameworks.load(SOC2), pack.controls).to_dict("records")
    told = []
    for control, row in zip(pack.controls, matrix, strict=True):
        criteria_ = [prop("criterion", id, "primary") for id in control.primary]
        criteria_ += [prop("criterion", id, "supporting") for id in control.supporting]
        told.append(_finding(pack, row, activity(control), observations, tool, row["Management's result"], criteria_))
    for row in criteria:
        named = [c for c in pack.controls if row["Requirement"] in c.primary]
        manual = [prop("remains-manual", row["Remains manual"])] if row["Remains manual"] else []
        told.append(_finding(pack, row, token(row["Requirement"]), observations, tool, criterion(row, named), manual))
    return told


def activity(control: Control) -> str:
    """The id of a control activity, apart from that of any criterion."""
    return f"activity_{token(control.id)}"


def criterion(row: Mapping[Any, Any], primary: list[Control]) -> ManagementResult:
    """Management's result for a criterion: where people have to look too, clean tests alone are not enough."""
    result: ManagementResult = row["Management's result"]
    people = bool(row["Remains manual"]) or any(not c.checks for c in primary)
    return "Manual part open" if result == PASSED and people else result


def _finding(
    pack: Packed,
    row: Mapping[Any, Any],
    target: str,
    observations: Mapping[str, Part],
    tool: str,
    result: ManagementResult,
    beside: list[Part],
) -> Part:
    state, reason = STATUS[result]
    tests = [observations[id]["uuid"] for id in row["Tests"].split(", ") if id in observations]
    title = line(f"{row.get('Control') or row['Requirement']} {row['Title']}")
    counts = [
        prop("tests", n, name.removeprefix("Tests: "))
        for name, n in row.items()
        if str(name).startswith("Tests: ") and n
    ]
    return {
        "uuid": uuid(pack.run_id, "finding", target),
        "title": title,
        "description": line(f"Management's test result: {result}. {row['Note']}"),
        "props": [prop("management-result", result), *counts, *beside],
        "origins": origins(tool),
        "target": {
            "type": "objective-id",
            "target-id": f"{target}_obj",
            "title": title,
            "status": {
                "state": state,
                "reason": reason,
                "remarks": f"{result}: management's result of tests, not an auditor's conclusion.",
            },
        },
        **({"related-observations": related("observation-uuid", tests)} if tests else {}),
    }
