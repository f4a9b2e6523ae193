"""What one NetworkPolicy says of one connection: its peers, its ports, and how what several policies say adds up.

Every answer is three-valued: None where a member that Kubernetes 1.36 does not know, or that it would refuse, or
something that was not collected could change it.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache

import msgspec

from auditkit.analysis.isolation import Direction, IPRange, Rule, applies, rules, selects
from auditkit.analysis.selectors import every, matches, some
from auditkit.kinds.network import IngressPolicyRule, IPBlock, NetworkPolicy, NetworkPolicySpec, Peer, PolicyPort
from auditkit.kinds.platform import Namespace
from auditkit.kinds.pods import LabelSelector

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# (protocol, first port, last port)
Span = tuple[str, int, int]

PROTOCOLS = ("TCP", "UDP", "SCTP")
ANY_PORT: tuple[Span, ...] = tuple((protocol, 1, 65535) for protocol in PROTOCOLS)
# The API server sets this label of every Namespace to its name (pkg/apis/core/v1/defaults.go SetDefaults_Namespace).
NAME_LABEL = "kubernetes.io/metadata.name"


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One end of a connection: a pod, or an address.

    `labels` is None for what no selector matches: an address, or a hostNetwork pod. `addresses` are empty where
    they are not known. `ports` are (name, protocol, number) of a pod's named ports. `unseen` says that an address
    may be that of a pod that was not collected.
    """

    name: str
    namespace: str = ""
    labels: Mapping[str, str] | None = None
    addresses: tuple[Address, ...] = ()
    node: str = ""
    ports: tuple[tuple[str, str, int], ...] = ()
    host_network: bool = False
    finished: bool = False
    unseen: bool = False

    @property
    def versions(self) -> frozenset[int]:
        return frozenset(address.version for address in self.addresses)

    def only(self, version: int) -> "End":
        """This end as it is seen over one address family."""
        if self.versions <= {version}:
            return self
        return replace(self, addresses=tuple(a for a in self.addresses if a.version == version))


class Namespaces:
    """The labels of namespaces; of one that was not collected only the name is known."""

    def __init__(self, found: Iterable[Namespace]) -> None:
        self._labels = {one.name: {**one.labels, NAME_LABEL: one.name} for one in found}
        self._answers: dict[tuple[bytes, str], bool | None] = {}

    def match(self, selector: LabelSelector, name: str) -> bool | None:
        """Whether a namespaceSelector selects a namespace."""
        key = (msgspec.json.encode(selector), name)
        if key not in self._answers:
            self._answers[key] = self._match(selector, name)
        return self._answers[key]

    def _match(self, selector: LabelSelector, name: str) -> bool | None:
        if name in self._labels:
            return matches(selector, self._labels[name])
        labels, expressions = selector.match_labels or {}, selector.match_expressions or []
        by_name = msgspec.structs.replace(
            selector,
            match_labels={key: value for key, value in labels.items() if key == NAME_LABEL},
            match_expressions=[one for one in expressions if one.key == NAME_LABEL],
        )
        rest = any(key != NAME_LABEL for key in labels) or any(one.key != NAME_LABEL for one in expressions)
        return every([matches(by_name, {NAME_LABEL: name}), None if rest else True])


def acts(policy: NetworkPolicy, direction: Direction, end: End) -> bool | None:
    """Whether a policy isolates a pod of its own namespace in a direction.

    Without policyTypes a policy has Ingress, and Egress where it has an egress rule (pkg/apis/networking/v1/defaults.go).
    """
    if end.labels is None:
        return False
    return every([selects(policy, end.labels), None if odd(policy) else applies(policy, direction)])


def opens(
    policy: NetworkPolicy, direction: Direction, other: End, target: End, port: int, protocol: str, known: Namespaces
) -> tuple[bool | None, tuple[str, ...]]:
    """Whether a policy that acts on one end allows the other, and the rules that do, e.g. "web/front ingress[0]"."""
    answers = {
        f"{policy.namespace}/{policy.name} {direction.lower()}[{number}]": every(
            [admits(rule, policy.namespace, other, known), _carries(rule, target, port, protocol)]
        )
        for number, rule in enumerate(rules(policy, direction))
    }
    value = None if odd(policy) else some(answers.values())
    return value, tuple(name for name, answer in answers.items() if answer is value)


def admits(rule: Rule, home: str, end: End, known: Namespaces) -> bool | None:
    """Whether a rule of a policy in namespace `home` names an end: no `from` (or `to`), or an empty one, names all."""
    if rule.unknown:
        return None
    peers = peers_of(rule)
    return some(peer_is(peer, home, end, known) for peer in peers) if peers else True


def peers_of(rule: Rule) -> list[Peer]:
    return (rule.from_ if isinstance(rule, IngressPolicyRule) else rule.to) or []


def peer_is(peer: Peer, home: str, end: End, known: Namespaces) -> bool | None:
    """Whether a peer is this end (networking/v1 NetworkPolicyPeer).

    A podSelector alone means the policy's own namespace, a namespaceSelector alone all pods of those it selects,
    both together the pods of those. An ipBlock stands alone; the API refuses it beside a selector, and an empty peer.
    """
    selectors = peer.pod_selector is not None or peer.namespace_selector is not None
    if peer.unknown or selectors == (peer.ip_block is not None):
        return None
    if peer.ip_block is not None:
        return None if peer.ip_block.unknown else in_block(peer.ip_block, end.addresses)
    if end.labels is None:
        return None if end.unseen else False
    inside = peer.namespace_selector
    place = end.namespace == home if inside is None else known.match(inside, end.namespace)
    if place is False or peer.pod_selector is None:
        return place
    return every([place, matches(peer.pod_selector, end.labels)])


def in_block(block: IPBlock, addresses: Iterable[Address]) -> bool | None:
    """Whether one of the addresses is in an ipBlock and in none of its exceptions; None where none is known."""
    read = read_block(block)
    if read is None:
        return None
    cidr, exceptions = read
    return some(a in cidr and not any(a in one for one in exceptions) for a in addresses) if addresses else None


def read_block(block: IPBlock) -> tuple[IPRange, tuple[IPRange, ...]] | None:
    """The range of an ipBlock and its exceptions; None where the API would refuse one of them."""
    return _read_block(block.cidr, *(block.except_ or ()))


@cache
def _read_block(*texts: str) -> tuple[IPRange, tuple[IPRange, ...]] | None:
    try:
        cidr, *exceptions = [ipaddress.ip_network(text, strict=False) for text in texts]
    except ValueError:
        return None
    return (cidr, tuple(exceptions)) if all("/" in text for text in texts) else None


def spans(rule: Rule, target: End) -> tuple[tuple[Span, ...], bool]:
    """The ports that a rule opens on a target, and whether it may open others; no `ports` is every port."""
    if rule.unknown:
        return (), True
    if not rule.ports:
        return ANY_PORT, False
    each = [_span(port, target) for port in rule.ports]
    return tuple(span for found in each for span in found or ()), None in each


def _span(port: PolicyPort, target: End) -> list[Span] | None:
    """The ports of one entry; None where it is not known, or refused (pkg/apis/networking/validation/validation.go).

    The protocol is TCP where none is given. A named port is that of the target pod, in this protocol; on what is no
    pod it is nothing.
    """
    protocol, first = port.protocol or "TCP", port.port
    if port.unknown or protocol not in PROTOCOLS:
        return None
    if isinstance(first, str):
        if first.isdigit() or port.end_port is not None or target.unseen:
            return None
        return [(protocol, n, n) for name, spoken, n in target.ports if (name, spoken) == (first, protocol)]
    last = first if port.end_port is None else port.end_port
    if first is None:
        return [(protocol, 1, 65535)] if last is None else None
    return [(protocol, first, last)] if last is not None and 1 <= first <= last <= 65535 else None


def _carries(rule: Rule, target: End, port: int, protocol: str) -> bool | None:
    known, more = spans(rule, target)
    found = any(one == protocol and first <= port <= last for one, first, last in known)
    return True if found else None if more else False


def verdict(certain: Iterable[bool | None], possible: Iterable[bool | None]) -> bool | None:
    """What one direction of a pod says, of what each policy allows: those that act on it, and those that may.

    No policy: everything is allowed. Else what one of them allows (networking/v1 NetworkPolicySpec: additive). A policy
    that may act opens or closes: it decides only where both give the same answer.
    """
    sure, open_ = list(certain), list(possible)
    if not sure:
        return True if all(one is True for one in open_) else None
    found = some(sure)
    return found if found is not False else None if any(one is not False for one in open_) else False


def odd(policy: NetworkPolicy) -> bool:
    """Whether a policy holds what could mean anything: a member of its spec or a direction that is not known."""
    spec = policy.spec or NetworkPolicySpec()
    return bool(spec.unknown) or not set(spec.policy_types or ()) <= {"Ingress", "Egress"}
