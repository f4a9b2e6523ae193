"""The ends of connections: pods as the network sees them, and what an address or a range of addresses stands for."""

import ipaddress
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditkit.analysis.isolation import Direction, IPRange, rules
from auditkit.analysis.netrules import Address, End, peers_of, read_block
from auditkit.analysis.objects import Objects
from auditkit.analysis.owners import ended, owned
from auditkit.errors import UsageError
from auditkit.kinds.network import NetworkPolicy, Service
from auditkit.kinds.platform import Node
from auditkit.kinds.pods import PodSpec, PodStatus
from auditkit.kinds.workloads import Pod, PodTemplateSpec

DIRECTIONS: tuple[Direction, Direction] = ("Ingress", "Egress")

# Readings where the API leaves room: printed with each answer that hangs on one.
ADDRESS = "an address that is a live pod's is that pod"
RANGE = "a range stands for its addresses that are no pod's and no node's: ask for those by name"
HOST_NETWORK = "a hostNetwork pod is its node's address: no selector matches it, and no policy acts on it"
NODE_ADDRESS = "a node's address is no pod: no selector matches it, and no policy acts on it"


@dataclass(frozen=True, kw_only=True, slots=True)
class Found:
    """What a question names: its ends, the readings that it hangs on, or why it cannot be told what it is."""

    ends: tuple[End, ...]
    readings: tuple[str, ...] = ()
    fault: str = ""


class Ends:
    """The pods of a cluster, and the addresses of its nodes and Services.

    `whole` says that every pod was collected: where not, an address may be that of a pod that was not.
    """

    def __init__(self, objects: Objects, *, whole: bool = True) -> None:
        self.whole = whole
        self._nodes: dict[str, tuple[Address, ...]] = {}
        self._node_of: dict[Address, str] = {}
        for node in objects[Node]:
            found = tuple(addresses(one.address for one in (node.status and node.status.addresses) or ()))
            self._nodes[node.name] = found
            self._node_of |= dict.fromkeys(found, node.name)
        for pod in objects[Pod]:
            for address in addresses([pod.status.host_ip]) if pod.status else ():
                self._node_of.setdefault(address, (pod.spec and pod.spec.node_name) or str(address))
        self.pods = {f"{pod.namespace}/{pod.name}": self._pod(pod) for pod in objects[Pod]}
        self._live: dict[Address, list[End]] = defaultdict(list)
        for end in self.pods.values():
            if not end.finished and not end.host_network:
                for address in end.addresses:
                    self._live[address].append(end)
            elif end.host_network and end.node:
                for address in end.addresses:
                    self._node_of.setdefault(address, end.node)
        self._services = {
            a: f"{s.namespace}/{s.name}" for s in objects[Service] if s.spec for a in addresses([s.spec.cluster_ip])
        }
        self._cuts = _cuts(objects[NetworkPolicy])

    def _pod(self, pod: Pod) -> End:
        status = pod.status or PodStatus()
        own = tuple(dict.fromkeys(addresses([*(one.ip for one in status.pod_ips or ()), status.pod_ip])))
        host = tuple(addresses([status.host_ip]))
        node = (pod.spec and pod.spec.node_name) or next((self._node_of[a] for a in host), "")
        if pod.spec and pod.spec.host_network:
            known = (*host, *self._nodes.get(node, ()))
            own = tuple(a for a in own if a in known) or host or known or own
        return _end(f"{pod.namespace}/{pod.name}", pod, node, own, finished=ended(pod))

    def find(self, text: str) -> Found:
        """What "namespace/pod", an address or a range (CIDR) stands for.

        A range is divided where a policy's ipBlock begins or ends: each part has one end, its first address.
        Raises UsageError where it is none of these, or a pod that does not exist.
        """
        try:
            asked = ipaddress.ip_network(text.strip(), strict=False)
        except ValueError:
            return self._named(text)
        if asked.num_addresses > 1:
            return self._range(asked)
        address = _unmapped(asked.network_address)
        if address in self._live:
            return Found(ends=tuple(self._live[address]), readings=(ADDRESS,))
        if address in self._services:
            fault = f"{address} is the Service {self._services[address]}: ask about the pods behind it"
            return Found(ends=(self._outside(address),), fault=fault)
        return Found(ends=(self._outside(address),), readings=(NODE_ADDRESS,) if address in self._node_of else ())

    def _named(self, text: str) -> Found:
        end = self.pods.get(text)
        if end is None and text.count("/") == 1 and not self.whole:
            return Found(ends=(End(name=text),), fault=f"pods were not completely read, and {text} is not among them")
        if end is None:
            raise UsageError(
                f"no pod {text!r}: name one as NAMESPACE/POD, or an address, or a range such as 10.0.0.0/8"
            )
        return Found(ends=(end,), readings=(HOST_NETWORK,) if end.host_network and not end.finished else ())

    def _range(self, asked: IPRange) -> Found:
        taken = sorted({int(a) for a in (*self._live, *self._node_of) if a in asked})
        outside = []
        for low, high in self.parts(asked):
            held = bisect_right(taken, int(high)) - bisect_left(taken, int(low))
            if held <= int(high) - int(low):
                outside.append(End(name=f"{low} to {high}", addresses=(low,), unseen=not self.whole))
        if outside:
            return Found(ends=tuple(outside), readings=(RANGE,))
        return Found(ends=tuple(end for a in asked for end in self.find(str(a)).ends), readings=(ADDRESS,))

    def _outside(self, address: Address) -> End:
        node = self._node_of.get(address, "")
        return End(name=str(address), addresses=(address,), node=node, unseen=not self.whole and not node)

    def outside(self, asked: IPRange) -> tuple[End, ...]:
        """The addresses of a range that are no pod's and no node's: one end for each part of it."""
        return self._range(asked).ends

    def parts(self, asked: IPRange) -> Iterator[tuple[Address, Address]]:
        """The first and last address of each part of a range that no ipBlock divides."""
        first, last = int(asked.network_address), int(asked.broadcast_address)
        inside = [cut for cut in self._cuts[asked.version] if first < cut <= last]
        make = ipaddress.IPv4Address if asked.version == 4 else ipaddress.IPv6Address
        for low, high in zip([first, *inside], [*(cut - 1 for cut in inside), last], strict=True):
            yield make(low), make(high)

    def part(self, address: Address) -> tuple[int, int]:
        """Which part of all addresses an address is in: those of one part are in the same ipBlocks."""
        return address.version, bisect_right(self._cuts[address.version], int(address))

    def owned(self, objects: Objects) -> Iterator[tuple[tuple[str, str, str], list[End]]]:
        """Namespace, kind and name of every top owner with its live pods, or its template where none runs."""
        for one in owned(objects):
            if one.pods:
                yield one.key, [self.pods[f"{pod.namespace}/{pod.name}"] for pod in one.pods]
            elif not isinstance(one.owner, Pod):
                yield one.key, [_end("/".join(one.key), one.made[0], "", (), namespace=one.key[0])]


def addresses(texts: Iterable[str | None]) -> Iterator[Address]:
    """Those of the texts that are an address; an IPv4 address in IPv6 form is the IPv4 one."""
    for text in texts:
        try:
            yield _unmapped(ipaddress.ip_address(text or ""))
        except ValueError:
            continue


def _unmapped(address: Address) -> Address:
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address


def _end(
    name: str,
    made: Pod | PodTemplateSpec,
    node: str,
    found: tuple[Address, ...],
    *,
    namespace: str = "",
    finished: bool = False,
) -> End:
    spec, meta = made.spec or PodSpec(), made.metadata
    host = bool(spec.host_network)
    return End(
        name=name,
        namespace=namespace or (meta.namespace if meta else ""),
        labels=None if host else (meta and meta.labels) or {},
        addresses=found,
        node=node,
        ports=() if host else tuple(named_ports(spec)),
        host_network=host,
        finished=finished,
    )


def named_ports(spec: PodSpec) -> Iterator[tuple[str, str, int]]:
    """Named ports of containers and sidecars: an init container that ends has none (pkg/api/v1/pod/util.go FindPort)."""
    sidecars = [one for one in spec.init_containers or () if one.restart_policy == "Always"]
    for container in (*(spec.containers or ()), *sidecars):
        for port in container.ports or ():
            if port.name and port.container_port:
                yield port.name, port.protocol or "TCP", port.container_port


def _cuts(policies: Iterable[NetworkPolicy]) -> dict[int, list[int]]:
    """Where an ipBlock or an exception of one begins, and where it has ended, by address family."""
    cuts: dict[int, set[int]] = {4: set(), 6: set()}
    for rule in (rule for policy in policies for direction in DIRECTIONS for rule in rules(policy, direction)):
        for read in (read_block(peer.ip_block) for peer in peers_of(rule) if peer.ip_block):
            for one in (read[0], *read[1]) if read else ():
                cuts[one.version] |= {int(one.network_address), int(one.broadcast_address) + 1}
    return {version: sorted(found) for version, found in cuts.items()}
