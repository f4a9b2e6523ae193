"""How the events of an audit log become few: activities of a day, uses of a right, what is logged at all.

One request is one event, whatever the stages that the policy writes: it is counted at its end, ResponseComplete or
Panic (the API server writes one of them: endpoints/filters/audit.go). RequestReceived tells nothing that the end does not. ResponseStarted
is written of long-running requests, and waits for the end by its auditID: few are open at a time. Those of which no end
comes are counted when the log is over. A failed authentication (401) has no other stage.
"""

from collections.abc import Iterator
from datetime import date, datetime

import msgspec

from auditkit.analysis.activity import in_kube_system, is_person, kind_of
from auditkit.capture.imports.audit_events import (
    NO_ANNOTATIONS,
    NO_REFERENCE,
    NO_RESPONSE,
    NO_USER,
    Activity,
    Event,
    Named,
    Scope,
    Use,
    Written,
)
from auditkit.kinds.certificates import CertificateSigningRequest

# What is kept at most; what does not fit is counted, and makes the import partial.
MOST_ACTIVITIES, MOST_USES, MOST_OPEN = 200_000, 50_000, 20_000
# Different requests that are told apart while they pass, before they are summed up.
MOST_TALLIES = 20_000
# In place of the stage, of a request that began and whose end is not in the log.
UNENDED = "no end"
_ENDS = ("ResponseComplete", "Panic", UNENDED)
ANONYMOUS, MASTERS = "system:anonymous", "system:masters"
# Paths that are about no resource and are kept as they are; another could hold a secret.
PATHS = ("/healthz", "/livez", "/readyz", "/version", "/metrics", "/openapi", "/apis", "/api", "/logs", "/debug")

# Done by a component too, these are told apart by the object.
_BY_NAME = ("rbac", "policy", "exec")

_Activity = tuple[str, str, str, str, str, str, str, str, str, str, int, date]
_Request = tuple[str, str, str, str, str, str, str, str, str, int]


class _Tally:
    """Requests that agree in verb, resource, user, reason and answer: their count, first and last; `kept` are listed too."""

    __slots__ = ("count", "ended", "first", "kept", "last", "what")

    def __init__(self, request: _Request, at: datetime) -> None:
        stage, _, verb, group, resource, subresource, user, impersonated, _, code = request
        self.what = kind_of(verb, group, resource, subresource, controller=is_person(user) is False)
        # A failed authentication has no user, and no other stage.
        self.ended = stage in _ENDS or (stage == "ResponseStarted" and not user)
        self.kept = self.what != "other" or code in (401, 403) or bool(impersonated) or user == ANONYMOUS
        self.count, self.first, self.last = 0, at, at


class Reduction:
    """What is kept of the events that were added."""

    def __init__(self) -> None:
        self._tallies: dict[_Request, _Tally] = {}
        self._activities: dict[_Activity, Activity] = {}
        self._uses: dict[tuple[str, str, str], Use] = {}
        self._touched: dict[tuple[str, str, str], set[str]] = {}
        self._scopes: dict[tuple[str, str, str], Scope] = {}
        self._open: dict[str, Event] = {}
        self._unlisted = self._unkept = self._overflowed = 0

    def add(self, event: Event) -> None:
        """Count one line of the log."""
        ref, user = event.object_ref or NO_REFERENCE, event.user or NO_USER
        at = event.request_received_timestamp
        acting = event.impersonated_user
        request = (
            event.stage,
            event.level,
            event.verb,
            ref.api_group,
            ref.resource,
            ref.subresource,
            user.username,
            acting.username if acting else "",
            (event.annotations or NO_ANNOTATIONS).reason,
            (event.response_status or NO_RESPONSE).code,
        )
        tally = self._tallies.get(request) or self._tally(request, at)
        tally.count += 1
        if at > tally.last:
            tally.last = at
        elif at < tally.first:
            tally.first = at
        if tally.ended:
            if self._open:
                self._open.pop(event.audit_id, None)
            if tally.kept or (user.groups and MASTERS in user.groups):
                self._keep(event, request, tally.what)
        elif event.stage == "ResponseStarted":
            self._began(event)

    def finish(self) -> None:
        """Sum up, with the requests whose end is not in the log."""
        for event in tuple(self._open.values()):
            self._unended(event)
        self._sum()

    def activities(self) -> list[Activity]:
        return [activity for _, activity in sorted(self._activities.items())]

    def uses(self) -> Iterator[Use]:
        for key, use in sorted(self._uses.items()):
            use.resources = sorted(self._touched[key])
            yield use

    def scopes(self) -> list[Scope]:
        return [scope for _, scope in sorted(self._scopes.items())]

    def notes(self) -> list[str]:
        """What makes the reduction partial."""
        found = []
        if self._unlisted:
            found.append(f"{self._unlisted:,} requests beyond {MOST_ACTIVITIES:,} different activities are not listed")
        if self._unkept:
            found.append(f"{self._unkept:,} requests beyond {MOST_USES:,} users and reasons are not listed")
        if self._overflowed:
            found.append(
                f"{self._overflowed:,} requests may be counted twice: more than {MOST_OPEN:,} were open at a time"
            )
        if not any(scope.stage == "ResponseComplete" for scope in self.scopes()):
            found.append("no line of the stage ResponseComplete: how requests ended is not in the log")
        return found

    def _tally(self, request: _Request, at: datetime) -> _Tally:
        if len(self._tallies) >= MOST_TALLIES:
            self._sum()
        return self._tallies.setdefault(request, _Tally(request, at))

    def _sum(self) -> None:
        """Add the tallies to uses and scope, and forget them."""
        for request, tally in self._tallies.items():
            stage, level, _, _, resource, _, user, impersonated, reason, code = request
            scope = (tally.what, stage, level)
            of = self._scopes.setdefault(scope, Scope(what=tally.what, stage=stage, level=level, lines=0))
            of.lines += tally.count
            if tally.ended:
                self._use((user, impersonated, reason), resource, code, tally)
        self._tallies = {}

    def _use(self, key: tuple[str, str, str], resource: str, code: int, tally: _Tally) -> None:
        if key not in self._uses:
            if len(self._uses) >= MOST_USES:
                self._unkept += tally.count
                return
            user, impersonated, reason = key
            self._uses[key] = Use(
                user=user, impersonated=impersonated, reason=reason, first=tally.first, last=tally.last
            )
            self._touched[key] = set()
        use = self._uses[key]
        use.count += tally.count
        use.first, use.last = min(use.first, tally.first), max(use.last, tally.last)
        if code in (401, 403):
            use.denied += tally.count
        elif code < 400:
            self._touched[key].add(resource)

    def _began(self, event: Event) -> None:
        """Wait for the end of a long-running request."""
        if len(self._open) >= MOST_OPEN:
            self._unended(self._open.pop(next(iter(self._open))))
            self._overflowed += 1
        self._open[event.audit_id] = event

    def _unended(self, event: Event) -> None:
        """Count a request that began, as if it had ended as it began."""
        event.stage = UNENDED
        self.add(event)

    def _keep(self, event: Event, request: _Request, what: str) -> None:
        _, _, verb, group, resource, subresource, user, impersonated, reason, code = request
        ref, at = event.object_ref or NO_REFERENCE, event.request_received_timestamp
        namespace, name = ref.namespace, ref.name
        if user.startswith("system:node:") and code < 400:
            # Thousands of nodes do the same for their own pods; who was denied is told apart.
            user, namespace, name = "system:node:*", "", ""
        elif (what == "other" and user != ANONYMOUS) or (code < 400 and what not in _BY_NAME and in_kube_system(user)):
            name = ""
        path = "" if resource or user != ANONYMOUS else _path(event.request_uri)
        key = (what, user, impersonated, verb, group, resource, subresource, namespace, name, path, code)
        kept = self._activities.get((*key, at.date()))
        if kept is None:
            if len(self._activities) >= MOST_ACTIVITIES:
                self._unlisted += 1
                return
            kept = Activity(
                what=what,
                user=user,
                impersonated=impersonated,
                verb=verb,
                group=group,
                resource=resource,
                subresource=subresource,
                namespace=namespace,
                name=name,
                path=path,
                code=code,
                first=at,
                last=at,
                count=0,
            )
            self._activities[(*key, at.date())] = kept
        kept.count += 1
        kept.first = min(kept.first, at)
        kept.masters = kept.masters or MASTERS in ((event.user or NO_USER).groups or ())
        if at >= kept.last:
            kept.last, kept.reason = at, reason
            if what == "rbac" and code < 400:
                _facts(kept, event)
        if what == "certificate" and subresource == "approval" and code < 400:
            _decided(kept, event)


def _path(uri: str) -> str:
    """A path of the API server by its first part; what else may be asked for is not kept."""
    path = uri.partition("?")[0]
    return next((known for known in PATHS if path == known or path.startswith(f"{known}/")), "another path")


def _facts(kept: Activity, event: Event) -> None:
    """Role, subjects and rules out of the body that the server answered, else out of the one that was sent."""
    for body in (event.response_object, event.request_object):
        try:
            written = msgspec.json.decode(body, type=Written)
        except msgspec.MsgspecError:
            continue  # no body at this level, a list of JSON patches, or a Status
        if written.role_ref or written.subjects or written.rules:
            kept.role = f"{written.role_ref.kind}/{written.role_ref.name}" if written.role_ref else ""
            kept.subjects = [_subject(one) for one in written.subjects] if written.subjects else None
            kept.rules = [str(rule) for rule in written.rules] if written.rules else None
            return


def _decided(kept: Activity, event: Event) -> None:
    """Who asked for the certificate, for whom, and the decision, out of the body; added, so that no later one hides an earlier."""
    for body in (event.response_object, event.request_object):
        try:
            spec, status = (written := msgspec.json.decode(body, type=CertificateSigningRequest)).spec, written.status
        except msgspec.MsgspecError:
            continue
        if spec:
            kept.requesters = _added(kept.requesters, [spec.username] if spec.username else [])
            if spec.subject:
                kept.names = _added(kept.names, [spec.subject.common_name or ""])
                kept.organizations = _added(kept.organizations, spec.subject.organizations or [])
            conditions = status.conditions if status else None
            kept.decisions = _added(kept.decisions, [one.type for one in conditions or ()])
            return


def _added(known: list[str] | None, more: list[str]) -> list[str]:
    return sorted({*(known or ()), *more})


def _subject(one: Named) -> str:
    return "/".join(part for part in (one.kind, one.namespace, one.name) if part)
