"""The ways to become somebody else: what each permission leads to in a cluster.

Permissions are what the authorizer grants, all of a holder's together; the rest is what the API shows. Other
admission (policy engines, webhooks that refuse) is not considered: it may close a way that is shown here; nor
are custom resources whose controllers make pods or bindings, which may open others.
attach and portforward are no ways: they reach a process that already runs, as it is. Writing roles or
bindings alone is none either: the API server refuses more than the writer holds, but for `bind` and
`escalate` (pkg/registry/rbac/escalation_check.go).
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from auditkit.analysis.access import MASTERS
from auditkit.analysis.holder import CONSTRAINED, MAKERS, SINK, Holder, Means, World, limits, proof
from auditkit.analysis.powers import all_powerful
from auditkit.analysis.surroundings import RunningPod

IS_ADMIN = "is cluster-admin"
SOME_REQUESTS = "impersonates, for some requests,"
CHANGES_IMAGE = "changes the image of"
CLIENT, KUBELET = "kubernetes.io/kube-apiserver-client", "kubernetes.io/kube-apiserver-client-kubelet"
# Since 1.35 an exec by WebSocket needs create too: pkg/registry/core/pod/rest/subresources.go.
WEBSOCKET_CREATE = 35
CONSTRAINED_IMPERSONATION = 35

_PODS = ("create pods", *(f"create {plural}" for plural in MAKERS))
_EDITS = tuple(f"edit {plural}" for plural in MAKERS if plural != "jobs")


def means(holder: Holder, world: World) -> Iterator[Means]:
    """Every way of a holder to become another subject or cluster-admin; whoever is cluster-admin needs no other."""
    given = holder.grants("everything", "")
    if given:
        # Rights that are administration only together are all named; else one that is it alone.
        named = given[:1] if given[0].allows and all_powerful(given[0].allows) else given
        evidence = "; ".join(dict.fromkeys(grant.via for grant in named))
        yield Means(how=IS_ADMIN, targets=frozenset([SINK]), evidence=evidence)
    elif not holder.idle:
        for ways in WAYS:
            yield from (way for way in ways(holder, world) if way.targets)


def _escalate(holder: Holder, world: World) -> Iterator[Means]:
    """A role that the holder has, rewritten to hold everything: `escalate` is asked for the role's name."""
    for scope, kind, role in sorted({(g.namespace, g.role_kind, g.role) for g in holder.all}):
        plural, where = ("clusterroles", "") if kind == "ClusterRole" else ("roles", scope)
        allowed = holder.can(f"escalate {plural}", where, role)
        edits = holder.can(f"edit {plural}", where, role)
        if allowed and edits:
            target = SINK if not scope else world.all_rights([scope], f"in {scope}")
            evidence = f"{proof(f'escalate {plural}', allowed)}; {proof(f'edit {plural}', edits)}"
            yield Means(how=f"rewrites {kind} {role}, which it holds:", targets=frozenset([target]), evidence=evidence)
            if target == SINK:
                return


def _bind(holder: Holder, world: World) -> Iterator[Means]:
    """ClusterRoleBindings: `bind` is asked for the role's name, cluster-wide."""
    create = holder.can("create clusterrolebindings", "")
    for scope, grant in holder.each("bind clusterroles"):
        names = limits(grant)
        if scope or not create:
            continue
        evidence = f"{proof('bind clusterroles', grant)}; {proof('create clusterrolebindings', create)}"
        if not names or not {*world.admin_roles}.isdisjoint(names):
            yield Means(how="binds itself:", targets=frozenset([SINK]), evidence=evidence)
            continue
        roles = [world.role("ClusterRole", "", name, [""], "cluster-wide") for name in names]
        yield Means(how="binds itself:", targets=frozenset(roles), evidence=evidence)
    for binding, role in sorted(world.admin_bindings.items()):
        bind, edit = holder.can("bind clusterroles", "", role), holder.can("edit clusterrolebindings", "", binding)
        if bind and edit:
            evidence = f"{proof('bind clusterroles', bind)}; {proof('edit clusterrolebindings', edit)}"
            yield Means(
                how=f"adds itself to ClusterRoleBinding {binding}:", targets=frozenset([SINK]), evidence=evidence
            )
            return


def _bind_in_namespaces(holder: Holder, world: World) -> Iterator[Means]:
    """RoleBindings: `bind` is asked in the binding's namespace."""
    for kind, power in (("ClusterRole", "bind clusterroles"), ("Role", "bind roles")):
        for scope in holder.together(power, "create rolebindings"):
            create = holder.can("create rolebindings", scope)
            scopes, where = ([scope], f"in {scope}") if scope else (world.namespaces, "in any namespace")
            for grant in holder.grants(power, scope):
                names = limits(grant)
                evidence = f"{proof(power, grant)}; {proof('create rolebindings', create)}" if create else ""
                if kind == "ClusterRole" and (not names or not {*world.admin_roles}.isdisjoint(names)):
                    roles = [world.all_rights(scopes, where)]
                elif kind == "ClusterRole":
                    roles = [world.role(kind, "", name, scopes, where) for name in names]
                else:
                    roles = [
                        world.role(kind, namespace, name, [namespace], f"in {namespace}")
                        for namespace in scopes
                        for name in world.known_roles(kind, namespace)
                        if not names or name in names
                    ]
                yield Means(how="binds itself:", targets=frozenset(roles), evidence=evidence)


def _impersonate(holder: Holder, world: World) -> Iterator[Means]:
    """A group is impersonated together with a user or ServiceAccount (apiserver/pkg/endpoints/filters/impersonation)."""
    for scope, grant in holder.each("impersonate serviceaccounts"):
        targets = world.accounts(scope, limits(grant))
        yield Means(how="impersonates", targets=targets, evidence=proof("impersonate serviceaccounts", grant))
    for scope, grant in holder.each("impersonate users"):
        if not scope:
            named = {f"User {name}" for name in limits(grant)}
            targets = world.users & named if named else world.users
            yield Means(how="impersonates", targets=targets, evidence=proof("impersonate users", grant))
    beside = holder.scopes("impersonate users", "impersonate serviceaccounts")
    for scope, grant in holder.each("impersonate groups"):
        if not scope and beside:
            named = {f"Group {name}" for name in limits(grant)}
            everyone = not named or f"Group {MASTERS}" in named
            targets = frozenset([SINK]) if everyone else world.groups & named
            how = f"impersonates Group {MASTERS}:" if everyone else "impersonates"
            yield Means(how=how, targets=targets, evidence=proof("impersonate groups", grant))


def _impersonate_constrained(holder: Holder, world: World) -> Iterator[Means]:
    """Somebody else for some requests: `impersonate:MODE` names whom, `impersonate-on:MODE:VERB` on a resource for what.

    Before 1.35 nothing asks for these verbs, since then where the feature gate ConstrainedImpersonation is on
    (apiserver/pkg/endpoints/filters/impersonation). Whether the requests reach as far as the other's rights is not
    followed: always a condition.
    """
    if world.facts.minor is not None and world.facts.minor < CONSTRAINED_IMPERSONATION:
        return
    condition = "constrained impersonation is on and the requests that it allows reach that far"
    for verb, plural in CONSTRAINED:
        acts, beside = holder.acts_on(verb.partition(":")[2]), plural != "groups" or holder.can(f"{verb} users", "")
        for scope, grant in holder.each(f"{verb} {plural}"):
            if not acts or not beside or (scope and plural != "serviceaccounts"):
                continue
            names, evidence = limits(grant), f"{proof(f'{verb} {plural}', grant)}; as whom it acts: {acts.via}"
            targets = _impersonated(plural, scope, names, world)
            yield Means(how=SOME_REQUESTS, targets=targets, evidence=evidence, condition=condition)
            if plural == "nodes":
                pods, how = world.facts.pods, f"{SOME_REQUESTS} the node of"
                within = None if pods is None else [p for p in pods if not names or p.node in names]
                yield from inside(world, how, within, evidence, when=condition, nodes=False)


def _impersonated(plural: str, scope: str, names: Sequence[str], world: World) -> frozenset[str]:
    """Whom a grant on these names, all where there are none, lets impersonate; any node is in system:nodes."""
    if plural == "serviceaccounts":
        return world.accounts(scope, names)
    if plural == "nodes":
        return world.groups & {"Group system:nodes"}
    known = world.users if plural == "users" else world.groups | {SINK}
    named = {SINK if name == MASTERS else f"{'User' if plural == 'users' else 'Group'} {name}" for name in names}
    return known & named if named else known


def _certificates(holder: Holder, world: World) -> Iterator[Means]:
    """A client certificate of one's own asking and approval.

    Approval needs the signer too (plugin/pkg/admission/certificates/approval); a subject of system:masters is
    refused (.../certificates/subjectrestriction); requests for a node's certificate by who may create
    certificatesigningrequests/nodeclient are approved by a controller (pkg/controller/certificates/approver).
    """
    create, approve = holder.can("create csr", ""), holder.can("approve csr", "")
    if not create:
        return
    for signer in (CLIENT, KUBELET):
        sign = holder.can("approve signers", "", signer) or holder.can("approve signers", "", "kubernetes.io/*")
        given = [("create csr", create), ("approve csr", approve), ("approve signers", sign)]
        if signer == KUBELET and not (approve and sign):
            given = [("create csr", create), ("create nodeclient", holder.can("create nodeclient", ""))]
        if not all(grant for _, grant in given):
            continue
        evidence = "; ".join(proof(power, grant) for power, grant in given if grant)
        if signer == CLIENT:
            everyone = (world.users | world.groups | world.accounts("", missing=True)) - {f"Group {MASTERS}"}
            yield Means(how="has itself certified as", targets=everyone, evidence=evidence)
        else:
            group = world.groups & {"Group system:nodes"}
            yield Means(how="has itself certified as a node of", targets=group, evidence=evidence)
            yield from inside(world, "has itself certified as the node of", world.facts.pods, evidence, nodes=False)


def _tokens(holder: Holder, world: World) -> Iterator[Means]:
    for scope, grant in holder.each("create tokens"):
        targets = world.accounts(scope, limits(grant))
        yield Means(how="mints a token of", targets=targets, evidence=proof("create tokens", grant))


def _secrets(holder: Holder, world: World) -> Iterator[Means]:
    """A token Secret that is there, or one that the holder makes or rewrites: a controller writes the token into it
    (pkg/controller/serviceaccount/tokens_controller.go)."""
    for scope in holder.together("create secrets", "read secrets"):
        given = [(power, holder.can(power, scope)) for power in ("create secrets", "read secrets")]
        evidence = "; ".join(proof(power, grant) for power, grant in given if grant)
        yield Means(how="makes a token Secret of", targets=world.accounts(scope), evidence=evidence)
    for one in rewritten(holder, world):
        how = f"rewrites {one.secret} into one of"
        yield Means(how=how, targets=world.accounts(one.scope), evidence=one.evidence, condition=one.condition)
    for scope, grant in holder.each("read secrets"):
        names, tokens, how = limits(grant), world.facts.tokens, "reads a token Secret of"
        evidence = proof("read secrets", grant)
        if tokens is None:
            condition = "a Secret there holds a token of it (Secrets were not read)"
            yield Means(how=how, targets=world.accounts(scope), evidence=evidence, condition=condition)
        for token in tokens or ():
            if scope in ("", token.namespace) and (not names or token.name in names):
                targets = world.accounts(token.namespace, [token.account] if token.account else ())
                condition = "" if token.account else f"Secret {token.namespace}/{token.name} holds a token of it"
                why = f"{evidence}; Secret {token.namespace}/{token.name}"
                yield Means(how=how, targets=targets, evidence=why, condition=condition)


class Rewritten(NamedTuple):
    """A token Secret that a holder changes and reads, so that it holds a token of any ServiceAccount of its namespace."""

    scope: str
    secret: str
    evidence: str
    condition: str


def rewritten(holder: Holder, world: World) -> Iterator[Rewritten]:
    """The token Secrets that a holder rewrites, one of each namespace: a controller puts in whose token it is told to."""
    tokens, done = world.facts.tokens, set[str]()
    for scope in holder.together("edit secrets", "read secrets"):
        edit, read = holder.can("edit secrets", scope), holder.can("read secrets", scope)
        if edit and read and tokens is None:
            evidence = f"{proof('edit secrets', edit)}; {proof('read secrets', read)}"
            condition = "a Secret that it may change and read holds a token (Secrets were not read)"
            yield Rewritten(scope, "token Secrets", evidence, condition)
        for token in tokens or ():
            edit = holder.can("edit secrets", token.namespace, token.name)
            read = holder.can("read secrets", token.namespace, token.name)
            if edit and read and scope in ("", token.namespace) and token.namespace not in done:
                done.add(token.namespace)
                evidence = f"{proof('edit secrets', edit)}; {proof('read secrets', read)}"
                yield Rewritten(token.namespace, f"token Secret {token.namespace}/{token.name}", evidence, "")


def _make_pods(holder: Holder, world: World) -> Iterator[Means]:
    """A pod runs as any ServiceAccount of its namespace that its maker names; nobody asks whether it may."""
    for scope, evidence, condition in pod_makers(holder, world):
        missing = holder.can("create serviceaccounts", scope) is not None
        how = f"runs a pod in {scope or 'its namespace'} as"
        yield Means(how=how, targets=world.accounts(scope, missing=missing), evidence=evidence, condition=condition)


def pod_makers(holder: Holder, world: World) -> Iterator[tuple[str, str, str]]:
    """Where the holder decides what a pod is, by what, and on what condition."""
    makers = world.facts.makers
    for scope in holder.scopes(*_PODS, *_EDITS):
        for power in (*_PODS, *_EDITS):
            grant = holder.can(power, scope)
            plural = power.partition(" ")[2]
            there = power in _PODS or makers is None or any(
                p == plural and scope in ("", namespace) for namespace, p in makers
            )  # fmt: skip
            if grant and there:
                unknown = power in _EDITS and makers is None
                yield scope, proof(power, grant), f"there are {plural} to change" if unknown else ""
                break


def _enter_pods(holder: Holder, world: World) -> Iterator[Means]:
    """exec, a debug container, or another image in a pod that runs: whatever is in the pod is the holder's."""
    for way in entered(holder, world):
        yield from inside(world, way.how, way.pods, way.evidence, scope=way.scope, when=way.condition)


class Entered(NamedTuple):
    """Pods that a holder gets into in a scope ("" is cluster-wide); None where pods were not read."""

    how: str
    scope: str
    pods: list[RunningPod] | None
    evidence: str
    condition: str


def entered(holder: Holder, world: World) -> Iterator[Entered]:
    """The pods that a holder gets into, by each of its grants.

    A static pod follows its file, whatever is written into its image in the API.
    """
    minor = world.facts.minor
    ways = [("exec", "execs into", ""), ("debug", "debugs", ""), ("edit pods", CHANGES_IMAGE, "")]
    if minor is None or minor < WEBSOCKET_CREATE:
        ways.append(("get exec", "execs into", "" if minor else "the API server is older than 1.35"))
    for power, how, when in ways:
        for scope, grant in holder.each(power):
            names, pods = limits(grant), world.pods_of(scope)
            if pods is not None:
                pods = [p for p in pods if (not names or p.name in names) and (how == "execs into" or not p.static)]
            yield Entered(how, scope, pods, proof(power, grant), when)


def _kubelets(holder: Holder, world: World) -> Iterator[Means]:
    """nodes/proxy, get alone too: whatever the kubelet's own API can do, exec into each of its pods among it."""
    for scope, grant in holder.each("proxy nodes"):
        if not scope:
            names, pods = limits(grant), world.facts.pods
            within = None if pods is None else [p for p in pods if not names or p.node in names]
            yield from inside(world, "execs through a kubelet into", within, proof("proxy nodes", grant))


def inside(
    world: World,
    how: str,
    pods: Sequence[RunningPod] | None,
    evidence: str,
    *,
    scope: str = "",
    when: str = "",
    nodes: bool = True,
) -> Iterator[Means]:
    """What whoever is in these pods (None: not read) becomes: their ServiceAccounts, and with `nodes` who their nodes are.

    `when` is what the way into them hangs on, `scope` the namespace where they were not read.
    """
    if pods is None:
        condition = _and(when, "a pod of it runs (pods were not read)")
        yield Means(
            how=f"{how} pod of" if how.endswith("next") else f"{how} a pod of",
            targets=world.accounts(scope),
            evidence=evidence,
            condition=condition,
        )
        return
    yield Means(
        how=f"{how} pod of" if how.endswith("next") else f"{how} a pod of",
        targets=world.running(pods),
        evidence=evidence,
        condition=when,
    )
    held = {pod.node: pod for pod in reversed(pods) if nodes and pod.root and pod.node}
    beside = world.running(world.pods_on(held))
    yield Means(how=f"{how} a pod that holds the node of", targets=beside, evidence=evidence, condition=when)
    known = world.facts.control_plane
    for node in sorted(held.keys() if known is None else held.keys() & known)[:1]:
        why = f"{evidence}; pod {held[node].namespace}/{held[node].name} holds node {node}"
        unseen = "" if known is not None else "that node is of the control plane (nodes were not read)"
        yield Means(
            how=f"{how} a pod that holds a control-plane node:",
            targets=frozenset([SINK]),
            evidence=why,
            condition=_and(when, unseen),
        )


def _privileged_pods(holder: Holder, world: World) -> Iterator[Means]:
    """A pod that is root on its node, where the namespace's Pod Security level lets it; a pod may name its node."""
    for scope, evidence, condition in pod_makers(holder, world):
        choices = [_lets_root(holder, world, namespace) for namespace in ([scope] if scope else world.namespaces)]
        # Whoever makes a namespace writes its labels, and so the level that it enforces.
        new = not scope and any(holder.can(power, "") for power in _PODS)
        makes = holder.can("create namespaces", "") if new else None
        choices.append((proof("create namespaces", makes), "", "a namespace that it makes") if makes else None)
        open_ = sorted((choice for choice in choices if choice), key=lambda choice: (bool(choice[1]), choice))
        if open_:
            why, unless, namespace = open_[0]
            nodes = world.facts.control_plane
            unseen = "" if nodes is not None else "the control plane's nodes are in the cluster"
            how, targets = f"takes over a node by a privileged pod in {namespace}:", frozenset([SINK])
            if nodes is not None and not nodes:
                how, targets = f"{how.rstrip(':')} beside", world.running(world.facts.pods or ())
            conditions = _and(condition, unless, unseen)
            yield Means(how=how, targets=targets, evidence=f"{evidence}; {why}", condition=conditions)


def _lets_root(holder: Holder, world: World, namespace: str) -> tuple[str, str, str] | None:
    """Why pods of a namespace can be root on their node, on what condition, and the namespace."""
    if world.facts.levels is None:
        return f"Pod Security level of {namespace} not read", "its Pod Security level lets it", namespace
    level = world.facts.levels.get(namespace)
    if level == "privileged":
        return f"namespace {namespace} enforces privileged", "", namespace
    relabel = holder.can("edit namespaces", namespace, namespace)
    if relabel:
        return proof("edit namespaces", relabel), "", namespace
    volume, claim = holder.can("create volumes", ""), holder.can("create claims", namespace)
    if level == "baseline" and volume and claim:
        return f"a hostPath by a claim: {proof('create volumes', volume)}", "", namespace
    if level is None:
        return (
            f"namespace {namespace} has no enforce label",
            "the cluster's default Pod Security level lets it",
            namespace,
        )
    return None


def _mutate(holder: Holder, world: World) -> Iterator[Means]:
    """Who changes objects as they are made puts a container of their own into the next pod of any ServiceAccount."""
    webhook = holder.can("write webhooks", "")
    policy, bound = holder.can("write mutating policies", ""), holder.can("write mutating policy bindings", "")
    if webhook:
        yield from inside(world, "changes the next", world.facts.pods, proof("write webhooks", webhook), nodes=False)
    elif policy and bound:
        evidence = f"{proof('write mutating policies', policy)}; {proof('write mutating policy bindings', bound)}"
        served = "the API server serves MutatingAdmissionPolicies"
        yield from inside(world, "changes the next", world.facts.pods, evidence, when=served, nodes=False)


def _map_aws(holder: Holder, world: World) -> Iterator[Means]:
    """aws-auth maps identities of AWS to users and groups, system:masters among them."""
    grant = holder.can("edit configmaps", "kube-system", "aws-auth")
    if world.facts.aws_auth and grant:
        evidence = proof("edit configmaps", grant)
        yield Means(how="maps itself in aws-auth:", targets=frozenset([SINK]), evidence=evidence)


def _and(*conditions: str) -> str:
    return " and ".join(filter(None, conditions))


WAYS = (
    _escalate, _bind, _bind_in_namespaces, _impersonate, _impersonate_constrained, _certificates, _tokens, _secrets,
    _make_pods, _enter_pods, _kubelets, _privileged_pods, _mutate, _map_aws,
)  # fmt: skip
