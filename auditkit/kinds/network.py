"""What lets traffic to pods or keeps it from them: policies, Services, Ingresses, gateways and the mesh."""

import msgspec

from auditkit.kinds.base import Closed, Kind, Present, Struct
from auditkit.kinds.pods import LabelSelector

Port = int | str


class IPBlock(Closed):
    cidr: str = ""
    except_: list[str] | None = msgspec.field(default=None, name="except")


class Peer(Closed):
    """One peer: a member that is not known here could widen or narrow it."""

    pod_selector: LabelSelector | None = None
    namespace_selector: LabelSelector | None = None
    ip_block: IPBlock | None = None


class PolicyPort(Closed):
    """A port by number or by the name that a pod gives it; `end_port` makes it a range."""

    protocol: str | None = None
    port: Port | None = None
    end_port: int | None = None


class IngressPolicyRule(Closed):
    from_: list[Peer] | None = msgspec.field(default=None, name="from")
    ports: list[PolicyPort] | None = None


class EgressPolicyRule(Closed):
    to: list[Peer] | None = None
    ports: list[PolicyPort] | None = None


class NetworkPolicySpec(Closed):
    pod_selector: LabelSelector | None = None
    ingress: list[IngressPolicyRule] | None = None
    egress: list[EgressPolicyRule] | None = None
    policy_types: list[str] | None = None


class NetworkPolicy(Kind):
    group, plural, kind = "networking.k8s.io", "networkpolicies", "NetworkPolicy"
    spec: NetworkPolicySpec | None = None


class EngineSpec(Struct):
    """spec of another engine's policy: that it is there is kept, and whom it selects."""

    endpoint_selector: LabelSelector | None = None
    node_selector: LabelSelector | None = None
    selector: str | None = None
    namespace_selector: str | None = None
    subject: Present | None = None


class CiliumNetworkPolicy(Kind):
    group, plural, kind, versions = "cilium.io", "ciliumnetworkpolicies", "CiliumNetworkPolicy", ("v2",)
    spec: EngineSpec | None = None
    specs: list[EngineSpec] | None = None


class CiliumClusterwideNetworkPolicy(Kind):
    group, plural, kind = "cilium.io", "ciliumclusterwidenetworkpolicies", "CiliumClusterwideNetworkPolicy"
    versions, namespaced = ("v2",), False
    spec: EngineSpec | None = None
    specs: list[EngineSpec] | None = None


class CalicoNetworkPolicy(Kind):
    group, plural, kind = "crd.projectcalico.org", "networkpolicies", "NetworkPolicy"
    spec: EngineSpec | None = None


class CalicoGlobalNetworkPolicy(Kind):
    group, plural, kind = "crd.projectcalico.org", "globalnetworkpolicies", "GlobalNetworkPolicy"
    namespaced = False
    spec: EngineSpec | None = None


class AntreaNetworkPolicy(Kind):
    group, plural, kind, versions = "crd.antrea.io", "networkpolicies", "NetworkPolicy", ("v1beta1", "v1alpha1")
    spec: EngineSpec | None = None


class AntreaClusterNetworkPolicy(Kind):
    group, plural, kind = "crd.antrea.io", "clusternetworkpolicies", "ClusterNetworkPolicy"
    versions, namespaced = ("v1beta1", "v1alpha1"), False
    spec: EngineSpec | None = None


class AdminNetworkPolicy(Kind):
    group, plural, kind = "policy.networking.k8s.io", "adminnetworkpolicies", "AdminNetworkPolicy"
    versions, namespaced = ("v1alpha1",), False
    spec: EngineSpec | None = None


class BaselineAdminNetworkPolicy(Kind):
    group, plural, kind = "policy.networking.k8s.io", "baselineadminnetworkpolicies", "BaselineAdminNetworkPolicy"
    versions, namespaced = ("v1alpha1",), False
    spec: EngineSpec | None = None


class ClusterNetworkPolicy(Kind):
    """What follows the two admin kinds in newer releases of the same API."""

    group, plural, kind = "policy.networking.k8s.io", "clusternetworkpolicies", "ClusterNetworkPolicy"
    versions, namespaced = ("v1alpha2",), False
    spec: EngineSpec | None = None


class ServicePort(Struct):
    name: str | None = None
    protocol: str | None = None
    port: int | None = None
    target_port: Port | None = None
    node_port: int | None = None


class ServiceSpec(Struct):
    type: str | None = None
    selector: dict[str, str] | None = None
    ports: list[ServicePort] | None = None
    cluster_ip: str | None = msgspec.field(default=None, name="clusterIP")
    external_ips: list[str] | None = msgspec.field(default=None, name="externalIPs")
    load_balancer_class: str | None = None
    load_balancer_source_ranges: list[str] | None = None
    external_traffic_policy: str | None = None


class Service(Kind):
    plural, kind = "services", "Service"
    spec: ServiceSpec | None = None


class EndpointConditions(Struct):
    ready: bool | None = None


class Endpoint(Struct):
    conditions: EndpointConditions | None = None


class EndpointSlice(Kind):
    """Backends of a Service, without their addresses; the label kubernetes.io/service-name names the Service."""

    group, plural, kind = "discovery.k8s.io", "endpointslices", "EndpointSlice"
    endpoints: list[Endpoint] | None = None


class ServiceBackend(Struct):
    name: str = ""


class Backend(Closed):
    service: ServiceBackend | None = None
    resource: Present | None = None


class HTTPPath(Struct):
    path: str | None = None
    path_type: str | None = None
    backend: Backend | None = None


class HTTPPaths(Struct):
    paths: list[HTTPPath] | None = None


class IngressRule(Struct):
    host: str | None = None
    http: HTTPPaths | None = None


class IngressTLS(Struct):
    hosts: list[str] | None = None
    secret_name: str | None = None


class IngressSpec(Struct):
    ingress_class_name: str | None = None
    default_backend: Backend | None = None
    rules: list[IngressRule] | None = None
    tls: list[IngressTLS] | None = None


class Ingress(Kind):
    group, plural, kind = "networking.k8s.io", "ingresses", "Ingress"
    spec: IngressSpec | None = None


class IngressClassSpec(Struct):
    controller: str | None = None


class IngressClass(Kind):
    group, plural, kind, namespaced = "networking.k8s.io", "ingressclasses", "IngressClass", False
    spec: IngressClassSpec | None = None


class GatewayClassSpec(Struct):
    controller_name: str | None = None


class GatewayClass(Kind):
    group, plural, kind = "gateway.networking.k8s.io", "gatewayclasses", "GatewayClass"
    versions, namespaced = ("v1", "v1beta1"), False
    spec: GatewayClassSpec | None = None


class CertificateRef(Struct):
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str = ""


class GatewayTLS(Struct):
    mode: str | None = None
    certificate_refs: list[CertificateRef] | None = None


class RouteNamespaces(Struct):
    from_: str | None = msgspec.field(default=None, name="from")


class AllowedRoutes(Struct):
    namespaces: RouteNamespaces | None = None


class Listener(Struct):
    name: str = ""
    hostname: str | None = None
    port: int | None = None
    protocol: str | None = None
    tls: GatewayTLS | None = None
    allowed_routes: AllowedRoutes | None = None


class GatewaySpec(Struct):
    gateway_class_name: str | None = None
    listeners: list[Listener] | None = None


class Gateway(Kind):
    group, plural, kind = "gateway.networking.k8s.io", "gateways", "Gateway"
    versions = ("v1", "v1beta1")
    spec: GatewaySpec | None = None


class BackendRef(Struct):
    group: str | None = None
    kind: str | None = None
    namespace: str | None = None
    name: str = ""


class ParentRef(Struct):
    kind: str | None = None
    namespace: str | None = None
    name: str = ""


class HTTPRouteRule(Struct):
    backend_refs: list[BackendRef] | None = None


class HTTPRouteSpec(Struct):
    hostnames: list[str] | None = None
    parent_refs: list[ParentRef] | None = None
    rules: list[HTTPRouteRule] | None = None


class HTTPRoute(Kind):
    group, plural, kind = "gateway.networking.k8s.io", "httproutes", "HTTPRoute"
    versions = ("v1", "v1beta1")
    spec: HTTPRouteSpec | None = None


class IstioPort(Struct):
    number: int | None = None
    name: str | None = None
    protocol: str | None = None


class ServerTLS(Struct):
    mode: str | None = None
    https_redirect: bool | None = None
    credential_name: str | None = None
    min_protocol_version: str | None = None


class Server(Struct):
    port: IstioPort | None = None
    hosts: list[str] | None = None
    tls: ServerTLS | None = None


class IstioGatewaySpec(Struct):
    selector: dict[str, str] | None = None
    servers: list[Server] | None = None


class IstioGateway(Kind):
    group, plural, kind = "networking.istio.io", "gateways", "Gateway"
    versions = ("v1", "v1beta1", "v1alpha3")
    spec: IstioGatewaySpec | None = None


class VirtualHost(Struct):
    host: str = ""


class VirtualDestination(Struct):
    destination: VirtualHost | None = None


class VirtualRoute(Struct):
    """A route of a VirtualService by where it leads; what it matches is not kept."""

    route: list[VirtualDestination] | None = None


class VirtualServiceSpec(Struct):
    hosts: list[str] | None = None
    gateways: list[str] | None = None
    http: list[VirtualRoute] | None = None
    tls: list[VirtualRoute] | None = None
    tcp: list[VirtualRoute] | None = None


class VirtualService(Kind):
    group, plural, kind = "networking.istio.io", "virtualservices", "VirtualService"
    versions = ("v1", "v1beta1", "v1alpha3")
    spec: VirtualServiceSpec | None = None


class ClientTLS(Struct):
    mode: str | None = None
    insecure_skip_verify: bool | None = None


class PortTraffic(Struct):
    tls: ClientTLS | None = None


class TrafficPolicy(Struct):
    tls: ClientTLS | None = None
    port_level_settings: list[PortTraffic] | None = None


class Subset(Struct):
    name: str = ""
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Struct):
    host: str | None = None
    traffic_policy: TrafficPolicy | None = None
    subsets: list[Subset] | None = None


class DestinationRule(Kind):
    group, plural, kind = "networking.istio.io", "destinationrules", "DestinationRule"
    versions = ("v1", "v1beta1", "v1alpha3")
    spec: DestinationRuleSpec | None = None


class MutualTLS(Struct):
    mode: str | None = None


class PeerAuthenticationSpec(Struct):
    selector: LabelSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[str, MutualTLS] | None = None


class PeerAuthentication(Kind):
    group, plural, kind = "security.istio.io", "peerauthentications", "PeerAuthentication"
    versions = ("v1", "v1beta1")
    spec: PeerAuthenticationSpec | None = None


class AuthorizationRule(Closed):
    from_: list[Present] | None = msgspec.field(default=None, name="from")
    to: list[Present] | None = None
    when: list[Present] | None = None


class AuthorizationPolicySpec(Struct):
    action: str | None = None
    selector: LabelSelector | None = None
    target_ref: Present | None = None
    target_refs: list[Present] | None = None
    rules: list[AuthorizationRule] | None = None


class AuthorizationPolicy(Kind):
    group, plural, kind = "security.istio.io", "authorizationpolicies", "AuthorizationPolicy"
    versions = ("v1", "v1beta1")
    spec: AuthorizationPolicySpec | None = None
