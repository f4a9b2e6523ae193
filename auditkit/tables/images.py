"""Container images: where they come from, and what is fixed about them."""

from typing import Annotated, Any

import pandas as pd

from auditkit.analysis.images import ImageReference, parse
from auditkit.declare import view

KEY = ("namespace", "kind", "name", "role", "container", "variant")


@view("images", key=KEY)
class Image:
    """One row per container, with its image reference parsed as runtimes do."""

    namespace: Annotated[str, "Namespace of the owner."]
    kind: Annotated[str, "Kind of the top owner."]
    name: Annotated[str, "Name of the top owner."]
    role: Annotated[str, "main, init, sidecar or ephemeral."]
    container: Annotated[str, "Name of the container."]
    variant: Annotated[int, "0, or a number where pods of one owner differ."]
    valid: Annotated[bool, "Whether it is an image reference at all."]
    registry: Annotated[str | None, "Host of the registry; docker.io where none is named."]
    repository: Annotated[str | None, "Path in the registry."]
    tag: Annotated[str | None, "Tag; missing where none is given."]
    digest: Annotated[str | None, "Digest; missing where none is given."]
    mutable: Annotated[bool | None, "No digest, and no tag but latest."]
    pull_policy: Annotated[str | None, "imagePullPolicy."]

    @staticmethod
    def frame(containers: pd.DataFrame) -> pd.DataFrame:
        texts = containers["image"].fillna("")
        parsed = {text: _parsed(text) for text in texts.unique()}
        found = [parsed[text] for text in texts]
        columns: dict[str, list[Any]] = {
            "valid": [r is not None for r in found],
            "registry": [r.domain if r else None for r in found],
            "repository": [r.path if r else None for r in found],
            "tag": [(r.tag or None) if r else None for r in found],
            "digest": [(r.digest or None) if r else None for r in found],
            "mutable": [r.mutable if r else None for r in found],
        }
        facts = pd.DataFrame(columns, index=containers.index, dtype="object")
        return pd.concat([containers[list(KEY)], facts], axis=1).assign(pull_policy=containers["image_pull_policy"])


def _parsed(text: str) -> ImageReference | None:
    try:
        return parse(text)
    except ValueError:
        return None
