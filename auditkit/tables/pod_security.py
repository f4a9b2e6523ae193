"""The levels of the Pod Security Standards: what pods and templates meet beside what their namespaces enforce."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.analysis.podsecurity import Mode, effective, undetermined, violations
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.platform import Namespace
from auditkit.kinds.workloads import Pod, PodTemplateSpec, pod_template


@table("pod_security", kinds=POD_KINDS, beside=(Namespace,), key=("namespace", "kind", "name"))
class PodSecurity:
    """One row per pod that has not ended and per template: the level that it meets, and the one that its namespace enforces.

    Enforcement looks at a pod when it is made: a level that was raised later leaves pods below it running, and a
    template below it makes no more pods. The cluster's default level and its exemptions are not in the API.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Pod, or the kind of the workload that holds the template."]
    name: Annotated[str, "Name of the pod or workload."]
    workload: Annotated[str, "KIND/NAME of the top owner: the row's own where it is none's."]
    level: Annotated[str, "Highest level that it meets by the latest rules."]
    level_unknown: Annotated[bool, "A member that Kubernetes 1.36 does not know could lower the level."]
    violations: Annotated[list[str], "Rules of either level that it does not meet."]
    first_violation: Annotated[str | None, "The first fault against the next level: field and message."]
    enforced: Annotated[
        str | None, "Level in effect by the namespace's labels; missing where they leave it to the cluster's default."
    ]
    enforced_version: Annotated[str | None, "Version of the rules that are enforced: latest or v1.N."]
    below: Annotated[
        bool | None,
        "It does not meet the enforced level by the rules of that version; missing where no label enforces a level, "
        "or an unknown member could lower it.",
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        modes = {one.name: effective(one.labels).enforce for one in objects[Namespace]}
        for one in objects.once(owned):
            workload = f"{one.owner.kind}/{one.owner.name}"
            for obj in (one.owner, *(pod for pod in one.pods if pod is not one.owner)):
                judged = _judged(pod_template(obj), modes.get(obj.namespace))
                yield obj.namespace, obj.kind, obj.name, workload, *judged


def _judged(made: Pod | PodTemplateSpec, mode: Mode | None) -> tuple[Any, ...]:
    """From `level` to `below`."""
    baseline, restricted = violations(made, level="baseline"), violations(made, level="restricted")
    first = next(iter(baseline or restricted), None)
    unknown = bool(undetermined(made))
    enforced = mode if mode and mode.labelled else None
    below = bool(violations(made, level=enforced.level, version=enforced.version)) if enforced else None
    if enforced and enforced.level != "privileged" and unknown:
        below = below or None
    return (
        "privileged" if baseline else "baseline" if restricted else "restricted",
        unknown,
        sorted({fault.check for fault in (*baseline, *restricted)}),
        f"{first.path}: {first.message}" if first else None,
        enforced.level if enforced else None,
        enforced.version if enforced else None,
        below,
    )
