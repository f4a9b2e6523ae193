"""ServiceAccounts of workloads, and whether their tokens reach the pods."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, is_mirror, owned
from auditkit.analysis.tokens import automounts, holds_token
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import ServiceAccount
from auditkit.kinds.pods import PodSpec
from auditkit.tables.workloads import account


class _Columns:
    namespace: Annotated[str, "Namespace of the workload and of its ServiceAccount."]
    kind: Annotated[str, "Kind of the workload."]
    name: Annotated[str, "Name of the workload."]
    service_account: Annotated[str, "ServiceAccount that its pods run as."]
    serviceaccount: Annotated[str, "NAMESPACE/NAME of the ServiceAccount, as `bindings.serviceaccount` names it."]
    running: Annotated[bool, "As in pods that have not ended; otherwise as in the template."]
    old_field: Annotated[
        bool,
        "A pod spec sets serviceAccount and not serviceAccountName; an API server sets both in all that it stores.",
    ]
    given: Annotated[
        bool | None,
        "A token is in the pods, or would be; missing where the ServiceAccount decides (analysis/tokens.py).",
    ]


_KEY = ("namespace", "kind", "name", "service_account")


@table("workload_service_accounts", kinds=POD_KINDS, key=_KEY)
class WorkloadServiceAccount(_Columns):
    """One row per workload and ServiceAccount that its pods run as, else that its template names; no static pods."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            if is_mirror(one.made[0]):
                continue
            for name in sorted({account(spec) for spec in one.specs}):
                path = f"{one.owner.namespace}/{name}"
                of_it = [made for made in one.made if account(made.spec or PodSpec()) == name]
                old = any(s.service_account and not s.service_account_name for made in of_it if (s := made.spec))
                answers = {holds_token(made) for made in of_it}
                given = True if True in answers else None if None in answers else False
                yield *one.key, name, path, bool(one.pods), old, given


@table("token_defaults", kinds=(ServiceAccount,), key=("namespace", "name"))
class TokenDefault:
    """One row per ServiceAccount: whether pods that do not say otherwise are given its token."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "ServiceAccount."]
    name: Annotated[str, "Name."]
    serviceaccount: Annotated[str, "NAMESPACE/NAME."]
    hands_out: Annotated[bool, "automountServiceAccountToken is not false."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects[ServiceAccount]:
            path = f"{one.namespace}/{one.name}"
            yield one.namespace, one.kind, one.name, path, automounts(None, one.automount_service_account_token)


@view("workload_tokens", key=_KEY)
class WorkloadToken(_Columns):
    """Workloads and their ServiceAccounts, and whether their pods hold a token (analysis/tokens.py)."""

    mounts_token: Annotated[
        bool | None, "A token is mounted, or would be; missing where the ServiceAccount decides and was not found."
    ]

    @staticmethod
    def frame(workload_service_accounts: pd.DataFrame, token_defaults: pd.DataFrame) -> pd.DataFrame:
        found = workload_service_accounts.merge(
            token_defaults[["serviceaccount", "hands_out"]], on="serviceaccount", how="left"
        )
        return found.assign(mounts_token=found["given"].fillna(found["hands_out"]))
