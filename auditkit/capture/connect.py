"""Connects to a cluster as kubectl does, through the official client: kubeconfig, TLS, proxies, credential plugins."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import urllib3
import yaml
from kubernetes import config
from kubernetes.client import ApiClient, Configuration

from auditkit.capture import tool
from auditkit.capture.transport import Patience, Transport
from auditkit.errors import UsageError


@contextmanager
def connected(
    context: str | None, in_cluster: bool, kubeconfig: Path | None, qps: float, patience: Patience
) -> Iterator[tuple[Transport, str, str]]:
    """A transport with the official client's TLS, proxy and credentials; the source's name; the cluster's name."""
    settings = Configuration()
    if in_cluster:
        source, cluster, renew = "in-cluster", "", "; the token of this pod's ServiceAccount is not valid"
        _load_in_cluster(settings)
    else:
        file = str(kubeconfig or os.environ.get("KUBECONFIG") or Path("~/.kube/config").expanduser())
        name, cluster = _chosen(file, context)
        source = f"context:{name}"
        renew = (
            f"; renew those of context {name} in {file}, e.g. log in again, then try `kubectl --context {name} get ns`"
        )
        _load_context(settings, file, name)
    client = ApiClient(settings)
    server = urlsplit(settings.host)
    place = urlunsplit(server._replace(netloc=server.netloc.rpartition("@")[2])).rstrip("/")

    def headers() -> dict[str, str]:
        # The client's name for the key: BearerToken since 37, authorization before. Asking renews an expired token.
        values = (settings.get_api_key_with_prefix(key) for key in ("BearerToken", "authorization"))
        token = next(filter(None, values), None)
        return {"User-Agent": tool()} | ({"Authorization": token.strip()} if token else {})

    pool: urllib3.PoolManager = client.rest_client.pool_manager
    try:
        yield Transport(pool, place, headers, qps=qps, patience=patience, renew=renew), source, cluster
    finally:
        pool.clear()


def _load_in_cluster(settings: Configuration) -> None:
    try:
        config.load_incluster_config(client_configuration=settings)  # type: ignore[no-untyped-call]
    except config.ConfigException as error:
        raise UsageError(
            f"--in-cluster: {error} This is for a pod with a mounted ServiceAccount token; elsewhere name a --context."
        ) from None


def _chosen(file: str, context: str | None) -> tuple[str, str]:
    """The context asked for, or the current one, and the name of its cluster."""
    try:
        merged = config.kube_config.KubeConfigMerger(file).config  # type: ignore[no-untyped-call]
        found = merged.value if merged else {}
        contexts = {c["name"]: c["context"]["cluster"] for c in found.get("contexts") or ()}
    except (OSError, yaml.YAMLError, KeyError, TypeError, AttributeError, config.ConfigException) as error:
        raise UsageError(f"{file}: not a kubeconfig ({error})") from None
    if not contexts:
        raise UsageError(f"{file}: no kubeconfig there; set KUBECONFIG, or use --in-cluster or --from PATH")
    name = context or found.get("current-context") or ""
    if name not in contexts:
        asked = f"has no context {name}" if name else "names no current context"
        raise UsageError(f"{file} {asked}; choose one of: {', '.join(sorted(contexts))}")
    return name, contexts[name]


class _Complaints(logging.Handler):
    """What the client only logs: a credential plugin that failed, after which it goes on without credentials."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.texts.append(record.getMessage())


def _load_context(settings: Configuration, file: str, name: str) -> None:
    complaints, root = _Complaints(), logging.getLogger()
    root.addHandler(complaints)
    try:
        config.load_kube_config(config_file=file, context=name, client_configuration=settings)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TypeError, KeyError, config.ConfigException) as error:
        raise UsageError(f"context {name} of {file}: {error}") from None
    finally:
        root.removeHandler(complaints)
    if complaints.texts:
        said = "; ".join(complaints.texts)[:500]
        raise UsageError(f"context {name} of {file}: no credentials, the plugin failed ({said})")
