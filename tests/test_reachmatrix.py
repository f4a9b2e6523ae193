"""Random small clusters: answers and matrices against a naive oracle, and what adding a rule or a policy may change."""

import ipaddress
from itertools import product
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import auditkit as ak
from auditkit.analysis.reachability import Reachability
from auditkit.errors import UsageError
from auditkit.kinds.network import NetworkPolicy

NAMES = ("a", "b")
TEAMS = {"a": {"team": "red"}, "b": {"team": "blue", "stage": "x"}}
ADDRESSES = ["10.0.0.1", "10.0.0.2", "10.0.1.1", "10.0.1.2", "fd00::1", "fd00::2"]
NODES = {"n1": "192.168.0.1", "n2": "192.168.0.2"}
OUTSIDE = ("10.0.1.9", "9.9.9.9", "192.168.0.1")
PORTS = (79, 80, 81, 8080, 9000)

requirements = st.one_of(
    st.builds(
        lambda key, op, values: {"key": key, "operator": op, "values": values},
        st.sampled_from(["app", "tier", "team"]),
        st.sampled_from(["In", "NotIn"]),
        st.lists(st.sampled_from(["web", "db", "red"]), min_size=1, max_size=2),
    ),
    st.builds(
        lambda key, op: {"key": key, "operator": op},
        st.sampled_from(["app", "tier", "team", "stage"]),
        st.sampled_from(["Exists", "DoesNotExist"]),
    ),
)
selectors = st.builds(
    lambda labels, found: {
        **({"matchLabels": labels} if labels else {}),
        **({"matchExpressions": found} if found else {}),
    },
    st.dictionaries(st.sampled_from(["app", "tier", "team"]), st.sampled_from(["web", "db", "red"]), max_size=1),
    st.lists(requirements, max_size=1),
)
blocks = st.sampled_from(
    [
        {"cidr": "10.0.0.0/24"},
        {"cidr": "10.0.0.0/16", "except": ["10.0.1.0/24"]},
        {"cidr": "0.0.0.0/0", "except": ["10.0.0.2/32", "9.0.0.0/8"]},
        {"cidr": "192.168.0.0/31"},
        {"cidr": "fd00::/64", "except": ["fd00::2/128"]},
    ]
)
peers = st.one_of(
    st.builds(lambda s: {"podSelector": s}, selectors),
    st.builds(lambda s: {"namespaceSelector": s}, selectors),
    st.builds(lambda p, n: {"podSelector": p, "namespaceSelector": n}, selectors, selectors),
    st.builds(lambda b: {"ipBlock": b}, blocks),
)
policy_ports = st.sampled_from(
    [
        {"port": 80}, {"port": 79, "endPort": 81}, {"port": "http"}, {"port": "http", "protocol": "UDP"},
        {"protocol": "UDP"}, {"protocol": "TCP", "port": 9000}, {"protocol": "SCTP", "port": 80}, {},
    ]
)  # fmt: skip


def rules(way):
    return st.builds(
        lambda found, opened: {**({way: found} if found is not None else {}), **({"ports": opened} if opened else {})},
        st.none() | st.lists(peers, max_size=2),
        st.lists(policy_ports, max_size=2),
    )


def made(kind, version, name, namespace="", **more):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **more.pop("metadata", {})}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **more}


@st.composite
def policies(draw, size=3):
    found = []
    for n in range(draw(st.integers(0, size))):
        spec = {"podSelector": draw(selectors)}
        for direction, way in (("ingress", "from"), ("egress", "to")):
            if draw(st.booleans()):
                spec[direction] = draw(st.lists(rules(way), max_size=2))
        types = draw(st.sampled_from([None, ["Ingress"], ["Egress"], ["Ingress", "Egress"]]))
        spec |= {"policyTypes": types} if types else {}
        found.append(made("NetworkPolicy", "networking.k8s.io/v1", f"p{n}", draw(st.sampled_from(NAMES)), spec=spec))
    return found


@st.composite
def pods(draw):
    found = []
    free = draw(st.permutations(ADDRESSES))
    for n in range(draw(st.integers(2, 4))):
        node, host = draw(st.sampled_from(sorted(NODES))), draw(st.integers(0, 4)) == 0
        ips = [NODES[node]] if host else [free.pop() for _ in range(draw(st.integers(1, 2)) if len(free) > 3 else 1)]
        labels = draw(st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["web", "db"]), max_size=2))
        port = {"name": "http", "containerPort": draw(st.sampled_from([80, 8080]))}
        port |= draw(st.sampled_from([{}, {"protocol": "UDP"}]))
        spec = {"nodeName": node, "hostNetwork": host, "containers": [{"name": "c", "ports": [port]}]}
        phase = draw(st.sampled_from(["Running", "Running", "Running", "Succeeded"]))
        status = {"phase": phase, "podIPs": [{"ip": ip} for ip in ips], "hostIP": NODES[node]}
        place = {"namespace": draw(st.sampled_from(NAMES)), "metadata": {"labels": labels}}
        found.append(made("Pod", "v1", f"pod{n}", **place, spec=spec, status=status))
    return found


FIXED = [made("Namespace", "v1", name, metadata={"labels": labels}) for name, labels in TEAMS.items()]


# The oracle: two-valued, on the manifests themselves, written from the documentation of networking/v1 alone.


def selected(selector, labels):
    for key, value in selector.get("matchLabels", {}).items():
        if labels.get(key) != value:
            return False
    for one in selector.get("matchExpressions", []):
        key, there = one["key"], one["key"] in labels
        right = {
            "In": there and labels[key] in one.get("values", []),
            "NotIn": not there or labels[key] not in one.get("values", []),
            "Exists": there,
            "DoesNotExist": not there,
        }[one["operator"]]
        if not right:
            return False
    return True


def is_pod(end):
    return isinstance(end, dict) and not end["spec"]["hostNetwork"]


def ips(end):
    return [one["ip"] for one in end["status"]["podIPs"]] if isinstance(end, dict) else [end]


def in_block(block, ip):
    inside = ipaddress.ip_address(ip) in ipaddress.ip_network(block["cidr"])
    return inside and not any(ipaddress.ip_address(ip) in ipaddress.ip_network(e) for e in block.get("except", []))


def peer_matches(peer, home, end, seen):
    if "ipBlock" in peer:
        return any(in_block(peer["ipBlock"], ip) for ip in seen)
    if not is_pod(end):
        return False
    place, labels = end["metadata"]["namespace"], end["metadata"]["labels"]
    if "namespaceSelector" in peer:
        if not selected(peer["namespaceSelector"], {**TEAMS[place], "kubernetes.io/metadata.name": place}):
            return False
    elif place != home:
        return False
    return selected(peer.get("podSelector", {}), labels)


def port_matches(entry, target, port, protocol):
    if entry.get("protocol", "TCP") != protocol:
        return False
    if "port" not in entry:
        return True
    if isinstance(entry["port"], str):
        named = target["spec"]["containers"][0]["ports"] if is_pod(target) else []
        return any(
            n["name"] == entry["port"] and n["containerPort"] == port and n.get("protocol", "TCP") == protocol
            for n in named
        )
    return entry["port"] <= port <= entry.get("endPort", entry["port"])


def side(found, direction, end, other, seen, target, port, protocol):
    if not is_pod(end):
        return True
    if direction == "Ingress" and not is_pod(other) and NODES[end["spec"]["nodeName"]] in ips(other):
        return True
    isolated = False
    for one in found:
        spec = one["spec"]
        types = spec.get("policyTypes") or (["Ingress", "Egress"] if spec.get("egress") else ["Ingress"])
        here = one["metadata"]["namespace"] == end["metadata"]["namespace"]
        if not here or direction not in types or not selected(spec["podSelector"], end["metadata"]["labels"]):
            continue
        isolated = True
        for rule in spec.get(direction.lower(), []):
            named = rule.get("from" if direction == "Ingress" else "to")
            if named and not any(peer_matches(p, end["metadata"]["namespace"], other, seen) for p in named):
                continue
            if not rule.get("ports") or any(port_matches(p, target, port, protocol) for p in rule["ports"]):
                return True
    return not isolated


def oracle(found, source, target, port, protocol):
    if any(isinstance(end, dict) and end["status"]["phase"] == "Succeeded" for end in (source, target)):
        return False
    if source is target:
        return True
    versions = [{ipaddress.ip_address(ip).version for ip in ips(end)} for end in (source, target)]
    for version in sorted(versions[0] & versions[1]) or [None]:
        seen_source, seen_target = (
            [ip for ip in ips(end) if version in (None, ipaddress.ip_address(ip).version)] for end in (source, target)
        )
        if side(found, "Egress", source, target, seen_target, target, port, protocol) and side(
            found, "Ingress", target, source, seen_source, target, port, protocol
        ):
            return True
    return False


def name(end):
    return f"{end['metadata']['namespace']}/{end['metadata']['name']}" if isinstance(end, dict) else end


@settings(max_examples=200, deadline=None)
@given(pods(), policies())
def test_answers_are_those_of_the_oracle(running, found):
    reach = Reachability.from_objects([*FIXED, *running, *found], enforced=True)
    for source, target in product([*running, *OUTSIDE], repeat=2):
        for port, protocol in ((80, "TCP"), (8080, "TCP"), (80, "UDP"), (9000, "TCP"), (80, "SCTP")):
            expected = oracle(found, source, target, port, protocol)
            assert reach.allowed(name(source), name(target), port, protocol) is expected


@settings(max_examples=80, deadline=None)
@given(pods(), policies())
def test_the_matrix_is_that_of_the_oracle(running, found):
    reach = Reachability.from_objects([*FIXED, *running, *found], enforced=True)
    live = [one for one in running if one["status"]["phase"] == "Running"]
    by_workload, by_namespace = reach.matrix(), reach.matrix(by="namespace")
    assert list(by_workload) == sorted(f"{one['metadata']['namespace']}/Pod/{one['metadata']['name']}" for one in live)
    reached = set()
    for source, target in product(live, repeat=2):
        if source is not target:
            asked = product((*PORTS, 1), ("TCP", "UDP", "SCTP"))
            expected = any(oracle(found, source, target, port, protocol) for port, protocol in asked)
            row, column = (f"{o['metadata']['namespace']}/Pod/{o['metadata']['name']}" for o in (source, target))
            assert bool(by_workload.loc[row, column]) is expected
            reached |= {(source["metadata"]["namespace"], target["metadata"]["namespace"])} if expected else set()
    for pair in product({one["metadata"]["namespace"] for one in live}, repeat=2):
        if pair[0] != pair[1]:
            assert bool(by_namespace.loc[pair]) is (pair in reached)


@settings(max_examples=80, deadline=None)
@given(pods(), policies(), st.data())
def test_a_rule_more_never_closes(running, found, data):
    if not found:
        return
    chosen = data.draw(st.integers(0, len(found) - 1))
    direction, way = data.draw(st.sampled_from([("ingress", "from"), ("egress", "to")]))
    spec = found[chosen]["spec"]
    if direction == "egress" and not spec.get("policyTypes") and not spec.get("egress"):
        return  # the first egress rule adds a direction, which is more than a rule
    more = [dict(one) for one in found]
    more[chosen]["spec"] = {**spec, direction: [*spec.get(direction, []), data.draw(rules(way))]}
    before, after = (Reachability.from_objects([*FIXED, *running, *p], enforced=True) for p in (found, more))
    for source, target in product([*running, *OUTSIDE], repeat=2):
        for port in (80, 8080):
            asked = (name(source), name(target), port)
            assert after.allowed(*asked) or not before.allowed(*asked)


@settings(max_examples=80, deadline=None)
@given(pods(), policies(), policies(size=1), st.data())
def test_a_policy_more_opens_only_what_its_own_rules_name(running, found, added, data):
    for extra in added:
        extra["metadata"]["name"] = "added"
        before, after, alone = (
            Reachability.from_objects([*FIXED, *running, *p], enforced=True) for p in (found, [*found, extra], [extra])
        )
        for source, target in product([*running, *OUTSIDE], repeat=2):
            asked = (name(source), name(target), data.draw(st.sampled_from(PORTS)))
            if after.allowed(*asked) and not before.allowed(*asked):
                assert alone.allowed(*asked)


@settings(max_examples=80, deadline=None)
@given(pods(), policies(), policies(size=1))
def test_what_is_certain_stays_so_whatever_policy_was_not_collected(running, found, hidden):
    part = Reachability.from_objects([*FIXED, *running, *found], enforced=True, missing=[NetworkPolicy])
    whole = Reachability.from_objects([*FIXED, *running, *found, *hidden], enforced=True)
    for source, target in product([*running, *OUTSIDE], repeat=2):
        answer = part.allowed(name(source), name(target), 80)
        assert answer is None or answer is whole.allowed(name(source), name(target), 80)
    sure, true = part.matrix(), whole.matrix()
    assert (sure.isna() | (sure == true)).all(axis=None)


@st.composite
def odd_and_what_it_may_mean(draw):
    """Policies with members that are not known, and the same policies with something known in their place."""
    found, meant = draw(policies()), []
    for one in found:
        spec = one["spec"]
        known = {key: list(value) if isinstance(value, list) else value for key, value in spec.items()}
        what = draw(st.sampled_from(["", "peer", "port", "rule", "selector"]))
        direction, way = draw(st.sampled_from([("ingress", "from"), ("egress", "to")]))
        if what == "selector":
            spec["podSelector"] = {"matchExpressions": [{"key": "app", "operator": "Like", "values": ["web"]}]}
            known["podSelector"] = draw(selectors)
        elif what and spec.get(direction):
            rule = draw(rules(way))
            odd = {
                "peer": {**rule, way: [{"podSelector": {}, "users": ["ann"]}]},
                "port": {**rule, "ports": [{"portSet": "web"}]},
                "rule": {**rule, "when": "always"},
            }[what]
            means = {
                "peer": {**rule, way: [draw(peers)]},
                "port": {**rule, "ports": [draw(policy_ports)]},
                "rule": draw(rules(way)),
            }[what]
            spec[direction] = [*spec[direction], odd]
            known[direction] = [*known[direction], means]
        meant.append({**one, "spec": known})
    return found, meant


@settings(max_examples=80, deadline=None)
@given(pods(), odd_and_what_it_may_mean())
def test_what_is_certain_stays_so_whatever_an_unknown_member_means(running, both):
    odd, meant = (Reachability.from_objects([*FIXED, *running, *p], enforced=True) for p in both)
    live = [one for one in running if one["status"]["phase"] == "Running"]
    matrix = odd.matrix()
    for source, target in product(live, repeat=2):
        if source is not target:
            asked = product((*PORTS, 1), ("TCP", "UDP", "SCTP"))
            answers = {ask: odd.allowed(name(source), name(target), *ask) for ask in asked}
            for ask, answer in answers.items():
                assert answer is None or answer is meant.allowed(name(source), name(target), *ask)
            row, column = (f"{o['metadata']['namespace']}/Pod/{o['metadata']['name']}" for o in (source, target))
            cell, said = matrix.loc[row, column], set(answers.values())
            expected = True if True in said else None if None in said else False
            assert (None if cell is pd.NA else bool(cell)) is expected


def test_unknown_members_in_the_matrix_are_as_in_the_answers():
    labels = {"labels": {"app": "db"}}
    running = [made("Pod", "v1", n, ns, metadata=labels) for n, ns in (("x", "a"), ("y", "b"), ("z", "b"))]
    odd = {"matchExpressions": [{"key": "app", "operator": "Like"}]}
    specs = {
        None: {"podSelector": {}, "ingress": [{"from": [{"namespaceSelector": {}, "users": []}]}]},
        True: {"podSelector": odd, "ingress": [{}]},
        False: {"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"from": [{"podSelector": odd}]}]},
    }
    for expected, spec in specs.items():
        policy = made("NetworkPolicy", "networking.k8s.io/v1", "p", "b", spec=spec)
        reach = Reachability.from_objects([*FIXED, *running, policy], enforced=True)
        cell = reach.matrix().loc["a/Pod/x", "b/Pod/y"]
        assert (None if cell is pd.NA else bool(cell)) is expected
        assert reach.allowed("a/x", "b/y", 80) is expected


def test_a_workload_without_pods_is_its_template():
    template = {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": []}}
    deployment = made("Deployment", "apps/v1", "web", "a", spec={"replicas": 0, "template": template})
    only = {"podSelector": {}, "ingress": [{"from": [{"podSelector": {"matchLabels": {"app": "web"}}}]}]}
    policy = made("NetworkPolicy", "networking.k8s.io/v1", "p", "a", spec=only)
    other = made("Pod", "v1", "db", "a", metadata={"labels": {"app": "db"}})
    matrix = Reachability.from_objects([*FIXED, deployment, policy, other], enforced=True).matrix()
    assert matrix.loc["a/Deployment/web", "a/Pod/db"]
    assert not matrix.loc["a/Pod/db", "a/Deployment/web"]
    with pytest.raises(UsageError, match="by workload or namespace"):
        Reachability.from_objects([], enforced=True).matrix(by="pod")


def test_an_empty_cluster_has_an_empty_matrix():
    assert Reachability.from_objects(FIXED, enforced=True).matrix().shape == (0, 0)


@pytest.fixture(scope="module")
def recorded(recordings: Path) -> Reachability:
    return Reachability.from_tables(ak.capture(path=recordings / "northwind-prod" / "2026-10-31").tables)


def test_the_recorded_cluster(recorded):
    """What expected.csv says of E01 to E10, as connections."""
    matrix = recorded.matrix(by="namespace")
    assert matrix.loc["web", "staging"] and not matrix.loc["argocd", "staging"]  # E10
    assert matrix.loc["argocd", "legacy"] and matrix.loc["argocd", "web"]  # E01, E07
    assert matrix["analytics"].drop("payments").loc["argocd"] is pd.NA  # E09: a Cilium policy beside Calico
    inside = recorded.matrix().filter(like="payments/").filter(like="payments/", axis=0)
    assert inside.shape == (5, 5)
    assert not inside.any(axis=None) and not inside.isna().any(axis=None)
    by_pod = recorded.isolation().set_index(["namespace", "direction"])
    assert by_pod.loc[("payments", "Ingress")].isolated.dropna().all()
    web = recorded.isolation().query("namespace == 'web' and pod.str.startswith('storefront')")
    assert not web[web.direction == "Egress"].isolated.any()  # E04
    assert web[web.direction == "Ingress"].allows_all.all()


def test_who_reaches_payments(recorded):
    matrix = recorded.matrix()
    reaching = matrix.index[matrix["payments/Deployment/payments-api"].fillna(False).astype(bool)]
    assert {one for one in reaching if one.startswith("web/")} == {"web/Deployment/storefront"}
    others = {one.split("/")[0] for one in reaching} - {"web"}
    assert others == {"kube-system", "monitoring"}  # hostNetwork pods, by their own node


def test_the_default_deny_that_was_deleted(recordings: Path):
    reach = Reachability.from_tables(ak.capture(path=recordings / "northwind-prod" / "2026-08-15").tables)
    inside = reach.matrix()["payments/Deployment/settlement"].dropna()
    assert inside.any()  # E05: nothing isolates ingress there any more
