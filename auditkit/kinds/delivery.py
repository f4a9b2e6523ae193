"""What brings things into a cluster from outside and looks at them there: Git, stores of secrets, scanners of images."""

from datetime import datetime

from msgspec import field

from auditkit.kinds.base import Kind, Present, Struct
from auditkit.kinds.platform import Condition


class Destination(Struct):
    namespace: str | None = None
    server: str | None = None
    name: str | None = None


class Automated(Struct):
    enabled: bool | None = None
    prune: bool | None = None
    self_heal: bool | None = None


class SyncPolicy(Struct):
    automated: Automated | None = None


class Source(Struct):
    """Where an Application is read from: a revision of a Git repository, or a version of a Helm chart."""

    target_revision: str | None = None
    chart: str | None = None


class ApplicationSpec(Struct):
    source: Source | None = None
    sources: list[Source] | None = None
    destination: Destination | None = None
    sync_policy: SyncPolicy | None = None


class State(Struct):
    status: str | None = None


class ApplicationStatus(Struct):
    sync: State | None = None
    health: State | None = None


class Application(Kind):
    """An Argo CD Application: where it deploys to, whether by itself, and whether the cluster agrees with Git."""

    group, plural, kind = "argoproj.io", "applications", "Application"
    versions = ("v1alpha1",)
    spec: ApplicationSpec | None = None
    status: ApplicationStatus | None = None


class Conditions(Struct):
    conditions: list[Condition] | None = None


class StoreRef(Struct):
    kind: str | None = None
    name: str | None = None


class ExternalSecretStatus(Struct):
    conditions: list[Condition] | None = None
    refresh_time: datetime | None = None


class ExternalSecretSpec(Struct):
    """spec of an ExternalSecret: the store; which entries of it are read is not kept."""

    secret_store_ref: StoreRef | None = None
    refresh_interval: str | None = None
    refresh_policy: str | None = None


class ExternalSecret(Kind):
    group, plural, kind = "external-secrets.io", "externalsecrets", "ExternalSecret"
    versions = ("v1", "v1beta1")
    spec: ExternalSecretSpec | None = None
    status: ExternalSecretStatus | None = None


class StoreCondition(Struct):
    """Namespaces that may read a ClusterSecretStore."""

    namespaces: list[str] | None = None
    namespace_selector: Present | None = None
    namespace_regexes: list[str] | None = None


class StoreSpec(Struct):
    conditions: list[StoreCondition] | None = None


class SecretStore(Kind):
    """A SecretStore by its status; where the store is and how it is entered is not kept."""

    group, plural, kind = "external-secrets.io", "secretstores", "SecretStore"
    versions = ("v1", "v1beta1")
    status: Conditions | None = None


class ClusterSecretStore(Kind):
    group, plural, kind = "external-secrets.io", "clustersecretstores", "ClusterSecretStore"
    versions, namespaced = ("v1", "v1beta1"), False
    spec: StoreSpec | None = None
    status: Conditions | None = None


class Artifact(Struct):
    repository: str = ""
    tag: str | None = None
    digest: str | None = None


class Registry(Struct):
    server: str | None = None


class Found(Struct):
    critical_count: int | None = None
    high_count: int | None = None
    medium_count: int | None = None
    low_count: int | None = None


class Vulnerability(Struct):
    """One finding of a report; a date that is not known is missing or empty."""

    vulnerability_id: str = field(default="", name="vulnerabilityID")
    resource: str = ""
    installed_version: str | None = None
    fixed_version: str | None = None
    severity: str | None = None
    published_date: str | None = None
    package_purl: str | None = field(default=None, name="packagePURL")


class System(Struct):
    """The distribution of an image; `eosl` where its maker no longer supports it."""

    eosl: bool | None = None


class Report(Struct):
    """What was scanned, when, and what was found."""

    os: System | None = None
    artifact: Artifact | None = None
    registry: Registry | None = None
    summary: Found | None = None
    update_timestamp: datetime | None = None
    vulnerabilities: list[Vulnerability] | None = None


class VulnerabilityReport(Kind):
    group, plural, kind = "aquasecurity.github.io", "vulnerabilityreports", "VulnerabilityReport"
    versions = ("v1alpha1",)
    report: Report | None = None
