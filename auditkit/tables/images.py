"""Container images: where they come from, what is fixed about them, and what runs of them."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.images import parsed
from auditkit.analysis.owners import POD_KINDS, owned
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.workloads import Pod
from auditkit.tables.containers import PLACE, ContainerPlace


@view("images", key=PLACE)
class Image(ContainerPlace):
    """One row per container, with its image reference parsed as runtimes do."""

    valid: Annotated[bool, "Whether it is an image reference at all."]
    reference: Annotated[str | None, "The reference spelled out, with registry, and tag and digest as given."]
    registry: Annotated[str | None, "Host of the registry; docker.io where none is named."]
    repository: Annotated[str | None, "Path in the registry."]
    tag: Annotated[str | None, "Tag; missing where none is given."]
    digest: Annotated[str | None, "Digest; missing where none is given."]
    mutable: Annotated[bool | None, "No digest, and no tag but latest."]
    pull_policy: Annotated[str | None, "imagePullPolicy."]

    @staticmethod
    def frame(containers: pd.DataFrame) -> pd.DataFrame:
        texts = containers["image"].fillna("")
        known = {text: parsed(text) for text in texts.unique()}
        found = [known[text] for text in texts]
        columns: dict[str, list[Any]] = {
            "valid": [r is not None for r in found],
            "reference": [r.normalized if r else None for r in found],
            "registry": [r.domain if r else None for r in found],
            "repository": [r.path if r else None for r in found],
            "tag": [(r.tag or None) if r else None for r in found],
            "digest": [(r.digest or None) if r else None for r in found],
            "mutable": [r.mutable if r else None for r in found],
        }
        facts = pd.DataFrame(columns, index=containers.index, dtype="object")
        return pd.concat([containers[list(PLACE)], facts], axis=1).assign(pull_policy=containers["image_pull_policy"])


@table("running_images", kinds=POD_KINDS, key=("namespace", "kind", "name", "container", "image"))
class RunningImage:
    """One row per container of a top owner and image that the specs of its pods name: what runs under that name."""

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner, e.g. Deployment; Pod where nothing collected owns it."]
    name: Annotated[str, "Name of the top owner."]
    container: Annotated[str, "Name of the container."]
    image: Annotated[str, "Reference of the image as the spec names it."]
    pods: Annotated[int, "Pods that have not ended and name it."]
    digests: Annotated[list[str], "Digests by which the nodes know what runs, sorted, each once."]
    different: Annotated[
        bool | None,
        "Two digests run under one name, or another than the spec names; missing where a pod reports no digest.",
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in objects.once(owned):
            found: defaultdict[tuple[str, str], list[str | None]] = defaultdict(list)
            for pod in one.pods:
                for container, image, digest in _running(pod):
                    found[container, image].append(digest)
            for (container, image), digests in found.items():
                known = sorted({digest for digest in digests if digest})
                yield *one.key, container, image, len(digests), known, _different(image, known, None in digests)


def _running(pod: Pod) -> Iterator[tuple[str, str, str | None]]:
    """Container, image and digest that the node reports; a bare `sha256:` is an id on the node, not the registry's digest."""
    status, spec = pod.status, pod.spec
    if not spec:
        return
    reported = {
        c.name: c.image_id or ""
        for statuses in (
            (status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses)
            if status
            else ()
        )
        for c in statuses or ()
    }
    for c in chain(spec.init_containers or (), spec.containers or (), spec.ephemeral_containers or ()):
        _, at, digest = reported.get(c.name, "").rpartition("@")
        yield c.name, c.image or "", digest if at else None


def _different(image: str, known: list[str], unseen: bool) -> bool | None:
    reference = parsed(image)
    named = {reference.digest} if reference and reference.digest else set()
    if len(named | set(known)) > 1:
        return True
    return None if unseen or not known else False
