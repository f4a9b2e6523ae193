"""Every Kubernetes kind that auditkit reads: one Struct a kind says what of it is kept."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from auditkit.kinds import (
    admission,
    certificates,
    delivery,
    flux,
    monitoring,
    network,
    platform,
    policies,
    rbac,
    reports,
    workloads,
)
from auditkit.kinds.base import (
    BUILT_IN,
    UNREADABLE,
    Closed,
    Kind,
    ListMeta,
    Malformed,
    ManagedField,
    ObjectMeta,
    OwnerReference,
    Page,
    Present,
    Record,
    Struct,
    asked_as,
    decode_page,
    fields_of,
    read,
    read_all,
    resource,
    unread,
)

__all__ = [
    "ALL",
    "BUILT_IN",
    "BY_RESOURCE",
    "UNREADABLE",
    "Closed",
    "Kind",
    "ListMeta",
    "Malformed",
    "ManagedField",
    "ObjectMeta",
    "OwnerReference",
    "Page",
    "Present",
    "Record",
    "Struct",
    "asked_as",
    "decode_page",
    "fields_of",
    "named",
    "of",
    "read",
    "read_all",
    "resource",
    "served_as",
    "unread",
]

ALL: tuple[type[Kind], ...] = tuple(
    value
    for module in (
        admission,
        certificates,
        delivery,
        flux,
        monitoring,
        network,
        platform,
        policies,
        rbac,
        reports,
        workloads,
    )
    for value in vars(module).values()
    if isinstance(value, type) and issubclass(value, Kind) and value.plural and value.__module__ == module.__name__
)

# "deployments.apps" -> Deployment
BY_RESOURCE: Mapping[str, type[Kind]] = MappingProxyType({resource(kind): kind for kind in ALL})

# ("apps", "Deployment") -> Deployment
BY_KIND: Mapping[tuple[str, str], type[Kind]] = MappingProxyType({(kind.group, kind.kind): kind for kind in ALL})

# "constraints.gatekeeper.sh" -> Constraint: groups of which all resources are read as one kind
BY_GROUP: Mapping[str, type[Kind]] = MappingProxyType({kind.group: kind for kind in ALL if kind.plural == "*"})


def named(group: str, name: str) -> type[Kind] | None:
    """The Struct of a kind by its group and name ("apps", "Deployment"); None where auditkit has no use for it."""
    return BY_GROUP.get(group) or BY_KIND.get((group, name))


def served_as(name: str) -> type[Kind] | None:
    """The Struct of a resource ("deployments.apps"); None where auditkit has no use for it."""
    return BY_GROUP.get(name.partition(".")[2]) or BY_RESOURCE.get(name)


def of(document: Mapping[str, Any]) -> Kind:
    """One parsed manifest (apiVersion, kind, metadata, ...) as the Struct of its kind.

    Raises KeyError where auditkit has no use for the kind, msgspec.ValidationError where the object is malformed.
    """
    group = str(document.get("apiVersion") or "").rpartition("/")[0]
    kind = str(document.get("kind") or "")
    return read(BY_GROUP.get(group) or BY_KIND[group, kind], document)
