"""Namespaces, service accounts, nodes and custom resource definitions."""

from auditkit.kinds.base import Kind, Struct


class NamespaceStatus(Struct):
    phase: str | None = None


class Namespace(Kind):
    plural, kind, namespaced = "namespaces", "Namespace", False
    status: NamespaceStatus | None = None


class ServiceAccount(Kind):
    plural, kind = "serviceaccounts", "ServiceAccount"
    automount_service_account_token: bool | None = None


class NodeInfo(Struct):
    kubelet_version: str | None = None
    os_image: str | None = None
    operating_system: str | None = None
    container_runtime_version: str | None = None


class NodeStatus(Struct):
    node_info: NodeInfo | None = None


class NodeSpec(Struct):
    provider_id: str | None = None
    unschedulable: bool | None = None


class Node(Kind):
    plural, kind, namespaced = "nodes", "Node", False
    spec: NodeSpec | None = None
    status: NodeStatus | None = None


class CustomResourceNames(Struct):
    plural: str = ""
    kind: str = ""


class CustomResourceDefinitionSpec(Struct):
    names: CustomResourceNames
    group: str = ""
    scope: str | None = None


class CustomResourceDefinition(Kind):
    group, plural, kind, namespaced = (
        "apiextensions.k8s.io",
        "customresourcedefinitions",
        "CustomResourceDefinition",
        False,
    )
    spec: CustomResourceDefinitionSpec
