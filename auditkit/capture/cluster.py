"""The door for a running cluster: the official client connects, its lists become a snapshot."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec
from tqdm import tqdm

from auditkit import kinds as all_kinds
from auditkit.analysis.selectors import every
from auditkit.capture import answers, tool
from auditkit.capture.connect import connected
from auditkit.capture.lister import JSON, METADATA, Listed, Served, collection, count, discover, fetch, merged
from auditkit.capture.policy import (
    EXCLUDED,
    SECRET_TYPES,
    SECRETS_EXCLUDED,
    kept_secret,
    reads_secrets,
    whole_types,
)
from auditkit.capture.snapshot import DEFAULTS, Coverage, Identity, Options, Origin, Snapshot
from auditkit.capture.transport import Patience, Reply, Transport, parsed
from auditkit.errors import RetryLater
from auditkit.kinds import Kind, resource
from auditkit.kinds.certificates import Secret
from auditkit.memory import collection_paused

PATIENCE = Patience()


def capture(
    context: str | None = None,
    *,
    in_cluster: bool = False,
    options: Options = DEFAULTS,
    qps: float = 50.0,
    kinds: Sequence[type[Kind]] = all_kinds.ALL,
    kubeconfig: Path | None = None,
    limit: int = 500,
    patience: Patience = PATIENCE,
    progress: bool | None = None,
) -> Snapshot:
    """Read a cluster: the kubeconfig's `context` (None is its current one), or the cluster this pod runs in.

    Lists are unfiltered and cluster-wide, `limit` objects a page, at most `qps` requests a second. What is denied,
    broken or not served is coverage. `progress` None shows a bar on a terminal only.
    Raises UsageError for configuration, TLS and credentials, RetryLater where the server is unreachable or throttles.
    """
    with connected(context, in_cluster, kubeconfig, qps, patience) as (transport, source, cluster), collection_paused():
        first = _reached(transport)
        served = discover(transport)
        identity = _identity(transport, served)
        uid = _uid(transport)
        coverage: list[Coverage] = []
        objects: dict[type[Kind], list[Kind]] = {}
        wanted = [kind for kind in kinds if kind is not Secret or reads_secrets(options)]
        for kind in tqdm(wanted, desc=source, unit="kind", disable=None if progress is None else not progress):
            how, found = _collect(transport, served, kind, options, limit)
            coverage.append(how)
            if how.pages:
                objects[kind] = found
        coverage += _uncollected(transport, served, kinds, options)
    origin = Origin(
        cluster=cluster or uid,
        source=source,
        cluster_uid=uid,
        server=transport.server,
        version=str(parsed(first, transport.server).get("gitVersion", "")) if first.ok else "",
        identity=identity,
        taken_at=first.date,
        dated_by="server Date header" if first.date else "undated",
        clock_skew_seconds=_skew(first),
        options=options,
        tool=tool(),
    )
    return Snapshot(origin=origin, coverage=coverage, objects=objects)


def _reached(transport: Transport) -> Reply:
    """The answer to /version, whose Date header dates the snapshot."""
    first = transport.get("/version")
    if first.status >= 500:
        raise RetryLater(f"{transport.server} answers {first.reason}; try again later")
    return first


def _skew(first: Reply) -> float | None:
    """The local clock less the server's, in seconds; its header counts whole ones."""
    return round((first.received - first.date).total_seconds(), 1) if first.date and first.received else None


def _identity(transport: Transport, served: Served) -> Identity:
    """Who the server takes us for; empty before Kubernetes 1.26, which cannot say, and where no answer of its own came."""
    versions = served.versions.get("selfsubjectreviews.authentication.k8s.io")
    if not versions:
        return Identity()
    path = f"/apis/authentication.k8s.io/{versions[0]}/selfsubjectreviews"
    reply = transport.post(path, {"apiVersion": f"authentication.k8s.io/{versions[0]}", "kind": "SelfSubjectReview"})
    with suppress(msgspec.ValidationError):
        return answers.identity(parsed(reply, path)) if reply.ok else Identity()
    return Identity()


def _uid(transport: Transport) -> str:
    """The uid of the Namespace kube-system, which stands for the cluster's own; empty where it may not be read."""
    reply = transport.get("/api/v1/namespaces/kube-system")
    return str(parsed(reply, transport.server).get("metadata", {}).get("uid", "")) if reply.ok else ""


def _allowed(transport: Transport, group: str, plural: str) -> bool | None:
    """Whether this identity may list the resource in all namespaces; None where the server does not say."""
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    attributes = {"verb": "list", "group": group, "resource": plural}
    document = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview"}
    reply = transport.post(path, {**document, "spec": {"resourceAttributes": attributes}})
    return bool(parsed(reply, path).get("status", {}).get("allowed")) if reply.ok else None


def _collect(
    transport: Transport, served: Served, kind: type[Kind], options: Options, limit: int
) -> tuple[Coverage, list[Kind]]:
    """The objects of one kind that the options allow, and how asking for them ended."""
    if kind.plural == "*":
        return _group(transport, served, kind, limit)
    name = resource(kind)
    versions = served.versions.get(name, [])
    if not versions and kind.group in served.broken:
        return Coverage(resource=name, kind=kind.kind, state="failed", note=served.broken[kind.group]), []
    if not versions:
        return Coverage(resource=name, kind=kind.kind, state="not served"), []
    version = next((v for v in kind.versions if v in versions), "")
    if not version:
        note = f"served as {', '.join(versions)}; this version of auditkit reads {', '.join(kind.versions)}"
        return Coverage(resource=name, kind=kind.kind, state="failed", note=note), []
    allowed = _allowed(transport, kind.group, kind.plural)
    if kind is Secret:
        listed = _secrets(transport, options, limit)
    else:
        path = collection(kind.group, version, kind.plural, limit=limit, resourceVersion=kind.whole_at)
        listed = fetch(transport, kind, path)
    return _covered(kind, listed, version, allowed), listed.objects


def _group(transport: Transport, served: Served, kind: type[Kind], limit: int) -> tuple[Coverage, list[Kind]]:
    """A kind that is a whole group: each resource that the group serves is listed, and one that is not leaves it partial.

    Where none may be listed the kind is denied.
    """
    name, allowed, used = resource(kind), [], []
    lists = [Listed("", fault=served.broken[kind.group])] if kind.group in served.broken else []
    for one in sorted(r for r in served.listable if all_kinds.served_as(r) is kind):
        plural = one.partition(".")[0]
        version = next((v for v in kind.versions if v in served.versions[one]), served.versions[one][0])
        path = collection(kind.group, version, plural, limit=limit)
        allowed.append(_allowed(transport, kind.group, plural))
        listed = (
            fetch(transport, kind, path) if version in kind.versions else Listed(path, fault=f"served as {version}")
        )
        listed.fault = listed.fault and f"{one}: {listed.fault}"
        lists.append(listed)
        used.append(version)
    if not lists:
        return Coverage(resource=name, kind=kind.kind, state="not served"), []
    listed = merged(lists)
    return _covered(kind, listed, used[0] if used else "", every(allowed)), listed.objects


def _covered(kind: type[Kind], listed: Listed, version: str, allowed: bool | None) -> Coverage:
    return Coverage(
        resource=resource(kind),
        kind=kind.kind,
        version=version,
        state=listed.state,
        seen=listed.seen,
        kept=len(listed.objects),
        expected=listed.expected,
        malformed=tuple(listed.malformed),
        pages=tuple(listed.pages),
        restarts=listed.restarts,
        resource_version=listed.resource_version,
        list_allowed=allowed,
        request=listed.path,
        note=listed.note,
    )


def _secrets(transport: Transport, options: Options, limit: int) -> Listed:
    """Whole Secrets only of the types that the options open, metadata of the others; one list a type.

    Metadata does not say the type, the selector of its list does; the type of the rest stays unknown.
    """
    whole = whole_types(options)
    queries: list[tuple[str | None, str, str]] = [(type_, f"type={type_}", JSON) for type_ in whole]
    if options.secrets:
        queries += [(type_, f"type={type_}", METADATA) for type_ in SECRET_TYPES if type_ not in whole]
        queries.append((None, ",".join(f"type!={type_}" for type_ in SECRET_TYPES), METADATA))
    lists = []
    for type_, selector, accept in queries:
        path = collection("", "v1", Secret.plural, fieldSelector=selector, limit=limit)
        listed = fetch(transport, Secret, path, accept)
        lists.append(listed)
        kept = []
        for secret in listed.objects:
            if isinstance(secret, Secret):
                secret.type = type_
                if (reduced := kept_secret(secret, options)) is not None:
                    kept.append(reduced)
        listed.objects = list(kept)
        # RBAC knows no types: what is denied once is denied for all.
        if listed.status == 403:
            break
    return merged(lists)


def _uncollected(
    transport: Transport, served: Served, kinds: Sequence[type[Kind]], options: Options
) -> Iterator[Coverage]:
    """Everything else that the server lists: excluded by policy, or of no use to auditkit and only counted."""
    if Secret in kinds and not reads_secrets(options):
        yield Coverage(resource=resource(Secret), kind=Secret.kind, state="excluded", note=SECRETS_EXCLUDED)
    for group in sorted(set(served.broken) - {kind.group for kind in kinds}):
        yield Coverage(resource=f"*.{group}", state="failed", note=served.broken[group])
    for name in sorted(name for name in served.listable if all_kinds.served_as(name) is None):
        if name in EXCLUDED:
            yield Coverage(resource=name, kind=served.kinds[name], state="excluded", note=EXCLUDED[name])
        else:
            yield _counted(transport, served, name)


def _counted(transport: Transport, served: Served, name: str) -> Coverage:
    plural, _, group = name.partition(".")
    version = served.versions[name][0]
    path = collection(group, version, plural, limit=1)
    allowed = _allowed(transport, group, plural)
    # Without the right to list, asking would only leave a refusal in the cluster's audit log.
    found, fault = (None, "listing is not granted") if allowed is False else count(transport, path)
    note = "auditkit has no use for this kind" + (f"; not counted: {fault}" if fault else "")
    return Coverage(
        resource=name,
        kind=served.kinds[name],
        version=version,
        state="not read",
        seen=found or 0,
        expected=found,
        list_allowed=allowed,
        request="" if allowed is False else path,
        note=note,
    )
