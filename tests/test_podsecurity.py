"""The Pod Security engine against the rules of upstream: each rule in every version."""

from copy import deepcopy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podcases import (
    APPARMOR,
    HOST,
    RULES,
    SECCOMP,
    UNMASKED,
    VERSIONS,
    add,
    handler,
    pod,
    seccomp,
    selinux,
    sysctl,
    volume,
)  # fmt: skip

from auditkit.analysis.podsecurity import Violation, effective, pod_template, undetermined, violations
from auditkit.kinds import read
from auditkit.kinds.workloads import WORKLOADS


def ids(manifest, level, version="latest"):
    return {v.check for v in violations(manifest, level=level, version=version)}


LISTS = ("containers", "initContainers", "ephemeralContainers")


def moved(manifest, where):
    """The same pod with its last container in another of the three lists."""
    spec = {**manifest["spec"], "containers": manifest["spec"]["containers"][:-1]}
    return {**manifest, "spec": {**spec, where: [*spec.get(where, ()), manifest["spec"]["containers"][-1]]}}


@pytest.mark.parametrize(("manifest", "level", "check", "versions"), RULES)
def test_rule(manifest, level, check, versions):
    for where in LISTS:
        at = moved(manifest, where)
        violated = [minor for minor in VERSIONS if check in ids(at, level, f"v1.{minor}")]
        assert violated == list(versions), where
        assert (check in ids(at, level)) is (36 in versions)
        assert not ids(at, "privileged")


def test_a_pod_that_meets_every_rule_violates_none_in_any_version():
    for minor in VERSIONS:
        assert violations(pod(), level="restricted", version=f"v1.{minor}") == ()
        assert violations({"spec": {}}, level="restricted", version=f"v1.{minor}") == ()


def test_a_bare_pod_meets_baseline_and_not_restricted():
    bare = {"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    for minor in VERSIONS:
        assert ids(bare, "baseline", f"v1.{minor}") == set()
    assert ids(bare, "restricted", "v1.0") == ids(bare, "restricted", "v1.7") == {"runAsNonRoot"}
    assert ids(bare, "restricted", "v1.8") == {"runAsNonRoot", "allowPrivilegeEscalation"}
    assert ids(bare, "restricted", "v1.19") == {"runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile_restricted"}
    assert ids(bare, "restricted") == {
        "runAsNonRoot", "allowPrivilegeEscalation", "seccompProfile_restricted", "capabilities_restricted",
    }  # fmt: skip


CONTEXT = "spec.containers[1].securityContext"


@pytest.mark.parametrize(
    ("manifest", "level", "version", "paths"),
    [
        (pod(hostPID=True, hostIPC=True), "baseline", "latest", ["spec.hostPID", "spec.hostIPC"]),
        (add("CHOWN", "SYS_ADMIN", "NET_RAW"), "baseline", "latest", [f"{CONTEXT}.capabilities.add[{i}]" for i in (1, 2)]),
        (pod(context={"capabilities": None}), "restricted", "latest", [f"{CONTEXT}.capabilities.drop"]),
        (pod(context={"privileged": True}), "baseline", "latest", [f"{CONTEXT}.privileged"]),
        (
            pod(context={"privileged": True}, where="initContainers"), "baseline", "latest",
            ["spec.initContainers[0].securityContext.privileged"],
        ),
        (
            pod(context={"privileged": True}, where="ephemeralContainers"), "baseline", "latest",
            ["spec.ephemeralContainers[0].securityContext.privileged"],
        ),
        (volume(hostPath={"path": "/"}), "restricted", "latest", ["spec.volumes[0].hostPath"]),
        (volume(nfs={"server": "s", "path": "/"}), "restricted", "latest", ["spec.volumes[0].nfs"]),
        (
            pod({"ports": [{"containerPort": 1}, {"containerPort": 2, "hostPort": 2}]}), "baseline", "latest",
            ["spec.containers[1].ports[1].hostPort"],
        ),
        (sysctl("kernel.msgmax"), "baseline", "latest", ["spec.securityContext.sysctls[1].name"]),
        (pod(annotations={APPARMOR: "unconfined"}), "baseline", "latest", [f"metadata.annotations[{APPARMOR}]"]),
        (pod(annotations={SECCOMP: "unconfined"}), "baseline", "v1.18", [f"metadata.annotations[{SECCOMP}]"]),
        (pod(pod_context={"runAsNonRoot": False}), "restricted", "latest", ["spec.securityContext.runAsNonRoot"]),
        (pod(context={"runAsNonRoot": None}), "restricted", "latest", [f"{CONTEXT}.runAsNonRoot"]),
        (pod(pod_context={"runAsUser": 0}), "restricted", "latest", ["spec.securityContext.runAsUser"]),
        (seccomp(None), "restricted", "latest", [f"{CONTEXT}.seccompProfile"]),
        (seccomp("Unconfined"), "restricted", "latest", [f"{CONTEXT}.seccompProfile.type"]),
        (selinux(type="spc_t", user="u"), "baseline", "latest", [f"{CONTEXT}.seLinuxOptions.{f}" for f in ("type", "user")]),
        (handler("preStop", httpGet=HOST), "baseline", "latest", ["spec.containers[1].lifecycle.preStop.httpGet.host"]),
        (handler("livenessProbe", tcpSocket=HOST), "baseline", "latest", ["spec.containers[1].livenessProbe.tcpSocket.host"]),
        (
            pod(context={"allowPrivilegeEscalation": None}), "restricted", "latest",
            [f"{CONTEXT}.allowPrivilegeEscalation"],
        ),
        (pod(context=UNMASKED), "baseline", "latest", [f"{CONTEXT}.procMount"]),
        (
            pod(context={"windowsOptions": {"hostProcess": True}}), "baseline", "latest",
            [f"{CONTEXT}.windowsOptions.hostProcess"],
        ),
    ],
)  # fmt: skip
def test_a_violation_says_where(manifest, level, version, paths):
    assert [v.path for v in violations(manifest, level=level, version=version)] == paths


def test_a_violation_says_what():
    assert violations(add("NET_BIND_SERVICE", "SYS_ADMIN"), level="restricted") == (
        Violation(
            "capabilities_restricted", "capability SYS_ADMIN must not be added", f"{CONTEXT}.capabilities.add[1]"
        ),
    )


def test_a_version_newer_than_known_is_the_newest():
    manifest = pod(context={"runAsUser": 0}, hostUsers=False)
    assert ids(manifest, "restricted", "v1.99") == ids(manifest, "restricted", "latest") == set()


@pytest.mark.parametrize(
    ("level", "version"),
    [
        ("Baseline", "latest"), ("", "latest"), (None, "latest"), ("baseline", "1.30"), ("baseline", "v1.07"),
        ("baseline", "v1"), ("baseline", "v2.0"), ("baseline", "v1.30.1"), ("baseline", "V1.30"), ("baseline", ""),
        ("baseline", "v1.-1"), ("baseline", "v1.30\n"), ("baseline", None), ("privileged", "oldest"),
        ("baseline", "v1.9223372036854775808"),
    ],
)  # fmt: skip
def test_unknown_levels_and_versions_are_refused(level, version):
    with pytest.raises(ValueError, match=r"none of|neither"):
        violations(pod(), level=level, version=version)


KINDS = [
    "Deployment",
    "StatefulSet",
    "DaemonSet",
    "ReplicaSet",
    "ReplicationController",
    "Job",
    "CronJob",
    "PodTemplate",
    "Pod",
]


@pytest.mark.parametrize("kind", KINDS)
def test_templates_of_workloads_are_judged(kind):
    template = pod(context={"privileged": True}, annotations={APPARMOR: "unconfined"})
    spec = {"jobTemplate": {"spec": {"template": template}}} if kind == "CronJob" else {"template": template}
    body = {"PodTemplate": {"template": template}, "Pod": template}.get(kind, {"spec": spec})
    workload = {"kind": kind, **body, "metadata": {"name": "w", **body.get("metadata", {})}}
    struct = read(WORKLOADS[kind], workload)
    for form in (workload, struct, pod_template(workload), pod_template(struct)):
        assert ids(form, "baseline") == {"privileged", "appArmorProfile"}
        assert {v.path for v in violations(form, level="baseline")} == {
            f"{CONTEXT}.privileged", f"metadata.annotations[{APPARMOR}]",
        }  # fmt: skip


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
        ({"enforce": ""}, "restricted:latest", "privileged:latest", "privileged:latest"),
        ({"enforce-version": "v1.20"}, "privileged:v1.20", "privileged:latest", "privileged:latest"),
        (
            {"enforce": "baseline", "enforce-version": "v1.30", "warn-version": "v1.29"},
            "baseline:v1.30",
            "privileged:latest",
            "baseline:v1.29",
        ),
        (
            {"enforce": "restricted", "audit-version": "v1.5"},
            "restricted:latest",
            "privileged:v1.5",
            "restricted:latest",
        ),
        ({"enforce": "restricted", "warn": "baseline"}, "restricted:latest", "privileged:latest", "baseline:latest"),
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


def test_labels_that_the_api_server_refuses_are_named():
    labels = {f"{PREFIX}enforce": "strict", f"{PREFIX}warn-version": "1.30", f"{PREFIX}audit": "baseline"}
    assert [error.partition(":")[0] for error in effective(labels).errors] == [
        f"metadata.labels[{PREFIX}enforce]", f"metadata.labels[{PREFIX}warn-version]",
    ]  # fmt: skip
    assert effective({f"{PREFIX}enforce": "baseline", "team": "x"}).errors == ()


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


PODS = st.sampled_from([row[0] for row in RULES])


@given(PODS, PODS, st.sampled_from(LISTS), st.sampled_from(["baseline", "restricted"]), st.integers(0, 36))
def test_adding_a_container_never_removes_a_violation(manifest, other, where, level, minor):
    spec = manifest["spec"]
    more = {**manifest, "spec": {**spec, where: [*spec.get(where, ()), *other["spec"]["containers"]]}}
    before = set(violations(manifest, level=level, version=f"v1.{minor}"))
    assert before <= set(violations(more, level=level, version=f"v1.{minor}"))


@given(PODS, st.sampled_from(["initContainers", "ephemeralContainers"]))
def test_it_does_not_matter_in_which_list_a_container_is(manifest, where):
    moved = deepcopy(manifest)
    for field in ("containers", "initContainers", "ephemeralContainers"):
        found = moved["spec"].pop(field, [])
        moved["spec"].setdefault(where, []).extend(found)
    assert ids(moved, "restricted") == ids(manifest, "restricted")
