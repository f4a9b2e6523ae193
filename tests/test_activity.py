"""What a request was, who a name stands for, what allowed it, and which ticket approved a change."""

from datetime import UTC, datetime

import pytest

from auditkit.analysis.activity import WHAT, allowed_by, is_component, is_person, kind_of, subject_of
from auditkit.analysis.approvals import approval, by_object


@pytest.mark.parametrize(
    ("request_", "what"),
    [
        (("get", "", "secrets", ""), "secret read"),
        (("watch", "", "secrets", ""), "secret read"),
        (("update", "", "secrets", ""), "change"),
        (("get", "external-secrets.io", "secrets", ""), "other"),
        (("create", "", "pods", "exec"), "exec"),
        (("get", "", "pods", "exec"), "exec"),
        (("get", "", "nodes", "proxy"), "exec"),
        (("get", "", "pods", "log"), "other"),
        (("patch", "", "pods", "ephemeralcontainers"), "ephemeral container"),
        (("patch", "", "pods", "status"), "other"),
        (("create", "", "pods", "binding"), "other"),
        (("create", "", "pods", "eviction"), "workload"),
        (("delete", "", "pods", ""), "workload"),
        (("update", "apps", "deployments", "scale"), "workload"),
        (("deletecollection", "rbac.authorization.k8s.io", "rolebindings", ""), "rbac"),
        (("list", "rbac.authorization.k8s.io", "rolebindings", ""), "other"),
        (("patch", "", "namespaces", ""), "policy"),
        (("delete", "networking.k8s.io", "networkpolicies", ""), "policy"),
        (("create", "networking.k8s.io", "ingresses", ""), "change"),
        (("create", "", "serviceaccounts", "token"), "token"),
        (("create", "", "serviceaccounts", ""), "change"),
        (("update", "certificates.k8s.io", "certificatesigningrequests", "approval"), "certificate"),
        (("create", "authorization.k8s.io", "subjectaccessreviews", ""), "other"),
        (("create", "authentication.k8s.io", "tokenreviews", ""), "other"),
        (("create", "shop.example", "reviews", ""), "change"),
        (("create", "shop.example", "leases", ""), "change"),
        (("update", "certificates.k8s.io", "certificatesigningrequests", "status"), "certificate"),
        (("update", "coordination.k8s.io", "leases", ""), "other"),
        (("patch", "", "endpoints", ""), "other"),
        (("get", "", "", ""), "other"),
    ],
)
def test_what_a_request_was(request_: tuple[str, str, str, str], what: str) -> None:
    assert kind_of(*request_) == what and what in WHAT


def test_where_a_service_leads_is_changed_by_whoever_is_no_controller() -> None:
    for group, resource in (("", "endpoints"), ("discovery.k8s.io", "endpointslices")):
        assert kind_of("patch", group, resource, "", controller=False) == "change"


def test_who_a_name_stands_for() -> None:
    names = [
        "ann",
        "system:admin",
        "system:serviceaccount:web:app",
        "system:serviceaccount:kube-system:replicaset-controller",
        "system:serviceaccount:kube-system:own",
        "system:serviceaccount:web:replicaset-controller",
        "system:node:a",
        "system:anonymous",
        "system:bootstrap:abcdef",
        "",
        "system:ann",
    ]
    assert [is_person(name) for name in names] == [True, True, *[False] * 8, None]
    assert [is_component(name) for name in names] == [False, False, False, True, False, False, True, *[False] * 4]


def test_the_subject_of_a_name() -> None:
    assert subject_of("system:serviceaccount:web:app") == ("ServiceAccount", "web", "app")
    assert subject_of("system:serviceaccount:odd") == ("User", "", "system:serviceaccount:odd")


def test_what_allowed_a_request() -> None:
    told = 'RBAC: allowed by RoleBinding "edit/web" of ClusterRole "edit" to Group "devs"'
    assert allowed_by(told) == ("RoleBinding", "web", "edit", "ClusterRole", "edit")
    told = 'RBAC: allowed by ClusterRoleBinding "a:b/c" of ClusterRole "r" to User "x"'
    assert allowed_by(told) == ("ClusterRoleBinding", "", "a:b/c", "ClusterRole", "r")
    assert allowed_by("") is None and allowed_by('RBAC: clusterrole "x" not found') is None


def day(number: int) -> datetime:
    return datetime(2026, 10, number, tzinfo=UTC)


def test_the_last_approval_before_a_change_by_another_person() -> None:
    shop = ["Deployment/web/shop", "Namespace/web"]
    known = by_object(
        [
            ("T-1", "bob", "ann", day(1), shop),
            ("T-2", "bob", "BOB", day(2), shop),
            ("T-3", None, "ann", day(5), shop),
            ("T-4", "bob", None, None, shop),
        ]
    )
    found = approval(known, "Deployment", "web", "shop", day(3))
    assert found is not None and (found.ticket, found.own) == ("T-1", False)
    assert approval(known, "Deployment", "web", "shop", datetime(2026, 9, 30, tzinfo=UTC)) is None
    namespace = approval(known, "Namespace", "", "web", day(6))
    assert namespace is not None and namespace.ticket == "T-1"
    assert approval(known, "Pod", "web", "shop", day(6)) is None
    alone = by_object([("T-2", "bob", "BOB", day(2), shop)])
    own = approval(alone, "Deployment", "web", "shop", day(2))
    assert own is not None and own.own is True


@pytest.mark.parametrize("user", ["ann", "ANN", "oidc:ann", "https://idp.example#ann"])
def test_who_made_the_change_cannot_approve_it(user: str) -> None:
    tickets = [("T-1", "bob", "ann", day(1), ["Namespace/web"]), ("T-2", "bob", "cat", day(2), ["Namespace/web"])]
    by_ann = approval(by_object(tickets[:1]), "Namespace", "", "web", day(3), user)
    assert by_ann is not None and by_ann.own is True
    other = approval(by_object(tickets[::-1]), "Namespace", "", "web", day(3), user)
    assert other is not None and (other.ticket, other.own) == ("T-2", False)
    by_another = approval(by_object(tickets[:1]), "Namespace", "", "web", day(3), "joann")
    assert by_another is not None and by_another.own is False
    by_address = approval(by_object(tickets[:1]), "Namespace", "", "web", day(3), "ann@example.org")
    assert by_address is not None and by_address.own is None
