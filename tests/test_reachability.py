"""Which connections are allowed: a table of situations for each rule of NetworkPolicy, and for each reading."""

import pytest
from click.testing import CliRunner

from auditkit.analysis.connections import ASSERTED, BLOCK, FAMILIES, FINISHED, NODE, SELF, TO_NODE
from auditkit.analysis.ends import ADDRESS, HOST_NETWORK, NODE_ADDRESS, RANGE
from auditkit.analysis.reachability import Reachability
from auditkit.cli import cli
from auditkit.errors import UsageError


def namespace(name, **labels):
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def pod(place, ips=(), *, labels=None, node="n1", phase="Running", **spec):
    home, name = place.split("/")
    status = {"phase": phase, "podIPs": [{"ip": ip} for ip in ips]}
    metadata = {"name": name, "namespace": home, "labels": labels or {"app": name}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"nodeName": node, **spec},
        "status": status,
    }


def policy(place="b/p", **spec):
    home, name = place.split("/")
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name, "namespace": home},
        "spec": {"podSelector": {}, **spec},
    }


def ports(*named):
    return [{"name": "c", "ports": [{"name": n, "containerPort": p, "protocol": t} for n, p, t in named]}]


def node(name, *ips, os="linux"):
    status = {"addresses": [{"type": "InternalIP", "address": ip} for ip in ips]}
    metadata = {"name": name, "labels": {"kubernetes.io/os": os}}
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "status": status}


# Namespace a has the label team=red, b team=blue, c none. Pod b/db is the target of most questions.
CLUSTER = [
    namespace("a", team="red"), namespace("b", team="blue"), namespace("c"),
    node("n1", "192.168.0.1"), node("n2", "192.168.0.2"),
    pod("a/web", ["10.0.0.1"], labels={"app": "web", "tier": "front"}, node="n2"),
    pod("b/web", ["10.0.1.1"], labels={"app": "web"}, node="n2"),
    pod("b/db", ["10.0.1.2"], containers=ports(("pg", 5432, None), ("dns", 53, "UDP"))),
    pod("c/web", ["10.0.2.1"], labels={"app": "web"}, node="n2"),
    pod("c/bare", ["10.0.2.2"], labels={"x": "y"}, node="n2"),
    pod("c/host", ["192.168.0.1"], hostNetwork=True), pod("c/far", ["192.168.0.2"], node="n2", hostNetwork=True),
]  # fmt: skip


def reach(*more, base=CLUSTER, enforced=True, missing=()):
    return Reachability.from_objects([*base, *more], enforced=enforced, missing=missing)


def test_without_policies_all_is_allowed():
    answer = reach().why("a/web", "b/db", 5432)
    assert (answer.value, answer.policies) == (True, ())
    assert "no policy isolates b/db for ingress" in answer.reason


@pytest.mark.parametrize(
    ("spec", "into", "out"),
    [
        ({}, False, True),  # policyTypes left out is Ingress
        ({"policyTypes": []}, False, True),
        ({"ingress": []}, False, True),
        ({"ingress": None}, False, True),
        ({"ingress": [{}]}, True, True),
        ({"ingress": [{"from": [], "ports": []}]}, True, True),
        ({"egress": []}, False, True),  # an empty egress does not add the direction
        ({"egress": [{}]}, False, True),
        ({"egress": [{"ports": [{"port": 1}]}]}, False, False),
        ({"policyTypes": ["Egress"]}, True, False),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, True, False),
        ({"policyTypes": ["Egress"], "egress": [{}]}, True, True),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, False, True),
        ({"policyTypes": ["Ingress", "Egress"]}, False, False),
        ({"podSelector": None}, False, True),  # left out selects all
        ({"podSelector": {"matchLabels": {"app": "other"}}}, True, True),
        ({"podSelector": {"matchLabels": {"app": "db"}}}, False, True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "In", "values": ["db"]}]}}, False, True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["db"]}]}}, True, True),
        ({"podSelector": {"matchExpressions": [{"key": "no", "operator": "NotIn", "values": ["x"]}]}}, False, True),
        ({"podSelector": {"matchExpressions": [{"key": "no", "operator": "DoesNotExist"}]}}, False, True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}}, True, True),
        ({"podSelector": {"matchExpressions": [{"key": "app", "operator": "Exists"}]}}, False, True),
    ],
)  # fmt: skip
def test_directions_and_whom_a_policy_selects(spec, into, out):
    found = reach(policy(**spec))
    assert found.allowed("a/web", "b/db", 5432) is into
    assert found.allowed("b/db", "a/web", 80) is out


RED, BLUE = {"matchLabels": {"team": "red"}}, {"matchLabels": {"team": "blue"}}
WEB = {"matchLabels": {"app": "web"}}


def expression(key, operator, *values):
    return {"matchExpressions": [{"key": key, "operator": operator, **({"values": list(values)} if values else {})}]}


@pytest.mark.parametrize(
    ("peers", "sources"),
    [
        ([], "a/web b/web c/web c/bare 9.9.9.9"),
        (None, "a/web b/web c/web c/bare 9.9.9.9"),
        ([{"podSelector": {}}], "b/web"),
        ([{"podSelector": WEB}], "b/web"),
        ([{"podSelector": {"matchLabels": {"app": "x"}}}], ""),
        ([{"namespaceSelector": {}}], "a/web b/web c/web c/bare"),
        ([{"namespaceSelector": RED}], "a/web"),
        ([{"namespaceSelector": {}, "podSelector": WEB}], "a/web b/web c/web"),
        ([{"namespaceSelector": BLUE, "podSelector": WEB}], "b/web"),
        ([{"namespaceSelector": RED, "podSelector": {}}], "a/web"),
        ([{"namespaceSelector": RED}, {"podSelector": WEB}], "a/web b/web"),
        ([{"namespaceSelector": expression("team", "DoesNotExist")}], "c/web c/bare"),
        ([{"namespaceSelector": expression("team", "NotIn", "red")}], "b/web c/web c/bare"),
        ([{"namespaceSelector": expression("kubernetes.io/metadata.name", "In", "c", "a")}], "a/web c/web c/bare"),
        ([{"namespaceSelector": {}, "podSelector": expression("app", "NotIn", "web")}], "c/bare"),
        ([{"namespaceSelector": {}, "podSelector": expression("tier", "Exists")}], "a/web"),
        ([{"ipBlock": {"cidr": "9.9.0.0/16"}}], "9.9.9.9"),
        ([{"ipBlock": {"cidr": "0.0.0.0/0"}}], "a/web b/web c/web c/bare 9.9.9.9"),
        ([{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/16", "9.9.9.9/32"]}}], ""),
        ([{"ipBlock": {"cidr": "10.0.0.0/16", "except": ["10.0.2.0/24"]}}], "a/web b/web"),
        ([{"ipBlock": {"cidr": "10.0.2.9/24", "except": ["10.0.2.2/32"]}}], "c/web"),
        ([{"ipBlock": {"cidr": "::/0"}}], ""),
    ],
)  # fmt: skip
@pytest.mark.parametrize("direction", ["ingress", "egress"])
def test_peers(peers, sources, direction):
    way, types = ("from", "Ingress") if direction == "ingress" else ("to", "Egress")
    found = reach(
        policy(podSelector={"matchLabels": {"app": "db"}}, policyTypes=[types], **{direction: [{way: peers}]})
    )
    for other in ("a/web", "b/web", "c/web", "c/bare", "9.9.9.9"):
        ends = (other, "b/db") if direction == "ingress" else ("b/db", other)
        assert found.allowed(*ends, 5432) is (other in sources.split()), other


@pytest.mark.parametrize(
    ("written", "opened"),
    [
        ([{"port": 5432}], {("TCP", 5432)}),
        ([{"protocol": "UDP", "port": 5432}], {("UDP", 5432)}),
        ([{"protocol": "SCTP", "port": 53}], {("SCTP", 53)}),
        ([{"protocol": "TCP"}], {("TCP", 53), ("TCP", 5432), ("TCP", 5433)}),
        ([{}], {("TCP", 53), ("TCP", 5432), ("TCP", 5433)}),
        ([{"protocol": "UDP"}, {"port": 53}], {("UDP", 53), ("UDP", 5432), ("UDP", 5433), ("TCP", 53)}),
        ([{"port": 5000, "endPort": 5432}], {("TCP", 5432)}),
        ([{"port": 5433, "endPort": 5433}], {("TCP", 5433)}),
        ([{"port": "pg"}], {("TCP", 5432)}),
        ([{"port": "pg", "protocol": "UDP"}], set()),  # the name is that of a TCP port
        ([{"port": "dns", "protocol": "UDP"}], {("UDP", 53)}),
        ([{"port": "no-such"}], set()),
    ],
)
def test_ports(written, opened):
    found = reach(policy(ingress=[{"ports": written}]))
    asked = {(protocol, port) for protocol in ("TCP", "UDP", "SCTP") for port in (53, 5432, 5433)}
    assert {(t, n) for t, n in asked if found.allowed("a/web", "b/db", n, t)} == opened
    assert all(found.allowed("a/web", "b/db", n, t) is False for t, n in asked - opened)


def test_a_named_port_is_that_of_each_target():
    out = policy("a/p", policyTypes=["Egress"], egress=[{"ports": [{"port": "pg"}]}])
    other = pod("b/other", ["10.0.1.9"], containers=ports(("pg", 6000, "TCP")))
    found = reach(out, other)
    assert [found.allowed("a/web", t, n) for t in ("b/db", "b/other") for n in (5432, 6000)] == [
        True,
        False,
        False,
        True,
    ]
    assert found.allowed("a/web", "9.9.9.9", 5432) is False
    assert found.allowed("c/web", "b/other", "pg") is True
    with pytest.raises(UsageError, match="no TCP port named 'http'"):
        found.allowed("c/web", "b/other", "http")


def test_named_ports_are_of_containers_and_sidecars_not_of_init_containers():
    init = [{**ports(("old", 1, None))[0]}, {**ports(("mesh", 2, None))[0], "restartPolicy": "Always"}]
    rule = policy("b/p", ingress=[{"ports": [{"port": "old"}, {"port": "mesh"}]}])
    found = reach(rule, pod("b/x", initContainers=init))
    assert [found.allowed("a/web", "b/x", port) for port in (1, 2)] == [False, True]


def test_policies_add_up_and_both_ends_must_allow():
    deny, allow = policy("b/deny"), policy("b/allow", ingress=[{"from": [{"namespaceSelector": RED}]}])
    assert reach(deny).why("a/web", "b/db", 1).policies == ("b/deny",)
    assert reach(deny, allow).why("a/web", "b/db", 1).policies == ("b/allow ingress[0]",)
    out = policy("a/out", policyTypes=["Egress"])
    found = reach(deny, allow, out)
    assert (found.allowed("a/web", "b/db", 1), found.why("a/web", "b/db", 1).policies) == (False, ("a/out",))
    assert found.allowed("b/db", "a/web", 1) is True


def test_a_pod_reaches_itself_and_an_address_of_a_pod_is_that_pod():
    found = reach(policy(policyTypes=["Ingress", "Egress"]))
    for ends in (("b/db", "b/db"), ("10.0.1.2", "b/db"), ("b/db", "10.0.1.2"), ("10.0.1.2/32", "10.0.1.2")):
        answer = found.why(*ends, 5432)
        assert (answer.value, SELF in answer.readings) == (True, True)
        assert (ADDRESS in answer.readings) == (ends != ("b/db", "b/db"))
    assert found.allowed("b/db", "b/web", 5432) is False
    inside = reach(policy(ingress=[{"from": [{"podSelector": WEB}]}]))
    assert inside.allowed("10.0.1.1", "10.0.1.2", 1) is True
    assert inside.allowed("10.0.0.1", "10.0.1.2", 1) is False


def test_host_network_is_the_node():
    deny = policy(policyTypes=["Ingress", "Egress"])
    host = policy("c/p", policyTypes=["Ingress", "Egress"])
    found = reach(deny, host)
    assert found.allowed("c/host", "9.9.9.9", 1) is True  # no policy acts on it
    assert found.allowed("9.9.9.9", "c/host", 1) is True
    near, far = found.why("c/host", "b/db", 1), found.why("c/far", "b/db", 1)
    assert (near.value, far.value) == (True, False)
    assert NODE in near.readings and HOST_NETWORK in far.readings
    assert found.allowed("192.168.0.1", "b/db", 1) is True
    assert found.allowed("192.168.0.2", "b/db", 1) is False
    assert found.allowed("b/db", "c/host", 1) is False
    assert (
        TO_NODE in found.why("b/db", "c/host", 1).readings and TO_NODE in found.why("b/db", "192.168.0.1", 1).readings
    )
    assert TO_NODE not in found.why("b/db", "c/far", 1).readings
    selected = reach(policy(ingress=[{"from": [{"namespaceSelector": {}}]}]))
    assert selected.allowed("c/far", "b/db", 1) is False
    by_address = reach(policy(ingress=[{"from": [{"ipBlock": {"cidr": "192.168.0.2/32"}}]}]))
    assert by_address.allowed("c/far", "b/db", 1) is True
    assert NODE_ADDRESS in by_address.why("192.168.0.2", "b/db", 1).readings


def test_host_network_without_addresses_of_its_own_has_those_of_its_node():
    found = reach(
        policy(ingress=[{"from": [{"ipBlock": {"cidr": "192.168.0.2/32"}}]}]), pod("c/h", node="n2", hostNetwork=True)
    )
    assert found.allowed("c/h", "b/db", 1) is True
    other = pod("c/h", ["172.16.0.9"], node="n2", hostNetwork=True)
    assert (
        reach(policy(ingress=[{"from": [{"ipBlock": {"cidr": "172.16.0.0/16"}}]}]), other).allowed("c/h", "b/db", 1)
        is False
    )


def test_the_node_is_known_by_host_ip_too():
    target = pod("b/x", ["10.0.1.8"], node=None)
    target["status"]["hostIP"] = "192.168.9.9"
    found = reach(policy(), target)
    assert found.allowed("192.168.9.9", "b/x", 1) is True
    assert found.allowed("192.168.9.9", "b/db", 1) is False
    target["status"]["hostIP"] = "192.168.0.1"  # that of the Node n1, where b/db and c/host run
    found = reach(policy(), target)
    for source in ("192.168.0.1", "c/host"):
        assert found.allowed(source, "b/x", 1) is True and found.allowed(source, "b/db", 1) is True
    base = [one for one in CLUSTER if one["kind"] != "Node"]
    assert reach(policy(), base=base).allowed("192.168.0.1", "b/db", 1) is True  # the address of c/host


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_has_no_network(phase):
    found = reach(pod("b/job", ["10.0.1.1"], phase=phase))
    for ends in (("b/job", "a/web"), ("a/web", "b/job"), ("b/job", "b/job")):
        answer = found.why(*ends, 1)
        assert (answer.value, FINISHED in answer.readings) == (False, True)
    assert found.why("10.0.1.1", "a/web", 1).readings[0] == ADDRESS  # the address is b/web's now


def test_ranges():
    block = {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}
    found = reach(policy(ingress=[{"from": [{"ipBlock": block}]}]))
    asked = {
        "203.0.113.0/25": True, "203.0.113.64/26": True, "203.0.113.7": True, "203.0.113.128/25": False,
        "203.0.113.192/26": False, "203.0.113.0/24": None, "0.0.0.0/0": None, "198.51.100.0/24": False, "::/0": False,
    }  # fmt: skip
    assert {text: found.allowed(text, "b/db", 1) for text in asked} == asked
    out = reach(policy(policyTypes=["Egress"], egress=[{"to": [{"ipBlock": block}]}]))
    assert {text: out.allowed("b/db", text, 1) for text in asked} == asked
    assert RANGE in found.why("0.0.0.0/0", "b/db", 1).readings
    assert reach(policy()).allowed("0.0.0.0/0", "b/db", 1) is False
    assert reach().allowed("10.0.0.0/8", "0.0.0.0/0", 1) is True


def test_a_range_is_what_is_no_pod_and_a_range_of_pods_alone_is_those():
    found = reach(policy(ingress=[{"from": [{"namespaceSelector": {}}]}]), pod("c/next", ["10.0.2.0"]))
    assert found.allowed("10.0.2.0/24", "b/db", 1) is False
    assert found.allowed("10.0.2.0/31", "b/db", 1) is True


def test_address_families():
    six, both = pod("a/six", ["fd00::1"]), pod("a/both", ["10.0.0.7", "fd00::7"])
    target = pod("b/both", ["10.0.1.7", "fd00:1::7"])
    rule = {"from": [{"ipBlock": {"cidr": "fd00::/112", "except": ["fd00::2/128"]}}]}
    found = reach(policy(ingress=[rule]), six, both, target)
    assert found.allowed("a/six", "b/both", 1) is True
    assert found.allowed("a/web", "b/both", 1) is False
    assert found.allowed("fd00::2", "b/both", 1) is False
    assert found.allowed("::ffff:10.0.0.1", "b/both", 1) is False
    assert FAMILIES in found.why("a/both", "b/both", 1).readings
    # Out over IPv4 alone, in over IPv6 alone: no connection.
    out = policy("a/out", policyTypes=["Egress"], egress=[{"to": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}])
    assert reach(policy(ingress=[rule]), out, both, target).allowed("a/both", "b/both", 1) is False


def test_an_answer_says_what_it_hangs_on():
    block = {"from": [{"ipBlock": {"cidr": "10.0.0.0/16"}}]}
    answer = reach(policy(ingress=[block])).why("a/web", "b/db", 1)
    assert answer.readings == (BLOCK, ASSERTED)
    assert str(answer).splitlines()[1:] == ["policy: b/p ingress[0]", f"reading: {BLOCK}", f"reading: {ASSERTED}"]


@pytest.mark.parametrize(
    ("ends", "fault"),
    [
        (("a/none", "b/db", 1), "no pod 'a/none'"),
        (("web", "b/db", 1), "no pod 'web'"),
        (("10.0.0.0/40", "b/db", 1), "no pod"),
        (("a/web", "b/db", 0), "no port 0"),
        (("a/web", "b/db", 65536), "no port 65536"),
        (("a/web", "b/db", 1, "ICMP"), "no protocol 'ICMP'"),
    ],
)
def test_questions_that_are_none(ends, fault):
    with pytest.raises(UsageError, match=fault):
        reach().allowed(*ends)


NOT_DB = {"matchLabels": {"app": "db"}, **expression("app", "NotIn", "db")}


@pytest.mark.parametrize(
    ("spec", "host", "direction", "isolated", "allows_all"),
    [
        ({"podSelector": expression("app", "Exists")}, False, "Ingress", True, False),  # by expression only
        ({"podSelector": NOT_DB}, False, "Ingress", False, False),  # its label is named, but not selected
        ({"ingress": [{}]}, False, "Ingress", True, True),  # it isolates in name only
        ({}, True, "Ingress", False, False),  # hostNetwork
        ({}, False, "Egress", False, False),  # Ingress only
        ({"egress": [{}]}, False, "Egress", True, True),
        ({"egress": [{"ports": [{"port": 9}]}]}, False, "Egress", True, False),  # without policyTypes
    ],
)
def test_situations_that_scanners_get_wrong(spec, host, direction, isolated, allows_all):
    """Kubescape's C-0260 (the first four) and C-0030 (the rest) say the opposite of each."""
    found = reach(policy(**spec), pod("b/db", ["10.0.1.2"], hostNetwork=host, node="n1"), base=CLUSTER[:6])
    row = found.isolation().set_index(["namespace", "pod", "direction"]).loc[("b", "db", direction)]
    assert (bool(row.isolated), bool(row.allows_all)) == (isolated, allows_all)
    ends = ("a/web", "b/db") if direction == "Ingress" else ("b/db", "a/web")
    assert found.allowed(*ends, 1) is (not isolated or allows_all)


@pytest.mark.parametrize(
    ("target", "code", "first"),
    [
        ("payments/payments-api-84b9477bc7-6fx9c:http", 0, "allowed: no policy isolates web/storefront"),
        ("payments/payments-api-84b9477bc7-6fx9c:9", 0, "not allowed: policies isolate payments/payments-api"),
        ("analytics/clickhouse-0:9000", 3, "not known: another engine's policies are there"),
    ],
)
def test_the_verb(recordings, target, code, first):
    source = "web/storefront-7b649b46cb-7gm8g"
    path = str(recordings / "northwind-prod" / "2026-10-31")
    done = CliRunner().invoke(cli, ["reach", source, target, path], standalone_mode=False)
    assert done.output.startswith(first)
    assert done.return_value == code


def test_the_verb_wants_a_port(recordings):
    done = CliRunner().invoke(cli, ["reach", "a/b", "c/d", str(recordings)], standalone_mode=False)
    assert isinstance(done.exception, UsageError) and "name the port" in str(done.exception)
