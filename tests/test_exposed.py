"""What the outside reaches, and through what."""

import pandas as pd
import pytest
from test_reachability import CLUSTER, namespace, pod, policy, ports

import auditkit as ak
from auditkit.analysis.reachability import Reachability

NGINX = {"image": "registry.k8s.io/ingress-nginx/controller:v1", "name": "c"}
APP = pod("b/app", ["10.0.1.7"], containers=ports(("http", 8080, None)))


def service(name, selector, *opened, home="b", **spec):
    written = [{"port": 80, "targetPort": "http", "nodePort": 30080}, *opened][-1]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": home},
        "spec": {"selector": {"app": selector}, "ports": [written], **spec},
    }


def ingress(class_name, backend="app", home="b"):
    paths = [{"path": "/", "backend": {"service": {"name": backend}}}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "in", "namespace": home},
        "spec": {"ingressClassName": class_name, "rules": [{"http": {"paths": paths}}]},
    }


def ingress_class(name, controller):
    metadata, spec = {"name": name}, {"controller": controller}
    return {"apiVersion": "networking.k8s.io/v1", "kind": "IngressClass", "metadata": metadata, "spec": spec}


def exposed(*objects, kind=None):
    frame = Reachability.from_objects([namespace("b"), *objects], enforced=True).exposed()
    return frame if kind is None else frame[frame.through_kind == kind]


def told(value):
    return None if pd.isna(value) else bool(value)


@pytest.mark.parametrize(
    ("spec", "ways"),
    [
        ({"type": "LoadBalancer"}, {"LoadBalancer", "NodePort"}),
        ({"type": "NodePort"}, {"NodePort"}),
        ({"type": "ExternalName", "externalName": "x.example"}, set()),
    ],
)
def test_ways_of_a_service(spec, ways):
    frame = exposed(APP, service("app", "app", **spec))
    assert set(frame.how) == ways
    assert set(frame.port) <= {8080} and frame.reached.all()
    assert set(frame.name) <= {"app"}


def test_a_cluster_ip_is_not_open_but_external_ips_are():
    closed = {"port": 80, "targetPort": "http"}
    assert exposed(APP, service("app", "app", closed, type="ClusterIP")).empty
    frame = exposed(APP, service("app", "app", closed, type="ClusterIP", externalIPs=["198.51.100.7"]))
    assert list(frame.how) == ["externalIPs"]


@pytest.mark.parametrize(
    ("ranges", "rule", "reached"),
    [
        (["203.0.113.0/24"], {"from": [{"ipBlock": {"cidr": "203.0.113.0/25"}}]}, True),
        (["198.51.100.0/24"], {"from": [{"ipBlock": {"cidr": "203.0.113.0/25"}}]}, False),
        ([], {"from": [{"ipBlock": {"cidr": "203.0.113.0/25"}}]}, True),
        ([], {"from": [{"namespaceSelector": {}}]}, False),
        ([], {"ports": [{"port": 9}]}, False),
        (["everywhere"], {}, None),
    ],
)
def test_policies_and_source_ranges(ranges, rule, reached):
    opened = {"port": 80, "targetPort": "http"}
    balancer = service("app", "app", opened, type="LoadBalancer", loadBalancerSourceRanges=ranges)
    (row,) = exposed(APP, balancer, policy(ingress=[rule])).itertuples()
    assert row.sources == ranges
    assert told(row.reached) is reached


def test_ports_of_pods_on_the_node():
    host = pod("b/host", ["192.168.0.1"], hostNetwork=True, containers=ports(("http", 9100, None)))
    port = pod("b/port", ["10.0.1.8"], containers=[{"name": "c", "ports": [{"containerPort": 8080, "hostPort": 80}]}])
    frame = exposed(host, port, policy(ingress=[])).set_index("name")
    assert dict(frame.how) == {"host": "hostNetwork", "port": "hostPort"}
    assert dict(frame.reached) == {"host": True, "port": False}


PROXY = pod("a/proxy", ["10.0.0.9"], containers=[{**NGINX, "ports": [{"name": "http", "containerPort": 80}]}])
FRONT = service("proxy", "proxy", home="a", type="LoadBalancer")
BEHIND = [namespace("a"), PROXY, APP, service("app", "app", {"port": 80, "targetPort": "http"})]


@pytest.mark.parametrize(
    ("policies", "reached"),
    [
        ([], True),
        ([policy("b/p", ingress=[{"from": [{"namespaceSelector": {}}]}])], True),
        ([policy("b/p")], False),  # the proxy does not reach it
        ([policy("a/p")], False),  # the outside does not reach the proxy
        ([policy("a/p", policyTypes=["Egress"])], False),
    ],
)
def test_an_ingress_leads_as_far_as_its_proxies_do(policies, reached):
    nginx = ingress_class("nginx", "k8s.io/ingress-nginx")
    (row,) = exposed(*BEHIND, FRONT, nginx, ingress("nginx"), *policies, kind="Ingress").itertuples()
    assert (row.name, row.how, row.port, row.reached) == ("app", "nginx", 8080, reached)


@pytest.mark.parametrize(
    ("classes", "objects", "reached"),
    [
        ([], [FRONT], None),
        ([ingress_class("nginx", "example.com/own")], [FRONT], None),
        ([ingress_class("nginx", "k8s.io/ingress-nginx")], [], None),  # nothing says how the proxy is reached
        ([ingress_class("nginx", "ingress.k8s.aws/alb")], [], True),
    ],
)
def test_where_the_proxies_are_not_known(classes, objects, reached):
    (row,) = exposed(*BEHIND, *classes, *objects, ingress("nginx"), kind="Ingress").itertuples()
    assert told(row.reached) is reached


def test_a_route_leads_through_the_pods_of_its_gateway():
    route = {
        "apiVersion": "gateway.networking.k8s.io/v1",
        "kind": "HTTPRoute",
        "metadata": {"name": "r", "namespace": "b"},
        "spec": {"parentRefs": [{"name": "edge", "namespace": "a"}], "rules": [{"backendRefs": [{"name": "app"}]}]},
    }
    labels = {"app": "proxy", "gateway.networking.k8s.io/gateway-name": "edge"}
    proxy = pod("a/proxy", ["10.0.0.9"], labels=labels, containers=ports(("http", 80, None)))
    (row,) = exposed(*BEHIND[2:], namespace("a"), proxy, FRONT, route, kind="HTTPRoute").itertuples()
    assert (row.how, row.reached) == ("a/edge", True)
    (row,) = exposed(*BEHIND, FRONT, route, kind="HTTPRoute").itertuples()
    assert told(row.reached) is None


def test_nothing_is_exposed_in_a_cluster_without_ways_in():
    assert exposed(*CLUSTER).through.tolist() == []


def test_the_recorded_cluster(recordings):
    frame = Reachability.from_tables(ak.capture(path=recordings / "northwind-prod" / "2026-10-31").tables).exposed()
    reached = frame[frame.reached.fillna(False).astype(bool)]
    assert {(r.namespace, r.name, r.through, r.how) for r in reached.itertuples()} >= {
        ("web", "storefront", "node-access", "NodePort"),
        ("web", "storefront", "partner-ftp", "externalIPs"),
        ("web", "marketing-site", "marketing-site", "LoadBalancer"),
        ("legacy", "soap-gateway", "soap-gateway", "NodePort"),
    }
    assert not set(reached.namespace) & {"payments", "ingress-nginx", "istio-system", "ledger"}
    assert frame[frame.through_kind == "Ingress"].reached.eq(False).all()  # the controller's namespace denies ingress
    assert frame[frame.namespace == "customers"].reached.isna().all()  # the gateway's pods are not known
