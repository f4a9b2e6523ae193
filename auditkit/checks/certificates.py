"""Certificates: are they valid, strong, for the right host, and issued as they should be."""

import pandas as pd

from auditkit.declare import check
from auditkit.tables.certificates import days_left


@check("CERT-01", severity="high")
def valid(tls_certificates: pd.DataFrame, origin: pd.DataFrame, *, days: int = 30) -> pd.Series:
    """The certificates of TLS Secrets are valid, and for more than `days` days still.

    Clients refuse a service whose certificate, or that of one of its issuers, has ended or not yet begun.

    Fix: renew the certificate, and let cert-manager or the like do so from now on.
    """
    begun = days_left(tls_certificates.not_before, origin) <= 0
    return ~begun | (days_left(tls_certificates.not_after, origin) <= days)


@check("CERT-60", severity="medium")
def in_a_chain(served_certificates: pd.DataFrame) -> pd.Series:
    """After its first certificate a TLS Secret holds only the issuers of it.

    Servers send the bundle as it is: clients cannot verify one whose parts do not belong together. Whether a
    certificate that stands alone needs an intermediate one cannot be seen; it is not an exception.

    Fix: put the certificate first, then each issuer, without those of other certificates.
    """
    return ~served_certificates.chained


@check("CERT-02", severity="medium")
def strong(tls_certificates: pd.DataFrame) -> pd.Series:
    """The certificates of TLS Secrets have strong keys and signatures.

    RSA keys below 2048 bits and EC keys below 224 can be broken; signatures over MD5 or SHA-1 can be forged.
    Whether a private key belongs to its certificate is not tested: private keys are not read.

    Fix: issue the certificate anew, with RSA 2048 or EC P-256 at least, and SHA-256.
    """
    return tls_certificates.weak_key | tls_certificates.weak_signature


@check("CERT-61", severity="medium")
def for_the_host(ingress_certificates: pd.DataFrame) -> pd.Series:
    """The certificate that an Ingress names for a host is good for that host.

    Clients refuse it, or users learn to click warnings away. Only subject alternative names count.

    Fix: issue the certificate for the host, or name the right Secret.
    """
    return ~ingress_certificates.covered


@check("CERT-62", severity="medium")
def vouched_for(served_certificates: pd.DataFrame) -> pd.Series:
    """The certificate of a TLS Secret is signed by another key than its own.

    Nobody vouches for a self-signed one and nobody can revoke it: clients must skip verification to accept it.
    A self-signed authority may be kept to sign others, or be shown by a server: it is undetermined. Whether clients trust
    who signed it is not seen.

    Fix: have it issued by your own authority or a public one.
    """
    alone = served_certificates.self_signed
    return alone.mask(alone & served_certificates.is_ca)


@check("CERT-03", severity="medium")
def kept_up_to_date(cert_manager_certificates: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Certificates that cert-manager keeps are ready, and were renewed when they were due.

    One that is not ready is not renewed: it ends without anybody noticing. A renewal is late a day after it was due.

    Fix: read the Certificate's conditions (`cmctl status certificate`), mend its issuer.
    """
    due = cert_manager_certificates.renewal_time.fillna(cert_manager_certificates.not_after)
    return ~cert_manager_certificates.ready | (days_left(due, origin) < -1)


@check("CERT-63", severity="medium")
def issuers(certificate_issuers: pd.DataFrame) -> pd.Series:
    """Issuers of cert-manager are ready, and do not sign each certificate with its own key.

    An issuer that is not ready renews nothing; what a self-signed one issues nobody vouches for.

    Fix: mend the issuer; replace a self-signed one by a `ca` or `acme` issuer.
    """
    return ~certificate_issuers.ready | certificate_issuers.self_signed


@check("CERT-04", severity="medium")
def bundles_valid(ca_bundles: pd.DataFrame, origin: pd.DataFrame, *, days: int = 30) -> pd.Series:
    """The authorities by which the API server knows admission webhooks and aggregated APIs are valid for more than `days` days.

    When one ends, admission fails closed and nothing can be deployed, or fails open and nothing is checked.

    Fix: renew the authority and its bundle; let cert-manager's cainjector do so.
    """
    begun = days_left(ca_bundles.not_before, origin) <= 0
    return ~begun | (days_left(ca_bundles.not_after, origin) <= days)


@check("CERT-64", severity="high")
def aggregated_apis_verified(api_services: pd.DataFrame) -> pd.Series:
    """The API server verifies the servers behind aggregated APIs.

    With insecureSkipTLSVerify, whoever gets between them answers API requests and sees what is sent.

    Fix: set `caBundle`, drop `insecureSkipTLSVerify`.
    """
    return api_services.unverified


@check("CERT-05", severity="medium")
def short_lived(certificate_requests: pd.DataFrame, *, days: int = 30) -> pd.Series:
    """No certificate that logs in a person or program was issued for more than `days` days.

    The API server asks no list of revoked certificates: who holds one can log in until it ends. Requests that
    nobody has decided are undetermined. The cluster forgets decided requests after an hour: the population
    is what is left, not all that was issued.

    Fix: deny such requests; use your identity provider, or `expirationSeconds`; replace the signer's key if one leaks.
    """
    state = certificate_requests.state
    long = certificate_requests.user_certificate & (certificate_requests.lifetime_days > days)
    return long.mask(state == "Pending").mask(state.isin(["Denied", "Failed"]), False)


@check("CERT-07", severity="high")
def authorities_valid(cluster_authorities: pd.DataFrame, origin: pd.DataFrame, *, days: int = 90) -> pd.Series:
    """The cluster's own authorities are valid for more than `days` days still.

    When one ends, every certificate under it ends: nodes, controllers and users cannot reach the API server.

    Fix: plan the rotation of the authority (kubernetes.io/docs/tasks/tls/manual-rotation-of-ca-certificates).
    """
    begun = days_left(cluster_authorities.not_before, origin) <= 0
    return ~begun | (days_left(cluster_authorities.not_after, origin) <= days)


@check("CERT-70", severity="low")
def used_somewhere(certificate_users: pd.DataFrame) -> pd.Series:
    """Certificates that cert-manager keeps are used by something.

    A key that is renewed and used by nothing is one more to be stolen. Seen are pods, Ingresses, gateways, issuers
    and ServiceAccounts, not what a controller reads through the API by itself.

    Fix: delete the Certificate and its Secret, or correct the name where it is used.
    """
    return ~certificate_users.used


@check("CERT-71", severity="medium")
def renewed_by_itself(served_secrets: pd.DataFrame) -> pd.Series:
    """The Secrets that Ingresses and gateways end TLS with are renewed by cert-manager.

    What somebody has to remember ends on a day when nobody did. Where the cluster has no Certificate at all, other
    means may renew: undetermined.

    Fix: make a Certificate that keeps the Secret, or annotate the Ingress or Gateway with its issuer.
    """
    return ~served_secrets.kept


@check("CERT-72", severity="medium")
def requests_fulfilled(certificate_orders: pd.DataFrame) -> pd.Series:
    """Requests and orders of cert-manager are fulfilled.

    One that was denied, invalid or failed leaves the old certificate in place until it ends. Those that are not
    decided yet are undetermined.

    Fix: read the request's and the order's conditions (`cmctl status certificate`), mend the issuer or the challenge.
    """
    return certificate_orders.failed
