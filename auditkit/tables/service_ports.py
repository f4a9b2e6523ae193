"""Ports of Services."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.network import Service


@table("service_ports", kinds=(Service,), key=("namespace", "name", "protocol", "port"))
class ServicePortRow:
    """One row per port of every Service."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name of the Service."]
    protocol: Annotated[str, "TCP, UDP or SCTP."]
    port: Annotated[int | None, "Port of the Service."]
    port_name: Annotated[str | None, "Name of the port."]
    target: Annotated[str | None, "Number or name of the pods' port; where none is set the port itself."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for service in objects[Service]:
            for one in (service.spec.ports if service.spec else None) or ():
                target = one.port if one.target_port is None else one.target_port
                text = None if target is None else str(target)
                yield service.namespace, service.kind, service.name, one.protocol or "TCP", one.port, one.name, text
