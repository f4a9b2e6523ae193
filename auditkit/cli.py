"""The library said aloud: each verb calls one function."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import click

from auditkit.cli_period import period
from auditkit.cli_review import matrix, review
from auditkit.errors import AuditkitError, UsageError, VerificationError, instead
from auditkit.options import (
    CAPTURES,
    LAST,
    SOURCE,
    captured,
    config_option,
    fail_on_option,
    json_option,
    key_option,
    opened,
    with_options,
)
from auditkit.terminal import having, listed, records, say, show, show_json


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


# The verbs as --help groups them.
VERBS = {
    "Look": ("check", "who-can", "reach", "changes"),
    "Evidence of one time": ("init", "role", "capture", "run", "verify", "oscal"),
    "Evidence over a period": ("store", "period", "sample"),
    "What people write": ("review", "matrix"),
    "What there is": ("checks", "tables", "controls", "frameworks", "notebooks"),
}


class Verbs(click.Group):
    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, names in VERBS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(90)) for name in names])


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="auditkit")
def cli() -> None:
    """Turn the state of Kubernetes clusters into SOC 2 evidence.

    \b
    auditkit check demo                           the results of the demo cluster
    auditkit check context:NAME                   of a cluster of your kubeconfig
    auditkit run context:NAME --out evidence/1    the pack for an auditor
    auditkit VERB --help                          what a verb takes

    \b
    Exit codes: 0 complete; 2 arguments, files or configuration; 3 incomplete evidence;
    4 exceptions (with --fail-on exceptions); 5 verification failed; 6 a secret in an output;
    75 unreachable, throttled or locked, try again; 138 a kernel was killed; 1 anything else.
    """


cli.add_command(matrix)
cli.add_command(review)
cli.add_command(period)


@cli.command()
@with_options(SOURCE)
@LAST
@click.option("--out", type=click.Path(path_type=Path), help="A new folder for the snapshot.")
@click.option("--store", "into", type=click.Path(path_type=Path), help="Add it to the history of its cluster here.")
@config_option
def capture(out: Path | None, into: Path | None, config: Path | None, **source: Any) -> int:
    """Read a cluster once and save the snapshot.

    It goes into a folder of its own or into a store.

    With --store, the engagement (--config) says the cluster's name there, and the retention.
    """
    from auditkit import api, engagement

    if (out is None) == (into is None):
        raise UsageError("say where the snapshot goes: --out DIR or --store DIR")
    if config and not into:
        raise UsageError("--config: only with --store; a snapshot holds no engagement")
    agreed = engagement.load(config)
    snapshot = opened(**source)
    where = f"snapshot: {out}"
    if out:
        api.save(snapshot, out)
    elif into:
        added = api.keep(snapshot, into, config=agreed)
        where = f"{'stored' if added.new else 'already stored, nothing was written'}: {added.place}"
        if added.note:
            say(added.note, err=True)
    say(f"{snapshot!r}\ndigest {snapshot.digest}\n{where}")
    return 3 if snapshot.incomplete else 0


@cli.group()
def store() -> None:
    """List, check and purge what `capture --store` keeps."""


store_option = click.option("--store", "place", required=True, type=click.Path(path_type=Path), help="The store.")


@store.command("list")
@store_option
@click.option("--verify", "checked", is_flag=True, help="Read every capture, and compare it with what was stored.")
@json_option
def store_list(place: Path, checked: bool, as_json: bool) -> None:
    """List the captures and their state."""
    from auditkit import api

    frame = api.captures(place, checked=checked)
    show(frame if as_json else frame.assign(digest=[digest[:16] for digest in frame["digest"]]), as_json)


@store.command("tables")
@store_option
def store_tables(place: Path) -> None:
    """Bring the tables up to the captures, as `capture --store` does itself."""
    from auditkit.store import histories, refresh

    for history in histories(place):
        say(f"{history.path / 'tables'}: {refresh(history)} captures read")


@store.command("purge")
@store_option
@click.option(
    "--before", required=True, metavar="DATE", type=click.DateTime(["%Y-%m-%d"]), help="The first day that stays."
)
@config_option
@click.option("--yes", "really", is_flag=True, help="Do it; without: only say what would go.")
def store_purge(place: Path, before: datetime, config: Path | None, really: bool) -> None:
    """Delete the captures taken before a day (UTC), and log it.

    Refused under legal hold or within keep_days, by --config, else as the captures were stored.
    """
    from auditkit import api

    for one in api.purge(place, before.date(), config=config, really=really):
        say(str(one))
    say("purged, see purge-log.jsonl" if really else "nothing was deleted; add --yes to do it")


@cli.command()
@with_options(SOURCE)
@LAST
@config_option
@click.option("--id", "ids", metavar="ID", multiple=True, help="Only this check, or topic as RBAC; may be repeated.")
@click.option("--only", metavar="CONCLUSION", multiple=True, help="Show these only, e.g. exceptions; may be repeated.")
@json_option
@click.option("--rows", is_flag=True, help="With --json: the exceptions' rows too.")
@fail_on_option
def check(
    config: Path | None,
    ids: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
    rows: bool,
    fail_on: str | None,
    **source: Any,
) -> int:
    """Test a source and print the results; no pack is written.

    `note` says why a test was not collected; the exceptions themselves are in --json --rows.
    """
    from auditkit import api, engagement
    from auditkit.evaluate import CONCLUSIONS
    from auditkit.run import exit_code

    if rows and not as_json:
        raise UsageError("--rows: only with --json")
    agreed = engagement.load(config)
    snapshot = opened(config=agreed, **source)
    results = api.check(snapshot, ids or None, settings=agreed.settings)
    frame = results.frame
    if unknown := [one for one in only if one not in CONCLUSIONS]:
        raise UsageError(f"--only: no conclusion {unknown[0]}; {instead(unknown[0], CONCLUSIONS)}")
    frame = frame[frame["conclusion"].isin(only)] if only else frame
    if as_json:
        found = [
            {**row, **({"rows": records(results[row["id"]].exceptions)} if rows else {})}
            for row in frame.to_dict("records")
        ]
        show_json(found)
    else:
        order = ["id", "severity", "conclusion", "population", "exceptions", "waived", "undetermined", "title", "note"]
        say(listed(frame[order]))
        say(repr(results).strip("<>"))
    return exit_code(snapshot, results, fail_on == "exceptions")


@cli.command()
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option(
    "--tickets",
    type=click.Path(path_type=Path),
    help="CSV: id, title, requester, approver, approved_at, objects; default: the import.",
)
@config_option
@json_option
def changes(before: Path, after: Path, tickets: Path | None, config: Path | None, as_json: bool) -> int:
    """Say what changed from BEFORE to AFTER, by whom, and by which ticket.

    Each is a SOURCE as of other verbs. What agreed deployers wrote is explained without a ticket.
    `explained` is empty where it cannot be told. A snapshot that is incomplete makes the verb end with 3.
    """
    from auditkit import api, engagement

    agreed = engagement.load(config)
    first, second = api.load(before), api.load(after, config=agreed)
    frame = api.changes(first, second, tickets=tickets, config=agreed)
    shown = ["change", "kind", "namespace", "name", "fields", "at", "drift", "explained", "why"]
    show(frame if as_json else frame[shown], as_json)
    return 3 if first.incomplete or second.incomplete else 0


@cli.command("who-can")
@click.argument("verb")
@click.argument("resource")
@with_options(SOURCE)
@LAST
@click.option("-n", "--namespace", metavar="NAME", help="Who can in this namespace; default: anywhere, with the scope.")
@json_option
def who_can(verb: str, resource: str, namespace: str | None, as_json: bool, **source: Any) -> int:
    """List who may do VERB on RESOURCE, and by which rule.

    RESOURCE is as in `secrets`, `pods/exec` or `deployments.apps`; one row a binding and rule that allows it.
    """
    from auditkit import api

    holders = api.who_can(opened(**source), verb, resource, namespace=namespace)
    show(holders.frame, as_json)
    for note in holders.notes:
        say(note, err=True)
    return 3 if holders.unread else 0


@cli.command()
@click.argument("start", metavar="SRC")
@click.argument("target", metavar="DST:PORT")
@with_options(SOURCE)
@LAST
@click.option("--protocol", default="TCP", show_default=True, help="TCP, UDP or SCTP.")
@click.option("--enforced", is_flag=True, help="You assert that the network enforces NetworkPolicies.")
def reach(start: str, target: str, protocol: str, enforced: bool, **source: Any) -> int:
    """Say whether NetworkPolicies allow a connection, and why.

    SRC and DST are NAMESPACE/POD, an address or a range (CIDR); PORT is a number or the name of a port of the pod.
    Where the answer is not known, the verb ends with 3.
    """
    from auditkit import api

    end, colon, port = target.rpartition(":")
    if not colon:
        raise UsageError(f"{target}: name the port too, e.g. {target}:443")
    end = end.removeprefix("[").removesuffix("]")
    answer = api.reach(opened(**source), start, end, port, protocol=protocol, enforced=enforced)
    say(str(answer))
    return 3 if answer.value is None else 0


@cli.command()
@with_options(SOURCE)
@LAST
@config_option
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the pack.")
@click.option("--notebooks", "names", metavar="NAMES", help="Comma-separated; default: all.")
@key_option
@click.option("--previous", type=click.Path(path_type=Path), help="The pack before this one, to chain to.")
@fail_on_option
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
    from auditkit import api, engagement, frameworks

    # Before the cluster is read: what the user wrote can be mended at once.
    agreed = frameworks.settled(engagement.load(config))
    done = api.run(
        opened(config=agreed, **source),
        out,
        config=agreed,
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
@with_options(CAPTURES)
@click.option("--key", type=click.Path(path_type=Path), help="The public key (PEM) that you trust.")
@click.option("--previous", type=click.Path(path_type=Path), help="The pack before this one: is it the one named?")
@click.option("--reperform", is_flag=True, help="Rebuild tables and workbook, run the tests again, compare.")
def verify(
    pack: Path,
    place: Path | None,
    paths: tuple[Path, ...],
    key: Path | None,
    previous: Path | None,
    reperform: bool,
    **reading: bool,
) -> int:
    """Check a pack against its seal, or make it again.

    --reperform makes a pack of a period again from --store or --from, others from what is in them.
    """
    from auditkit import api
    from auditkit.reperform import NOT_AGAIN
    from auditkit.report.period.saved import is_period

    if reperform and is_period(pack) and (place is None) == (not paths):
        raise UsageError(
            "a pack of a period is performed again from its captures: --store DIR, or --from A --from B ..."
        )
    if (place or paths or any(reading.values())) and not (reperform and is_period(pack)):
        raise UsageError("--store, --from: only with --reperform of a pack of a period")
    verdict = api.verify(pack, key=key, previous=previous)
    say(str(verdict))
    faults = api.reperform(pack, place=place, snapshots=captured(paths, **reading)) if reperform else []
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
@click.argument("pack", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new folder for the documents.")
def oscal(pack: Path, out: Path) -> None:
    """Write a pack as OSCAL documents.

    Assessment results, plan of action, and the assessment plan that they rest on.
    """
    from auditkit.report.oscal import export

    say(str(export(pack, out)))


@cli.command()
@click.argument("population", type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="A new workbook (.xlsx).")
@click.option("--method", default="random", show_default=True, help="random, systematic, stratified, all, list.")
@click.option("--size", type=int, help="How many items; else by --frequency and --risk.")
@click.option("--frequency", help="How often the control operates: daily, 'per event', ... (data/samples.toml).")
@click.option("--risk", default="moderate", show_default=True, help="low, moderate, high.")
@click.option("--sizes", type=click.Path(path_type=Path), help="Your own table of sizes, as data/samples.toml.")
@click.option("--seed", help="Any text, best the auditor's; else one is made and recorded.")
@click.option("--key", help="Comma-separated columns that name a row, where the file is none of auditkit's.")
@click.option("--by", default="", metavar="COLUMNS", help="The columns of strata, comma-separated, e.g. cluster,month.")
@click.option("--replace", multiple=True, metavar="KEY=REASON", help="Take an item out (parts of its key with ' / ').")
@click.option(
    "--list", "listed", type=click.Path(path_type=Path), help="CSV with the key columns: the auditor's items."
)
def sample(population: Path, out: Path, method: str, **options: Any) -> int:
    """Draw a sample that anybody can draw again.

    POPULATION is a Parquet or CSV file, e.g. of tables/, results/ or period/ in a pack.
    """
    from auditkit.report import sampling

    done = sampling.sample(population, out, method=method, **options)
    seed = f", seed {done.seed}" if done.seed else ""
    say(f"{done.size:,} of {done.population:,} rows, {done.method}{seed}\nworkbook: {out}")
    return 0


@cli.command()
@click.argument("word", default="")
@json_option
def tables(word: str, as_json: bool) -> None:
    """List the tables; of one, its columns.

    With WORD those tables whose name or meaning has it; with the name of a table what its columns mean.
    """
    from auditkit import api

    frame = api.tables()
    if word in set(frame["table"]):
        show(api.tables(word), as_json)
    else:
        found = having(frame, word, "table", "row")
        show(found if as_json else found[["table", "row"]], as_json)


@cli.command()
@click.argument("word", default="")
@click.option("--peer", metavar="NAME", help="The equivalents of a tool or framework, e.g. prowler, trivy, cis-1.10.")
@click.option("--rows", is_flag=True, help="The facts that checks, imports or people answer.")
@json_option
def checks(word: str, peer: str | None, rows: bool, as_json: bool) -> None:
    """List the checks; of one, why it matters and the fix.

    With WORD those whose id or title has it; with the id of a check all that it says.
    """
    from auditkit import api
    from auditkit.declare import CHECKS

    if peer and rows:
        raise UsageError("--peer, --rows: one at a time")
    frame = having(api.facts() if rows else api.checks(peer), word, "row" if rows else "id", "title")
    if word in CHECKS and not (peer or rows or as_json):
        check, (row,) = CHECKS[word], frame.to_dict("records")
        settings = ", ".join(f"{name} = {value!r}" for name, value in check.settings.items()) or "none"
        facts = {"severity": check.severity, "population": check.population, "settings": settings}
        facts |= {tool: ", ".join(ids) for tool, ids in {**row["requirements"], **row["peers"]}.items()}
        say(f"{check.id} {check.title}\n\n{check.rationale}\n\nFix: {check.fix}\n")
        say("\n".join(f"{name:12} {text}" for name, text in facts.items()))
        say(f"\n{check.source}", nl=False)
        return
    show(frame if as_json else frame.drop(columns=["rows", "peers", "requirements"], errors="ignore"), as_json)


@cli.command()
@click.argument("word", default="")
@config_option
@json_option
def controls(word: str, config: Path | None, as_json: bool) -> None:
    """List the control activities, their criteria and checks.

    With WORD those whose id, title, criteria or checks have it.
    """
    from auditkit import api

    frame = having(api.controls(config=config), word, "id", "title", "primary", "supporting", "checks")
    show(frame if as_json else frame.drop(columns="why"), as_json)


@cli.command()
@click.argument("name", default="")
@click.argument("word", default="")
@json_option
def frameworks(name: str, word: str, as_json: bool) -> None:
    """List the frameworks; of one, its requirements.

    NAME is a framework, or the path of your own .toml file; with WORD only requirements whose id or title has it.
    """
    from auditkit import api

    frame = api.requirements(name or None)
    frame = having(frame, word, "id", "title") if name else frame
    show(frame if as_json else frame.loc[:, (frame != "").any()], as_json)


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
    from auditkit.store import publish_file

    publish_file(path, engagement.template().encode())
    say(f"{path}: fill in entity, system and period, then: auditkit run --config {path} --context NAME --out DIR")
