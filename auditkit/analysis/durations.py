"""Times as Go, Prometheus and Loki write them."""

import re

# A year is 365 days (github.com/prometheus/common/model ParseDuration); Go has no unit above the hour.
_DAYS = {"y": 365.0, "w": 7.0, "d": 1.0, "h": 1 / 24, "m": 1 / 1440, "s": 1 / 86400, "ms": 1 / 86400000}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|[ywdhms])")


def days(duration: str | None) -> float | None:
    """Days of a time such as 15d, 744h or 1h0m0s, to the thousandth part; "0" is none; None for what is no time."""
    if duration == "0":
        return 0.0
    if not duration or _PART.sub("", duration):
        return None
    return round(sum(float(n) * _DAYS[unit] for n, unit in _PART.findall(duration)), 3)
