"""The authorizer's decisions, rule by rule."""

import itertools

import pytest
from builders import snapshot
from hypothesis import given, settings
from hypothesis import strategies as st

from auditkit.analysis.access import Access, own_groups, path_matches
from auditkit.evaluate import Tables

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
    for account, answer in (("system:serviceaccount:web:other", True), ("system:serviceaccount:db:other", False)):
        assert access.allowed(account, own_groups(account), verb="get", resource="pods") is answer
        assert access.allowed(account, verb="get", resource="pods") is False, "groups are those given"
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


def test_a_manifest_that_collects_and_has_rules_has_both():
    selector = {"clusterRoleSelectors": [{"matchLabels": {"to": "r"}}]}
    whole = {**role("whole", rule("get", "pods")), "aggregationRule": selector}
    part = role("part", rule("get", "secrets"), labels={"to": "r"})
    written = {**whole, "metadata": {**whole["metadata"], "uid": "u-9"}}
    for of_whole, secrets in ((whole, True), (written, False)):
        access = Access.from_objects([of_whole, part, binding("whole", ANN)])
        assert access.allowed("ann", verb="get", resource="pods")
        assert access.allowed("ann", verb="get", resource="secrets") is secrets


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


def test_groups_are_those_given():
    everyone = {"kind": "Group", "name": "system:authenticated"}
    access = Access.from_objects([role("r", rule("get", "pods")), binding("r", everyone)])
    assert access.allowed("ann", own_groups("ann"), verb="get", resource="pods")
    assert access.allowed("ann", verb="get", resource="pods") is False
    assert access.allowed("ann", ["system:authenticated"], verb="get", resource="pods")
    assert access.allowed("system:anonymous", verb="get", resource="pods") is False
    assert own_groups(BOT_USER) == ["system:serviceaccounts", "system:serviceaccounts:web", "system:authenticated"]


@pytest.mark.parametrize(
    ("missing", "cluster_wide", "in_namespace"),
    [
        ("clusterroles", None, None),
        ("clusterrolebindings", None, None),
        ("rolebindings", False, None),
        ("roles", False, None),
    ],
)
def test_what_a_snapshot_did_not_collect_is_open(missing, cluster_wide, in_namespace):
    objects = [role("r", rule("get", "pods")), binding("r", ANN)]
    tables = Tables(snapshot(objects, missing=[f"{missing}.rbac.authorization.k8s.io"]))
    access = Access.from_tables(tables)
    assert access.allowed("ann", verb="get", resource="nodes") is cluster_wide
    assert access.allowed("ann", verb="get", resource="nodes", namespace="web") is in_namespace
    whole = Access.from_tables(Tables(snapshot(objects)))
    assert whole.allowed("ann", verb="get", resource="nodes", namespace="web") is False
    assert whole.allowed("ann", verb="get", resource="pods") is True


def test_part_of_an_aggregation_that_is_known_decides():
    selectors = [{"matchLabels": {"to": "r"}}, {"matchFuture": {}}]
    whole = {**role("whole"), "aggregationRule": {"clusterRoleSelectors": selectors}}
    part = role("part", rule("get", "pods"), labels={"to": "r"})
    objects = [whole, part, role("other", rule("get", "secrets")), binding("whole", ANN)]
    for access in (Access.from_objects(objects), Access.from_tables(Tables(snapshot(objects)))):
        assert access.allowed("ann", verb="get", resource="pods") is True
        assert access.allowed("ann", verb="get", resource="secrets") is None


def test_manifests_that_the_server_would_put_in_default():
    """A RoleBinding without a namespace is none of the whole cluster; a ClusterRoleBinding gives no Role."""
    here = {**binding("r", BOT, namespace="x"), "metadata": {"name": "b"}}
    access = Access.from_objects([role("r", rule("get", "pods")), here])
    user = "system:serviceaccount:default:bot"
    assert access.allowed(user, verb="get", resource="pods", namespace="default")
    assert access.allowed(user, verb="get", resource="pods") is False
    local = {**role("r", rule("get", "pods"), namespace="x"), "metadata": {"name": "r"}}
    assert (
        Access.from_objects([local, binding("r", ANN, kind="Role")]).allowed("ann", verb="get", resource="pods")
        is False
    )


def test_other_objects_are_passed_over():
    others = [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}}, {"apiVersion": "x.io/v1", "kind": "Role"}]
    access = Access.from_objects([role("r", rule("get", "pods")), binding("r", ANN), *others])
    assert access.allowed("ann", verb="get", resource="pods")


def test_a_list_of_the_server_and_an_object_without_kind():
    listed = [
        {k: v for k, v in o.items() if k not in ("kind", "apiVersion")} for o in (role("r", rule("get", "pods")),)
    ]
    objects = [{**RBAC, "kind": "ClusterRoleList", "items": listed}, binding("r", ANN)]
    assert Access.from_objects(objects).allowed("ann", verb="get", resource="pods")
    with pytest.raises(ValueError, match="without kind: r"):
        Access.from_objects(listed)


def test_why_names_binding_and_rule():
    access = Access.from_objects([role("r", rule("list", "nodes"), rule("get", "pods")), binding("r", ANN)])
    (grant,) = access.why("ann", verb="get", resource="pods")
    assert (grant.binding, grant.role, grant.rule) == ("b", "r", 1)
    assert access.why("ann", verb="get", resource="secrets") == []
    assert [g.rule for g in access.rules_for("ann")] == [0, 1]


# Situations that a peer gets wrong, of those that RBAC decides: peer, objects, question, truth.
EVE = {"kind": "User", "name": "eve"}
AUTHENTICATED = {"kind": "Group", "name": "system:authenticated"}
SECRETS = role("r", rule("get list", "secrets"))
NO_SUBJECTS = {**binding("r", namespace="web"), "subjects": None}
PEERS = {
    "Prowler: get secrets by a ClusterRole passes": ([SECRETS, binding("r", ANN)], ("get", "secrets", ""), {"ann"}),
    "Prowler: a ServiceAccount by a ClusterRoleBinding is not found": (
        [SECRETS, binding("r", {**BOT, "namespace": "web"})], ("get", "secrets", ""), {BOT_USER},
    ),
    "Prowler: a RoleBinding to cluster-admin is not found": (
        [role("cluster-admin", rule("*", "*", ("*",))), binding("cluster-admin", ANN, namespace="web")],
        ("delete", "secrets", "web"), {"ann"},
    ),
    "Prowler: one binding without subjects drops all": (
        [SECRETS, NO_SUBJECTS, {**binding("r", ANN, namespace="web"), "metadata": {"name": "c", "namespace": "web"}}],
        ("get", "secrets", "web"), {"ann"},
    ),
    "Kubescape C-0002: pods/* is taken for a pattern": (
        [role("r", rule("create", "pods/*")), binding("r", ANN)], ("create", "pods/exec", ""), set(),
    ),
    "Kubescape C-0002: */exec is missed": (
        [role("r", rule("create", "*/exec")), binding("r", ANN)], ("create", "pods/exec", ""), {"ann"},
    ),
    "Kubescape C-0186: resourceNames are ignored": (
        [role("r", rule("get", "secrets", names=("a",))), binding("r", ANN)], ("get", "secrets=b", ""), set(),
    ),
    "Kubescape C-0035: a namespaced Role is taken for the cluster's": (
        [role("r", rule("*", "*", ("*",)), namespace="web"), binding("r", ANN, namespace="web", kind="Role")],
        ("get", "nodes", ""), set(),
    ),
    "Kubescape C-0035: enumerated verbs are missed": (
        [role("r", rule("get list create delete", "*", ("*",))), binding("r", ANN)], ("delete", "secrets", ""), {"ann"},
    ),
    "Kubescape C-0265: a RoleBinding to a ClusterRole is missed": (
        [SECRETS, binding("r", AUTHENTICATED, namespace="web")], ("get", "secrets", "web"), {"system:authenticated"},
    ),
    "Kubescape C-0188: workload controllers are missed": (
        [role("r", rule("create", "cronjobs", ("batch",))), binding("r", ANN)], ("create", "cronjobs.batch", ""), {"ann"},
    ),
    "Kubescape C-0267: a ServiceAccount without namespace is missed": (
        [SECRETS, binding("r", BOT, namespace="web")], ("get", "secrets", "web"), {BOT_USER},
    ),
    "Trivy KSV-0122: a ClusterRoleBinding never fires": (
        [SECRETS, binding("r", {"kind": "Group", "name": "system:unauthenticated"})],
        ("get", "secrets", ""), {"system:unauthenticated"},
    ),
    "Trivy KSV-0041: resources * is missed": (
        [role("r", rule("get", "*")), binding("r", ANN)], ("get", "secrets", ""), {"ann"},
    ),
    "Trivy KSV-0043: impersonate without apiGroup * is missed": (
        [role("r", rule("impersonate", "groups")), binding("r", ANN)], ("impersonate", "groups", ""), {"ann"},
    ),
    "Trivy KSV-0044: another group's wildcard is all": (
        [role("r", rule("*", "*", ("apps",))), binding("r", ANN)], ("get", "secrets", ""), set(),
    ),
    "kube-bench 5.1.2: get,list,watch is taken for one verb": (
        [SECRETS, binding("r", AUTHENTICATED)], ("list", "secrets", ""), {"system:authenticated"},
    ),
    "kube-bench 5.1.3: * beside other verbs is missed": (
        [role("r", rule("get *", "pods")), binding("r", ANN)], ("delete", "pods", ""), {"ann"},
    ),
    "Steampipe: a role with `system` in its name is exempt": (
        [role("my-system-role", rule("get", "secrets")), binding("my-system-role", ANN)], ("get", "secrets", ""), {"ann"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("situation", PEERS)
def test_mistakes_of_peers(situation):
    objects, (verb, what, namespace), truth = PEERS[situation]
    whole, _, name = what.partition("=")
    whole, _, subresource = whole.partition("/")
    resource, _, group = whole.partition(".")
    found = Access.from_objects(objects).who_can(
        verb, resource, group=group, subresource=subresource, name=name, namespace=namespace
    )
    assert set(found["subject"]) == truth


# A second authorizer, as plainly as upstream's Go reads, over the manifests themselves.
def upstream(objects, user, groups, verb, group, resource, subresource, name, namespace, path):
    cluster_roles = {o["metadata"]["name"]: o for o in objects if o["kind"] == "ClusterRole"}
    roles = {(o["metadata"]["namespace"], o["metadata"]["name"]): o for o in objects if o["kind"] == "Role"}

    def applies(subject, where):
        if subject["kind"] == "User":
            return subject["name"] == user
        if subject["kind"] == "Group":
            return subject["name"] in groups
        if subject["kind"] == "ServiceAccount":
            place = subject.get("namespace") or where
            return bool(place) and user == f"system:serviceaccount:{place}:{subject['name']}"
        return False

    def rules_of(binding_):
        ref, where = binding_["roleRef"], binding_["metadata"]["namespace"]
        found = roles.get((where, ref["name"])) if ref["kind"] == "Role" else cluster_roles.get(ref["name"])
        return computed(found) if found else []

    def computed(role_):
        if role_["rules"] or "aggregationRule" not in role_:
            return role_["rules"]
        found = []
        for other in cluster_roles.values():
            labels = other["metadata"].get("labels", {})
            for selector in role_["aggregationRule"]["clusterRoleSelectors"]:
                if other is not role_ and all(labels.get(k) == v for k, v in selector["matchLabels"].items()):
                    found += other["rules"]
        return found

    def allows(rule_):
        if not any(v in ("*", verb) for v in rule_["verbs"]):
            return False
        if path:
            urls = rule_.get("nonResourceURLs", ())
            return any(u in ("*", path) or (u[-1:] == "*" and path.startswith(u.rstrip("*"))) for u in urls)
        combined = f"{resource}/{subresource}" if subresource else resource
        return (
            any(g in ("*", group) for g in rule_.get("apiGroups", ()))
            and any(
                r in ("*", combined) or (subresource and r == f"*/{subresource}") for r in rule_.get("resources", ())
            )
            and (not rule_.get("resourceNames") or name in rule_["resourceNames"])
        )

    return any(
        allows(rule_)
        for one in objects
        if one["kind"] in ("ClusterRoleBinding", "RoleBinding")
        and (
            one["kind"] == "ClusterRoleBinding"
            or (not path and namespace and one["metadata"]["namespace"] == namespace)
        )
        and any(applies(s, one["metadata"]["namespace"]) for s in one["subjects"])
        for rule_ in rules_of(one)
    )


def some(*values, most=3):
    return st.lists(st.sampled_from(values), min_size=1, max_size=most, unique=True)


VERB, NAME, SPACE = (
    st.sampled_from(["get", "list", "create"]),
    st.sampled_from(["", "a", "web"]),
    st.sampled_from(["", "web", "db"]),
)
RULE = st.one_of(
    st.fixed_dictionaries(
        {
            "verbs": some("get", "list", "create", "*"),
            "apiGroups": some("", "apps", "*"),
            "resources": some("pods", "pods/exec", "pods/*", "*/exec", "*", "namespaces"),
        },
        optional={"resourceNames": some("a", "web")},
    ),
    st.fixed_dictionaries({"verbs": some("get", "*"), "nonResourceURLs": some("*", "/a", "/a/*", "/a*")}),
)
SUBJECT = st.sampled_from(
    [
        ANN, BOT, {**BOT, "namespace": "db"}, {"kind": "User", "name": BOT_USER}, {"kind": "Group", "name": "devs"},
        {"kind": "Group", "name": "system:serviceaccounts:web"}, {"kind": "Robot", "name": "ann"},
    ]
)  # fmt: skip


@st.composite
def worlds(draw):
    names = ["r0", "r1", "r2"]
    objects = []
    for n in names:
        labels = draw(st.sampled_from([{}, {"to": "x"}, {"to": "y"}]))
        objects.append(role(n, *draw(st.lists(RULE, min_size=1, max_size=3)), labels=labels))
    objects += [role(n, *draw(st.lists(RULE, min_size=1, max_size=3)), namespace="web") for n in names[:2]]
    selectors = [{"matchLabels": {"to": value}} for value in draw(some("x", "y"))]
    objects.append({**role("whole"), "aggregationRule": {"clusterRoleSelectors": selectors}})
    for n in range(draw(st.integers(1, 6))):
        where = draw(SPACE)
        kind = draw(st.sampled_from(["ClusterRole", "Role"] if where else ["ClusterRole"]))
        to = draw(st.sampled_from([*names, "whole", "gone"]))
        made = binding(to, *draw(st.lists(SUBJECT, min_size=1, max_size=2)), namespace=where, kind=kind)
        objects.append({**made, "metadata": {"name": f"b{n}", "namespace": where}})
    return objects


QUESTION = st.fixed_dictionaries(
    {
        "verb": VERB,
        "group": st.sampled_from(["", "apps"]),
        "resource": st.sampled_from(["pods", "namespaces"]),
        "subresource": st.sampled_from(["", "exec"]),
        "name": NAME,
        "namespace": SPACE,
        "path": st.sampled_from(["", "", "", "/a", "/a/b"]),
    }
)
WHO = st.sampled_from([("ann", []), ("ann", ["devs"]), (BOT_USER, ["system:serviceaccounts:web"]), ("x", [])])


@settings(max_examples=150, deadline=None)
@given(worlds(), st.lists(st.tuples(WHO, QUESTION), min_size=20, max_size=20))
def test_the_answers_of_a_plain_reading_of_upstream(objects, questions):
    access = Access.from_objects(objects)
    for (user, groups), question in questions:
        truth = upstream(objects, user, groups, **question)
        assert access.allowed(user, groups, **question) is truth, (user, groups, question)
        assert bool(access.why(user, groups, **question)) is truth


@settings(max_examples=25, deadline=None)
@given(worlds(), st.lists(st.tuples(WHO, QUESTION), min_size=20, max_size=20))
def test_tables_answer_as_objects_do(objects, questions):
    one, other = Access.from_objects(objects), Access.from_tables(Tables(snapshot(objects)))
    for (user, groups), question in questions:
        assert one.allowed(user, groups, **question) is other.allowed(user, groups, **question)
