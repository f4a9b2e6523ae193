"""Whether workloads go on when a pod, a node or a zone does not."""

import pandas as pd

from auditkit.declare import check


@check("AVL-01", severity="low")
def cpu_limit(resourced_containers: pd.DataFrame) -> pd.Series:
    """Containers have a CPU limit.

    One that spins takes the time that its neighbours did not reserve.

    Fix: set `resources.limits.cpu`, or accept in writing where requests are enough.
    """
    return resourced_containers.cpu_limit.isna()


@check("AVL-02", severity="medium")
def memory_limit(resourced_containers: pd.DataFrame) -> pd.Series:
    """Containers have a memory limit.

    One that grows without limit takes its neighbours on the node down with it.

    Fix: set `resources.limits.memory`.
    """
    return resourced_containers.memory_limit.isna()


@check("AVL-03", severity="low")
def cpu_request(resourced_containers: pd.DataFrame) -> pd.Series:
    """Containers request CPU.

    The scheduler places by requests: what asks for nothing is put on a node that has nothing left.

    Fix: set `resources.requests.cpu`.
    """
    return resourced_containers.cpu_request.isna()


@check("AVL-04", severity="low")
def memory_request(resourced_containers: pd.DataFrame) -> pd.Series:
    """Containers request memory.

    What requests none is evicted first when its node runs short.

    Fix: set `resources.requests.memory`.
    """
    return resourced_containers.memory_request.isna()


@check("AVL-05", severity="low")
def liveness(long_running_containers: pd.DataFrame) -> pd.Series:
    """Containers that keep running have a liveness probe.

    A process that hangs is not restarted.

    Fix: set `livenessProbe`.
    """
    return ~long_running_containers.liveness_probe


@check("AVL-06", severity="low")
def readiness(long_running_containers: pd.DataFrame) -> pd.Series:
    """Containers that keep running have a readiness probe.

    Requests are sent to a container that cannot answer them yet, or no more.

    Fix: set `readinessProbe`.
    """
    return ~long_running_containers.readiness_probe


@check("AVL-07", severity="low")
def replicas(scalable_workloads: pd.DataFrame, *, least: int = 2) -> pd.Series:
    """Workloads ask for more than one pod.

    A single pod is down while it moves, restarts or is replaced. Those scaled to none are not tested.

    Fix: set `replicas` to 2 or more.
    """
    return scalable_workloads.replicas < least


@check("AVL-08", severity="low")
def disruption_budgets(replicated_workloads: pd.DataFrame, budget_matches: pd.DataFrame) -> pd.Series:
    """A PodDisruptionBudget that holds a pod back covers each workload of several pods.

    Without one a drain may evict all of its pods at once; so it may under a budget that lets all go, as with
    `minAvailable: 0` or `maxUnavailable: 100%`.

    Fix: make a PodDisruptionBudget whose selector selects the pods.
    """
    key = ["namespace", "kind", "name"]
    certain = budget_matches[~budget_matches.lets_all_go].groupby(key, as_index=False)["certain"].max()
    covered = (
        replicated_workloads[key].merge(certain, on=key, how="left")["certain"].set_axis(replicated_workloads.index)
    )
    return (~covered).fillna(True).mask(covered.eq(False).fillna(False))


@check("AVL-60", severity="low")
def blocking_budgets(disruption_budgets: pd.DataFrame, budget_matches: pd.DataFrame) -> pd.Series:
    """PodDisruptionBudgets let a pod be evicted while all are healthy.

    One that allows nothing stops every drain: nodes are not patched, or by force. So do two that select the same pods:
    the API server evicts no pod of several budgets (k8s.io/kubernetes pkg/registry/core/pod/storage/eviction.go).

    Fix: set `maxUnavailable: 1`, or run more pods than `minAvailable`; leave one budget of several.
    """
    workload = ["namespace", "kind", "name"]
    sure = budget_matches[budget_matches.certain]
    several, perhaps = (found[found.duplicated(workload, keep=False)] for found in (sure, budget_matches))
    named = disruption_budgets.namespace + "/" + disruption_budgets.name
    shared = named.isin(several.namespace + "/" + several.budget).astype("boolean")
    maybe = named.isin(perhaps.namespace + "/" + perhaps.budget)
    return disruption_budgets.blocks | shared.mask(~shared & maybe)


@check("AVL-09", severity="low")
def autoscaler_targets(autoscalers: pd.DataFrame, scale_targets: pd.DataFrame) -> pd.Series:
    """What an autoscaler scales exists.

    One without a target does nothing when load comes. Targets of other kinds than Kubernetes' own are undetermined.

    Fix: correct `scaleTargetRef`, or delete the autoscaler.
    """
    missing = ~autoscalers.target.isin(scale_targets.target)
    return missing.astype("boolean").mask(~autoscalers.target_known)


@check("AVL-10", severity="low")
def spread(replicated_workloads: pd.DataFrame) -> pd.Series:
    """Workloads of several pods ask to be spread.

    Pods that lie on one node, or in one zone, go down with it.

    Fix: set `topologySpreadConstraints`, or a pod anti-affinity.
    """
    return ~(replicated_workloads.anti_affinity | replicated_workloads.topology_spread)


@check("POD-61", severity="low")
def rolling_update(replicated_workloads: pd.DataFrame) -> pd.Series:
    """Workloads of several pods are updated one pod after the other.

    Recreate stops all pods before the new ones start; OnDelete leaves old versions running,
    and so does a ReplicaSet or ReplicationController that nothing controls.

    Fix: set the strategy RollingUpdate; use a Deployment.
    """
    return (replicated_workloads.strategy != "RollingUpdate").fillna(True)


@check("AVL-72", severity="low")
def room_to_scale(autoscalers: pd.DataFrame) -> pd.Series:
    """An autoscaler does not ask for as many pods as it may, unless its limits leave it no choice.

    At its maximum, more load is not answered by more pods. One whose least and most are the same is somebody's decision.

    Fix: raise `maxReplicas` where nodes have room; look for what drives the load.
    """
    return autoscalers.at_maximum


@check("AVL-73", severity="low")
def autoscaled_request(autoscaled_containers: pd.DataFrame) -> pd.Series:
    """Containers that an autoscaler scales by utilization request what it compares with.

    Utilization is a share of the request: where one container of a pod requests none, the autoscaler does nothing.

    Fix: set `resources.requests` for every container, those of sidecars too, or scale by a value.
    """
    return autoscaled_containers.missing
