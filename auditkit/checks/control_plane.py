"""Controller manager, scheduler and etcd. Unset flags count with their default.

What is tested is flags. A file that a flag names is not read, nor what the flag led to.
"""

import pandas as pd

from auditkit.declare import check


@check("CP-32", severity="low", control_plane=True)
def pod_garbage(controller_managers: pd.DataFrame, *, pods: int = 12500) -> pd.Series:
    """The controller manager has a threshold above which it removes ended pods.

    Each ended pod that stays costs etcd and every list of pods. The default is 12500.

    Fix: remove `--terminated-pod-gc-threshold`, or set a number above 0.
    """
    return (controller_managers.terminated_pod_gc_threshold <= 0) | (
        controller_managers.terminated_pod_gc_threshold > pods
    )


@check("CP-33", severity="low", control_plane=True)
def manager_profiling(controller_managers: pd.DataFrame) -> pd.Series:
    """The controller manager serves no profiles.

    Profiles tell about the program's inside and cost time. They are on by default.

    Fix: set `--profiling=false`.
    """
    return controller_managers.profiling


@check("CP-34", severity="medium", control_plane=True)
def controller_credentials(controller_managers: pd.DataFrame) -> pd.Series:
    """The controller manager is set to use a ServiceAccount for each controller.

    Otherwise all controllers share one identity, and the audit log cannot tell them apart.

    Fix: set `--use-service-account-credentials=true`.
    """
    return ~controller_managers.use_service_account_credentials


@check("CP-35", severity="medium", control_plane=True)
def token_signing(controller_managers: pd.DataFrame, apiservers: pd.DataFrame) -> pd.Series:
    """The controller manager is given a key to sign ServiceAccount tokens.

    Without it no token of an old kind is signed, or with a key that nobody rotates. Where every API server leaves
    signing to an external signer (`--service-account-signing-endpoint`) there is no key to name.

    Fix: set `--service-account-private-key-file`.
    """
    given = apiservers.service_account_signing_endpoint
    external = given.all(skipna=False) if len(given) else False
    keyed = controller_managers.service_account_private_key_file
    return ~(keyed | pd.Series(external, index=keyed.index, dtype="boolean"))


@check("CP-36", severity="medium", control_plane=True)
def root_authority(controller_managers: pd.DataFrame) -> pd.Series:
    """The controller manager is given the CA that it hands to pods.

    Without it a pod cannot verify whom it sends its token to. Whether it is the API server's CA is not seen.

    Fix: set `--root-ca-file`.
    """
    return ~controller_managers.root_ca_file


@check("CP-37", severity="medium", control_plane=True)
def serving_rotation(controller_managers: pd.DataFrame) -> pd.Series:
    """The controller manager leaves the feature gate RotateKubeletServerCertificate on.

    It is on by default; off, serving certificates of nodes live until they expire. Whether kubelets rotate theirs is
    not seen here.

    Fix: remove `RotateKubeletServerCertificate=false` from `--feature-gates`.
    """
    return ~controller_managers.rotates_serving_certificates


@check("CP-38", severity="low", control_plane=True)
def manager_address(controller_managers: pd.DataFrame) -> pd.Series:
    """The controller manager listens on its host only.

    Its metrics and profiles need not be reached from the network. The default is every address.

    Fix: set `--bind-address=127.0.0.1`.
    """
    return ~controller_managers.local


@check("CP-39", severity="low", control_plane=True)
def scheduler_profiling(schedulers: pd.DataFrame) -> pd.Series:
    """The scheduler serves no profiles.

    Profiles tell about the program's inside and cost time. They are on by default; with a configuration file
    that file decides, which a snapshot cannot see.

    Fix: set `--profiling=false`, or `enableProfiling: false` in its configuration file.
    """
    return schedulers.profiling


@check("CP-40", severity="low", control_plane=True)
def scheduler_address(schedulers: pd.DataFrame) -> pd.Series:
    """The scheduler listens on its host only.

    Its metrics and profiles need not be reached from the network. The default is every address.

    Fix: set `--bind-address=127.0.0.1`.
    """
    return ~schedulers.local


@check("CP-41", severity="high", control_plane=True)
def etcd_serving(etcds: pd.DataFrame) -> pd.Series:
    """etcd serves its clients by TLS.

    Every Secret travels between API server and etcd. On an http:// URL etcd ignores its certificate; one of the
    host's own address does not count.

    Fix: set `--cert-file` and `--key-file`, and https:// in `--listen-client-urls` and `--listen-client-http-urls`.
    """
    return ~(etcds.cert_file & etcds.key_file) | etcds.plain_clients


@check("CP-42", severity="high", control_plane=True)
def etcd_clients(etcds: pd.DataFrame) -> pd.Series:
    """etcd asks its clients for certificates.

    Otherwise whoever reaches its port reads and writes the whole cluster. On an http:// URL it asks nobody.

    Fix: set `--client-cert-auth=true`, and https:// in `--listen-client-urls` and `--listen-client-http-urls`.
    """
    return ~etcds.client_cert_auth | etcds.plain_clients


@check("CP-43", severity="medium", control_plane=True)
def etcd_auto_tls(etcds: pd.DataFrame) -> pd.Series:
    """etcd does not sign its own certificate for clients.

    A certificate that it made itself proves nothing.

    Fix: remove `--auto-tls`.
    """
    return etcds.auto_tls


@check("CP-44", severity="high", control_plane=True)
def etcd_peers(etcds: pd.DataFrame) -> pd.Series:
    """Members of etcd talk by TLS.

    Every write is copied between members. On an http:// URL etcd ignores its certificate.

    Fix: set `--peer-cert-file` and `--peer-key-file`, and https:// in `--listen-peer-urls`.
    """
    return ~(etcds.peer_cert_file & etcds.peer_key_file) | etcds.plain_peers


@check("CP-45", severity="high", control_plane=True)
def etcd_peer_clients(etcds: pd.DataFrame) -> pd.Series:
    """Members of etcd ask each other for certificates.

    Otherwise a stranger can join and receive all data. On an http:// URL they ask nobody.

    Fix: set `--peer-client-cert-auth=true`, and https:// in `--listen-peer-urls`.
    """
    return ~etcds.peer_client_cert_auth | etcds.plain_peers


@check("CP-46", severity="medium", control_plane=True)
def etcd_peer_auto_tls(etcds: pd.DataFrame) -> pd.Series:
    """Members of etcd do not sign their own certificates.

    A certificate that a member made itself proves nothing.

    Fix: remove `--peer-auto-tls`.
    """
    return etcds.peer_auto_tls


@check("CP-47", severity="medium", control_plane=True)
def etcd_authority_of_its_own(etcds: pd.DataFrame, apiservers: pd.DataFrame) -> pd.Series:
    """etcd is given another CA file than the API server has for its clients.

    Where it trusts the cluster's CA, every client certificate of the cluster opens etcd.
    Compared by path: two files may hold the same CA.

    Fix: issue etcd's certificates from a CA of their own and set `--trusted-ca-file`.
    """
    shared = etcds.trusted_ca_file.isin(apiservers.client_ca.dropna())
    unseen = etcds.trusted_ca_file.isna() | bool(apiservers.client_ca.isna().any() or apiservers.empty)
    return (shared | (etcds.trusted_ca_file == "")).astype("boolean").mask(unseen & ~shared)
