"""Whom bindings reach: their users and groups joined to the identity provider's, and to those who left."""

from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.activity import is_person
from auditkit.analysis.membership import members
from auditkit.declare import view
from auditkit.tables.identity import group_names, user_names
from auditkit.tables.rbac import BindingColumns

# Groups of Kubernetes, and OpenShift's of everybody.
_OWN = (
    "system:(?:masters|monitoring|nodes|unauthenticated|authenticated(?::oauth)?|"
    "serviceaccounts(?::.*)?|bootstrappers(?::.*)?)"
)
_PERSON = ["person", "status", "terminated_on", "mfa", "last_login", "shared"]


class _Account:
    """What the identity provider says of a person."""

    person: Annotated[str | None, "The user of the identity provider; missing where none is known."]
    status: Annotated[str | None, "Of the account: active, suspended or terminated."]
    terminated_on: Annotated[datetime | None, "When the account was closed."]
    mfa: Annotated[bool | None, "A second factor is asked for."]
    last_login: Annotated[datetime | None, "Last login, to whatever the provider guards."]
    shared: Annotated[bool | None, "The export says whether several people use the account."]


class _Reached(_Account, BindingColumns):
    """A person whom a binding reaches."""

    group: Annotated[str | None, "Group of the identity provider through which the person is reached."]


@view("bound_users", key=("kind", "namespace", "name", "number"))
class BoundUser(BindingColumns):
    """One row per binding and user whom it names, without ServiceAccounts and the users that Kubernetes itself has.

    Others named `system:` may be a provider's components, or people whose certificates say so.
    """

    @staticmethod
    def frame(bindings: pd.DataFrame) -> pd.DataFrame:
        # Of no bindings at all `map` makes texts.
        people = bindings["identity"].map(_may_be_person).astype("boolean")
        return bindings[(bindings["subject_kind"] == "User").fillna(False) & people]


@view("bound_groups", key=("kind", "namespace", "name", "number"))
class BoundGroup(BindingColumns):
    """One row per binding and group that it names, without those that Kubernetes itself gives or binds.

    Those have no members in any list: system:masters are holders of certificates (RBAC-36), system:authenticated is
    whoever signs in (RBAC-35). Others named `system:` may be a provider's, or be in people's certificates.
    """

    @staticmethod
    def frame(bindings: pd.DataFrame) -> pd.DataFrame:
        own = bindings["identity"].str.fullmatch(_OWN).fillna(True).astype(bool)
        return bindings[(bindings["subject_kind"] == "Group").fillna(False) & ~own]


def _may_be_person(name: Any) -> bool:
    return isinstance(name, str) and is_person(name) is not False


@view("user_identities", key=("kind", "namespace", "name", "number", "identity"))
class UserIdentity(_Account, BindingColumns):
    """One row per binding and user whom it names, with the identity provider's user of that name.

    Names are compared as Kubernetes does, letter by letter: one that differs in case alone is another user.
    """

    known: Annotated[
        bool | None,
        "The identity provider has the user; missing where the names cannot be compared, or it may be a component.",
    ]
    other_case: Annotated[str | None, "User of the identity provider whose name differs in the case of letters alone."]

    @staticmethod
    def frame(bound_users: pd.DataFrame, idp_users: pd.DataFrame, sign_in: pd.DataFrame) -> pd.DataFrame:
        people = _people(idp_users).assign(identity=user_names(idp_users, sign_in))
        comparable = len(people) > 0 and bool(people["identity"].notna().all())
        # Of two accounts of one name the one that is worse: a status that is not known sorts last.
        named = people.dropna(subset="identity").sort_values("status").drop_duplicates("identity", keep="last")
        found = bound_users.merge(named, on="identity", how="left")
        known = found["person"].notna().astype("boolean")
        alike = dict(zip(named["identity"].str.casefold(), named["person"], strict=True))
        other = found["identity"].str.casefold().map(alike).where(~known.astype(bool))
        component = found["identity"].map(lambda name: is_person(name) is None).astype(bool)
        return found.assign(known=known.mask(~known & (component | (not comparable))), other_case=other)


@view("group_identities", key=("kind", "namespace", "name", "number", "identity"))
class GroupIdentity(BindingColumns):
    """One row per binding and group that it names, with the identity provider's group of that name."""

    group: Annotated[str | None, "Group of the identity provider; missing where none is known."]
    owner: Annotated[str | None, "Who answers for its members."]
    known: Annotated[
        bool | None,
        "The identity provider has the group; missing where the names cannot be compared, or it is named `system:`.",
    ]
    members: Annotated[int | None, "People in it, by both exports, groups within it resolved; missing where not known."]

    @staticmethod
    def frame(
        bound_groups: pd.DataFrame, idp_groups: pd.DataFrame, idp_users: pd.DataFrame, sign_in: pd.DataFrame
    ) -> pd.DataFrame:
        groups = idp_groups[["group", "owner"]].assign(identity=group_names(idp_groups, sign_in))
        comparable = len(groups) > 0 and bool(groups["identity"].notna().all())
        counts = {group: len(people) for group, people in _members(idp_groups, idp_users).items()}
        groups["members"] = groups["group"].map(counts).astype("Int64")
        if not (idp_groups["members"].notna().any() or idp_users["groups"].notna().any()):
            groups["members"] = pd.NA  # exports without memberships: no group is known to be empty
        named = groups.dropna(subset="identity").drop_duplicates("identity")
        found = bound_groups.merge(named, on="identity", how="left")
        known = found["group"].notna().astype("boolean")
        given = found["identity"].str.startswith("system:").fillna(False).astype(bool)
        return found.assign(known=known.mask(~known & (given | (not comparable))))


@view("group_members", key=("kind", "namespace", "name", "number", "identity", "person"))
class GroupMember(_Reached):
    """One row per binding, group that it names, and member; one without a person where the members are not known.

    Members are those of either export: of a group's list, and of the groups of each user.
    """

    @staticmethod
    def frame(group_identities: pd.DataFrame, idp_groups: pd.DataFrame, idp_users: pd.DataFrame) -> pd.DataFrame:
        lists = _members(idp_groups, idp_users)
        held = pd.DataFrame(
            [(group, person) for group, people in lists.items() for person in people],
            columns=["group", "person"],
            dtype="string",
        )
        reached = group_identities[~(group_identities["members"] == 0).fillna(False)]
        return (
            reached.drop(columns=["members"])
            .merge(held, on="group", how="left")
            .merge(_people(idp_users), on="person", how="left")
        )


@view("person_access", key=("kind", "namespace", "name", "number", "identity", "person"))
class PersonAccess(_Reached):
    """One row per binding and person whom it reaches, by name or as member of a group.

    One without a person where the identity provider does not know the user, or not the group.
    """

    known: Annotated[bool, "The person is in the identity provider's export of users."]

    @staticmethod
    def frame(user_identities: pd.DataFrame, group_members: pd.DataFrame, idp_users: pd.DataFrame) -> pd.DataFrame:
        by_name = user_identities.assign(group=pd.Series(pd.NA, index=user_identities.index, dtype="string"))
        found = pd.concat([by_name, group_members], ignore_index=True)
        return found.assign(known=found["person"].isin(idp_users["user"]))


@view("people", key=("kind", "name"))
class Person:
    """One row per person whom any binding reaches, with all that is reached; unknown users and groups are rows too.

    A person is privileged where one of its names or groups is or becomes cluster-admin (`escalation_paths`), each taken
    alone: what only two of them together allow is not seen.
    """

    namespace: Annotated[str, "Empty: people are of no namespace."]
    kind: Annotated[str, "Person; User or Group of one that the identity provider does not know."]
    name: Annotated[str, "The user of the identity provider; of one that it does not know, the name in Kubernetes."]
    known: Annotated[bool, "The person is in the identity provider's export of users."]
    privileged: Annotated[bool | None, "Is or can become cluster-admin; missing where that hangs on what is not known."]
    way: Annotated[str | None, "The shortest way to cluster-admin, in words."]
    status: Annotated[str | None, "Of the account: active, suspended or terminated."]
    mfa: Annotated[bool | None, "A second factor is asked for."]
    last_login: Annotated[datetime | None, "Last login, to whatever the provider guards."]
    roles: Annotated[list[str], "Roles, with the namespace in which each holds."]
    through: Annotated[list[str], "Names in Kubernetes that bindings give these roles to."]

    @staticmethod
    def frame(person_access: pd.DataFrame, escalation_paths: pd.DataFrame) -> pd.DataFrame:
        rows = _privileged(person_access, escalation_paths)
        rows["kind"] = rows["subject_kind"].mask(rows["person"].notna(), "Person")
        rows["held"] = rows["role"] + rows["namespace"].map(lambda n: f" in {n}" if n else "")
        rows["name"] = rows["person"].fillna(rows["identity"])
        by = rows.sort_values("steps", kind="stable").groupby(["kind", "name"], as_index=False, sort=False)
        found = by.agg(
            known=("known", "any"),
            certain=("certain", "any"),
            reaches=("reaches", "any"),
            roles=("held", lambda texts: sorted(set(texts))),
            through=("identity", lambda texts: sorted(set(texts))),
            **{column: (column, "first") for column in ("status", "mfa", "last_login", "way")},
        ).assign(namespace="")
        privileged = found["certain"].astype("boolean")
        return found.assign(privileged=privileged.mask(found["reaches"] & ~found["certain"]))


@view("user_departures", key=("kind", "namespace", "name", "number", "identity"))
class UserDeparture(BindingColumns):
    """One row per binding and user whom it names, with the last working day of who left.

    A name is a leaver's where it is the one that Kubernetes gives that person, or, whatever stands before it up to a
    colon, # or /, the address or name of the list: people write both in either case. One that is a leaver's up to the @,
    as certificates have it, may be that person's.
    """

    listed: Annotated[
        bool | None, "In the list of leavers; missing where the names cannot be compared, or agree up to the @ alone."
    ]
    last_working_day: Annotated[datetime | None, "Last working day."]

    @staticmethod
    def frame(bound_users: pd.DataFrame, leavers: pd.DataFrame, sign_in: pd.DataFrame) -> pd.DataFrame:
        named = user_names(leavers.rename(columns={"name": "email"}), sign_in)
        days = _days(leavers, named)
        whole = bound_users["identity"].str.casefold()
        tail = whole.str.split(r"[:#/]", regex=True).str[-1].astype("string")
        day = _day(whole, days).fillna(_day(tail, days))
        listed = day.notna().astype("boolean")
        near = tail.isin({name.partition("@")[0] for name in days})
        return bound_users.assign(last_working_day=day, listed=listed.mask(~listed & (near | bool(named.isna().any()))))


@view("member_departures", key=("kind", "namespace", "name", "number", "identity", "person"))
class MemberDeparture(_Reached):
    """One row per binding, group that it names, and member, with the last working day of who left.

    A member is a leaver by address or by name, in either case of letters.
    """

    listed: Annotated[bool | None, "In the list of leavers; missing where the person or an address is not known."]
    last_working_day: Annotated[datetime | None, "Last working day."]

    @staticmethod
    def frame(group_members: pd.DataFrame, idp_users: pd.DataFrame, leavers: pd.DataFrame) -> pd.DataFrame:
        return _left(group_members, idp_users, leavers)


@view("account_departures", key=("name",))
class AccountDeparture:
    """One row per user of the identity provider, with the last working day of who left."""

    namespace: Annotated[str, "Empty: people are of no namespace."]
    kind: Annotated[str, "Account."]
    name: Annotated[str, "Name that the user signs in with."]
    status: Annotated[str | None, "Of the account: active, suspended or terminated."]
    terminated_on: Annotated[datetime | None, "When the account was closed."]
    last_login: Annotated[datetime | None, "Last login, to whatever the provider guards."]
    listed: Annotated[bool | None, "In the list of leavers; missing where an address is not known."]
    last_working_day: Annotated[datetime | None, "Last working day."]

    @staticmethod
    def frame(idp_users: pd.DataFrame, leavers: pd.DataFrame) -> pd.DataFrame:
        accounts = idp_users.assign(person=idp_users["user"], name=idp_users["user"], kind="Account", namespace="")
        return _left(accounts, idp_users, leavers)


@view("access_review", key=("kind", "namespace", "name", "number", "identity", "person"))
class AccessReview:
    """One row per binding and person whom it reaches, with what a reviewer asks of each; `people` has the rest of a person."""

    namespace: Annotated[str, "Namespace of the RoleBinding; empty for a ClusterRoleBinding."]
    kind: Annotated[str, "RoleBinding or ClusterRoleBinding."]
    name: Annotated[str, "Name of the binding."]
    number: Annotated[int, "Position of the subject in its binding, from 0."]
    identity: Annotated[str, "User or group that the binding names."]
    person: Annotated[str | None, "The user of the identity provider; missing where none is known."]
    group: Annotated[str | None, "Group of the identity provider through which the person is reached."]
    role: Annotated[str, "Name of the role."]
    privileged: Annotated[bool | None, "The identity is or can become cluster-admin; missing where that is not known."]
    remarks: Annotated[list[str], "What speaks against keeping it."]

    @staticmethod
    def frame(
        person_access: pd.DataFrame, idp_users: pd.DataFrame, escalation_paths: pd.DataFrame, leavers: pd.DataFrame
    ) -> pd.DataFrame:
        rows = _left(_privileged(person_access, escalation_paths), idp_users, leavers)
        privileged = rows["certain"].astype("boolean").mask(rows["reaches"] & ~rows["certain"])
        said = pd.DataFrame(
            {
                "left": ("last working day " + rows["last_working_day"].dt.strftime("%Y-%m-%d")).astype("string"),
                "account": rows["status"].where(rows["status"] != "active").radd("account "),
                "unknown": rows["person"].isna().map({True: "not known to the identity provider", False: pd.NA}),
                "factor": (~rows["mfa"]).fillna(False).map({True: "no second factor", False: pd.NA}),
            }
        )
        remarks = [[text for text in row if isinstance(text, str)] for row in said.itertuples(index=False, name=None)]
        return rows.assign(privileged=privileged, remarks=pd.Series(remarks, index=rows.index, dtype=object))


def _people(idp_users: pd.DataFrame) -> pd.DataFrame:
    return idp_users.rename(columns={"user": "person"})[_PERSON]


def _members(idp_groups: pd.DataFrame, idp_users: pd.DataFrame) -> dict[str, list[str]]:
    """The people of each group: those that the group's list names, and those whose own groups name it, in either case."""
    direct = {g: set(m if isinstance(m, list) else ()) for g, m in idp_groups[["group", "members"]].to_numpy()}
    alike = {group.casefold(): group for group in direct}
    for user, groups in idp_users[["user", "groups"]].to_numpy():
        for named in groups if isinstance(groups, list) else ():
            group = named if named in direct else alike.get(named.casefold())
            if group is not None:
                direct[group].add(user)
    return members(direct)


def _privileged(rows: pd.DataFrame, paths: pd.DataFrame) -> pd.DataFrame:
    """With the way of each subject to cluster-admin: `reaches` by any, `certain` by one that hangs on nothing unknown."""
    ways = paths[["kind", "identity", "steps", "path", "condition"]].rename(
        columns={"kind": "subject_kind", "path": "way"}
    )
    found = rows.merge(ways, on=["subject_kind", "identity"], how="left")
    reaches = found["steps"].notna().astype(bool)
    return found.assign(reaches=reaches, certain=reaches & found["condition"].isna())


def _days(leavers: pd.DataFrame, *names: pd.Series) -> dict[str, pd.Timestamp]:
    """The last of a person's last working days by each of its names, in small letters."""
    columns = (leavers["name"], leavers["user"], *names)
    by_name = pd.concat([pd.Series(leavers["last_working_day"].array, index=c.str.casefold()) for c in columns])
    known = by_name[by_name.index.notna()]
    return dict(known.groupby(level=0).max())


def _day(names: pd.Series, days: dict[str, pd.Timestamp]) -> pd.Series:
    return pd.to_datetime(names.map(days), utc=True)


def _left(rows: pd.DataFrame, idp_users: pd.DataFrame, leavers: pd.DataFrame) -> pd.DataFrame:
    """With `listed` and `last_working_day` of each `person`, by the address that the provider has of it, or by its name."""
    days = _days(leavers)
    name = rows["person"].str.casefold()
    address = rows["person"].map(dict(zip(idp_users["user"], idp_users["email"], strict=True))).astype("string")
    day = _day(address.str.casefold(), days).fillna(_day(name, days))
    listed = day.notna().astype("boolean")
    joined = address.notna() | name.str.contains("@", regex=False).fillna(False) | bool(leavers["user"].notna().all())
    return rows.assign(last_working_day=day, listed=listed.mask(~listed & ~(joined & name.notna())))
