"""Tests that other tools performed: kube-bench on the nodes, Kubescape on objects of the cluster.

Formats: check/controls.go and check.go of github.com/aquasecurity/kube-bench (`--json`); resultshandling of
github.com/kubescape/kubescape (`--format json`, version 2).
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import msgspec

from auditkit.capture.imports.base import Document, reader
from auditkit.capture.imports.jsons import CamelShape, Shape, decode, listed, moment, tools
from auditkit.errors import UsageError
from auditkit.kinds import Malformed, Record

# What kube-bench says of an item.
STATES = ("PASS", "FAIL", "WARN", "INFO")


class NodeTest(Record):
    """One item of a benchmark as kube-bench tested it on one node; values that it read on the node are not kept."""

    source: ClassVar[str] = "kube_bench"
    plural: ClassVar[str] = "node_tests"

    file: str
    node: str
    benchmark: str
    section: str
    item: str
    status: str
    kubernetes: str | None = None
    target: str = ""
    text: str = ""
    reason: str | None = None
    scored: bool | None = None


class ControlTest(Record):
    """One control of Kubescape as it tested it on one object."""

    source: ClassVar[str] = "kubescape"
    plural: ClassVar[str] = "control_tests"

    file: str
    control: str
    status: str
    resource: str
    kind: str = ""
    namespace: str = ""
    name: str = ""
    text: str = ""
    sub_status: str | None = None
    frameworks: tuple[str, ...] = ()
    version: str | None = None


class _Result(Shape):
    test_number: str
    status: str
    test_desc: str = ""
    reason: str | None = None
    scored: bool | None = None


class _Group(Shape):
    section: str
    results: list[_Result] | None = None


class _Controls(Shape):
    version: str
    tests: list[_Group] | None = None
    node_type: str = ""
    detected_version: str | None = None


class _Bench(Shape):
    controls: list[_Controls] = msgspec.field(name="Controls")


class _Status(CamelShape):
    status: str
    sub_status: str | None = None


class _Control(CamelShape):
    control_id: str = msgspec.field(name="controlID")
    status: _Status
    name: str = ""


class _Tested(CamelShape):
    resource_id: str = msgspec.field(name="resourceID")
    controls: list[_Control] | None = None


class _Metadata(Shape):
    name: str = ""
    namespace: str = ""


class _Object(Shape):
    kind: str = ""
    metadata: _Metadata | None = None


class _Resource(CamelShape):
    resource_id: str = msgspec.field(name="resourceID")
    object: _Object | None = None


class _Framework(Shape):
    name: str = ""
    version: str = ""


class _Summary(Shape):
    frameworks: list[_Framework] | None = None


class _Context(CamelShape):
    context_name: str = ""


class _Target(CamelShape):
    cluster_context_metadata: _Context | None = None


class _ScanMetadata(CamelShape):
    kubescape_version: str | None = None


class _About(CamelShape):
    target_metadata: _Target | None = None
    scan_metadata: _ScanMetadata | None = None


class _Kubescape(CamelShape):
    summary_details: _Summary
    results: list[_Tested] | None = None
    resources: list[_Resource] | None = None
    generation_time: datetime | None = None
    metadata: _About | None = None


@reader(NodeTest, of_cluster=True)
def read_kube_bench(paths: Sequence[Path]) -> Document:
    """Reports of kube-bench (`--json`), one file a node, named after it: kube-bench-NODE.json, or NODE.json.

    A report has no date and does not name its node.
    """
    nodes = [_node(path) for path in paths]
    if twice := sorted({node for node in nodes if nodes.count(node) > 1}):
        raise UsageError(f"imports.kube_bench: two reports of {', '.join(twice)}; supply the later one")
    found, faults, rows = [], [], 0
    for path in paths:
        report = decode(path, _Bench, "a report of kube-bench --json")
        for test in _node_tests(path, report):
            rows += 1
            if test.status in STATES:
                found.append(test)
            else:
                faults.append(Malformed(name=f"{path.name} {test.item}", fault=f"unknown status {test.status[:20]!r}"))
    if not rows:
        raise UsageError(
            f"{paths[0].parent}: no result in any report of kube-bench; run it with a target that has tests"
        )
    versions = tools([t.benchmark for t in found])
    return Document(records={NodeTest: found}, rows=rows, format=f"kube-bench JSON, {versions}", malformed=faults)


def _node(path: Path) -> str:
    node = path.name.removesuffix(".json").removeprefix("kube-bench").lstrip("-_.")
    if not node:
        raise UsageError(f"{path}: name the file after its node, kube-bench-NODE.json: the report does not say it")
    return node


def _node_tests(path: Path, report: _Bench) -> Iterator[NodeTest]:
    for c in report.controls:
        for group in listed(c.tests):
            for r in listed(group.results):
                yield NodeTest(
                    file=path.name,
                    node=_node(path),
                    benchmark=c.version,
                    section=group.section,
                    item=r.test_number,
                    status=r.status,
                    kubernetes=c.detected_version,
                    target=c.node_type,
                    text=r.test_desc,
                    reason=r.reason or None,
                    scored=r.scored,
                )


@reader(ControlTest, of_cluster=True)
def read_kubescape(paths: Sequence[Path]) -> Document:
    """A scan of a cluster by Kubescape (`--format json`, version 2), one file."""
    if len(paths) != 1:
        raise UsageError(f"imports.kubescape: {len(paths)} files, one is read: the scan nearest to the snapshot")
    (path,) = paths
    report = decode(path, _Kubescape, "a scan by Kubescape, version 2")
    found = list(_control_tests(path, report))
    if not found:
        raise UsageError(f"{path}: has no result of an object; scan with `--format json --format-version v2`")
    about = report.metadata or _About()
    target = about.target_metadata or _Target()
    version = about.scan_metadata.kubescape_version if about.scan_metadata else None
    return Document(
        records={ControlTest: found},
        rows=len(found),
        format="Kubescape JSON 2",
        tool=f"Kubescape {version or ''}".strip(),
        made_at=moment(report.generation_time),
        cluster=target.cluster_context_metadata.context_name if target.cluster_context_metadata else "",
    )


def _control_tests(path: Path, report: _Kubescape) -> Iterator[ControlTest]:
    objects = {r.resource_id: r.object or _Object() for r in listed(report.resources)}
    frameworks = tuple(f"{f.name} {f.version}".strip() for f in listed(report.summary_details.frameworks))
    scan = report.metadata.scan_metadata if report.metadata else None
    for tested in listed(report.results):
        found = objects.get(tested.resource_id, _Object())
        place = found.metadata or _Metadata(name=tested.resource_id)
        for c in listed(tested.controls):
            yield ControlTest(
                file=path.name,
                control=c.control_id,
                status=c.status.status,
                resource=tested.resource_id,
                kind=found.kind,
                namespace=place.namespace,
                name=place.name,
                text=c.name,
                sub_status=c.status.sub_status or None,
                frameworks=frameworks,
                version=scan.kubescape_version if scan else None,
            )
