"""What other scanners say wrongly of pods, images, tokens and flags: the situation, the truth, our verdict.

The situations are those in which Prowler, Kubescape, Trivy and kube-bench were seen to answer wrongly (2026-08). The
truth is that of Kubernetes: True where there is a fault, None where the cluster does not show it.
"""

import pytest
from podcases import APPARMOR, GOOD, HOST, add, handler, pod, seccomp, selinux, volume

from auditkit.analysis import flags, images, kubelet
from auditkit.analysis.podsecurity import effective, violations
from auditkit.analysis.tokens import holds_token

RUNTIME_DEFAULT = {"seccompProfile": {"type": "RuntimeDefault"}}
NOTHING_SET = {"metadata": {}, "spec": {"containers": [{"name": "c"}]}}
ALLOW = ["docker.io", "registry.example"]


def breaks(manifest, level, check=None):
    """Whether a pod breaks a level of the Pod Security Standards, or one check of it."""
    found = {violation.check for violation in violations(manifest, level=level)}
    return check in found if check else bool(found)


def apiserver(*words, args=()):
    manifest = {
        "name": "any",
        "image": "registry.example/kube-apiserver:v1.36.2",
        "command": list(words),
        "args": list(args),
    }
    return flags.running(manifest)


def below(value, least):
    return None if value is None else value < least


def unlike(found, wanted):
    return None if found is None else found is not wanted


# peer, situation, its answer, the truth, our verdict
PODS = [
    ("Prowler", "hostPort: 8080", "pass", True, breaks(pod({"ports": [{"containerPort": 80, "hostPort": 8080}]}), "baseline")),
    ("Prowler", "capabilities.add NET_RAW", "pass", True, breaks(add("NET_RAW"), "baseline")),
    ("Prowler", "privileged init container", "pass", True, breaks(pod(context={"privileged": True}, where="initContainers"), "baseline")),
    ("Prowler", "privileged ephemeral container", "pass", True, breaks(pod(context={"privileged": True}, where="ephemeralContainers"), "baseline")),
    ("Prowler", "allowPrivilegeEscalation unset", "pass", True, breaks(pod(context={"allowPrivilegeEscalation": None}), "restricted")),
    ("Prowler", "runAsUser 0 for the pod", "pass", True, breaks(pod(pod_context={"runAsUser": 0}), "restricted", "runAsUser")),
    ("Prowler", "no user set at all", "pass", True, breaks(NOTHING_SET, "restricted", "runAsNonRoot")),
    ("Prowler", "capabilities unset", "pass", True, breaks(pod(context={"capabilities": None}), "restricted", "capabilities_restricted")),
    ("Prowler", "pod RuntimeDefault, container Unconfined", "pass", True, breaks(seccomp("Unconfined", "RuntimeDefault"), "baseline")),
    ("Prowler", "seccomp Localhost", "fail", False, breaks(seccomp("Localhost"), "restricted")),
    ("Prowler", "hostProcess for the pod", "pass", True, breaks(pod(pod_context={"windowsOptions": {"hostProcess": True}}), "baseline")),
    ("Prowler", "hostPID: false, hostIPC: false", "fail", False, breaks(pod(hostPID=False, hostIPC=False), "baseline")),
    ("Kubescape", "C-0013: runAsGroup alone unset", "fail", False, breaks(pod(context={"runAsUser": 1000}), "restricted")),
    ("Kubescape", "C-0016: init container may escalate", "pass", True,
     breaks(pod(context={"allowPrivilegeEscalation": True}, where="initContainers"), "restricted", "allowPrivilegeEscalation")),
    ("Kubescape", "C-0055: Unconfined", "pass", True, breaks(seccomp("Unconfined"), "baseline")),
    *[("Kubescape", f"C-0046: {name}", "pass", True, breaks(add(name), "baseline"))
      for name in ("DAC_READ_SEARCH", "SYSLOG", "SYS_TIME", "CAP_SYS_ADMIN")],
    ("Kubescape", "C-0199: the default NET_RAW under baseline", "fail", False, breaks(NOTHING_SET, "baseline")),
    ("Trivy", "ephemeral containers", "pass", True, breaks(pod(context={"procMount": "Unmasked"}, where="ephemeralContainers"), "baseline")),
    ("Trivy", "KSV-0002: AppArmor Unconfined by field", "pass", True, breaks(pod(context={"appArmorProfile": {"type": "Unconfined"}}), "baseline")),
    ("Trivy", "KSV-0012: container false under pod true", "pass", True,
     breaks(pod(context={"runAsNonRoot": False}, pod_context={"runAsNonRoot": True}), "restricted", "runAsNonRoot")),
    ("Trivy", "KSV-0022: capabilities.add CHOWN", "fail", False, breaks(add("CHOWN"), "baseline")),
    ("Trivy", "KSV-0025: container_engine_t", "fail", False, breaks(selinux(type="container_engine_t"), "baseline")),
    ("Trivy", "KSV-0027: procMount Default", "fail", False, breaks(pod(context={"procMount": "Default"}), "restricted")),
    ("Trivy", "KSV-0028: a cephfs volume", "pass", True, breaks(volume(cephfs={"monitors": ["m"]}), "restricted")),
    ("Trivy", "KSV-0104: seccomp unset under baseline", "fail", False, breaks(seccomp(None), "baseline")),
    ("kube-bench", "5.2: hostPort of an init container", "pass", True,
     breaks(pod({"ports": [{"containerPort": 1, "hostPort": 1}]}, where="initContainers"), "baseline")),
    ("folklore", "restricted wants a read-only file system", "fail", False, breaks(pod(context={"readOnlyRootFilesystem": False}), "restricted")),
    ("folklore", "restricted wants probes and limits", "fail", False, breaks(pod(), "restricted")),
    ("folklore", "a probe may name a host", "pass", True, breaks(handler("livenessProbe", httpGet=HOST), "baseline")),
    ("folklore", "AppArmor runtime/default is forbidden", "fail", False, breaks(pod(annotations={APPARMOR: "runtime/default"}), "restricted")),
    ("folklore", "the pod's settings are enough", "pass", True,
     breaks(pod({"securityContext": {**GOOD, "seccompProfile": {"type": "Unconfined"}}}, pod_context=RUNTIME_DEFAULT), "restricted")),
]  # fmt: skip
IMAGES = [
    ("Trivy", "KSV-0034: localhost:5000 is a registry of its own", "fail", False, not images.allowed("localhost:5000/app:1", ["localhost:5000"])),
    ("Trivy", "KSV-0034: quay.io is not trusted", "pass", True, not images.allowed("quay.io/a:1", ALLOW)),
    ("Trivy", "KSV-0034: docker.io.attacker", "pass", True, not images.allowed("docker.io.attacker/nginx:1", ALLOW)),
    ("Trivy", "KSV-0034: nginx is docker.io/library/nginx", "fail", False, not images.allowed("nginx:1", ALLOW)),
    ("folklore", "latest with a digest can change", "fail", False, images.parse("nginx:latest@sha256:" + "0" * 64).mutable),
]  # fmt: skip
TOKENS = [
    ("kube-bench", "5.1.6: account unset, pod false", "fail", False, holds_token(pod(automountServiceAccountToken=False), {})),
    ("Trivy", "KSV-0036: automount by default", "pass", True, holds_token(pod(), {})),
    ("folklore", "account false is enough", "pass", True, holds_token(pod(automountServiceAccountToken=True), {"automountServiceAccountToken": False})),
    ("folklore", "automount false is no token", "pass", True, holds_token(
        pod(automountServiceAccountToken=False, volumes=[{"name": "t", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]), {})),
]  # fmt: skip
FLAGS = [
    ("Prowler", "--anonymous-auth not given", "pass", True, unlike(apiserver("kube-apiserver").true("anonymous-auth"), False)),
    ("Prowler", "flags in args", "fail", False, unlike(apiserver("kube-apiserver", args=["--anonymous-auth=false"]).true("anonymous-auth"), False)),
    ("Prowler", "ServiceAccount not listed", "fail", False, "ServiceAccount" not in apiserver("kube-apiserver").plugins()),
    ("Prowler", "NamespaceLifecycle not listed", "fail", False,
     "NamespaceLifecycle" not in apiserver("kube-apiserver", "--enable-admission-plugins=NodeRestriction").plugins()),
    ("Prowler", "flag and value apart", "error", False, below(apiserver("kube-apiserver", "--audit-log-maxage", "30").number("audit-log-maxage"), 30)),
    ("Prowler", "--authorization-config", "fail", None, apiserver("kube-apiserver", "--authorization-config=/a.yaml").items("authorization-mode")),
    ("Prowler", "--audit-log-maxage=90", "fail", False, below(apiserver("kube-apiserver", "--audit-log-maxage=90").number("audit-log-maxage"), 30)),
    ("Prowler", "--service-account-lookup not given", "fail", False, unlike(apiserver("kube-apiserver").true("service-account-lookup"), True)),
    ("Kubescape", "C-0067: a policy file and no backend", "pass", True, not apiserver("kube-apiserver", "--audit-policy-file=/p").text("audit-log-path")),
    ("Kubescape", "C-0067: flag and value apart", "fail", False, unlike(apiserver("kube-apiserver", "--audit-policy-file", "/p").given("audit-policy-file"), True)),
    ("Kubescape", "C-0291: kube-proxy's metrics by default", "fail", False, unlike(flags.loopback("127.0.0.1:10249"), True)),
    ("Kubescape", "C-0193: enforce-version v1.0", "pass", True,
     effective({"pod-security.kubernetes.io/enforce": "baseline", "pod-security.kubernetes.io/enforce-version": "v1.0"}).enforce.version != "latest"),
    ("Varax", "flags in command are no evidence", "fail", False, unlike(apiserver("kube-apiserver", "--profiling=false").true("profiling"), False)),
    ("folklore", "NodeRestriction is on by default", "pass", True, "NodeRestriction" not in apiserver("kube-apiserver").plugins()),
    ("folklore", "a kubelet's file has the defaults of its flags", "fail", False, kubelet.effective({}).anonymous),
]  # fmt: skip


@pytest.mark.parametrize(
    ("peer", "situation", "said", "truth", "verdict"),
    [*PODS, *IMAGES, *TOKENS, *FLAGS],
    ids=[f"{row[0]}: {row[1]}" for row in (*PODS, *IMAGES, *TOKENS, *FLAGS)],
)
def test_verdict(peer: str, situation: str, said: str, truth: bool | None, verdict: bool | None) -> None:
    assert verdict is truth
    assert (said == "fail") is not truth or said == "error", "the peer was right"
