"""One row per object, binding and effective grant of a period: from when to when it was there."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

import pandas as pd

from auditkit import kinds
from auditkit.capture.snapshot import Snapshot
from auditkit.declare import kinds_of
from auditkit.evaluate import Snapshot as WithTables
from auditkit.evaluate import Tables
from auditkit.kinds import Kind
from auditkit.kinds.rbac import ClusterRole, ClusterRoleBinding, Role, RoleBinding
from auditkit.memory import collection_paused
from auditkit.period.frames import Capture, framed
from auditkit.period.managers import last_written
from auditkit.period.spans import Span, SpanColumns, Spans, Times

Pairs = Iterable[tuple[Capture, Snapshot]]
AnyBinding = RoleBinding | ClusterRoleBinding


class _Object:
    group: Annotated[str, "API group; empty for the core group."]
    kind: Annotated[str, "Kind."]
    namespace: Annotated[str, "Namespace; empty for a cluster-scoped object."]
    name: Annotated[str, "Name."]
    uid: Annotated[str, "Its uid: an object made again under its name is another one."]


class ObjectRow(SpanColumns, _Object):
    """One row per object and unbroken time that it was there."""


class _Bound:
    kind: Annotated[str, "RoleBinding or ClusterRoleBinding."]
    namespace: Annotated[str, "Namespace of the RoleBinding; empty for a ClusterRoleBinding."]
    name: Annotated[str, "Name of the binding."]
    uid: Annotated[str, "uid of the binding."]
    role_kind: Annotated[str, "Role or ClusterRole."]
    role: Annotated[str, "Name of the role."]
    subject_kind: Annotated[str, "User, Group or ServiceAccount."]
    identity: Annotated[str, "Name of the user or group; system:serviceaccount:NAMESPACE:NAME for a ServiceAccount."]


class BindingRow(SpanColumns, _Bound):
    """One row per subject of a binding (table `bindings`) and unbroken time that it named it."""


class _Allowed:
    verbs: Annotated[list[str], "Verbs of the rule."]
    api_groups: Annotated[list[str], "API groups of the rule; an empty string is the core group."]
    resources: Annotated[list[str], "Resources of the rule."]
    resource_names: Annotated[list[str], "Names that the rule is limited to; empty is all."]
    paths: Annotated[list[str], "nonResourceURLs of the rule."]


class GrantRow(SpanColumns, _Allowed, _Bound):
    """One row per rule that a binding gives a subject (view `grants`) and unbroken time that it did."""


class ObjectSpans:
    """Follows all objects over captures, oldest first."""

    def __init__(self) -> None:
        self._following: dict[type[Kind], Spans[tuple[str, str, str]]] = {kind: Spans() for kind in kinds.ALL}
        self._ended: list[tuple[Any, ...]] = []

    def step(self, at: datetime, snapshot: Snapshot) -> None:
        """Take in the capture of this time."""
        with collection_paused():
            for kind, spans in self._following.items():
                self._ended += [_object_row(kind, span) for span in _step(spans, at, snapshot, kind)]

    def frame(self) -> pd.DataFrame:
        """The intervals (ObjectRow)."""
        rest = (_object_row(kind, span) for kind, spans in self._following.items() for span in spans.rest())
        return _sorted(framed([*self._ended, *rest], ObjectRow))


def objects(pairs: Pairs) -> pd.DataFrame:
    """Intervals of all objects (ObjectRow). `pairs` are captures with their snapshots, oldest first, read one at a time.

    A creationTimestamp is the exact beginning, unless an earlier complete capture shows that it was not there.
    """
    return _over(ObjectSpans(), pairs)


def _over(following: "ObjectSpans | GrantSpans", pairs: Pairs) -> pd.DataFrame:
    for capture, snapshot in pairs:
        following.step(capture.taken_at, snapshot)
    return following.frame()


def _object_row(kind: type[Kind], span: Span[tuple[str, str, str]]) -> tuple[Any, ...]:
    return (kind.group, kind.kind, *span.key, *span.values)


def _step(
    spans: Spans[tuple[str, str, str]], at: datetime, snapshot: Snapshot, kind: type[Kind]
) -> list[Span[tuple[str, str, str]]]:
    there = {
        (obj.namespace, obj.name, obj.metadata.uid): obj.metadata.creation_timestamp for obj in snapshot.objects[kind]
    }
    names: dict[tuple[str, str], datetime | None] = {}

    def gone_by(key: tuple[str, str, str]) -> datetime | None:
        if not names:
            names.update({(namespace, name): created for (namespace, name, _), created in there.items()})
        return names.get(key[:2])

    def times(key: tuple[str, str, str]) -> Times:
        return Times(not_before=there[key], not_after=there[key])

    return spans.step(at, there, times, whole=whole(snapshot, kind), gone_by=gone_by)


def whole(snapshot: Snapshot, kind: type[Kind]) -> bool:
    """Whether an object of this kind that is not in the snapshot was not in the cluster."""
    return snapshot.state(kind).state in ("collected", "not served")


class GrantSpans:
    """Follows the subjects of bindings (table `bindings`) or what they are granted (view `grants`) over captures."""

    def __init__(self, table: Literal["bindings", "grants"]) -> None:
        self._table: str = table
        self._spans: Spans[tuple[Any, ...]] = Spans()
        self._ended: list[tuple[Any, ...]] = []
        self._rests_on: object = None
        self._there: set[tuple[Any, ...]] = set()
        self._complete = False

    def step(self, at: datetime, snapshot: Snapshot) -> None:
        """Take in the capture of this time."""
        found = [(snapshot.state(kind).state, snapshot.objects[kind]) for kind in kinds_of(self._table)]
        bound = _Bindings(snapshot, with_roles=self._table == "grants")
        # Access seldom changes from a day to the next: the same objects give the same rows.
        if found != self._rests_on:
            tables = WithTables.of(snapshot).tables
            self._there = set(_keys(tables, self._table, bound))
            self._complete = not tables.incomplete([self._table])
            self._complete &= not (self._table == "grants" and _uncomputed(tables))
            self._rests_on = found
        ended = self._spans.step(at, self._there, bound.times, whole=self._complete, gone_by=bound.gone_by)
        self._ended += map(_row, ended)

    def frame(self) -> pd.DataFrame:
        """The intervals (BindingRow or GrantRow)."""
        rows = [*self._ended, *map(_row, self._spans.rest())]
        return _sorted(framed(rows, GrantRow if self._table == "grants" else BindingRow))


def bindings(pairs: Pairs) -> pd.DataFrame:
    """Intervals of the subjects of bindings (BindingRow), read as for `objects`.

    A subject may have been added to a binding later than that was made: its beginning is then between captures, at
    the latest when the binding was last written.
    """
    return _over(GrantSpans("bindings"), pairs)


def grants(pairs: Pairs) -> pd.DataFrame:
    """Intervals of effective grants (GrantRow), read as for `objects`: also what changed in a role shows here."""
    return _over(GrantSpans("grants"), pairs)


def _row(span: Span[tuple[Any, ...]]) -> tuple[Any, ...]:
    return (*(list(part) if isinstance(part, tuple) else part for part in span.key), *span.values)


def _uncomputed(tables: Tables) -> bool:
    """Whether the rules of a role are not known, and so which grants there are not."""
    return bool(tables["roles"]["rules"].isna().any())


def _keys(tables: Tables, table: str, bound: "_Bindings") -> Iterator[tuple[Any, ...]]:
    frame = tables[table]
    frame = frame[frame["subject"].notna()]
    if table == "grants":
        frame = frame[frame["rule"].notna()]
    names = ["kind", "namespace", "name", "role_kind", "role", "subject_kind", "identity"]
    lists = ["verbs", "api_groups", "resources", "resource_names", "paths"] if table == "grants" else []
    columns = [frame[name].tolist() for name in names]
    rules = [[tuple(value or ()) for value in frame[name]] for name in lists]
    for kind, namespace, name, *rest in zip(*columns, *rules, strict=True):
        yield (kind, namespace, name, bound.uid(kind, namespace, name), *rest)


class _Bindings:
    """The bindings of one snapshot by name, with what their times say of the grants that they give."""

    def __init__(self, snapshot: Snapshot, *, with_roles: bool) -> None:
        found: list[AnyBinding] = [*snapshot.objects[RoleBinding], *snapshot.objects[ClusterRoleBinding]]
        self._bindings: Mapping[tuple[str, str, str], AnyBinding] = {(b.kind, b.namespace, b.name): b for b in found}
        roles: list[Role | ClusterRole] = [*snapshot.objects[Role], *snapshot.objects[ClusterRole]]
        self._roles = {(r.kind, r.namespace, r.name): r for r in roles} if with_roles else None

    def uid(self, kind: str, namespace: str, name: str) -> str:
        return self._bindings[kind, namespace, name].metadata.uid

    def times(self, key: tuple[Any, ...]) -> Times:
        """A grant begins with its binding or later, and at the latest when binding and role were last written."""
        binding = self._bindings[key[:3]]
        return Times(not_before=binding.metadata.creation_timestamp, not_after=self._settled(binding, key[4], key[5]))

    def gone_by(self, key: tuple[Any, ...]) -> datetime | None:
        """Of a binding that is there still: when it and its role were last written. A write that leaves a list empty has no time."""
        binding = self._bindings.get(key[:3])
        if binding is None:
            return None
        if binding.metadata.uid != key[3]:
            return binding.metadata.creation_timestamp
        return self._settled(binding, key[4], key[5]) if binding.subjects else None

    def _settled(self, binding: AnyBinding, kind: str, name: str) -> datetime | None:
        written = last_written(binding)
        if self._roles is None or written is None:
            return written
        role = self._roles.get((kind, binding.namespace if kind == "Role" else "", name))
        if role is None or not role.rules or (isinstance(role, ClusterRole) and role.aggregation_rule):
            return None
        changed = last_written(role)
        return max(written, changed) if changed else None


def _sorted(frame: pd.DataFrame) -> pd.DataFrame:
    """In the order of the key, whatever order the rows were found in; the uid decides last."""
    columns = list(frame.columns)
    named = [name for name in columns[: columns.index("valid_from")] if name != "uid"]
    return frame.sort_values([*named, "first_seen", "uid"], kind="stable", ignore_index=True, key=_comparable)


def _comparable(column: pd.Series) -> pd.Series:
    return column.map(str) if column.dtype == object else column
