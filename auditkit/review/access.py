"""Who holds which access at one time, as a reviewer is shown it: one row per subject of a binding."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.activity import is_person
from auditkit.capture.imports.audit_events import Use
from auditkit.capture.imports.identity import IdpGroup, IdpUser
from auditkit.engagement import Engagement, in_scope
from auditkit.errors import UsageError
from auditkit.evaluate import Snapshot, Tables, row_ids
from auditkit.period.frames import framed
from auditkit.report import listings
from auditkit.report.frames import said
from auditkit.review import granting

BINDING = ("kind", "namespace", "name")
KEY = (*BINDING, "role_id", "subject_kind", "identity")
# Members that a cell names; the sheet of members has all.
NAMED = 12


class _Held:
    row: Annotated[str, "Id of the row, from binding, role and subject: the same in every quarter."]
    kind: Annotated[str, "RoleBinding or ClusterRoleBinding."]
    namespace: Annotated[str, "Namespace in which it holds; empty is the whole cluster."]
    name: Annotated[str, "Name of the binding."]
    role_id: Annotated[str, "Kind, namespace and name of the role in one."]
    subject_kind: Annotated[str, "User, Group or ServiceAccount; empty where the binding has no subjects."]
    identity: Annotated[str, "Name of the subject in Kubernetes; empty where the binding has no subjects."]
    stock: Annotated[bool, "Shipped with Kubernetes, with exactly this role and these subjects."]
    rules: Annotated[str | None, "Hash of the rules that the role gives; missing where they are not all known."]
    members: Annotated[list[str] | None, "People in the group, by name; missing where they are not completely known."]


class Listed(_Held):
    """One row per subject of a binding: what a reviewer decides on."""

    role: Annotated[str, "Kind and name of the role."]
    people: Annotated[list[str], "People whom it reaches: users of the identity provider."]
    standing: Annotated[str, "These people, with what speaks against each by identity provider and leavers."]
    owner: Annotated[str | None, "Who answers for the members of the group."]
    powers: Annotated[str, "What the rules give power over."]
    way: Annotated[str, "How the subject is or becomes cluster-admin, by all that it holds."]
    granted_by: Annotated[str, "Who wrote the binding, and what says so."]
    provisioners: Annotated[list[str], "People among those, as the identity provider names them."]
    granters_known: Annotated[bool, "It is known that nobody else made the binding."]
    created: Annotated[datetime | None, "When the binding was created; a subject may have been added later."]
    first_seen: Annotated[datetime, "The first capture that holds it without a break."]
    began: Annotated[str | None, "How the beginning is known; missing where only one capture was looked at."]
    last_used: Annotated[datetime | None, "The last request that the binding allowed; the log names one of several."]
    last_used_said: Annotated[str, "The same in words; what a missing one means."]
    in_scope: Annotated[bool | None, "In the scope of the engagement."]
    content: Annotated[str, "Hash over rules and members: another one means that the row gives other access."]


class Person:
    """One row per person of the identity provider."""

    person: Annotated[str, "The user of the identity provider."]
    names: Annotated[list[str], "All names by which one may be written: user, address, name in Kubernetes."]


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Who held what at one time: `rows` have the columns of `_Held`; `whole` where no binding can be missing."""

    taken_at: datetime
    whole: bool
    rows: pd.DataFrame = field(repr=False)


def held(snapshot: Snapshot) -> Held:
    """All bindings of a snapshot, with what their roles give and who is in their groups; UsageError where it is undated."""
    tables, taken_at = snapshot.tables, snapshot.origin.taken_at
    if taken_at is None:
        raise UsageError(f"{snapshot.origin.source}: undated; who held what is of a time")
    rows = _bindings(tables)
    rules, members = _rules(tables), _members(tables)
    rows["rules"] = rows["role_id"].map(rules).astype("string")
    if not tables.incomplete(["roles"]):
        rows["rules"] = rows["rules"].where(rows["role_id"].isin(rules.keys()), "role is missing")
    rows["members"] = pd.Series([members.get(key) for key in _keys(rows)], index=rows.index, dtype=object)
    return Held(taken_at=taken_at, whole=not tables.incomplete(["bindings"]), rows=rows)


def listing(
    snapshot: Snapshot, engagement: Engagement, *, spans: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The rows to decide on (Listed) and the people that they may be decided by (`person`, `names`), of a dated snapshot.

    `spans` are intervals of bindings (period.intervals.bindings) up to this snapshot; without it a row was first seen now.
    """
    now, tables = held(snapshot), snapshot.tables
    rows, keys = now.rows, list(_keys(now.rows))
    people = directory(tables)
    standing, reached = _standing(tables)
    granted = granting.granted(snapshot, people)
    powers, ways = listings.powers(tables["grants"]), _ways(tables)
    began = _began(spans)
    owners = {key: o for key, o in _by_key(tables["group_identities"], "owner") if isinstance(o, str)}
    used, said_used = _used(tables, snapshot)
    found = []
    row: Any
    for row, key in zip(rows.itertuples(index=False), keys, strict=True):
        by = granted[row.kind, row.namespace, row.name]
        first, how = began.get(key, (now.taken_at, None))
        last = used.get((*key[:3], row.identity), used.get((*key[:3], "")) if row.subject_kind == "Group" else None)
        found.append(
            (
                *row,
                _role(row.role_id),
                reached.get(key, []),
                standing.get(key) or _unlisted(row.subject_kind, row.identity, tables),
                owners.get(key),
                _powers(str(powers.get(key[:3], "")), row.rules),
                ways.get((row.subject_kind, row.identity), ""),
                by.said,
                by.people,
                by.whole,
                by.created,
                first,
                how,
                last,
                f"{last:%Y-%m-%d %H:%M}" if last is not None else said_used,
                None,
                content(row.rules, row.members),
            )
        )
    frame = framed(found, Listed)
    frame["in_scope"] = in_scope(engagement, frame["namespace"])
    return frame.sort_values(["subject_kind", "identity", *BINDING], kind="stable", ignore_index=True), people


def _bindings(tables: Tables) -> pd.DataFrame:
    bindings = tables["bindings"]
    bindings["identity"] = bindings["identity"].fillna(bindings["subject"]).fillna("")
    bindings["subject_kind"] = bindings["subject_kind"].fillna("")
    rows = bindings.drop_duplicates(list(KEY), ignore_index=True)
    return pd.concat([("AR-" + row_ids(rows[list(KEY)])).rename("row"), rows[[*KEY, "stock"]]], axis=1)


def _role(id: str) -> str:
    """Kind and name of a role by its id; names of roles may have slashes."""
    kind, _, name = id.split("/", 2)
    return f"{kind} {name}"


def _keys(rows: pd.DataFrame) -> Iterable[tuple[str, ...]]:
    return zip(*(rows[column].tolist() for column in KEY), strict=True)


def _by_key(rows: pd.DataFrame, column: str) -> Iterable[tuple[tuple[str, ...], Any]]:
    return zip(_keys(rows), rows[column].tolist(), strict=True)


def _rules(tables: Tables) -> dict[str, str | None]:
    """A hash of what each role gives; None where not all of its rules are known."""
    unknown = bool(tables.incomplete(["rules"]))
    rules, found = tables["rules"], {id: list[str]() for id in tables["roles"]["role_id"]}
    lists = [rules[c].tolist() for c in ("verbs", "api_groups", "resources", "resource_names", "paths")]
    open_ = set(tables["roles"]["role_id"][tables["roles"]["rules"].isna()])
    for id, *parts in zip(rules["role_id"].tolist(), *lists, strict=True):
        found.setdefault(id, []).append(repr([sorted(part) for part in parts if isinstance(part, list)]))
    return {
        id: None if unknown or id in open_ else hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()
        for id, texts in found.items()
    }


def _members(tables: Tables) -> dict[tuple[str, ...], list[str]]:
    """The people of each group that is bound, where both exports are complete and have it."""
    if tables.incomplete(["idp_users", "idp_groups"]):
        return {}
    groups = tables["group_identities"]
    found: dict[tuple[str, ...], list[str]] = {
        key: [] for key, count in _by_key(groups, "members") if not pd.isna(count)
    }
    for key, person in _by_key(tables["group_members"], "person"):
        if key in found and isinstance(person, str):
            found[key].append(person)
    return {key: sorted(people) for key, people in found.items()}


def directory(tables: Tables) -> pd.DataFrame:
    """The people of the identity provider: `person`, and all `names` by which one may be written."""
    users = tables["idp_users"]
    names = [
        sorted({n for n in row if isinstance(n, str)})
        for row in users[["user", "email", "kubernetes_user"]].itertuples(index=False, name=None)
    ]
    return framed(zip(users["user"].tolist(), names, strict=True), Person)


def _standing(tables: Tables) -> tuple[dict[tuple[str, ...], str], dict[tuple[str, ...], list[str]]]:
    """By key: the people reached with remarks in words, and their names."""
    review = tables["access_review"].merge(tables["bindings"][[*BINDING, "number", "role_id", "subject_kind"]])
    texts: dict[tuple[str, ...], list[str]] = {}
    reached: dict[tuple[str, ...], list[str]] = {}
    rows = zip(_keys(review), review["person"].tolist(), review["remarks"].tolist(), strict=True)
    for key, person, remarks in rows:
        known = isinstance(person, str)
        if known:
            reached.setdefault(key, []).append(person)
        text = ", ".join(remarks)
        texts.setdefault(key, []).append(f"{person} ({text})" if known and text else person if known else text)
    # Who has a remark stands first: a cell names only some.
    words = {
        key: "; ".join(sorted(some, key=lambda t: not t.endswith(")"))[:NAMED])
        + (f"; and {len(some) - NAMED} more, see the sheet Members" if len(some) > NAMED else "")
        for key, some in texts.items()
    }
    return words, reached


def _unlisted(kind: str, identity: str, tables: Tables) -> str:
    if not kind:
        return "nobody: the binding has no subjects"
    if kind == "ServiceAccount" or identity.startswith("system:serviceaccount:"):
        return "no person: a ServiceAccount"
    if identity.startswith("system:") and not (kind == "User" and is_person(identity) is not False):
        return "no list has its members: a name of Kubernetes itself"
    record = IdpGroup if kind == "Group" else IdpUser
    state = tables.snapshot.state(record).state
    return "group without members" if state == "collected" else f"not known: identity provider {state}"


def _ways(tables: Tables) -> dict[tuple[str, str], str]:
    paths = tables["escalation_paths"]
    columns = (paths[c].tolist() for c in ("kind", "identity", "steps", "path", "condition"))
    found = {}
    for kind, identity, steps, path, condition in zip(*columns, strict=True):
        text = "is cluster-admin" if steps == 0 else f"becomes it: {path}"
        found[kind, identity] = text + (f" (if {condition})" if isinstance(condition, str) else "")
    return found


def _powers(text: str, rules: object) -> str:
    if rules == "role is missing":
        return rules if isinstance(rules, str) else ""
    return "; ".join(filter(None, [text, "not all of its rules are known" if pd.isna(rules) else ""]))  # type: ignore[call-overload]


def _began(spans: pd.DataFrame | None) -> Mapping[tuple[str, ...], tuple[datetime, str]]:
    """First seen and how the beginning is known, of what the last capture holds."""
    if spans is None:
        return {}
    now = spans[spans["state"] == "present"].copy()
    own = now["namespace"].where(now["role_kind"] == "Role", "")
    now["role_id"] = now["role_kind"] + "/" + own + "/" + now["role"]
    return dict(zip(_keys(now), zip(now["first_seen"], now["began"], strict=True), strict=True))


def _used(tables: Tables, snapshot: Snapshot) -> tuple[dict[tuple[str, ...], pd.Timestamp], str]:
    """The last use by binding and user, with "" for users whom the binding does not name; and what a missing one means."""
    state, files = snapshot.state(Use), tables["audit_files"]
    if state.state != "collected" or files.empty:
        return {}, f"not known: audit log {state.state}"
    bound = set(zip(*(tables["bindings"][c] for c in (*BINDING, "identity")), strict=True))
    grants = tables["grants_used"]
    who = grants["impersonated"].fillna(grants["user"])
    last: dict[tuple[str, ...], pd.Timestamp] = {}
    for *binding, user, at in zip(*(grants[c] for c in BINDING), who, grants["last"], strict=True):
        key = (*binding, user if (*binding, user) in bound else "")
        last[key] = max(at, last.get(key, at))
    # Of the time after its last event the log shows nothing, whenever it was taken.
    return last, f"no use from {files['first'].min():%Y-%m-%d} to {files['last'].max():%Y-%m-%d}"


def content(rules: object, members: object) -> str:
    """Twelve hex digits over what a row gives: hash of its rules, and the people of its group."""
    people = said(members) if isinstance(members, list) else "?"
    return hashlib.sha256(f"{rules}\n{people}".encode()).hexdigest()[:12]
