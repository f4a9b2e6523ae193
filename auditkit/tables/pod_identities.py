"""ServiceAccounts of workloads, and whether their tokens reach the pods."""

from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.surroundings import projects_token
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.platform import ServiceAccount
from auditkit.tables.owners import POD_KINDS, is_mirror, owned
from auditkit.tables.workloads import account


class _Columns:
    namespace: Annotated[str, "Namespace of the workload and of its ServiceAccount."]
    kind: Annotated[str, "Kind of the workload."]
    name: Annotated[str, "Name of the workload."]
    service_account: Annotated[str, "ServiceAccount that its pods run as."]
    serviceaccount: Annotated[str, "NAMESPACE/NAME of the ServiceAccount, as `bindings.serviceaccount` names it."]
    running: Annotated[bool, "As in pods that have not ended; otherwise as in the template."]
    automount: Annotated[
        bool | None, "spec.automountServiceAccountToken; missing where a pod leaves it to the ServiceAccount."
    ]
    projected: Annotated[bool, "A volume projects a token that the API server accepts."]


_KEY = ("namespace", "kind", "name", "service_account")


@table("workload_service_accounts", kinds=POD_KINDS, key=_KEY)
class WorkloadServiceAccount(_Columns):
    """One row per workload and ServiceAccount that its pods run as, else that its template names; no static pods."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in owned(objects):
            if is_mirror(one.made[0]):
                continue
            for name in sorted({account(spec) for spec in one.specs}):
                specs = [spec for spec in one.specs if account(spec) == name]
                mounts = {spec.automount_service_account_token for spec in specs}
                automount = True if True in mounts else None if None in mounts else False
                path = f"{one.owner.namespace}/{name}"
                yield *one.key, name, path, bool(one.pods), automount, any(map(projects_token, specs))


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
            yield one.namespace, one.kind, one.name, path, one.automount_service_account_token is not False


@view("workload_tokens", key=_KEY)
class WorkloadToken(_Columns):
    """Workloads and their ServiceAccounts, with what decides whether pods hold a token.

    Effective is the pod's automountServiceAccountToken, else the ServiceAccount's, else true
    (k8s.io/kubernetes/plugin/pkg/admission/serviceaccount/admission.go shouldAutomount).
    """

    mounts_token: Annotated[
        bool | None, "A token is mounted, or would be; missing where the ServiceAccount decides and was not found."
    ]

    @staticmethod
    def frame(workload_service_accounts: pd.DataFrame, token_defaults: pd.DataFrame) -> pd.DataFrame:
        found = workload_service_accounts.merge(
            token_defaults[["serviceaccount", "hands_out"]], on="serviceaccount", how="left"
        )
        return found.assign(mounts_token=found["projected"] | found["automount"].fillna(found["hands_out"]))
