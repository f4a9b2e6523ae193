"""GitOps: what Flux applies, and the workloads that no Git repository stands behind."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.analysis.owners import POD_KINDS, is_mirror, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds import Kind
from auditkit.kinds.delivery import Application
from auditkit.kinds.flux import GitReference, GitRepository, HelmRelease, Kustomization
from auditkit.tables.delivery import GITOPS, pinned

_TRACKED = ("kustomize.toolkit.fluxcd.io/name", "helm.toolkit.fluxcd.io/name", "argocd.argoproj.io/instance")
_TRACKING_ID = "argocd.argoproj.io/tracking-id"
# Argo CD's default label, which Helm sets too: only one that names an Application says something.
_INSTANCE = "app.kubernetes.io/instance"


class _Place:
    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the object."]
    name: Annotated[str, "Name of the object."]


@table("flux_releases", kinds=(Kustomization, HelmRelease, GitRepository), key=("namespace", "kind", "name"))
class FluxRelease(_Place):
    """One row per Kustomization, HelmRelease and GitRepository of Flux."""

    suspended: Annotated[bool, "Is not reconciled."]
    ready: Annotated[bool | None, "Condition Ready; missing where it is Unknown or not reported."]
    reason: Annotated[str | None, "Reason of that condition."]
    prune: Annotated[bool | None, "Takes away what Git has no more; missing for what is no Kustomization."]
    revision: Annotated[str | None, "What it asks for: commit, tag, branch, or version of the chart."]
    pinned: Annotated[bool | None, "That is a commit or an exact version; missing for a Kustomization."]
    applied: Annotated[str | None, "Revision that it last applied, or tried to."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found: tuple[Kustomization | HelmRelease | GitRepository, ...] = (
            *objects[Kustomization],
            *objects[HelmRelease],
            *objects[GitRepository],
        )
        for one in found:
            conditions = (one.status.conditions if one.status else None) or ()
            ready = next((c for c in conditions if c.type == "Ready"), None)
            revision = _revision(one)
            status = one.status
            yield (
                one.namespace, one.kind, one.name, bool(one.spec and one.spec.suspend),
                {"True": True, "False": False}.get(ready.status) if ready else None, ready.reason if ready else None,
                bool(one.spec and one.spec.prune) if isinstance(one, Kustomization) else None,
                revision, None if revision is None else pinned(revision),
                (status.last_applied_revision or status.last_attempted_revision) if status else None,
            )  # fmt: skip


def _revision(one: Kustomization | HelmRelease | GitRepository) -> str | None:
    """In the order in which Flux reads them (source.toolkit.fluxcd.io/v1 GitRepositoryRef); master by default."""
    if isinstance(one, GitRepository):
        ref = (one.spec.ref if one.spec else None) or GitReference()
        return ref.commit or ref.name or ref.semver or ref.tag or ref.branch or "master"
    if isinstance(one, HelmRelease):
        chart = one.spec.chart.spec if one.spec and one.spec.chart else None
        return (chart.version or "*") if chart else None
    return None


@table(
    "managed_workloads", kinds=(*POD_KINDS, Application, Kustomization, HelmRelease), key=("namespace", "kind", "name")
)
class ManagedWorkload(_Place):
    """One row per workload (top owner), without static pods, and whether Argo CD or Flux deploys it."""

    by: Annotated[list[str], "Marks of Argo CD or Flux: labels, annotation, field managers."]
    managed: Annotated[
        bool | None, "It has such a mark; missing in a cluster without GitOps, and where an operator made it."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        applications = {one.name for one in objects[Application]}
        marked = [(one, _marks(one.owner, applications)) for one in objects.once(owned) if not is_mirror(one.owner)]
        there = (
            applications or objects[Kustomization] or bool(objects[HelmRelease]) or any(marks for _, marks in marked)
        )
        for one, marks in marked:
            made = any(o.controller for o in one.owner.metadata.owner_references or ())
            yield (*one.key, marks, True if marks else None if made or not there else False)


def _marks(owner: Kind, applications: set[str]) -> list[str]:
    managers = {field.manager for field in owner.metadata.managed_fields or () if field.subresource != "status"}
    found = {label for label in _TRACKED if label in owner.labels} | (managers & GITOPS)
    if owner.labels.get(_INSTANCE) in applications:
        found.add(_INSTANCE)
    return sorted(found | ({_TRACKING_ID} if _TRACKING_ID in owner.annotations else set()))
