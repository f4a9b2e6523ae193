"""What NetworkPolicies say of a pod, by the rules of networking/v1."""

import pytest

from auditkit import kinds
from auditkit.analysis.isolation import allows_all, applies, default_deny, isolated, selects


def policy(**spec):
    return kinds.of(
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": "p", "namespace": "web"},
            "spec": {"podSelector": {}, **spec},
        }
    )


@pytest.mark.parametrize(
    ("spec", "directions"),
    [
        ({}, {"Ingress"}),
        ({"policyTypes": []}, {"Ingress"}),
        ({"egress": []}, {"Ingress"}),
        ({"egress": [{}]}, {"Ingress", "Egress"}),
        ({"policyTypes": ["Egress"], "ingress": [{}]}, {"Egress"}),
        ({"policyTypes": ["Ingress"], "egress": [{}]}, {"Ingress"}),
    ],
)
def test_policy_types_default(spec, directions):
    assert {d for d in ("Ingress", "Egress") if applies(policy(**spec), d)} == directions


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, True),
        ({"from": []}, True),
        ({"from": None, "ports": None}, True),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0"}}]}, True),
        ({"from": [{"podSelector": {}}, {"ipBlock": {"cidr": "::/0"}}]}, True),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}}]}, False),
        (
            {
                "from": [
                    {"ipBlock": {"cidr": "0.0.0.0/0", "except": ["10.0.0.0/8"]}},
                    {"ipBlock": {"cidr": "10.0.0.0/8"}},
                ]
            },
            True,
        ),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["0.0.0.0/0"]}}]}, False),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["::/0"]}}]}, True),
        ({"from": [{"ipBlock": {"cidr": "0.0.0.0/0", "except": ["nothing"]}}]}, None),
        ({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}, False),
        ({"from": [{"ipBlock": {"cidr": "everything"}}]}, None),
        ({"from": [{"namespaceSelector": {}}]}, False),
        ({"from": [{"serviceSelector": {}}]}, None),
        ({"ports": [{"protocol": "TCP"}]}, True),
        ({"ports": [{"port": 1, "endPort": 65535}]}, True),
        ({"ports": [{"port": 30000, "endPort": 65535}, {"port": 1, "endPort": 30000}]}, True),
        ({"ports": [{"port": 1, "endPort": 30000}, {"port": 30002, "endPort": 65535}]}, False),
        ({"ports": [{"port": 1, "endPort": 30000}, {"protocol": "UDP", "port": 30001, "endPort": 65535}]}, False),
        ({"ports": [{"port": 443}]}, False),
        ({"ports": [{"port": "http"}]}, False),
        ({"ports": [{"portSet": "web"}]}, None),
        ({"unless": []}, None),
    ],
)
def test_a_rule_allows_all(rule, expected):
    assert allows_all(policy(ingress=[rule]), "Ingress") is expected


def test_no_rule_allows_nothing():
    for ingress in (None, []):
        assert allows_all(policy(ingress=ingress), "Ingress") is False
        assert default_deny(policy(ingress=ingress), "Ingress") is True
    assert default_deny(policy(), "Egress") is False
    assert default_deny(policy(podSelector={"matchLabels": {"a": "b"}}), "Ingress") is False
    assert default_deny(policy(ingress=[{"from": [{"podSelector": {}}]}]), "Ingress") is False
    assert default_deny(policy(podSelector={"matchFields": {}}), "Ingress") is None


def test_a_pod_selector_left_out_selects_all():
    assert selects(policy(podSelector=None), {"a": "b"}) is True


DENY, OPEN = policy(), policy(podSelector={"matchLabels": {"app": "open"}}, ingress=[{}])
ODD = policy(podSelector={"matchExpressions": [{"key": "app", "operator": "Like", "values": ["x"]}]})
ODD_OPEN = policy(podSelector={"matchFields": {"a": "b"}}, ingress=[{}])


@pytest.mark.parametrize(
    ("policies", "labels", "expected"),
    [
        ([], {}, False),
        ([DENY], {}, True),
        ([DENY, OPEN], {}, True),
        ([DENY, OPEN], {"app": "open"}, False),
        ([OPEN], {}, False),
        ([ODD], {}, None),
        ([DENY, ODD], {}, True),
        ([DENY, ODD_OPEN], {}, None),
        ([policy(policyTypes=["Egress"])], {}, False),
    ],
)
def test_isolation_adds_up(policies, labels, expected):
    assert isolated(policies, labels, "Ingress") is expected
