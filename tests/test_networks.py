"""Networks are known by their DaemonSets: by name, or by image."""

import pytest

from auditkit.analysis.networks import enforcement, networks
from auditkit.analysis.objects import Gathered


def daemon(name, *images, available=None):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    status = {} if available is None else {"status": {"numberAvailable": available}}
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system"},
        "spec": {"template": {"spec": {"containers": containers}}},
        **status,
    }


def node(name, os="linux"):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/os": os}}}


@pytest.mark.parametrize(
    ("found", "engine", "enforces"),
    [
        (daemon("calico-node"), "calico", True),
        (daemon("cilium"), "cilium", True),
        (daemon("network", "registry.example/mirror/calico/node:v3.30.2"), "calico", True),
        (daemon("network", "quay.io/cilium/cilium@sha256:00"), "cilium", True),
        (daemon("canal", "quay.io/calico/node:v3", "docker.io/flannel/flannel:v1"), "calico", True),
        (daemon("weave-net", "docker.io/weaveworks/weave-kube:2"), "weave", None),
        (daemon("weave-net", "docker.io/weaveworks/weave-kube:2", "docker.io/weaveworks/weave-npc:2"), "weave", True),
        (daemon("aws-node", "602.dkr.ecr.example/amazon-k8s-cni:v1", "x/amazon/aws-network-policy-agent:v1"), "aws-vpc-cni", None),
        (daemon("kube-router"), "kube-router", None),
        (daemon("kindnet"), "kindnet", None),
        (daemon("kube-flannel-ds"), "flannel", False),
    ],
)  # fmt: skip
def test_known_networks(found, engine, enforces):
    (network,) = networks(Gathered([found]))
    assert (network.engine, network.enforces, network.everywhere) == (engine, enforces, None)


def test_others_are_no_networks():
    assert (
        networks(
            Gathered([daemon("node-exporter", "quay.io/prometheus/node-exporter"), daemon("x", "evil/xcalico/node")])
        )
        == []
    )


@pytest.mark.parametrize(
    ("available", "nodes", "enforced"),
    [
        (2, [node("a"), node("b")], True),
        (1, [node("a"), node("b")], False),
        (1, [node("a"), node("w", "windows")], True),
    ],
)
def test_enforced_means_on_every_linux_node(available, nodes, enforced):
    assert enforcement(Gathered([daemon("calico-node", available=available), *nodes]))[0] is enforced


def test_one_of_two_networks_that_enforces_is_enough():
    found, reason = enforcement(Gathered([daemon("kube-flannel-ds"), daemon("calico-node")]))
    assert found and reason == "calico enforces NetworkPolicy (DaemonSet kube-system/calico-node)"
    found, reason = enforcement(Gathered([daemon("kube-flannel-ds"), daemon("kube-router")]))
    assert not found and "flannel does not enforce" in reason and "kube-router" in reason
