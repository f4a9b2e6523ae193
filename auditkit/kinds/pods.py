"""The spec and status of a pod: all that a test of its security reads, with values judged and not kept."""

from datetime import datetime

import msgspec

from auditkit.kinds import judge
from auditkit.kinds.base import Closed, Present, Struct

Port = int | str
Quantity = int | float | str


class Requirement(Closed):
    key: str = ""
    operator: str = ""
    values: list[str] | None = None


class LabelSelector(Closed):
    match_labels: dict[str, str] | None = None
    match_expressions: list[Requirement] | None = None


class SELinuxOptions(Struct):
    user: str | None = None
    role: str | None = None
    type: str | None = None
    level: str | None = None


class WindowsOptions(Struct):
    host_process: bool | None = None
    run_as_user_name: str | None = None
    gmsa_credential_spec_name: str | None = None


class Profile(Struct):
    """A seccomp or an AppArmor profile."""

    type: str | None = None
    localhost_profile: str | None = None


class Capabilities(Struct):
    add: list[str] | None = None
    drop: list[str] | None = None


class SecurityContext(Struct):
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    proc_mount: str | None = None
    seccomp_profile: Profile | None = None
    app_armor_profile: Profile | None = None


class Sysctl(Struct):
    name: str = ""


class PodSecurityContext(Struct):
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: list[int] | None = None
    supplemental_groups_policy: str | None = None
    fs_group: int | None = None
    sysctls: list[Sysctl] | None = None
    seccomp_profile: Profile | None = None
    app_armor_profile: Profile | None = None


class Exec(Struct):
    """A command of a probe or a hook; its words are judged at capture and not kept."""

    command: list[str] | None = None
    secret_argv: bool = False
    sudo: bool = False

    def __post_init__(self) -> None:
        if self.command:
            self.secret_argv, self.sudo = judge.argv_has_secret(self.command), judge.argv_has_sudo(self.command)
        self.command = None


class HTTPGet(Struct):
    host: str | None = None
    port: Port | None = None


class TCPSocket(Struct):
    host: str | None = None
    port: Port | None = None


class GRPC(Struct):
    port: Port | None = None


class Probe(Closed):
    exec: Exec | None = None
    http_get: HTTPGet | None = None
    tcp_socket: TCPSocket | None = None
    grpc: GRPC | None = None
    initial_delay_seconds: int | None = None
    timeout_seconds: int | None = None
    period_seconds: int | None = None
    success_threshold: int | None = None
    failure_threshold: int | None = None
    termination_grace_period_seconds: int | None = None


class Handler(Closed):
    exec: Exec | None = None
    http_get: HTTPGet | None = None
    tcp_socket: TCPSocket | None = None
    sleep: Present | None = None


class Lifecycle(Closed):
    post_start: Handler | None = None
    pre_stop: Handler | None = None
    stop_signal: str | None = None


class Ref(Struct):
    """The name of a ConfigMap or Secret that something refers to."""

    name: str = ""
    optional: bool | None = None


class EnvSource(Closed):
    secret_key_ref: Ref | None = None
    config_map_key_ref: Ref | None = None
    field_ref: Present | None = None
    resource_field_ref: Present | None = None
    file_key_ref: Present | None = None


class EnvVar(Struct):
    """A variable; its literal value is judged at capture and not kept (but for ETCD_* of etcd)."""

    name: str = ""
    value: str | None = None
    value_from: EnvSource | None = None
    looks_secret: bool = False

    def __post_init__(self) -> None:
        if self.value is not None:
            self.looks_secret = judge.looks_secret(self.name, self.value)
            if self.looks_secret or not self.name.startswith("ETCD_"):
                self.value = None


class EnvFrom(Closed):
    prefix: str | None = None
    secret_ref: Ref | None = None
    config_map_ref: Ref | None = None


class ContainerPort(Struct):
    name: str | None = None
    container_port: int | None = None
    host_port: int | None = None
    host_ip: str | None = msgspec.field(default=None, name="hostIP")
    protocol: str | None = None


class VolumeMount(Struct):
    name: str = ""
    mount_path: str = ""
    sub_path: str | None = None
    sub_path_expr: str | None = None
    read_only: bool | None = None
    mount_propagation: str | None = None


class VolumeDevice(Struct):
    name: str = ""
    device_path: str = ""


class Resources(Struct):
    limits: dict[str, Quantity] | None = None
    requests: dict[str, Quantity] | None = None


class Container(Struct):
    """An init, main, sidecar or ephemeral container.

    Judged at capture, since command and args are not kept: `secret_argv` (a literal credential among
    them), `sudo`, flags that say how long data is kept (`retention`), and for the control plane's own
    programs `component` and its `flags`, name to values in the order given.
    """

    name: str = ""
    image: str | None = None
    image_pull_policy: str | None = None
    restart_policy: str | None = None
    target_container_name: str | None = None
    security_context: SecurityContext | None = None
    ports: list[ContainerPort] | None = None
    env: list[EnvVar] | None = None
    env_from: list[EnvFrom] | None = None
    resources: Resources | None = None
    volume_mounts: list[VolumeMount] | None = None
    volume_devices: list[VolumeDevice] | None = None
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    command: list[str] | None = None
    args: list[str] | None = None
    secret_argv: bool = False
    sudo: bool = False
    retention: dict[str, str] | None = None
    component: str | None = None
    flags: dict[str, list[str]] | None = None

    def __post_init__(self) -> None:
        argv = [*(self.command or ()), *(self.args or ())]
        if argv:
            self.secret_argv, self.sudo = judge.argv_has_secret(argv), judge.argv_has_sudo(argv)
            self.component, self.flags = judge.component_flags(argv)
            self.retention = judge.retention_flags(argv)
        self.command = self.args = None
        self.image = judge.without_userinfo(self.image)
        if self.component != "etcd":
            for variable in self.env or ():
                variable.value = None


class HostPath(Struct):
    path: str = ""
    type: str | None = None


class SecretVolume(Struct):
    secret_name: str = ""
    optional: bool | None = None


class EmptyDir(Struct):
    medium: str | None = None
    size_limit: Quantity | None = None


class TokenProjection(Struct):
    path: str = ""
    audience: str | None = None
    expiration_seconds: int | None = None


class Projection(Closed):
    service_account_token: TokenProjection | None = None
    secret: Ref | None = None
    config_map: Ref | None = None
    downward_api: Present | None = msgspec.field(default=None, name="downwardAPI")
    cluster_trust_bundle: Present | None = None
    pod_certificate: Present | None = None


class Projected(Struct):
    sources: list[Projection] | None = None


class CSIVolume(Struct):
    driver: str = ""
    read_only: bool | None = None
    node_publish_secret_ref: Ref | None = None


class ClaimVolume(Struct):
    claim_name: str = ""
    read_only: bool | None = None


class ImageVolume(Struct):
    reference: str | None = None
    pull_policy: str | None = None


class Volume(Closed):
    """A volume and its source, of the sources that Kubernetes 1.36 knows (core/v1 VolumeSource)."""

    name: str = ""
    host_path: HostPath | None = None
    empty_dir: EmptyDir | None = None
    secret: SecretVolume | None = None
    config_map: Ref | None = None
    projected: Projected | None = None
    downward_api: Present | None = msgspec.field(default=None, name="downwardAPI")
    csi: CSIVolume | None = None
    persistent_volume_claim: ClaimVolume | None = None
    ephemeral: Present | None = None
    image: ImageVolume | None = None
    aws_elastic_block_store: Present | None = None
    azure_disk: Present | None = None
    azure_file: Present | None = None
    cephfs: Present | None = None
    cinder: Present | None = None
    fc: Present | None = None
    flex_volume: Present | None = None
    flocker: Present | None = None
    gce_persistent_disk: Present | None = None
    git_repo: Present | None = None
    glusterfs: Present | None = None
    iscsi: Present | None = None
    nfs: Present | None = None
    photon_persistent_disk: Present | None = None
    portworx_volume: Present | None = None
    quobyte: Present | None = None
    rbd: Present | None = None
    scale_io: Present | None = msgspec.field(default=None, name="scaleIO")
    storageos: Present | None = None
    vsphere_volume: Present | None = None


class PodAffinity(Struct):
    required_during_scheduling_ignored_during_execution: list[Present] | None = None
    preferred_during_scheduling_ignored_during_execution: list[Present] | None = None


class Affinity(Struct):
    node_affinity: Present | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAffinity | None = None


class Toleration(Struct):
    key: str | None = None
    operator: str | None = None
    value: str | None = None
    effect: str | None = None


class SpreadConstraint(Struct):
    max_skew: int | None = None
    topology_key: str = ""
    when_unsatisfiable: str | None = None
    label_selector: LabelSelector | None = None


class HostAlias(Struct):
    ip: str = ""
    hostnames: list[str] | None = None


class PodOS(Struct):
    name: str = ""


class PodSpec(Struct):
    containers: list[Container] | None = None
    init_containers: list[Container] | None = None
    ephemeral_containers: list[Container] | None = None
    volumes: list[Volume] | None = None
    security_context: PodSecurityContext | None = None
    host_network: bool | None = None
    host_pid: bool | None = msgspec.field(default=None, name="hostPID")
    host_ipc: bool | None = msgspec.field(default=None, name="hostIPC")
    host_users: bool | None = None
    share_process_namespace: bool | None = None
    service_account_name: str | None = None
    service_account: str | None = None
    automount_service_account_token: bool | None = None
    image_pull_secrets: list[Ref] | None = None
    host_aliases: list[HostAlias] | None = None
    runtime_class_name: str | None = None
    node_name: str | None = None
    node_selector: dict[str, str] | None = None
    os: PodOS | None = None
    tolerations: list[Toleration] | None = None
    affinity: Affinity | None = None
    topology_spread_constraints: list[SpreadConstraint] | None = None
    resources: Resources | None = None
    priority_class_name: str | None = None
    restart_policy: str | None = None


class PodIP(Struct):
    ip: str = ""


class ContainerStatus(Struct):
    name: str = ""
    image_id: str | None = msgspec.field(default=None, name="imageID")

    def __post_init__(self) -> None:
        self.image_id = judge.without_userinfo(self.image_id)


class PodCondition(Struct):
    type: str = ""
    status: str = ""


class PodStatus(Struct):
    """status of a pod; of its conditions whether it is Ready, judged at capture (missing: not reported)."""

    phase: str | None = None
    ready: bool | None = None
    conditions: list[PodCondition] | None = None
    reason: str | None = None
    pod_ip: str | None = msgspec.field(default=None, name="podIP")
    pod_ips: list[PodIP] | None = msgspec.field(default=None, name="podIPs")
    host_ip: str | None = msgspec.field(default=None, name="hostIP")
    start_time: datetime | None = None
    container_statuses: list[ContainerStatus] | None = None
    init_container_statuses: list[ContainerStatus] | None = None
    ephemeral_container_statuses: list[ContainerStatus] | None = None

    def __post_init__(self) -> None:
        for condition in self.conditions or ():
            if condition.type == "Ready":
                self.ready = {"True": True, "False": False}.get(condition.status)
        self.conditions = None
