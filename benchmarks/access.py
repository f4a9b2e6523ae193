"""How fast the RBAC engine answers: `python benchmarks/access.py`.

A made-up cluster of 2,000 bindings, 1,000 roles of three rules and 10,000 pods over 100 namespaces, one role in
twenty of which leads further; the same on every run.
"""

import random
import time
from typing import Any

from auditkit.analysis.access import Access
from auditkit.kinds import Kind, of

BINDINGS, ROLES, NAMESPACES, PODS, NODES, QUESTIONS = 2_000, 1_000, 100, 10_000, 200, 50_000
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete")
RESOURCES = ("configmaps", "services", "endpoints", "events", "deployments", "replicasets", "ingresses", "leases")
GROUPS = ("", "apps", "networking.k8s.io", "coordination.k8s.io")
POWERFUL = (
    {"apiGroups": [""], "resources": ["pods"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "list"]},
    {"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["create"]},
    {"apiGroups": [""], "resources": ["serviceaccounts/token"], "verbs": ["create"]},
    {"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["*"]},
    {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["impersonate"]},
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
)


def cluster(random_: random.Random) -> list[Kind]:
    """Namespaces, nodes, ServiceAccounts, pods, roles and bindings."""
    names = [f"ns-{n}" for n in range(NAMESPACES)]
    accounts = [(random_.choice(names), f"sa-{n}") for n in range(BINDINGS // 2)]
    core: list[dict[str, Any]] = [_object("v1", "Namespace", name) for name in names]
    core += [_object("v1", "ServiceAccount", name, namespace) for namespace, name in accounts]
    core += [_object("v1", "Node", f"node-{n}") for n in range(NODES)]
    for n in range(PODS):
        namespace, account = random_.choice(accounts)
        pod = {"serviceAccountName": account, "nodeName": f"node-{n % NODES}", "containers": [{"name": "main"}]}
        core.append({**_object("v1", "Pod", f"pod-{n}", namespace), "spec": pod})
    for n in range(ROLES):
        rules = [_rule(random_) for _ in range(3)] + ([random_.choice(POWERFUL)] if n % 20 == 0 else [])
        core.append({**_object("rbac.authorization.k8s.io/v1", "ClusterRole", f"role-{n}"), "rules": rules})
    for n in range(BINDINGS):
        namespace = random_.choice(names) if n % 4 else ""
        account = random_.choice(accounts)
        subject = random_.choice(
            [
                {"kind": "ServiceAccount", "namespace": account[0], "name": account[1]},
                {"kind": "User", "name": f"user-{random_.randrange(500)}"},
                {"kind": "Group", "name": f"group-{random_.randrange(50)}"},
            ]
        )
        kind = "RoleBinding" if namespace else "ClusterRoleBinding"
        core.append(
            {
                **_object("rbac.authorization.k8s.io/v1", kind, f"binding-{n}", namespace),
                "roleRef": {"kind": "ClusterRole", "name": f"role-{random_.randrange(ROLES)}"},
                "subjects": [subject],
            }
        )
    return [of(manifest) for manifest in core]


def _object(version: str, kind: str, name: str, namespace: str = "") -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name, "namespace": namespace}}


def _rule(random_: random.Random) -> dict[str, Any]:
    return {
        "apiGroups": random_.sample(GROUPS, 2),
        "resources": random_.sample(RESOURCES, 3),
        "verbs": random_.sample(VERBS, 4),
    }


def main() -> None:
    random_ = random.Random(1)
    objects = cluster(random_)
    start = time.perf_counter()
    access = Access.from_objects(objects)
    print(f"built from {BINDINGS:,} bindings and {ROLES:,} roles: {time.perf_counter() - start:.2f} s")
    questions = [
        (
            f"user-{random_.randrange(500)}",
            [f"group-{random_.randrange(50)}", "system:authenticated"],
            random_.choice(VERBS),
            random_.choice(RESOURCES),
            f"ns-{random_.randrange(NAMESPACES)}",
        )
        for _ in range(QUESTIONS)
    ]
    start = time.perf_counter()
    yes = sum(bool(access.allowed(u, g, verb=v, resource=r, namespace=n)) for u, g, v, r, n in questions)
    seconds = time.perf_counter() - start
    print(f"allowed: {QUESTIONS / seconds:,.0f} questions a second ({yes:,} of {QUESTIONS:,} allowed)")
    start = time.perf_counter()
    graph, table = access.paths()
    seconds = time.perf_counter() - start
    print(f"paths: {seconds:.2f} s, {len(table):,} subjects, {graph.number_of_edges():,} edges")
    start = time.perf_counter()
    admins = access.effective_admins()
    print(f"effective_admins: {time.perf_counter() - start:.2f} s, {len(admins):,} rows")


if __name__ == "__main__":
    main()
