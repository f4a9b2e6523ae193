"""A pack as OSCAL documents, for tools that read them: the only user of compliance-trestle."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auditkit.errors import UsageError
from auditkit.memory import collection_paused
from auditkit.report.oscal import packed
from auditkit.report.oscal.documents import PLAN, POAM, RESULTS, documents
from auditkit.seal import leaks
from auditkit.store import publishing


@dataclass(frozen=True, kw_only=True, slots=True)
class Exported:
    """What was written: the folder, its files, and how many of each part stand in them."""

    out: Path
    files: tuple[str, ...]
    findings: int
    satisfied: int
    observations: int
    risks: int

    def __str__(self) -> str:
        counts = f"{self.findings:,} findings ({self.satisfied:,} satisfied), {self.observations:,} observations"
        nothing = "" if POAM in self.files else f"\nno exceptions, so there is no {POAM}"
        return f"{counts}, {self.risks:,} risks\n{self.out}: {', '.join(self.files)}{nothing}"


def export(pack: Path, out: Path) -> Exported:
    """Write assessment-results.json, poam.json and the assessment-plan.json that they rest on into a new folder.

    The same pack gives the same bytes. Raises UsageError without the extra `oscal` or where the pack is of a period or
    of another auditkit, VerificationError where it is not as it was sealed, LeakError where a document holds a secret.
    """
    models = _models()
    read = packed.read(pack)
    with collection_paused(), publishing(out) as draft:
        written = documents(read, _oscal_version())
        for name, document in written.items():
            ((root, content),) = document.items()
            model = models[root].model_validate(content)
            (draft / name).write_bytes(model.oscal_serialize_json_bytes(pretty=True) + b"\n")
        leaks.refuse(draft)
    (result,) = written[RESULTS]["assessment-results"]["results"]
    states = [finding["target"]["status"]["state"] for finding in result["findings"]]
    return Exported(
        out=out,
        files=tuple(written),
        findings=len(states),
        satisfied=states.count("satisfied"),
        observations=len(result.get("observations", ())),
        risks=len(result.get("risks", ())),
    )


def _models() -> Mapping[str, Any]:
    """The models of the documents by root key; UsageError where compliance-trestle is not installed."""
    try:
        from trestle.oscal.assessment_plan import AssessmentPlan
        from trestle.oscal.assessment_results import AssessmentResults
        from trestle.oscal.poam import PlanOfActionAndMilestones
    except ImportError:
        raise UsageError("OSCAL documents need compliance-trestle: pip install 'auditkit[oscal]'") from None
    return {
        "assessment-plan": AssessmentPlan,
        "assessment-results": AssessmentResults,
        "plan-of-action-and-milestones": PlanOfActionAndMilestones,
    }


def _oscal_version() -> str:
    from trestle.oscal import OSCAL_VERSION

    return str(OSCAL_VERSION)


__all__ = ["PLAN", "POAM", "RESULTS", "Exported", "export"]
