"""Changes between two snapshots: what, by whom, and what explains it."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import pandas as pd
import pytest
from builders import imported, snapshot
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from periods import AGREED, DATES, RECORDINGS, northwind, recorded

import auditkit as ak
from auditkit import kinds
from auditkit.capture import imports
from auditkit.capture.imports import Supplied
from auditkit.capture.imports.tickets import Ticket
from auditkit.cli import cli
from auditkit.declare import columns_of
from auditkit.engagement import Changes
from auditkit.errors import UsageError
from auditkit.evaluate import Snapshot
from auditkit.period import changes, tickets
from auditkit.period.fields import differing

BEFORE, AFTER = datetime(2026, 7, 1, 6, tzinfo=UTC), datetime(2026, 7, 2, 6, tzinfo=UTC)
TICKETS = RECORDINGS / "identity" / "tickets.csv"


def manifest(kind="Deployment", name="api", *, namespace="web", uid="", by=(), owner=None, api="apps/v1", **fields):
    """`by` are (manager, hour of the day between the snapshots) or (manager, hour, subresource)."""
    written = [
        {
            "manager": manager,
            "operation": "Update",
            "time": (BEFORE + timedelta(hours=hour)).isoformat(),
            "subresource": "".join(rest),
        }
        for manager, hour, *rest in by
    ]
    meta = {"name": name, "uid": uid or f"{kind}-{name}", "managedFields": written, **fields.pop("metadata", {})}
    if namespace:
        meta["namespace"] = namespace
    if owner:
        meta["ownerReferences"] = [
            {"kind": owner[0], "name": owner[1], "uid": f"{owner[0]}-{owner[1]}", "controller": True}
        ]
    return {"apiVersion": api, "kind": kind, "metadata": meta, **fields}


def between(before, after, *, approved=None, missing=(), agreed=None):
    """Changes of these manifests over one day; `approved` are tickets (id, approver, hour, object)."""
    known = None
    if approved is not None:
        known = tickets.frame_of(
            Ticket(
                id=id,
                requester="ann",
                approver=who,
                approved_at=None if hour is None else BEFORE + timedelta(hours=hour),
                objects=[of],
            )
            for id, who, hour, of in approved
        )
    return changes.changes(
        snapshot(before, at=BEFORE, missing=missing), snapshot(after, at=AFTER), tickets=known, agreed=agreed
    )


def only(frame: pd.DataFrame) -> pd.Series:
    assert len(frame) == 1, frame[["change", "kind", "name"]]
    return frame.iloc[0]


def scaled(replicas: int, **given):
    return manifest(spec={"replicas": replicas}, **given)


def test_a_changed_field_has_path_values_and_manager() -> None:
    row = only(between([scaled(1, by=[("kubectl-edit", -9)])], [scaled(2, by=[("kubectl-edit", 3), ("x", 1)])]))
    assert (row.change, row.fields, row.before, row.after) == ("changed", ["spec.replicas"], ["1"], ["2"])
    assert (row.manager, row.operation, row["at"]) == ("kubectl-edit", "Update", BEFORE + timedelta(hours=3))
    assert row.writes == ["x Update 2026-07-01T07:00:00Z", "kubectl-edit Update 2026-07-01T09:00:00Z"]
    assert (row.not_before, row.not_after) == (BEFORE, AFTER)


def test_lists_are_compared_by_name_or_by_what_came_and_went() -> None:
    def pod(*containers, tolerations=()):
        spec = {"containers": list(containers), "tolerations": list(tolerations)}
        return kinds.of(manifest("Pod", api="v1", spec=spec))

    a, b = {"name": "a", "image": "r/a:1"}, {"name": "b", "image": "r/b:1"}
    assert differing(pod(a, b), pod({**b, "image": "r/b:2"}, a)) == [
        ("spec.containers[b].image", '"r/b:1"', '"r/b:2"'),
    ]
    assert differing(pod(a), pod(a, b)) == [("spec.containers[b]", None, '{"image":"r/b:1","name":"b"}')]
    first, second = manifest("ClusterRole", api="rbac.authorization.k8s.io/v1", namespace=""), {}
    one, two = {"verbs": ["get"], "resources": ["pods"]}, {"verbs": ["get"], "resources": ["secrets"]}
    first, second = kinds.of({**first, "rules": [one]}), kinds.of({**first, "rules": [two, one]})
    assert differing(first, second) == [("rules", "[]", '[{"resources":["secrets"],"verbs":["get"]}]')]
    labelled = kinds.of(manifest(metadata={"labels": {"a/b.c": "1"}}))
    assert differing(labelled, kinds.of(manifest())) == [("metadata.labels", '{"a/b.c":"1"}', None)]


def test_added_removed_and_recreated() -> None:
    made = {"metadata": {"creationTimestamp": "2026-07-01T12:00:00Z"}}
    frame = between(
        [scaled(1), scaled(1, name="gone")], [scaled(2, uid="other", **made), scaled(1, name="new", **made)]
    ).set_index("change")
    assert frame["name"].to_dict() == {"recreated": "api", "removed": "gone", "added": "new"}
    assert frame.loc[["recreated", "added"], "at"].tolist() == [pd.Timestamp("2026-07-01T12:00Z")] * 2
    assert frame.loc["recreated", "fields"] == ["spec.replicas"]
    assert pd.isna(frame.loc["removed", "at"])
    assert (frame.loc["removed", "not_before"], frame.loc["removed", "not_after"]) == (BEFORE, AFTER)


def test_generation_or_a_write_without_visible_change_is_a_row() -> None:
    row = only(between([scaled(1, metadata={"generation": 3})], [scaled(1, metadata={"generation": 4})]))
    assert (row.change, row.fields, row.generation_before, row.generation_after) == (
        "unseen",
        ["metadata.generation"],
        3,
        4,
    )
    row = only(between([scaled(1)], [scaled(1, by=[("kubectl-annotate", 2)])]))
    assert (row.change, row.fields, row.manager) == ("unseen", [], "kubectl-annotate")
    assert between([scaled(1)], [scaled(1, by=[("kube-controller-manager", 2, "status")])]).empty


def test_controllers_are_counted_with_the_owner() -> None:
    kcm = [("kube-controller-manager", 2)]
    old = [scaled(1), manifest("ReplicaSet", "api-1", owner=("Deployment", "api"), spec={"replicas": 1})]
    old.append(manifest("Pod", "api-1-x", owner=("ReplicaSet", "api-1"), api="v1"))
    new = [scaled(2, by=[("kubectl-edit", 1)])]
    new.append(manifest("ReplicaSet", "api-1", owner=("Deployment", "api"), spec={"replicas": 2}, by=kcm))
    new.append(manifest("Pod", "api-1-y", owner=("ReplicaSet", "api-1"), api="v1", by=kcm))
    row = only(between(old, new))
    assert (row.kind, row.change, row.followed) == ("Deployment", "changed", 3)
    row = only(between(old, [old[0], *new[1:]], approved=[]))
    assert (row.kind, row.change, row.followed, row.explained) == ("Deployment", "by controllers", 3, True)


def test_a_person_s_hand_on_an_owned_object_is_a_change_of_its_own() -> None:
    owned = {"owner": ("ReplicaSet", "api"), "api": "v1"}
    rs = manifest("ReplicaSet", "api")
    row = only(
        between(
            [rs, manifest("Pod", **owned)],
            [rs, manifest("Pod", by=[("kubectl-debug", 2, "ephemeralcontainers")], **owned)],
        )
    )
    assert (row.kind, row.change, row.manager) == ("Pod", "unseen", "kubectl-debug")
    # Nothing says who changed it: it is not taken for a controller's.
    labelled = manifest("Pod", metadata={"labels": {"app": "x"}}, **owned)
    row = only(between([rs, manifest("Pod", **owned)], [rs, labelled], approved=[]))
    assert (row.kind, row.change) == ("Pod", "changed")
    assert pd.isna(row.explained)


def test_what_goes_with_a_namespace_is_counted_with_it() -> None:
    namespace = manifest("Namespace", "web", namespace="", api="v1")
    inside = [scaled(1), manifest("ServiceAccount", "default", api="v1")]
    row = only(between([namespace, *inside], []))
    assert (row.kind, row.change, row.followed) == ("Namespace", "removed", 2)
    frame = between([], [namespace, *inside]).set_index("kind")
    assert frame["followed"].to_dict() == {"Namespace": 1, "Deployment": 0}


ARGO = {"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": "web:apps/Deployment:web/api"}}}
FLUX = {"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}}


@pytest.mark.parametrize(
    ("marks", "by", "drift", "tracked"),
    [
        (ARGO, "kubectl-edit", True, "Argo CD"),
        (FLUX, "kubectl-edit", True, "Flux"),
        (ARGO, "argocd-controller", False, "Argo CD"),
        (FLUX, "kustomize-controller", False, "Flux"),
        ({}, "kubectl-edit", False, None),
        (ARGO, None, None, "Argo CD"),
    ],
)
def test_drift_is_another_manager_of_a_tracked_object(marks, by, drift, tracked) -> None:
    row = only(between([scaled(1, **marks)], [scaled(2, by=[(by, 2)] if by else [], **marks)]))
    assert (None if pd.isna(row.drift) else bool(row.drift)) is drift
    assert (None if pd.isna(row.tracked_by) else row.tracked_by) == tracked


API = "Deployment/web/api"


@pytest.mark.parametrize(
    ("by", "approved", "explained", "ticket", "why"),
    [
        ("kubectl-edit", [("T-1", "olaf", 1, API)], True, "T-1", "T-1 was approved by olaf at 2026-07-01 07:00 UTC"),
        ("kubectl-edit", [], False, None, "by kubectl-edit, not an agreed deployer; no ticket names it"),
        ("kubectl-edit", None, None, None, "by kubectl-edit, not an agreed deployer; no tickets were given"),
        ("kubectl-edit", [("T-1", "olaf", 3, API)], False, None, "T-1 was approved after the change"),
        ("kubectl-edit", [("T-1", "olaf", -24 * 15, API)], False, None, "approved more than 14 days before"),
        ("kubectl-edit", [("T-1", None, None, API)], False, None, "T-1 names it and is not approved"),
        ("kubectl-edit", [("T-1", "Ann", 1, API)], False, "T-1", "who had asked for it"),
        ("kubectl-edit", [("T-1", "ann", 1, API), ("T-2", "olaf", 0, API)], True, "T-2", "T-2 was approved"),
        ("kubectl-edit", [("T-1", "olaf", 1, "Deployment/api")], False, None, "no ticket names it"),
        ("argocd-controller", [], True, None, "by argocd-controller, agreed"),
        ("argocd-controller", [("T-1", "ann", 1, API)], False, "T-1", "who had asked for it"),
        (None, [], None, None, "nothing says who; the audit log of the API server would; no ticket names it"),
        (None, [("T-1", "olaf", -1, API)], True, "T-1", "T-1 was approved"),
        (None, [("T-1", "olaf", 1, API)], None, "T-1", "perhaps after the change"),
    ],
)
def test_what_explains_a_change(by, approved, explained, ticket, why) -> None:
    row = only(between([scaled(1)], [scaled(2, by=[(by, 2)] if by else [])], approved=approved))
    assert (None if pd.isna(row.explained) else bool(row.explained)) is explained
    assert (None if pd.isna(row.ticket) else row.ticket) == ticket
    assert why in row.why
    assert len(
        changes.exceptions(between([scaled(1)], [scaled(2, by=[(by, 2)] if by else [])], approved=approved))
    ) == (explained is False)


def test_the_engagement_names_deployers() -> None:
    given = [scaled(1)], [scaled(2, by=[("spinnaker", 2)])]
    assert bool(only(between(*given, approved=[], agreed=Changes(deployers=["spin*"]))).explained)
    assert not bool(only(between(*given, approved=[])).explained)


def test_a_kind_that_was_not_read_is_not_compared() -> None:
    row = only(between([], [scaled(1)], missing=["deployments.apps"], approved=[]))
    assert (row.change, row.kind, row.why) == ("not comparable", "Deployment", "before: denied")
    assert pd.isna(row.explained)


def test_two_clusters_are_not_compared() -> None:
    other = snapshot([scaled(1)])
    other.origin = type(other.origin)(cluster="other", source="tests", cluster_uid="u-2")
    with pytest.raises(UsageError, match="test and other are two clusters"):
        changes.changes(snapshot([]), other)


names, replicas = st.sampled_from(["a", "b", "c"]), st.integers(0, 2)
clusters = st.dictionaries(names, st.tuples(replicas, st.sampled_from(["u", "v"])))


@settings(max_examples=15, deadline=None)
@given(clusters, clusters)
def test_reversed_changes_are_the_changes_back(before, after) -> None:
    def cluster(given, at):
        return snapshot([scaled(n, name=name, uid=uid) for name, (n, uid) in given.items()], at=at)

    def rows(frame, change, before, after):
        columns = [frame[c] for c in ("name", before, after, change, "fields")]
        return [tuple(map(str, row)) for row in zip(*columns, strict=True)]

    there = changes.changes(cluster(before, BEFORE), cluster(after, AFTER))
    back = changes.changes(cluster(after, AFTER), cluster(before, BEFORE))
    back["change"] = back["change"].replace({"added": "removed", "removed": "added"})
    assert rows(there, "change", "before", "after") == rows(back, "change", "after", "before")
    assert back["manager"].isna().all()


def supplied(path: Path) -> pd.DataFrame:
    (read,) = imports.read([Supplied(source="tickets", paths=(path,))])
    return tickets.frame_of(read.records[Ticket])


@cache
def period() -> pd.DataFrame:
    return changes.over(northwind(), tickets=supplied(TICKETS), agreed=AGREED)


# README of the recordings, "What changes": when, what, by whom, ticket, explained. The rows that change no object (a
# Secret read by impersonation, a token minted, break-glass used) are the audit log's.
PLANTED = [
    ("07-14T21:12", "added", "ClusterRoleBinding", "temp-incident-4711", "kubectl-create", "CHG-1052", True),
    ("07-22T09:05", "changed", "Deployment", "payments/payments-api", "argocd-controller", "CHG-1055", True),
    ("07-25T10:00", "unseen", "DaemonSet", "falco/falco", "kubectl-annotate", "CHG-1057", True),
    ("08-02T23:41", "changed", "Namespace", "payments", "kubectl-edit", None, False),
    ("08-02T23:47", "added", "Pod", "payments/perf-probe", "kubectl-create", None, False),
    ("08-05T15:22", "changed", "Deployment", "ledger/reconciler", "kubectl-edit", None, False),
    ("08-09T00:03", "changed", "Secret", "web/web-tls", "cert-manager-certificates-issuing", None, True),
    ("08-18T10:15", "changed", "Namespace", "payments", "argocd-controller", "CHG-1066", True),
    ("08-18T10:15", "added", "NetworkPolicy", "payments/default-deny", "argocd-controller", "CHG-1066", True),
    ("09-02T09:00", "added", "Namespace", "loyalty", "argocd-controller", "CHG-1070", True),
    ("09-05T13:30", "changed", "Deployment", "payments/fraud-scoring", "kubectl-edit", "CHG-1074", True),
    ("09-10T04:00", "added", "Backup", "velero/ledger-hourly-20260910040000", "velero-server", None, True),
    ("09-12T22:10", "changed", "ClusterRole", "northwind-sre", "kubectl-edit", None, False),
    ("09-15T07:00", "recreated", "Pod", "kube-system/kube-apiserver-nwp-cp-1", "kubelet", None, False),
    ("09-20T09:00", "changed", "Deployment", "web/storefront", "argocd-controller", "CHG-1081", False),
    ("09-22T12:00", "added", "APIService", "v1beta1.custom.metrics.k8s.io", "helm", None, False),
    ("10-02T06:30", "recreated", "Pod", "kube-system/kube-apiserver-nwp-cp-1", "kubelet", "CHG-1086", True),
    ("10-08T00:04", "changed", "Secret", "web/web-tls", "cert-manager-certificates-issuing", None, True),
    ("10-12T09:10", "changed", "Namespace", "loyalty", "argocd-controller", "CHG-1090", True),
    ("10-12T09:10", "added", "NetworkPolicy", "loyalty/default-deny", "argocd-controller", "CHG-1090", True),
    ("10-20T09:00", "changed", "Deployment", "payments/payments-api", "argocd-controller", "CHG-1093", True),
]


@pytest.mark.parametrize(("when", "change", "kind", "name", "manager", "ticket", "explained"), PLANTED)
def test_a_planted_change_is_found(when, change, kind, name, manager, ticket, explained) -> None:
    frame = period()
    place = (frame["namespace"] + "/" + frame["name"]).str.removeprefix("/")
    found = only(frame[(frame["kind"] == kind) & (place == name) & (frame["at"] == pd.Timestamp(f"2026-{when}Z"))])
    assert (found.change, found.manager) == (change, manager)
    assert (None if pd.isna(found.ticket) else found.ticket) == ticket
    assert bool(found.explained) is explained


# What was removed says neither who nor when: between two captures.
REMOVED = [
    ("NetworkPolicy", "default-deny", 0, None),
    ("ClusterRoleBinding", "temp-incident-4711", 1, None),
    ("Pod", "perf-probe", 1, "CHG-1066"),
    ("ClusterRoleBinding", "mallory-sre", 2, "CHG-1088"),
    ("APIService", "v1beta1.custom.metrics.k8s.io", 2, None),
]


@pytest.mark.parametrize(("kind", "name", "pair", "ticket"), REMOVED)
def test_a_planted_removal_is_found_between_captures(kind, name, pair, ticket) -> None:
    frame = period()
    found = only(frame[(frame["change"] == "removed") & (frame["kind"] == kind) & (frame["name"] == name)])
    assert [str(time.date()) for time in (found.not_before, found.not_after)] == list(DATES[pair : pair + 2])
    assert pd.isna(found["at"]) and pd.isna(found.explained)
    assert (None if pd.isna(found.ticket) else found.ticket) == ticket


def test_columns_are_in_their_declared_dtypes_with_and_without_rows() -> None:
    declared = {column.name: column.dtype for column in columns_of(changes.ChangeRow)}
    for frame in (period(), between([], [], approved=[]), changes.over([])):
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == declared


def test_nothing_else_of_the_recorded_period_is_an_exception() -> None:
    frame = period()
    expected = {(kind, name.rpartition("/")[2]) for _, _, kind, name, *_, explained in PLANTED if not explained}
    found = changes.exceptions(frame)
    assert set(zip(found["kind"], found["name"], strict=True)) == expected
    assert (frame["change"] == "removed").sum() == len(REMOVED)
    assert found["self_approved"].fillna(False).sum() == 1


def test_drift_and_fields_of_the_recorded_period() -> None:
    frame = period()
    drifted = frame[frame["drift"].fillna(False)]
    assert set(drifted["name"]) == {"payments", "reconciler", "fraud-scoring", "northwind-sre"}
    edit = only(frame[(frame["name"] == "reconciler") & (frame["kind"] == "Deployment")])
    assert edit.fields == ["metadata.generation", "spec.template.spec.containers[reconciler].image"]
    assert edit.followed == 6
    rule = only(frame[frame["name"] == "northwind-sre"])
    assert rule.fields == ["rules"] and "secrets" in rule.after[0] and rule.before == ["[]"]
    flags = only(frame[(frame["name"] == "kube-apiserver-nwp-cp-1") & ~frame["explained"].fillna(True)])
    assert "spec.containers[kube-apiserver].flags.audit-log-path" in flags.fields


def test_no_canary_is_among_the_values() -> None:
    text = period().to_csv()
    canaries = [line.split()[0] for line in (RECORDINGS / "canaries.txt").read_text().splitlines() if line.strip()]
    assert not [canary for canary in canaries if len(canary) > 7 and canary in text]


def test_tickets_that_were_not_all_read_leave_open_what_they_do_not_name(tmp_path: Path) -> None:
    path = tmp_path / "tickets.csv"
    path.write_text("id,title,requester,approver,approved_at,objects\nT-1,,,,soon,\n")
    taken = (Snapshot.of(snapshot([scaled(n, by=[("kubectl-edit", n)])], at=at)) for n, at in ((1, BEFORE), (2, AFTER)))
    row = only(ak.changes(*taken, tickets=path))
    assert pd.isna(row.explained)
    assert row.why == "by kubectl-edit, not an agreed deployer; 1 of 1 records could not be read"


def test_a_ticket_that_does_not_say_who_asked_may_be_self_approved() -> None:
    ticket = Ticket(id="T-1", approver="ann", approved_at=BEFORE, objects=[API])
    first, second = snapshot([scaled(1)], at=BEFORE), snapshot([scaled(2, by=[("kubectl-edit", 2)])], at=AFTER)
    row = only(changes.changes(first, second, tickets=tickets.frame_of([ticket])))
    assert pd.isna(row.explained) and pd.isna(row.self_approved)
    assert "who asked for it is not known" in row.why


def test_a_restored_object_is_not_dated_by_its_own_time() -> None:
    row = only(between([], [scaled(1, metadata={"creationTimestamp": "2026-01-01T00:00:00Z"})]))
    assert pd.isna(row["at"]) and (row.not_before, row.not_after) == (BEFORE, AFTER)


def test_the_import_beside_the_later_snapshot_is_used() -> None:
    ticket = {
        "id": "T-1",
        "requester": "ann",
        "approver": "olaf",
        "approvedAt": "2026-07-01T07:00:00Z",
        "objects": [API],
    }
    before = Snapshot.of(snapshot([scaled(1)], at=BEFORE))
    after = snapshot([scaled(2, by=[("kubectl-edit", 2)])], at=AFTER).beside(imported({"tickets": [ticket]}, at=AFTER))
    row = only(ak.changes(before, Snapshot.of(after)))
    assert bool(row.explained) and (row.ticket, row.requester) == ("T-1", "ann")


def test_the_verb(tmp_path: Path) -> None:
    before, after = tmp_path / "a", tmp_path / "b"
    for day, path in zip(DATES, (before, after), strict=False):
        from auditkit import api

        api.save(recorded(day), path)
    (tmp_path / "auditkit.toml").write_text('[changes]\ndeployers = ["trivy-operator"]\n')
    given = [str(before), str(after), "--tickets", str(TICKETS), "--config", str(tmp_path / "auditkit.toml"), "--json"]
    done = CliRunner().invoke(cli, ["changes", *given], standalone_mode=False)
    rows = {(row["kind"], row["name"]): row for row in json.loads(done.output)}
    assert done.return_value == 0
    assert rows["Deployment", "reconciler"]["explained"] is False
    assert rows["VulnerabilityReport", "replicaset-payments-api"]["explained"] is True
    assert rows["NetworkPolicy", "default-deny"]["explained"] is None
    done = CliRunner().invoke(cli, ["changes", *given[:2]], standalone_mode=False)
    assert "temp-incident-4711" in done.output
    assert ak.changes(recorded(DATES[0]), recorded(DATES[1]), tickets=TICKETS)["ticket"].notna().sum() == 3
