"""Whether what runs is what was declared."""

import pandas as pd

from auditkit.declare import check


@check("IMG-01", severity="medium")
def mutable_tag(images: pd.DataFrame) -> pd.Series:
    """Images are named by a digest, or by a tag other than latest.

    `latest`, or no tag at all, gives another image tomorrow without a change that anybody approved.

    Fix: name a version, or better a digest. A reference that no runtime accepts is undetermined.
    """
    return images["mutable"]


@check("IMG-02", severity="low")
def pinned(images: pd.DataFrame) -> pd.Series:
    """Images are named by their digest.

    A tag can be moved to another image by whoever may push to the registry.

    Fix: write `image@sha256:...`, as most build and deployment tools can.
    """
    return images["digest"].isna().astype("boolean").mask(~images["valid"])


@check("IMG-10", severity="medium")
def runs_what_is_named(running_images: pd.DataFrame) -> pd.Series:
    """Pods of one workload run one image under one name, and the digest that the spec names.

    A tag that was moved lets old and new pods of a workload run different software without a change to it. An index
    of several architectures has one digest on every node; a digest that the nodes do not report is undetermined.

    Fix: name the image by its digest and roll the workload out again.
    """
    return running_images.different
