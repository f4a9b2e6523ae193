"""How people sign in to the API server, as far as a cluster shows it."""

import pandas as pd

from auditkit.analysis.access import MASTERS
from auditkit.analysis.activity import is_person
from auditkit.checks.lists import holds
from auditkit.declare import check


@check("RBAC-44", severity="medium")
def client_certificates(certificate_requests: pd.DataFrame) -> pd.Series:
    """No client certificate was issued to a user.

    Nobody can withdraw a certificate: it logs in until it ends, after its holder has left too, and no second factor
    is asked for. The users of Kubernetes itself are nodes and components, but for members of system:masters; whether
    another named system: is one is undetermined, but for system:admin. The cluster forgets decided requests after an
    hour: the population is what is left, not all that was issued.

    Fix: let people sign in by the identity provider; deny such requests.
    """
    person = certificate_requests.subject.map(is_person, na_action="ignore").astype("boolean")
    user = person | holds(certificate_requests.organizations, MASTERS)
    return certificate_requests.issued & certificate_requests.user_certificate & user


@check("RBAC-63", severity="medium")
def certified_subjects(bindings: pd.DataFrame, certificate_requests: pd.DataFrame) -> pd.Series:
    """Bindings name nobody who signs in by client certificate.

    The certificate's common name is the user, its organizations are groups, an identity provider's among them. A
    user or group that nothing marks as an identity provider's, by a prefix with a colon, and of whom no certificate
    is left in the requests, may have one all the same: undetermined. So is one whose request may have become one, and a
    user named system: whom Kubernetes does not have.

    Fix: give the right to a group of the identity provider, and leave the certificate to end.
    """
    found = _named_by(bindings, certificate_requests, unknown=False)
    open_ = _named_by(bindings, certificate_requests, unknown=True)
    named = bindings.identity.fillna(":")
    system = named.str.startswith("system:") & (bindings.subject_kind == "User").fillna(False)
    plain = ~named.str.contains(":", regex=False) | (system & (named.map(is_person).astype("boolean").fillna(True)))
    return (found & ~bindings.stock).mask(~found & (open_ | plain))


def _named_by(bindings: pd.DataFrame, requests: pd.DataFrame, *, unknown: bool) -> pd.Series:
    """Whether a certificate of a user names the subject; what is not known of a request counts as `unknown`."""
    issued = requests[requests.issued.fillna(unknown) & requests.user_certificate.fillna(unknown)]
    user = (bindings.subject_kind == "User") & bindings.identity.isin(issued.subject.dropna())
    group = (bindings.subject_kind == "Group") & bindings.identity.isin(issued.organizations.explode().dropna())
    return (user | group).astype("boolean").fillna(False)
