"""Exports of people: users and groups of the identity provider, and those who left, of human resources.

Of a person is kept what a test needs: the name they sign in with, the address that joins the lists, status and dates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import ClassVar

import msgspec

from auditkit.capture.imports import csvs
from auditkit.capture.imports.base import Document, reader
from auditkit.capture.imports.csvs import NONE
from auditkit.kinds import Record


class IdpUser(Record):
    """One user of the identity provider; `shared` where the export says that several people use the account."""

    source: ClassVar[str] = "idp_users"
    plural: ClassVar[str] = "idp_users"

    user: str
    email: str | None = None
    kubernetes_user: str | None = None
    status: str | None = None
    terminated_on: datetime | None = None
    groups: list[str] | None = None
    mfa: bool | None = None
    last_login: datetime | None = None
    shared: bool | None = None


class IdpGroup(Record):
    """One group of the identity provider; a member is the `user` of IdpUser, or another group."""

    source: ClassVar[str] = "idp_groups"
    plural: ClassVar[str] = "idp_groups"

    group: str
    kubernetes_group: str | None = None
    owner: str | None = None
    members: list[str] | None = None


class Leaver(Record):
    """One person who left or will leave."""

    source: ClassVar[str] = "leavers"
    plural: ClassVar[str] = "leavers"

    email: str
    last_working_day: datetime
    user: str | None = None
    kubernetes_user: str | None = None
    offboarding_ticket: str | None = None
    offboarding_completed_on: datetime | None = None


@reader(IdpUser)
def users(paths: Sequence[Path], *, columns: Mapping[str, str] = NONE, prefix: str | None = None) -> Document:
    """Users of the identity provider (CSV): user, email, status, terminated_on, groups by semicolons, mfa, last_login."""
    found = csvs.document(paths, IdpUser, {"groups": ";"}, columns=columns, key=("user",))
    return _named(found, "kubernetes_user", ("user",), prefix)


@reader(IdpGroup)
def groups(paths: Sequence[Path], *, columns: Mapping[str, str] = NONE, prefix: str | None = None) -> Document:
    """Groups of the identity provider (CSV): group, kubernetes_group, owner, members by semicolons."""
    found = csvs.document(paths, IdpGroup, {"members": ";"}, columns=columns, key=("group",))
    return _named(found, "kubernetes_group", ("group",), prefix)


@reader(Leaver)
def leavers(paths: Sequence[Path], *, columns: Mapping[str, str] = NONE, prefix: str | None = None) -> Document:
    """People who left (CSV): email, last_working_day, user, offboarding_ticket, offboarding_completed_on."""
    found = csvs.document(paths, Leaver, columns=columns, key=("email", "last_working_day"))
    return _named(found, "kubernetes_user", ("user", "email"), prefix)


def _named(document: Document, field: str, by: Sequence[str], prefix: str | None) -> Document:
    """With the names that Kubernetes knows, where the user states what it puts before the first of the fields `by`."""
    if prefix is None:
        return document
    named = {
        kind: [
            one
            if getattr(one, field)
            else msgspec.structs.replace(one, **{field: prefix + next(filter(None, (getattr(one, b) for b in by)))})
            for one in records
        ]
        for kind, records in document.records.items()
    }
    return replace(document, records=named)
