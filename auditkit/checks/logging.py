"""Logging and detection: whether what happens is recorded, and seen."""

import pandas as pd

from auditkit.declare import check


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
