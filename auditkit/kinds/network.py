"""NetworkPolicies, Services and Ingresses."""

import msgspec

from auditkit.kinds.base import Closed, Kind, Struct
from auditkit.kinds.pods import LabelSelector

GROUP = "networking.k8s.io"


class IpBlock(Closed):
    cidr: str = ""
    except_: list[str] | None = msgspec.field(default=None, name="except")


class Peer(Closed):
    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IpBlock | None = None


class PolicyPort(Closed):
    protocol: str | None = None
    port: int | str | None = None
    end_port: int | None = None


class IngressRule(Closed):
    from_: list[Peer] | None = msgspec.field(default=None, name="from")
    ports: list[PolicyPort] | None = None


class EgressRule(Closed):
    to: list[Peer] | None = None
    ports: list[PolicyPort] | None = None


class NetworkPolicySpec(Closed):
    pod_selector: LabelSelector | None = None
    policy_types: list[str] | None = None
    ingress: list[IngressRule] | None = None
    egress: list[EgressRule] | None = None


class NetworkPolicy(Kind):
    group, plural, kind = GROUP, "networkpolicies", "NetworkPolicy"
    spec: NetworkPolicySpec | None = None


class ServicePort(Struct):
    name: str | None = None
    port: int | None = None
    node_port: int | None = None
    protocol: str | None = None


class ServiceSpec(Struct):
    type: str | None = None
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")
    load_balancer_source_ranges: list[str] | None = None
    ports: list[ServicePort] | None = None


class Service(Kind):
    plural, kind = "services", "Service"
    spec: ServiceSpec | None = None


class IngressTls(Struct):
    hosts: list[str] | None = None
    secret_name: str | None = None


class IngressHost(Struct):
    host: str | None = None


class IngressSpec(Struct):
    ingress_class_name: str | None = None
    tls: list[IngressTls] | None = None
    rules: list[IngressHost] | None = None


class Ingress(Kind):
    group, plural, kind = GROUP, "ingresses", "Ingress"
    spec: IngressSpec | None = None
