"""Logging and detection: whether what happens is recorded, and seen, and who changed what runs."""

import pandas as pd

from auditkit.declare import check
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
def log_collection(node_logging: pd.DataFrame) -> pd.Series:
    """An agent that collects logs runs on every node.

    Logs that stay on a node go with it, or with whoever took it over. An agent is known by its image
    (data/agents.toml); tolerations and nodeSelector often leave out the control plane and Windows.

    Fix: let the DaemonSet tolerate the node's taints and run on its system, or add one for it.
    """
    return ~node_logging.covered


@check("LOG-05", severity="low")
def monitoring(monitors: pd.DataFrame) -> pd.Series:
    """Metrics servers answer, and rule files hold alerts.

    An API that is not available leaves autoscalers and dashboards blind, and discovery of the cluster incomplete.
    A PrometheusRule without an alert tells nobody. Monitoring from outside the cluster is not seen here.

    Fix: repair or delete the APIService; add alerts to the PrometheusRule, or merge it into another.
    """
    return ~monitors.working


@check("LOG-06", severity="medium")
def runtime_detection(node_detection: pd.DataFrame) -> pd.Series:
    """An agent that detects threats at run time runs on every node.

    What an attacker does inside a container leaves no trace in the API. An agent is known by its image
    (data/agents.toml).

    Fix: let the DaemonSet tolerate the node's taints and run on its system, or add one for it.
    """
    return ~node_detection.covered


@check("LOG-07", severity="medium")
def scanned_lately(vulnerability_reports: pd.DataFrame, origin: pd.DataFrame, *, days: int = 7) -> pd.Series:
    """Images were scanned for vulnerabilities within the last `days` days.

    Vulnerabilities are published every day: an old report says nothing about them. Read are the reports of
    trivy-operator; a scanner outside the cluster is not seen here.

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
