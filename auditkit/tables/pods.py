"""Pods: what runs now."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.workloads import Pod
from auditkit.tables.owners import POD_KINDS, Owners


@table("pods", kinds=POD_KINDS, key=("namespace", "pod"))
class PodRow:
    """One row per Pod, with the object at the top of its chain of owners."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the top owner; Pod where nothing owns it."]
    name: Annotated[str, "Name of the top owner."]
    pod: Annotated[str, "Name of the Pod."]
    phase: Annotated[str | None, "Pending, Running, Succeeded, Failed or Unknown."]
    node: Annotated[str | None, "Node that it is scheduled to."]
    service_account: Annotated[str | None, "ServiceAccount that it runs as."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        owners = Owners(objects)
        for pod in objects[Pod]:
            owner, spec = owners.top(pod), pod.spec
            yield (
                pod.namespace,
                owner.kind,
                owner.name,
                pod.name,
                pod.status.phase if pod.status else None,
                spec.node_name if spec else None,
                spec.service_account_name if spec else None,
            )
