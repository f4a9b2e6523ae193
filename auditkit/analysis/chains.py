"""Rights that are dangerous together: what each subject can do by all its bindings, where that ends at cluster-admin.

The ways are those of `means`; a ServiceAccount leads to cluster-admin where `escalation` finds a way.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import NamedTuple

import pandas as pd

from auditkit.analysis.access import Grant
from auditkit.analysis.escalation import START, Reached
from auditkit.analysis.holder import ACCOUNT, SINK, Holder, limits, proof
from auditkit.analysis.means import CHANGES_IMAGE, entered, inside, pod_makers, rewritten

# Namespaces of the cluster itself; others are those of applications.
SYSTEM = ("kube-system", "kube-public", "kube-node-lease")
_GROUPS = frozenset(f"Group system:serviceaccounts:{namespace}" for namespace in SYSTEM)
UNREAD = "a pod of it runs (pods were not read)"


class Link(NamedTuple):
    """A chain that a subject holds: in words, and what a snapshot cannot tell (empty where it can)."""

    says: str
    condition: str = ""


def chains(found: Reached) -> pd.DataFrame:
    """One row per subject that a binding names and that is not cluster-admin already.

    Columns `kind`, `namespace` and `name` (as nodes of `escalation.Paths`), `identity`, `exists`, `stock`, one
    nullable boolean a chain of CHAINS (missing: it hangs on what a snapshot cannot tell, or a rule could not be
    computed) and `evidence`, a list of texts.
    """
    rows = []
    for node, holder in found.world.holders.items():
        if holder.can("everything", ""):
            continue
        links = {name: list(chain(holder, found)) for name, chain in CHAINS.items()}
        whole = all(grant.allows is not None for grant in holder.all)
        rows.append(
            {
                **found.world.attributes(node),
                "identity": found.world.subjects[node][2:],
                "exists": found.world.exists(node),
                **{name: _verdict(of, whole) for name, of in links.items()},
                "evidence": [*dict.fromkeys(_text(link) for of in links.values() for link in of)],
            }
        )
    columns = ["kind", "namespace", "name", "identity", "exists", "stock", *CHAINS, "evidence"]
    return pd.DataFrame(rows, columns=columns)


def _verdict(links: Collection[Link], whole: bool) -> bool | None:
    if any(not link.condition for link in links):
        return True
    return None if links or not whole else False


def _text(link: Link) -> str:
    return f"{link.says}, if {link.condition}" if link.condition else link.says


def _issues_tokens(holder: Holder, found: Reached) -> Iterator[Link]:
    """A token Secret that the subject makes or rewrites, and reads when a controller has put the token in.

    pkg/controller/serviceaccount/tokens_controller.go fills in whatever ServiceAccount of the namespace the
    annotation names.
    """
    for scope in holder.together("create secrets", "read secrets"):
        create, read = holder.can("create secrets", scope), holder.can("read secrets", scope)
        if create and read:
            taken = "" if holder.can("read secrets", scope, "") else "no Secret has a name that it may read"
            yield Link(f"makes token Secrets: {proof('create secrets', create)}; {proof('read secrets', read)}", taken)
    for one in rewritten(holder, found.world):
        yield Link(f"rewrites {one.secret}: {one.evidence}", one.condition)


def _assigns_accounts(holder: Holder, found: Reached) -> Iterator[Link]:
    """A pod, or the template of one, that names a ServiceAccount which leads to cluster-admin."""
    for scope, evidence, condition in pod_makers(holder, found.world):
        missing = holder.can("create serviceaccounts", scope) is not None
        targets = found.world.accounts(scope, missing=missing)
        yield from _leading(holder, found, targets, "runs a pod as", evidence, condition)


def _enters_applications(holder: Holder, found: Reached) -> Iterator[Link]:
    """A pod or a token Secret outside the namespaces of the cluster itself."""
    world = found.world
    for way in entered(holder, world):
        pods = None if way.pods is None else [pod for pod in way.pods if pod.namespace not in SYSTEM]
        for step in inside(world, way.how, pods, way.evidence, scope=way.scope, when=way.condition):
            targets = _outside(step.targets) if pods is None else step.targets
            yield from _leading(holder, found, targets, step.how, step.evidence, step.condition)
    for scope, grant in holder.each("read secrets"):
        names, tokens, says = limits(grant), world.facts.tokens, "reads a token Secret of"
        evidence = proof("read secrets", grant)
        if tokens is None and scope not in SYSTEM:
            condition = "a Secret there holds a token of it (Secrets were not read)"
            yield from _leading(holder, found, _outside(world.accounts(scope)), says, evidence, condition)
        for token in tokens or ():
            here = scope in ("", token.namespace) and token.namespace not in SYSTEM
            if here and (not names or token.name in names):
                targets = world.accounts(token.namespace, [token.account] if token.account else ())
                condition = "" if token.account else f"Secret {token.namespace}/{token.name} holds a token of it"
                yield from _leading(holder, found, targets, says, evidence, condition)


def _handles_pods(holder: Holder, found: Reached) -> Iterator[Link]:
    """Another image in a pod, or its removal while the other nodes take no new one: it comes back where the subject says."""
    for way in entered(holder, found.world):
        if way.how == CHANGES_IMAGE:
            for step in inside(found.world, way.how, way.pods, way.evidence, scope=way.scope):
                yield from _leading(holder, found, step.targets, step.how, step.evidence, step.condition)
    nodes = holder.can("edit nodes", "", "") or holder.can("edit nodes", "")
    if nodes:
        yield from _moves_pods(holder, found, nodes)


def _moves_pods(holder: Holder, found: Reached, nodes: Grant) -> Iterator[Link]:
    """By cordoning and removing; a taint with NoExecute removes alone what does not tolerate it."""
    some = "the nodes that it may change are all others" if limits(nodes) else ""
    for power in ("delete pods", "evict pods"):
        for scope, grant in holder.each(power):
            evidence = f"{proof(power, grant)}; {proof('edit nodes', nodes)}"
            yield from _moved(holder, found, scope, limits(grant), evidence, some)
    yield from _moved(
        holder, found, "", (), proof("edit nodes", nodes), "it does not tolerate a taint of the subject's"
    )


def _moved(
    holder: Holder, found: Reached, scope: str, names: Collection[str], evidence: str, condition: str
) -> Iterator[Link]:
    """The pods of a scope that are made again elsewhere: all but static ones."""
    pods = found.world.pods_of(scope)
    moved = [pod for pod in pods or () if not pod.static and (not names or pod.name in names)]
    targets = found.world.accounts(scope) if pods is None else found.world.running(moved)
    unless = " and ".join(filter(None, (condition, UNREAD if pods is None else "")))
    yield from _leading(holder, found, targets, "moves a pod of", evidence, unless)


def _outside(targets: Iterable[str]) -> frozenset[str]:
    """Those of the nodes that are not of a namespace of the cluster itself: a ServiceAccount, or the group of all there."""
    return frozenset(t for t in targets if t.removeprefix(ACCOUNT).partition("/")[0] not in SYSTEM and t not in _GROUPS)


def _leading(
    holder: Holder, found: Reached, targets: Iterable[str], says: str, evidence: str, condition: str
) -> Iterator[Link]:
    """The nearest to cluster-admin of the targets, but the subject itself; nothing where none leads there."""
    leading = [node for node in targets if node == SINK or (node in found.ranks and node != holder.node)]
    ranked = sorted((found.ranks.get(node, START), node) for node in leading)
    if ranked:
        (conditional, _), node = ranked[0]
        unsure = [condition, f"{node} leads to cluster-admin" if conditional else ""]
        yield Link(f"{says} {node}: {evidence}", " and ".join(filter(None, unsure)))


CHAINS = {
    "issues_tokens": _issues_tokens,
    "assigns_accounts": _assigns_accounts,
    "enters_applications": _enters_applications,
    "handles_pods": _handles_pods,
}
