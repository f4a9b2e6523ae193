"""Logging and detection: whether what happens is recorded, and seen, and who changed what runs."""

from collections.abc import Sequence

import pandas as pd

from auditkit.declare import check
from auditkit.tables.agents import ready_nodes
from auditkit.tables.certificates import days_left


@check("LOG-01", severity="high", control_plane=True)
def api_audit(apiservers: pd.DataFrame) -> pd.Series:
    """The API server is given an audit policy, and a file or webhook for its audit log.

    Who read a Secret or changed a binding cannot be told afterwards without one. It takes both a policy and a
    file or webhook: without a policy nothing is recorded. What the policy records, a snapshot cannot see.

    Fix: set `--audit-policy-file`, and `--audit-log-path` or `--audit-webhook-config-file`.
    """
    unsent = (apiservers.audit_log_path == "") & ~apiservers.audit_webhook_config_file
    return unsent | ~apiservers.audit_policy_file


@check("LOG-04", severity="medium")
def log_collection(node_logging: pd.DataFrame, node_daemons: pd.DataFrame, *, agents: Sequence[str] = ()) -> pd.Series:
    """An agent that collects logs is ready on every node.

    Logs that stay on a node go with it, or with whoever took it over. An agent is known by its image
    (data/agents.toml, and patterns of your own in the setting `agents`); tolerations and nodeSelector often leave out
    the control plane and Windows.

    Fix: let the DaemonSet tolerate the node's taints and run on its system, or add one for it.
    """
    own = node_logging.name.isin(ready_nodes(node_daemons, agents))
    return ~node_logging.covered & ~own


@check("LOG-05", severity="low")
def monitoring(monitors: pd.DataFrame) -> pd.Series:
    """Metrics servers answer, and rule files hold alerts.

    An API that is not available leaves autoscalers and dashboards blind, and discovery of the cluster incomplete.
    A PrometheusRule without an alert tells nobody. Monitoring from outside the cluster is not seen here.

    Fix: repair or delete the APIService; add alerts to the PrometheusRule, or merge it into another.
    """
    return ~monitors.working


@check("LOG-06", severity="medium")
def runtime_detection(
    node_detection: pd.DataFrame, node_daemons: pd.DataFrame, *, agents: Sequence[str] = ()
) -> pd.Series:
    """An agent that detects threats at run time is ready on every node.

    What an attacker does inside a container leaves no trace in the API. An agent is known by its image
    (data/agents.toml, and patterns of your own in the setting `agents`).

    Fix: let the DaemonSet tolerate the node's taints and run on its system, or add one for it.
    """
    own = node_detection.name.isin(ready_nodes(node_daemons, agents))
    return ~node_detection.covered & ~own


@check("LOG-07", severity="medium")
def scanned_lately(vulnerability_reports: pd.DataFrame, origin: pd.DataFrame, *, days: int = 7) -> pd.Series:
    """Vulnerability reports were written within the last `days` days.

    Vulnerabilities are published every day: an old report says nothing about them. Read are the reports of
    trivy-operator and Kubescape; a scanner outside the cluster is not seen here.

    Fix: see why the scanner stopped, or delete the report of a workload that is gone.
    """
    return -days_left(vulnerability_reports.scanned_at, origin) > days


@check("LOG-08", severity="medium")
def git_decides(applications: pd.DataFrame) -> pd.Series:
    """An Argo CD Application deploys by itself, sets back other changes, and is in sync.

    Otherwise the cluster may be something else than what was reviewed in Git, and stay so.

    Fix: set `syncPolicy.automated` with `selfHeal: true`; resolve the difference that Argo CD shows.
    """
    apart = (applications.sync != "Synced").astype("boolean")
    return ~applications.automated | ~applications.self_heal | apart


@check("LOG-60", severity="medium")
def every_image_scanned(scanned_images: pd.DataFrame) -> pd.Series:
    """A vulnerability report is about every image that workloads name.

    What the scanner leaves out nobody mends. The report must name the image's digest or, where the workload names
    none, its tag. In a cluster without reports there is nothing to test.

    Fix: take the namespace or workload out of the scanner's exclusions; give it the right to pull the image.
    """
    return ~scanned_images.reported


@check("LOG-61", severity="medium")
def changed_by_hand(workload_writers: pd.DataFrame) -> pd.Series:
    """No person has written to a workload around the deployment process.

    Such a change was reviewed by nobody, and no ticket says why. A name is what the client calls itself; where no
    GitOps controller deploys, `kubectl apply` may be a pipeline: undetermined.

    Fix: bring the change into Git, or set it back; agree it to a ticket.
    """
    return workload_writers.manual


@check("LOG-62", severity="low")
def alerts_for_every_topic(alert_topics: pd.DataFrame) -> pd.Series:
    """For each topic that an auditor asks about there is an alert.

    A failure that alerts nobody is found by users. An alert belongs to a topic by its name (data/alerts.toml). Tested
    where the cluster has PrometheusRules; alerts that are kept elsewhere are not seen.

    Fix: add an alert for the topic; or name where it is raised instead, and accept in writing.
    """
    return ~alert_topics.covered


@check("LOG-64", severity="medium")
def retention(retention_settings: pd.DataFrame, *, days: int = 0) -> pd.Series:
    """Logs and metrics are kept for as long as management says.

    What is deleted before an incident is found cannot be investigated. The setting `days` is the least number of
    days: until it is supplied rows are undetermined, and so is what is kept by size or switched on and off, and 0, which
    some programs read as for ever.

    Fix: raise the retention, or send a copy to a store that keeps it.
    """
    kept = retention_settings.days
    return (kept < days).astype("boolean").mask(kept.isna() | (kept == 0) | (days == 0))


@check("LOG-66", severity="medium")
def systems_ready(monitoring_systems: pd.DataFrame) -> pd.Series:
    """What logs, measures, detects and alerts is running: every pod that it asks for is there and ready.

    Such a system fails in silence: nobody is told by what should have told. It is known by its image
    (data/agents.toml); one scaled to none is an exception.

    Fix: look into the pods that are not ready; scale it up, or remove it.
    """
    rows = monitoring_systems
    working = rows.ready + rows.unreported
    broken = (working < rows.pods) | (working < rows.wanted).fillna(False) | (rows.pods == 0)
    return broken.astype("boolean").mask(~broken & (rows.unreported > 0))


@check("LOG-63", severity="low")
def git_behind_workloads(managed_workloads: pd.DataFrame) -> pd.Series:
    """Argo CD or Flux deploys every workload.

    What stands in no repository was reviewed by nobody, and is not set back when somebody changes it. Tested where
    the cluster has GitOps; what an operator made for its own resource is undetermined.

    Fix: bring the workload into Git; or name how else it is changed, and accept in writing.
    """
    return ~managed_workloads.managed


@check("LOG-65", severity="medium")
def flux_applies(flux_releases: pd.DataFrame) -> pd.Series:
    """What Flux is to apply is applied: it is ready and not suspended.

    Suspended or failing, the cluster may be something else than what was reviewed in Git, and stay so.

    Fix: resume it (`flux resume`), or resolve the reason of its condition Ready.
    """
    return flux_releases.suspended | ~flux_releases.ready
