"""Namespaces: the boundaries that policies and grants are written for."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.platform import Namespace

LEVELS = ("privileged", "baseline", "restricted")
OWNER_LABELS = ("owner", "team", "app.kubernetes.io/managed-by-team", "northwind.example/owner")
# Made by every cluster itself (k8s.io/kubernetes/pkg/controlplane).
SYSTEM = frozenset({"kube-system", "kube-public", "kube-node-lease"})


@table("namespaces", kinds=(Namespace,), key=("name",))
class NamespaceRow:
    """One row per namespace."""

    namespace: Annotated[str, "Empty: a namespace lies in none."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the namespace."]
    system: Annotated[bool, "Made by Kubernetes itself: kube-system, kube-public, kube-node-lease."]
    owner: Annotated[str | None, "Value of the first label that names an owner or a team."]
    enforce: Annotated[str | None, "Pod Security level that is enforced; missing where no label sets one."]
    enforce_valid: Annotated[bool | None, "Whether the enforced level is one that Kubernetes knows."]
    audit: Annotated[str | None, "Pod Security level that is audited."]
    warn: Annotated[str | None, "Pod Security level that is warned of."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for n in objects[Namespace]:
            labels = n.labels
            enforce = labels.get("pod-security.kubernetes.io/enforce")
            yield (
                "",
                "Namespace",
                n.name,
                n.name in SYSTEM,
                next((labels[name] for name in OWNER_LABELS if name in labels), None),
                enforce,
                None if enforce is None else enforce in LEVELS,
                labels.get("pod-security.kubernetes.io/audit"),
                labels.get("pod-security.kubernetes.io/warn"),
            )
