"""What the Prometheus operator reads: alert rules, and how long metrics and alerts are kept."""

from auditkit.kinds.base import Kind, Struct


class AlertLabels(Struct):
    severity: str | None = None


class AlertRule(Struct):
    """A rule of Prometheus by its name; the expression is not kept."""

    alert: str | None = None
    labels: AlertLabels | None = None


class RuleGroup(Struct):
    name: str = ""
    rules: list[AlertRule] | None = None


class PrometheusRuleSpec(Struct):
    groups: list[RuleGroup] | None = None


class PrometheusRule(Kind):
    group, plural, kind = "monitoring.coreos.com", "prometheusrules", "PrometheusRule"
    spec: PrometheusRuleSpec | None = None


class RetentionSpec(Struct):
    """spec of a server: how long it keeps, and how much."""

    retention: str | None = None
    retention_size: str | None = None


class Prometheus(Kind):
    group, plural, kind = "monitoring.coreos.com", "prometheuses", "Prometheus"
    spec: RetentionSpec | None = None


class Alertmanager(Kind):
    group, plural, kind = "monitoring.coreos.com", "alertmanagers", "Alertmanager"
    spec: RetentionSpec | None = None


class ThanosRuler(Kind):
    group, plural, kind = "monitoring.coreos.com", "thanosrulers", "ThanosRuler"
    spec: RetentionSpec | None = None
