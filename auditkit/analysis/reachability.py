"""Which connections a cluster's NetworkPolicies allow: Kubernetes' own rules, and None where they do not decide.

The readings where the API leaves room are constants of `auditkit.analysis.ends` and `auditkit.analysis.connections`;
each is printed with an answer that hangs on it.
"""

from collections.abc import Iterable
from itertools import product
from typing import Any, Literal, Protocol

import pandas as pd

from auditkit.analysis import exposed, reachmatrix
from auditkit.analysis.connections import ASSERTED, FINISHED, Answer, Connections, foreign
from auditkit.analysis.ends import DIRECTIONS, HOST_NETWORK
from auditkit.analysis.isolation import Direction, allows_all
from auditkit.analysis.netrules import PROTOCOLS, End
from auditkit.analysis.networks import ENGINES
from auditkit.analysis.objects import Gathered
from auditkit.analysis.selectors import some
from auditkit.errors import UsageError
from auditkit.kinds import Kind
from auditkit.kinds.network import NetworkPolicy, Service
from auditkit.kinds.platform import Namespace, Node
from auditkit.kinds.workloads import DaemonSet, Pod

__all__ = ["Answer", "Reachability"]


class _Coverage(Protocol):
    @property
    def state(self) -> str: ...


class _Snapshot(Protocol):
    @property
    def objects(self) -> Any: ...

    def state(self, kind: type[Kind], /) -> _Coverage: ...


class _Tables(Protocol):
    @property
    def snapshot(self) -> _Snapshot: ...


class Reachability:
    """The connections that the NetworkPolicies of one cluster allow (networking/v1 NetworkPolicy).

    Policies isolate a pod in a direction where one that has the direction selects it; then only what one of them
    allows passes. A connection needs the source's egress and the target's ingress. Where policies of another engine
    (Cilium, Calico, Antrea, admin policies) may decide about a pod, where the network is not known to enforce policies, and
    where something that could change the answer was not collected or is not known, the answer is None.
    """

    def __init__(self, objects: Any, *, enforced: bool | None = None, missing: Iterable[type[Kind]] = ()) -> None:
        found = Gathered(objects)
        self._objects, self._asserted = found, enforced is True
        self._connections = Connections(found, enforced=enforced, missing=missing, foreign=dict(foreign(found.others)))
        self._ends = self._connections.ends

    @classmethod
    def from_objects(
        cls, objects: Any, *, enforced: bool | None = None, missing: Iterable[type[Kind]] = ()
    ) -> "Reachability":
        """From a snapshot's objects, or any iterable of Structs or manifests.

        They are all there is of a kind, but for those named `missing`. `enforced` asserts that the network enforces
        NetworkPolicies, or does not; None is what its DaemonSet says. Manifests of kinds that auditkit does not read are passed
        over, but for policies of other engines. Raises ValueError where a manifest has no kind, msgspec.ValidationError
        where it is malformed.
        """
        return cls(objects, enforced=enforced, missing=missing)

    @classmethod
    def from_tables(cls, tables: _Tables, *, enforced: bool | None = None) -> "Reachability":
        """From the snapshot behind tables, and its coverage: frames hold neither peers nor named ports."""
        read: tuple[type[Kind], ...] = (Pod, Namespace, NetworkPolicy, DaemonSet, Node, Service, *ENGINES)
        states = {kind: tables.snapshot.state(kind).state for kind in read}
        missing = [kind for kind, state in states.items() if state not in ("collected", "not served")]
        return cls(tables.snapshot.objects, enforced=enforced, missing=missing)

    def allowed(self, source: str, target: str, port: int | str, protocol: str = "TCP") -> bool | None:
        """Whether a connection is allowed; None where that cannot be told (`why` says why not).

        Each end is "namespace/pod", an address, or a range (CIDR): a range is allowed, or not, where all of it is, and
        None where a part of it is. `port` is a number, or the name of a port of the target pod. Raises UsageError where
        an end, the port or the protocol (TCP, UDP, SCTP) is none.
        """
        return self.why(source, target, port, protocol).value

    def why(self, source: str, target: str, port: int | str, protocol: str = "TCP") -> Answer:
        """The answer of `allowed` with its reason, the policies that decide, and the readings it hangs on."""
        sources, targets = self._ends.find(source), self._ends.find(target)
        number = _protocol_checked(port, protocol, targets.ends[0])
        fault = self._connections.fault or sources.fault or targets.fault
        pairs = product(sources.ends, targets.ends)
        found = [self._connections.answer(one, other, number, protocol.upper()) for one, other in pairs]
        merged = Answer(value=None, reason=fault) if fault else _merged(found)
        asserted = (ASSERTED,) if self._asserted else ()
        readings = dict.fromkeys((*sources.readings, *targets.readings, *merged.readings, *asserted))
        return Answer(value=merged.value, reason=merged.reason, policies=merged.policies, readings=tuple(readings))

    def isolation(self) -> pd.DataFrame:
        """One row per pod and direction.

        `isolated`: a policy that has the direction selects the pod, so that only what is allowed passes; missing
        where that is not known. `allows_all`: one of those policies allows any peer on every port of a protocol, so
        that isolated does not mean closed. `policies` are the names of those that act on it, `reason` says why a pod
        is not isolated by them or why it is not known.
        """
        rows = [self._isolation(end, direction) for end in self._ends.pods.values() for direction in DIRECTIONS]
        columns = ["namespace", "pod", "direction", "isolated", "allows_all", "policies", "reason"]
        frame = pd.DataFrame(rows, columns=columns)
        return frame.astype({"isolated": "boolean", "allows_all": "boolean"})

    def _isolation(self, end: End, direction: Direction) -> tuple[Any, ...]:
        place = (end.namespace, end.name.partition("/")[2], direction)
        certain, possible = self._connections.acting(direction, end)
        unsure = bool(possible) or not self._connections.complete
        names = [p.name for p in (*certain, *possible)]
        opened = some([*(allows_all(p, direction) for p in certain), None if unsure else False])
        if end.finished:
            return (*place, None, None, names, FINISHED)
        fault = self._connections.fault_of(end)
        if fault:
            return (*place, None, None, names, fault)
        if end.host_network:
            return (*place, False, False, [], HOST_NETWORK)
        if certain:
            return (*place, True, opened, names, "")
        if unsure:
            return (*place, None, None, names, "policies that may act on it are not known")
        return (*place, False, False, [], "no policy acts on it")

    def matrix(self, by: Literal["workload", "namespace"] = "workload") -> pd.DataFrame:
        """Who reaches whom: one row per source, one column per target, "namespace/kind/name" or a namespace's name.

        True where a pod of the source may connect to another pod of the target on some port, False where none may on
        any, missing where that is not known. Pods that have not finished count, and the template of a workload that
        runs none. A pod reaches itself: that is left out, so a workload reaches itself where a second pod of it would
        be reached. Raises UsageError where `by` is neither.
        """
        if by not in ("workload", "namespace"):
            raise UsageError(f"no matrix by {by!r}: by workload or namespace")
        groups: dict[str, list[End]] = {}
        for key, ends in self._ends.owned(self._objects):
            groups.setdefault("/".join(key) if by == "workload" else key[0], []).extend(ends)
        return reachmatrix.frame(self._connections, dict(sorted(groups.items())))

    def exposed(self) -> pd.DataFrame:
        """What the outside reaches: one row per workload, port and what leads to it; see `analysis.exposed`."""
        return exposed.frame(self._objects, self._connections)


def _protocol_checked(port: int | str, protocol: str, target: End) -> int:
    """The number of a port; UsageError where port or protocol is none."""
    if protocol.upper() not in PROTOCOLS:
        raise UsageError(f"no protocol {protocol!r}: NetworkPolicies know {', '.join(PROTOCOLS)}")
    if isinstance(port, str) and not port.isdigit():
        numbers = [n for name, spoken, n in target.ports if (name, spoken) == (port, protocol.upper())]
        if not numbers:
            raise UsageError(f"{target.name} has no {protocol.upper()} port named {port!r}")
        return numbers[0]
    if not 1 <= int(port) <= 65535:
        raise UsageError(f"no port {port}: 1 to 65535, or the name of a port of the target pod")
    return int(port)


def _merged(answers: list[Answer]) -> Answer:
    """One answer for all parts of what was asked; None where they differ."""
    if len({answer.value for answer in answers}) == 1:
        policies = dict.fromkeys(policy for answer in answers for policy in answer.policies)
        readings = dict.fromkeys(reading for answer in answers for reading in answer.readings)
        first = answers[0]
        return Answer(value=first.value, reason=first.reason, policies=tuple(policies), readings=tuple(readings))
    parts = {answer.value: answer.reason for answer in answers}
    words = {True: "allowed", False: "not allowed", None: "not known"}
    return Answer(value=None, reason="; ".join(f"part of it is {words[v]} ({why})" for v, why in parts.items()))
