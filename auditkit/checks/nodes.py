"""Nodes: versions, and what the configuration that kubeadm gives to kubelets and kube-proxy allows.

That configuration is a ConfigMap for joining nodes, not one a node. What each node runs is not seen: its file may be
older or changed, its kubelet started with other flags or of another version.
"""

import pandas as pd

from auditkit.declare import check


@check("IMG-12", severity="medium")
def version_skew(kubelet_versions: pd.DataFrame) -> pd.Series:
    """Kubelets are within the version skew that Kubernetes supports.

    A kubelet may be three minor versions older than the API server (two before 1.25), and never newer
    (kubernetes.io/releases/version-skew-policy). Beyond that nobody tests it, and fixes do not reach it.

    Fix: upgrade the node.
    """
    behind = kubelet_versions.behind
    return (behind > kubelet_versions.supported) | (behind < 0)


@check("AVL-12", severity="low")
def node_health(nodes: pd.DataFrame) -> pd.Series:
    """Nodes are ready and short of nothing.

    A node that is not ready, or lacks memory, disk or processes, evicts pods or takes none.

    Fix: find the cause in the node's conditions; add capacity, or replace the node.
    """
    return ~nodes.ready | nodes.pressed


@check("NODE-01", severity="high")
def anonymous_kubelet(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration refuses anonymous requests.

    Whoever reaches port 10250 of the node could run commands in its containers. What each node runs is not seen.

    Fix: set `authentication.anonymous.enabled: false`.
    """
    return kubelets.anonymous


@check("NODE-02", severity="high")
def kubelet_authorization(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration lets the API server decide who may do what.

    With AlwaysAllow every authenticated request may run commands in every container of the node.
    What each node runs is not seen.

    Fix: set `authorization.mode: Webhook`.
    """
    return kubelets.authorization != "Webhook"


@check("NODE-03", severity="high")
def kubelet_client_ca(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration names a CA for client certificates.

    Without a CA the API server cannot prove itself to the kubelet. What each node runs is not seen.

    Fix: set `authentication.x509.clientCAFile`.
    """
    return ~kubelets.client_ca


@check("NODE-04", severity="high")
def read_only_port(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration opens no read-only port.

    It tells everyone on the network which pods run, with their environment and labels. What each node runs is not seen.

    Fix: remove `readOnlyPort`.
    """
    return kubelets.read_only_port != 0


@check("NODE-05", severity="low")
def idle_timeout(kubelets: pd.DataFrame, *, hours: int = 4) -> pd.Series:
    """kubeadm's kubelet configuration closes idle exec and port-forward connections.

    A forgotten session is an open door. In a configuration file 0 means four hours, the default.
    What each node runs is not seen.

    Fix: remove `streamingConnectionIdleTimeout`, or set hours that you can answer for.
    """
    return kubelets.idle_timeout > hours * 3600


@check("NODE-06", severity="low")
def iptables_chains(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration keeps the node's packet filter rules in order.

    Rules that nobody maintains leave pods reachable in ways that policies do not expect.
    What each node runs is not seen.

    Fix: remove `makeIPTablesUtilChains: false`.
    """
    return ~kubelets.iptables_chains


@check("NODE-08", severity="low")
def event_capture(kubelets: pd.DataFrame, *, per_second: int = 5) -> pd.Series:
    """kubeadm's kubelet configuration lets enough Events through.

    Events above the limit are lost, and with them traces of what happened. 0 sets no limit.
    What each node runs is not seen.

    Fix: remove `eventRecordQPS`: its default is 50.
    """
    return (kubelets.event_qps != 0) & (kubelets.event_qps < per_second)


@check("NODE-09", severity="medium")
def serving_certificate(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration provides serving certificates that clients can verify.

    With neither files nor bootstrap a kubelet signs its own certificate, and the API server cannot verify it.
    What each node runs is not seen.

    Fix: set `serverTLSBootstrap: true` and approve the requests, or `tlsCertFile` and `tlsPrivateKeyFile`.
    """
    return ~kubelets.serving_certificate


@check("NODE-10", severity="medium")
def client_rotation(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration rotates client certificates.

    A certificate that is not rotated expires and takes the node away, or is made to live for years.
    What each node runs is not seen.

    Fix: set `rotateCertificates: true`.
    """
    return ~kubelets.rotates


@check("NODE-11", severity="medium")
def serving_rotation(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration rotates serving certificates.

    Rotation comes with `serverTLSBootstrap`; otherwise a certificate stays until somebody changes it.
    What each node runs is not seen.

    Fix: set `serverTLSBootstrap: true`, and leave the feature gate RotateKubeletServerCertificate on.
    """
    return ~kubelets.rotates_serving


@check("NODE-12", severity="medium")
def kubelet_ciphers(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration accepts strong TLS suites only.

    Suites without forward secrecy open recorded traffic to a later key; CBC suites leak by their padding.
    Unset, CBC suites are among the defaults. What each node runs is not seen.

    Fix: set `tlsMinVersion: VersionTLS13`, or `tlsCipherSuites` to ECDHE suites with GCM or ChaCha20.
    """
    return kubelets.weak_tls


@check("NODE-13", severity="low")
def process_limit(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration limits how many processes a pod starts.

    One pod can otherwise use up the process ids of its node and stop all others. The default is no limit.
    What each node runs is not seen.

    Fix: set `podPidsLimit`, e.g. to 4096.
    """
    return kubelets.pod_pids <= 0


@check("NODE-14", severity="low")
def seccomp_default(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration makes the runtime's seccomp profile the default.

    Unset, a container that states no profile may use every system call. What each node runs is not seen.

    Fix: set `seccompDefault: true`.
    """
    return ~kubelets.seccomp_default


@check("NODE-15", severity="low")
def kernel_defaults(kubelets: pd.DataFrame) -> pd.Series:
    """kubeadm's kubelet configuration refuses a kernel with other settings than its own.

    Otherwise a kubelet changes kernel settings that somebody hardened. What each node runs is not seen.

    Fix: set the kernel's values first, then `protectKernelDefaults: true`.
    """
    return ~kubelets.protects_kernel


@check("NODE-16", severity="low")
def proxy_metrics(kube_proxies: pd.DataFrame) -> pd.Series:
    """kubeadm's kube-proxy configuration serves metrics on the node only.

    They tell which Services exist, and profiles with them. Unset is loopback. What each node runs is not seen.

    Fix: remove `metricsBindAddress`, or set 127.0.0.1:10249.
    """
    return ~kube_proxies.local
