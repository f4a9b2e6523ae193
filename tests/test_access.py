"""The authorizer's decisions, rule by rule."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditkit.analysis.access import Access, path_matches

RBAC = {"apiVersion": "rbac.authorization.k8s.io/v1"}


def role(name, *rules, namespace="", **more):
    kind = "Role" if namespace else "ClusterRole"
    return {**RBAC, "kind": kind, "metadata": {"name": name, "namespace": namespace, **more}, "rules": list(rules)}


def rule(verbs, resources, groups=("",), names=()):
    return {
        "verbs": verbs.split(),
        "resources": resources.split(),
        "apiGroups": list(groups),
        "resourceNames": list(names),
    }


def binding(to, *subjects, namespace="", kind="ClusterRole"):
    return {
        **RBAC,
        "kind": "RoleBinding" if namespace else "ClusterRoleBinding",
        "metadata": {"name": "b", "namespace": namespace},
        "roleRef": {"kind": kind, "name": to},
        "subjects": list(subjects),
    }


ANN = {"kind": "User", "name": "ann"}
BOT = {"kind": "ServiceAccount", "name": "bot"}
BOT_USER = "system:serviceaccount:web:bot"


@pytest.mark.parametrize(
    ("granted", "request_", "answer"),
    [
        (rule("get", "pods"), {"verb": "get", "resource": "pods"}, True),
        (rule("create", "pods"), {"verb": "create", "resource": "pods", "subresource": "exec"}, False),
        (rule("create", "pods/*"), {"verb": "create", "resource": "pods", "subresource": "exec"}, False),
        (rule("create", "*/exec"), {"verb": "create", "resource": "pods", "subresource": "exec"}, True),
        (rule("*", "*", ("*",)), {"verb": "create", "resource": "pods", "subresource": "exec"}, True),
        (rule("get", "pods", ("apps",)), {"verb": "get", "resource": "pods"}, False),
        (rule("get", "secrets", names=("a",)), {"verb": "get", "resource": "secrets", "name": "a"}, True),
        (rule("get", "secrets", names=("a",)), {"verb": "get", "resource": "secrets", "name": "b"}, False),
        (rule("list", "secrets", names=("a",)), {"verb": "list", "resource": "secrets"}, False),
        ({"verbs": ["get"], "nonResourceURLs": ["/logs/*"]}, {"verb": "get", "path": "/logs/x"}, True),
        ({"verbs": ["get"], "nonResourceURLs": ["/logs"]}, {"verb": "get", "path": "/logs/x"}, False),
        ({"verbs": ["*"], "nonResourceURLs": ["*"]}, {"verb": "post", "path": "/x"}, True),
    ],
)
def test_rules(granted, request_, answer):
    assert Access.from_objects([role("r", granted), binding("r", ANN)]).allowed("ann", **request_) is answer


def test_a_role_binding_grants_in_its_namespace_alone():
    access = Access.from_objects([role("r", rule("get", "namespaces pods")), binding("r", ANN, BOT, namespace="web")])
    assert access.allowed("ann", verb="get", resource="pods", namespace="web")
    assert not access.allowed("ann", verb="get", resource="pods", namespace="db")
    assert not access.allowed("ann", verb="get", resource="pods")
    assert access.allowed("ann", verb="get", resource="namespaces", name="web", namespace="web")
    assert not access.allowed("ann", verb="get", resource="namespaces", name="web")
    assert access.allowed(BOT_USER, verb="get", resource="pods", namespace="web")


def test_groups_masters_and_aliases():
    everyone = {"kind": "Group", "name": "system:serviceaccounts:web"}
    access = Access.from_objects(
        [role("r", rule("get", "pods")), binding("r", everyone, {"kind": "User", "name": BOT_USER})]
    )
    assert access.allowed(BOT_USER, verb="get", resource="pods")
    assert access.allowed("system:serviceaccount:web:other", verb="get", resource="pods")
    assert not access.allowed("system:serviceaccount:db:other", verb="get", resource="pods")
    assert not access.allowed("eve", ["system:masters"], verb="delete", resource="nodes"), "that is outside RBAC"


def test_what_was_not_collected_is_not_denied():
    access = Access.from_objects([role("r", rule("get", "pods")), binding("r", ANN)], complete=False)
    assert access.allowed("ann", verb="get", resource="pods") is True
    assert access.allowed("ann", verb="get", resource="secrets") is None
    assert Access.from_objects([binding("gone", ANN)]).allowed("ann", verb="get", resource="pods") is False


@pytest.mark.parametrize(
    ("selector", "answer"),
    [({"matchLabels": {"to": "r"}}, True), ({"matchLabels": {"to": "x"}}, False), ({"matchFuture": {}}, None)],
)
def test_aggregation(selector, answer):
    whole = {**role("whole"), "aggregationRule": {"clusterRoleSelectors": [selector]}}
    part = role("part", rule("get", "pods"), labels={"to": "r"})
    access = Access.from_objects([whole, part, binding("whole", ANN)])
    assert access.allowed("ann", verb="get", resource="pods") is answer


def test_who_can_names_limits():
    access = Access.from_objects([role("r", rule("get create", "secrets", names=("a",))), binding("r", ANN)])
    assert list(access.who_can("get", "secrets")["limited_by_names"]) == ["a"]
    assert access.who_can("create", "secrets").empty


def test_path_prefix():
    assert path_matches("/a/**", "/a/b")
    assert not path_matches("/a*", "/b")


ROLES = [role(f"r{n}", rule(v, r)) for n, (v, r) in enumerate(itertools.product(("get", "*"), ("pods", "*", "*/exec")))]
BINDINGS = st.lists(
    st.sampled_from([binding(f"r{n}", ANN, namespace=ns) for n in range(6) for ns in ("", "web")]), max_size=4
)


@given(
    BINDINGS, BINDINGS, st.sampled_from(["get", "create"]), st.sampled_from(["", "exec"]), st.sampled_from(["", "web"])
)
def test_a_binding_never_takes_a_permission(some, more, verb, sub, namespace):
    request = {"verb": verb, "resource": "pods", "subresource": sub, "namespace": namespace}
    before, after = (Access.from_objects([*ROLES, *b]).allowed("ann", **request) for b in (some, [*some, *more]))
    assert after or not before


def test_aggregation_through_other_roles_and_in_circles():
    def whole(name, to):
        return {
            **role(name, labels={"to": name}),
            "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to": to}}]},
        }

    part = role("part", rule("get", "pods"), labels={"to": "b"})
    access = Access.from_objects([whole("a", "b"), whole("b", "a"), part, binding("a", ANN)])
    assert access.allowed("ann", verb="get", resource="pods") is True
