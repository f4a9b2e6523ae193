"""How long the matrix by workload takes for 10,000 pods and 500 policies, and how many questions a second are answered.

Run with: python benchmarks/reachability.py [PODS] [POLICIES]
"""

import random
import sys
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from auditkit import kinds
from auditkit.analysis.reachability import Reachability
from auditkit.kinds import Kind

PODS_A_WORKLOAD = 5
NAMESPACES = 50


def cluster(pods: int, policies: int) -> list[Kind]:
    """A cluster of that size from a fixed seed: StatefulSets, whose pods all have labels of their own."""
    chance = random.Random(1)
    return [kinds.of(document) for document in (*_namespaces(chance), *_pods(pods), *_policies(policies, chance))]


def _meta(name: str, namespace: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "namespace": namespace, **more}


def _namespaces(chance: random.Random) -> Iterator[dict[str, Any]]:
    for n in range(NAMESPACES):
        labels = {"team": f"t{n % 10}", "stage": chance.choice(["prod", "test"])}
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": f"ns{n}", "labels": labels}}


def _pods(pods: int) -> Iterator[dict[str, Any]]:
    for n in range(pods // PODS_A_WORKLOAD):
        namespace, name = f"ns{n % NAMESPACES}", f"app{n}"
        yield {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": _meta(name, namespace, uid=f"u{n}")}
        owner = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": name, "uid": f"u{n}", "controller": True}
        for i in range(PODS_A_WORKLOAD):
            number = n * PODS_A_WORKLOAD + i
            labels = {"app": name, "tier": f"tier{n % 7}", "statefulset.kubernetes.io/pod-name": f"{name}-{i}"}
            address = f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"
            ports = [{"name": "http", "containerPort": 8000 + n % 5}]
            yield {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": _meta(f"{name}-{i}", namespace, labels=labels, ownerReferences=[owner]),
                "spec": {"nodeName": f"n{number % 100}", "containers": [{"name": "c", "ports": ports}]},
                "status": {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]},
            }


def _policies(policies: int, chance: random.Random) -> Iterator[dict[str, Any]]:
    for n in range(policies):
        namespace = f"ns{n % NAMESPACES}"
        chosen = {} if n < NAMESPACES else {"matchLabels": {"app": f"app{chance.randrange(400) * 50 + n % 50}"}}
        if n >= NAMESPACES and chance.random() < 0.5:
            chosen = {"matchExpressions": [{"key": "tier", "operator": "In", "values": [f"tier{n % 7}", "tier3"]}]}
        peers: list[dict[str, Any]] = [
            {"podSelector": {"matchLabels": {"tier": f"tier{chance.randrange(7)}"}}},
            {"namespaceSelector": {"matchLabels": {"team": f"t{chance.randrange(10)}"}}},
            {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app": f"app{chance.randrange(2000)}"}}},
            {"ipBlock": {"cidr": f"10.0.{chance.randrange(40)}.0/24", "except": [f"10.0.{n % 40}.64/26"]}},
        ]
        ports = [{"port": chance.randrange(8000, 8100)}, {"port": "http"}, {"port": 9000, "endPort": 9000 + n}]
        rule = {"ports": chance.sample(ports, 2)}
        ingress = [] if n < NAMESPACES else [{"from": chance.sample(peers, 2), **rule}]
        egress = [] if n < NAMESPACES else [{"to": chance.sample(peers, 2), **rule}]
        types = ["Ingress", "Egress"]
        spec = {"podSelector": chosen, "policyTypes": types, "ingress": ingress, "egress": egress}
        yield {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": _meta(f"p{n}", namespace),
            "spec": spec,
        }


def main(pods: int = 10_000, policies: int = 500) -> None:
    objects = cluster(pods, policies)
    start = perf_counter()
    reach = Reachability.from_objects(objects, enforced=True)
    matrix = reach.matrix(by="workload")
    took = perf_counter() - start
    print(f"{pods:,} pods x {policies:,} policies: matrix of {len(matrix):,} workloads in {took:.1f} s")
    start = perf_counter()
    reach.matrix(by="namespace")
    print(f"matrix of {NAMESPACES} namespaces in {perf_counter() - start:.1f} s")
    start = perf_counter()
    reach.isolation()
    print(f"isolation of {pods:,} pods in {perf_counter() - start:.1f} s")
    chance = random.Random(2)
    names = [f"{o.namespace}/{o.name}" for o in objects if o.kind == "Pod"]
    asked = 10_000
    start = perf_counter()
    for _ in range(asked):
        reach.allowed(chance.choice(names), chance.choice(names), 8001)
    print(f"{asked / (perf_counter() - start):,.0f} questions a second")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
