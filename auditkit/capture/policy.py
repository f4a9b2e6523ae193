"""What is not kept by policy, whatever the source, and why."""

from collections.abc import Mapping
from types import MappingProxyType

from auditkit.capture.snapshot import Options
from auditkit.kinds.certificates import Secret

EXCLUDED: Mapping[str, str] = MappingProxyType(
    {
        "events": "expire within the hour, and messages can hold anything",
        "events.events.k8s.io": "the same objects as events",
        "leases.coordination.k8s.io": "heartbeats",
    }
)
SECRETS_EXCLUDED = "Secrets are read only with --secrets, --tls-secrets or --secret-facts"

TLS = ("kubernetes.io/tls",)
TOKENS = ("bootstrap.kubernetes.io/token", "kubernetes.io/service-account-token")
# The types that Kubernetes and Helm define: metadata does not say the type, so each is a list of its own.
SECRET_TYPES = (
    "Opaque",
    *TLS,
    *TOKENS,
    "kubernetes.io/dockercfg",
    "kubernetes.io/dockerconfigjson",
    "kubernetes.io/basic-auth",
    "kubernetes.io/ssh-auth",
    "helm.sh/release.v1",
)


def reads_secrets(options: Options) -> bool:
    return options.secrets or options.tls_secrets or options.secret_facts


def whole_types(options: Options) -> tuple[str, ...]:
    """The types of which more than metadata is read."""
    return (*(TLS if options.tls_secrets else ()), *(TOKENS if options.secret_facts else ()))


def kept_secret(secret: Secret, options: Options) -> Secret | None:
    """The Secret reduced to what a live capture with these options could see; None where that is nothing.

    `--secrets` keeps metadata of all, with the type where it is one of SECRET_TYPES; `--tls-secrets` keeps the TLS
    Secrets with their public certificates; `--secret-facts` keeps the token Secrets with expiry and usage.
    """
    if secret.type in whole_types(options):
        return secret
    return secret.as_metadata(SECRET_TYPES) if options.secrets else None
