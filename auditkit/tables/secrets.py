"""Secrets by their metadata: which there are, how old they are, who names them, and tokens that do not end."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, Owners
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds import Kind
from auditkit.kinds.certificates import BootstrapToken, Certificate, ClusterIssuer, Issuer, Secret
from auditkit.kinds.network import Gateway, Ingress, IstioGateway
from auditkit.kinds.platform import PersistentVolume, ServiceAccount
from auditkit.kinds.pods import PodSpec, Volume
from auditkit.kinds.workloads import pod_template

_TOKEN, _BOOTSTRAP = "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"
# Found by their type, not by a name that something holds; releases of Helm are no credentials.
_FOUND_BY_TYPE = (_TOKEN, _BOOTSTRAP, "helm.sh/release.v1")
_ARGO_CD = "argocd.argoproj.io/secret-type"
_AUTH_ANNOTATIONS = ("nginx.ingress.kubernetes.io/auth-secret", "nginx.ingress.kubernetes.io/auth-tls-secret")
# Volume sources that can name a Secret, of which only the presence is kept (core/v1 VolumeSource).
_UNNAMED_SOURCES = frozenset(
    {"azure_file", "cephfs", "cinder", "ephemeral", "flex_volume", "iscsi", "rbd", "scale_io", "storageos"}
)


class _Place:
    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Secret."]
    name: Annotated[str, "Name of the Secret."]


class _Columns(_Place):
    type: Annotated[
        str | None, "Type, e.g. kubernetes.io/tls; missing for one that neither Kubernetes nor Helm defines."
    ]
    created: Annotated[datetime | None, "When it was created."]
    written: Annotated[datetime | None, "When anything in it was last written; missing without managedFields."]
    immutable: Annotated[
        bool | None, "Its values cannot be changed; missing where it is not set or only metadata was read."
    ]


@table("secrets", kinds=(Secret,), key=("namespace", "name"), options=("secrets",))
class SecretRow(_Columns):
    """One row per Secret, metadata only: neither values nor the names of their keys are kept."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for secret in objects[Secret]:
            times = [field.time for field in secret.metadata.managed_fields or () if field.time]
            yield (
                secret.namespace, secret.kind, secret.name, secret.type,
                secret.metadata.creation_timestamp, max(times, default=None), secret.immutable,
            )  # fmt: skip


@view("held_secrets", key=("namespace", "name"))
class HeldSecret(_Columns):
    """Secrets that hold values for something that names them: without tokens and releases, found by their type."""

    @staticmethod
    def frame(secrets: pd.DataFrame) -> pd.DataFrame:
        return secrets[~secrets["type"].isin(_FOUND_BY_TYPE)]


class _Use:
    namespace: Annotated[str, "Namespace of the Secret; empty where it may lie in any."]
    secret: Annotated[str | None, "Name of the Secret; missing where one is named and its name is not kept."]
    kind: Annotated[str, "Kind of the object that names it."]
    name: Annotated[str, "Name of that object."]


_USERS = (
    *POD_KINDS,
    ServiceAccount,
    PersistentVolume,
    Ingress,
    Gateway,
    IstioGateway,
    Certificate,
    Issuer,
    ClusterIssuer,
)


@table("secret_references", kinds=_USERS, key=("namespace", "secret", "kind", "name"))
class SecretReference(_Use):
    """One row per Secret and object that names it: pods and what makes them, ServiceAccounts, volumes, Ingresses, gateways,
    cert-manager. What a controller finds by itself through the API is not among them.
    """

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        owners = objects.once(Owners)
        found = {
            (top.namespace, secret, top.kind, top.name)
            for kind in POD_KINDS
            for obj in objects[kind]
            for top in [owners.top(obj)]
            for secret in _named_by_pod(pod_template(obj).spec or PodSpec())
        }
        yield from sorted(found | set(_named_by_others(objects)), key=str)


@table("secret_uses", kinds=(*_USERS, Secret), key=("namespace", "secret", "kind", "name"))
class SecretUse(_Use):
    """The rows of `secret_references`, and what Secrets say themselves: their owner, that Argo CD reads them."""

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        yield from sorted({*SecretReference.rows(objects), *_named_by_themselves(objects)}, key=str)


def _named_by_pod(spec: PodSpec) -> Iterator[str | None]:
    for container in [*(spec.containers or ()), *(spec.init_containers or ()), *(spec.ephemeral_containers or ())]:
        for source in container.env_from or ():
            yield from [source.secret_ref.name] if source.secret_ref else []
        for variable in container.env or ():
            if variable.value_from and variable.value_from.secret_key_ref:
                yield variable.value_from.secret_key_ref.name
    yield from (ref.name for ref in spec.image_pull_secrets or ())
    for volume in spec.volumes or ():
        yield from _named_by_volume(volume)


def _named_by_volume(volume: Volume) -> Iterator[str | None]:
    if volume.secret:
        yield volume.secret.secret_name
    for source in (volume.projected.sources if volume.projected else None) or ():
        yield from [source.secret.name] if source.secret else []
    if volume.csi and volume.csi.node_publish_secret_ref:
        yield volume.csi.node_publish_secret_ref.name
    if volume.unknown or any(getattr(volume, source) is not None for source in _UNNAMED_SOURCES):
        yield None


def _named_by_themselves(objects: Objects) -> Iterator[tuple[str, str, str, str]]:
    for secret in objects[Secret]:
        for owner in secret.metadata.owner_references or ():
            yield secret.namespace, secret.name, owner.kind, owner.name
        if _ARGO_CD in secret.labels:
            yield secret.namespace, secret.name, "Secret", secret.name


def _named_by_others(objects: Objects) -> Iterator[tuple[str, str | None, str, str]]:
    for account in objects[ServiceAccount]:
        for ref in (*(account.secrets or ()), *(account.image_pull_secrets or ())):
            yield account.namespace, ref.name, account.kind, account.name
    for volume in objects[PersistentVolume]:
        for ref in (volume.spec.csi.secret_refs if volume.spec and volume.spec.csi else None) or ():
            yield from _use(volume, ref.namespace or "", ref.name)
    for ingress in objects[Ingress]:
        for entry in (ingress.spec.tls if ingress.spec else None) or ():
            yield from _use(ingress, ingress.namespace, entry.secret_name)
        for annotation in _AUTH_ANNOTATIONS:
            namespace, slash, name = ingress.annotations.get(annotation, "").rpartition("/")
            yield from _use(ingress, namespace if slash else ingress.namespace, name)
    for gateway in objects[Gateway]:
        for listener in (gateway.spec.listeners if gateway.spec else None) or ():
            for ref in (listener.tls.certificate_refs if listener.tls else None) or ():
                if ref.kind in (None, "Secret"):
                    yield from _use(gateway, ref.namespace or gateway.namespace, ref.name)
    for istio in objects[IstioGateway]:
        # The Secret lies beside the gateway's pods, wherever these are (istio.io/docs/tasks/traffic-management/ingress).
        for server in (istio.spec.servers if istio.spec else None) or ():
            yield from _use(istio, "", server.tls.credential_name if server.tls else None)
    for certificate in objects[Certificate]:
        yield from _use(certificate, certificate.namespace, certificate.spec.secret_name if certificate.spec else None)
    issuers: tuple[Issuer | ClusterIssuer, ...] = (*objects[Issuer], *objects[ClusterIssuer])
    for issuer in issuers:
        # A ClusterIssuer's lie in the namespace that cert-manager was given; by default its own.
        if issuer.spec and issuer.spec.ca:
            yield from _use(issuer, issuer.namespace, issuer.spec.ca.secret_name)
        elif issuer.spec and issuer.spec.self_signed is None:
            yield issuer.namespace or "cert-manager", None, issuer.kind, issuer.name


def _use(user: Kind, namespace: str, secret: str | None) -> Iterator[tuple[str, str, str, str]]:
    if secret:
        yield namespace, secret, user.kind, user.name


@view("secret_usage", key=("namespace", "name"))
class SecretUsage(_Columns):
    """The Secrets of held_secrets, and whether something collected names them."""

    used: Annotated[
        bool | None, "Something names it; missing where something may: the name, or the namespace, is not known."
    ]

    @staticmethod
    def frame(held_secrets: pd.DataFrame, secret_uses: pd.DataFrame) -> pd.DataFrame:
        unnamed = secret_uses["secret"].isna()
        named = pd.MultiIndex.from_frame(secret_uses.loc[~unnamed, ["namespace", "secret"]])
        anywhere = secret_uses.loc[~unnamed & (secret_uses["namespace"] == ""), "secret"]
        here = pd.MultiIndex.from_frame(held_secrets[["namespace", "name"]]).isin(named)
        # Of several Secrets of a name that is looked for in an unknown namespace, one is meant.
        somewhere, several = held_secrets["name"].isin(anywhere), held_secrets["name"].duplicated(keep=False)
        used = pd.Series(here, index=held_secrets.index) | (somewhere & ~several)
        unseen = held_secrets["namespace"].isin(secret_uses.loc[unnamed, "namespace"])
        return held_secrets.assign(used=used.astype("boolean").mask(~used & (unseen | somewhere)))


@table("service_account_tokens", kinds=(Secret,), key=("namespace", "name"), options=("secrets", "secret_facts"))
class ServiceAccountToken(_Place):
    """One row per Secret that holds a token of a ServiceAccount; such a token does not end by itself."""

    service_account: Annotated[str | None, "ServiceAccount that it logs in as."]
    created: Annotated[datetime | None, "When the Secret was created."]
    last_used: Annotated[datetime | None, "Day it was last used, by Kubernetes' label; missing: never seen used."]
    invalid_since: Annotated[datetime | None, "Day since which Kubernetes refuses it, by its label."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for secret in objects[Secret]:
            if secret.type == _TOKEN:
                yield (
                    secret.namespace,
                    secret.kind,
                    secret.name,
                    secret.annotations.get("kubernetes.io/service-account.name"),
                    secret.metadata.creation_timestamp,
                    _day(secret.labels.get("kubernetes.io/legacy-token-last-used")),
                    _day(secret.labels.get("kubernetes.io/legacy-token-invalid-since")),
                )


def _day(text: str | None) -> datetime | None:
    try:
        return datetime.strptime(text or "", "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        return None


@table("bootstrap_tokens", kinds=(Secret,), key=("namespace", "name"), options=("secrets", "secret_facts"))
class BootstrapTokenRow(_Place):
    """One row per bootstrap token: who knows it can join a node. What it allows is kept with --secret-facts."""

    authentication: Annotated[
        bool | None, "Logs in to the API server; only tokens in kube-system do. Missing where facts are not kept."
    ]
    signing: Annotated[bool | None, "Signs the ConfigMap cluster-info."]
    expiration: Annotated[datetime | None, "When it ends."]
    unlimited: Annotated[bool | None, "Has no expiration; missing where facts are not kept or it is unreadable."]
    groups: Annotated[list[str], "Groups beyond system:bootstrappers."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for secret in objects[Secret]:
            if secret.type != _BOOTSTRAP:
                continue
            fact = secret.bootstrap or BootstrapToken()
            known = secret.bootstrap is not None
            # k8s.io/kubernetes/plugin/pkg/auth/authenticator/token/bootstrap/bootstrap.go
            authenticates = fact.authentication and secret.namespace == "kube-system"
            unlimited = None if not known or fact.expiration_unreadable else fact.expiration is None
            yield (
                secret.namespace,
                secret.kind,
                secret.name,
                authenticates if known else None,
                fact.signing if known else None,
                fact.expiration,
                unlimited,
                list(fact.groups or ()),
            )
