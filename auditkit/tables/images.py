"""Container images: where they come from, what is fixed about them, and what runs of them."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.images import ImageReference, parse
from auditkit.capture.snapshot import Objects
from auditkit.declare import table, view
from auditkit.kinds.workloads import Pod
from auditkit.tables.owners import POD_KINDS, owned

_CONTAINER = ["namespace", "kind", "name", "role", "container", "variant"]


@table("running_images", kinds=POD_KINDS, key=("namespace", "kind", "name", "container", "image"))
class RunningImage:
    """One row per container of a top owner and image that its spec names: which images really run for that name."""

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner, e.g. Deployment; Pod where nothing collected owns it."]
    name: Annotated[str, "Name of the top owner."]
    container: Annotated[str, "Name of the container."]
    image: Annotated[str, "Reference of the image as the spec names it."]
    pods: Annotated[int, "Pods that have not ended and name it."]
    digests: Annotated[list[str], "Digests by which the nodes know what runs, sorted, each once."]
    different: Annotated[
        bool | None, "Not the digest of the spec, or two digests for one name; missing where a pod reports none."
    ]

    @staticmethod
    def rows(objects: Objects) -> Iterator[tuple[Any, ...]]:
        for one in owned(objects):
            found: defaultdict[tuple[str, str], list[str | None]] = defaultdict(list)
            for pod in one.pods:
                for container, image, running in _running(pod):
                    found[container, image].append(running)
            for (container, image), digests in found.items():
                known = sorted({digest for digest in digests if digest})
                yield *one.key, container, image, len(digests), known, _different(image, known, None in digests)
