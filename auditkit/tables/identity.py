"""People as the identity provider and human resources know them, and how the API server names them."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.imports.identity import IdpGroup, IdpUser, Leaver
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view

ACTIVE, SUSPENDED, TERMINATED = "active", "suspended", "terminated"
# The words of exports (Okta, Microsoft Entra ID, Google Workspace, Keycloak) for them, in lower case. Not among them are
# those of accounts that open again without anybody's decision (locked out) or are not set up yet (staged, provisioned).
STATUS = {
    **dict.fromkeys([ACTIVE, "enabled", "true", "password_expired", "recovery"], ACTIVE),
    **dict.fromkeys([SUSPENDED, "disabled", "inactive", "blocked", "archived", "false", "deactivated"], SUSPENDED),
    **dict.fromkeys([TERMINATED, "deprovisioned", "deleted", "left", "removed"], TERMINATED),
}


@table("idp_users", records=(IdpUser,), key=("user",))
class IdpUserRow:
    """One row per user in the identity provider's export."""

    user: Annotated[str, "Name that the user signs in with."]
    email: Annotated[str | None, "E-mail address."]
    kubernetes_user: Annotated[str | None, "Name in Kubernetes, where the export or auditkit.toml states it."]
    status: Annotated[str | None, "active, suspended or terminated; missing where the export's word is none of these."]
    terminated_on: Annotated[datetime | None, "When the account was closed."]
    groups: Annotated[list[str] | None, "Groups that the export names for the user."]
    mfa: Annotated[bool | None, "A second factor is asked for."]
    last_login: Annotated[datetime | None, "Last login, to whatever the provider guards."]
    shared: Annotated[bool | None, "The export says whether several people use the account."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for u in objects[IdpUser]:
            status = STATUS.get((u.status or "").lower())
            times = (u.terminated_on, u.groups, u.mfa, u.last_login)
            yield u.user, u.email, u.kubernetes_user, status, *times, u.shared


@table("idp_groups", records=(IdpGroup,), key=("group",))
class IdpGroupRow:
    """One row per group in the identity provider's export."""

    group: Annotated[str, "Name of the group."]
    kubernetes_group: Annotated[str | None, "Name in Kubernetes, where the export or auditkit.toml states it."]
    owner: Annotated[str | None, "Who answers for its members."]
    members: Annotated[list[str] | None, "Users, and groups within it, that the export names."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for g in objects[IdpGroup]:
            yield g.group, g.kubernetes_group, g.owner, g.members


@table("leavers", records=(Leaver,), key=("name", "last_working_day"))
class LeaverRow:
    """One row per person who left, by human resources' list."""

    namespace: Annotated[str, "Empty: people are of no namespace."]
    kind: Annotated[str, "Leaver."]
    name: Annotated[str, "E-mail address."]
    last_working_day: Annotated[datetime, "Last working day."]
    user: Annotated[str | None, "Name that the person signs in with, where the list has it."]
    kubernetes_user: Annotated[str | None, "Name in Kubernetes, where the list or auditkit.toml states it."]
    offboarding_ticket: Annotated[str | None, "Ticket of the offboarding."]
    offboarding_completed_on: Annotated[datetime | None, "When all access was removed, by that list."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[Leaver]:
            ended = (one.offboarding_ticket, one.offboarding_completed_on)
            yield "", "Leaver", one.email, one.last_working_day, one.user, one.kubernetes_user, *ended


@view("sign_in", key=("namespace", "name", "container"))
class SignIn:
    """One row per kube-apiserver that runs as a pod: how people sign in to it, by its flags.

    OpenID Connect, or a webhook that asks another service; LDAP is behind one of these. What an authentication
    configuration file says is on the node: missing.
    """

    namespace: Annotated[str, "Namespace of the pod."]
    kind: Annotated[str, "Pod."]
    name: Annotated[str, "Name of the pod."]
    container: Annotated[str, "Name of the container."]
    issuer: Annotated[str | None, "URL of the identity provider; empty where none is set."]
    client: Annotated[str | None, "Client id that tokens must be for."]
    username_claim: Annotated[str | None, "Claim that is the user's name."]
    username_prefix: Annotated[str | None, "What is put before names of users."]
    groups_claim: Annotated[str | None, "Claim that holds the groups; empty: tokens bring none."]
    groups_prefix: Annotated[str | None, "What is put before names of groups."]
    signing_algs: Annotated[str | None, "Signatures of tokens that are accepted; servers take asymmetric ones only."]
    ca_file: Annotated[bool | None, "The issuer is trusted by a CA of its own, not by those of the host."]
    configuration_file: Annotated[bool | None, "An authentication configuration on the node decides."]
    webhook: Annotated[bool | None, "Another service is asked who a token stands for."]

    @staticmethod
    def frame(apiservers: pd.DataFrame) -> pd.DataFrame:
        files = {
            "authentication_config": "configuration_file",
            "authentication_token_webhook_config_file": "webhook",
            "oidc_issuer_url": "issuer",
            "oidc_client_id": "client",
        }
        return apiservers.rename(columns=files).rename(columns=lambda name: name.removeprefix("oidc_"))


def user_names(people: pd.DataFrame, sign_in: pd.DataFrame) -> pd.Series:
    """The name in Kubernetes of each person with columns `user`, `email`, `kubernetes_user`; missing where not known.

    As stated; else by the flags of the API server: its prefix before the e-mail address where that is the claim, else
    before the name the person signs in with. A subject (`sub`) is an id that exports do not have.
    """
    claim, prefix = (_agreed(sign_in, column) for column in ("username_claim", "username_prefix"))
    stated = people["kubernetes_user"]
    if not claim or prefix is None or claim == "sub" or not _agreed(sign_in, "issuer"):
        return stated
    by_name = people["user"].where(people["user"].str.contains("@", regex=False)) if claim == "email" else None
    told = people["user"] if by_name is None else people["email"].fillna(by_name)
    return stated.fillna(prefix + told)


def group_names(groups: pd.DataFrame, sign_in: pd.DataFrame) -> pd.Series:
    """The name in Kubernetes of each group with columns `group`, `kubernetes_group`; missing where not known."""
    prefix = _agreed(sign_in, "groups_prefix")
    if prefix is None or not _agreed(sign_in, "issuer") or not _agreed(sign_in, "groups_claim"):
        return groups["kubernetes_group"]
    return groups["kubernetes_group"].fillna(prefix + groups["group"])


def _agreed(sign_in: pd.DataFrame, column: str) -> str | None:
    """What all API servers have set; None where they differ, one is not visible, or there is none."""
    values = sign_in[column]
    return str(values.iloc[0]) if len(values) and values.notna().all() and values.nunique() == 1 else None
