"""Who can become cluster-admin, and how: the ways of `means` put together into a graph."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import networkx as nx
import pandas as pd

from auditkit.analysis.access import Access
from auditkit.analysis.holder import SINK, Holder, Means, World
from auditkit.analysis.means import IS_ADMIN, means

# (whether a condition is on the way, steps): which way is better.
Rank = tuple[bool, int]
START: Rank = (False, -1)
COLUMNS = ["kind", "namespace", "name", "identity", "exists", "steps", "path", "evidence", "condition", "stock"]


class Paths(NamedTuple):
    """Who can become cluster-admin, and how.

    `graph`: a networkx MultiDiGraph. Its nodes are subjects ("User ann", "Group devs", "ServiceAccount web/bot"),
    roles that somebody may bind, and "cluster-admin"; node attributes `kind`, `name`, `namespace`, `stock`.
    An edge is one way from its holder to the nearest it leads to; edge attributes `how`, `evidence`, `condition`
    ("" where none), `best` (the one that the table shows). Only what leads to cluster-admin is in it.

    `table`: one row per subject that can, nearest first: `kind`, `namespace` (of a ServiceAccount), `name`,
    `identity` (as `bindings.identity`), `exists` (of a ServiceAccount, where known), `steps` (0: is cluster-admin already), `path` (in words), `evidence`
    (a list, one text a step), `condition` (what a snapshot cannot tell; missing where the way is certain),
    `stock` (all that the subject holds is what Kubernetes ships).
    """

    graph: nx.MultiDiGraph
    table: pd.DataFrame


@dataclass(frozen=True, slots=True)
class _Step:
    """One edge: a way, whom it leads to, and how near that is to cluster-admin."""

    way: Means
    to: str
    rank: Rank


class Reached(NamedTuple):
    """A cluster, every way in it, and how near to cluster-admin each node is; nodes that cannot reach it have no rank."""

    world: World
    ways: Mapping[str, list[Means]]
    ranks: Mapping[str, Rank]


def reached(access: Access) -> Reached:
    """Who can reach cluster-admin: what `paths` and `analysis/chains.py` are made of."""
    world = World(access)
    ways = _ways(world)
    return Reached(world, ways, _ranks(ways))


def paths(found: Access | Reached) -> Paths:
    """Everybody who is or can become cluster-admin by what Access grants and its surroundings show.

    What was not collected is not in it. A path is the shortest of those without a condition, else of all. What members of a group can do is the
    group's: who they are a cluster does not know. Whoever is in system:masters, and who runs the nodes, is
    outside RBAC and has no row of that.
    """
    world, ways, ranks = reached(found) if isinstance(found, Access) else found
    levels: dict[Rank, set[str]] = {START: {SINK}}
    for node in sorted(ranks, key=lambda node: ranks[node]):
        levels.setdefault(ranks[node], set()).add(node)
    graph = nx.MultiDiGraph()
    first: dict[str, _Step] = {}
    for rank, nodes in levels.items():
        for node in sorted(nodes - {SINK}):
            graph.add_node(node, **world.attributes(node))
            steps = list(_steps(node, ways[node], levels, rank))
            nearer = (s for s in steps if s.rank < rank and (rank[0] or not s.way.condition))
            first[node] = min(nearer, key=lambda s: (s.rank, bool(s.way.condition), s.way.how, s.to))
            for step in steps:
                way, best = step.way, step is first[node]
                graph.add_edge(node, step.to, how=way.how, evidence=way.evidence, condition=way.condition, best=best)
    if first:
        graph.add_node(SINK, kind=SINK, namespace="", name=SINK, stock=False)
    rows = [_row(node, first, world) for node in first if node in world.subjects]
    table = pd.DataFrame(rows, columns=COLUMNS)
    return Paths(graph, table.sort_values(["steps", "kind", "namespace", "name"], ignore_index=True))


def effective_admins(access: Access) -> pd.DataFrame:
    """Who is cluster-admin already, under any name of a role: one row per subject, binding and role that makes it so.

    Columns `kind`, `namespace`, `name`, `identity`, `binding`, `role`, `stock`: all that the subject holds is
    what Kubernetes ships. A role counts that creates and changes every resource of every group
    (`powers.all_powerful`) by a ClusterRoleBinding. system:masters is a row where a binding names it; it is
    cluster-admin without one too (`access.OUTSIDE_RBAC`).
    """
    world = World(access)
    found = {
        (node, grant.binding, grant.role)
        for node, holder in world.holders.items()
        for grant in holder.grants("everything", "")
    }
    columns = ["kind", "namespace", "name", "identity", "binding", "role", "stock"]
    rows = [
        {**world.attributes(node), "identity": world.subjects[node][2:], "binding": binding, "role": role}
        for node, binding, role in sorted(found)
    ]
    return pd.DataFrame(rows, columns=columns)


def _ways(world: World) -> dict[str, list[Means]]:
    """Every node and its ways; roles that a way leads to become nodes themselves."""
    found: dict[str, list[Means]] = {}
    waiting: list[Holder] = list(world.holders.values())
    while waiting:
        for holder in waiting:
            found[holder.node] = list(means(holder, world))
        waiting = [holder for node, holder in world.roles.items() if node not in found]
    return found


def _ranks(ways: Mapping[str, list[Means]]) -> dict[str, Rank]:
    """How near to cluster-admin each node is that can reach it: breadth first, without conditions before with."""
    ranks: dict[str, Rank] = {
        node: (False, 0) for node, found in ways.items() if any(way.how == IS_ADMIN for way in found)
    }
    for conditional in (False, True):
        steps, reached = 1, {SINK, *ranks}
        while reached:
            reached = {
                node
                for node, found in ways.items()
                if node not in ranks
                and any((conditional or not way.condition) and not way.targets.isdisjoint(reached) for way in found)
            }
            ranks.update((node, (conditional, steps)) for node in reached)
            steps += 1
    return ranks


def _steps(node: str, ways: Iterable[Means], levels: Mapping[Rank, set[str]], own: Rank) -> Iterator[_Step]:
    """The edges of a node: each way to the nearest that it leads to, none away from cluster-admin."""
    for way in ways:
        for rank, nodes in levels.items():
            found = (way.targets & nodes) - {node} if rank <= own else set()
            if found:
                yield from (_Step(way, to, rank) for to in sorted(found))
                break


def _row(node: str, first: Mapping[str, _Step], world: World) -> dict[str, object]:
    """A subject and the way that its best steps make."""
    steps: list[_Step] = []
    here = node
    while here != SINK:
        steps.append(first[here])
        here = first[here].to
    done = [step.way.how if step.way.how == IS_ADMIN else f"{step.way.how} {step.to}" for step in steps]
    conditions = dict.fromkeys(step.way.condition for step in steps if step.way.condition)
    return {
        **world.attributes(node),
        "identity": world.subjects[node][2:],
        "exists": world.exists(node),
        "steps": sum(step.way.how != IS_ADMIN for step in steps),
        "path": " → ".join([node, *done]),
        "evidence": [step.way.evidence for step in steps],
        "condition": " and ".join(conditions) or None,
    }
