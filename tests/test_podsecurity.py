"""The Pod Security engine against the rules of upstream: each rule, each version at which one changes."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.analysis.podsecurity import Violation, effective, pod_template, undetermined, violations

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


def ids(manifest, level, version="latest"):
    return {v.check for v in violations(manifest, level=level, version=version)}


UNMASKED = {"procMount": "Unmasked"}
WINDOWS = {"os": {"name": "windows"}}
APPARMOR = "container.apparmor.security.beta.kubernetes.io/c"
SECCOMP = "container.seccomp.security.alpha.kubernetes.io/c"

# pod, level, version, check, whether it is violated
RULES = [
    (pod(hostNetwork=True), "baseline", "v1.0", "hostNamespaces", True),
    (pod(hostPID=False, hostIPC=False), "baseline", "latest", "hostNamespaces", False),
    (pod(context={"privileged": True}, where="ephemeralContainers"), "baseline", "v1.0", "privileged", True),
    (pod(context={"privileged": True}, where="initContainers"), "baseline", "v1.0", "privileged", True),
    (pod(context={"capabilities": {"add": ["CHOWN"]}}), "baseline", "latest", "capabilities_baseline", False),
    (pod(context={"capabilities": {"add": ["CAP_CHOWN"]}}), "baseline", "latest", "capabilities_baseline", True),
    (pod(context={"capabilities": {"add": ["chown"]}}), "baseline", "latest", "capabilities_baseline", True),
    (pod(context={"capabilities": {"add": ["NET_RAW"]}}), "restricted", "v1.21", "capabilities_baseline", True),
    (pod(context={"capabilities": {"add": ["NET_RAW"]}}), "restricted", "v1.22", "capabilities_baseline", False),
    (pod(context={"capabilities": {"drop": ["all"]}}), "restricted", "v1.22", "capabilities_restricted", True),
    (pod(context={"capabilities": None}), "restricted", "v1.21", "capabilities_restricted", False),
    (pod(context={"capabilities": None}, **WINDOWS), "restricted", "v1.24", "capabilities_restricted", True),
    (pod(context={"capabilities": None}, **WINDOWS), "restricted", "v1.25", "capabilities_restricted", False),
    (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "baseline", "v1.0", "hostPathVolumes", True),
    (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "restricted", "v1.0", "hostPathVolumes", False),
    (pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]), "restricted", "v1.0", "restrictedVolumes", True),
    (pod(volumes=[{"name": "v", "cephfs": {"monitors": []}}]), "restricted", "v1.0", "restrictedVolumes", True),
    (pod(volumes=[{"name": "v", "image": {"reference": "x"}}]), "restricted", "v1.0", "restrictedVolumes", False),
    (pod(volumes=[{"name": "v"}]), "restricted", "v1.0", "restrictedVolumes", False),
    (pod(volumes=[{"name": "v", "novel": {}}]), "restricted", "v1.0", "restrictedVolumes", True),
    (pod({"ports": [{"containerPort": 80, "hostPort": 80}]}), "baseline", "v1.0", "hostPorts", True),
    (pod({"ports": [{"containerPort": 80, "hostPort": 0}]}), "baseline", "v1.0", "hostPorts", False),
    (pod(annotations={APPARMOR: "unconfined"}), "baseline", "v1.0", "appArmorProfile", True),
    (pod(annotations={APPARMOR: "localhost/x"}), "baseline", "v1.0", "appArmorProfile", False),
    (pod(context={"appArmorProfile": {"type": "Unconfined"}}), "baseline", "v1.0", "appArmorProfile", True),
    (pod(pod_context={"appArmorProfile": {"type": "Localhost"}}), "baseline", "v1.0", "appArmorProfile", False),
    (pod(context={"seLinuxOptions": {"type": "spc_t"}}), "baseline", "v1.0", "seLinuxOptions", True),
    (pod(context={"seLinuxOptions": {"type": "container_engine_t"}}), "baseline", "v1.30", "seLinuxOptions", True),
    (pod(context={"seLinuxOptions": {"type": "container_engine_t"}}), "baseline", "v1.31", "seLinuxOptions", False),
    (pod(pod_context={"seLinuxOptions": {"user": "u"}}), "baseline", "latest", "seLinuxOptions", True),
    (pod(context=UNMASKED, hostUsers=False), "baseline", "v1.34", "procMount", True),
    (pod(context=UNMASKED, hostUsers=False), "baseline", "v1.35", "procMount", False),
    (pod(context=UNMASKED, hostUsers=True), "baseline", "v1.35", "procMount", True),
    (pod(context=UNMASKED, hostUsers=False), "restricted", "v1.34", "procMount", True),
    (pod(context=UNMASKED, hostUsers=False), "restricted", "v1.35", "procMount_restricted", True),
    (pod(context=UNMASKED), "restricted", "v1.35", "procMount", False),
    (pod(context={"procMount": "Default"}), "restricted", "latest", "procMount_restricted", False),
    (pod(annotations={SECCOMP: "unconfined"}), "baseline", "v1.18", "seccompProfile_baseline", True),
    (pod(annotations={SECCOMP: "docker/default"}), "baseline", "v1.18", "seccompProfile_baseline", False),
    (pod(annotations={SECCOMP: "unconfined"}), "restricted", "v1.18", "seccompProfile_baseline", True),
    (pod(annotations={SECCOMP: "unconfined"}), "baseline", "v1.19", "seccompProfile_baseline", False),
    (pod(context={"seccompProfile": {"type": "Unconfined"}}), "baseline", "v1.19", "seccompProfile_baseline", True),
    (pod(context={"seccompProfile": None}), "baseline", "v1.19", "seccompProfile_baseline", False),
    (pod(context={"seccompProfile": {"type": "Localhost"}}), "restricted", "v1.19", "seccompProfile_restricted", False),
    (pod(context={"seccompProfile": None}), "restricted", "v1.19", "seccompProfile_restricted", True),
    (
        pod(
            context={"seccompProfile": {"type": "Unconfined"}},
            pod_context={"seccompProfile": {"type": "RuntimeDefault"}},
        ),
        "restricted",
        "latest",
        "seccompProfile_restricted",
        True,
    ),
    (
        pod(context={"seccompProfile": None}, pod_context={"seccompProfile": {"type": "RuntimeDefault"}}),
        "restricted",
        "latest",
        "seccompProfile_restricted",
        False,
    ),
    (
        pod(pod_context={"seccompProfile": {"type": "Unconfined"}}),
        "restricted",
        "v1.19",
        "seccompProfile_restricted",
        True,
    ),
    (pod(context={"seccompProfile": None}, **WINDOWS), "restricted", "v1.24", "seccompProfile_restricted", True),
    (pod(context={"seccompProfile": None}, **WINDOWS), "restricted", "v1.25", "seccompProfile_restricted", False),
    (
        pod(pod_context={"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}),
        "baseline",
        "v1.26",
        "sysctls",
        True,
    ),
    (
        pod(pod_context={"sysctls": [{"name": "net.ipv4.ip_local_reserved_ports"}]}),
        "baseline",
        "v1.27",
        "sysctls",
        False,
    ),
    (pod(pod_context={"sysctls": [{"name": "net.ipv4.tcp_fin_timeout"}]}), "baseline", "v1.28", "sysctls", True),
    (pod(pod_context={"sysctls": [{"name": "net.ipv4.tcp_fin_timeout"}]}), "baseline", "v1.29", "sysctls", False),
    (pod(pod_context={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), "baseline", "v1.31", "sysctls", True),
    (pod(pod_context={"sysctls": [{"name": "net.ipv4.tcp_rmem"}]}), "baseline", "v1.32", "sysctls", False),
    (pod(pod_context={"sysctls": [{"name": "kernel.msgmax"}]}), "baseline", "latest", "sysctls", True),
    (pod(pod_context={"windowsOptions": {"hostProcess": True}}), "baseline", "v1.0", "windowsHostProcess", True),
    (pod(context={"windowsOptions": {"hostProcess": False}}), "baseline", "v1.0", "windowsHostProcess", False),
    (
        pod({"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 1}}}),
        "baseline",
        "v1.33",
        "hostProbesAndHostLifecycle",
        False,
    ),
    (
        pod({"livenessProbe": {"httpGet": {"host": "10.0.0.1", "port": 1}}}),
        "baseline",
        "v1.34",
        "hostProbesAndHostLifecycle",
        True,
    ),
    (
        pod({"lifecycle": {"preStop": {"tcpSocket": {"host": "a", "port": 1}}}}, where="initContainers"),
        "baseline",
        "v1.34",
        "hostProbesAndHostLifecycle",
        True,
    ),
    (pod({"startupProbe": {"httpGet": {"host": ""}}}), "baseline", "latest", "hostProbesAndHostLifecycle", False),
    (pod(context={"allowPrivilegeEscalation": None}), "restricted", "v1.7", "allowPrivilegeEscalation", False),
    (pod(context={"allowPrivilegeEscalation": None}), "restricted", "v1.8", "allowPrivilegeEscalation", True),
    (
        pod(context={"allowPrivilegeEscalation": None}, **WINDOWS),
        "restricted",
        "v1.24",
        "allowPrivilegeEscalation",
        True,
    ),
    (
        pod(context={"allowPrivilegeEscalation": None}, **WINDOWS),
        "restricted",
        "v1.25",
        "allowPrivilegeEscalation",
        False,
    ),
    (pod(pod_context={"runAsNonRoot": False}), "restricted", "v1.0", "runAsNonRoot", True),
    (
        pod(context={"runAsNonRoot": False}, pod_context={"runAsNonRoot": True}),
        "restricted",
        "v1.0",
        "runAsNonRoot",
        True,
    ),
    (
        pod(context={"runAsNonRoot": None}, pod_context={"runAsNonRoot": True}),
        "restricted",
        "v1.0",
        "runAsNonRoot",
        False,
    ),
    (pod(context={"runAsNonRoot": None}), "restricted", "v1.0", "runAsNonRoot", True),
    (pod(context={"runAsNonRoot": None}, hostUsers=False), "restricted", "v1.34", "runAsNonRoot", True),
    (pod(context={"runAsNonRoot": None}, hostUsers=False), "restricted", "v1.35", "runAsNonRoot", False),
    (pod(context={"runAsUser": 0}), "restricted", "v1.22", "runAsUser", False),
    (pod(context={"runAsUser": 0}), "restricted", "v1.23", "runAsUser", True),
    (pod(pod_context={"runAsUser": 0}), "restricted", "latest", "runAsUser", True),
    (pod(context={"runAsUser": 0}, hostUsers=False), "restricted", "v1.34", "runAsUser", True),
    (pod(context={"runAsUser": 0}, hostUsers=False), "restricted", "v1.35", "runAsUser", False),
]


@pytest.mark.parametrize(("manifest", "level", "version", "check", "violated"), RULES)
def test_rule(manifest, level, version, check, violated):
    assert (check in ids(manifest, level, version)) is violated


def test_a_pod_that_meets_every_rule_violates_none():
    assert violations(pod(), level="restricted") == ()
    assert violations(pod(context={"privileged": True}), level="privileged") == ()


def test_a_violation_says_where():
    manifest = pod(context={"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE", "SYS_ADMIN"]}})
    assert violations(manifest, level="restricted") == (
        Violation(
            "capabilities_restricted",
            "capability SYS_ADMIN must not be added",
            "spec.containers[1].securityContext.capabilities.add[1]",
        ),
    )


def test_a_version_newer_than_known_is_the_newest():
    manifest = pod(context={"runAsUser": 0}, hostUsers=False)
    assert ids(manifest, "restricted", "v1.99") == ids(manifest, "restricted", "latest") == set()


@pytest.mark.parametrize(("level", "version"), [("Baseline", "latest"), ("baseline", "1.30"), ("baseline", "v1.07")])
def test_unknown_levels_and_versions_are_refused(level, version):
    with pytest.raises(ValueError, match=r"none of|neither"):
        violations(pod(), level=level, version=version)


@pytest.mark.parametrize("kind", ["Deployment", "CronJob", "PodTemplate", "ReplicationController", "Job"])
def test_templates_of_workloads_are_judged(kind):
    template = pod(context={"privileged": True})
    spec = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    workload = {"kind": kind, "metadata": {"name": "w"}, "spec": spec}
    if kind == "PodTemplate":
        workload = {"kind": kind, "metadata": {"name": "w"}, "template": template}
    assert ids(workload, "baseline") == ids(pod_template(workload), "baseline") == {"privileged"}


@pytest.mark.parametrize("manifest", [{"kind": "Service", "metadata": {}}, {"spec": {"template": {"spec": {}}}}])
def test_what_makes_no_pods_is_not_passed(manifest):
    with pytest.raises(TypeError):
        violations(manifest, level="baseline")


def test_members_that_kubernetes_does_not_know_are_named():
    manifest = pod({"livenessProbe": {"carrier": {}}}, volumes=[{"name": "v", "novel": {}}])
    assert undetermined(manifest) == ("spec.volumes[0].novel", "spec.containers[1].livenessProbe.carrier")
    assert undetermined(pod()) == ()


PREFIX = "pod-security.kubernetes.io/"


@pytest.mark.parametrize(
    ("labels", "enforce", "audit", "warn"),
    [
        ({}, "privileged:latest", "privileged:latest", "privileged:latest"),
        ({"enforce": "baseline"}, "baseline:latest", "privileged:latest", "baseline:latest"),
        ({"enforce": "Baseline"}, "restricted:latest", "privileged:latest", "privileged:latest"),
        ({"enforce": "baseline", "enforce-version": "v1.30"}, "baseline:v1.30", "privileged:latest", "baseline:v1.30"),
        ({"enforce": "baseline", "enforce-version": "1.30"}, "baseline:latest", "privileged:latest", "baseline:latest"),
        (
            {"enforce": "baseline", "warn": "nope", "audit": "x"},
            "baseline:latest",
            "privileged:latest",
            "privileged:latest",
        ),
        (
            {"enforce": "privileged", "warn": "restricted"},
            "privileged:latest",
            "privileged:latest",
            "restricted:latest",
        ),
    ],
)
def test_levels_of_a_namespace(labels, enforce, audit, warn):
    levels = effective({PREFIX + name: value for name, value in labels.items()})
    assert [f"{m.level}:{m.version}" for m in (levels.enforce, levels.audit, levels.warn)] == [enforce, audit, warn]


def test_invalid_and_missing_labels_are_told_apart():
    invalid = effective({f"{PREFIX}enforce": "strict"}).enforce
    assert (invalid.labelled, invalid.valid) == (True, False)
    assert (effective(None).enforce.labelled, effective(None).enforce.valid) == (False, True)


OVERRIDDEN = {
    "capabilities_baseline": "capabilities_restricted",
    "hostPathVolumes": "restrictedVolumes",
    "procMount": "procMount_restricted",
    "seccompProfile_baseline": "seccompProfile_restricted",
}


@given(st.sampled_from([row[0] for row in RULES]), st.integers(0, 36))
def test_restricted_finds_all_that_baseline_finds(manifest, minor):
    windows = manifest["spec"].get("os") is not None
    restricted = ids(manifest, "restricted", f"v1.{minor}")
    for check in ids(manifest, "baseline", f"v1.{minor}"):
        assert check in restricted or OVERRIDDEN[check] in restricted or windows


@given(st.sampled_from([row[0] for row in RULES]), st.sampled_from(["initContainers", "ephemeralContainers"]))
def test_it_does_not_matter_in_which_list_a_container_is(manifest, where):
    moved = deepcopy(manifest)
    for field in ("containers", "initContainers", "ephemeralContainers"):
        found = moved["spec"].pop(field, [])
        moved["spec"].setdefault(where, []).extend(found)
    assert ids(moved, "restricted") == ids(manifest, "restricted")
