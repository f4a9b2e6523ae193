"""A provider's control plane is known by evidence, never by the mere absence of pods."""

from typing import Any

import pytest
from builders import snapshot

from auditkit.analysis import provider

NODE: dict[str, Any] = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}


def labelled(label: str) -> dict[str, Any]:
    return {**NODE, "metadata": {"name": "n1", "labels": {label: "x"}}}


def apiserver(namespace: str) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "command": ["kube-apiserver"]}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": namespace}, "spec": spec}


@pytest.mark.parametrize(
    ("manifests", "version", "found"),
    [
        ([], "v1.33.2-eks-931bdca", "Amazon EKS"),
        ([], "v1.32.4-gke.1415000", "Google GKE"),
        ([labelled("kubernetes.azure.com/cluster")], "v1.33.2", "Azure AKS"),
        ([labelled("eks.amazonaws.com/nodegroup")], None, "Amazon EKS"),
        ([apiserver("tenant-a")], "v1.33.2-eks-931bdca", "Amazon EKS"),
        ([apiserver("kube-system")], "v1.33.2-eks-931bdca", None),
        ([], "v1.29.1-eks-1-29-5", None),
        ([], "v1.33.2+k3s1", None),
        ([NODE], "v1.36.2", None),
        ([labelled("topology.kubernetes.io/zone")], "v1.36.2", None),
        ([], None, None),
    ],
)
def test_providers(manifests: list[dict[str, Any]], version: str | None, found: str | None) -> None:
    evidence = provider.managed(snapshot(manifests).objects, version)
    assert (evidence is None) if found is None else (evidence is not None and found in evidence)
