"""The options that verbs share, and the snapshot that those of a source open."""

import inspect
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditkit.errors import UsageError

if TYPE_CHECKING:
    from auditkit.api import Config
    from auditkit.evaluate import Snapshot

READING = [
    click.option(
        "--taken-at", metavar="TIME", help="When files were taken, e.g. 2026-10-31T06:00Z, where they do not say."
    ),
    click.option("--secrets", is_flag=True, help="Metadata of Secrets; never values."),
    click.option("--tls-secrets", is_flag=True, help="Public certificates of TLS Secrets."),
    click.option("--secret-facts", is_flag=True, help="Expiry and usage of token Secrets."),
    click.option("--qps", type=float, show_default="50", help="Requests a second at most; 0 is no limit."),
]
SOURCE = [
    click.option("--context", metavar="NAME", help="As SOURCE context:NAME; empty for the current one."),
    click.option("--in-cluster", is_flag=True, help="As SOURCE in-cluster."),
    click.option(
        "--from",
        "path",
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="As SOURCE.",
    ),
    *READING,
]
# Where the captures of a period are.
CAPTURES = [
    click.option("--store", "place", type=click.Path(path_type=Path), help="The store with the captures."),
    click.option(
        "--from",
        "paths",
        multiple=True,
        type=click.Path(path_type=Path),
        help="Instead of a store: snapshots, packs or dumps of the cluster, the oldest first.",
    ),
    click.option("--secrets", is_flag=True, help="Of dumps: metadata of Secrets; never values."),
    click.option("--tls-secrets", is_flag=True, help="Of dumps: public certificates of TLS Secrets."),
    click.option("--secret-facts", is_flag=True, help="Of dumps: expiry and usage of token Secrets."),
]
# The same source as the last word of every verb that reads one, which its help explains.
LAST = click.argument("place", metavar="[SOURCE]", required=False, type=click.Path(path_type=Path))
MEANT = """SOURCE is context:NAME of your kubeconfig, in-cluster (the cluster that this pod runs in), demo, or a path: a pack, a
snapshot, a capture in a store, manifests, or what `kubectl get KIND -A -o json` wrote, in a folder, .zip or .tar.gz."""

config_option = click.option("--config", type=click.Path(path_type=Path), help="The engagement: auditkit.toml.")
key_option = click.option(
    "--key", type=click.Path(path_type=Path), help="Ed25519 private key (PEM) to sign the seal with."
)
fail_on_option = click.option(
    "--fail-on", type=click.Choice(["exceptions"]), help="End with 4 where there are exceptions."
)
json_option = click.option(
    "--json", "as_json", is_flag=True, help="A list of objects with every column, instead of lines for people."
)

# What a snapshot, a pack or a capture in a store has in it.
SAVED = ("origin.json", "snapshot", "capture.json")


def with_options(options: list[Callable[..., Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that adds these options to a verb."""

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            verb = option(verb)
        if options is SOURCE:
            verb.__doc__ = f"{inspect.getdoc(verb)}\n\n{MEANT}"
        return verb

    return add


def opened(
    context: str | None = None,
    in_cluster: bool = False,
    path: Path | None = None,
    place: Path | None = None,
    taken_at: str | None = None,
    config: "Config" = None,
    **options: Any,
) -> "Snapshot":
    """The snapshot that the source options name, or the word that stands for --from, with the imports of `config`."""
    from auditkit import api

    if sum([context is not None, in_cluster, path is not None, place is not None]) != 1:
        raise UsageError("name one source: context:NAME, in-cluster, a path, or demo")
    path = path or place
    if path is not None and str(path).startswith("context:"):
        context, path = str(path).removeprefix("context:"), None
    if str(path) == "in-cluster":
        in_cluster, path = True, None
    if path is not None and (str(path) == "demo" or any((path / name).exists() for name in SAVED)):
        _refuse(f"{path}: a snapshot holds what was read when it was taken", taken_at=taken_at, **options)
        return api.load(path, config=config)
    if path is not None:
        _refuse(f"{path}: files are read as they are", qps=options.pop("qps"))
    else:
        _refuse("a running cluster says itself what time it is", taken_at=taken_at)
        options["qps"] = 50.0 if options["qps"] is None else options["qps"]
    when = _time(taken_at) if taken_at else None
    return api.capture(context=context, in_cluster=in_cluster, path=path, taken_at=when, config=config, **options)


def captured(paths: Iterable[Path], **reading: Any) -> Iterator["Snapshot"]:
    """The snapshots at these paths, each read when it is asked for."""
    for path in paths:
        yield opened(path=path, qps=None, **reading)


def _refuse(why: str, **options: Any) -> None:
    """Raises UsageError where one of these options was given, as it would have no effect."""
    given = [
        f"--{name.replace('_', '-')}" for name, value in options.items() if value is not None and value is not False
    ]
    if given:
        raise UsageError(f"{why}; {', '.join(given)} cannot add to it")


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError(f"--taken-at {text}: not a time; write it as 2026-10-31T06:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
