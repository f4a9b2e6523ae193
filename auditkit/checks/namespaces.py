"""Namespaces and workloads: limits of what they may use, and who answers for them."""

import pandas as pd

from auditkit.declare import check


@check("ADM-09", severity="low")
def limit_ranges(namespace_limits: pd.DataFrame) -> pd.Series:
    """Every namespace limits the memory of its containers by default.

    A container without a limit can take the memory of its node and end what runs beside it.

    Fix: create a LimitRange with a `default` or `max` of memory for type Container.
    """
    return ~namespace_limits.limits_containers


@check("ADM-10", severity="low")
def resource_quotas(namespace_limits: pd.DataFrame) -> pd.Series:
    """Every namespace has a quota of CPU and memory.

    Without one a team's mistake takes the capacity of all others. A quota with scopes holds for some pods only.

    Fix: create a ResourceQuota with `requests` or `limits` of cpu and memory.
    """
    return ~(namespace_limits.quota_cpu & namespace_limits.quota_memory)


@check("POD-49", severity="low")
def required_labels(workload_labels: pd.DataFrame) -> pd.Series:
    """Workloads say who owns them and what they are part of.

    An alert or an exception without an owner reaches nobody, and changes cannot be traced to a team.

    Fix: add the labels `owner` and `app.kubernetes.io/name`.
    """
    return workload_labels.owner.isna() | workload_labels.application.isna()


@check("POD-69", severity="low")
def owned_namespaces(tenant_namespaces: pd.DataFrame) -> pd.Series:
    """Namespaces say who owns them.

    The owner approves access to the namespace and reviews it; without one nobody can.

    Fix: add the label `owner`.
    """
    return tenant_namespaces.owner.isna()
