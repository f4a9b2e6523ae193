"""The library said aloud: each verb calls one function."""

import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from auditkit.errors import AuditkitError, UsageError, VerificationError

if TYPE_CHECKING:
    from auditkit.evaluate import Snapshot


# Control characters but newline and tab, marks that turn the direction of text, and halves of characters.
_UNSAFE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]")


def printable(text: str) -> str:
    """Text of a cluster as it may stand on a terminal: what would act there is shown escaped, as JSON does."""
    return _UNSAFE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def say(text: str, *, err: bool = False, nl: bool = True) -> None:
    click.echo(printable(text), err=err, nl=nl)


def main() -> None:
    """Run the command line; every expected failure is one line on stderr and its exit code."""
    try:
        sys.exit(cli(standalone_mode=False) or 0)
    except click.exceptions.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except AuditkitError as error:
        say(f"auditkit: {error}", err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        say(f"auditkit: {error.filename or 'input/output'}: {error.strerror or error}", err=True)
        sys.exit(1)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="auditkit")
def cli() -> None:
    """Turn the state of Kubernetes clusters into SOC 2 evidence.

    \b
    Exit codes: 0 complete; 2 arguments, files or configuration; 3 incomplete evidence;
    4 exceptions (with --fail-on exceptions); 5 verification failed; 6 a secret in an output;
    75 unreachable, throttled or locked, try again; 138 a kernel was killed; 1 anything else.
    """


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
    click.option("--context", metavar="NAME", help="A context of your kubeconfig; empty for the current one."),
    click.option("--in-cluster", is_flag=True, help="The cluster that this pod runs in."),
    click.option(
        "--from",
        "path",
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="A dump, manifests, a snapshot or a pack.",
    ),
    *READING,
]


def with_options(options: list[Callable[..., Any]]) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A decorator that adds these options to a verb."""

    def add(verb: Callable[..., Any]) -> Callable[..., Any]:
        for option in reversed(options):
            verb = option(verb)
        return verb

    return add


def opened(
    context: str | None = None,
    in_cluster: bool = False,
    path: Path | None = None,
    taken_at: str | None = None,
    config: Path | None = None,
    **options: Any,
) -> "Snapshot":
    """The snapshot that the source options name, with the imports of `config`."""
    from auditkit import api

    if sum([context is not None, in_cluster, path is not None]) != 1:
        raise UsageError("name one source: --context NAME, --in-cluster or --from PATH (the demo: --from demo)")
    if path is not None and str(path).startswith("context:"):
        context, path = str(path).removeprefix("context:"), None
    if path is not None and (str(path) == "demo" or (path / "origin.json").is_file() or (path / "snapshot").is_dir()):
        _refuse(f"{path}: a snapshot holds what was read when it was taken", taken_at=taken_at, **options)
        return api.load(path, config=config)
    if path is not None:
        _refuse(f"{path}: files are read as they are", qps=options.pop("qps"))
    else:
        _refuse("a running cluster says itself what time it is", taken_at=taken_at)
        options["qps"] = 50.0 if options["qps"] is None else options["qps"]
    when = _time(taken_at) if taken_at else None
    return api.capture(context=context, in_cluster=in_cluster, path=path, taken_at=when, config=config, **options)


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


config_option = click.option("--config", type=click.Path(path_type=Path), help="The engagement: auditkit.toml.")


@cli.command()
@with_options(SOURCE)
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the snapshot.")
def capture(out: Path, **source: Any) -> int:
    """Read a cluster once and save the snapshot."""
    from auditkit import api

    snapshot = opened(**source)
    api.save(snapshot, out)
    say(f"{snapshot!r}\ndigest {snapshot.digest}\nsnapshot: {out}")
    return 3 if snapshot.incomplete else 0


@cli.command()
@click.argument("path", type=click.Path(path_type=Path))
@with_options(READING)
@config_option
@click.option("--id", "ids", multiple=True, help="Only this check; may be repeated.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects instead of a table.")
@click.option("--rows", is_flag=True, help="With --json: the exceptions' rows too.")
@click.option("--fail-on", type=click.Choice(["exceptions"]), help="End with 4 where there are exceptions.")
def check(
    path: Path,
    config: Path | None,
    ids: tuple[str, ...],
    as_json: bool,
    rows: bool,
    fail_on: str | None,
    **reading: Any,
) -> int:
    """Run the checks over a snapshot, pack, dump, manifests or context:NAME."""
    from auditkit import api, engagement
    from auditkit.run import exit_code

    if rows and not as_json:
        raise UsageError("--rows: only with --json")
    snapshot = opened(path=path, config=config, **reading)
    results = api.check(snapshot, ids or None, settings=engagement.load(config).settings)
    frame = results.frame
    if as_json:
        listed = [
            {**row, **({"rows": _rows(results[row["id"]].exceptions)} if rows else {})}
            for row in frame.to_dict("records")
        ]
        _print_json(listed)
    else:
        say(frame.to_string(index=False))
        say(repr(results))
    return exit_code(snapshot, results, fail_on == "exceptions")


@cli.command("who-can")
@click.argument("verb")
@click.argument("resource")
@click.argument("path", metavar="SNAPSHOT", type=click.Path(path_type=Path))
@click.option("-n", "--namespace", metavar="NAME", help="Who can in this namespace; default: anywhere, with the scope.")
@click.option("--json", "as_json", is_flag=True, help="A list of objects instead of a table.")
def who_can(verb: str, resource: str, path: Path, namespace: str | None, as_json: bool) -> int:
    """List who may do VERB on RESOURCE: `secrets`, `pods/exec`, `deployments.apps`; every binding and rule that allows it."""
    from auditkit import api
    from auditkit.analysis.access import OUTSIDE_RBAC

    frame, unread = api.who_can(api.load(path), verb, resource, namespace=namespace)
    _print(frame, as_json)
    say(OUTSIDE_RBAC, err=True)
    if unread:
        say(f"incomplete: not all collected: {', '.join(unread)}", err=True)
    return 3 if unread else 0


@cli.command()
@click.argument("source", metavar="SRC")
@click.argument("target", metavar="DST:PORT")
@click.argument("path", metavar="SNAPSHOT", type=click.Path(path_type=Path))
@click.option("--protocol", default="TCP", show_default=True, help="TCP, UDP or SCTP.")
@click.option("--enforced", is_flag=True, help="You assert that the network enforces NetworkPolicies.")
def reach(source: str, target: str, path: Path, protocol: str, enforced: bool) -> int:
    """Whether NetworkPolicies allow a connection, and why.

    SRC and DST are NAMESPACE/POD, an address or a range (CIDR); PORT is a number or the name of a port of the pod.
    Where the answer is not known, the verb ends with 3.
    """
    from auditkit import api
    from auditkit.analysis.reachability import Reachability

    end, colon, port = target.rpartition(":")
    if not colon:
        raise UsageError(f"{target}: name the port too, e.g. {target}:443")
    tables = api.load(path).tables
    answer = Reachability.from_tables(tables, enforced=True if enforced else None).why(
        source, end.removeprefix("[").removesuffix("]"), port, protocol
    )
    say(str(answer))
    return 3 if answer.value is None else 0


@cli.command()
@with_options(SOURCE)
@config_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the pack.")
@click.option("--notebooks", "names", metavar="NAMES", help="Comma-separated; default: all.")
@click.option("--key", type=click.Path(path_type=Path), help="Ed25519 private key (PEM) to sign the seal with.")
@click.option("--previous", type=click.Path(path_type=Path), help="The pack before this one, to chain to.")
@click.option("--fail-on", type=click.Choice(["exceptions"]), help="End with 4 where there are exceptions.")
def run(
    out: Path,
    config: Path | None,
    names: str | None,
    key: Path | None,
    previous: Path | None,
    fail_on: str | None,
    **source: Any,
) -> int:
    """Read a cluster, test it, and write a sealed pack."""
    from auditkit import api, frameworks

    # Before the cluster is read: what the user wrote can be mended at once.
    frameworks.settled(config)
    done = api.run(
        opened(config=config, **source),
        out,
        config=config,
        names=[name.strip() for name in names.split(",")] if names else None,
        key=key,
        previous=previous,
        fail_on_exceptions=fail_on == "exceptions",
        say=lambda line: say(line, err=True),
    )
    say(done.summary)
    return done.exit_code


@cli.command()
@click.argument("pack", type=click.Path(path_type=Path))
@click.option("--key", type=click.Path(path_type=Path), help="The public key (PEM) that you trust.")
@click.option("--previous", type=click.Path(path_type=Path), help="The pack before this one: is it the one named?")
@click.option("--reperform", is_flag=True, help="Rebuild tables and workbook, run the tests again, compare.")
def verify(pack: Path, key: Path | None, previous: Path | None, reperform: bool) -> int:
    """Check a pack against its seal."""
    from auditkit import api
    from auditkit.reperform import NOT_AGAIN
    from auditkit.reperform import reperform as again

    verdict = api.verify(pack, key=key, previous=previous)
    say(str(verdict))
    faults = again(pack) if reperform else []
    if reperform:
        say(
            "performed again: "
            + ("every table and result and the workbook are the same" if not faults else f"{len(faults)} difference(s)")
            + f"; not performed again: {NOT_AGAIN}"
        )
    for fault in faults:
        say(f"  - {fault}")
    return 0 if verdict.ok and not faults else VerificationError.exit_code


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def tables(as_json: bool) -> None:
    """List the tables and their columns."""
    from auditkit import api

    _print(api.tables(), as_json)


@cli.command()
@click.option("--json", "as_json", is_flag=True)
def checks(as_json: bool) -> None:
    """List the checks."""
    from auditkit import api

    _print(api.checks(), as_json)


@cli.command()
@config_option
@click.option("--json", "as_json", is_flag=True)
def controls(config: Path | None, as_json: bool) -> None:
    """List the control activities, their criteria and checks."""
    from auditkit import engagement, frameworks

    _print(frameworks.controls_frame(frameworks.controls(engagement.load(config))), as_json)


@cli.command("frameworks")
@click.argument("name", default="soc2-2017")
@click.option("--json", "as_json", is_flag=True)
def frameworks_(name: str, as_json: bool) -> None:
    """List the requirements of a framework: soc2-2017 or cis-1.12."""
    from auditkit import frameworks

    _print(frameworks.requirements_frame(frameworks.load(name)), as_json)


@cli.command()
@click.option("--to", required=True, type=click.Path(path_type=Path), help="The folder to copy them to.")
def notebooks(to: Path) -> None:
    """Copy the evidence notebooks out of this installation."""
    from auditkit.report import notebooks as report

    for path in report.copy(to):
        say(str(path))


@cli.command()
@click.option("--secrets", is_flag=True, help="With what --secrets reads.")
@click.option("--tls-secrets", is_flag=True, help="With what --tls-secrets reads.")
@click.option("--secret-facts", is_flag=True, help="With what --secret-facts reads.")
def role(secrets: bool, tls_secrets: bool, secret_facts: bool) -> None:
    """Print the ClusterRole that a capture needs, and no more."""
    import yaml

    from auditkit import kinds
    from auditkit.capture.role import cluster_role
    from auditkit.capture.snapshot import Options

    options = Options(secrets=secrets, tls_secrets=tls_secrets, secret_facts=secret_facts)
    say(yaml.safe_dump(cluster_role(kinds.ALL, options), sort_keys=False), nl=False)


@cli.command()
@click.argument("path", default="auditkit.toml", type=click.Path(path_type=Path))
def init(path: Path) -> None:
    """Write a starter auditkit.toml."""
    from auditkit import engagement

    if path.exists():
        raise UsageError(f"{path}: exists already; choose another name")
    path.write_text(engagement.template())
    say(f"{path}: fill in entity, system and period, then: auditkit run --config {path} --context NAME --out DIR")


def _print(frame: Any, as_json: bool) -> None:
    if as_json:
        _print_json(_rows(frame))
    else:
        say(frame.to_string(index=False, max_colwidth=80))


def _rows(frame: Any) -> list[dict[str, Any]]:
    from auditkit.report.frames import flat

    return [
        {k: v if isinstance(v, (list, dict)) else _plain(flat(v)) for k, v in row.items()}
        for row in frame.to_dict("records")
    ]


def _plain(value: Any) -> Any:
    import pandas as pd

    return None if value is pd.NaT or (not isinstance(value, str) and pd.isna(value)) else value


def _print_json(value: Any) -> None:
    import json

    say(json.dumps(value, indent=1, ensure_ascii=False, default=str))
