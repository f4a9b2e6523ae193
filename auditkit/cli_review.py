"""The verbs of what people write: access reviews, and the cells of a control matrix."""

from pathlib import Path

import click

from auditkit.errors import VerificationError
from auditkit.options import config_option, fail_on_option, key_option
from auditkit.terminal import say

_out = click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder.")
_store = click.option("--store", "place", type=click.Path(path_type=Path), help="The store of the cluster's captures.")
_cluster = click.option("--cluster", default="", metavar="NAME", help="The cluster in the store, where it has several.")


@click.group()
def review() -> None:
    """Review access: a workbook to fill, and what its decisions came to."""


@review.command()
@_store
@_cluster
@click.option("--from", "path", type=click.Path(path_type=Path), help="Instead: one snapshot, dump or pack.")
@config_option
@click.option("--quarter", required=True, metavar="QUARTER", help="E.g. 2026Q3.")
@click.option(
    "--previous", type=click.Path(path_type=Path), help="The review before: filled workbook or closed folder."
)
@_out
@key_option
def prepare(
    place: Path | None,
    cluster: str,
    path: Path | None,
    config: Path | None,
    quarter: str,
    previous: Path | None,
    out: Path,
    key: Path | None,
) -> int:
    """Write the workbook of a quarter's access review.

    It lies in a sealed folder.
    With --store the listing is the quarter's last capture, and those before it tell since when each access is there.
    """
    from auditkit import api

    done = api.prepare_review(
        out, quarter, place=place, cluster=cluster, path=path, config=config, previous=previous, key=key
    )
    say(
        f"access review {quarter} of {done.cluster}, listing of {done.taken_at:%Y-%m-%d %H:%M} UTC\nto fill: {out / done.workbook}"
    )
    return 0 if done.whole else 3


@review.command()
@click.argument("filled", type=click.Path(path_type=Path))
@click.option("--prepared", required=True, type=click.Path(path_type=Path), help="The folder that `prepare` wrote.")
@_store
@_cluster
@click.option("--from", "path", type=click.Path(path_type=Path), help="Instead: one snapshot later than the listing.")
@config_option
@_out
@key_option
@fail_on_option
def close(
    filled: Path,
    prepared: Path,
    place: Path | None,
    cluster: str,
    path: Path | None,
    config: Path | None,
    out: Path,
    key: Path | None,
    fail_on: str | None,
) -> int:
    """Judge a FILLED workbook.

    Who decided, when and why, and whether later captures show what was decided.
    The terms are those that the review was prepared with. Ends with 3 where something cannot be told.
    """
    from auditkit import api

    done = api.close_review(
        filled,
        prepared,
        out,
        place=place,
        cluster=cluster,
        path=path,
        config=config,
        key=key,
        fail_on_exceptions=fail_on == "exceptions",
    )
    say(done.summary)
    return done.exit_code


@click.group()
def matrix() -> None:
    """Carry what people wrote into a control matrix over to the next."""


@matrix.command()
@click.argument("edited", type=click.Path(path_type=Path))
@click.option(
    "--original", required=True, type=click.Path(path_type=Path), help="The pack (or workbook) that it was edited from."
)
@click.option("--into", required=True, type=click.Path(path_type=Path), help="The newer pack (or workbook).")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new file: the newer workbook, filled.")
def merge(edited: Path, original: Path, into: Path, out: Path) -> int:
    """Carry what people wrote into EDITED over to the newer control matrix.

    Nothing that people wrote is overwritten. What found no place, and computed cells that were edited by hand, stand in the
    sheet `Merge report`. Ends with 5 where computed cells were edited.
    """
    from auditkit.review import merge as merging

    done = merging.merge(edited, original, into, out)
    say(f"{done}\nworkbook: {out}")
    return VerificationError.exit_code if done.count(merging.TAMPERED) else 0
