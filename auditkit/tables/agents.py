"""Agents that run on nodes: log collectors, runtime detection, node monitoring, and the nodes they reach."""

import tomllib
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.workloads import DaemonSet, Pod
from auditkit.resources import folder


@cache
def _patterns() -> dict[str, dict[str, str]]:
    return tomllib.loads((folder("data") / "agents.toml").read_text())


def recognise(image: str) -> Iterator[tuple[str, str]]:
    """What an image's agent is for and its name, by data/agents.toml; nothing where it is not known."""
    parts = image.partition("@")[0].split("/")
    repository = [*parts[:-1], parts[-1].partition(":")[0]]
    for purpose, patterns in _patterns().items():
        for pattern, name in patterns.items():
            if fnmatchcase("/".join(repository[-1 - pattern.count("/") :]), pattern):
                yield purpose, name
                break


@table("agents", kinds=(DaemonSet, Pod), key=("purpose", "namespace", "name"))
class AgentRow:
    """One row per DaemonSet and what it is for, where one of its images is a known agent (data/agents.toml)."""

    namespace: Annotated[str, "Namespace of the DaemonSet."]
    kind: Annotated[str, "DaemonSet."]
    name: Annotated[str, "Name of the DaemonSet."]
    purpose: Annotated[str, "log, detection or monitoring."]
    agent: Annotated[str, "Name of the agent."]
    desired: Annotated[int | None, "Nodes that it is to run on (status.desiredNumberScheduled)."]
    ready: Annotated[int | None, "Nodes where its pod is ready (status.numberReady)."]
    nodes: Annotated[list[str], "Nodes where a pod of it runs."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        running = defaultdict(set)
        for pod in objects[Pod]:
            owner = next((o for o in pod.metadata.owner_references or () if o.controller), None)
            if owner and owner.kind == "DaemonSet" and pod.spec and pod.status and pod.status.phase == "Running":
                running[pod.namespace, owner.name].add(pod.spec.node_name or "")
        for found in objects[DaemonSet]:
            template = found.spec.template if found.spec else None
            containers = (template.spec.containers if template and template.spec else None) or ()
            known = dict(agent for c in containers for agent in recognise(c.image or ""))
            status = found.status
            counts = (status.desired_number_scheduled, status.number_ready) if status else (None, None)
            for purpose, agent in known.items():
                nodes = sorted(running[found.namespace, found.name] - {""})
                yield (found.namespace, "DaemonSet", found.name, purpose, agent, *counts, nodes)


class _Coverage:
    namespace: Annotated[str, "Namespace of the DaemonSet; empty for a cluster whose nodes have none."]
    kind: Annotated[str, "DaemonSet, or Cluster where none is known."]
    name: Annotated[str, "Name of the DaemonSet, or of the cluster where none is known."]
    agent: Annotated[str | None, "Name of the agent."]
    nodes: Annotated[int, "Nodes where a pod of it runs."]
    uncovered: Annotated[list[str], "Nodes where no known agent for this purpose runs, of this DaemonSet or another."]
    gaps: Annotated[int, "How many nodes are uncovered."]


def _coverage(purpose: str, agents: pd.DataFrame, nodes: pd.DataFrame, origin: pd.DataFrame) -> pd.DataFrame:
    found = agents[agents.purpose == purpose]
    reached = {node for covered in found.nodes for node in covered}
    uncovered = sorted(set(nodes.name) - reached)
    if found.empty and uncovered:
        cluster: dict[str, Any] = {"namespace": "", "kind": "Cluster", "name": origin.cluster[0], "agent": None}
        found = pd.DataFrame([cluster | {"nodes": []}])
    missed = pd.Series([uncovered] * len(found), index=found.index, dtype=object)
    return found.assign(nodes=found.nodes.map(len), uncovered=missed, gaps=len(uncovered))


@view("log_collectors", key=("namespace", "name"))
class LogCollector(_Coverage):
    """One row per DaemonSet known to collect logs; one row for the cluster where there is none."""

    @staticmethod
    def frame(agents: pd.DataFrame, nodes: pd.DataFrame, origin: pd.DataFrame) -> pd.DataFrame:
        return _coverage("log", agents, nodes, origin)


@view("runtime_detectors", key=("namespace", "name"))
class RuntimeDetector(_Coverage):
    """One row per DaemonSet known to detect threats at run time; one row for the cluster where there is none."""

    @staticmethod
    def frame(agents: pd.DataFrame, nodes: pd.DataFrame, origin: pd.DataFrame) -> pd.DataFrame:
        return _coverage("detection", agents, nodes, origin)
