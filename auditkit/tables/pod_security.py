"""The levels of the Pod Security Standards: what workloads meet beside what their namespaces enforce."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.podrules import LEVELS
from auditkit.analysis.podsecurity import effective
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import Namespace


@table("enforced_levels", kinds=(Namespace,), key=("name",))
class EnforcedLevel:
    """One row per namespace: the Pod Security level that its labels enforce (the cluster's default and exemptions are not in the API)."""

    namespace: Annotated[str, "Empty: a namespace lies in none."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name."]
    enforced: Annotated[
        str | None, "Level in effect by its labels; missing where they leave it to the cluster's default."
    ]
    enforced_version: Annotated[str | None, "Version of the rules: latest or v1.N."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[Namespace]:
            mode = effective(one.labels).enforce
            labelled = (mode.level, mode.version) if mode.labelled else (None, None)
            yield "", one.kind, one.name, *labelled


@view("pod_security", key=("namespace", "kind", "name"))
class PodSecurity:
    """One row per workload: the level that its pods and template meet, and the one that its namespace enforces.

    Enforcement looks at a pod when it is made: a level that was raised later leaves pods below it running.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the workload."]
    name: Annotated[str, "Name of the workload."]
    level: Annotated[str, "Highest level that pods and template meet by the latest rules."]
    level_unknown: Annotated[bool, "A member that Kubernetes 1.36 does not know could lower the level."]
    violations: Annotated[list[str], "Rules of either level that are not met."]
    first_violation: Annotated[str | None, "The first fault against the next level: field and message."]
    enforced: Annotated[str | None, "Level that the namespace's labels enforce."]
    enforced_version: Annotated[str | None, "Version of the enforced rules."]
    below: Annotated[bool | None, "The workload meets less than is enforced; missing where no label enforces a level."]

    @staticmethod
    def frame(workloads: pd.DataFrame, enforced_levels: pd.DataFrame) -> pd.DataFrame:
        levels = enforced_levels[["name", "enforced", "enforced_version"]].rename(columns={"name": "namespace"})
        found = workloads.merge(levels, on="namespace", how="left")
        rank = {level: n for n, level in enumerate(LEVELS)}
        met, wanted = (found[column].map(rank).astype("Int64") for column in ("level", "enforced"))
        return found.assign(below=met < wanted)
