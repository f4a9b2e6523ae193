"""cert-manager and the rest of the cluster: who uses the certificates that it keeps, and what it was refused."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.certificates import CertificateRequest, CertificateRequestSpec, Order

_CERTIFICATE = "cert-manager.io/certificate-name"


@view("certificate_users", key=("namespace", "name", "user_kind", "user"))
class CertificateUser:
    """One row per Certificate of cert-manager and object that names its Secret; one without a user has a row too."""

    namespace: Annotated[str, "Namespace of the Certificate."]
    kind: Annotated[str, "Certificate."]
    name: Annotated[str, "Name of the Certificate."]
    secret: Annotated[str | None, "Secret that it keeps."]
    user_kind: Annotated[
        str | None, "Kind of what names the Secret: Ingress, Gateway, Deployment, ...; missing for none."
    ]
    user: Annotated[str | None, "Name of it."]
    used: Annotated[
        bool | None, "Something names the Secret; missing where the name, or the namespace, that is meant is not kept."
    ]
    ready: Annotated[bool | None, "Condition Ready of the Certificate."]
    not_after: Annotated[datetime | None, "Valid until."]
    renewal_time: Annotated[datetime | None, "When cert-manager is to renew it."]

    @staticmethod
    def frame(cert_manager_certificates: pd.DataFrame, secret_references: pd.DataFrame) -> pd.DataFrame:
        kept = cert_manager_certificates
        uses = secret_references[secret_references["kind"] != "Certificate"]
        uses = uses.rename(columns={"kind": "user_kind", "name": "user", "namespace": "place"})
        # A gateway of Istio looks beside its pods, a ClusterIssuer where cert-manager was told: by name alone.
        pairs = kept.merge(uses.dropna(subset=["secret"]), on="secret", how="inner")
        pairs = pairs[(pairs["place"] == pairs["namespace"]) | (pairs["place"] == "")]
        rows = kept.merge(
            pairs[["namespace", "name", "user_kind", "user", "place"]], on=["namespace", "name"], how="left"
        )
        unseen = kept["namespace"].isin(uses.loc[uses["secret"].isna(), "place"])
        open_ = set(zip(kept.loc[unseen, "namespace"], kept.loc[unseen, "name"], strict=True))
        maybe = pd.Series([pair in open_ for pair in zip(rows["namespace"], rows["name"], strict=True)], rows.index)
        used = rows["user"].notna().astype("boolean")
        return rows.assign(used=used.mask((~used & maybe) | (rows["place"] == "").fillna(False)))


@view("served_secrets", key=("namespace", "kind", "name", "secret"))
class ServedSecret:
    """One row per Ingress or Gateway and Secret that it ends TLS with, and the Certificate that renews the Secret."""

    namespace: Annotated[str, "Namespace of the Ingress or Gateway."]
    kind: Annotated[str, "Ingress or Gateway."]
    name: Annotated[str, "Name of it."]
    secret: Annotated[str, "NAMESPACE/NAME of the Secret; as it is written where the place is not known."]
    certificate: Annotated[str | None, "Certificate of cert-manager that keeps the Secret."]
    kept: Annotated[
        bool | None, "There is such a Certificate; missing in a cluster without any, and where the place is not known."
    ]
    ready: Annotated[bool | None, "Condition Ready of the Certificate."]

    @staticmethod
    def frame(
        ingress_secrets: pd.DataFrame, gateway_secrets: pd.DataFrame, cert_manager_certificates: pd.DataFrame
    ) -> pd.DataFrame:
        gateways = gateway_secrets.explode("places")
        known = gateways["places"].notna()
        gateways = gateways.assign(secret=gateways["places"].astype("string").fillna(gateways["secret"]), known=known)
        rows = pd.concat([ingress_secrets.assign(known=True), gateways], ignore_index=True)
        certificates = cert_manager_certificates.dropna(subset=["secret"])
        certificates = certificates.assign(secret=certificates["namespace"] + "/" + certificates["secret"])
        # Two Certificates may fight over one Secret: the first by name is shown.
        certificates = certificates.rename(columns={"name": "certificate"}).drop_duplicates("secret")
        rows = rows.merge(certificates[["secret", "certificate", "ready"]], on="secret", how="left")
        rows = rows.drop_duplicates(["namespace", "kind", "name", "secret"])
        kept = rows["certificate"].notna().astype("boolean")
        return rows.assign(kept=kept.mask(~rows["known"].astype("boolean") | (cert_manager_certificates.empty)))


@table("certificate_orders", kinds=(CertificateRequest, Order), key=("namespace", "kind", "name"))
class CertificateOrder:
    """One row per CertificateRequest and Order of cert-manager that is still there, and what became of it."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "CertificateRequest, or Order for one that an ACME authority is asked for."]
    name: Annotated[str, "Name of the object."]
    certificate: Annotated[str | None, "Certificate that it was made for."]
    issuer: Annotated[str | None, "Kind and name of the issuer; missing for an Order."]
    requester: Annotated[str | None, "User who asked, by the API server; missing for an Order."]
    state: Annotated[str, "Reason of the deciding condition, or state of the Order; empty where none is reported."]
    failed: Annotated[bool | None, "Denied, invalid or failed; missing while it is not decided."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for request in objects[CertificateRequest]:
            spec = request.spec or CertificateRequestSpec()
            conditions = {c.type: c for c in (request.status.conditions if request.status else None) or ()}
            refused = [t for t in ("Denied", "InvalidRequest") if t in conditions and conditions[t].status == "True"]
            ready = conditions.get("Ready")
            state = refused[0] if refused else (ready.reason if ready else None) or ""
            # cert-manager, pkg/apis/certmanager/v1 types_certificaterequest.go: Pending, Failed, Issued, Denied.
            failed = True if refused or state in ("Failed", "Denied") else (False if _holds(ready) else None)
            issuer = f"{spec.issuer_ref.kind or 'Issuer'}/{spec.issuer_ref.name}" if spec.issuer_ref else None
            made_for = request.annotations.get(_CERTIFICATE)
            yield request.namespace, request.kind, request.name, made_for, issuer, spec.username, state, failed
        for order in objects[Order]:
            state = (order.status.state if order.status else None) or ""
            failed = True if state in ("invalid", "errored", "expired") else (False if state == "valid" else None)
            yield (
                order.namespace,
                order.kind,
                order.name,
                order.annotations.get(_CERTIFICATE),
                None,
                None,
                state,
                failed,
            )


def _holds(condition: Any) -> bool:
    return condition is not None and condition.status == "True"
