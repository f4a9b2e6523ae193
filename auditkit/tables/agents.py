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


class _Reached:
    namespace: Annotated[str, "Empty: a node lies in no namespace."]
    kind: Annotated[str, "Node."]
    name: Annotated[str, "Name of the node."]
    os: Annotated[str | None, "linux or windows."]
    taints: Annotated[list[str], "Taints that an agent must tolerate, as key=value:effect."]
    agents: Annotated[list[str], "DaemonSets for this purpose of which a pod runs on it, as NAMESPACE/NAME (agent)."]
    covered: Annotated[bool, "There is such a DaemonSet."]


def _reached(purpose: str, nodes: pd.DataFrame, agents: pd.DataFrame) -> pd.DataFrame:
    found = agents[agents.purpose == purpose].explode("nodes")
    said = found.namespace + "/" + found.name + " (" + found.agent + ")"
    running = said.groupby(found.nodes).agg(sorted).to_dict()
    reached = [running.get(name, []) for name in nodes.name]
    return nodes.assign(agents=pd.Series(reached, index=nodes.index, dtype=object), covered=nodes.name.isin(running))


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
