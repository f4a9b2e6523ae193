"""Whether one end of a cluster may open a connection to another, by the NetworkPolicies that act on either."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from auditkit.analysis.ends import HOST_NETWORK, Ends
from auditkit.analysis.isolation import Direction, rules
from auditkit.analysis.netrules import End, Namespaces, acts, opens, peers_of, verdict
from auditkit.analysis.networks import ENGINES, enforcement, is_linux
from auditkit.analysis.objects import Objects
from auditkit.kinds import Kind, resource
from auditkit.kinds.network import NetworkPolicy
from auditkit.kinds.platform import Namespace, Node
from auditkit.kinds.workloads import DaemonSet, Pod

SELF = "a pod always reaches itself"
NODE = "a pod always lets in its own node"
# The documentation of NetworkPolicy says "to and from the node"; networks differ on what leaves a pod.
TO_NODE = "egress to a pod's own node is held against policies like any other"
FINISHED = "a finished pod has no network"
BLOCK = "an ipBlock is held against the addresses of pods themselves: no address is translated on the way"
FAMILIES = "of several address families that both ends have, one that is allowed is enough"
ASSERTED = "that the network enforces NetworkPolicy is the caller's assertion"


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Whether a connection is allowed, and why.

    `value` is None where that cannot be told. `policies` are the rules that allow it ("web/front ingress[0]"), or
    the policies ("web/front") that isolate and do not. `readings` are those that the answer hangs on.
    """

    value: bool | None
    reason: str
    policies: tuple[str, ...] = ()
    readings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"<Answer {self}>"

    def __str__(self) -> str:
        word = {True: "allowed", False: "not allowed", None: "not known"}[self.value]
        policies = (f"policy: {one}" for one in self.policies)
        return "\n".join([f"{word}: {self.reason}", *policies, *(f"reading: {one}" for one in self.readings)])


class Connections:
    """The policies of one cluster, and what keeps them from deciding.

    `enforced` is what the caller asserts of the network, None where its DaemonSet is to say; `missing` are the kinds
    that were not completely read; `foreign` names policies of other engines by the namespace
    about whose pods they may decide, "" for all of them.
    """

    def __init__(
        self, objects: Objects, *, enforced: bool | None, missing: Iterable[type[Kind]], foreign: Mapping[str, str]
    ) -> None:
        self.missing, self.enforced = frozenset(missing), enforced
        self.complete = NetworkPolicy not in self.missing
        self.ends = Ends(objects, whole=Pod not in self.missing)
        self.namespaces = Namespaces(objects[Namespace])
        self.policies: dict[str, list[NetworkPolicy]] = {}
        for policy in objects[NetworkPolicy]:
            self.policies.setdefault(policy.namespace, []).append(policy)
        self._foreign = dict(foreign)
        for kind in ENGINES:
            for one in objects[kind]:
                self._foreign[one.namespace if kind.namespaced else ""] = f"{resource(kind)} {one.name}"
        self._windows = frozenset(n.name for n in objects[Node] if not is_linux(n)) if not enforced else frozenset()
        self.fault = self._cluster_fault(objects)
        self._acting: dict[object, tuple[list[NetworkPolicy], list[NetworkPolicy]]] = {}

    def _cluster_fault(self, objects: Objects) -> str:
        known, reason = enforcement(objects)
        if self.enforced is False:
            return "the caller asserts that the network does not enforce NetworkPolicies"
        if self.enforced is None and not known:
            return "daemonsets.apps were not completely read" if DaemonSet in self.missing else reason
        if "" in self._foreign:
            return f"another engine's policies are there and not evaluated: {self._foreign['']}"
        unread = sorted(resource(kind) for kind in self.missing if kind in ENGINES)
        return f"other engines' policies were not completely read: {', '.join(unread)}" if unread else ""

    def fault_of(self, end: End) -> str:
        """Why NetworkPolicies alone do not decide what an end lets through; empty where they do."""
        if self.fault or end.labels is None:
            return self.fault
        if end.namespace in self._foreign:
            return f"another engine's policies are there and not evaluated: {self._foreign[end.namespace]}"
        windows = end.node in self._windows
        return f"{end.name} runs on a Windows node: whether policies are enforced there is not known" if windows else ""

    def acting(self, direction: Direction, end: End) -> tuple[list[NetworkPolicy], list[NetworkPolicy]]:
        """The policies that act on a pod in a direction, and those that may."""
        key = (direction, end.namespace, frozenset((end.labels or {}).items()), end.labels is None)
        if key not in self._acting:
            found = [(p, acts(p, direction, end)) for p in self.policies.get(end.namespace, ())]
            self._acting[key] = [p for p, on in found if on], [p for p, on in found if on is None]
        return self._acting[key]

    def answer(self, source: End, target: End, port: int, protocol: str) -> Answer:
        """Whether `source` may connect to a port of `target`."""
        if self.fault:
            return Answer(value=None, reason=self.fault)
        for end in (source, target):
            if end.finished:
                return Answer(value=False, reason=f"{end.name} has finished", readings=(FINISHED,))
        if source.namespace and source == target and not self.fault_of(source):
            return Answer(value=True, reason=f"{source.name} is both ends", readings=(SELF,))
        both = sorted(source.versions & target.versions)
        if len(source.versions | target.versions) < 2 or not both:
            return self._over(source, target, port, protocol)
        found = [self._over(source.only(v), target.only(v), port, protocol) for v in both]
        best = next((a for want in (True, None, False) for a in found if a.value is want), found[0])
        return replace(best, readings=(*best.readings, FAMILIES)) if len({a.value for a in found}) > 1 else best

    def _over(self, source: End, target: End, port: int, protocol: str) -> Answer:
        sides = (
            self._side("Egress", source, target, target, port, protocol),
            self._side("Ingress", target, source, target, port, protocol),
        )
        worst = [a for want in (False, None) for a in sides if a.value is want][:1]
        chosen = worst or sides
        return Answer(
            value=chosen[0].value,
            reason="; ".join(a.reason for a in chosen),
            policies=tuple(p for a in chosen for p in a.policies),
            readings=tuple(dict.fromkeys(r for a in chosen for r in a.readings)),
        )

    def _side(self, direction: Direction, end: End, other: End, target: End, port: int, protocol: str) -> Answer:
        """What one end says: the target of ingress, the source of egress."""
        word = direction.lower()
        if end.labels is None:
            of_host = (HOST_NETWORK,) if end.host_network else ()
            return Answer(value=True, reason=f"no policy acts on {end.name}", readings=of_host)
        fault = self.fault_of(end)
        if fault:
            return Answer(value=None, reason=fault)
        own_node = other.labels is None and other.node != "" and other.node == end.node
        if direction == "Ingress" and own_node:
            return Answer(value=True, reason=f"{other.name} is the node of {end.name}", readings=(NODE,))
        certain, possible = self.acting(direction, end)
        found = [opens(p, direction, other, target, port, protocol, self.namespaces) for p in (*certain, *possible)]
        values = [said for said, _ in found]
        unread = [] if self.complete else [None]
        value = verdict(values[: len(certain)], [*values[len(certain) :], *unread])
        readings: tuple[str, ...] = (HOST_NETWORK,) if other.host_network and found else ()
        if other.labels is not None and _has_block([*certain, *possible], direction):
            readings = (*readings, BLOCK)
        if own_node and found:
            readings = (*readings, TO_NODE)
        policies = tuple(rule for said, decisive in found if said is value for rule in decisive)
        if value is False:
            policies = tuple(f"{p.namespace}/{p.name}" for p in certain)
        reason = {
            True: f"a policy allows {word} of {end.name}" if found else f"no policy isolates {end.name} for {word}",
            False: f"policies isolate {end.name} for {word} and none allows it",
            None: f"whether {word} of {end.name} is allowed depends on what is not known"
            + ("" if self.complete else ": networkpolicies.networking.k8s.io were not completely read"),
        }[value]
        return Answer(value=value, reason=reason, policies=policies, readings=readings)


def _has_block(policies: Iterable[NetworkPolicy], direction: Direction) -> bool:
    return any(peer.ip_block for p in policies for rule in rules(p, direction) for peer in peers_of(rule))


def foreign(documents: Iterable[Mapping[str, object]]) -> Iterator[tuple[str, str]]:
    """Namespace and name of what is a policy of another engine, of manifests of kinds that auditkit does not read."""
    for document in documents:
        kind, meta = str(document.get("kind") or ""), document.get("metadata")
        if kind.endswith("NetworkPolicy"):
            place = meta if isinstance(meta, Mapping) else {}
            yield str(place.get("namespace") or ""), f"{document.get('apiVersion')} {kind} {place.get('name')}"
