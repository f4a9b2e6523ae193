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


def reads_secrets(options: Options) -> bool:
    return options.secrets or options.tls_secrets or options.secret_facts


def kept_secret(secret: Secret, options: Options) -> Secret | None:
    """The Secret reduced to what these options allow; None where they allow nothing of it.

    `--secrets` keeps metadata and type of all; `--tls-secrets` keeps the TLS Secrets with their public
    certificates; `--secret-facts` keeps the token Secrets with expiry and usage.
    """
    tls = options.tls_secrets and secret.type == "kubernetes.io/tls"
    facts = options.secret_facts and secret.type in (
        "bootstrap.kubernetes.io/token",
        "kubernetes.io/service-account-token",
    )
    if not (options.secrets or tls or facts):
        return None
    return secret.keeping(certificates=tls, facts=facts)
