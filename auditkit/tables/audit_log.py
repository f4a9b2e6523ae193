"""What the audit log holds: what was done, by whom and by which right, and what the log itself can show."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Annotated, Any

from auditkit.analysis.activity import WHAT, allowed_by, is_component, is_person, subject_of
from auditkit.capture.imports.audit_events import Activity, Hour, LogFile, Scope, Use
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds import ALL

_KINDS = {(kind.group, kind.plural): kind.kind for kind in ALL}


class Requests:
    """Columns of requests of one day that agree in all of them but their count and times."""

    day: Annotated[str, "Day of the requests, UTC."]
    what: Annotated[str, "What it was, e.g. secret read, exec, rbac, policy, workload (analysis/activity.py)."]
    user: Annotated[str | None, "Who asked, by the name that authentication gave; missing where it failed."]
    person: Annotated[
        bool | None,
        "The name is no ServiceAccount's nor a component's: a person, or a robot with its own account. Missing for one that begins with system: and is not Kubernetes' own.",
    ]
    component: Annotated[bool, "The name is that of a node, the control plane, or a controller that Kubernetes binds."]
    impersonated: Annotated[str | None, "In whose name, where the user acted as another."]
    verb: Annotated[str, "Verb of the request."]
    resource: Annotated[str, "Resource as kubectl prints it, with its subresource: pods/exec, deployments.apps."]
    kind: Annotated[str, "Kind of the object; the resource where auditkit does not read that kind."]
    namespace: Annotated[str, "Namespace of the object; empty where it lies in none, or all were asked for."]
    name: Annotated[
        str, "Name of the object; empty of a list, and where requests of ServiceAccounts of kube-system are summed up."
    ]
    path: Annotated[str, "Path of an anonymous request that is about no object."]
    code: Annotated[int | None, "Code of the answer."]
    succeeded: Annotated[bool | None, "The answer was no error; missing where the log does not say."]
    denied: Annotated[bool, "The answer was 401 or 403."]
    masters: Annotated[bool, "The user was a member of system:masters, whom no rule holds back."]
    first: Annotated[datetime, "Time of the first request, UTC."]
    last: Annotated[datetime, "Time of the last request, UTC."]
    requests: Annotated[int, "How many requests."]
    reason: Annotated[str | None, "What allowed the last of them, as the API server says it."]


REQUEST = ("day", "what", "user", "impersonated", "verb", "resource", "namespace", "name", "path", "code")


@table("audit_activity", records=(Activity,), key=REQUEST)
class AuditActivity(Requests):
    """One row per thing that was done on a day, of all that an auditor asks for: see `what`.

    Of anything else only what was denied, anonymous, impersonated, or done as a member of system:masters.
    """

    role: Annotated[str | None, "Role that a written binding names; missing where the log has no bodies."]
    subjects: Annotated[list[str] | None, "Who has it by that binding."]
    rules: Annotated[list[str] | None, "Rules of a written role."]
    requesters: Annotated[
        list[str] | None, "Who asked for the certificate that was decided on; missing where the log has no bodies."
    ]
    names: Annotated[list[str] | None, "Common names in those requests: to the API server, users."]
    organizations: Annotated[list[str] | None, "Organizations in them: to the API server, groups."]
    decisions: Annotated[list[str] | None, "Approved, Denied."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for a in objects[Activity]:
            kind = _KINDS.get((a.group, a.resource), a.resource)
            code = a.code or None
            # The server names a Namespace as its own namespace (objectRef of namespaces).
            namespace = "" if (a.group, a.resource) == ("", "namespaces") else a.namespace
            yield (
                f"{a.first:%Y-%m-%d}", a.what, a.user or None, is_person(a.user), is_component(a.user),
                a.impersonated or None, a.verb, _resource(a), kind, namespace, a.name, a.path, code,
                code < 400 if code else None, code in (401, 403), a.masters, a.first, a.last, a.count, a.reason or None,
                a.role or None, a.subjects, a.rules, a.requesters, a.names, a.organizations, a.decisions,
            )  # fmt: skip


def _resource(a: Activity) -> str:
    whole = f"{a.resource}.{a.group}" if a.group else a.resource
    return f"{whole}/{a.subresource}" if a.subresource else whole


@table("grants_used", records=(Use,), key=("kind", "namespace", "name", "user", "impersonated"))
class GrantUsed:
    """One row per binding and user that it allowed a request to: when a right was used last.

    The server names one binding that allows a request, the first that it finds: another may allow it too, unseen.
    """

    kind: Annotated[str, "ClusterRoleBinding or RoleBinding."]
    namespace: Annotated[str, "Namespace of the RoleBinding; empty for a ClusterRoleBinding."]
    name: Annotated[str, "Name of the binding."]
    role_kind: Annotated[str, "Kind of its role."]
    role: Annotated[str, "Name of its role."]
    user: Annotated[str, "Who asked."]
    person: Annotated[
        bool | None, "The name is no ServiceAccount's nor a component's; missing where that is not known."
    ]
    impersonated: Annotated[str | None, "In whose name, where the user acted as another: the binding is that one's."]
    first: Annotated[datetime, "Time of the first request, UTC."]
    last: Annotated[datetime, "Time of the last request, UTC."]
    requests: Annotated[int, "How many requests."]
    resources: Annotated[list[str], "Resources asked for."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for (allowed, user, impersonated), uses in _by_binding(objects[Use]).items():
            yield (
                allowed.kind, allowed.namespace, allowed.binding, allowed.role_kind, allowed.role, user, is_person(user),
                impersonated or None, *_summed(uses),
            )  # fmt: skip


def _by_binding(uses: tuple[Use, ...]) -> dict[Any, list[Use]]:
    """Uses by what allowed them and who asked: a binding of many subjects gives many reasons."""
    found: dict[Any, list[Use]] = {}
    for use in uses:
        if allowed := allowed_by(use.reason):
            found.setdefault((allowed, use.user, use.impersonated), []).append(use)
    return found


def _summed(uses: list[Use]) -> tuple[datetime, datetime, int, list[str]]:
    resources = sorted({resource for use in uses for resource in use.resources or () if resource})
    return min(u.first for u in uses), max(u.last for u in uses), sum(u.count for u in uses), resources


@table("subject_activity", records=(Use, Activity), key=("identity",))
class SubjectActivity:
    """One row per user of the log: when it was seen first and last, and what it touched. For reviews of access."""

    identity: Annotated[str, "Name of the user: system:serviceaccount:NAMESPACE:NAME for a ServiceAccount."]
    kind: Annotated[str, "User or ServiceAccount."]
    namespace: Annotated[str, "Namespace of the ServiceAccount; empty for a User."]
    name: Annotated[str, "Name of the user or ServiceAccount."]
    person: Annotated[
        bool | None, "The name is no ServiceAccount's nor a component's; missing where that is not known."
    ]
    component: Annotated[bool, "The name is that of a node, the control plane, or a controller that Kubernetes binds."]
    first_seen: Annotated[datetime, "Time of the first request, UTC."]
    last_seen: Annotated[datetime, "Time of the last request, UTC."]
    requests: Annotated[int, "How many requests."]
    resources: Annotated[list[str], "Resources of the requests that succeeded."]
    denied: Annotated[int, "How many were answered 401 or 403."]
    as_master: Annotated[int, "How many were made as a member of system:masters."]
    impersonating: Annotated[list[str], "In whose names it acted."]
    bindings: Annotated[list[str], "Bindings that allowed them."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found: dict[str, list[Use]] = {}
        for use in objects[Use]:
            if use.user:
                found.setdefault(use.user, []).append(use)
        masters: dict[str, int] = {}
        for a in objects[Activity]:
            masters[a.user] = masters.get(a.user, 0) + a.count * a.masters
        for user, uses in found.items():
            bindings = {f"{a.kind} {a.binding}" for a in (allowed_by(use.reason) for use in uses) if a}
            yield (
                user, *subject_of(user), is_person(user), is_component(user), *_summed(uses), sum(u.denied for u in uses),
                masters.get(user, 0), sorted({u.impersonated for u in uses if u.impersonated}), sorted(bindings),
            )  # fmt: skip


class _OfTheLog:
    kind: Annotated[str, "AuditLog: it is no object of the cluster."]
    namespace: Annotated[str, "Empty: the log is the whole cluster's."]


OF_THE_LOG = ("AuditLog", "")


@table("audit_files", records=(LogFile,), key=("name",))
class AuditLogFile(_OfTheLog):
    """One row per file of the audit log. Files of several API servers overlap in time; rotated ones do not."""

    name: Annotated[str, "Name of the file."]
    first: Annotated[datetime | None, "Time of its first event, UTC; missing in an empty file."]
    last: Annotated[datetime | None, "Time of its last event, UTC."]
    lines: Annotated[int, "Lines."]
    malformed: Annotated[int, "Lines that are no event of an audit log."]
    returns: Annotated[int, "How often it goes back to an earlier hour: parts are out of order, or there twice."]
    overlaps: Annotated[list[str], "Files of the same time."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        files = objects[LogFile]
        for f in files:
            overlaps = [o.name for o in files if o is not f and _overlap(f, o)]
            yield *OF_THE_LOG, f.name, f.first, f.last, f.lines, f.malformed, f.returns, overlaps


def _overlap(one: LogFile, other: LogFile) -> bool:
    if not (one.first and one.last and other.first and other.last):
        return False
    return one.first < other.last and other.first < one.last


@table("audit_days", records=(Hour,), key=("name",))
class AuditLogDay(_OfTheLog):
    """One row per day from the first event of the audit log to when it was taken, those without an event too.

    When it was taken is what the user states, else its last event.
    """

    name: Annotated[str, "Day, UTC."]
    lines: Annotated[int, "Lines of the log."]
    hours: Annotated[int, "Hours of the day that have an event."]
    silence: Annotated[int, "Hours of the longest gap that the day lies in or touches: whole hours without an event."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        lines, hours, silence = _days(objects[Hour])
        day = min(lines, default=None)
        while day is not None and day <= max([*lines, *silence]):
            yield *OF_THE_LOG, f"{day:%Y-%m-%d}", lines.get(day, 0), hours.get(day, 0), silence.get(day, 0)
            day += timedelta(days=1)


def _days(found: tuple[Hour, ...]) -> tuple[dict[datetime, int], dict[datetime, int], dict[datetime, int]]:
    """Lines, hours with an event, and longest gap, by day."""
    lines: dict[datetime, int] = {}
    hours: dict[datetime, int] = {}
    silence: dict[datetime, int] = {}
    for one in (hour for hour in found if hour.lines):
        day = one.hour.replace(hour=0)
        lines[day], hours[day] = lines.get(day, 0) + one.lines, hours.get(day, 0) + 1
    for before, after in pairwise(found):
        gap = round((after.hour - before.hour).total_seconds() / 3600) - 1
        day = before.hour.replace(hour=0)
        while gap and day < after.hour:
            silence[day] = max(silence.get(day, 0), gap)
            day += timedelta(days=1)
    return lines, hours, silence


@table("audit_scope", records=(Scope,), key=("name",))
class AuditLogScope(_OfTheLog):
    """One row per kind of request that an auditor asks for: whether the log has any, and how much of them it says.

    What the log never has was left out by the audit policy, or did not happen: the log does not tell which.
    """

    name: Annotated[str, "What it is."]
    meaning: Annotated[str, "Which requests they are."]
    lines: Annotated[int, "Lines of the log about it."]
    levels: Annotated[list[str], "Levels of those lines: Metadata has no bodies, Request and RequestResponse have."]
    stages: Annotated[list[str], "Stages of those lines; `no end` is a request whose end is not in the log."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for what, meaning in WHAT.items() if objects[Scope] else ():
            found = [scope for scope in objects[Scope] if scope.what == what]
            lines = sum(scope.lines for scope in found if scope.stage != "no end")
            yield *OF_THE_LOG, what, meaning, lines, sorted({s.level for s in found}), sorted({s.stage for s in found})
