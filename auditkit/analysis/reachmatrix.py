"""Who reaches whom on some port, for many ends at once: ends that policies cannot tell apart are judged as one.

What a direction opens is a set of ports. Every port at which a rule begins or ends divides them, so that a set is a few
bits, and a connection is possible where the sets of both directions have a bit in common. As everywhere two bounds
are kept: `sure` are the ports that are open, `maybe` those that could be.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import msgspec
import numpy as np
import pandas as pd

from auditkit.analysis.connections import Connections
from auditkit.analysis.ends import DIRECTIONS
from auditkit.analysis.isolation import Direction, Rule, rules
from auditkit.analysis.netrules import ANY_PORT, End, Span, acts, odd, peer_is, peers_of, spans
from auditkit.kinds.network import NetworkPolicy, NetworkPolicySpec, Peer
from auditkit.kinds.pods import LabelSelector

Bits = np.ndarray[Any, np.dtype[np.uint64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

# Targets judged at once: what bounds the memory.
_CHUNK = 256


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is sure and what may be: two arrays of one shape."""

    sure: Any
    maybe: Any


def frame(connections: Connections, groups: Mapping[str, Sequence[End]]) -> pd.DataFrame:
    """One row per source group, one column per target group: True where an end of one reaches one of the other."""
    names = list(groups)
    ends = [end for name in names for end in groups[name]]
    kinds, of_end = _classes(connections, ends)
    reached = Bounds(np.zeros((len(kinds),) * 2, bool), np.zeros((len(kinds),) * 2, bool))
    for seen, valid in _families(kinds):
        one = _Classes(connections, seen).reach()
        reached = Bounds(reached.sure | (one.sure & valid), reached.maybe | (one.maybe & valid))
    whole = connections.ends.whole
    members = np.repeat(np.arange(len(names)), [len(groups[name]) for name in names])
    sure = _folded(reached.sure, members, of_end, len(names))
    maybe = _folded(reached.maybe | (not whole), members, of_end, len(names))
    for sources, targets in _own_nodes(connections, ends, members):
        sure[np.ix_(sources, targets)] = True
    columns = {name: pd.arrays.BooleanArray(sure[:, i], ~sure[:, i] & maybe[:, i]) for i, name in enumerate(names)}
    table = pd.DataFrame(columns, index=pd.Index(names, name="source", dtype="str"))
    return table.rename_axis(columns="target")


def _classes(connections: Connections, ends: Sequence[End]) -> tuple[list[End], list[int]]:
    """One end of each class, and the class of every end: all that a policy, or what keeps it from deciding, can tell."""
    policies = [p for found in connections.policies.values() for p in found]
    asked = {pair for policy in policies for pair in _asked(policy)}
    named = {one.port for p in policies for rule in _rules(p) for one in rule.ports or () if isinstance(one.port, str)}
    known: dict[object, int] = {}
    kinds: list[End] = []
    of_end = []
    for end in ends:
        held = frozenset(
            (label, value if (label, value) in asked else None)
            for label, value in (end.labels or {}).items()
            if (label, None) in asked
        )
        parts = tuple(connections.ends.part(address) for address in end.addresses)
        ports = tuple(port for port in end.ports if port[0] in named)
        key = (end.namespace, held, end.labels is None, parts, ports, bool(connections.fault_of(end)))
        if key not in known:
            known[key] = len(kinds)
            kinds.append(replace(end, ports=ports))
        of_end.append(known[key])
    return kinds, of_end


def _families(kinds: Sequence[End]) -> list[tuple[list[End], Flags]]:
    """The ends over each address family, and the pairs to judge so; pairs without a common one are judged as they are."""
    every = np.ones((len(kinds),) * 2, bool)
    versions = [end.versions for end in kinds]
    if len(frozenset(chain.from_iterable(versions))) < 2:
        return [(list(kinds), every)]
    found = []
    for version in (4, 6):
        has = np.array([version in one for one in versions], bool)
        found.append(([end.only(version) for end in kinds], has[:, None] & has[None, :]))
    return [*found, (list(kinds), every & ~found[0][1] & ~found[1][1])]


class _Classes:
    """Classes of ends, and what policies say of each pair."""

    def __init__(self, connections: Connections, kinds: Sequence[End]) -> None:
        self.connections, self.kinds = connections, kinds
        self.namespace: dict[str, list[int]] = {}
        self.parts = [tuple(connections.ends.part(address) for address in end.addresses) for end in kinds]
        self.labelled: dict[tuple[str, str], set[int]] = {}
        for number, end in enumerate(kinds):
            self.namespace.setdefault(end.namespace, []).append(number)
            for pair in (end.labels or {}).items():
                self.labelled.setdefault(pair, set()).add(number)
        policies = [policy for found in connections.policies.values() for policy in found]
        self.ports = _Ports(policies, kinds)
        self.acting = {direction: [self._acting(policy, direction) for policy in policies] for direction in DIRECTIONS}
        self._peers: dict[object, Bounds] = {}

    def _acting(self, policy: NetworkPolicy, direction: Direction) -> tuple[NetworkPolicy, list[int], list[int]]:
        """A policy with the classes that it acts on, and those that it may act on."""
        here = self._with_labels(_spec(policy).pod_selector, self.namespace.get(policy.namespace, ()))
        on = {number: acts(policy, direction, self.kinds[number]) for number in here}
        return policy, [n for n, found in on.items() if found], [n for n, found in on.items() if found is None]

    def _with_labels(self, selector: LabelSelector | None, numbers: Iterable[int]) -> Iterable[int]:
        """Those that have the first of a selector's matchLabels: it selects no other."""
        for pair in ((selector and selector.match_labels) or {}).items():
            having = self.labelled.get(pair, set())
            return [number for number in numbers if number in having]
        return numbers

    def reach(self) -> Bounds:
        """Whether each class reaches each other on some port."""
        size = len(self.kinds)
        sure, maybe = np.zeros((size, size), bool), np.zeros((size, size), bool)
        everyone = np.arange(size)
        for start in range(0, size, _CHUNK):
            targets = everyone[start : start + _CHUNK]
            ingress = self._side("Ingress", targets, everyone)
            egress = self._side("Egress", everyone, targets)
            sure[:, targets] = (ingress.sure.swapaxes(0, 1) & egress.sure).any(-1)
            maybe[:, targets] = (ingress.maybe.swapaxes(0, 1) & egress.maybe).any(-1)
        return Bounds(sure, maybe)

    def _side(self, direction: Direction, own: Any, others: Any) -> Bounds:
        """The ports that `own` (rows) let through with `others` (columns); `netrules.verdict` for sets of ports."""
        shape = (len(own), len(others), self.ports.words)
        sure, maybe = np.zeros(shape, np.uint64), np.zeros(shape, np.uint64)
        isolated = np.zeros(len(own), bool)
        either_way: dict[int, Bits] = {}
        position = {number: row for row, number in enumerate(own.tolist())}
        for policy, *acted in self.acting[direction]:
            certain, possible = ([n for n in numbers if n in position] for numbers in acted)
            for chosen in filter(None, (certain, possible)):
                rows = [position[number] for number in chosen]
                opened = self._opened(policy, direction, chosen, others)
                maybe[rows] |= opened.maybe
                if chosen is certain:
                    sure[rows] |= opened.sure
                    isolated[rows] = True
                else:
                    either_way |= {
                        r: either_way.get(r, self.ports.all) & o for r, o in zip(rows, opened.sure, strict=True)
                    }
        sure[~isolated] = maybe[~isolated] = self.ports.all
        for row in either_way.keys() - set(np.flatnonzero(isolated).tolist()):
            sure[row] = either_way[row]
        ends = [self.kinds[number] for number in own]
        if not self.connections.complete:
            pods = np.array([end.labels is not None for end in ends], bool)
            sure[pods & ~isolated], maybe[pods] = 0, self.ports.all
        faulty = np.array([bool(self.connections.fault_of(end)) for end in ends], bool)
        sure[faulty], maybe[faulty] = 0, self.ports.all
        return Bounds(sure, maybe)

    def _opened(self, policy: NetworkPolicy, direction: Direction, own: list[int], others: Any) -> Bounds:
        shape = (len(own), len(others), self.ports.words)
        if odd(policy):
            return Bounds(np.zeros(shape, np.uint64), np.full(shape, self.ports.all))
        sure, maybe = np.zeros(shape, np.uint64), np.zeros(shape, np.uint64)
        for rule in rules(policy, direction):
            peers = self._admitted(rule, policy.namespace)
            ports = self.ports.of(rule, own if direction == "Ingress" else others.tolist())
            axis = (slice(None), None) if direction == "Ingress" else (None, slice(None))
            sure |= np.where(peers.sure[others][None, :, None], ports.sure[axis], np.uint64(0))
            maybe |= np.where(peers.maybe[others][None, :, None], ports.maybe[axis], np.uint64(0))
        return Bounds(sure, maybe)

    def _admitted(self, rule: Rule, home: str) -> Bounds:
        """Which classes a rule names (`netrules.admits`)."""
        size = len(self.kinds)
        if rule.unknown:
            return Bounds(np.zeros(size, bool), np.ones(size, bool))
        found = [self._peer(peer, home) for peer in peers_of(rule)]
        if not found:
            return Bounds(np.ones(size, bool), np.ones(size, bool))
        return Bounds(np.any([f.sure for f in found], axis=0), np.any([f.maybe for f in found], axis=0))

    def _peer(self, peer: Peer, home: str) -> Bounds:
        key = (home if peer.namespace_selector is None else "", msgspec.json.encode(peer))
        if key not in self._peers:
            sure, maybe = np.zeros(len(self.kinds), bool), np.zeros(len(self.kinds), bool)
            by_part: dict[object, bool | None] = {}
            for number in self._candidates(peer, home):
                end, part = self.kinds[number], self.parts[number]
                if peer.ip_block is None or part not in by_part:
                    by_part[part] = peer_is(peer, home, end, self.connections.namespaces)
                sure[number], maybe[number] = by_part[part] is True, by_part[part] is not False
            self._peers[key] = Bounds(sure, maybe)
        return self._peers[key]

    def _candidates(self, peer: Peer, home: str) -> Iterable[int]:
        """Those that can be the peer at all: where it is made of selectors, what is in the namespaces they select."""
        selector = peer.namespace_selector
        if peer.unknown or peer.ip_block is not None or (selector is None and peer.pod_selector is None):
            return range(len(self.kinds))
        found: Iterable[int] = self.namespace.get(home, ())
        if selector is not None:
            match = self.connections.namespaces.match
            inside = [name for name in self.namespace if match(selector, name) is not False]
            found = chain.from_iterable(self.namespace[name] for name in inside)
        return self._with_labels(peer.pod_selector, found)


class _Ports:
    """Sets of ports as bits: one for each stretch of ports that no rule divides."""

    def __init__(self, policies: Iterable[NetworkPolicy], kinds: Sequence[End]) -> None:
        # Of a target, only its named ports matter.
        targets = {end.ports: end for end in kinds}
        number = {ports: n for n, ports in enumerate(targets)}
        self._target_of = np.array([number[end.ports] for end in kinds], int)
        found = {id(rule): [spans(rule, t) for t in targets.values()] for p in policies for rule in _rules(p)}
        edges: dict[str, set[int]] = {protocol: {1, 65536} for protocol, _, _ in ANY_PORT}
        for protocol, first, last in {span for each in found.values() for known, _ in each for span in known}:
            edges[protocol] |= {first, last + 1}
        pairs = [(protocol, edge) for protocol, cuts in edges.items() for edge in sorted(cuts)]
        self._bit = {pair: bit for bit, pair in enumerate(pairs)}
        self.words = len(pairs) // 64 + 1
        self.all = self._bits(ANY_PORT)
        self._opened = {
            rule: Bounds(
                np.array([self._bits(known) for known, _ in each], np.uint64).reshape(-1, self.words),
                np.array([self.all if more else self._bits(known) for known, more in each], np.uint64).reshape(
                    -1, self.words
                ),
            )
            for rule, each in found.items()
        }

    def of(self, rule: Rule, targets: Any) -> Bounds:
        """What a rule opens on each of these targets: one row of bits for each."""
        found, wanted = self._opened[id(rule)], self._target_of[targets]
        return Bounds(found.sure[wanted], found.maybe[wanted])

    def _bits(self, opened: Iterable[Span]) -> Bits:
        number = 0
        for protocol, first, last in opened:
            number |= (1 << self._bit[protocol, last + 1]) - (1 << self._bit[protocol, first])
        return np.frombuffer(number.to_bytes(self.words * 8, "little"), np.uint64)


def _folded(reached: Flags, members: Any, of_end: Sequence[int], size: int) -> Flags:
    """Of classes to groups: a group reaches what one of its ends reaches."""
    pairs = np.unique(np.column_stack([members, np.array(of_end, int)]).astype(int), axis=0)
    starts = np.searchsorted(pairs[:, 0], np.arange(size))
    rows = np.logical_or.reduceat(reached[pairs[:, 1]], starts, axis=0)
    return np.logical_or.reduceat(rows[:, pairs[:, 1]], starts, axis=1)


def _own_nodes(connections: Connections, ends: Sequence[End], members: Any) -> Iterator[tuple[list[int], list[int]]]:
    """The groups with a hostNetwork pod on a node, and those with a pod of its own there, which lets it in."""
    nodes: dict[str, tuple[set[int], set[int]]] = {}
    for end, group in zip(ends, members.tolist(), strict=True):
        if end.node and not connections.fault_of(end):
            nodes.setdefault(end.node, (set(), set()))[end.labels is not None].add(group)
    for hosts, pods in nodes.values():
        if hosts and pods:
            yield sorted(hosts), sorted(pods)


def _spec(policy: NetworkPolicy) -> NetworkPolicySpec:
    return policy.spec or NetworkPolicySpec()


def _rules(policy: NetworkPolicy) -> list[Rule]:
    return [*(_spec(policy).ingress or ()), *(_spec(policy).egress or ())]


def _asked(policy: NetworkPolicy) -> Iterator[tuple[str, str | None]]:
    """The labels of pods that a policy asks about: (label, None), and each value that it names."""
    selectors = [_spec(policy).pod_selector, *(peer.pod_selector for r in _rules(policy) for peer in peers_of(r))]
    for selector in filter(None, selectors):
        for label, value in (selector.match_labels or {}).items():
            yield from ((label, None), (label, value))
        for one in selector.match_expressions or ():
            yield from ((one.key, value) for value in (None, *(one.values or ())))
