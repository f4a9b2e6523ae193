"""The three OSCAL documents of a pack: the plan that results import, the results, and the plan of action."""

from collections.abc import Iterable, Mapping

from auditkit import frameworks
from auditkit.declare import CHECKS
from auditkit.engagement import NAME
from auditkit.report.oscal.packed import Packed
from auditkit.report.oscal.parts import Part, component, line, origins, props, related, resource, token, uuid
from auditkit.report.oscal.results import Found, activity, collected, found
from auditkit.seal import ENVELOPE, MANIFEST, SUMS, sha256

PLAN, RESULTS, POAM = "assessment-plan.json", "assessment-results.json", "poam.json"
_HREFS = "Paths in back-matter are those of files in the pack; SHA-256 values are those of its manifest."


def documents(pack: Packed, oscal_version: str) -> dict[str, Part]:
    """The documents by file name, each wrapped in its root key; without exceptions there is no plan of action."""
    told = found(pack, _id(pack, "tool"), _id(pack, "cluster"))
    written = {
        PLAN: {"assessment-plan": _plan(pack, oscal_version)},
        RESULTS: {"assessment-results": _results(pack, told, oscal_version)},
    }
    if told.risks:
        written[POAM] = {"plan-of-action-and-milestones": _poam(pack, told, oscal_version)}
    return written


def _id(pack: Packed, *place: str) -> str:
    return uuid(pack.run_id, *place)


def _head(pack: Packed, name: str, title: str, oscal_version: str) -> Part:
    """Id and metadata of a document: the id changes with the pack, as sealed."""
    engagement = pack.engagement
    entity = {"uuid": _id(pack, "entity"), "type": "organization", "name": line(engagement.entity)}
    preparer = {"uuid": _id(pack, "preparer"), "type": "person", "name": line(engagement.preparer)}
    parties = [entity, preparer] if engagement.preparer else [entity]
    return {
        "uuid": uuid(f"manifest:{pack.manifest.digest}", name),
        "metadata": {
            "title": line(f"{title} of cluster {pack.origin.cluster}"),
            "last-modified": pack.sealed_at,
            "version": pack.run_id,
            "oscal-version": oscal_version,
            "props": props(
                {
                    "run-id": pack.run_id,
                    "snapshot-digest": pack.manifest.facts.get("snapshot_digest"),
                    "manifest-digest": pack.manifest.digest,
                    "sealed-at": pack.sealed_at,
                    "system": engagement.system,
                    "report": engagement.report,
                }
            ),
            "roles": [{"id": "prepared-by", "title": "Prepared by management"}],
            "parties": parties,
            "responsible-parties": [{"role-id": "prepared-by", "party-uuids": [parties[-1]["uuid"]]}],
            "remarks": f"Results are management's tests. {_HREFS}",
        },
    }


def _plan(pack: Packed, oscal_version: str) -> Part:
    """The least plan that results can import: what was to be reviewed, with which tool."""
    system, own = _id(pack, "system"), f"inputs/{NAME}"
    criteria = frameworks.load(frameworks.SOC2).requirement
    objectives = [(activity(c), f"{c.id} {c.title}", c.statement) for c in pack.controls]
    objectives += [(token(r.id), f"{r.id} {r.title}", r.title) for r in criteria]
    return {
        **_head(pack, PLAN, "Assessment plan", oscal_version),
        "import-ssp": {"href": f"#{system}", "remarks": "auditkit writes no system security plan."},
        "local-definitions": {"objectives-and-methods": [_objective(*one) for one in objectives]},
        "reviewed-controls": _reviewed(pack),
        "assessment-subjects": [{"type": "component", "include-all": {}}],
        "assessment-assets": _assets(pack),
        "back-matter": {
            "resources": [
                resource(system, own, sha256(pack.place / own))
                | {
                    "title": line(pack.engagement.system),
                    "description": "The system under examination, named here and described by management itself.",
                }
            ]
        },
    }


def _objective(control: str, title: str, prose: str) -> Part:
    """What a finding has as its target, in the parts that NIST's constraint of a local objective asks for."""
    objects = {"name": "assessment-objects", "prose": "Objects of the cluster, and documents that were imported."}
    parts = [
        {
            "id": f"{control}_obj",
            "name": "assessment-objective",
            "props": [{"name": "method-id", "value": "TEST"}],
            "prose": prose,
        },
        {"name": "assessment-method", "props": [{"name": "method", "value": "TEST"}], "parts": [objects]},
    ]
    return {"control-id": control, "description": line(title), "parts": parts}


def _reviewed(pack: Packed) -> Part:
    criteria = [token(r.id) for r in frameworks.load(frameworks.SOC2).requirement]
    selections = {
        "Control activities of the entity, by auditkit's ids": [activity(c) for c in pack.controls],
        "SOC 2 trust services criteria of 2017": criteria,
    }
    return {
        "control-selections": [
            {"description": text, "include-controls": [{"control-id": id} for id in ids]}
            for text, ids in selections.items()
        ]
    }


def _assets(pack: Packed) -> Part:
    tool = _id(pack, "tool")
    facts = pack.manifest.facts
    version = {"version": facts.get("tool"), "package-sha256": facts.get("package_sha256"), "tree": facts.get("tree")}
    return {
        "components": [
            component(tool, "software", "auditkit", "The tool that read the cluster and tested it.", version)
        ],
        "assessment-platforms": [
            {"uuid": _id(pack, "platform"), "title": "auditkit", "uses-components": [{"component-uuid": tool}]}
        ],
    }


def _cluster(pack: Packed) -> Part:
    origin, identity = pack.origin, pack.origin.identity
    values = {
        "cluster-uid": origin.cluster_uid,
        "kubernetes-version": origin.version,
        "source": origin.source,
        "basis": origin.basis,
        "read-as": identity.username,
    }
    return component(_id(pack, "cluster"), "system", origin.cluster, "The Kubernetes cluster that was tested.", values)


def _results(pack: Packed, told: Found, oscal_version: str) -> Part:
    period, at = pack.engagement.period, collected(pack)
    dates = {
        "observed-at": at if pack.origin.taken_at else "undated: start and end are the time of the seal",
        "dated-by": pack.origin.dated_by,
        "period-start": period.start if period else None,
        "period-end": period.end if period else None,
    }
    risks = [risk for some in told.risks.values() for risk in some]
    observations = list(told.observations.values())
    result = {
        "uuid": _id(pack, "result"),
        "title": line(f"Run {pack.run_id}"),
        "description": "Configuration tests of one cluster at one time; nothing here shows operation over a period.",
        "start": at,
        "end": at,
        "props": props(dates),
        "local-definitions": _definitions(pack, told.namespaces),
        "reviewed-controls": _reviewed(pack),
        **({"observations": observations} if observations else {}),
        **({"risks": risks} if risks else {}),
        "findings": told.findings,
    }
    return {
        **_head(pack, RESULTS, "Assessment results", oscal_version),
        "import-ap": {"href": PLAN},
        "results": [result],
        "back-matter": _files(pack),
    }


def _definitions(pack: Packed, namespaces: Mapping[str, str]) -> Part:
    items = [
        {
            "uuid": id,
            "description": line(f"Namespace {name}"),
            "props": props({"namespace": name}),
            "implemented-components": [{"component-uuid": _id(pack, "cluster")}],
        }
        for name, id in namespaces.items()
    ]
    return {
        "components": [_cluster(pack)],
        **({"inventory-items": items} if items else {}),
        "assessment-assets": _assets(pack),
    }


def _files(pack: Packed) -> Part:
    """Every file of the pack, by the hashes of its manifest; the files of the seal by their own."""
    hashes = {file.path: file.sha256 for file in pack.manifest.files}
    hashes |= {name: sha256(pack.place / name) for name in (MANIFEST, SUMS, ENVELOPE) if (pack.place / name).is_file()}
    return {"resources": [resource(_id(pack, "file", path), path, digest) for path, digest in sorted(hashes.items())]}


def _poam(pack: Packed, told: Found, oscal_version: str) -> Part:
    """One item per test with exceptions, with all its risks, what it would take, and the findings that rest on it.

    It stands by itself: what its items name is in it once more. When, and by whom, is management's to plan.
    """
    uid = pack.origin.cluster_uid
    system = {"id": line(uid or pack.origin.cluster)}
    observations = [told.observations[id] for id in told.risks]
    failed = [f for f in told.findings if f["target"]["status"]["state"] != "satisfied"]
    resting = _resting(failed)
    findings = [f for f in failed if _observed(f) & {o["uuid"] for o in observations}]
    return {
        **_head(pack, POAM, "Plan of action and milestones", oscal_version),
        "system-id": system | ({"identifier-type": "https://ietf.org/rfc/rfc4122"} if uid else {}),
        "local-definitions": _definitions(pack, told.namespaces),
        "observations": observations,
        "risks": [risk for some in told.risks.values() for risk in some],
        **({"findings": [_only(f, observations) for f in findings]} if findings else {}),
        "poam-items": [_item(pack, id, told, resting) for id in told.risks],
        "back-matter": _files(pack),
    }


def _observed(finding: Part) -> set[str]:
    return {one["observation-uuid"] for one in finding.get("related-observations", ())}


def _only(finding: Part, observations: Iterable[Part]) -> Part:
    """A finding that names no observation but these."""
    kept = _observed(finding) & {o["uuid"] for o in observations}
    named = [one for one in finding["related-observations"] if one["observation-uuid"] in kept]
    return {**finding, "related-observations": named}


def _resting(findings: Iterable[Part]) -> dict[str, list[str]]:
    """The findings that rest on each observation."""
    resting: dict[str, list[str]] = {}
    for finding in findings:
        for observed in sorted(_observed(finding)):
            resting.setdefault(observed, []).append(finding["uuid"])
    return resting


def _item(pack: Packed, id: str, told: Found, resting: Mapping[str, list[str]]) -> Part:
    check, observation, risks = CHECKS[id], told.observations[id], told.risks[id]
    open_ = sum(risk["status"] == "open" for risk in risks)
    findings = resting.get(observation["uuid"], [])
    return {
        "uuid": _id(pack, "poam-item", id),
        "title": observation["title"],
        "description": line(f"{check.rationale} Fix: {check.fix}", 1000),
        "props": props({"check": id, "severity": check.severity, "open": open_, "waived": len(risks) - open_}),
        "origins": origins(_id(pack, "tool")),
        **({"related-findings": related("finding-uuid", findings)} if findings else {}),
        "related-observations": related("observation-uuid", [observation["uuid"]]),
        "related-risks": related("risk-uuid", (risk["uuid"] for risk in risks)),
    }
