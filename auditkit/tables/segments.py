"""What NetworkPolicies leave open between environments, and to the cloud's metadata service."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

import numpy as np

from auditkit.analysis import reachmatrix
from auditkit.analysis.connections import Connections
from auditkit.analysis.netrules import End
from auditkit.analysis.networks import ENGINES
from auditkit.analysis.owners import POD_KINDS
from auditkit.analysis.selectors import some
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds import Kind
from auditkit.kinds.network import NetworkPolicy, Service
from auditkit.kinds.platform import Namespace, Node
from auditkit.tables.namespaces import ENVIRONMENT, first_label
from auditkit.tables.network import workloads

# Where AWS, Azure, Google Cloud and OpenStack answer the machine itself, and all that runs on it.
METADATA = "169.254.169.254"
# What a connection hangs on beside pods.
_POLICIES: tuple[type[Kind], ...] = (NetworkPolicy, Node, Service, *ENGINES)


def _connections(objects: Objects) -> Connections:
    return Connections(objects, enforced=None, missing=(), foreign={})


@table("metadata_access", kinds=POD_KINDS, beside=(Namespace, *_POLICIES), key=("namespace", "kind", "name"))
class MetadataAccess:
    """One row per workload (top owner): whether policies let it reach the cloud's metadata service (analysis.reachability)."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the top owner."]
    name: Annotated[str, "Name of the workload."]
    reached: Annotated[bool | None, f"A pod of it may connect to {METADATA}:80; missing where that is not known."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        connections = objects.once(_connections)
        (service,) = connections.ends.find(METADATA).ends
        live = {(w.namespace, w.kind, w.name) for w in workloads(objects)}
        for key, ends in connections.ends.owned(objects):
            if key in live:
                yield (*key, some(connections.answer(end, service, 80, "TCP").value for end in ends))


@table("environment_paths", kinds=(Namespace,), beside=(*POD_KINDS, *_POLICIES), key=("name", "source_environment"))
class EnvironmentPath:
    """One row per namespace that holds workloads and other environment: whether a namespace of that one reaches it.

    The environment is a label of the namespace; a namespace without one is in no row.
    """

    namespace: Annotated[str, "Empty: a Namespace is cluster-scoped."]
    kind: Annotated[str, "Namespace."]
    name: Annotated[str, "Name of the Namespace that is reached."]
    environment: Annotated[str, f"Its environment, in small letters: the first of the labels {', '.join(ENVIRONMENT)}."]
    source_environment: Annotated[str, "The other environment."]
    reached: Annotated[bool | None, "A pod of that may connect to one of it, on some port; missing where unknown."]
    sources: Annotated[int, "Number of namespaces of that environment that reach it."]
    example: Annotated[str | None, "The first of them."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        labelled = {one.name: (first_label(one.labels, ENVIRONMENT) or "").lower() for one in objects[Namespace]}
        if len(set(labelled.values()) - {""}) < 2:
            return
        connections = objects.once(_connections)
        groups: defaultdict[str, list[End]] = defaultdict(list)
        for key, ends in connections.ends.owned(objects):
            if labelled.get(key[0]):
                groups[key[0]] += ends
        matrix = reachmatrix.frame(connections, groups)
        sources = matrix.index.to_numpy(dtype=object)
        held = {name: np.array([labelled[s] == name for s in groups]) for name in {labelled[s] for s in groups}}
        for target in groups:
            reach = matrix[target]
            sure, unknown = reach.to_numpy(dtype=bool, na_value=False), reach.isna().to_numpy()
            for other in sorted(held.keys() - {labelled[target]}):
                those = held[other]
                found = sources[those & sure]
                reached = True if len(found) else (None if (those & unknown).any() else False)
                example = found[0] if len(found) else None
                yield ("", "Namespace", target, labelled[target], other, reached, len(found), example)
