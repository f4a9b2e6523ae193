"""Populations out of the audit log: changes with their tickets, ways in, reads of Secrets, and who was refused."""

from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.activity import subject_of
from auditkit.analysis.approvals import approval, by_object
from auditkit.declare import view
from auditkit.tables.audit_log import REQUEST, Requests

CHANGES = ("rbac", "policy", "workload", "change", "ephemeral container")
# What every user may ask without a name: ClusterRole system:public-info-viewer, and kubeadm's cluster-info.
PUBLIC = ("/healthz", "/livez", "/readyz", "/version")


@view("cluster_changes", key=REQUEST)
class ClusterChange(Requests):
    """One row per object that was changed on a day, with the ticket that approved it: the population of changes.

    Without requests that failed, and without those of nodes, the control plane and its controllers, which follow from others.
    """

    ticket: Annotated[
        str | None, "Last ticket that names the object and was approved before the first of these requests."
    ]
    approved_at: Annotated[datetime | None, "When it was approved, UTC."]
    own: Annotated[
        bool | None,
        "Who asked for the ticket, or made the change, approved it; missing where there is no ticket or it does not say.",
    ]

    @staticmethod
    def frame(audit_activity: pd.DataFrame, tickets: pd.DataFrame) -> pd.DataFrame:
        rows = _changes(audit_activity, *CHANGES).reset_index(drop=True)
        columns = ("id", "requester", "approver", "approved_at", "objects")
        approvals = by_object(
            (str(id), _or_none(requester), _or_none(approver), _or_none(at), _or_none(objects))
            for id, requester, approver, at, objects in zip(*(tickets[c] for c in columns), strict=True)
        )
        places = zip(rows.kind, rows.namespace, rows.name, rows["first"], rows.user.fillna(""), strict=True)
        found = [approval(approvals, *place) for place in places]
        return rows.assign(
            ticket=pd.array([one.ticket if one else None for one in found], dtype="string"),
            approved_at=pd.Series([one.approved_at if one else None for one in found], dtype="datetime64[us, UTC]"),
            own=pd.array([one.own if one else None for one in found], dtype="boolean"),
        )


@view("rights_changes", key=REQUEST)
class RightsChange(Requests):
    """One row per role or binding that was changed on a day, by whoever is no component."""

    role: Annotated[str | None, "Role that a written binding names; missing where the log has no bodies."]
    subjects: Annotated[list[str] | None, "Who has it by that binding."]
    rules: Annotated[list[str] | None, "Rules of a written role."]

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        return _changes(audit_activity, "rbac")


@view("workload_changes", key=REQUEST)
class WorkloadChange(Requests):
    """One row per workload, or policy that guards it, that was changed on a day, by whoever is no component."""

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        return _changes(audit_activity, "workload", "policy", "ephemeral container")


def _changes(activity: pd.DataFrame, *what: str) -> pd.DataFrame:
    """Those that did not fail; one of which the log does not say counts as done."""
    return activity[activity.what.isin(what) & activity.succeeded.fillna(True) & ~activity.component]


def _or_none(value: Any) -> Any:
    return value if isinstance(value, list) or pd.notna(value) else None


@view("secret_reads", key=REQUEST)
class SecretRead(Requests):
    """One row per Secret, or list of Secrets, that somebody asked for on a day."""

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        return audit_activity[audit_activity.what == "secret read"]


@view("ways_in", key=REQUEST)
class WayIn(Requests):
    """One row per pod, service or node that somebody went into on a day: exec, attach, port-forward, proxy, added containers."""

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        return audit_activity[audit_activity.what.isin(["exec", "ephemeral container"])]


@view("impersonated_requests", key=REQUEST)
class Impersonated(Requests):
    """One row per thing that somebody did, or tried, in the name of another."""

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        return audit_activity[audit_activity.impersonated.notna()]


@view("anonymous_requests", key=REQUEST)
class Anonymous(Requests):
    """One row per thing that somebody asked for without a name (system:anonymous) on a day."""

    public: Annotated[bool, "What Kubernetes gives to all: health, version, and kubeadm's cluster-info."]

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        rows = audit_activity[audit_activity.user == "system:anonymous"]
        info = (rows.resource == "configmaps") & (rows.namespace == "kube-public") & (rows.name == "cluster-info")
        return rows.assign(public=rows.path.isin(PUBLIC) | (info & (rows.verb == "get")))


@view("minted_tokens", key=REQUEST)
class MintedToken(Requests):
    """One row per ServiceAccount of which somebody made a token by request on a day (TokenRequest)."""

    own: Annotated[bool, "The user is a component, or a ServiceAccount of the same namespace."]

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        rows = audit_activity[audit_activity.what == "token"]
        same = rows.user.str.extract(r"^system:serviceaccount:([^:]+):", expand=False) == rows.namespace
        return rows.assign(own=rows.component | same.fillna(False))


@view("certificate_approvals", key=REQUEST)
class CertificateApproval(Requests):
    """One row per certificate request that somebody decided on, on a day.

    Without bodies the log does not say whose request it was: then it is theirs who made one of that name before, as the
    log shows; nor for whom it was, nor an approval from a denial, which is the same request.
    """

    requesters: Annotated[list[str] | None, "Who asked for the certificate; missing where the log does not show it."]
    names: Annotated[list[str] | None, "Common names asked for: users; missing where the log has no bodies."]
    organizations: Annotated[list[str] | None, "Organizations asked for: groups; missing as they."]
    decisions: Annotated[list[str] | None, "Approved, Denied; missing as they."]
    own: Annotated[bool | None, "Who decided had asked for it; missing where the log does not show who did."]

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        known = audit_activity[(audit_activity.what == "certificate") & audit_activity.succeeded.fillna(True)]
        rows = known[known.resource == "certificatesigningrequests.certificates.k8s.io/approval"].reset_index(drop=True)
        made = known[(known.verb == "create") & (known.name != "")]
        columns = ("requesters", "name", "last", "user", "impersonated")
        requesters, own = [], []
        for said, name, last, *deciders in zip(*(rows[c] for c in columns), strict=True):
            before = made[(made.name == name) & (made["first"] <= last)]
            asked = said if isinstance(said, list) and said else [*before.user.dropna(), *before.impersonated.dropna()]
            requesters.append(sorted(set(asked)) or None)
            own.append(bool(set(asked) & set(deciders)) if asked else None)
        return rows.assign(
            requesters=pd.Series(requesters, index=rows.index, dtype=object), own=pd.array(own, dtype="boolean")
        )


@view("refusals", key=("day", "user"))
class Refusal:
    """One row per user and day that was refused anything (401 and 403)."""

    day: Annotated[str, "Day, UTC."]
    user: Annotated[str | None, "Who asked; missing where authentication failed."]
    kind: Annotated[str, "User or ServiceAccount."]
    namespace: Annotated[str, "Namespace of the ServiceAccount; empty for a User."]
    name: Annotated[str, "Name of the user or ServiceAccount; empty where authentication failed."]
    refused: Annotated[int, "How many requests were refused."]
    resources: Annotated[list[str], "Resources asked for."]
    first: Annotated[datetime, "Time of the first, UTC."]
    last: Annotated[datetime, "Time of the last, UTC."]

    @staticmethod
    def frame(audit_activity: pd.DataFrame) -> pd.DataFrame:
        rows = audit_activity[audit_activity.denied].groupby(["day", "user"], dropna=False)
        found = rows.agg(
            refused=("requests", "sum"),
            resources=("resource", lambda values: sorted(set(values))),
            first=("first", "min"),
            last=("last", "max"),
        )
        found = found.reset_index()
        subjects = [subject_of(user) for user in found.user.fillna("")]
        named = dict(zip(("kind", "namespace", "name"), zip(*subjects, strict=True), strict=True)) if subjects else {}
        return found.reindex(columns=[*found, "kind", "namespace", "name"]).assign(**named)
