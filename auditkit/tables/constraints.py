"""Constraints of Gatekeeper: what each does, what its audit found, and which images it lets in."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.gatekeeper import action_of
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.policies import Constraint, ConstraintSpec
from auditkit.tables.reports import moment


@table("constraints", kinds=(Constraint,), key=("kind", "name"))
class ConstraintRow:
    """One row per constraint of Gatekeeper, of whatever kind its template makes."""

    namespace: Annotated[str, "Empty: a constraint is cluster-scoped."]
    kind: Annotated[str, "Kind that a ConstraintTemplate makes, e.g. K8sRequiredLabels."]
    name: Annotated[str, "Name."]
    action: Annotated[str, "What it does at admission: deny, warn or dryrun."]
    violations: Annotated[int | None, "Objects that violate it, by Gatekeeper's last audit; missing where none was."]
    audited_at: Annotated[datetime | None, "Time of that audit."]
    repos: Annotated[list[str], "Prefixes of allowed images, of a constraint with `parameters.repos`."]
    ambiguous: Annotated[list[str], "Prefixes among them that other registries or repositories begin with as well."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[Constraint]:
            spec, status = one.spec or ConstraintSpec(), one.status
            repos = (spec.parameters and spec.parameters.repos) or []
            yield (
                "", one.made, one.metadata.name, action_of(spec), status.total_violations if status else None,
                moment(status.audit_timestamp) if status else None, repos,
                [prefix for prefix in repos if not _ends(prefix)],
            )  # fmt: skip


def _ends(prefix: str) -> bool:
    """Whether a prefix of images ends where a name ends: at `/`, or after it at a tag or digest.

    `registry.example.com` is also the beginning of registry.example.com.evil.example/app, and `registry:` of
    registry:5000/app. The stock template compares with startswith (gatekeeper-library, general/allowedrepos).
    """
    _, slash, last = prefix.rpartition("/")
    return bool(slash) and (not last or ":" in last or "@" in last)


@view("allowed_repos", key=("kind", "name"))
class AllowedRepos(ConstraintRow):
    """The rows of `constraints` that list allowed images as prefixes: K8sAllowedRepos, and others with `repos`.

    One that lists what is not allowed, such as K8sDisallowedRepos, is not among them.
    """

    @staticmethod
    def frame(constraints: pd.DataFrame) -> pd.DataFrame:
        forbids = constraints.kind.str.contains("disallow|deny|block", case=False)
        return constraints[constraints.repos.map(bool).astype(bool) & ~forbids]
