"""What Flux applies to a cluster: where from, whether it takes away what is gone, and whether it worked."""

from auditkit.kinds.base import Kind, Struct
from auditkit.kinds.platform import Condition


class SourceRef(Struct):
    kind: str | None = None
    namespace: str | None = None
    name: str = ""


class ApplyStatus(Struct):
    conditions: list[Condition] | None = None
    last_applied_revision: str | None = None
    last_attempted_revision: str | None = None


class KustomizationSpec(Struct):
    source_ref: SourceRef | None = None
    target_namespace: str | None = None
    prune: bool | None = None
    suspend: bool | None = None


class Kustomization(Kind):
    group, plural, kind = "kustomize.toolkit.fluxcd.io", "kustomizations", "Kustomization"
    versions = ("v1", "v1beta2")
    spec: KustomizationSpec | None = None
    status: ApplyStatus | None = None


class ChartSpec(Struct):
    version: str | None = None


class ChartTemplate(Struct):
    spec: ChartSpec | None = None


class HelmReleaseSpec(Struct):
    chart: ChartTemplate | None = None
    target_namespace: str | None = None
    suspend: bool | None = None


class HelmRelease(Kind):
    group, plural, kind = "helm.toolkit.fluxcd.io", "helmreleases", "HelmRelease"
    versions = ("v2", "v2beta2", "v2beta1")
    spec: HelmReleaseSpec | None = None
    status: ApplyStatus | None = None


class GitReference(Struct):
    branch: str | None = None
    tag: str | None = None
    semver: str | None = None
    name: str | None = None
    commit: str | None = None


class GitRepositorySpec(Struct):
    ref: GitReference | None = None
    suspend: bool | None = None


class GitRepository(Kind):
    """A repository by what is read of it; its address may hold a credential and is not kept."""

    group, plural, kind = "source.toolkit.fluxcd.io", "gitrepositories", "GitRepository"
    versions = ("v1", "v1beta2")
    spec: GitRepositorySpec | None = None
    status: ApplyStatus | None = None
