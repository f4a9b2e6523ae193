"""Tables of roles and bindings, and the engine over them, on the recorded cluster."""

import pytest
from builders import snapshot
from conftest import DATES

from auditkit import kinds
from auditkit.analysis.access import Access
from auditkit.analysis.stock import is_stock
from auditkit.capture.snapshot import Coverage, Objects, Origin, Snapshot
from auditkit.evaluate import Tables
from auditkit.kinds.platform import ServiceAccount
from auditkit.kinds.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding


@pytest.fixture(scope="module", params=(DATES[0], DATES[-1]))
def tables(request, recordings):
    objects = {}
    for kind in (Role, ClusterRole, RoleBinding, ClusterRoleBinding, ServiceAccount):
        path = recordings / "northwind-prod" / request.param / f"{kind.plural}.{kind.group or 'core'}.json"
        objects[kind] = kinds.decode_page(kind, path.read_bytes())[1]
    coverage = [Coverage(resource=kinds.resource(kind), state="collected") for kind in objects]
    return Tables(Snapshot(origin=Origin(cluster="c", source="s"), coverage=coverage, objects=objects))


def test_tables_and_objects_decide_alike(tables):
    objects: Objects = tables.snapshot.objects
    one, other = Access.from_objects(objects), Access.from_tables(tables)
    for verb, resource in (("list", "secrets"), ("create", "pods"), ("get", "nodes")):
        assert one.who_can(verb, resource, namespace=None).equals(other.who_can(verb, resource, namespace=None))


def test_stock_is_content(tables):
    roles = tables["roles"].set_index(["kind", "name"])
    assert roles.loc[("ClusterRole", "cluster-admin"), "stock"].all()
    assert not roles.loc[("ClusterRole", "edit"), ["stock", "reads_secrets"]].to_numpy().any()
    admin = next(r for r in tables.snapshot.objects[ClusterRole] if r.name == "cluster-admin")
    renamed = kinds.of(
        {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "system:x"}}
    )
    assert is_stock(admin)
    assert not is_stock(renamed)


def test_subjects_and_empty_bindings(tables):
    bindings, subjects = tables["bindings"], tables["subjects"]
    assert bindings.loc[bindings["name"] == "nobody", "subject"].isna().all()
    runner = bindings[(bindings["name"] == "runner") & (bindings["namespace"] == "ci-runners")]
    assert list(runner["identity"]) == ["system:serviceaccount:ci-runners:deployer-two"]
    deployer = subjects[subjects["serviceaccount"] == "ci-runners/deployer"]
    assert list(deployer["cluster_bindings"]) == [2]


def test_a_missing_role_is_shown(tables):
    grants = tables["grants"]
    assert list(grants.loc[grants["name"] == "dangling-role", "role_exists"]) == [False]


def test_a_role_of_an_earlier_minor_has_no_power_of_its_own():
    """The volume controller of 1.31 reads secrets, which Kubernetes gave it; with one more verb it is somebody's choice."""
    listed = {
        "persistentvolumes": "get list watch update create delete",
        "persistentvolumes/status": "update",
        "persistentvolumeclaims": "get list watch update",
        "persistentvolumeclaims/status": "update",
        "pods": "list watch get create delete",
        "endpoints": "get create update delete",
        "services": "get create delete",
        "secrets": "get",
        "nodes": "get list",
        "events": "watch",
    }
    rules = [{"apiGroups": [""], "resources": [name], "verbs": verbs.split()} for name, verbs in listed.items()]
    rules.append({"apiGroups": ["storage.k8s.io"], "resources": ["storageclasses"], "verbs": ["get", "list", "watch"]})
    rules.append({"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "update", "patch"]})
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:controller:persistent-volume-binder"},
        "rules": rules,
    }
    wider = [r | {"verbs": ["get", "list"]} if r["resources"] == ["secrets"] else r for r in rules]
    for manifest, stock in ((role, True), (role | {"rules": wider}, False)):
        roles = Tables(snapshot([manifest], version="v1.31.9"))["roles"]
        assert list(roles["stock"]) == [stock]
        assert list(roles["reads_secrets"]) == [not stock]
