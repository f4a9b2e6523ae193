"""Charts show what their tables hold."""

from builders import snapshot

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
