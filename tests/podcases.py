"""Pods that break one rule of the Pod Security Standards each, and the versions in which they do."""

from copy import deepcopy

GOOD = {
    "allowPrivilegeEscalation": False,
    "runAsNonRoot": True,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod(container=None, *, context=None, where="containers", annotations=None, pod_context=None, **spec):
    """A pod that meets every rule but for what is given; `context` is the container's securityContext."""
    bad = {"name": "c", "securityContext": {**GOOD, **(context or {})}, **(container or {})}
    made = {"containers": [{"name": "main", "securityContext": GOOD}], **spec}
    made[where] = [*made.get(where, ()), bad]
    if pod_context is not None:
        made["securityContext"] = pod_context
    return {"metadata": {"annotations": annotations or {}}, "spec": deepcopy(made)}


UNMASKED = {"procMount": "Unmasked"}
WINDOWS = {"os": {"name": "windows"}}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/c"
SECCOMP = "container.seccomp.security.alpha.kubernetes.io/c"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"

VERSIONS = range(37)
EVER, NEVER = VERSIONS, range(0)


def since(minor):
    return range(minor, 37)


def until(minor):
    return range(minor)


def volume(**source):
    return pod(volumes=[{"name": "v", **source}])


def sysctl(name):
    return pod(
        pod_context={"sysctls": [{"name": "kernel.shm_rmid_forced", "value": "1"}, {"name": name, "value": "1"}]}
    )


def add(*names):
    return pod(context={"capabilities": {"drop": ["ALL"], "add": list(names)}})


def selinux(**options):
    return pod(context={"seLinuxOptions": options})


def seccomp(own, of_pod=None, **spec):
    profile = {"seccompProfile": {"type": of_pod}} if of_pod else None
    return pod(context={"seccompProfile": own and {"type": own}}, pod_context=profile, **spec)


def handler(name, **target):
    return pod({"lifecycle": {name: target}} if name.startswith("p") else {name: target})


HOST = {"host": "10.0.0.1", "port": 1}
IN_USER_NAMESPACE = {"hostUsers": False}
CAPABILITIES = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
]
FORBIDDEN_CAPABILITIES = ["ALL", "NET_RAW", "NET_ADMIN", "SYS_ADMIN", "SYS_PTRACE", "CAP_CHOWN", "chown", ""]
SYSCTLS = {
    "kernel.shm_rmid_forced": NEVER,
    "net.ipv4.ip_local_port_range": NEVER,
    "net.ipv4.tcp_syncookies": NEVER,
    "net.ipv4.ping_group_range": NEVER,
    "net.ipv4.ip_unprivileged_port_start": NEVER,
    "net.ipv4.ip_local_reserved_ports": until(27),
    "net.ipv4.tcp_keepalive_time": until(29),
    "net.ipv4.tcp_fin_timeout": until(29),
    "net.ipv4.tcp_keepalive_intvl": until(29),
    "net.ipv4.tcp_keepalive_probes": until(29),
    "net.ipv4.tcp_rmem": until(32),
    "net.ipv4.tcp_wmem": until(32),
    "kernel.msgmax": EVER,
    "net/ipv4/tcp_syncookies": EVER,
    "net.ipv4.*": EVER,
    "": EVER,
}
ALLOWED_SOURCES = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
]
FORBIDDEN_SOURCES = [
    "awsElasticBlockStore",
    "azureDisk",
    "azureFile",
    "cephfs",
    "cinder",
    "fc",
    "flexVolume",
    "flocker",
    "gcePersistentDisk",
    "gitRepo",
    "glusterfs",
    "iscsi",
    "nfs",
    "photonPersistentDisk",
    "portworxVolume",
    "quobyte",
    "rbd",
    "scaleIO",
    "storageos",
    "vsphereVolume",
    "novel",
]
ANNOTATIONS = {
    "": (NEVER, until(19)),
    "runtime/default": (NEVER, NEVER),
    "docker/default": (EVER, NEVER),
    "localhost/": (NEVER, NEVER),
    "localhost/x": (NEVER, NEVER),
    "localhost": (EVER, until(19)),
    "unconfined": (EVER, until(19)),
    "RuntimeDefault": (EVER, until(19)),
}

# pod, level, check, the minor versions in which it is violated
RULES = [
    *[(pod(**{name: True}), "baseline", "hostNamespaces", EVER) for name in ("hostNetwork", "hostPID", "hostIPC")],
    (pod(hostNetwork=False, hostPID=False, hostIPC=None), "baseline", "hostNamespaces", NEVER),
    (pod(hostPID=True, **IN_USER_NAMESPACE), "baseline", "hostNamespaces", EVER),
    (pod(context={"privileged": True}), "baseline", "privileged", EVER),
    (pod(context={"privileged": False}), "baseline", "privileged", NEVER),
    (pod(context={"privileged": True}, **WINDOWS), "restricted", "privileged", EVER),
    *[(add(name), "baseline", "capabilities_baseline", NEVER) for name in CAPABILITIES],
    *[(add(name), "baseline", "capabilities_baseline", EVER) for name in FORBIDDEN_CAPABILITIES],
    *[(add(name), "restricted", "capabilities_baseline", until(22)) for name in FORBIDDEN_CAPABILITIES],
    *[(add(name), "restricted", "capabilities_restricted", since(22)) for name in FORBIDDEN_CAPABILITIES],
    *[
        (add(name), "restricted", "capabilities_restricted", NEVER if name == "NET_BIND_SERVICE" else since(22))
        for name in CAPABILITIES
    ],
    (add(), "restricted", "capabilities_restricted", NEVER),
    (pod(context={"capabilities": {"drop": ["all"]}}), "restricted", "capabilities_restricted", since(22)),
    (pod(context={"capabilities": {"drop": ["CHOWN", "ALL"]}}), "restricted", "capabilities_restricted", NEVER),
    (pod(context={"capabilities": {"drop": CAPABILITIES}}), "restricted", "capabilities_restricted", since(22)),
    (pod(context={"capabilities": {"drop": []}}), "restricted", "capabilities_restricted", since(22)),
    (pod(context={"capabilities": None}), "restricted", "capabilities_restricted", since(22)),
    (pod(context={"capabilities": None}, **WINDOWS), "restricted", "capabilities_restricted", range(22, 25)),
    (pod(context={"capabilities": None}, os={"name": "linux"}), "restricted", "capabilities_restricted", since(22)),
    (pod({"securityContext": None}), "restricted", "capabilities_restricted", since(22)),
    (volume(hostPath={"path": "/"}), "baseline", "hostPathVolumes", EVER),
    (volume(hostPath={"path": "/"}), "restricted", "hostPathVolumes", NEVER),
    (volume(hostPath={"path": "/"}), "restricted", "restrictedVolumes", EVER),
    *[(volume(**{name: {}}), "restricted", "restrictedVolumes", NEVER) for name in ALLOWED_SOURCES],
    *[(volume(**{name: {}}), "restricted", "restrictedVolumes", EVER) for name in FORBIDDEN_SOURCES],
    *[(volume(**{name: {}}), "baseline", "hostPathVolumes", NEVER) for name in FORBIDDEN_SOURCES],
    (volume(), "restricted", "restrictedVolumes", NEVER),
    (pod({"ports": [{"containerPort": 80}, {"containerPort": 81, "hostPort": 81}]}), "baseline", "hostPorts", EVER),
    (pod({"ports": [{"containerPort": 80, "hostPort": 0}]}), "baseline", "hostPorts", NEVER),
    *[
        row
        for value, (apparmor, of_seccomp) in ANNOTATIONS.items()
        for row in (
            (pod(annotations={APPARMOR: value}), "baseline", "appArmorProfile", apparmor),
            (pod(annotations={SECCOMP: value}), "baseline", "seccompProfile_baseline", of_seccomp),
            (pod(annotations={SECCOMP: value}), "restricted", "seccompProfile_baseline", of_seccomp),
            (pod(annotations={SECCOMP: value}), "restricted", "seccompProfile_restricted", NEVER),
            (pod(annotations={SECCOMP_POD: value}), "baseline", "seccompProfile_baseline", of_seccomp),
        )
    ],
    (pod(annotations={f"{APPARMOR}-absent": "unconfined"}), "baseline", "appArmorProfile", EVER),
    (pod(annotations={f"{SECCOMP}-absent": "unconfined"}), "baseline", "seccompProfile_baseline", NEVER),
    *[
        row
        for type, versions in {"RuntimeDefault": NEVER, "Localhost": NEVER, "Unconfined": EVER, "": EVER}.items()
        for row in (
            (pod(context={"appArmorProfile": {"type": type}}), "baseline", "appArmorProfile", versions),
            (pod(pod_context={"appArmorProfile": {"type": type}}), "baseline", "appArmorProfile", versions),
        )
    ],
    (pod(context={"appArmorProfile": {}}), "baseline", "appArmorProfile", EVER),
    (pod(context={"appArmorProfile": None}), "baseline", "appArmorProfile", NEVER),
    *[
        (selinux(type=type), "baseline", "seLinuxOptions", versions)
        for type, versions in {
            "": NEVER, "container_t": NEVER, "container_init_t": NEVER, "container_kvm_t": NEVER,
            "container_engine_t": until(31), "spc_t": EVER, "container_T": EVER,
        }.items()
    ],
    (selinux(user="system_u"), "baseline", "seLinuxOptions", EVER),
    (selinux(role="system_r"), "baseline", "seLinuxOptions", EVER),
    (selinux(user="", role="", level="s0:c1,c2"), "baseline", "seLinuxOptions", NEVER),
    (pod(pod_context={"seLinuxOptions": {"user": "u"}}), "baseline", "seLinuxOptions", EVER),
    (pod(context=UNMASKED), "baseline", "procMount", EVER),
    (pod(context=UNMASKED, hostUsers=True), "baseline", "procMount", EVER),
    (pod(context=UNMASKED, **IN_USER_NAMESPACE), "baseline", "procMount", until(35)),
    (pod(context=UNMASKED, **IN_USER_NAMESPACE), "restricted", "procMount", until(35)),
    (pod(context=UNMASKED, **IN_USER_NAMESPACE), "restricted", "procMount_restricted", since(35)),
    (pod(context=UNMASKED), "baseline", "procMount_restricted", NEVER),
    (pod(context=UNMASKED), "restricted", "procMount", until(35)),
    (pod(context=UNMASKED), "restricted", "procMount_restricted", since(35)),
    (pod(context={"procMount": ""}), "baseline", "procMount", EVER),
    (pod(context={"procMount": "Default"}), "restricted", "procMount_restricted", NEVER),
    (seccomp("Unconfined"), "baseline", "seccompProfile_baseline", since(19)),
    (seccomp("Unconfined"), "restricted", "seccompProfile_baseline", NEVER),
    (seccomp("Unconfined"), "restricted", "seccompProfile_restricted", since(19)),
    (seccomp("Unconfined", "RuntimeDefault"), "restricted", "seccompProfile_restricted", since(19)),
    (seccomp("Unconfined", **WINDOWS), "restricted", "seccompProfile_restricted", range(19, 25)),
    (seccomp("RuntimeDefault", "Unconfined"), "restricted", "seccompProfile_restricted", since(19)),
    (seccomp("RuntimeDefault", "Unconfined"), "baseline", "seccompProfile_baseline", since(19)),
    (seccomp(None), "baseline", "seccompProfile_baseline", NEVER),
    (seccomp(None), "restricted", "seccompProfile_restricted", since(19)),
    (seccomp(None, **WINDOWS), "restricted", "seccompProfile_restricted", range(19, 25)),
    (seccomp(None, "RuntimeDefault"), "restricted", "seccompProfile_restricted", NEVER),
    (seccomp(None, "Localhost"), "restricted", "seccompProfile_restricted", NEVER),
    (seccomp("Localhost"), "restricted", "seccompProfile_restricted", NEVER),
    (pod(context={"seccompProfile": {}}), "baseline", "seccompProfile_baseline", since(19)),
    *[(sysctl(name), "baseline", "sysctls", versions) for name, versions in SYSCTLS.items()],
    (pod(pod_context={"windowsOptions": {"hostProcess": True}}), "baseline", "windowsHostProcess", EVER),
    (pod(context={"windowsOptions": {"hostProcess": True}}, **WINDOWS), "restricted", "windowsHostProcess", EVER),
    (pod(context={"windowsOptions": {"hostProcess": False}}), "baseline", "windowsHostProcess", NEVER),
    *[
        (handler(name, **{kind: HOST}), "baseline", "hostProbesAndHostLifecycle", since(34))
        for name in ("livenessProbe", "readinessProbe", "startupProbe", "postStart", "preStop")
        for kind in ("httpGet", "tcpSocket")
    ],
    (handler("startupProbe", httpGet={"host": "", "port": 1}), "baseline", "hostProbesAndHostLifecycle", NEVER),
    (handler("preStop", exec={"command": ["true"]}), "baseline", "hostProbesAndHostLifecycle", NEVER),
    (handler("livenessProbe", grpc={"port": 1}), "baseline", "hostProbesAndHostLifecycle", NEVER),
    (pod(context={"allowPrivilegeEscalation": None}), "restricted", "allowPrivilegeEscalation", since(8)),
    (pod(context={"allowPrivilegeEscalation": True}), "restricted", "allowPrivilegeEscalation", since(8)),
    (pod(context={"allowPrivilegeEscalation": True}), "baseline", "allowPrivilegeEscalation", NEVER),
    (pod({"securityContext": None}), "restricted", "allowPrivilegeEscalation", since(8)),
    (pod(context={"allowPrivilegeEscalation": None}, **WINDOWS), "restricted", "allowPrivilegeEscalation", range(8, 25)),
    (pod(pod_context={"runAsNonRoot": False}), "restricted", "runAsNonRoot", EVER),
    (pod(context={"runAsNonRoot": False}, pod_context={"runAsNonRoot": True}), "restricted", "runAsNonRoot", EVER),
    (pod(context={"runAsNonRoot": None}, pod_context={"runAsNonRoot": True}), "restricted", "runAsNonRoot", NEVER),
    (pod({"securityContext": None}, pod_context={"runAsNonRoot": True}), "restricted", "runAsNonRoot", NEVER),
    (pod(context={"runAsNonRoot": None}), "restricted", "runAsNonRoot", EVER),
    (pod(context={"runAsNonRoot": None}, **WINDOWS), "restricted", "runAsNonRoot", EVER),
    (pod(context={"runAsNonRoot": None}, **IN_USER_NAMESPACE), "restricted", "runAsNonRoot", until(35)),
    (pod(pod_context={"runAsNonRoot": False}, **IN_USER_NAMESPACE), "restricted", "runAsNonRoot", until(35)),
    (pod(context={"runAsUser": 0}), "restricted", "runAsUser", since(23)),
    (pod(context={"runAsUser": 1}), "restricted", "runAsUser", NEVER),
    (pod(pod_context={"runAsUser": 0}), "restricted", "runAsUser", since(23)),
    (pod(context={"runAsUser": 1}, pod_context={"runAsUser": 0}), "restricted", "runAsUser", since(23)),
    (pod(context={"runAsUser": 0}, **WINDOWS), "restricted", "runAsUser", since(23)),
    (pod(context={"runAsUser": 0}, **IN_USER_NAMESPACE), "restricted", "runAsUser", range(23, 35)),
    (pod(context={"runAsUser": 0}, hostUsers=None), "restricted", "runAsUser", since(23)),
    (pod(context={"readOnlyRootFilesystem": False}), "restricted", "restrictedVolumes", NEVER),
]  # fmt: skip
