"""Who can become cluster-admin: each way by itself, what closes it, and the recorded cluster."""

import csv
from collections.abc import Iterator

import networkx as nx
import pytest
from builders import snapshot
from conftest import DATES
from hypothesis import given, settings
from hypothesis import strategies as st

import auditkit as ak
from auditkit import kinds
from auditkit.analysis.access import KINDS, Access
from auditkit.evaluate import Tables

GROUP = "rbac.authorization.k8s.io"
ANN = {"kind": "User", "name": "ann"}
BOSS = {"kind": "ServiceAccount", "namespace": "web", "name": "boss"}
BOSS_NODE = "ServiceAccount web/boss"


def obj(kind, name, namespace="", version="v1", **more):
    labels = more.pop("labels", {})
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        **more,
    }


def role(name, *rules, namespace=""):
    return obj("Role" if namespace else "ClusterRole", name, namespace, f"{GROUP}/v1", rules=list(rules))


def rule(verbs, resources, group="", names=()):
    return {
        "verbs": verbs.split(),
        "resources": resources.split(),
        "apiGroups": [group],
        "resourceNames": list(names),
    }


def bind(to, *subjects, namespace="", kind="ClusterRole", name=None):
    bound = "RoleBinding" if namespace else "ClusterRoleBinding"
    ref = {"kind": kind, "name": to}
    return obj(bound, name or f"{to}-binding", namespace, f"{GROUP}/v1", roleRef=ref, subjects=list(subjects))


def enforcing(name, level=None):
    return obj("Namespace", name, labels={"pod-security.kubernetes.io/enforce": level} if level else {})


def pod(name, account="default", namespace="web", node="n1", privileged=False, **spec):
    containers = [{"name": "a", "securityContext": {"privileged": privileged}}]
    return obj(
        "Pod", name, namespace, spec={"serviceAccountName": account, "nodeName": node, "containers": containers, **spec}
    )


ALL = role("cluster-admin", rule("*", "*", "*"))
# A cluster in which ServiceAccount web/boss is cluster-admin, its pod runs, and web lets no pod be root.
WORLD = [
    ALL,
    bind("cluster-admin", BOSS, name="boss"),
    obj("ServiceAccount", "boss", "web"),
    obj("ServiceAccount", "plain", "web"),
    enforcing("web", "restricted"),
    enforcing("db", "restricted"),
    obj("Node", "n1"),
    pod("boss", "boss"),
    obj("Secret", "boss-token", "web", type="kubernetes.io/service-account-token") | {},
    obj("Deployment", "shop", "web", "apps/v1"),
]
WORLD[-2]["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "boss"}

CSR, ADMISSION = "certificates.k8s.io", "admissionregistration.k8s.io"
# How ann becomes cluster-admin by these rules: in namespace web (True) or cluster-wide.
WAYS = {
    "pods": (True, [rule("create", "pods")], "runs a pod in web as"),
    "jobs": (True, [rule("create", "jobs", "batch")], "runs a pod in web as"),
    "patched deployment": (True, [rule("patch", "deployments", "apps")], "runs a pod in web as"),
    "tokens": (True, [rule("create", "serviceaccounts/token")], "mints a token of"),
    "token by name": (True, [rule("create", "serviceaccounts/token", names=("boss",))], "mints a token of"),
    "token Secret": (True, [rule("list", "secrets")], "reads a token Secret of"),
    "token Secret by name": (True, [rule("get", "secrets", names=("boss-token",))], "reads a token Secret of"),
    "own token Secret": (True, [rule("create get", "secrets")], "makes a token Secret of"),
    "exec": (True, [rule("create", "pods/exec")], "execs into a pod of"),
    "any subresource exec": (True, [rule("create", "*/exec")], "execs into a pod of"),
    "debug": (True, [rule("patch", "pods/ephemeralcontainers")], "debugs a pod of"),
    "image": (True, [rule("patch", "pods")], "changes the image of a pod of"),
    "impersonated account": (True, [rule("impersonate", "serviceaccounts")], "impersonates"),
    "kubelet": (False, [rule("get", "nodes/proxy")], "execs through a kubelet into a pod of"),
    "kubelet of its node": (
        False,
        [rule("get", "nodes/proxy", names=("n1",))],
        "execs through a kubelet into a pod of",
    ),
    "masters": (False, [rule("impersonate", "users groups")], "impersonates Group system:masters:"),
    "webhook": (False, [rule("create", "mutatingwebhookconfigurations", ADMISSION)], "changes the next pod of"),
    "bind": (
        False,
        [rule("bind", "clusterroles", GROUP), rule("create", "clusterrolebindings", GROUP)],
        "binds itself:",
    ),
    "bind by name": (
        False,
        [rule("bind", "clusterroles", GROUP, ["cluster-admin"]), rule("create", "clusterrolebindings", GROUP)],
        "binds itself:",
    ),
    "bind into a binding": (
        False,
        [rule("bind", "clusterroles", GROUP), rule("patch", "clusterrolebindings", GROUP, ["boss"])],
        "adds itself to ClusterRoleBinding boss:",
    ),
    "bind in the namespace": (
        True,
        [rule("bind", "clusterroles", GROUP), rule("create", "rolebindings", GROUP)],
        "binds itself:",
    ),
    "escalate": (
        False,
        [rule("escalate patch", "clusterroles", GROUP, ["mine"])],
        "rewrites ClusterRole mine, which it holds:",
    ),
    "certificate": (
        False,
        [
            rule("create", "certificatesigningrequests", CSR),
            rule("update", "certificatesigningrequests/approval", CSR),
            rule("approve", "signers", CSR, ["kubernetes.io/kube-apiserver-client"]),
        ],
        "has itself certified as",
    ),
    "node certificate": (
        False,
        [rule("create", "certificatesigningrequests certificatesigningrequests/nodeclient", CSR)],
        "has itself certified as the node of a pod of",
    ),
}

# What is not enough.
NO_WAY = {
    "reading": (False, [rule("get list watch", "pods nodes clusterroles", "*")]),
    "another namespace's pods": (True, [rule("get", "pods")]),
    "pods/* is no pattern": (True, [rule("create", "pods/*")]),
    "another name's token": (True, [rule("create", "serviceaccounts/token", names=("plain",))]),
    "another Secret": (True, [rule("get", "secrets", names=("tls",))]),
    "a kubelet without the pod": (False, [rule("get", "nodes/proxy", names=("n2",))]),
    "groups without a user": (False, [rule("impersonate", "groups")]),
    "a user of no power": (False, [rule("impersonate", "users", names=("eve",))]),
    "writing roles and bindings": (
        False,
        [rule("create update patch", "roles clusterroles rolebindings clusterrolebindings", GROUP)],
    ),
    "bind alone": (False, [rule("bind", "clusterroles", GROUP)]),
    "bind of another role": (
        False,
        [rule("bind", "clusterroles", GROUP, ["view"]), rule("create", "clusterrolebindings", GROUP)],
    ),
    "escalate of another role": (False, [rule("escalate patch", "clusterroles", GROUP, ["view"])]),
    "approval without a signer": (
        False,
        [
            rule("create", "certificatesigningrequests", CSR),
            rule("update", "certificatesigningrequests/approval", CSR),
        ],
    ),
    "attach and portforward": (True, [rule("create", "pods/attach pods/portforward")]),
    "create limited to names": (True, [rule("create", "pods", names=("a",))]),
}


def held(namespaced, rules, *more):
    return Access.from_objects(
        [*WORLD, *more, role("mine", *rules), bind("mine", ANN, namespace="web" if namespaced else "")]
    )


def row(access, name="ann"):
    table = access.paths().table
    found = table[table["name"] == name]
    return None if found.empty else found.iloc[0]


@pytest.mark.parametrize("case", WAYS)
def test_each_way(case):
    namespaced, rules, how = WAYS[case]
    access = held(namespaced, rules)
    found = row(access)
    assert found is not None
    assert how in found["path"]
    assert found["steps"] == (2 if case == "bind in the namespace" else 1)
    assert "mine" in found["evidence"][0]
    assert found["condition"] is None
    assert not found["stock"]
    assert nx.has_path(access.paths().graph, "User ann", "cluster-admin")
    assert list(access.effective_admins()["name"]) == ["boss"]


@pytest.mark.parametrize("case", NO_WAY)
def test_what_is_not_enough(case):
    namespaced, rules = NO_WAY[case]
    assert row(held(namespaced, rules)) is None


AUTHENTICATION = "authentication.k8s.io"
CONSTRAINED = {
    "account": ([rule("impersonate:serviceaccount", "serviceaccounts", AUTHENTICATION)], "serviceaccount", BOSS_NODE),
    "group": ([rule("impersonate:user-info", "users groups", AUTHENTICATION)], "user-info", "cluster-admin"),
    "node": (
        [rule("impersonate:arbitrary-node", "nodes", AUTHENTICATION, ["n1"])],
        "arbitrary-node",
        f"the node of a pod of {BOSS_NODE}",
    ),
    "masters": (
        [
            rule("impersonate:user-info", "users", AUTHENTICATION, ["eve"]),
            rule("impersonate:user-info", "groups", AUTHENTICATION, ["system:masters"]),
        ],
        "user-info",
        "cluster-admin",
    ),
}


@pytest.mark.parametrize("case", CONSTRAINED)
def test_constrained_impersonation_is_a_condition(case):
    """It takes two rights, of one mode, and a server of 1.35: test by what each lacks."""
    whom, mode, target = CONSTRAINED[case]
    found = row(held(False, [*whom, rule(f"impersonate-on:{mode}:create", "pods")]))
    assert f"impersonates, for some requests, {target}" in found["path"]
    assert "constrained impersonation is on" in found["condition"]
    assert "as whom it acts: ClusterRoleBinding mine-binding" in found["evidence"][0]
    assert row(held(False, whom)) is None
    assert row(held(False, [*whom, rule("impersonate-on:associated-node:create", "pods")])) is None
    assert row(held(False, [rule(f"impersonate-on:{mode}:create", "pods")])) is None


@pytest.mark.parametrize(("version", "reaches"), [("v1.34.2", False), ("v1.35.0", True)])
def test_constrained_impersonation_begins_with_1_35(version, reaches):
    whom, mode, _ = CONSTRAINED["account"]
    grants = [role("mine", *whom, rule(f"impersonate-on:{mode}:get", "secrets")), bind("mine", ANN, namespace="web")]
    tables = Tables(snapshot([*WORLD, *grants], version=version))
    assert (row(Access.from_tables(tables)) is not None) == reaches


@pytest.mark.parametrize("case", WAYS)
def test_no_way_where_nobody_is_there_to_become(case):
    """In another namespace the same rules lead nowhere."""
    namespaced, rules, _ = WAYS[case]
    if namespaced:
        found = row(Access.from_objects([*WORLD, role("mine", *rules), bind("mine", ANN, namespace="db")]))
        # All rights in a namespace are those on its labels too: its Pod Security level is the holder's choice.
        relabels = case == "bind in the namespace" and "privileged pod in db" in found["path"]
        assert relabels or found is None


def test_chains_and_the_whole_of_a_holders_rights():
    """Two bindings and a group make up a chain; each step names what allows it."""
    access = Access.from_objects(
        [
            *WORLD,
            role("asks", rule("create", "certificatesigningrequests", CSR)),
            role(
                "approves", rule("update", "certificatesigningrequests/approval", CSR), rule("approve", "signers", CSR)
            ),
            bind("asks", {"kind": "Group", "name": "system:authenticated"}),
            bind("approves", {"kind": "ServiceAccount", "namespace": "db", "name": "bot"}),
            obj("ServiceAccount", "bot", "db"),
            role("mints", rule("create", "serviceaccounts/token")),
            bind("mints", ANN, namespace="db"),
        ]
    )
    found = row(access)
    assert found["path"] == (
        "User ann → mints a token of ServiceAccount db/bot → has itself certified as ServiceAccount web/boss → is cluster-admin"
    )
    assert found["steps"] == 2
    assert len(found["evidence"]) == 3
    assert "asks-binding" in found["evidence"][1]
    assert "approves-binding" in found["evidence"][1]


def test_namespace_limits_by_a_role_that_may_be_bound():
    """`bind` of a role that is not all-powerful leads where that role leads."""
    access = held(
        False,
        [rule("bind", "clusterroles", GROUP, ["makes-pods"]), rule("create", "clusterrolebindings", GROUP)],
        role("makes-pods", rule("create", "pods")),
    )
    assert row(access)["path"] == (
        "User ann → binds itself: ClusterRole makes-pods cluster-wide → runs a pod in its namespace as ServiceAccount web/boss → is cluster-admin"
    )


@pytest.mark.parametrize(
    ("level", "more", "reaches", "condition"),
    [
        ("privileged", [], True, None),
        ("baseline", [], False, None),
        ("restricted", [], False, None),
        (None, [], True, "the cluster's default Pod Security level lets it"),
        ("restricted", [rule("patch", "namespaces")], True, None),
        ("baseline", [rule("create", "persistentvolumes persistentvolumeclaims")], False, None),
    ],
)
def test_privileged_pods_where_pod_security_lets_them(level, more, reaches, condition):
    objects = [
        ALL,
        enforcing("apps", level),
        obj("Node", "cp", labels={"node-role.kubernetes.io/control-plane": ""}),
        role("mine", rule("create", "pods"), *more),
        bind("mine", ANN, namespace="apps"),
    ]
    found = row(Access.from_objects(objects))
    assert (found is not None) == reaches
    if reaches:
        assert "takes over a node by a privileged pod in apps" in found["path"]
        assert found["condition"] == condition


@pytest.mark.parametrize(
    ("rules", "reaches"),
    [
        ([rule("get patch", "secrets")], True),
        ([rule("get patch", "secrets", names=("plain-token",))], True),
        ([rule("get patch", "secrets", names=("other",))], False),
        ([rule("get", "secrets")], False),
        ([rule("patch", "secrets")], False),
    ],
)
def test_a_token_secret_is_rewritten_for_another_account(rules, reaches):
    secret = obj("Secret", "plain-token", "web", type="kubernetes.io/service-account-token")
    secret["metadata"]["annotations"] = {"kubernetes.io/service-account.name": "plain"}
    access = Access.from_objects(
        [
            ALL,
            bind("cluster-admin", BOSS),
            obj("ServiceAccount", "boss", "web"),
            obj("ServiceAccount", "plain", "web"),
            secret,
            role("mine", *rules),
            bind("mine", ANN, namespace="web"),
        ]
    )
    found = access.paths().table
    ann = found[found["name"] == "ann"]
    assert len(ann) == reaches
    if reaches:
        assert "rewrites token Secret web/plain-token into one of ServiceAccount web/boss" in ann["path"].iloc[0]
        assert ann["condition"].isna().all()


@pytest.mark.parametrize(
    ("rules", "namespace", "reaches"),
    [
        ([rule("create", "namespaces pods")], "", True),
        ([rule("create", "namespaces"), rule("patch", "deployments", "apps")], "", False),
        ([rule("create", "namespaces pods")], "apps", False),
    ],
)
def test_whoever_makes_a_namespace_chooses_its_level(rules, namespace, reaches):
    objects = [
        ALL,
        enforcing("apps", "restricted"),
        obj("Node", "cp", labels={"node-role.kubernetes.io/control-plane": ""}),
        role("mine", *rules),
        bind("mine", ANN, namespace=namespace),
    ]
    found = row(Access.from_objects(objects))
    assert (found is not None) == reaches
    if reaches:
        assert "takes over a node by a privileged pod in a namespace that it makes" in found["path"]
        assert found["condition"] is None


def test_a_host_path_by_a_volume_passes_baseline():
    objects = [
        ALL,
        enforcing("apps", "baseline"),
        obj("Node", "cp", labels={"node-role.kubernetes.io/control-plane": ""}),
    ]
    rules = rule("create", "pods persistentvolumeclaims"), rule("create", "persistentvolumes")
    assert row(Access.from_objects([*objects, role("mine", *rules), bind("mine", ANN)])) is not None
    assert row(Access.from_objects([*objects, role("mine", rules[0]), bind("mine", ANN)])) is None


def test_a_pod_that_holds_a_control_plane_node():
    cp = obj("Node", "cp", labels={"node-role.kubernetes.io/control-plane": ""})
    execs = [role("mine", rule("create", "pods/exec")), bind("mine", ANN, namespace="ops")]
    for spec, reaches in (
        ({"privileged": True}, True),
        ({"volumes": [{"name": "k", "hostPath": {"path": "/etc/kubernetes/pki"}}]}, True),
        ({"volumes": [{"name": "k", "hostPath": {"path": "/"}}]}, True),
        ({"volumes": [{"name": "k", "hostPath": {"path": "/var/log"}}]}, False),
    ):
        objects = [ALL, enforcing("ops"), cp, pod("agent", namespace="ops", node="cp", **spec), *execs]
        assert (row(Access.from_objects(objects)) is not None) == reaches, spec


def test_a_pod_that_holds_a_node_that_was_not_read():
    execs = [role("mine", rule("create", "pods/exec")), bind("mine", ANN, namespace="ops")]
    objects = [ALL, enforcing("ops"), pod("agent", namespace="ops", node="cp", privileged=True), *execs]
    assert row(Access.from_objects(objects))["condition"] == "that node is of the control plane (nodes were not read)"
    worker = row(Access.from_objects([*objects, obj("Node", "cp")]))
    assert worker is None


def test_what_is_not_known_is_a_condition():
    """Without Secrets, pods and workloads a way may be there; it is never certain, and never left out."""
    rbac = [o for o in WORLD if o["kind"].startswith(("Cluster", "Role"))]
    for rules, condition in (
        ([rule("get", "secrets")], "Secrets were not read"),
        ([rule("create", "pods/exec")], "pods were not read"),
        ([rule("get", "nodes/proxy")], "pods were not read"),
        ([rule("patch", "deployments", "apps")], "there are deployments to change"),
        ([rule("get", "pods/exec")], "older than 1.35"),
    ):
        access = Access.from_objects([*rbac, role("mine", *rules), bind("mine", ANN)])
        assert condition in row(access)["condition"]


def test_exec_by_get_before_1_35():
    objects = [*WORLD, role("mine", rule("get", "pods/exec")), bind("mine", ANN)]
    for version, reaches in (("v1.34.9", True), ("v1.35.0", False)):
        access = Access.from_tables(Tables(snapshot(objects, version=version)))
        assert (row(access) is not None) == reaches


def test_a_missing_account_must_first_be_made():
    rbac = [o for o in WORLD if (o["kind"], o["metadata"]["name"]) != ("ServiceAccount", "boss")]
    makes = [role("mine", rule("create", "pods")), bind("mine", ANN, namespace="web")]
    assert row(Access.from_objects([*rbac, *makes])) is None
    makes = [role("mine", rule("create", "pods serviceaccounts")), bind("mine", ANN, namespace="web")]
    found = row(Access.from_objects([*rbac, *makes]))
    assert "ServiceAccount web/boss" in found["path"]
    assert list(Access.from_objects(rbac).paths().table["exists"]) == [False]


def test_stock_is_by_content(recordings):
    """The shipped controllers are flagged; the same name with one more binding, or a system: prefix, is not."""
    objects = rbac_of(recordings, DATES[-1])
    table = Access.from_objects(objects).paths().table.set_index("identity")
    name = "system:serviceaccount:kube-system:clusterrole-aggregation-controller"
    assert table.loc[name, "stock"]
    extra = kinds.of(bind("view", {"kind": "User", "name": name}, name="system:extra"))
    faked = kinds.of(bind("cluster-admin", {"kind": "User", "name": "system:faked"}, name="system:faked"))
    more = [o for kind in KINDS for o in objects[kind]] + [extra, faked]
    table = Access.from_objects(more).paths().table.set_index("identity")
    assert not table.loc[name, "stock"]
    assert not table.loc["system:faked", "stock"]


def rbac_of(recordings, date) -> dict:
    folder = recordings / "northwind-prod" / date
    return {k: kinds.decode_page(k, (folder / f"{k.plural}.{k.group}.json").read_bytes())[1] for k in KINDS}


def facts(recordings, date, *rows) -> Iterator[dict[str, str]]:
    with (recordings / "expected.csv").open(newline="") as file:
        yield from (f for f in csv.DictReader(file) if f["date"] == date and f["check"] in rows)


@pytest.mark.parametrize("date", DATES)
def test_admins_and_readers_of_secrets_of_the_recorded_cluster(recordings, date):
    access = Access.from_objects(rbac_of(recordings, date))
    admins = access.effective_admins()
    for fact in facts(recordings, date, "A01", "A02"):
        found = fact["name"] in {*admins["binding"], *admins["role"]}
        cluster_wide = fact["kind"] != "RoleBinding"
        assert found == (fact["expected"] == "exception" and cluster_wide), fact
    readers = {
        role for verb in ("get", "list", "watch") for role in access.who_can(verb, "secrets", namespace=None)["role"]
    }
    for fact in facts(recordings, date, "A07"):
        assert (fact["name"] in readers) == (fact["expected"] == "exception"), fact


def test_paths_of_the_recorded_cluster(recordings):
    recorded = ak.capture(path=recordings / "northwind-prod" / DATES[-1], secrets=True)
    graph, table = Access.from_tables(recorded.tables).paths()
    people = table[~table["stock"]].set_index("name")
    ways = {
        "petra@northwind.example": "impersonates Group system:masters",
        "oidc:iam-operators": "adds itself to ClusterRoleBinding",
        "prometheus": "execs through a kubelet into a pod",
        "csr-bot": "has itself certified as",
        "ingress-nginx-controller": "reads a token Secret of ServiceAccount ci-runners/deployer",
        "oidc:developers": "privileged pod in web",
    }
    for name, how in ways.items():
        assert how in people.loc[name, "path"]
    # `get` on pods/exec is not enough in 1.36; edit in a restricted namespace leads nowhere; nobody is bound to view.
    assert {"oidc:qa", "oidc:payments-developers", "system:authenticated"}.isdisjoint(table["name"])
    assert not people.loc["csr-bot", "exists"]
    assert all(
        nx.has_path(graph, f"{r.kind} {r.namespace + '/' if r.namespace else ''}{r.name}", "cluster-admin")
        for r in table.itertuples()
    )
    shown = recorded.tables["escalation_paths"].set_index("identity")
    assert set(shown.index) == set(table["identity"])


RULES = [rules for _, rules, _ in WAYS.values()]
PIECES = st.lists(st.tuples(st.sampled_from(RULES), st.sampled_from(["", "web", "db"])), max_size=3)


@settings(max_examples=40, deadline=None)
@given(PIECES, PIECES)
def test_another_binding_never_closes_a_way(some, more):
    def reach(pieces):
        objects = list(WORLD)
        for n, (rules, namespace) in enumerate(pieces):
            objects += [role(f"r{n}", *rules), bind(f"r{n}", ANN, namespace=namespace)]
        table = Access.from_objects(objects).paths().table
        return set(table["identity"]), table.set_index("identity")["steps"]

    (before, steps), (after, fewer) = reach(some), reach([*some, *more])
    assert before <= after
    assert all(fewer[name] <= steps[name] for name in before)


def test_rights_that_are_all_only_together():
    every = {"apiGroups": ["*"], "resources": ["*"]}
    create, update = ({**every, "verbs": [verb]} for verb in ("create", "update"))
    access = Access.from_objects(
        [role("c", create), role("u", update), role("r", {**every, "verbs": ["get"]}), *(bind(r, ANN) for r in "cur")]
    )
    (row,) = access.paths().table.itertuples()
    assert (row.name, row.steps) == ("ann", 0)
    assert row.evidence == ["ClusterRoleBinding c-binding, ClusterRole c; ClusterRoleBinding u-binding, ClusterRole u"]
    assert access.effective_admins().binding.tolist() == ["c-binding", "u-binding"]
