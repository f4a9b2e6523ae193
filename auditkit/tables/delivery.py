"""What brings software and secrets into the cluster: Git by Argo CD, people by kubectl, secrets from stores outside."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.delivery import Application, ClusterSecretStore, ExternalSecret, SecretStore
from auditkit.tables.owners import POD_KINDS, owned

# Field managers of controllers that write what Git says: Argo CD and Flux.
GITOPS = frozenset({"argocd-controller", "argocd-application-controller", "kustomize-controller", "helm-controller"})
# kubectl names its manager after the command (k8s.io/kubectl pkg/cmd); dashboards and desktop clients after themselves.
INTERACTIVE = frozenset({"kubectl-edit", "kubectl-debug", "kubectl-run", "dashboard", "k9s", "Mozilla", "node-fetch"})


class _Place:
    namespace: Annotated[str, "Namespace of the object; empty where it lies in none."]
    kind: Annotated[str, "Kind of the object."]
    name: Annotated[str, "Name of the object."]


@table("applications", kinds=(Application,), key=("namespace", "name"))
class ApplicationRow(_Place):
    """One row per Argo CD Application."""

    target_namespace: Annotated[str | None, "Namespace that it deploys to."]
    target_cluster: Annotated[str | None, "API server, or name of the cluster, that it deploys to."]
    automated: Annotated[bool, "Deploys by itself what Git says (spec.syncPolicy.automated)."]
    self_heal: Annotated[bool, "Sets back by itself what is changed in the cluster."]
    sync: Annotated[str | None, "Synced: the cluster is what Git says; OutOfSync; Unknown."]
    health: Annotated[str | None, "Healthy, Progressing, Degraded, Suspended, Missing or Unknown."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[Application]:
            spec, status = found.spec, found.status
            target, policy = (spec.destination, spec.sync_policy) if spec else (None, None)
            automated = policy.automated if policy else None
            on = automated is not None and automated.enabled is not False
            where = (target.namespace or None, target.server or target.name or None) if target else (None, None)
            sync, health = (status.sync, status.health) if status else (None, None)
            yield (
                found.namespace, "Application", found.name, *where, on, on and bool(automated and automated.self_heal),
                sync.status if sync else None, health.status if health else None,
            )  # fmt: skip


@table("workload_writers", kinds=POD_KINDS, beside=(Application,), key=("namespace", "kind", "name"))
class WorkloadWriter(_Place):
    """One row per workload (top owner): who last wrote a part of it, by managedFields.

    A name is what the client calls itself, and stays until another writes the same fields. `kubectl apply` and its
    like may be a person or a pipeline: where Argo CD or Flux deploy, it is a way around them.
    """

    writers: Annotated[list[str], "Field managers, without those of its status."]
    by_hand: Annotated[list[str], "Those of kubectl, dashboards and desktop clients."]
    manual: Annotated[bool | None, "A person wrote to it; missing where it may be a pipeline, or nothing says who."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        written = [(one.key, _writers(one.owner)) for one in owned(objects)]
        gitops = bool(objects[Application]) or any(not GITOPS.isdisjoint(writers) for _, writers in written)
        for key, writers in written:
            hand = [name for name in writers if name in INTERACTIVE or name == "kubectl" or name.startswith("kubectl-")]
            person = True if gitops or not INTERACTIVE.isdisjoint(hand) else None
            yield (*key, writers, hand, person if hand else (False if writers else None))


def _writers(owner: Any) -> list[str]:
    fields = owner.metadata.managed_fields or ()
    return sorted({field.manager for field in fields if field.subresource != "status" and field.manager})


@table("external_secrets", kinds=(ExternalSecret, SecretStore, ClusterSecretStore), key=("namespace", "kind", "name"))
class ExternalSecretRow(_Place):
    """One row per ExternalSecret, and per store that they are read from (External Secrets Operator)."""

    store: Annotated[str | None, "Kind and name of the store; missing for a store, or where entries name their own."]
    ready: Annotated[bool | None, "Condition Ready; missing where the operator has not set it."]
    reason: Annotated[str | None, "Reason of the condition, e.g. SecretSynced."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found: list[ExternalSecret | SecretStore | ClusterSecretStore] = [
            *objects[ExternalSecret],
            *objects[SecretStore],
            *objects[ClusterSecretStore],
        ]
        for one in found:
            ref = one.spec.secret_store_ref if isinstance(one, ExternalSecret) and one.spec else None
            conditions = (one.status and one.status.conditions) or ()
            said = next((c for c in conditions if c.type == "Ready"), None)
            ready = {"True": True, "False": False}.get(said.status) if said else None
            store = f"{ref.kind or 'SecretStore'} {ref.name}" if ref else None
            yield (one.namespace, one.kind, one.name, store, ready, said.reason if said else None)
