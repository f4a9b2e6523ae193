"""Who can become cluster-admin, and by which steps."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.analysis.access import KINDS, Access
from auditkit.analysis.chains import chains
from auditkit.analysis.escalation import Reached, paths, reached
from auditkit.analysis.owners import MAKERS
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds import Kind
from auditkit.kinds.platform import ConfigMap, Namespace, Node, ServiceAccount
from auditkit.kinds.workloads import Pod

# Secrets are looked at where they were read, and not asked for: without them a way by a token Secret has a condition.
_BESIDE: tuple[type[Kind], ...] = (ServiceAccount, Namespace, Node, Pod, ConfigMap, *MAKERS)


@table("escalation_paths", kinds=KINDS, beside=_BESIDE, key=("kind", "identity"))
class EscalationPath:
    """One row per user, group and ServiceAccount that is or can become cluster-admin, with its shortest way.

    What Kubernetes grants (auditkit/analysis/access.py) and what that leads to here (auditkit/analysis/means.py).
    Policy engines and other admission are not considered; members of groups, and system:masters, are not in the API.
    """

    namespace: Annotated[str, "Namespace of a ServiceAccount; empty for others."]
    kind: Annotated[str, "User, Group or ServiceAccount."]
    name: Annotated[str, "Name."]
    steps: Annotated[int, "Steps to cluster-admin; 0 is cluster-admin already, under whatever role's name."]
    path: Annotated[str, "The steps in words."]
    evidence: Annotated[list[str], "Permissions, bindings and roles of each step."]
    condition: Annotated[str | None, "What a snapshot cannot tell and the way hangs on; missing where it is certain."]
    stock: Annotated[bool, "All that the subject is given is what Kubernetes ships, by content."]
    exists: Annotated[bool | None, "Of a ServiceAccount: it is there; missing for users and groups."]
    identity: Annotated[str, "User or group name it stands for, as `bindings.identity`."]
    serviceaccount: Annotated[str | None, "NAMESPACE/NAME of a ServiceAccount."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for row in paths(objects.once(_reached)).table.itertuples():
            account = f"{row.namespace}/{row.name}" if row.kind == "ServiceAccount" else None
            way = (row.steps, row.path, row.evidence, row.condition)
            yield row.namespace, row.kind, row.name, *way, row.stock, row.exists, row.identity, account


@table("subject_chains", kinds=KINDS, beside=_BESIDE, key=("kind", "identity"))
class SubjectChain:
    """One row per user, group and ServiceAccount that a binding names and that is not cluster-admin already.

    What its rights are together, all its bindings taken (analysis/chains.py); whoever is cluster-admin by any role
    is in `escalation_paths` with 0 steps. A chain is missing where it hangs on what a snapshot cannot tell.
    """

    namespace: Annotated[str, "Namespace of a ServiceAccount; empty for others."]
    kind: Annotated[str, "User, Group or ServiceAccount."]
    name: Annotated[str, "Name."]
    identity: Annotated[str, "User or group name it stands for, as `bindings.identity`."]
    stock: Annotated[bool, "All that the subject is given is what Kubernetes ships, by content."]
    exists: Annotated[bool | None, "Of a ServiceAccount: it is there; missing for users and groups."]
    issues_tokens: Annotated[bool | None, "Makes or rewrites token Secrets, and reads them."]
    assigns_accounts: Annotated[bool | None, "Runs pods as a ServiceAccount that leads to cluster-admin."]
    enters_applications: Annotated[
        bool | None,
        "Outside the cluster's own namespaces gets into a pod, or reads a token, that leads to cluster-admin.",
    ]
    handles_pods: Annotated[
        bool | None, "Changes the image of a pod that leads to cluster-admin, or moves it by cordoning nodes."
    ]
    evidence: Annotated[list[str], "Each chain: permissions, bindings and roles; what it hangs on."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for row in chains(objects.once(_reached)).itertuples():
            held = (row.issues_tokens, row.assigns_accounts, row.enters_applications, row.handles_pods)
            who = (row.namespace, row.kind, row.name, row.identity, row.stock, row.exists)
            yield (*who, *held, row.evidence)


def _reached(objects: Objects) -> Reached:
    return reached(Access.from_objects(objects, version=objects.version))
