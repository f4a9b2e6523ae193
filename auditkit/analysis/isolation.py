"""What NetworkPolicies say of a pod: which select it, and what they leave open, direction by direction."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from typing import Literal

from auditkit.analysis.selectors import EVERYTHING, every, matches, selects_all, some
from auditkit.kinds.network import (
    EgressPolicyRule,
    IngressPolicyRule,
    NetworkPolicy,
    NetworkPolicySpec,
    Peer,
    PolicyPort,
)

Direction = Literal["Ingress", "Egress"]
Rule = IngressPolicyRule | EgressPolicyRule
IPRange = ipaddress.IPv4Network | ipaddress.IPv6Network

_EMPTY = NetworkPolicySpec()


def applies(policy: NetworkPolicy, direction: Direction) -> bool:
    """Whether a policy has this direction.

    Without policyTypes it has Ingress, and Egress where it has an egress rule (Kubernetes,
    pkg/apis/networking/v1/defaults.go SetDefaults_NetworkPolicy).
    """
    spec = policy.spec or _EMPTY
    if spec.policy_types:
        return direction in spec.policy_types
    return direction == "Ingress" or bool(spec.egress)


def rules(policy: NetworkPolicy, direction: Direction) -> tuple[Rule, ...]:
    """The rules of a direction; of a policy that does not have it, none."""
    if not applies(policy, direction):
        return ()
    spec = policy.spec or _EMPTY
    return tuple((spec.ingress if direction == "Ingress" else spec.egress) or ())


def selects(policy: NetworkPolicy, labels: Mapping[str, str]) -> bool | None:
    """Whether a policy selects a pod of its own namespace with these labels; a podSelector left out selects all."""
    spec = policy.spec or _EMPTY
    return matches(spec.pod_selector or EVERYTHING, labels)


def selects_every_pod(policy: NetworkPolicy) -> bool | None:
    """Whether a policy selects every pod of its namespace, also those to come."""
    return selects_all((policy.spec or _EMPTY).pod_selector or EVERYTHING)


def allows_all(policy: NetworkPolicy, direction: Direction) -> bool | None:
    """Whether one rule of a policy allows any peer on every port of a protocol.

    No `from` (or `to`) is any peer, and so are ipBlocks that together, without what each excepts, are all addresses.
    `ingress: [{}]` allows everything; `ingress: []` nothing (networking/v1 NetworkPolicySpec).
    """
    unknown = applies(policy, direction) and (policy.spec or _EMPTY).unknown
    return some([*(_allows_all(rule) for rule in rules(policy, direction)), None if unknown else False])


def default_deny(policy: NetworkPolicy, direction: Direction) -> bool | None:
    """Whether a policy selects every pod of its namespace, has the direction and allows nothing in it."""
    if not applies(policy, direction) or rules(policy, direction):
        return False
    unknown = bool((policy.spec or _EMPTY).unknown)
    return every([selects_every_pod(policy), None if unknown else True])


def isolated(policies: Iterable[NetworkPolicy], labels: Mapping[str, str], direction: Direction) -> bool | None:
    """Whether policies of a pod's namespace isolate it: one that has the direction selects it, and none allows all.

    Isolation is per direction, and what policies allow adds up (networking/v1 NetworkPolicySpec). It is what the
    policies say: whether the network enforces them, and that they do nothing to a hostNetwork pod, is not in it.
    """
    found = [(selects(p, labels), allows_all(p, direction)) for p in policies if applies(p, direction)]
    opened = some(every(pair) for pair in found)
    return every([some(chosen for chosen, _ in found), None if opened is None else not opened])


def all_addresses(ranges: Iterable[str]) -> bool | None:
    """Whether ranges in CIDR notation are together every address of IPv4 or of IPv6; None where one cannot be read."""
    try:
        found = [ipaddress.ip_network(one, strict=False) for one in ranges]
    except ValueError:
        return None
    old = ipaddress.collapse_addresses(one for one in found if isinstance(one, ipaddress.IPv4Network))
    new = ipaddress.collapse_addresses(one for one in found if isinstance(one, ipaddress.IPv6Network))
    return any(one.prefixlen == 0 for one in old) or any(one.prefixlen == 0 for one in new)


def _allows_all(rule: Rule) -> bool | None:
    peers = rule.from_ if isinstance(rule, IngressPolicyRule) else rule.to
    anyone = some([*map(_unknown, peers), all_addresses(_ranges(peers))]) if peers else True
    anywhere = _every_port(rule.ports) if rule.ports else True
    return every([anyone, anywhere, None if rule.unknown else True])


def _unknown(peer: Peer) -> bool | None:
    """None for a peer that may be anything: Kubernetes refuses an empty one, so one that is empty here held something else."""
    odd = peer.unknown or (peer.ip_block and peer.ip_block.unknown)
    empty = peer.ip_block is None and peer.pod_selector is None and peer.namespace_selector is None
    return None if odd or empty else False


def _ranges(peers: Iterable[Peer]) -> Iterator[str]:
    """The ranges of all ipBlocks, less what each leaves out. Raises ValueError where one cannot be read."""
    for block in (peer.ip_block for peer in peers if peer.ip_block and not peer.unknown):
        left = [ipaddress.ip_network(block.cidr, strict=False)] if not block.unknown else []
        for text in block.except_ or ():
            taken = ipaddress.ip_network(text, strict=False)
            left = [part for one in left for part in _without(one, taken)]
        yield from map(str, left)


def _without(whole: IPRange, taken: IPRange) -> Iterable[IPRange]:
    if not whole.overlaps(taken):
        return [whole]
    return [] if whole.prefixlen >= taken.prefixlen else whole.address_exclude(taken)  # type: ignore[arg-type]


def _every_port(ports: Iterable[PolicyPort]) -> bool | None:
    """Whether the ports of one protocol are together all of them."""
    found: dict[str, list[tuple[int, int]]] = {}
    for port in ports:
        first = 0 if port.port is None else port.port
        if not port.unknown and isinstance(first, int):
            last = 65535 if port.port is None else port.end_port or first
            found.setdefault(port.protocol or "TCP", []).append((first, last))
    whole = any(map(_whole, found.values()))
    return True if whole else None if any(port.unknown for port in ports) else False


def _whole(ranges: Iterable[tuple[int, int]]) -> bool:
    beyond = 1
    for first, last in sorted(ranges):
        if first <= beyond:
            beyond = max(beyond, last + 1)
    return beyond > 65535
