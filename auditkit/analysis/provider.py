"""Recognises a control plane that a provider runs, from evidence in the cluster."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from auditkit.kinds.platform import Node
from auditkit.kinds.workloads import Pod

# How providers mark the version of their API servers. EKS Distro, which anyone can run, writes -eks-1-29-3.
VERSIONS = {
    "Amazon EKS": re.compile(r"-eks-[0-9a-f]{7,}$"),
    "Google GKE": re.compile(r"-gke\.\d+$"),
    "Alibaba ACK": re.compile(r"-aliyun\.\d+$"),
    "IBM Cloud Kubernetes Service": re.compile(r"\+IKS$"),
}
# Labels that only the provider's own node pools carry.
LABELS = {
    "eks.amazonaws.com/": "Amazon EKS",
    "cloud.google.com/gke-nodepool": "Google GKE",
    "kubernetes.azure.com/cluster": "Azure AKS",
    "doks.digitalocean.com/": "DigitalOcean DOKS",
    "lke.linode.com/": "Linode LKE",
    "k8s.scaleway.com/": "Scaleway Kapsule",
    "vke.vultr.com/": "Vultr VKE",
}


def managed(objects: Mapping[type, Sequence[Any]], version: str | None) -> str | None:
    """The provider of the control plane and the evidence for it, in one sentence; None where nothing shows one.

    `version` is the API server's gitVersion. A kube-apiserver that runs as a pod of the cluster (a static pod,
    or in kube-system) is the cluster's own: such a control plane is nobody else's to answer for.
    """
    if any(_own_apiserver(pod) for pod in objects[Pod]):
        return None
    for provider, pattern in VERSIONS.items():
        if version and pattern.search(version):
            return f"control plane of {provider}: no pod runs kube-apiserver, and the server's version is {version}"
    for node in objects[Node]:
        for label in sorted(node.labels):
            pool = next((name for prefix, name in LABELS.items() if label.startswith(prefix)), None)
            if pool:
                return f"control plane of {pool}: no pod runs kube-apiserver, and node {node.name} has label {label}"
    return None


def own(pod: Pod) -> bool:
    """Whether a pod may belong to the control plane of its own cluster: a static pod, or in kube-system.

    Elsewhere a kube-apiserver serves another cluster (Kamaji, vcluster, Gardener), an etcd an application.
    """
    static = any(owner.kind == "Node" for owner in pod.metadata.owner_references or ())
    return static or pod.namespace == "kube-system"


def _own_apiserver(pod: Pod) -> bool:
    containers = (pod.spec.containers if pod.spec else None) or ()
    return own(pod) and any(c.component == "kube-apiserver" for c in containers)
