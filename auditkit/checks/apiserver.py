"""The API server: who may speak to it, what it admits, what it records. Unset flags count with their default.

What is tested is flags. A file that a flag names is not read, nor what the flag led to.
"""

import pandas as pd

from auditkit.declare import check


@check("CP-01", severity="high", control_plane=True)
def anonymous_requests(apiservers: pd.DataFrame) -> pd.Series:
    """The API server takes no anonymous requests.

    A request without credentials becomes system:anonymous; one careless binding then serves the whole network.
    What they are granted is RBAC-34's to say: taken alone, an anonymous request may see no more than health and version.
    Unset, anonymous requests are taken. An authentication configuration file may decide otherwise: undetermined.

    Fix: set `--anonymous-auth=false`, or in an AuthenticationConfiguration `anonymous.enabled: false`.
    """
    return apiservers.anonymous_auth


@check("CP-02", severity="high", control_plane=True)
def static_tokens(apiservers: pd.DataFrame) -> pd.Series:
    """The API server knows no static tokens.

    Tokens in a file do not expire and are revoked only by a restart.

    Fix: remove `--token-auth-file`; use OIDC, certificates or ServiceAccount tokens.
    """
    return apiservers.token_auth_file


@check("CP-03", severity="medium", control_plane=True)
def external_ips(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin DenyServiceExternalIPs is enabled.

    A Service with `externalIPs` takes over traffic to that address from the whole cluster (CVE-2020-8554).
    One that has them already keeps them: that is NET-11.

    Fix: add DenyServiceExternalIPs to `--enable-admission-plugins`.
    """
    return ~apiservers.deny_service_external_ips


@check("CP-04", severity="high", control_plane=True)
def kubelet_client(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a client certificate for kubelets.

    Without one its requests to kubelets are anonymous, and kubelets must allow that.

    Fix: set `--kubelet-client-certificate` and `--kubelet-client-key`.
    """
    return ~(apiservers.kubelet_client_certificate & apiservers.kubelet_client_key)


@check("CP-05", severity="high", control_plane=True)
def kubelet_authority(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a CA to verify the certificates of kubelets.

    Without a CA anyone between API server and node can read exec, logs and port-forward.

    Fix: set `--kubelet-certificate-authority`, and let kubelets ask for signed serving certificates.
    """
    return ~apiservers.kubelet_certificate_authority


@check("CP-06", severity="critical", control_plane=True)
def always_allow(apiservers: pd.DataFrame) -> pd.Series:
    """The authorization mode AlwaysAllow is off.

    AlwaysAllow makes whoever is authenticated an administrator. It is the default where no mode is given.

    Fix: set `--authorization-mode=Node,RBAC`.
    """
    return apiservers.always_allow


@check("CP-07", severity="high", control_plane=True)
def node_authorization(apiservers: pd.DataFrame) -> pd.Series:
    """The authorization mode Node is on.

    Without it every kubelet needs rights to all Secrets instead of those of its own pods. A binding may give
    kubelets such rights all the same.

    Fix: add Node to `--authorization-mode`.
    """
    return ~apiservers.authorizes_nodes


@check("CP-08", severity="high", control_plane=True)
def rbac_authorization(apiservers: pd.DataFrame) -> pd.Series:
    """The authorization mode RBAC is on.

    Roles and bindings have no effect without it. Another mode beside it may allow more: one that allows is enough.

    Fix: add RBAC to `--authorization-mode`.
    """
    return ~apiservers.authorizes_by_rbac


@check("CP-09", severity="low", control_plane=True)
def event_rate(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin EventRateLimit is enabled.

    A faulty workload can fill etcd with Events until the API server slows down. The limits are in a file that a
    snapshot cannot see.

    Fix: add EventRateLimit to `--enable-admission-plugins` with a configuration file.
    """
    return ~apiservers.event_rate_limit


@check("CP-10", severity="high", control_plane=True)
def always_admit(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin AlwaysAdmit is not enabled.

    It admits whatever is asked for, in place of checks.

    Fix: remove AlwaysAdmit from `--enable-admission-plugins`.
    """
    return apiservers.always_admit


@check("CP-11", severity="low", control_plane=True)
def pull_always(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin AlwaysPullImages is enabled.

    Otherwise a pod may run a private image that another left on the node, without credentials for it. The plugin
    changes pods when they are made: `image_pull_policy` of the table `containers` says which pull anew.

    Fix: add AlwaysPullImages to `--enable-admission-plugins`.
    """
    return ~apiservers.always_pull_images


@check("CP-12", severity="high", control_plane=True)
def service_accounts(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin ServiceAccount is enabled.

    Without the plugin ServiceAccount, tokens and their limits are not enforced. It is on by default.

    Fix: remove ServiceAccount from `--disable-admission-plugins`.
    """
    return ~apiservers.service_account


@check("CP-13", severity="high", control_plane=True)
def namespace_lifecycle(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin NamespaceLifecycle is enabled.

    It refuses objects in namespaces that end or do not exist, and keeps the system namespaces from deletion. It is on
    by default.

    Fix: remove NamespaceLifecycle from `--disable-admission-plugins`.
    """
    return ~apiservers.namespace_lifecycle


@check("CP-14", severity="high", control_plane=True)
def node_restriction(apiservers: pd.DataFrame) -> pd.Series:
    """The admission plugin NodeRestriction is enabled.

    Without it, and it is off by default, one node's credentials relabel or taint all others. It binds kubelets that
    log in as system:node:NAME; what a binding gives to other users is not seen here.

    Fix: add NodeRestriction to `--enable-admission-plugins`.
    """
    return ~apiservers.node_restriction


@check("CP-15", severity="low", control_plane=True)
def apiserver_profiling(apiservers: pd.DataFrame) -> pd.Series:
    """The API server serves no profiles.

    Profiles tell about the program's inside and cost time. They are on by default.

    Fix: set `--profiling=false`.
    """
    return apiservers.profiling


@check("CP-16", severity="high", control_plane=True)
def audit_backend(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a file or webhook for its audit log.

    Without one no request can be traced to who made it. Nor without a policy: that is LOG-01.

    Fix: set `--audit-log-path` or `--audit-webhook-config-file`.
    """
    return (apiservers.audit_log_path == "") & ~apiservers.audit_webhook_config_file


@check("CP-17", severity="medium", control_plane=True)
def audit_age(audit_log_files: pd.DataFrame, *, days: int = 30) -> pd.Series:
    """The age limit of audit log files is long enough.

    An incident is often noticed weeks later. 0, the default, states no retention. Files may go earlier by number and
    size, and stay longer where they are shipped to: neither is seen here.

    Fix: set `--audit-log-maxage` to the days that the retention policy asks for.
    """
    return audit_log_files.maxage < days


@check("CP-18", severity="low", control_plane=True)
def audit_backups(audit_log_files: pd.DataFrame, *, files: int = 10) -> pd.Series:
    """The API server is set to keep enough rotated audit log files.

    A burst of requests rotates files within hours, whatever their age limit. 0, the default, states no number.

    Fix: set `--audit-log-maxbackup=10` or above.
    """
    return audit_log_files.maxbackup < files


@check("CP-19", severity="low", control_plane=True)
def audit_size(audit_log_files: pd.DataFrame, *, megabytes: int = 100) -> pd.Series:
    """The size at which audit log files rotate is large enough.

    Small files and a limited number of them lose entries early. 0, the default, states no size.

    Fix: set `--audit-log-maxsize=100` or above.
    """
    return audit_log_files.maxsize < megabytes


@check("CP-20", severity="low", control_plane=True)
def request_timeout(apiservers: pd.DataFrame, *, seconds: int = 300) -> pd.Series:
    """The API server has a timeout for requests.

    Slow requests without end hold connections that others need. The default is one minute. Watches, exec and
    port-forward are not under it.

    Fix: remove `--request-timeout`, or set it to some minutes at most.
    """
    return (apiservers.request_timeout == 0) | (apiservers.request_timeout > seconds)


@check("CP-21", severity="medium", control_plane=True)
def token_lookup(apiservers: pd.DataFrame) -> pd.Series:
    """The API server looks up whether the ServiceAccount of a token is there.

    Without the lookup a token of an old Secret works after its ServiceAccount is gone. The default is true.

    Fix: remove `--service-account-lookup=false`.
    """
    return ~apiservers.service_account_lookup


@check("CP-22", severity="medium", control_plane=True)
def token_key(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a key to verify ServiceAccount tokens.

    Where none is given the TLS key verifies them, and one cannot be rotated without the other. Whether the file holds
    another key than the TLS key, a snapshot cannot see. An external signer (`--service-account-signing-endpoint`)
    brings keys of its own and excludes the flag.

    Fix: set `--service-account-key-file`.
    """
    return ~(apiservers.service_account_key_file | apiservers.service_account_signing_endpoint)


@check("CP-23", severity="high", control_plane=True)
def etcd_client(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a client certificate for etcd.

    etcd holds every Secret; without certificates whoever reaches its port reads them.

    Fix: set `--etcd-certfile` and `--etcd-keyfile`.
    """
    return ~(apiservers.etcd_certfile & apiservers.etcd_keyfile)


@check("CP-24", severity="high", control_plane=True)
def serving_certificate(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a serving certificate.

    Without one it signs its own at start, and clients cannot verify it. Who signed the one that is given is not seen.

    Fix: set `--tls-cert-file` and `--tls-private-key-file`.
    """
    return ~(apiservers.tls_cert_file & apiservers.tls_private_key_file)


@check("CP-25", severity="high", control_plane=True)
def client_authority(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a CA for client certificates.

    Without one components and administrators have to use tokens.

    Fix: set `--client-ca-file`.
    """
    return ~apiservers.client_ca_file


@check("CP-26", severity="high", control_plane=True)
def etcd_authority(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given a CA to verify etcd, and speaks TLS to it.

    Otherwise whoever answers on that address receives every write. At an http:// URL there is none to verify.

    Fix: set `--etcd-cafile`, and https:// in `--etcd-servers` and `--etcd-servers-overrides`.
    """
    return ~apiservers.etcd_cafile | apiservers.plain_etcd


@check("CP-27", severity="high", control_plane=True)
def encryption_at_rest(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given an encryption configuration.

    Without one a copy of etcd, or of its backup, holds every Secret in the open. With one it still may: whether the
    file covers Secrets, which provider it names first (`identity` encrypts nothing), and whether old Secrets were
    rewritten, a snapshot cannot see.

    Fix: write an EncryptionConfiguration and set `--encryption-provider-config`.
    """
    return ~apiservers.encryption_provider_config


@check("CP-28", severity="medium", control_plane=True)
def strong_ciphers(apiservers: pd.DataFrame) -> pd.Series:
    """The API server accepts strong TLS suites only.

    Suites without forward secrecy open recorded traffic to a later key; CBC suites leak by their padding.
    Unset, CBC suites are among the defaults.

    Fix: set `--tls-min-version=VersionTLS13`, or `--tls-cipher-suites` to ECDHE suites with GCM or ChaCha20.
    """
    return apiservers.weak_tls


@check("CP-29", severity="low", control_plane=True)
def token_extension(apiservers: pd.DataFrame) -> pd.Series:
    """The API server does not extend tokens of pods to a year.

    Until a client renews its token, a leaked one works for a year instead of an hour. Extension is the default.

    Fix: set `--service-account-extend-token-expiration=false` once no client uses stale tokens.
    """
    return apiservers.service_account_extend_token_expiration


@check("CP-30", severity="high", control_plane=True)
def insecure_port(apiservers: pd.DataFrame) -> pd.Series:
    """The API server serves on its secure port only.

    The insecure port, gone since 1.24, takes every request without authentication.

    Fix: remove `--insecure-port` and `--secure-port=0`.
    """
    return (apiservers.insecure_port > 0) | (apiservers.secure_port == 0)
