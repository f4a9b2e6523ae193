"""What keeps an answer from being known: other engines, networks that do not enforce, unknown members, missing lists."""

import pytest
from builders import snapshot
from test_reachability import CLUSTER, RED, expression, node, pod, policy, reach

from auditkit.analysis.connections import ASSERTED
from auditkit.analysis.reachability import Reachability
from auditkit.evaluate import Tables
from auditkit.kinds.network import CiliumNetworkPolicy, NetworkPolicy
from auditkit.kinds.platform import Namespace
from auditkit.kinds.workloads import DaemonSet, Pod

CALICO = {
    "apiVersion": "apps/v1",
    "kind": "DaemonSet",
    "metadata": {"name": "calico-node", "namespace": "kube-system"},
}
OTHER_ENGINES = [
    {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy"},
    {"apiVersion": "cilium.io/v2", "kind": "CiliumClusterwideNetworkPolicy"},
    {"apiVersion": "crd.projectcalico.org/v1", "kind": "NetworkPolicy"},
    {"apiVersion": "crd.projectcalico.org/v1", "kind": "GlobalNetworkPolicy"},
    {"apiVersion": "projectcalico.org/v3", "kind": "NetworkPolicy"},
    {"apiVersion": "crd.antrea.io/v1beta1", "kind": "NetworkPolicy"},
    {"apiVersion": "crd.antrea.io/v1beta1", "kind": "ClusterNetworkPolicy"},
    {"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "AdminNetworkPolicy"},
    {"apiVersion": "policy.networking.k8s.io/v1alpha1", "kind": "BaselineAdminNetworkPolicy"},
    {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy"},
]
IN_NAMESPACE = ("CiliumNetworkPolicy", "NetworkPolicy")


@pytest.mark.parametrize("other", OTHER_ENGINES, ids=lambda o: f"{o['apiVersion']} {o['kind']}")
@pytest.mark.parametrize("spec", [{}, {"ingress": [{}]}])
def test_policies_of_another_engine_leave_it_open(other, spec):
    where = {"namespace": "b"} if other["kind"] in IN_NAMESPACE else {}
    found = reach(policy(**spec), {**other, "metadata": {"name": "other", **where}})
    answer = found.why("a/web", "b/db", 1)
    assert answer.value is None and "another engine's policies" in answer.reason
    assert found.allowed("b/db", "b/db", 1) is None
    elsewhere = True if where else None  # a policy of a namespace decides about its pods alone
    assert found.allowed("a/web", "c/web", 1) is elsewhere
    isolated = found.isolation().set_index(["namespace", "direction"]).isolated
    assert isolated.loc["b"].isna().all() and isolated.loc["a"].isna().all() == (not where)


def test_the_other_end_still_decides():
    other = {"apiVersion": "cilium.io/v2", "kind": "CiliumNetworkPolicy", "metadata": {"name": "o", "namespace": "b"}}
    found = reach(other, policy("a/p", policyTypes=["Ingress", "Egress"]))
    assert found.allowed("a/web", "b/db", 1) is False
    assert found.allowed("b/db", "a/web", 1) is False
    assert found.allowed("b/db", "c/web", 1) is None


@pytest.mark.parametrize(
    ("daemon", "reason"),
    [
        ({}, "no known network plugin"),
        ({"name": "kube-flannel-ds"}, "flannel does not enforce"),
        ({"name": "kindnet"}, "kindnet enforces NetworkPolicy depends on"),
        ({"name": "aws-node"}, "aws-vpc-cni enforces NetworkPolicy depends on"),
    ],
)
def test_without_a_network_that_enforces_nothing_is_known(daemon, reason):
    daemons = [{**CALICO, "metadata": {**CALICO["metadata"], **daemon}}] if daemon else []
    found = reach(policy(), *daemons, enforced=None)
    for ends in (("a/web", "b/db"), ("a/web", "c/web"), ("b/db", "b/db"), ("9.9.9.9", "8.8.8.8")):
        answer = found.why(*ends, 1)
        assert answer.value is None and reason in answer.reason
    assert found.isolation().isolated.isna().all()
    assert found.matrix().isna().all(axis=None)
    asserted = reach(policy(), *daemons)
    assert asserted.allowed("a/web", "b/db", 1) is False and ASSERTED in asserted.why("a/web", "b/db", 1).readings


def test_the_caller_may_say_that_the_network_does_not_enforce():
    answer = reach(CALICO, policy(), enforced=False).why("a/web", "b/db", 1)
    assert answer.value is None and "asserts" in answer.reason


def test_a_network_that_enforces_is_known_by_its_daemon_set():
    found = reach(policy(), CALICO, enforced=None)
    assert (found.allowed("a/web", "b/db", 1), found.allowed("a/web", "c/web", 1)) == (False, True)
    lame = {**CALICO, "status": {"numberAvailable": 1}}
    assert "not available on every Linux node" in reach(lame, enforced=None).why("a/web", "b/db", 1).reason


def test_pods_on_windows_nodes_are_not_known():
    found = reach(CALICO, node("w", os="windows"), pod("b/win", node="w"), policy("a/p"), enforced=None)
    assert found.allowed("a/web", "b/win", 1) is None
    assert found.allowed("b/win", "a/web", 1) is False
    assert reach(node("w", os="windows"), pod("b/win", node="w")).allowed("a/web", "b/win", 1) is True


OPEN = {"from": [{"namespaceSelector": {}}]}
ODD_PEER = {"from": [{"podSelector": {}, "serviceSelector": {}}]}


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"ingress": [ODD_PEER]}, None),
        ({"ingress": [ODD_PEER, OPEN]}, True),  # an allow that is known stays one
        ({"ingress": [{**ODD_PEER, "ports": [{"port": 2}]}]}, False),  # the port is another
        ({"ingress": [{"from": [{}]}]}, None),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}]}, None),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0"}}]}]}, None),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["x"]}}]}]}, None),
        ({"ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "invert": True}}]}]}, None),
        ({"ingress": [{"from": [{"podSelector": expression("app", "Like", "w")}]}]}, False),  # another namespace
        ({"ingress": [{"from": [{"namespaceSelector": expression("team", "Like", "r")}]}]}, None),
        ({"ingress": [{"when": "always"}]}, None),
        ({"ingress": [{"ports": [{"portSet": "x"}]}]}, None),
        ({"ingress": [{"ports": [{"port": 1, "protocol": "ICMP"}]}]}, None),
        ({"ingress": [{"ports": [{"endPort": 1}]}]}, None),
        ({"ingress": [{"ports": [{"port": 9, "endPort": 1}]}]}, None),
        ({"ingress": [{"ports": [{"port": "pg", "endPort": 9}]}]}, None),
        ({"ingress": [{"ports": [{"port": "1"}]}]}, None),
        ({"podSelector": expression("app", "Like", "d")}, None),
        ({"podSelector": expression("app", "Like", "d"), "ingress": [OPEN]}, True),  # selected or not, it is allowed
        ({"podSelector": {"matchLabels": {"app": "x"}, "matchFields": {}}}, True),
        ({"tier": "security", "ingress": [OPEN]}, None),
        ({"policyTypes": ["Ingress", "Forward"], "ingress": [OPEN]}, None),
    ],
)  # fmt: skip
def test_what_is_not_known_or_refused_is_not_guessed(spec, expected):
    assert reach(policy(**spec)).allowed("a/web", "b/db", 1) is expected


def test_an_unknown_policy_beside_one_that_denies():
    odd = policy("b/odd", podSelector=expression("app", "Like", "d"), ingress=[OPEN])
    assert reach(policy(), odd).allowed("a/web", "b/db", 1) is None
    assert reach(policy(), odd).allowed("9.9.9.9", "b/db", 1) is False
    assert reach(policy(ingress=[OPEN]), policy("b/odd", podSelector=expression("a", "Like"))).allowed(
        "a/web", "b/db", 1
    )


def test_incomplete_lists():
    closed, open_ = policy(), policy(ingress=[OPEN])
    assert reach(missing=[NetworkPolicy]).allowed("a/web", "b/db", 1) is None
    assert reach(closed, missing=[NetworkPolicy]).allowed("a/web", "b/db", 1) is None
    assert "were not completely read" in reach(closed, missing=[NetworkPolicy]).why("9.9.9.9", "b/db", 1).reason
    out = policy("a/p", policyTypes=["Egress"], egress=[{}])
    assert reach(open_, out, missing=[NetworkPolicy]).allowed("a/web", "b/db", 1) is True
    assert reach(open_, missing=[Pod]).allowed("9.9.9.9", "b/db", 1) is None  # it may be a pod's
    assert reach(closed, missing=[Pod]).allowed("9.9.9.9", "b/db", 1) is False
    assert reach(open_, missing=[Pod]).allowed("a/web", "b/db", 1) is True
    assert reach(missing=[Pod]).allowed("a/web", "b/gone", 1) is None
    assert reach(missing=[CiliumNetworkPolicy]).allowed("a/web", "b/db", 1) is None
    assert "daemonsets" in reach(enforced=None, missing=[DaemonSet]).why("a/web", "b/db", 1).reason


def test_of_a_namespace_that_was_not_read_only_the_name_is_known():
    base = [one for one in CLUSTER if one["metadata"]["name"] != "a"]
    rules = {
        True: [{"namespaceSelector": {}}, {"namespaceSelector": expression("kubernetes.io/metadata.name", "In", "a")}],
        None: [{"namespaceSelector": RED}, {"namespaceSelector": expression("team", "DoesNotExist")}],
        False: [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "z", "team": "red"}}}],
    }
    for expected, peers in rules.items():
        for peer in peers:
            found = reach(policy(ingress=[{"from": [peer]}]), base=base, missing=[Namespace])
            assert found.allowed("a/web", "b/db", 1) is expected, peer


def test_addresses_that_are_not_known_leave_an_ip_block_open():
    found = reach(policy(ingress=[{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]), pod("a/new"))
    assert found.allowed("a/new", "b/db", 1) is None


def test_a_service_address_is_not_an_answer():
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "db", "namespace": "b"},
        "spec": {"clusterIP": "10.96.0.9"},
    }
    answer = reach(service).why("a/web", "10.96.0.9", 1)
    assert answer.value is None and "the Service b/db" in answer.reason


def test_from_tables_reads_what_was_not_collected():
    objects = [*CLUSTER, CALICO, policy()]
    objects = [{**o, "status": {"numberAvailable": 2}} if o["kind"] == "DaemonSet" else o for o in objects]
    whole = Reachability.from_tables(Tables(snapshot(objects)))
    assert (whole.allowed("a/web", "b/db", 1), whole.allowed("a/web", "c/web", 1)) == (False, True)
    part = Reachability.from_tables(Tables(snapshot(objects, missing=["networkpolicies.networking.k8s.io"])))
    assert part.allowed("a/web", "b/db", 1) is None
    unread = Reachability.from_tables(Tables(snapshot(objects, missing=["ciliumnetworkpolicies.cilium.io"])))
    assert "were not completely read: ciliumnetworkpolicies.cilium.io" in unread.why("a/web", "b/db", 1).reason
    unserved = snapshot(objects, missing=["ciliumnetworkpolicies.cilium.io"], state="not served")
    assert Reachability.from_tables(Tables(unserved)).allowed("a/web", "b/db", 1) is False
