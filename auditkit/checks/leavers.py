"""People who left, by the list of human resources, and what they still have."""

import pandas as pd

from auditkit.checks.dates import later
from auditkit.declare import check


@check("RBAC-80", severity="critical")
def leavers_by_name(user_departures: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Bindings name no user who has left.

    A binding outlives its user: whoever comes by the name again, by a certificate that has not ended or a new
    account, has the rights. The last working day is the leaver's own; after it the row is an exception. Where the API
    server's flags do not show how it names people, a name that is not on the list is undetermined.

    Fix: remove the subject; give rights to groups, so that the provider's offboarding takes them away.
    """
    return user_departures.listed & later(
        origin, user_departures.last_working_day, days=1, where=user_departures.listed
    )


@check("RBAC-81", severity="critical")
def leavers_in_groups(member_departures: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """No member of a bound group has left.

    The group's rights are the leaver's while the identity provider names the group in tokens.

    Fix: remove the person from the group, and close the account.
    """
    listed = member_departures.listed
    return listed & later(origin, member_departures.last_working_day, days=1, where=listed)


@check("RBAC-89", severity="high")
def late_offboarding(leavers: pd.DataFrame, origin: pd.DataFrame, *, days: int = 1) -> pd.Series:
    """Offboarding is completed in time after the last working day.

    Of an offboarding that is not completed the time counts to the snapshot. `days` is the time allowed.

    Fix: complete it; find out what the person could still use, and whether it was used.
    """
    due = leavers.last_working_day + pd.Timedelta(days=days)
    done = leavers.offboarding_completed_on
    late: pd.Series = (done.dt.normalize() > due).astype("boolean")
    return late.mask(done.isna(), later(origin, due, days=1, where=done.isna()))


@check("RBAC-90", severity="high")
def contradicting_lists(account_departures: pd.DataFrame, origin: pd.DataFrame) -> pd.Series:
    """Accounts of people who have left are closed at the identity provider.

    Two lists contradict each other: human resources' has the person as gone, the provider's account is active. Either
    the account was forgotten, or one list is wrong.

    Fix: close the account, or correct the list.
    """
    listed = account_departures.listed
    left = listed & later(origin, account_departures.last_working_day, days=1, where=listed)
    return left & (account_departures.status == "active").astype("boolean")


@check("RBAC-91", severity="high")
def logins_after_leaving(account_departures: pd.DataFrame) -> pd.Series:
    """Nobody signed in after the last working day.

    The account was used when its owner was no longer there, by the owner or by somebody else. A leaver without a
    last login in the export is undetermined.

    Fix: find out from the provider's log who signed in, from where and to what.
    """
    last, day = account_departures.last_login, account_departures.last_working_day
    after = (last >= day + pd.Timedelta(days=1)).astype("boolean").mask(last.isna())
    return account_departures.listed & after
