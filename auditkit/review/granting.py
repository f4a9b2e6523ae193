"""Who wrote a binding: by the audit log, else by the names that clients gave themselves in managedFields."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import pandas as pd

from auditkit.analysis.activity import is_person
from auditkit.capture.imports.audit_events import Activity
from auditkit.evaluate import Snapshot
from auditkit.kinds.rbac import ClusterRoleBinding, RoleBinding
from auditkit.period.managers import writes

Place = tuple[str, str, str]
# The log's time of a request and the object's own differ by less.
_APART = timedelta(minutes=1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Granted:
    """Who wrote a binding: in words, the `people` among them, and whether nobody else can have made it (`whole`)."""

    said: str
    people: list[str]
    whole: bool
    created: datetime | None


def known_names(people: pd.DataFrame) -> dict[str, str]:
    """Each person by every name, in small letters; `people` has `person` and `names`."""
    return {
        name.casefold(): person
        for person, names in zip(people["person"], people["names"], strict=True)
        for name in [person, *names]
    }


def granted(snapshot: Snapshot, people: pd.DataFrame) -> dict[Place, Granted]:
    """Who wrote each binding, by kind, namespace and name.

    A manager is a claim of the client: it names a person where it is the person's name, or what stands before its @. Behind
    a program (kubectl, Argo CD) stands a person whom nothing here names, unless the audit log has the binding's creation.
    """
    names = known_names(people)
    short: dict[str, set[str]] = {}
    for name, person in names.items():
        short.setdefault(name.partition("@")[0], set()).add(person)
    log, all_logged = _logged(snapshot), snapshot.state(Activity).state == "collected"
    found = {}
    for binding in [*snapshot.objects[RoleBinding], *snapshot.objects[ClusterRoleBinding]]:
        place = (binding.kind, binding.namespace, binding.name)
        created = binding.metadata.creation_timestamp
        since = [
            one for one in log.get(place, []) if one[2] != "delete" and (created is None or one[0] >= created - _APART)
        ]
        managers = list(dict.fromkeys(write.manager for write in writes(binding)))
        claimed = [sorted(short.get(manager.casefold(), ())) for manager in managers]
        logged = [names.get(user.casefold(), user) for _, user, _ in since]
        created_by = [user for _, user, verb in since if verb == "create"]
        texts = [f"{user} ({verb} {at:%Y-%m-%d %H:%M}, audit log)" for at, user, verb in since]
        texts += [f"{manager} (managedFields)" for manager in managers]
        found[place] = Granted(
            said="; ".join(dict.fromkeys(texts)) or "not known: no managedFields",
            people=sorted({*logged, *(person for people_ in claimed for person in people_)}),
            whole=(bool(claimed) and all(claimed))
            or (all_logged and bool(created_by) and all(is_person(user) for _, user, _ in since)),
            created=created,
        )
    return found


def _logged(snapshot: Snapshot) -> dict[Place, list[tuple[datetime, str, str]]]:
    """Successful writes of bindings by the audit log, as far as it goes: time, user, verb."""
    rows = snapshot.tables["audit_activity"]
    kinds = rows["kind"].isin(["RoleBinding", "ClusterRoleBinding"])
    verbs = rows["verb"].isin(["create", "update", "patch", "delete"])
    rows = rows[kinds & verbs & rows["succeeded"].fillna(False).astype(bool) & rows["user"].notna()]
    found: dict[Place, list[tuple[datetime, str, str]]] = {}
    columns = (rows[c].tolist() for c in ("kind", "namespace", "name", "last", "user", "verb"))
    for kind, namespace, name, at, user, verb in zip(*columns, strict=True):
        found.setdefault((kind, namespace, name), []).append((at, user, verb))
    return {place: sorted(some) for place, some in found.items()}


def last_writes(snapshot: Snapshot, since: datetime) -> dict[Place, tuple[datetime, str]]:
    """Time and verb of the last write of each binding after a time; empty where the audit log is not complete."""
    if snapshot.state(Activity).state != "collected":
        return {}
    last = {place: some[-1] for place, some in _logged(snapshot).items()}
    return {place: (at, verb) for place, (at, _, verb) in last.items() if at > since}
