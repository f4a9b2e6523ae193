"""Events of an API server's audit log as they are read, and the records that are kept of them."""

from datetime import datetime
from typing import Annotated, ClassVar

import msgspec

from auditkit.kinds import Record, Struct

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
NOTHING = msgspec.Raw(b"")


class User(Struct):
    username: str = ""
    groups: list[str] | None = None


class Reference(Struct):
    """What a request is about; `resource` is "" of a path such as /version."""

    resource: str = ""
    namespace: str = ""
    name: str = ""
    api_group: str = ""
    subresource: str = ""


class Response(Struct):
    code: int = 0


class Annotations(Struct):
    reason: str = msgspec.field(default="", name="authorization.k8s.io/reason")


NO_USER, NO_REFERENCE, NO_RESPONSE, NO_ANNOTATIONS = User(), Reference(), Response(), Annotations()


class Event(Struct, tag_field="kind", tag="Event", kw_only=True):
    """One line: a stage of a request (audit.k8s.io/v1 Event). Bodies are left as bytes, and dropped with the line.

    Every field but the last two is on every line that an API server writes; user and objectRef may be null.
    """

    level: str
    stage: str
    verb: str
    audit_id: str = msgspec.field(name="auditID")
    request_received_timestamp: Moment
    stage_timestamp: Moment
    request_uri: str = msgspec.field(default="", name="requestURI")
    user: User | None = None
    impersonated_user: User | None = None
    object_ref: Reference | None = None
    response_status: Response | None = None
    annotations: Annotations | None = None
    request_object: msgspec.Raw = NOTHING
    response_object: msgspec.Raw = NOTHING


class Named(Struct):
    kind: str = ""
    namespace: str = ""
    name: str = ""


class Rule(Struct):
    verbs: list[str] | None = None
    api_groups: list[str] | None = None
    resources: list[str] | None = None
    non_resource_urls: list[str] | None = msgspec.field(default=None, name="nonResourceURLs")

    def __str__(self) -> str:
        what = [*(self.resources or ()), *(self.non_resource_urls or ())]
        groups = [group for group in self.api_groups or () if group]
        return f"{','.join(self.verbs or ())} {','.join(what)}" + (f" of {','.join(groups)}" if groups else "")


class Written(Struct):
    """What is kept of the body of a change of RBAC, all of it names: the role, who has it, its rules."""

    role_ref: Named | None = None
    subjects: list[Named] | None = None
    rules: list[Rule] | None = None


class Activity(Record, kw_only=True):
    """Requests of one day that agree in all that is asked of them, with their count, first and last.

    `what` is one of analysis.activity.WHAT; `masters` is membership of system:masters; `path` is of an anonymous request
    that is about no resource; `reason` is what allowed the last of them. Of changes of RBAC whose level has bodies,
    `role`, `subjects` and `rules` are those of the last; of decisions on certificate requests `requesters`, the
    `names` and `organizations` that were asked for, and `decisions` are those of all.
    """

    source: ClassVar[str] = "audit_log"
    plural: ClassVar[str] = "audit_activity"

    what: str
    user: str = ""
    impersonated: str = ""
    verb: str = ""
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""
    code: int = 0
    masters: bool = False
    first: datetime
    last: datetime
    count: int = 1
    reason: str = ""
    role: str = ""
    subjects: list[str] | None = None
    rules: list[str] | None = None
    requesters: list[str] | None = None
    names: list[str] | None = None
    organizations: list[str] | None = None
    decisions: list[str] | None = None


class Use(Record, kw_only=True):
    """All requests of one user by one reason to allow them ("" where none is given), with their count, first and last."""

    source: ClassVar[str] = "audit_log"
    plural: ClassVar[str] = "audit_uses"

    user: str = ""
    impersonated: str = ""
    reason: str = ""
    first: datetime
    last: datetime
    count: int = 0
    denied: int = 0
    resources: list[str] | None = None


class Hour(Record, kw_only=True):
    """An hour in which the log has events, and how many lines that could be read; 0 where the log was taken in silence."""

    source: ClassVar[str] = "audit_log"
    plural: ClassVar[str] = "audit_hours"

    hour: datetime
    lines: int


class LogFile(Record, kw_only=True):
    """One file of the log: first and last event, lines, lines that could not be read, returns to an earlier hour."""

    source: ClassVar[str] = "audit_log"
    plural: ClassVar[str] = "audit_files"

    name: str
    first: datetime | None = None
    last: datetime | None = None
    lines: int = 0
    malformed: int = 0
    returns: int = 0


class Scope(Record, kw_only=True):
    """How many lines of each stage and level are about one of analysis.activity.WHAT.

    The stage "no end" counts requests again: those of ResponseStarted whose end is not in the log.
    """

    source: ClassVar[str] = "audit_log"
    plural: ClassVar[str] = "audit_scope"

    what: str
    stage: str
    level: str
    lines: int
