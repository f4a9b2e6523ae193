"""What logs, detects and monitors: agents on nodes and the nodes that they reach, and the systems behind them."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.workloads import DaemonSet, Pod
from auditkit.resources import data


def recognise(images: Iterable[str]) -> dict[str, str]:
    """What images are for, and their names, by data/agents.toml; of two for the same the last counts."""
    return {purpose: name for image in images for purpose, name in _known(image)}


@lru_cache(maxsize=10_000)
def _known(image: str) -> tuple[tuple[str, str], ...]:
    found = (
        (purpose, next((name for pattern, name in patterns.items() if matches(image, pattern)), None))
        for purpose, patterns in data("agents.toml").items()
    )
    return tuple((purpose, name) for purpose, name in found if name)


def matches(image: str, pattern: str) -> bool:
    """Whether a pattern is that of the last parts of an image's repository, as many as it has."""
    parts = image.partition("@")[0].split("/")
    repository = [*parts[:-1], parts[-1].partition(":")[0]]
    return fnmatchcase("/".join(repository[-1 - pattern.count("/") :]), pattern)


def _ready(objects: Objects) -> dict[tuple[str, str], tuple[set[str], set[str]]]:
    """Of each DaemonSet the nodes where a pod is ready, and those where one runs and readiness is not reported."""
    found: defaultdict[tuple[str, str], tuple[set[str], set[str]]] = defaultdict(lambda: (set(), set()))
    for pod in objects[Pod]:
        owner = next((o for o in pod.metadata.owner_references or () if o.controller), None)
        node, status = pod.spec.node_name if pod.spec else None, pod.status
        if not (owner and owner.kind == "DaemonSet" and node and status):
            continue
        if status.phase == "Running" and status.ready is not False:
            found[pod.namespace, owner.name][status.ready is None].add(node)
    return found


def _images(found: DaemonSet) -> list[str]:
    template = found.spec.template if found.spec else None
    return [c.image or "" for c in (template.spec.containers if template and template.spec else None) or ()]


@table("node_daemons", kinds=(DaemonSet, Pod), key=("namespace", "name", "image"))
class NodeDaemon:
    """One row per DaemonSet and image of its containers."""

    namespace: Annotated[str, "Namespace of the DaemonSet."]
    kind: Annotated[str, "DaemonSet."]
    name: Annotated[str, "Name of the DaemonSet."]
    image: Annotated[str, "Image as the template names it."]
    nodes: Annotated[list[str], "Nodes where a pod of it is ready."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        ready = objects.once(_ready)
        for found in objects[DaemonSet]:
            for image in dict.fromkeys(_images(found)):
                nodes = sorted(ready[found.namespace, found.name][0])
                yield (found.namespace, "DaemonSet", found.name, image, nodes)


def ready_nodes(node_daemons: pd.DataFrame, patterns: Sequence[str]) -> set[str]:
    """The nodes where a DaemonSet with an image of one of these patterns is ready."""
    known = [any(matches(image, pattern) for pattern in patterns) for image in node_daemons["image"]]
    return {node for nodes in node_daemons.loc[known, "nodes"] for node in nodes}


@table("agents", kinds=(DaemonSet, Pod), key=("purpose", "namespace", "name"))
class AgentRow:
    """One row per DaemonSet and what it is for, where one of its images is a known agent (data/agents.toml)."""

    namespace: Annotated[str, "Namespace of the DaemonSet."]
    kind: Annotated[str, "DaemonSet."]
    name: Annotated[str, "Name of the DaemonSet."]
    purpose: Annotated[str, "log, detection, monitoring, metrics, alerting, dashboards or storage."]
    agent: Annotated[str, "Name of the agent."]
    desired: Annotated[int | None, "Nodes that it is to run on (status.desiredNumberScheduled)."]
    ready: Annotated[int | None, "Nodes where its pod is ready (status.numberReady)."]
    nodes: Annotated[list[str], "Nodes where a pod of it is ready."]
    unreported: Annotated[list[str], "Nodes where a pod of it runs and does not say whether it is ready."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        running = objects.once(_ready)
        for found in objects[DaemonSet]:
            known = recognise(_images(found))
            status = found.status
            counts = (status.desired_number_scheduled, status.number_ready) if status else (None, None)
            nodes, unreported = map(sorted, running[found.namespace, found.name])
            for purpose, agent in known.items():
                yield (found.namespace, "DaemonSet", found.name, purpose, agent, *counts, nodes, unreported)


class _Reached:
    namespace: Annotated[str, "Empty: a node lies in no namespace."]
    kind: Annotated[str, "Node."]
    name: Annotated[str, "Name of the node."]
    os: Annotated[str | None, "linux or windows."]
    taints: Annotated[list[str], "Taints that an agent must tolerate, as key=value:effect."]
    agents: Annotated[list[str], "DaemonSets for this purpose that are ready on it, as NAMESPACE/NAME (agent)."]
    covered: Annotated[
        bool | None, "There is such a DaemonSet; missing where one runs that does not say whether it is ready."
    ]


def _reached(purpose: str, nodes: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
    known = agents[agents.purpose == purpose]
    found, unsure = known.explode("nodes"), known.explode("unreported").unreported
    said = found.namespace + "/" + found.name + " (" + found.agent + ")"
    running = said.groupby(found.nodes).agg(sorted).to_dict()
    reached = [running.get(name, []) for name in nodes.name]
    covered = nodes.name.isin(running).astype("boolean")
    covered = covered.mask(~covered & nodes.name.isin(unsure.dropna()))
    return nodes.assign(agents=pd.Series(reached, index=nodes.index, dtype=object), covered=covered)


@view("node_logging", key=("name",))
class NodeLogging(_Reached):
    """One row per node, and the agents known to collect its logs (data/agents.toml)."""

    @staticmethod
    def frame(nodes: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
        return _reached("log", nodes, agents)


@view("node_detection", key=("name",))
class NodeDetection(_Reached):
    """One row per node, and the agents known to detect threats on it at run time (data/agents.toml)."""

    @staticmethod
    def frame(nodes: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
        return _reached("detection", nodes, agents)


@table("monitoring_systems", kinds=POD_KINDS, key=("purpose", "namespace", "kind", "name"))
class MonitoringSystem:
    """One row per workload and what it is for, where one of its images is known (data/agents.toml)."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Kind of the workload (top owner)."]
    name: Annotated[str, "Name of the workload."]
    purpose: Annotated[str, "log, detection, monitoring, metrics, alerting, dashboards or storage."]
    system: Annotated[str, "Name of the system."]
    wanted: Annotated[int | None, "Pods that it asks for; missing where no number is set."]
    pods: Annotated[int, "Pods that have not ended."]
    ready: Annotated[int, "Pods that are ready."]
    unreported: Annotated[int, "Pods that do not say whether they are ready."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            known = recognise(c.image or "" for spec in one.specs for c in spec.containers or ())
            ready = [pod.status.ready if pod.status else None for pod in one.pods]
            for purpose, system in known.items():
                yield (*one.key, purpose, system, one.wanted, len(ready), ready.count(True), ready.count(None))
