"""The verb `period`."""

from pathlib import Path

import click

from auditkit.errors import UsageError
from auditkit.options import CAPTURES, captured, with_options
from auditkit.terminal import say


@click.command()
@with_options(CAPTURES)
@click.option(
    "--cluster",
    "clusters",
    multiple=True,
    metavar="NAME",
    help="A cluster by its name in the store; once for each. Default: all in the scope of the engagement.",
)
@click.option("--config", required=True, type=click.Path(path_type=Path), help="The engagement, with [period].")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the pack.")
@click.option("--notebooks", "names", metavar="NAMES", help="Comma-separated; default: all.")
@click.option("--key", type=click.Path(path_type=Path), help="Ed25519 private key (PEM) to sign the seal with.")
@click.option("--previous", type=click.Path(path_type=Path), help="The pack before this one, to chain to.")
@click.option("--fail-on", type=click.Choice(["exceptions"]), help="End with 4 where there are deviations.")
def period(
    place: Path | None,
    paths: tuple[Path, ...],
    clusters: tuple[str, ...],
    config: Path,
    out: Path,
    names: str | None,
    key: Path | None,
    previous: Path | None,
    fail_on: str | None,
    **reading: bool,
) -> int:
    """Write a sealed pack over the period of the engagement.

    It is made of the captures in a store, or of snapshots, packs or dumps.
    Ends with 3 where a slot of the schedule was missed, or a capture is partial.
    """
    from auditkit import api

    if (place is None) == (not paths):
        raise UsageError("say where the captures are: --store DIR, or --from A --from B ... (the oldest first)")
    done = api.period(
        place=place,
        snapshots=captured(paths, **reading),
        out=out,
        config=config,
        clusters=clusters,
        names=[name.strip() for name in names.split(",")] if names else None,
        key=key,
        previous=previous,
        fail_on_exceptions=fail_on == "exceptions",
        say=lambda line: say(line, err=True),
    )
    say(done.summary)
    return done.exit_code
