"""What kubectl and the API server say beside objects: version, identity, what is served; raises msgspec.ValidationError."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from auditkit.capture.snapshot import Identity

# Answers of the API server that are no objects of the cluster; plain discovery says no more than the aggregated one.
ABOUT = ("SelfSubjectReview", "APIGroupDiscoveryList", "APIVersions", "APIGroupList", "APIResourceList")


class RecordedAs(msgspec.Struct):
    """The file `recorded-as` of a recording: its name, and the server's time."""

    recorded_as: str = ""
    server_time: datetime | None = None


class _Told(msgspec.Struct, rename="camel"):
    """A part of an answer: what a server may send as null is `X | None`."""


class _Version(_Told):
    """`/version`, or `kubectl version -o json`, which has it in serverVersion."""

    git_version: str = ""
    server_version: "_Version | None" = None


class _User(_Told):
    username: str = ""
    groups: list[str] | None = None


class _ReviewStatus(_Told):
    user_info: _User | None = None


class _Review(_Told):
    status: _ReviewStatus | None = None


class _Kind(_Told):
    kind: str = ""


class Resource(_Told):
    """A resource that aggregated discovery names, by its plural."""

    resource: str
    response_kind: _Kind | None = None
    verbs: list[str] | None = None

    @property
    def kind(self) -> str:
        return self.response_kind.kind if self.response_kind else ""


class GroupVersion(_Told):
    """One version of a group."""

    version: str = ""
    freshness: str = ""
    resources: list[Resource] | None = None

    @property
    def broken(self) -> bool:
        """Whether the group's server did not answer discovery."""
        return self.freshness == "Stale" and not self.resources


class _Named(_Told):
    name: str = ""


class Group(_Told):
    """One group of aggregated discovery; the core group has no name."""

    metadata: _Named | None = None
    versions: list[GroupVersion] | None = None

    @property
    def name(self) -> str:
        return self.metadata.name if self.metadata else ""


class _Discovery(_Told):
    items: list[Group] | None = None


def version(raw: bytes) -> str:
    """The server's version; empty where only that of kubectl is told."""
    told = msgspec.json.decode(raw, type=_Version)
    return (told.server_version or told).git_version


def identity(review: Mapping[str, Any]) -> Identity:
    """Who asked, by a SelfSubjectReview."""
    status = msgspec.convert(review, _Review).status
    user = status.user_info if status else None
    return Identity(username=user.username, groups=tuple(user.groups or ())) if user else Identity()


def groups(document: Mapping[str, Any]) -> Sequence[Group]:
    """The groups of a document of aggregated discovery."""
    return msgspec.convert(document, _Discovery).items or ()


def discovered(document: Mapping[str, Any]) -> tuple[set[str], set[str]]:
    """The resources that aggregated discovery names ("deployments.apps"), and the groups whose server did not answer."""
    served: set[str] = set()
    broken: set[str] = set()
    for group in groups(document):
        for version in group.versions or ():
            if version.broken:
                broken.add(group.name)
            served.update(f"{r.resource}.{group.name}" if group.name else r.resource for r in version.resources or ())
    return served, broken
