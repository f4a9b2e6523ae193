"""Tests that other tools performed: files of nodes by kube-bench, objects by Kubescape."""

import pandas as pd

from auditkit.declare import check

# Versions that number these items as data/frameworks/cis-1.12.toml does.
SAME = ("cis-1.12", "cis-2.0.1")


def _failed(rows: pd.DataFrame) -> pd.Series:
    """FAIL is an exception; what was not tested, is to be judged by hand, or is of a node that is not there is undetermined."""
    return rows.status.map({"FAIL": True, "PASS": False}).astype("boolean").where(rows.in_cluster)


@check("CP-80", severity="high", control_plane=True)
def files_of_control_plane(control_plane_files: pd.DataFrame, *, benchmarks: tuple[str, ...] = SAME) -> pd.Series:
    """Files of control plane nodes have the mode and owner that CIS asks for, by kube-bench.

    Who writes the manifest of a static pod, or reads a key beside it, owns the cluster. Files are not in the API: these are
    results of kube-bench, performed on the node and supplied (`imports.kube_bench`). WARN, an item that was not tested, a
    node without a report, and a benchmark that may number items in another way are undetermined.

    Fix: `chmod` and `chown` as the item says; run kube-bench on every control plane node and supply its report.
    """
    return _failed(control_plane_files).where(control_plane_files.benchmark.isin(benchmarks))


@check("NODE-80", severity="high")
def files_of_kubelet(kubelet_files: pd.DataFrame, *, benchmarks: tuple[str, ...] = SAME) -> pd.Series:
    """Files of the kubelet have the mode and owner that CIS asks for, by kube-bench.

    Who reads the kubelet's key acts as the node. Files are not in the API: these are results of kube-bench, performed on the node
    and supplied (`imports.kube_bench`). WARN, an item that was not tested, a node without a report, and a benchmark that
    may number items in another way are undetermined.

    Fix: `chmod` and `chown` as the item says; run kube-bench on every node and supply its report.
    """
    return _failed(kubelet_files).where(kubelet_files.benchmark.isin(benchmarks))


@check("NODE-81", severity="medium")
def settings_by_kube_bench(node_settings: pd.DataFrame) -> pd.Series:
    """Settings that kube-bench tested did not fail.

    It reads the flags and files of a node itself, where a snapshot sees the ConfigMap that nodes are given. WARN is to be
    judged by hand: undetermined, as is a node whose report leaves out what that of another node has, or that has none. A
    PASS takes nothing from an exception of our own test of the same item.

    Fix: as the item says.
    """
    return _failed(node_settings)


@check("CP-81", severity="medium")
def passed_kubescape(control_tests: pd.DataFrame) -> pd.Series:
    """Controls that Kubescape tested did not fail.

    What a second tool finds and this one does not is worth a look, and the other way round. A control that was skipped is
    undetermined, and so is one that passed by an exception in Kubescape's own list (`w/exceptions`).

    Fix: as the control says; what is accepted is a waiver with a reason here.
    """
    said = control_tests.status.map({"failed": True, "passed": False}).astype("boolean")
    return said.mask(control_tests.sub_status.eq("w/exceptions").fillna(False) & ~said.fillna(False))
