"""Inventories of data: what Secrets, ConfigMaps and claims workloads are given, and which types of Secrets there are."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.pods import PodSpec

_SECRET, _MAP, _CLAIM = "Secret", "ConfigMap", "PersistentVolumeClaim"


@table("given_data", kinds=POD_KINDS, key=("namespace", "kind", "name", "data_kind", "data", "way"))
class GivenData:
    """One row per top owner, and Secret, ConfigMap or claim that its containers are given; as in its pods, else its template.

    Credentials for pulling images are not given to containers; of a volume by a driver what it opens is not known.
    """

    namespace: Annotated[str, "Namespace of both."]
    kind: Annotated[str, "Kind of the top owner."]
    name: Annotated[str, "Name of the top owner."]
    data_kind: Annotated[str, "Secret, ConfigMap or PersistentVolumeClaim."]
    data: Annotated[str, "Name of the object that is given."]
    way: Annotated[str, "volume, or variable."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            given = {found for spec in one.specs for found in (*_by_volumes(spec), *_by_variables(spec))}
            yield from (one.key + found for found in sorted(given))


def _by_volumes(spec: PodSpec) -> Iterator[tuple[str, str, str]]:
    for volume in spec.volumes or ():
        if volume.secret:
            yield _SECRET, volume.secret.secret_name, "volume"
        if volume.config_map:
            yield _MAP, volume.config_map.name, "volume"
        if volume.persistent_volume_claim:
            yield _CLAIM, volume.persistent_volume_claim.claim_name, "volume"
        for source in (volume.projected.sources if volume.projected else None) or ():
            yield from [(_SECRET, source.secret.name, "volume")] if source.secret else []
            yield from [(_MAP, source.config_map.name, "volume")] if source.config_map else []


def _by_variables(spec: PodSpec) -> Iterator[tuple[str, str, str]]:
    for container in (*(spec.init_containers or ()), *(spec.containers or ()), *(spec.ephemeral_containers or ())):
        for source in container.env_from or ():
            yield from [(_SECRET, source.secret_ref.name, "variable")] if source.secret_ref else []
            yield from [(_MAP, source.config_map_ref.name, "variable")] if source.config_map_ref else []
        for value in (v.value_from for v in container.env or () if v.value_from):
            yield from [(_SECRET, value.secret_key_ref.name, "variable")] if value.secret_key_ref else []
            yield from [(_MAP, value.config_map_key_ref.name, "variable")] if value.config_map_key_ref else []


@view("secret_types", key=("namespace", "type"))
class SecretType:
    """One row per namespace and type of Secret, as kubernetes.io/tls for keys of servers, kubernetes.io/dockerconfigjson
    for credentials of registries.
    """

    namespace: Annotated[str, "Namespace."]
    type: Annotated[str | None, "Type; missing for all that neither Kubernetes nor Helm defines."]
    secrets: Annotated[int, "How many there are."]
    oldest: Annotated[datetime | None, "When the one was written that was not written for longest."]

    @staticmethod
    def frame(secrets: pd.DataFrame) -> pd.DataFrame:
        return (
            secrets.groupby(["namespace", "type"], dropna=False)
            .agg(secrets=("name", "size"), oldest=("written", "min"))
            .reset_index()
        )
