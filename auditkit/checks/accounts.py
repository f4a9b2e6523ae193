"""The people whom bindings reach, as the identity provider knows them."""

import re

import pandas as pd

from auditkit.checks.dates import later
from auditkit.declare import check

# Names of accounts that are nobody's, or everybody's.
GENERIC = (
    "admin", "administrator", "backup", "bot", "break-glass", "breakglass", "build", "ci", "cluster-admin", "deploy",
    "deployer", "devops", "emergency", "generic", "guest", "helpdesk", "info", "k8s", "kubernetes", "oncall", "on-call",
    "operator", "operations", "ops", "platform", "root", "service", "shared", "sre", "superuser", "support", "svc",
    "system", "team", "temp", "test", "tmp", "user",
)  # fmt: skip


@check("RBAC-82", severity="high")
def unknown_users(user_identities: pd.DataFrame) -> pd.Series:
    """Users named by bindings are the identity provider's.

    One whom it does not have signs in by other ways, a client certificate or a token, which nobody's offboarding ends;
    or nobody has the name, and whoever gets it has the rights. A name that differs in case alone (`other_case`) is
    another user to Kubernetes.

    Fix: remove the subject, or correct the name; give rights to a group of the provider.
    """
    return ~user_identities.known


@check("RBAC-83", severity="high")
def unknown_groups(group_identities: pd.DataFrame) -> pd.Series:
    """Groups named by bindings are the identity provider's.

    Who makes a group of that name at the provider, or a certificate that holds it, has the rights.

    Fix: remove the subject, or correct the name.
    """
    return ~group_identities.known


@check("RBAC-84", severity="low")
def empty_groups(group_identities: pd.DataFrame) -> pd.Series:
    """Groups named by bindings have members.

    Rights that nobody holds wait for whoever is put into the group, unseen by a review of people.

    Fix: remove the binding, or say for whom it is kept.
    """
    return group_identities.known & (group_identities.members == 0)


@check("RBAC-85", severity="high")
def closed_accounts(person_access: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Access is held by accounts that are active.

    An account that is suspended or closed at the identity provider cannot sign in by it, but comes back with all its
    rights when it is opened again; a client certificate of the same name never stopped. An account closed only after
    the snapshot was active then. Whom the provider does not know, and the members of a group unknown to it, are
    undetermined.

    Fix: remove the subject from the binding, or the person from the group.
    """
    closed = person_access.terminated_on
    status = person_access.status
    after = ~later(origin, closed, days=0, where=closed.notna()) & closed.notna()
    return (status != "active").astype("boolean") & ~(after & (status == "terminated").astype("boolean"))


@check("RBAC-86", severity="medium")
def shared_accounts(person_access: pd.DataFrame, *, generic: tuple[str, ...] = GENERIC) -> pd.Series:
    """Access is held by accounts of one person each.

    What a shared account does nobody can answer for. The export may say so (`shared`). Else a name that is made of
    words of `generic` alone is one, whatever stands before a colon or behind an @; one that has such a word beside
    others is undetermined: it may be a person's second account.

    Fix: give the rights to the people who use it, by a group; keep an emergency account sealed, and watch its use.
    """
    name = person_access.person.fillna(person_access.subject.where(person_access.subject_kind == "User"))
    local = name.str.casefold().str.split("@").str[0].str.split(r"[:#/]", regex=True).str[-1].astype("string")
    word = "|".join(re.escape(one.casefold()) for one in sorted(generic, key=len, reverse=True))
    whole = local.str.fullmatch(rf"(?:{word})(?:[._+\d-]+(?:{word})?)*").astype("boolean")
    part = local.str.contains(rf"(?:^|[._+-])(?:{word})(?:[._+\d-]|$)", regex=True).astype("boolean")
    return person_access.shared.fillna(whole.mask(part & ~whole))


@check("RBAC-87", severity="high")
def no_second_factor(people: pd.DataFrame) -> pd.Series:
    """Privileged people sign in with a second factor.

    A password that leaks is then cluster-admin. Privileged is who is or can become cluster-admin.

    Fix: require a second factor for the account, or take the rights away.
    """
    return people.privileged & ~people.mfa


@check("RBAC-88", severity="medium")
def unused_privileges(people: pd.DataFrame, origin: pd.DataFrame, *, days: int = 90) -> pd.Series:
    """Privileged people signed in within the last `days` days.

    Rights that are not used are not needed, and their misuse is not noticed. Logins are those of the identity
    provider, to whatever it guards; the cluster knows none. Without one in the export: undetermined.

    Fix: take the rights away; they can be asked for again.
    """
    return people.privileged & later(origin, people.last_login, days=days, where=people.privileged)


@check("RBAC-92", severity="medium", control_plane=True)
def identity_provider(sign_in: pd.DataFrame) -> pd.Series:
    """The API server takes people from an identity provider.

    Without one they sign in by client certificates or tokens, which no offboarding ends and no second factor guards.
    By its flags: OpenID Connect, or a webhook. An authentication configuration file may name one: undetermined. A
    proxy before the server, as some platforms have, is not seen.

    Fix: set up OpenID Connect.
    """
    return (sign_in.issuer == "") & ~sign_in.webhook


@check("RBAC-93", severity="low", control_plane=True)
def user_prefix(sign_in: pd.DataFrame) -> pd.Series:
    """Names of the identity provider's users have a prefix.

    Without one whoever can choose a name there can take that of a user of Kubernetes, or of a client certificate.

    Fix: set `--oidc-username-prefix`, and change the bindings.
    """
    return (sign_in.issuer != "") & (sign_in.username_prefix == "")


@check("RBAC-94", severity="high", control_plane=True)
def group_prefix(sign_in: pd.DataFrame) -> pd.Series:
    """Names of the identity provider's groups have a prefix.

    Without one whoever can make a group named system:masters there makes cluster administrators whom RBAC cannot
    stop. Where tokens bring no groups there is nothing to prefix.

    Fix: set `--oidc-groups-prefix`, and change the bindings.
    """
    return (sign_in.issuer != "") & (sign_in.groups_claim != "") & (sign_in.groups_prefix == "")
