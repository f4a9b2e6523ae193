"""The least-privilege ClusterRole for a live capture, derived from the kinds that are collected."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from auditkit import kinds as all_kinds
from auditkit.capture.policy import reads_secrets
from auditkit.capture.snapshot import DEFAULTS, Options
from auditkit.kinds import Kind
from auditkit.kinds.certificates import Secret


def cluster_role(kinds: Sequence[type[Kind]] = all_kinds.ALL, options: Options = DEFAULTS) -> dict[str, Any]:
    """The manifest: `list` of each kind, and `get` of the Namespace kube-system, whose uid names the cluster.

    Discovery, /version and the SelfSubject reviews need no rule: every authenticated identity has them
    (system:discovery, system:basic-user). Of constraints.gatekeeper.sh it is every resource, "*": templates make them, so
    that their names are not known beforehand; the group holds nothing else. Secrets are in it only where the options ask for them; RBAC cannot allow
    their metadata alone, so that what auditkit does not read is its own doing, not the role's.
    """
    plurals: dict[str, set[str]] = defaultdict(set)
    for kind in kinds:
        if kind is not Secret or reads_secrets(options):
            plurals[kind.group].add(kind.plural)
    rules = [
        {"apiGroups": [group], "resources": sorted(found), "verbs": ["list"]}
        for group, found in sorted(plurals.items())
    ]
    uid = {"apiGroups": [""], "resources": ["namespaces"], "resourceNames": ["kube-system"], "verbs": ["get"]}
    return {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "auditkit"},
        "rules": [uid, *rules],
    }
