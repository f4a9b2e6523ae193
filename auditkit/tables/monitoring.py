"""What monitors the cluster from inside: metrics that other servers add to the API, and alert rules."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.certificates import APIService
from auditkit.kinds.monitoring import PrometheusRule


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
