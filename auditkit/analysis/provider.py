"""Recognises a control plane that a provider runs, from evidence in the cluster."""

import re
from collections.abc import Mapping, Sequence

from auditkit.kinds import Kind
from auditkit.kinds.platform import Node
from auditkit.kinds.workloads import Pod

# How the providers mark the version of their API servers.
VERSIONS = {"Amazon EKS": re.compile(r"-eks-"), "Google GKE": re.compile(r"-gke\."), "Azure AKS": re.compile(r"-aks-?")}
LABELS = {
    "eks.amazonaws.com/nodegroup": "Amazon EKS",
    "cloud.google.com/gke-nodepool": "Google GKE",
    "kubernetes.azure.com/cluster": "Azure AKS",
}


def managed(objects: Mapping[type[Kind], Sequence[Kind]], version: str) -> str | None:
    """The provider of the control plane and the evidence for it; None where the API server is a pod, or none is seen."""
    pods = objects[Pod]
    if any(p.namespace == "kube-system" and p.name.startswith("kube-apiserver-") for p in pods):
        return None
    for provider, pattern in VERSIONS.items():
        if pattern.search(version):
            return f"control plane of {provider}: the server's version is {version}"
    for node in objects[Node]:
        for label, provider in LABELS.items():
            if label in node.labels:
                return f"control plane of {provider}: node {node.name} has label {label}"
    return None
