"""Asks an API server what it serves, and lists it page by page, so that what was lost is known."""

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote, urlencode

import msgspec

from auditkit import kinds
from auditkit.capture import answers
from auditkit.capture.snapshot import State
from auditkit.capture.transport import Transport, parsed
from auditkit.errors import RetryLater, UsageError
from auditkit.kinds import Kind, ListMeta, Malformed

JSON = "application/json"
# k8s.io/client-go/discovery: aggregated documents where the server has them, plain ones else.
DISCOVERY = ",".join(
    [f"{JSON};g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList" for version in ("v2", "v2beta1")] + [JSON]
)
METADATA = f"{JSON};as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"


@dataclass
class Served:
    """What discovery says: versions of each resource ("deployments.apps") in the server's order, and groups that did not answer."""

    versions: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    kinds: dict[str, str] = field(default_factory=dict)
    listable: set[str] = field(default_factory=set)
    broken: dict[str, str] = field(default_factory=dict)

    def add(self, group: str, version: str, plural: str, kind: str, verbs: Sequence[str]) -> None:
        name = f"{plural}.{group}" if group else plural
        self.versions[name].append(version)
        self.kinds.setdefault(name, kind)
        if "list" in verbs:
            self.listable.add(name)


def discover(transport: Transport) -> Served:
    """All groups, versions and resources, aggregated (Kubernetes 1.26 and later) or one document a version.

    Raises UsageError where the identity may not ask or no API server answers, RetryLater where it cannot answer now.
    """
    served = Served()
    for root in ("/api", "/apis"):
        reply = transport.get(root, DISCOVERY)
        if reply.status >= 500:
            raise RetryLater(f"{transport.server}{root}: {reply.reason}; try again later")
        if not reply.ok:
            raise UsageError(
                f"{transport.server}{root}: {reply.reason}; discovery needs the ClusterRole system:discovery"
            )
        document = parsed(reply, transport.server + root)
        if document.get("kind") == "APIGroupDiscoveryList":
            try:
                groups = answers.groups(document)
            except msgspec.ValidationError as error:
                raise UsageError(f"{transport.server}{root}: not as Kubernetes writes it: {error}") from None
            for group in groups:
                _aggregated(served, group)
        elif document.get("kind") not in ("APIVersions", "APIGroupList"):
            raise UsageError(f"{transport.server}{root}: not the answer of a Kubernetes API server; check the address")
        elif root == "/api":
            for version in document["versions"]:
                _plain(served, transport, "", version)
        else:
            for group in document["groups"]:
                for version in group["versions"]:
                    _plain(served, transport, group["name"], version["version"])
    return served


def _aggregated(served: Served, group: answers.Group) -> None:
    for one in group.versions or ():
        if one.broken:
            served.broken[group.name] = f"the API server of {group.name}/{one.version} did not answer discovery"
        for r in one.resources or ():
            served.add(group.name, one.version, r.resource, r.kind, r.verbs or ())


def _plain(served: Served, transport: Transport, group: str, version: str) -> None:
    path = f"/apis/{group}/{version}" if group else f"/api/{version}"
    reply = transport.get(path)
    if not reply.ok:
        served.broken[group] = f"discovery of {path}: {reply.reason}"
        return
    for r in parsed(reply, transport.server + path).get("resources") or ():
        if "/" not in r["name"]:
            served.add(group, version, r["name"], r.get("kind", ""), r.get("verbs") or ())


@dataclass
class Listed:
    """What came of a list: `fault` says why it is not whole, `status` is the answer that broke it."""

    path: str
    objects: list[Kind] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    resource_version: str = ""
    expected: int | None = None
    restarts: int = 0
    fault: str = ""
    status: int = 200
    stale: bool = False

    @property
    def seen(self) -> int:
        return len(self.objects) + len(self.malformed)

    @property
    def state(self) -> State:
        """Collected only if every page came, at one resourceVersion, with no fewer objects than announced, all readable."""
        if self.fault and not self.pages:
            return "denied" if self.status == 403 else "failed"
        return "partial" if self.note else "collected"

    @property
    def note(self) -> str:
        notes = [self.fault] if self.fault else []
        if not self.fault and self.expected is not None and self.seen < self.expected:
            notes.append(f"the server announced {self.expected} objects and sent {self.seen}")
        notes += [f"{m.namespace}/{m.name}: {m.fault}" for m in self.malformed[:3]]
        return "; ".join(notes)


def collection(kind_group: str, version: str, plural: str, **query: str | int) -> str:
    """The path of a cluster-wide list, e.g. /apis/apps/v1/deployments?limit=500."""
    root = f"/apis/{kind_group}/{version}" if kind_group else f"/api/{version}"
    asked = urlencode({name: value for name, value in query.items() if value}, quote_via=quote)
    return f"{root}/{plural}" + (f"?{asked}" if asked else "")


def fetch(transport: Transport, kind: type[Kind], path: str, accept: str = JSON) -> Listed:
    """The whole list at `path`; one that expires (410) or changes its resourceVersion is begun again, a few times.

    A list that stays broken keeps the consistent pages that came, and says why it is not whole.
    """
    listed = _walk(transport, kind, path, accept)
    while listed.stale and listed.restarts < transport.patience.restarts:
        restarts = listed.restarts + 1
        listed = _walk(transport, kind, path, accept)
        listed.restarts = restarts
    once = {(obj.namespace, obj.name): obj for obj in listed.objects}
    if len(once) < len(listed.objects):
        listed.fault = listed.fault or f"the server sent {len(listed.objects) - len(once)} objects twice"
        listed.objects = list(once.values())
    return listed


class _Empty(msgspec.Struct):
    """A page without objects must at least say that it is a list: any other document would read as an empty one."""

    kind: Annotated[str, msgspec.Meta(pattern="List$")]


def _walk(transport: Transport, kind: type[Kind], path: str, accept: str) -> Listed:
    listed, token, tokens = Listed(path), "", {""}
    while True:
        reply = transport.get(path + (f"&continue={quote(token)}" if token else ""), accept)
        if not reply.ok:
            listed.status, listed.fault, listed.stale = reply.status, reply.reason, reply.status == 410
            return listed
        try:
            meta, objects, malformed = kinds.decode_page(kind, reply.body)
            if not objects and not malformed:
                msgspec.json.decode(reply.body, type=_Empty)
        except msgspec.DecodeError as error:
            listed.fault = f"page {len(listed.pages) + 1} is not a list: {error}"
            return listed
        if not listed.pages:
            listed.resource_version = meta.resource_version
            if not meta.continue_ or meta.remaining_item_count is not None:
                listed.expected = len(objects) + len(malformed) + (meta.remaining_item_count or 0)
        elif meta.resource_version != listed.resource_version:
            listed.fault = (
                f"resourceVersion changed between pages, from {listed.resource_version} to {meta.resource_version}"
            )
            listed.stale = True
            return listed
        listed.objects += objects
        listed.malformed += malformed
        listed.pages.append(hashlib.sha256(reply.body).hexdigest())
        token = meta.continue_
        if not token:
            return listed
        if token in tokens:
            listed.fault = "the server repeats a page: the same continue token twice"
            return listed
        tokens.add(token)


def merged(lists: Sequence[Listed]) -> Listed:
    """Several lists of one kind as one; what broke it first counts, all faults are told."""
    broken = next((listed for listed in lists if listed.fault), None)
    counts = [listed.expected for listed in lists]
    return Listed(
        path=", ".join(listed.path for listed in lists),
        objects=[obj for listed in lists for obj in listed.objects],
        malformed=[fault for listed in lists for fault in listed.malformed],
        pages=[page for listed in lists for page in listed.pages],
        resource_version=lists[0].resource_version,
        expected=None if None in counts else sum(c or 0 for c in counts),
        restarts=sum(listed.restarts for listed in lists),
        fault="; ".join(dict.fromkeys(listed.fault for listed in lists if listed.fault)),
        status=broken.status if broken else 200,
    )


class _Count(msgspec.Struct):
    metadata: ListMeta = msgspec.field(default_factory=ListMeta)
    items: list[msgspec.Raw] | None = None


def count(transport: Transport, path: str) -> tuple[int | None, str]:
    """How many objects a list at `path` (with limit=1) has, by the server's own count; None and why where it does not say."""
    reply = transport.get(path, f"{METADATA},{JSON};q=0.9")
    if not reply.ok:
        return None, reply.reason
    try:
        first = msgspec.json.decode(reply.body, type=_Count)
    except msgspec.DecodeError as error:
        return None, f"not a list: {error}"
    if first.metadata.continue_ and first.metadata.remaining_item_count is None:
        return None, "the server does not say how many there are"
    return len(first.items or ()) + (first.metadata.remaining_item_count or 0), ""
