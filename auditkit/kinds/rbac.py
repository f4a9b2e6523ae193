"""Roles and bindings: who may do what."""

import msgspec

from auditkit.kinds.base import Closed, Kind, Struct
from auditkit.kinds.pods import LabelSelector

GROUP = "rbac.authorization.k8s.io"


class Rule(Struct):
    """PolicyRule: verbs on resources of API groups, or on paths."""

    api_groups: list[str] | None = None
    resources: list[str] | None = None
    verbs: list[str] | None = None
    resource_names: list[str] | None = None
    non_resource_urls: list[str] | None = msgspec.field(default=None, name="nonResourceURLs")


class AggregationRule(Closed):
    """Which ClusterRoles' rules a controller copies into this one; an unknown member could narrow a selector."""

    cluster_role_selectors: list[LabelSelector] | None = None


class Role(Kind):
    group = GROUP
    plural = "roles"
    kind = "Role"

    rules: list[Rule] | None = None


class ClusterRole(Kind):
    group = GROUP
    plural = "clusterroles"
    kind = "ClusterRole"
    namespaced = False

    rules: list[Rule] | None = None
    aggregation_rule: AggregationRule | None = None


class Subject(Struct):
    """A user, group or ServiceAccount that a binding names."""

    kind: str = ""
    api_group: str | None = None
    name: str = ""
    namespace: str | None = None


class RoleRef(Struct):
    """The role that a binding grants; immutable."""

    kind: str = ""
    api_group: str | None = None
    name: str = ""


class RoleBinding(Kind):
    group = GROUP
    plural = "rolebindings"
    kind = "RoleBinding"

    role_ref: RoleRef
    subjects: list[Subject] | None = None


class ClusterRoleBinding(Kind):
    group = GROUP
    plural = "clusterrolebindings"
    kind = "ClusterRoleBinding"
    namespaced = False

    role_ref: RoleRef
    subjects: list[Subject] | None = None
