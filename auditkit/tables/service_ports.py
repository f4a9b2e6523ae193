"""Ports of Services, and the ports of pods that they lead to."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from auditkit.analysis.ends import named_ports
from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.network import Service

# The labels of a pod or template, and its named ports: name, protocol, number.
_Served = tuple[Mapping[str, str], list[tuple[str, str, int]]]


@table("service_ports", kinds=(Service,), beside=POD_KINDS, key=("namespace", "name", "protocol", "port"))
class ServicePortRow:
    """One row per port of every Service."""

    namespace: Annotated[str, "Namespace."]
    kind: Annotated[str, "Service."]
    name: Annotated[str, "Name of the Service."]
    protocol: Annotated[str, "TCP, UDP or SCTP."]
    port: Annotated[int | None, "Port of the Service."]
    port_name: Annotated[str | None, "Name of the port."]
    target: Annotated[str | None, "Number or name of the pods' port; where none is set the port itself."]
    numbers: Annotated[list[str], "Numbers of that port; of a name those that the workloads of the Service give it."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        served: defaultdict[str, list[_Served]] = defaultdict(list)
        for owner in objects.once(owned):
            for made in owner.made:
                ports = list(named_ports(made.spec)) if made.spec else []
                served[owner.key[0]].append(((made.metadata and made.metadata.labels) or {}, ports))
        for service in objects[Service]:
            wanted = (service.spec.selector if service.spec else None) or {}
            ports = [
                p
                for labels, own in served[service.namespace]
                if wanted and wanted.items() <= labels.items()
                for p in own
            ]
            for one in (service.spec.ports if service.spec else None) or ():
                target, protocol = one.port if one.target_port is None else one.target_port, one.protocol or "TCP"
                called = {number for name, spoken, number in ports if (name, spoken) == (target, protocol)}
                numbers = sorted(called) if isinstance(target, str) and not target.isdigit() else [target]
                texts = [str(number) for number in numbers if number is not None]
                text = None if target is None else str(target)
                yield service.namespace, service.kind, service.name, protocol, one.port, one.name, text, texts
