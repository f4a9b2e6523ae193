"""What is configured beside workloads: ConfigMaps, ServiceAccounts, custom resources."""

from collections.abc import Iterator
from typing import Annotated, Any

from auditkit.analysis.access import MASTERS
from auditkit.capture.snapshot import Objects
from auditkit.declare import table
from auditkit.kinds.platform import ConfigMap, CustomResourceDefinition, ServiceAccount

# Annotations that tie a ServiceAccount to an identity of the cloud provider.
CLOUD_IDENTITY = ("eks.amazonaws.com/role-arn", "iam.gke.io/gcp-service-account", "azure.workload.identity/client-id")

# The ConfigMap from which EKS reads who identities of AWS are in the cluster.
AWS_AUTH = ("kube-system", "aws-auth")


class _Place:
    namespace: Annotated[str, "Namespace of the object; empty where it lies in none."]
    kind: Annotated[str, "Kind of the object."]
    name: Annotated[str, "Name of the object."]


@table("config_maps", kinds=(ConfigMap,), key=("namespace", "name"))
class ConfigMapRow(_Place):
    """One row per ConfigMap; values were judged at capture and are not kept."""

    keys: Annotated[int, "Number of its keys."]
    credential_keys: Annotated[list[str], "Keys whose value looks like a credential (judged at capture)."]
    credentials: Annotated[bool, "There is such a key."]
    unreadable: Annotated[list[str], "Keys that should have held a known configuration and could not be read."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[ConfigMap]:
            keys = list(found.credential_keys or ())
            place = (found.namespace, "ConfigMap", found.name)
            yield (*place, found.keys, keys, bool(keys), list(found.unreadable or ()))


@table("aws_identities", kinds=(ConfigMap,), key=("namespace", "name", "number"))
class AwsIdentity(_Place):
    """One row per identity of AWS that ConfigMap kube-system/aws-auth lets in; one without values a key that could not be read."""

    number: Annotated[int, "Position in the ConfigMap, from 0; keys that could not be read come last."]
    arn: Annotated[str | None, "IAM role or user."]
    user: Annotated[str | None, "User that it is in the cluster."]
    groups: Annotated[list[str] | None, "Groups that it is in."]
    masters: Annotated[bool | None, "system:masters is among them."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[ConfigMap]:
            if (found.namespace, found.name) == AWS_AUTH:
                place = (found.namespace, "ConfigMap", found.name)
                known = [
                    (m.arn, m.username, groups := list(m.groups or ()), MASTERS in groups) for m in found.aws_auth or ()
                ]
                for number, values in enumerate([*known, *[(None,) * 4 for _ in found.unreadable or ()]]):
                    yield (*place, number, *values)


@table("service_accounts", kinds=(ServiceAccount,), key=("namespace", "name"))
class ServiceAccountRow(_Place):
    """One row per ServiceAccount."""

    automount: Annotated[bool | None, "automountServiceAccountToken; missing is true, unless the pod says otherwise."]
    secrets: Annotated[list[str], "Secrets that it lists."]
    pull_secrets: Annotated[list[str], "Secrets that its pods pull images with."]
    cloud_identity: Annotated[str | None, "Identity of the cloud provider that its pods act as."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[ServiceAccount]:
            lists = (found.secrets or (), found.image_pull_secrets or ())
            names = ([ref.name for ref in refs] for refs in lists)
            identity = next((found.annotations[name] for name in CLOUD_IDENTITY if name in found.annotations), None)
            place = (found.namespace, "ServiceAccount", found.name)
            yield (*place, found.automount_service_account_token, *names, identity)


@table("custom_resources", kinds=(CustomResourceDefinition,), key=("name",))
class CustomResourceRow(_Place):
    """One row per CustomResourceDefinition: what the cluster serves beyond Kubernetes' own kinds."""

    group: Annotated[str, "API group."]
    resource: Annotated[str, "Plural name."]
    serves: Annotated[str, "Kind that it defines."]
    versions: Annotated[list[str], "Versions that are served."]
    stored: Annotated[
        list[str] | None,
        "Versions in which objects were ever stored and not known to be migrated. Missing where no status is reported.",
    ]
    outdated: Annotated[
        list[str], "Those of them, or else of the one that objects are stored in now, deprecated or served no longer."
    ]
    namespaced: Annotated[bool, "Its objects lie in namespaces."]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for found in objects[CustomResourceDefinition]:
            spec = found.spec
            if spec and spec.names:
                versions = spec.versions or []
                stored = found.status.stored_versions if found.status else None
                now = [v.name for v in versions if v.storage] if stored is None else stored
                current = {v.name for v in versions if v.served and not v.deprecated}
                place = ("", "CustomResourceDefinition", found.name)
                served = [v.name for v in versions if v.served]
                outdated = [name for name in now if name not in current]
                yield (
                    *place, spec.group, spec.names.plural, spec.names.kind,
                    served, stored, outdated, spec.scope == "Namespaced",
                )  # fmt: skip
