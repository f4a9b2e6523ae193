"""Secrets and tokens: do they end, are they used, are they renewed, and are credentials kept in nothing else."""

import pandas as pd

from auditkit.declare import check
from auditkit.tables.certificates import days_left


@check("RBAC-45", severity="medium")
def token_secrets(service_account_tokens: pd.DataFrame) -> pd.Series:
    """No Secret holds a ServiceAccount token that Kubernetes accepts.

    Such a token has no end and no audience: whoever copied it is the ServiceAccount until the Secret is deleted.
    One that Kubernetes has marked invalid, as it was not used for a year, is refused.

    Fix: use tokens that end: projected volumes, or `kubectl create token`; then delete the Secret.
    """
    return service_account_tokens.invalid_since.isna().astype("boolean")


@check("RBAC-46", severity="medium")
def bootstrap_tokens_end(bootstrap_tokens: pd.DataFrame, origin: pd.DataFrame, *, days: int = 1) -> pd.Series:
    """Bootstrap tokens that log in end within `days` days.

    Who knows one can add a node to the cluster and read what is made for that node. kubeadm gives them a day.

    Fix: `kubeadm token delete`; make the next one when a node joins, with the default `--ttl`.
    """
    lasts = bootstrap_tokens.unlimited | (days_left(bootstrap_tokens.expiration, origin) > days)
    return bootstrap_tokens.authentication & lasts


@check("SEC-03", severity="high")
def config_without_credentials(config_maps: pd.DataFrame) -> pd.Series:
    """ConfigMaps hold no credentials.

    Many more people and programs read ConfigMaps than Secrets, and they are not encrypted at rest by the usual setup.

    Fix: move the value to a Secret or an external store, and change it: it has been read.
    """
    return config_maps.credentials


@check("SEC-04", severity="low")
def external_secrets_ready(external_secrets: pd.DataFrame) -> pd.Series:
    """Secrets that come from an external store are read from it, and their stores answer.

    Where reading fails the cluster goes on with the old value: a credential that was changed or withdrawn in the
    store stays in use here.

    Fix: read the message with `kubectl describe externalsecret`; mend the store's access or the entry's name.
    """
    return ~external_secrets.ready


@check("SEC-08", severity="low")
def secrets_in_use(secret_usage: pd.DataFrame) -> pd.Series:
    """Every Secret is named by something in the cluster.

    What nobody uses nobody renews, and its values may still open something. A controller that reads Secrets
    through the API by itself cannot be seen: ask the owner before deleting.

    Fix: delete the Secret, and withdraw what it holds where it was issued.
    """
    return ~secret_usage.used


@check("SEC-60", severity="low")
def secrets_renewed(held_secrets: pd.DataFrame, origin: pd.DataFrame, *, days: int = 365) -> pd.Series:
    """Secrets were written within the last `days` days.

    A credential that is never changed stays good for everybody who ever saw it. An old Secret that was written
    lately is undetermined: the write may have changed a label only.

    Fix: change the credential where it was issued, update the Secret; let an external store rotate it.
    """
    old = -days_left(held_secrets.created, origin) > days
    unchanged = held_secrets.immutable | (-days_left(held_secrets.written, origin) > days)
    return old & unchanged.mask(~unchanged)


@check("AVL-74", severity="medium")
def external_secrets_fresh(external_secrets: pd.DataFrame, origin: pd.DataFrame, *, times: int = 3) -> pd.Series:
    """An ExternalSecret was read again within `times` times its interval.

    What was rotated or revoked in the store lives on in the cluster until it is read again. With the interval 0, or a
    `refreshPolicy` other than Periodic, time alone never has it read again. Stores themselves are not tested.

    Fix: look into the operator and the store; set `refreshInterval`, and `refreshPolicy: Periodic`.
    """
    age = -days_left(external_secrets.refreshed_at, origin)
    late = (age > external_secrets.interval_days * times).astype("boolean")
    once = (external_secrets.interval_days == 0).fillna(False)
    return (late | once).mask(external_secrets.kind != "ExternalSecret", False)


@check("AVL-75", severity="medium")
def store_for_some(external_secrets: pd.DataFrame) -> pd.Series:
    """A ClusterSecretStore names the namespaces that may read it.

    Otherwise whoever may create an ExternalSecret in any namespace reads whatever the store's credential can. What
    the store itself refuses is not seen.

    Fix: set `spec.conditions` with the namespaces that need it, or use SecretStores.
    """
    return external_secrets.anywhere.mask(external_secrets.kind != "ClusterSecretStore", False)
