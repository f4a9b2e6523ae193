"""What monitors the cluster from inside: metrics that other servers add to the API, and alert rules."""

from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Annotated, Any

import msgspec

from auditkit.analysis.durations import days
from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.base import Struct
from auditkit.kinds.certificates import APIService
from auditkit.kinds.monitoring import Alertmanager, Prometheus, PrometheusRule, ThanosRuler
from auditkit.kinds.platform import ConfigMap
from auditkit.resources import data

# What the Prometheus operator sets where neither time nor size is said (its API reference, monitoring.coreos.com/v1).
UNSET = {"Prometheus": "24h", "ThanosRuler": "24h", "Alertmanager": "120h"}


class Topic(Struct):
    """One entry of data/alerts.toml."""

    title: str
    criteria: list[str]
    alerts: list[str]


@cache
def topics() -> dict[str, Topic]:
    """What alerts are about, by data/alerts.toml."""
    return msgspec.convert(data("alerts.toml"), dict[str, Topic])


def topics_of(alert: str) -> list[str]:
    """The topics of data/alerts.toml that an alert belongs to by its name."""
    name = alert.lower()
    return [key for key, topic in topics().items() if any(fnmatchcase(name, p.lower()) for p in topic.alerts)]


@table("monitors", kinds=(APIService, PrometheusRule), key=("kind", "namespace", "name"))
class MonitorRow:
    """One row per API that a server in the cluster adds (APIService with a service), and per PrometheusRule."""

    namespace: Annotated[str, "Namespace of a PrometheusRule; empty for an APIService."]
    kind: Annotated[str, "APIService or PrometheusRule."]
    name: Annotated[str, "Name of the object."]
    working: Annotated[
        bool | None,
        "The APIService is Available; the PrometheusRule holds an alert. Missing where no status is reported.",
    ]
    detail: Annotated[str, "Reason of the condition Available; names of the alerts."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for service in objects[APIService]:
            if service.spec and service.spec.service:
                conditions = (service.status.conditions if service.status else None) or ()
                available = next((c for c in conditions if c.type == "Available"), None)
                working = available.status == "True" if available else None
                yield ("", "APIService", service.name, working, (available.reason if available else None) or "")
        for rule in objects[PrometheusRule]:
            groups = (rule.spec.groups if rule.spec else None) or ()
            alerts = [r.alert for group in groups for r in group.rules or () if r.alert]
            yield (rule.namespace, "PrometheusRule", rule.name, bool(alerts), ", ".join(alerts))


def _alerts(objects: Objects) -> Iterator[tuple[PrometheusRule, str, int, str, str | None]]:
    """Every alert with its rule file, group, place among the group's rules, name and severity."""
    for rule in objects[PrometheusRule]:
        for group in (rule.spec.groups if rule.spec else None) or ():
            for position, one in enumerate(group.rules or ()):
                if one.alert:
                    yield rule, group.name, position, one.alert, one.labels.severity if one.labels else None


@table("alert_rules", kinds=(PrometheusRule,), key=("namespace", "name", "group", "position"))
class AlertRow:
    """One row per alert of a PrometheusRule, with the topics and criteria that it speaks to (data/alerts.toml)."""

    namespace: Annotated[str, "Namespace of the PrometheusRule."]
    kind: Annotated[str, "PrometheusRule."]
    name: Annotated[str, "Name of the PrometheusRule."]
    group: Annotated[str, "Group of rules."]
    position: Annotated[int, "Place in the group, from 0."]
    alert: Annotated[str, "Name of the alert."]
    severity: Annotated[str | None, "Label severity, by which alerts are mostly routed."]
    topics: Annotated[list[str], "Topics it belongs to by its name; `unmapped` where none."]
    criteria: Annotated[list[str], "Criteria of those topics."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for rule, group, position, alert, severity in _alerts(objects):
            found = topics_of(alert)
            criteria = sorted({criterion for key in found for criterion in topics()[key].criteria})
            place = (rule.namespace, "PrometheusRule", rule.name, group, position, alert, severity)
            yield (*place, found or ["unmapped"], criteria)


@table("alert_topics", kinds=(PrometheusRule,), key=("name",))
class AlertTopic:
    """One row per topic of data/alerts.toml in a cluster with PrometheusRules, and the alerts that belong to it."""

    namespace: Annotated[str, "Empty: a topic lies in no namespace."]
    kind: Annotated[str, "Topic."]
    name: Annotated[str, "Key of the topic."]
    title: Annotated[str, "What somebody should be told."]
    criteria: Annotated[list[str], "Criteria that it speaks to."]
    alerts: Annotated[list[str], "Names of its alerts."]
    covered: Annotated[bool, "There is one."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        names = sorted({alert for _, _, _, alert, _ in _alerts(objects)})
        for key, topic in topics().items() if objects[PrometheusRule] else ():
            found = [name for name in names if key in topics_of(name)]
            yield ("", "Topic", key, topic.title, topic.criteria, found, bool(found))


@table(
    "retention_settings",
    kinds=(Prometheus, Alertmanager, ThanosRuler, ConfigMap, *POD_KINDS),
    key=("namespace", "kind", "name", "setting"),
)
class RetentionRow:
    """One row per setting of how long, or how much, is kept: of the Prometheus operator, flags, and ConfigMaps.

    Flags and ConfigMaps are judged at capture: kept is what has `retention` in its name.
    """

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Prometheus, Alertmanager, ThanosRuler, ConfigMap, or kind of the workload."]
    name: Annotated[str, "Name of the object."]
    setting: Annotated[
        str,
        "Field, or `retention (unset)` for the operator's default; flag as CONTAINER: FLAG; KEY: SETTING of a ConfigMap.",
    ]
    value: Annotated[str, "As it is written."]
    days: Annotated[float | None, "Days, where it is a time; missing for a size, a number and a switch."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        found: dict[tuple[str, str, str, str], str] = {}
        servers: tuple[Prometheus | Alertmanager | ThanosRuler, ...] = (
            *objects[Prometheus],
            *objects[Alertmanager],
            *objects[ThanosRuler],
        )
        for one in servers:
            said = {"retention": one.spec.retention, "retentionSize": one.spec.retention_size} if one.spec else {}
            given = {k: v for k, v in said.items() if v} or {"retention (unset)": UNSET[one.kind]}
            found |= {(one.namespace, one.kind, one.name, k): v for k, v in given.items()}
        for config in objects[ConfigMap]:
            place = (config.namespace, config.kind, config.name)
            found |= {(*place, setting): value for setting, value in (config.retention or {}).items()}
        for workload in objects.once(owned):
            for container in [c for spec in workload.specs for c in spec.containers or ()]:
                flags = (container.retention or {}).items()
                found |= {(*workload.key, f"{container.name}: {flag}"): value for flag, value in flags}
        yield from ((*place, value, days(value)) for place, value in sorted(found.items()))
