"""Charts say in cells and labels what the tables say."""

import numpy as np
from builders import snapshot
from test_connections import CALICO
from test_reachability import CLUSTER, policy

import auditkit as ak
from auditkit.evaluate import Snapshot
from auditkit.report import charts


def test_access_paths_shows_everybody_but_the_shipped() -> None:
    demo = ak.demo()
    picture = charts.draw("access_paths", demo, [])
    texts = {text.get_text() for text in picture.figure.axes[0].texts}
    table = demo.tables["escalation_paths"]
    certain = table[table["condition"].isna()]
    for row in certain.itertuples():
        node = f"{row.kind} {row.namespace + '/' if row.namespace else ''}{row.name}"
        assert (node in texts) != row.stock, node
    assert "impersonates Group system:masters" in texts
    assert "is cluster-admin" in texts
    assert picture._repr_png_() == charts.draw("access_paths", demo, [])._repr_png_()


def test_access_paths_of_a_cluster_without_roles() -> None:
    picture = charts.draw("access_paths", Snapshot.of(snapshot([])), [])
    assert [text.get_text() for text in picture.figure.axes[0].texts] == ["cluster-admin"]
    assert picture._repr_png_()


def drawn(*objects):
    figure = charts.CHARTS["reachability"](Snapshot.of(snapshot(objects)), [])
    (axes,) = figure.axes
    return axes, charts.Picture(figure)._repr_png_()


def test_reachability_has_a_cell_for_each_pair_of_namespaces():
    daemons = {**CALICO, "status": {"numberAvailable": 2}}
    other = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "o", "namespace": "c"}}
    axes, png = drawn(*CLUSTER[:10], daemons, policy(), other)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b", "c", "kube-system"]
    cells = np.asarray(axes.collections[0].get_array()).reshape(4, 4)[:3, :3]
    # 0 is allowed, 1 is not, 2 is not known: b is closed, c is another engine's.
    assert cells.tolist() == [[0, 1, 2], [0, 1, 2], [2, 1, 2]]
    assert png.startswith(b"\x89PNG") and png == charts.Picture(axes.figure)._repr_png_()


def test_reachability_of_an_empty_cluster_is_drawn():
    axes, png = drawn()
    assert not axes.get_yticklabels() and png.startswith(b"\x89PNG")
