"""Tests that other tools performed, as they were supplied, and what kube-bench says of each node."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.imports.benchmarks import ControlTest, NodeTest
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.resources import data


@table("node_tests", records=(NodeTest,), key=("node", "benchmark", "item"))
class NodeTestRow:
    """One row per node and item of a benchmark that kube-bench tested on it."""

    file: Annotated[str, "Name of the report."]
    node: Annotated[str, "The node, by the name of the file."]
    benchmark: Annotated[str, "Benchmark and version, e.g. cis-1.12."]
    kubernetes: Annotated[str | None, "Version of Kubernetes that kube-bench found."]
    target: Annotated[str, "master, etcd, controlplane, node or policies."]
    section: Annotated[str, "Section, e.g. 4.1."]
    item: Annotated[str, "Number of the item, e.g. 4.1.9."]
    text: Annotated[str, "Title of the item, as kube-bench words it."]
    status: Annotated[str, "PASS, FAIL, WARN (to be judged by hand, or not tested) or INFO."]
    reason: Annotated[str | None, "Why it could not be tested."]
    scored: Annotated[bool | None, "The benchmark asks for it to be automated."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for t in objects[NodeTest]:
            yield (
                t.file, t.node, t.benchmark, t.kubernetes, t.target, t.section, t.item, t.text, t.status,
                t.reason, t.scored,
            )  # fmt: skip


@table("control_tests", records=(ControlTest,), key=("control", "resource"))
class ControlTestRow:
    """One row per object and control that Kubescape tested on it."""

    file: Annotated[str, "Name of the report."]
    version: Annotated[str | None, "Version of Kubescape."]
    frameworks: Annotated[list[str], "Frameworks of which the controls were tested."]
    control: Annotated[str, "Id of the control, e.g. C-0048."]
    text: Annotated[str, "Its name."]
    resource: Annotated[str, "Kubescape's id of the object."]
    namespace: Annotated[str, "Namespace of the object."]
    kind: Annotated[str, "Kind of the object; empty where the report leaves objects out."]
    name: Annotated[str, "Name of the object."]
    status: Annotated[str, "passed, failed or skipped."]
    sub_status: Annotated[str | None, "More on it, e.g. w/exceptions, irrelevant, requires review."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for t in objects[ControlTest]:
            yield (
                t.file, t.version, list(t.frameworks), t.control, t.text, t.resource, t.namespace, t.kind, t.name,
                t.status, t.sub_status,
            )  # fmt: skip


@view("imported_tests", key=("tool", "item", "place", "benchmark"))
class ImportedTest:
    """One row per test that kube-bench or Kubescape performed: what was tested, on what, and how it ended."""

    tool: Annotated[str, "kube-bench or Kubescape."]
    version: Annotated[str | None, "Version of the tool; kube-bench does not say."]
    benchmark: Annotated[str, "Benchmark or frameworks, with version."]
    item: Annotated[str, "Number of the item, or id of the control."]
    place: Annotated[str, "Node, or object as the tool names it."]
    text: Annotated[str, "Title, as the tool words it."]
    status: Annotated[str, "PASS, FAIL, WARN, INFO or SKIPPED."]

    @staticmethod
    def frame(node_tests: pd.DataFrame, control_tests: pd.DataFrame) -> pd.DataFrame:
        nodes = node_tests.assign(tool="kube-bench", version=None, place="Node " + node_tests.node)
        frameworks = [", ".join(names) for names in control_tests.frameworks]
        objects = control_tests.assign(
            tool="Kubescape",
            benchmark=pd.Series(frameworks, index=control_tests.index, dtype="string"),
            item=control_tests.control,
            place=control_tests.resource,
            status=control_tests.status.replace({"passed": "PASS", "failed": "FAIL", "skipped": "SKIPPED"}),
        )
        return pd.concat([nodes, objects], ignore_index=True)


class _OfNode:
    namespace: Annotated[str, "Empty: a node lies in no namespace."]
    kind: Annotated[str, "Node."]
    name: Annotated[str, "Name of the node."]


class _NodeFile(_OfNode):
    in_cluster: Annotated[bool, "The cluster has a node of this name."]
    item: Annotated[str, "Number of the item."]
    status: Annotated[str | None, "PASS, FAIL, WARN or INFO; missing where the item was not tested."]
    benchmark: Annotated[str | None, "Benchmark and version of the report."]
    text: Annotated[str | None, "Title of the item, as kube-bench words it."]
    reported: Annotated[bool, "There is a report of the node."]


@view("control_plane_files", key=("name", "item", "benchmark"))
class ControlPlaneFile(_NodeFile):
    """One row per node of the control plane and item of CIS on its files (section 1.1), as kube-bench tested it.

    An item that the node's report leaves out, and every item of a node without a report, is a row without status. A
    report of a node that the cluster does not have is listed as well.
    """

    @staticmethod
    def frame(node_tests: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
        return _files(node_tests, nodes, nodes[nodes.control_plane], "1.1")


@view("kubelet_files", key=("name", "item", "benchmark"))
class KubeletFile(_NodeFile):
    """One row per node and item of CIS on files of the kubelet (section 4.1), as kube-bench tested it.

    An item that the node's report leaves out, and every item of a node without a report, is a row without status. A
    report of a node that the cluster does not have is listed as well. The benchmark is about Linux: a node of Windows
    has no rows.
    """

    @staticmethod
    def frame(node_tests: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
        return _files(node_tests, nodes, nodes[nodes.os.ne("windows").fillna(True)], "4.1")


def _files(tests: pd.DataFrame, nodes: pd.DataFrame, due: pd.DataFrame, section: str) -> pd.DataFrame:
    items = pd.DataFrame({"item": [item for item in _items() if item.startswith(f"{section}.")]}, dtype="string")
    every = due[["name"]].rename(columns={"name": "node"}).merge(items, how="cross")
    rows = every.merge(tests[tests.section == section], on=["node", "item"], how="outer")
    return rows.assign(
        namespace="",
        kind="Node",
        name=rows.node,
        in_cluster=rows.node.isin(nodes.name),
        reported=rows.node.isin(tests.node),
    )


@view("node_settings", key=("name", "item", "benchmark"))
class NodeSetting(_OfNode):
    """One row per node and item that kube-bench tested on any node it is due on, but those on files (sections 1.1 and 4.1).

    Section 4 is due on every node but those of Windows, 1 to 3 on nodes of the control plane. What the node's own report
    leaves out, and every such item of a node without a report, is a row without status.
    """

    in_cluster: Annotated[bool, "The cluster has a node of this name."]
    item: Annotated[str, "Number of the item."]
    status: Annotated[str | None, "PASS, FAIL, WARN or INFO; missing where the item was not tested on the node."]
    benchmark: Annotated[str, "Benchmark and version of the report."]
    text: Annotated[str, "Title of the item, as kube-bench words it."]

    @staticmethod
    def frame(node_tests: pd.DataFrame, nodes: pd.DataFrame) -> pd.DataFrame:
        tests = node_tests[~node_tests.section.isin(["1.1", "4.1"])]
        items = tests.drop_duplicates(["item", "benchmark"])[["item", "benchmark", "section", "text"]]
        linux = nodes[nodes.os.ne("windows").fillna(True)]
        of_nodes = items.item.str.startswith("4.").fillna(False)
        of_control_plane = items.item.str.match(r"[123]\.").fillna(False)
        due = [
            linux[["name"]].merge(items[of_nodes], how="cross"),
            nodes.loc[nodes.control_plane, ["name"]].merge(items[of_control_plane], how="cross"),
        ]
        expected = pd.concat(due, ignore_index=True).rename(columns={"name": "node"})
        tested = pd.MultiIndex.from_frame(tests[["node", "item"]])
        untested = expected[~pd.MultiIndex.from_frame(expected[["node", "item"]]).isin(tested)]
        rows = pd.concat([tests, untested], ignore_index=True)
        return rows.assign(namespace="", kind="Node", name=rows.node, in_cluster=rows.node.isin(nodes.name))


def _items() -> list[str]:
    """Numbers of the items on files of nodes."""
    requirements = data("frameworks/cis-1.12.toml")["requirement"]
    return [r["id"] for r in requirements if r["id"].startswith(("1.1.", "4.1."))]
