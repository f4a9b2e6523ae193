"""What brings software and secrets into the cluster: Git by Argo CD, people by kubectl, secrets from stores outside."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

from auditkit.analysis.durations import days
from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.delivery import Application, ClusterSecretStore, ExternalSecret, ExternalSecretSpec, SecretStore

# Field managers of controllers that write what Git says: Argo CD and Flux.
GITOPS = frozenset({"argocd-controller", "argocd-application-controller", "kustomize-controller", "helm-controller"})
# kubectl names its manager after the command (k8s.io/kubectl pkg/cmd); dashboards and desktop clients after themselves.
INTERACTIVE = frozenset({"kubectl-edit", "kubectl-debug", "kubectl-run", "dashboard", "k9s", "Mozilla", "node-fetch"})


_PINNED = re.compile(r"[0-9a-f]{40}|v?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?")


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
    prune: Annotated[bool, "Takes away by itself what Git has no more."]
    revisions: Annotated[list[str], "Revision or chart version of each source; HEAD where none is named."]
    pinned: Annotated[bool | None, "Each is a commit or an exact version; missing without a source."]
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
            sources = ([spec.source] if spec.source else spec.sources or []) if spec else []
            revisions = [source.target_revision or "HEAD" for source in sources]
            sync, health = (status.sync, status.health) if status else (None, None)
            yield (
                found.namespace, "Application", found.name, *where, on, on and bool(automated and automated.self_heal),
                on and bool(automated and automated.prune), revisions, all(map(pinned, revisions)) if revisions else None,
                sync.status if sync else None, health.status if health else None,
            )  # fmt: skip


def pinned(revision: str) -> bool:
    """Whether a revision means the same tomorrow: a commit, or an exact version, which a tag may still move."""
    return bool(_PINNED.fullmatch(revision))


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
        written = [(one.key, _writers(one.owner)) for one in objects.once(owned)]
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
    refreshed_at: Annotated[datetime | None, "When the ExternalSecret was last read from its store."]
    interval_days: Annotated[
        float | None,
        "Days between two readings, an hour by default; 0 is never again by itself, as with the policies CreatedOnce and OnChange; missing for a store.",
    ]
    anywhere: Annotated[
        bool | None,
        "Every namespace may read the ClusterSecretStore; missing for others, and where a selector decides.",
    ]

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
            place = (one.namespace, one.kind, one.name, store, ready, said.reason if said else None)
            if isinstance(one, ExternalSecret):
                spec = one.spec or ExternalSecretSpec()
                # external-secrets.io/v1 ExternalSecretRefreshPolicy: Periodic where none is said.
                periodic = spec.refresh_policy in (None, "", "Periodic")
                every = (spec.refresh_interval or "1h") if periodic else "0"
                yield (*place, one.status.refresh_time if one.status else None, days(every), None)
            else:
                yield (*place, None, None, _anywhere(one))


def _anywhere(store: SecretStore | ClusterSecretStore) -> bool | None:
    """Conditions of a ClusterSecretStore add up; without one, every namespace reads it (external-secrets.io/v1)."""
    if isinstance(store, SecretStore):
        return None
    conditions = (store.spec.conditions if store.spec else None) or ()
    chosen = [c for c in conditions if c.namespaces or c.namespace_regexes or c.namespace_selector]
    return None if any(c.namespace_selector or c.namespace_regexes for c in chosen) else not chosen
