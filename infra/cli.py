"""The one program: `logistics COMMAND`. A command is a function of a module of its own and a few lines here.

Exit codes: 0 all is well, 1 something failed or a check did not hold, 2 wrong use or a wrong setting.
"""

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Literal

import typer

from infra.endpoints import AlreadyRunning, NotRunning
from infra.settings import WrongSetting
from infra.stages import StageFailed
from infra.supervisor import GaveUp

FAILED = 1
WRONG_USE = 2

FOUND_WRONG = (AlreadyRunning, NotRunning, StageFailed, GaveUp)
"""What is told in its own words, without a traceback."""

Data = Annotated[Path | None, typer.Option("--data", help="The folder of this system's data (LOGISTICS_DATA)")]
Json = Annotated[bool, typer.Option("--json", help="For machines")]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Deliveries on an event log.",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def told_version(wanted: bool) -> None:
    if wanted:
        print(f"logistics {version('logistics')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", callback=told_version, is_eager=True, help="Tell the version")
    ] = False,
) -> None:
    pass


@app.command()
def up(
    demo: Annotated[bool, typer.Option("--demo", help="And play deliveries")] = False,
    data: Data = None,
    brokers: Annotated[
        int | None,
        typer.Option(help="Kafka brokers, 1 or 3, fixed by the first start on this data (LOGISTICS_BROKERS)"),
    ] = None,
    owners: Annotated[
        int | None, typer.Option(help="Processes that own shards, the gateway among them (LOGISTICS_OWNERS)")
    ] = None,
) -> None:
    """Start everything on this machine, until Ctrl-C."""
    from infra.up import up

    up(demo, data, brokers, owners)


@app.command()
def demo(
    data: Annotated[Path | None, typer.Option("--data", help="The folder of the demo's data, made anew")] = None,
    city: Annotated[str, typer.Option(help="helsinki, or porto with LOGISTICS_SAMPLE_DATA")] = "helsinki",
    seed: Annotated[str, typer.Option(help="The same seed plays the same")] = "1",
    riders: int = 40,
    orders: int = 200,
    minutes: float = 60,
    json: Json = False,
) -> None:
    """Play an hour of deliveries in virtual time on fresh data, tell how it went, and check it."""
    from infra.demo.command import demo, script_of

    raise typer.Exit(demo(data, script_of(city, seed, riders, orders, minutes), json))


@app.command()
def serve(
    role: Annotated[str, typer.Argument(help="gateway, shards, projector, processes, streams, trainer or demo")],
) -> None:
    """Run one role in this process."""
    from infra.serve import serve

    serve(role)


@app.command()
def config(
    json: Json = False, example: Annotated[bool, typer.Option("--example", help="As infra/example.env")] = False
) -> None:
    """Show every setting."""
    from infra.config import config, print_example

    print_example() if example else config(json)


@app.command()
def status(data: Data = None, json: Json = False) -> None:
    """Show what runs on this data."""
    from infra.status import status

    raise typer.Exit(status(data, json))


@app.command()
def token(
    tenant: Annotated[str, typer.Option(help="The tenant's slug; * for every tenant (operators)")],
    role: Annotated[str, typer.Option(help="integrator, dispatcher, rider, analyst, auditor or operator")],
    subject: Annotated[str | None, typer.Option(help="Who it is; of a rider the id")] = None,
    ttl: Annotated[str, typer.Option(help="How long it is valid: 90s, 30m, 12h, 7d")] = "12h",
    data: Data = None,
    json: Json = False,
) -> None:
    """Sign a bearer token."""
    from infra.token import token

    token(tenant, role, subject, ttl, data, json)


@app.command()
def topics(data: Data = None, json: Json = False) -> None:
    """Show the log's topics: what they hold, how they are kept, and where that is not as it should be."""
    from infra.topics import topics

    raise typer.Exit(topics(data, json))


@app.command()
def migrate(data: Data = None, json: Json = False) -> None:
    """Make the tables that are missing in Postgres."""
    from infra.migrate import migrate

    migrate(data, json)


@app.command()
def check(
    data: Data = None,
    json: Json = False,
    journals: Annotated[
        Path | None,
        typer.Option(exists=True, file_okay=False, help="The folder of the clients' journals (DATA/journals)"),
    ] = None,
) -> None:
    """Judge what runs on this data: is every invariant of the log and of what follows from it kept?"""
    from infra.check.command import check

    raise typer.Exit(check(data, json, journals))


shards_app = typer.Typer(no_args_is_help=True, help="Who owns which shard, and moving one.")
app.add_typer(shards_app, name="shards")


@shards_app.command("list")
def shards_list(data: Data = None, json: Json = False) -> None:
    """Show every shard with its owner; exits 0 only if all are open."""
    from infra.shards import list_shards

    raise typer.Exit(list_shards(data, json))


@shards_app.command("move")
def shards_move(
    shard: Annotated[int, typer.Argument(help="Its number")],
    to: Annotated[str, typer.Option(help="The owner who is to have it, as `shards list` names it")],
    data: Data = None,
    json: Json = False,
) -> None:
    """Hand a shard over to another owner, who keeps it while it is there."""
    from infra.shards import move_shard

    raise typer.Exit(move_shard(shard, to, data, json))


@shards_app.command("unpin")
def shards_unpin(shard: Annotated[int, typer.Argument(help="Its number")], data: Data = None) -> None:
    """Let the group say again who is to have a shard that was moved."""
    from infra.shards import unpin_shard

    unpin_shard(shard, data)


artefacts_app = typer.Typer(no_args_is_help=True, help="Photos and signatures that prove something.")
app.add_typer(artefacts_app, name="artefacts")


@artefacts_app.command("sweep")
def artefacts_sweep(
    delete: Annotated[bool, typer.Option("--delete", help="And delete them; else they are only counted")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show which artefacts are older than their tenant's artefact_days."""
    from infra.artefact_sweep import sweep_artefacts

    raise typer.Exit(sweep_artefacts(data, delete, json))


@app.command()
def forget(
    person: Annotated[str, typer.Argument(help="The contact's reference as tasks name it; TASK/STOP without one")],
    tenant: Annotated[str, typer.Option(help="Whose contact it is")],
    is_id: Annotated[
        bool, typer.Option("--id", help="PERSON is the id that sealed data name, such as a rider's")
    ] = False,
    reason: Annotated[str, typer.Option(help="A code for the log")] = "person_asked",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what is held of the person")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Throw a person's keys away for ever, and prove that nothing of them can be read any more."""
    from infra.forget.command import forget

    raise typer.Exit(forget(person, tenant, is_id, reason, data, dry_run, json))


@app.command()
def tail(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant's records")] = None,
    topic: Annotated[str | None, typer.Option(help="Only this topic, such as task; fixes are told only so")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="And what comes, until Ctrl-C")] = False,
    start: Annotated[
        str | None, typer.Option("--from", help="beginning or end; end where it follows, else beginning")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show the log's records, one a line, personal data sealed."""
    from infra.tail import tail

    tail(data, tenant, topic, follow, start, json)


@app.command("dead-letters")
def dead_letters(
    topic: Annotated[str | None, typer.Option(help="Only of this topic, such as fixes")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Show the records that could not be read or followed: where they stand, who gave them up, and why."""
    from infra.dead_letters import show

    show(topic, data, json)


@app.command()
def why(
    task: Annotated[str, typer.Argument(help="Its id, external reference or tracking code")],
    tenant: Annotated[str | None, typer.Option(help="Whose task; without it every tenant's are looked through")] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Make each decision again from its record, and tell whether it is the same")
    ] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Tell why this rider has the task, and why not the others."""
    from infra.why import why

    raise typer.Exit(why(task, tenant, again, data, json))


@app.command()
def plan(
    file: Annotated[Path, typer.Argument(help="Solomon, Gehring & Homberger or Li & Lim (docs/planning.md)")],
    seconds: Annotated[float, typer.Option(min=0.1, max=3600, help="How long the solvers look")] = 10,
    minimise: Annotated[Literal["distance", "vehicles"], typer.Option(help="vehicles: first them, then distance")] = (
        "distance"
    ),
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1)] = 0,
    iterations: Annotated[
        int | None, typer.Option(min=1, max=10_000_000, help="Instead of seconds: the same seed then plans the same")
    ] = None,
    best_known: Annotated[
        Path | None, typer.Option(exists=True, dir_okay=False, help="Best known solutions (JSON), to tell the gap")
    ] = None,
    solution: Annotated[Path | None, typer.Option(help="Where to put the routes")] = None,
    json: Json = False,
) -> None:
    """Plan the routes of an instance, check them, and tell how good they are."""
    from infra.planning.command import plan
    from streams.planning.effort import Effort

    effort = Effort(seconds=seconds) if iterations is None else Effort(iterations=iterations)
    raise typer.Exit(plan(file, minimise, effort, seed, best_known, solution, json))


eta_app = typer.Typer(no_args_is_help=True, help="Forecasts of arrivals.")
app.add_typer(eta_app, name="eta")


@eta_app.command("score")
def eta_score(
    trips: Annotated[Path, typer.Option(help="Past trips: TRIP_ID, TIMESTAMP, POLYLINE, a place every 15 s (CSV)")],
    truth: Annotated[Path, typer.Option(help="Whither they went: trip_id, dest_lat, dest_lon (CSV)")],
    forecasts: Annotated[Path, typer.Option(help="Where to put the forecasts: seconds from each fix on (CSV)")],
    streets: Annotated[
        Path | None,
        typer.Option(
            "--map", help="Their streets (.osm.pbf); without it the one extract beside the files, or in ../osm"
        ),
    ] = None,
    osrm: Annotated[str | None, typer.Option(help="An OSRM server instead (LOGISTICS_OSRM)")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed foretells the same")] = 0,
    json: Json = False,
) -> None:
    """Replay past trips: foretell at each fix when the trip ends, learning from those that have."""
    from infra.eta_score import score

    score(trips, truth, forecasts, streets, osrm, seed, json)


@app.command()
def simulate(
    orders: Annotated[str, typer.Option(help="CSV (docs/simulate.md), porto:FILE of taxi trips, or made:SEED")],
    policy: Annotated[Path, typer.Option(help="Rules and engine, JSON (docs/simulate.md)")],
    riders: Annotated[str | None, typer.Option(help="CSV, or made:COUNT; made orders bring thirty")] = None,
    compare: Annotated[Path | None, typer.Option(help="Another policy, on the same day")] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The same seed plays the same")] = 0,
    osrm: Annotated[str | None, typer.Option(help="Ways by this OSRM server; else by the great circle")] = None,
    out: Annotated[Path | None, typer.Option(help="A folder for figures and what became of each order")] = None,
    json: Json = False,
) -> None:
    """Replay a day of orders in virtual time against a policy, or two beside each other."""
    from infra.simulate.command import simulate

    simulate(orders, riders, [policy, *([compare] if compare else [])], seed, osrm, out, json)


@app.command("import")
def import_(
    kind: Annotated[str, typer.Argument(help="riders, vehicles, outlets or tasks")],
    file: Annotated[Path, typer.Argument(help="CSV, UTF-8, its columns named as the fields (docs/import.md)")],
    tenant: Annotated[str, typer.Option(help="Whose they are")],
    source: Annotated[str, typer.Option(help="Who gives out the references: the same for every import")] = "import",
    url: Annotated[str | None, typer.Option(help="A gateway; without it the one on this data")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="LOGISTICS_TOKEN", help="Without it one is signed by this data's key")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every line, send none")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Create what a file lists, line by line; what is there already stays as it is."""
    from infra.importing import import_csv

    raise typer.Exit(import_csv(kind, file, tenant, source, url, token, data, dry_run, json))


@app.command()
def ingest(
    files: Annotated[list[Path], typer.Argument(help="GPX or CSV, also with .gz (docs/telemetry.md)")],
    tenant: Annotated[str, typer.Option(help="Whose they are")],
    device: Annotated[str | None, typer.Option(help="The device whose fixes they are, where no column says it")] = None,
    column: Annotated[
        list[str] | None, typer.Option(help="What the file calls a column: lat=latitude; as often as needed")
    ] = None,
    url: Annotated[str | None, typer.Option(help="A gateway; without it the one on this data")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="LOGISTICS_TOKEN", help="Without it one is signed by this data's key")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Judge every line, send none")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Send the fixes that files hold, as their devices would have."""
    from infra.ingesting import ingest

    raise typer.Exit(ingest(files, tenant, device, column or [], url, token, data, dry_run, json))


trips_app = typer.Typer(no_args_is_help=True, help="Trips that riders made.")
app.add_typer(trips_app, name="trips")


@trips_app.command("export")
def trips_export(
    tenant: Annotated[str, typer.Option(help="Whose they are")],
    since: Annotated[str, typer.Option("--from", help="Trips that ended then or later: 2026-03-01T12:00:00Z")],
    until: Annotated[str, typer.Option("--to", help="And began before")],
    out: Annotated[Path, typer.Option(help="A file for all of them, or a folder in which each has its own")],
    format: Annotated[
        str | None, typer.Option(help="gpx, geojson, csv, parquet or json; without it by the file's name")
    ] = None,
    rider: Annotated[str | None, typer.Option(help="Only this rider's")] = None,
    vehicle: Annotated[str | None, typer.Option(help="Only those with this vehicle")] = None,
    matched: Annotated[bool, typer.Option("--matched", help="And their lines on streets, beside the fixes")] = False,
    url: Annotated[str | None, typer.Option(help="A gateway; without it the one on this data")] = None,
    token: Annotated[
        str | None, typer.Option(envvar="LOGISTICS_TOKEN", help="Without it one is signed by this data's key")
    ] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Put trips with their fixes into files (docs/telemetry.md)."""
    from infra.trips_export import export_trips

    code = export_trips(tenant, since, until, rider, vehicle, format, matched, out, url, token, data, json)
    raise typer.Exit(code)


@app.command()
def rebuild(
    name: Annotated[str | None, typer.Argument(help="A read model")] = None,
    every: Annotated[bool, typer.Option("--all", help="All of them, one after the other")] = False,
    data: Data = None,
    json: Json = False,
) -> None:
    """Make read models anew from the log, compare them with those that stand, and put them in their place."""
    from infra.rebuild import rebuild_models

    raise typer.Exit(rebuild_models(name, every, data, json))


recompute_app = typer.Typer(no_args_is_help=True, help="What would have been told of recorded fixes; changes nothing.")
app.add_typer(recompute_app, name="recompute")


@recompute_app.command("dispatch")
def recompute_dispatch(
    tenant: Annotated[str, typer.Option(help="Whose decisions")],
    rules: Annotated[Path, typer.Option(help="JSON, as in `dispatch` of a tenant's rules (docs/dispatch.md)")],
    since: Annotated[str, typer.Option("--from", help="Decisions of then and later: 2026-03-01T12:00:00Z")],
    until: Annotated[str, typer.Option("--to", help="And before")],
    out: Annotated[Path | None, typer.Option(help="Where to put each decision: NAME.csv or NAME.jsonl")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Whom dispatch would have asked by other rules, beside whom it asked."""
    from infra.recompute.dispatch import recompute_dispatch

    recompute_dispatch(tenant, since, until, rules, out, data, json)


@recompute_app.command("fences")
def recompute_fences(
    tenant: Annotated[str, typer.Option(help="Whose fixes")],
    since: Annotated[str, typer.Option("--from", help="Fixes that came in from then on: 2026-03-01T12:00:00Z")],
    until: Annotated[str, typer.Option("--to", help="And before")],
    fences: Annotated[
        Path | None,
        typer.Option(help="Other fences: GeoJSON (docs/telemetry.md); without it those that stood at each fix's time"),
    ] = None,
    partition: Annotated[int | None, typer.Option(help="Only this one")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put each crossing: NAME.csv or NAME.jsonl")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Which riders would have crossed which fences when, beside what was told."""
    from infra.recompute.fences import recompute_fences

    recompute_fences(tenant, since, until, fences, partition, out, data, json)


@recompute_app.command("eta")
def recompute_eta(
    tenant: Annotated[str, typer.Option(help="Whose fixes")],
    since: Annotated[str, typer.Option("--from", help="Fixes of then and later: 2026-03-01T12:00:00Z")],
    until: Annotated[str, typer.Option("--to", help="And before")],
    partition: Annotated[int | None, typer.Option(help="Only this one")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put each forecast: NAME.csv or NAME.jsonl")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """What the model that stands now would have foretold, beside what was told."""
    from infra.recompute.eta import recompute_eta

    recompute_eta(tenant, since, until, partition, out, data, json)


@recompute_app.command("anomalies")
def recompute_anomalies(
    tenant: Annotated[str, typer.Option(help="Whose fixes")],
    since: Annotated[str, typer.Option("--from", help="Fixes that came in from then on: 2026-03-01T12:00:00Z")],
    until: Annotated[str, typer.Option("--to", help="And before")],
    rules: Annotated[
        Path | None,
        typer.Option(help="Other rules: JSON (docs/telemetry.md); without it those that held at each fix's time"),
    ] = None,
    partition: Annotated[int | None, typer.Option(help="Only this one")] = None,
    out: Annotated[Path | None, typer.Option(help="Where to put each of them: NAME.csv or NAME.jsonl")] = None,
    data: Data = None,
    json: Json = False,
) -> None:
    """Which anomalies and trips would have been told of, beside those that were."""
    from infra.recompute.anomalies import recompute_anomalies

    recompute_anomalies(tenant, since, until, rules, partition, out, data, json)


def main() -> None:
    try:
        app()
    except WrongSetting as wrong:
        print(wrong, file=sys.stderr)
        sys.exit(WRONG_USE)
    except FOUND_WRONG as failed:
        print(failed, file=sys.stderr)
        sys.exit(FAILED)


if __name__ == "__main__":
    main()
