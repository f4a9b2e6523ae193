"""Namespaces, identities, nodes, storage, quotas, backups and configuration: what a cluster runs on."""

from datetime import datetime

import msgspec

from auditkit.kinds import configuration
from auditkit.kinds.base import Kind, Present, Struct
from auditkit.kinds.pods import LabelSelector, Quantity, Ref

Quantities = dict[str, Quantity]


class Phase(Struct):
    phase: str | None = None


class Condition(Struct):
    """A status condition without its heartbeat."""

    type: str = ""
    status: str = ""
    reason: str | None = None


class ObjectRef(Struct):
    api_version: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str = ""


class Namespace(Kind):
    plural, kind, namespaced = "namespaces", "Namespace", False
    status: Phase | None = None


class ServiceAccount(Kind):
    plural, kind = "serviceaccounts", "ServiceAccount"
    automount_service_account_token: bool | None = None
    secrets: list[Ref] | None = None
    image_pull_secrets: list[Ref] | None = None


class ConfigMap(Kind):
    """A ConfigMap judged at capture: values are not kept, but for the named extracts of `configuration`.

    `keys` counts them; `credential_keys` names those whose value looks like a credential;
    `unreadable` names those that should have held an extract and could not be read as one.
    """

    plural, kind = "configmaps", "ConfigMap"
    data: dict[str, str] | None = None
    binary_data: dict[str, str] | None = None
    keys: int = 0
    credential_keys: list[str] | None = None
    unreadable: list[str] | None = None
    kubelet: configuration.Kubelet | None = None
    kube_proxy: configuration.KubeProxy | None = None
    aws_auth: list[configuration.AwsMapping] | None = None
    mesh: configuration.Mesh | None = None
    kyverno: configuration.Kyverno | None = None
    retention: dict[str, str] | None = None
    certificates: list[str] | None = None

    def __post_init__(self) -> None:
        if self.data or self.binary_data:
            self.keys = len({**(self.data or {}), **(self.binary_data or {})})
            self.credential_keys = configuration.credential_keys(self.data or {}, self.binary_data or {}) or None
            extracts, unreadable = configuration.extracts(self.namespace, self.name, self.data or {})
            self.unreadable = unreadable or None
            for field, value in extracts.items():
                setattr(self, field, value)
        self.data = self.binary_data = None


class Taint(Struct):
    key: str = ""
    value: str | None = None
    effect: str | None = None


class NodeSpec(Struct):
    """spec of a Node; of the provider's id only the provider ("aws") is kept."""

    provider_id: str | None = msgspec.field(default=None, name="providerID")
    taints: list[Taint] | None = None
    unschedulable: bool | None = None

    def __post_init__(self) -> None:
        if self.provider_id is not None:
            self.provider_id = self.provider_id.partition(":")[0]


class NodeAddress(Struct):
    type: str = ""
    address: str = ""


class NodeInfo(Struct):
    kubelet_version: str | None = None
    container_runtime_version: str | None = None
    kernel_version: str | None = None
    os_image: str | None = None
    operating_system: str | None = None


class NodeStatus(Struct):
    conditions: list[Condition] | None = None
    addresses: list[NodeAddress] | None = None
    allocatable: Quantities | None = None
    capacity: Quantities | None = None
    node_info: NodeInfo | None = None


class Node(Kind):
    plural, kind, namespaced = "nodes", "Node", False
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class QuotaSpec(Struct):
    hard: Quantities | None = None
    scopes: list[str] | None = None
    scope_selector: Present | None = None


class ResourceQuota(Kind):
    plural, kind = "resourcequotas", "ResourceQuota"
    spec: QuotaSpec | None = None


class Limit(Struct):
    type: str = ""
    max: Quantities | None = None
    min: Quantities | None = None
    default: Quantities | None = None
    default_request: Quantities | None = None


class LimitRangeSpec(Struct):
    limits: list[Limit] | None = None


class LimitRange(Kind):
    plural, kind = "limitranges", "LimitRange"
    spec: LimitRangeSpec | None = None


class BudgetSpec(Struct):
    selector: LabelSelector | None = None
    min_available: int | str | None = None
    max_unavailable: int | str | None = None
    unhealthy_pod_eviction_policy: str | None = None


class BudgetStatus(Struct):
    disruptions_allowed: int | None = None
    expected_pods: int | None = None


class PodDisruptionBudget(Kind):
    group, plural, kind = "policy", "poddisruptionbudgets", "PodDisruptionBudget"
    spec: BudgetSpec | None = None
    status: BudgetStatus | None = None


class MetricTarget(Struct):
    type: str | None = None


class ResourceMetric(Struct):
    name: str | None = None
    container: str | None = None
    target: MetricTarget | None = None


class Metric(Struct):
    """What an autoscaler watches: CPU or memory of whole pods or of one container; other metrics are kept by their type."""

    type: str | None = None
    resource: ResourceMetric | None = None
    container_resource: ResourceMetric | None = None


class AutoscalerSpec(Struct):
    scale_target_ref: ObjectRef | None = None
    min_replicas: int | None = None
    max_replicas: int | None = None
    metrics: list[Metric] | None = None


class AutoscalerStatus(Struct):
    current_replicas: int | None = None
    desired_replicas: int | None = None
    conditions: list[Condition] | None = None


class HorizontalPodAutoscaler(Kind):
    group, plural, kind = "autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler"
    versions = ("v2", "v1")
    spec: AutoscalerSpec | None = None
    status: AutoscalerStatus | None = None


class PriorityClass(Kind):
    group, plural, kind, namespaced = "scheduling.k8s.io", "priorityclasses", "PriorityClass", False
    value: int | None = None
    global_default: bool | None = None


class RuntimeClass(Kind):
    group, plural, kind, namespaced = "node.k8s.io", "runtimeclasses", "RuntimeClass", False
    handler: str | None = None


class StorageClass(Kind):
    """A StorageClass; of its parameters only those that decide encryption."""

    group, plural, kind, namespaced = "storage.k8s.io", "storageclasses", "StorageClass", False
    provisioner: str | None = None
    parameters: dict[str, str] | None = None
    reclaim_policy: str | None = None

    def __post_init__(self) -> None:
        kept = {k: v for k, v in (self.parameters or {}).items() if configuration.about_encryption(k)}
        self.parameters = kept or None


class SecretReference(Struct):
    name: str | None = None
    namespace: str | None = None


class CSIDriver(Struct):
    """A volume of a CSI driver: which, and the Secrets by which it is opened."""

    driver: str = ""
    controller_publish_secret_ref: SecretReference | None = None
    controller_expand_secret_ref: SecretReference | None = None
    node_stage_secret_ref: SecretReference | None = None
    node_publish_secret_ref: SecretReference | None = None
    node_expand_secret_ref: SecretReference | None = None

    @property
    def secret_refs(self) -> tuple[SecretReference, ...]:
        refs = (
            self.controller_publish_secret_ref, self.controller_expand_secret_ref, self.node_stage_secret_ref,
            self.node_publish_secret_ref, self.node_expand_secret_ref,
        )  # fmt: skip
        return tuple(ref for ref in refs if ref)


class PersistentVolumeSpec(Struct):
    """spec of a PersistentVolume with the sources that Kubernetes 1.36 knows (core/v1 PersistentVolumeSource)."""

    capacity: Quantities | None = None
    access_modes: list[str] | None = None
    claim_ref: ObjectRef | None = None
    persistent_volume_reclaim_policy: str | None = None
    storage_class_name: str | None = None
    csi: CSIDriver | None = None
    aws_elastic_block_store: Present | None = None
    azure_disk: Present | None = None
    azure_file: Present | None = None
    cephfs: Present | None = None
    cinder: Present | None = None
    fc: Present | None = None
    flex_volume: Present | None = None
    flocker: Present | None = None
    gce_persistent_disk: Present | None = None
    glusterfs: Present | None = None
    host_path: Present | None = None
    iscsi: Present | None = None
    local: Present | None = None
    nfs: Present | None = None
    photon_persistent_disk: Present | None = None
    portworx_volume: Present | None = None
    quobyte: Present | None = None
    rbd: Present | None = None
    scale_io: Present | None = msgspec.field(default=None, name="scaleIO")
    storageos: Present | None = None
    vsphere_volume: Present | None = None


class PersistentVolume(Kind):
    plural, kind, namespaced = "persistentvolumes", "PersistentVolume", False
    spec: PersistentVolumeSpec | None = None
    status: Phase | None = None


class ClaimResources(Struct):
    requests: Quantities | None = None


class ClaimSpec(Struct):
    access_modes: list[str] | None = None
    storage_class_name: str | None = None
    volume_name: str | None = None
    resources: ClaimResources | None = None


class PersistentVolumeClaim(Kind):
    plural, kind = "persistentvolumeclaims", "PersistentVolumeClaim"
    spec: ClaimSpec | None = None
    status: Phase | None = None


class SnapshotSource(Struct):
    persistent_volume_claim_name: str | None = None


class SnapshotSpec(Struct):
    source: SnapshotSource | None = None


class SnapshotStatus(Struct):
    creation_time: datetime | None = None
    ready_to_use: bool | None = None
    error: Present | None = None
    bound_volume_snapshot_content_name: str | None = None


class VolumeSnapshot(Kind):
    group, plural, kind = "snapshot.storage.k8s.io", "volumesnapshots", "VolumeSnapshot"
    spec: SnapshotSpec | None = None
    status: SnapshotStatus | None = None


class SnapshotContentSpec(Struct):
    driver: str | None = None
    deletion_policy: str | None = None


class SnapshotContentStatus(Struct):
    ready_to_use: bool | None = None
    error: Present | None = None


class VolumeSnapshotContent(Kind):
    group, plural, kind = "snapshot.storage.k8s.io", "volumesnapshotcontents", "VolumeSnapshotContent"
    namespaced = False
    spec: SnapshotContentSpec | None = None
    status: SnapshotContentStatus | None = None


class VolumeSnapshotClass(Kind):
    group, plural, kind = "snapshot.storage.k8s.io", "volumesnapshotclasses", "VolumeSnapshotClass"
    namespaced = False
    driver: str | None = None
    deletion_policy: str | None = None


class CrdNames(Struct):
    plural: str = ""
    kind: str = ""


class CrdVersion(Struct):
    name: str = ""
    served: bool | None = None
    storage: bool | None = None
    deprecated: bool | None = None


class CrdSpec(Struct):
    group: str = ""
    names: CrdNames | None = None
    scope: str | None = None
    versions: list[CrdVersion] | None = None


class CrdStatus(Struct):
    stored_versions: list[str] | None = None


class CustomResourceDefinition(Kind):
    group, plural, kind = "apiextensions.k8s.io", "customresourcedefinitions", "CustomResourceDefinition"
    namespaced = False
    spec: CrdSpec | None = None
    status: CrdStatus | None = None


class BackupSpec(Struct):
    included_namespaces: list[str] | None = None
    excluded_namespaces: list[str] | None = None
    included_resources: list[str] | None = None
    excluded_resources: list[str] | None = None
    included_namespace_scoped_resources: list[str] | None = None
    excluded_namespace_scoped_resources: list[str] | None = None
    excluded_cluster_scoped_resources: list[str] | None = None
    resource_policy: Present | None = None
    label_selector: Present | None = None
    or_label_selectors: list[Present] | None = None
    snapshot_volumes: bool | None = None
    default_volumes_to_fs_backup: bool | None = None
    storage_location: str | None = None
    ttl: str | None = None


class JobStatus(Struct):
    """status of a Velero Backup or Restore."""

    phase: str | None = None
    start_timestamp: datetime | None = None
    completion_timestamp: datetime | None = None
    expiration: datetime | None = None
    errors: int | None = None
    warnings: int | None = None


class Backup(Kind):
    group, plural, kind = "velero.io", "backups", "Backup"
    spec: BackupSpec | None = None
    status: JobStatus | None = None


class ScheduleSpec(Struct):
    schedule: str | None = None
    paused: bool | None = None
    template: BackupSpec | None = None


class ScheduleStatus(Struct):
    phase: str | None = None


class Schedule(Kind):
    group, plural, kind = "velero.io", "schedules", "Schedule"
    spec: ScheduleSpec | None = None
    status: ScheduleStatus | None = None


class RestoreSpec(Struct):
    backup_name: str | None = None


class Restore(Kind):
    group, plural, kind = "velero.io", "restores", "Restore"
    spec: RestoreSpec | None = None
    status: JobStatus | None = None


class LocationSpec(Struct):
    provider: str | None = None
    default: bool | None = None
    access_mode: str | None = None


class BackupStorageLocation(Kind):
    group, plural, kind = "velero.io", "backupstoragelocations", "BackupStorageLocation"
    spec: LocationSpec | None = None
    status: Phase | None = None
