"""Charts say in cells and labels what the tables say."""

import numpy as np
import pytest
from builders import imported, snapshot
from conftest import DEMO
from matplotlib.collections import PathCollection
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


def test_access_paths_agrees_with_the_test_of_administrators():
    demo = ak.demo()
    result = ak.check(demo, ["RBAC-65"])["RBAC-65"]
    masters = 1  # A row that is shown, and no exception: it is allowed outside RBAC.
    shown = len(result.exceptions) + len(result.undetermined) + masters
    said = charts.draw("access_paths", demo, []).alt
    assert f"{shown} of the {len(result.population)} subjects" in said
    assert f"{result.population['stock'].sum()} hold only what Kubernetes ships" in said


def test_certificates_says_what_is_drawn_and_marks_it():
    demo = ak.demo()
    rows = demo.tables["certificates"].dropna(subset=["not_after"])
    picture = charts.draw("expiry", demo, [])
    texts = " ".join(text.get_text() for text in picture.figure.axes[0].texts)
    assert f"{rows['sha256'].nunique()} distinct certificates in {len(rows)} places" in picture.alt
    assert "2 expired (1 Secret, 1 CertificateRequest)" in picture.alt
    assert "valid from 2026-12-01" in texts and "weak key" in texts and "weak signature" in texts


def test_activity_shows_the_days_of_which_nothing_is_known():
    hours = [{"hour": f"2026-10-0{day}T09:00:00Z", "lines": 5} for day in (1, 2, 5)]
    read = {"what": "secret read", "verb": "get", "resource": "secrets", "code": 200}
    day = {"first": "2026-10-02T09:00:00Z", "last": "2026-10-02T09:30:00Z"}
    rows = [{**read, **day, "user": "ann", "count": 3}, {**read, **day, "user": "bob", "code": 403}]
    log = imported({"audit_hours": hours, "audit_activity": rows})
    picture = charts.draw("activity", Snapshot.of(snapshot([]).beside(log)), [])
    assert "15 lines from 2026-10-01 to 2026-10-05, the longest gap 71 hours; 2 of 5 days have no event" in picture.alt
    labels = [label.get_text() for label in picture.figure.axes[0].get_yticklabels()]
    assert "Secrets read (3)" in labels and "refused (1)" in labels
    assert "imports/audit_log not supplied" in charts.draw("activity", ak.demo(), []).alt


def test_counts_stand_at_whole_numbers_and_hosts_have_no_case():
    axes = charts.draw("registries", ak.demo(), []).figure.axes[0]
    assert all(float(tick).is_integer() for tick in axes.get_xticks())
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert "registry.northwind.example" in names and "Registry.Northwind.example" not in names


def test_a_namespace_of_which_little_is_known_is_not_counted_as_bare():
    picture = charts.draw("policies", ak.demo(), [])
    words = np.array([text.get_text() for text in picture.figure.axes[0].texts]).reshape(6, -1)
    bare, unknown = (
        (words == "no").all(axis=0).sum(),
        (~(words == "yes").any(axis=0) & (words == "–").any(axis=0)).sum(),
    )
    # Without a label the level is the cluster's default, which is not seen: nobody is known to be bare.
    assert (bare, unknown > 0) == (0, True)
    assert f"Of {words.shape[1]} namespaces {bare} " in picture.alt
    assert f"of {unknown} more not all is known or tested" in picture.alt


@pytest.mark.parametrize("name", ["levels", "policies", "reachability", "registries"])
def test_names_are_drawn_as_they_are_not_as_formulas(name):
    place = {"namespace": "$\\frac$", "name": "p$x_{2}$"}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": place,
        "spec": {"containers": [{"name": "a", "image": "$\\q$"}]},
    }
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "$\\frac$"}}
    picture = charts.draw(name, Snapshot.of(snapshot([pod, space])), [])
    assert picture._repr_png_().startswith(b"\x89PNG")


def test_ageing_draws_each_finding_once_beside_the_days_agreed():
    demo = ak.load("demo", config=DEMO)
    results = ak.check(demo, ["IMG-82"], settings={"IMG-82": {"critical": 7}})
    picture = charts.draw("ageing", demo, list(results.values()))
    (axes,) = picture.figure.axes
    rows = demo.tables["image_vulnerabilities"].dropna(subset="vulnerability")
    drawn = rows.drop_duplicates(["image", "digest", "vulnerability", "package"])
    points = [part for part in axes.collections if isinstance(part, PathCollection)]
    assert sum(len(part.get_offsets()) for part in points) == len(drawn) == 12
    assert f"{len(drawn)} findings in the 6 of " in picture.alt and "6 with a correction are later" in picture.alt
    assert " 7 days" in [text.get_text() for text in axes.texts]
    assert charts.draw("ageing", Snapshot.of(snapshot([])), []).alt.endswith("0 known to be exploited")


def test_people_says_how_many_are_privileged_and_what_is_missing():
    snapshot = ak.load("demo", config=DEMO)
    rows, said = snapshot.tables["people"], charts.draw("people", snapshot, []).alt
    powerful = rows[rows["privileged"]]
    assert f"reach {len(rows)} people and names; {len(powerful)} are or can become cluster-admin" in said
    assert "of these 2 with an answer no" in said and "incomplete" not in said
    assert set(powerful.loc[(powerful["status"] != "active") | ~powerful["mfa"], "name"]) == {
        "frank@northwind.example",
        "break-glass@northwind.example",
    }
    bare = charts.draw("people", ak.demo(), []).alt
    assert (
        "of these 0 with an answer no incomplete: imports/idp_users, imports/idp_groups, imports/leavers (not supplied)"
        in bare
    )
