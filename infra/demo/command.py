"""`logistics demo`: an hour of a city on fresh data, told and checked."""

import asyncio
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
from rich.console import Console

from infra.check.finding import Verdict
from infra.check.log import LogCheck
from infra.check.run import checked
from infra.check.run import told as verdicts_told
from infra.demo.figures import Figures, figures
from infra.demo.hour import Hour, Played, Script, start_of
from infra.demo.journal import Journal
from infra.demo.report import stories, told
from infra.demo.settled import RULES, TENANT
from infra.demo.system import System, VirtualClock
from infra.embedded.city import CityMissing
from infra.endpoints import only_one
from infra.engines import started_engines
from infra.garbage import look_seldom
from infra.kafka import client_args
from infra.log_setup import set_up_log
from infra.observability import quiet
from infra.settings import RATES, Settings, WrongSetting, load_settings, with_secrets
from infra.stages import Stages
from infra.supervisor import Supervisor

DATA = Path(".logistics/demo")
MARK = "played-by-demo"
"""A file that says: what is in this folder was played, and may be played anew."""

MOST_RIDERS, MOST_ORDERS, MOST_MINUTES = 400, 5_000, 24 * 60
NO_LIMIT = 10_000_000
"""Virtual time knows no rates."""

BROKEN = 1


class Report(msgspec.Struct, frozen=True, kw_only=True):
    holds: bool
    outcomes: dict[str, int]
    events: dict[str, int]
    fixes: dict[str, int]
    aside: dict[str, int]
    crossings: dict[str, int]
    corrected: dict[str, int]
    eta: object
    commands: int
    seconds: float
    lag: int
    invariants: list[Verdict]


def demo(data: Path | None, script: Script, as_json: bool) -> int:
    """The exit code. Raises WrongSetting, AlreadyRunning, StageFailed."""
    refuse_unplayable(script)
    settings = load_settings(data=data or DATA, city=script.city)
    try:
        start_of(settings, script)
    except CityMissing as missing:
        raise WrongSetting(str(missing)) from missing
    quiet()
    look_seldom()
    with only_one(settings.data):
        cleared(settings.data)
        return asyncio.run(run(with_secrets(settings), script, as_json))


def refuse_unplayable(script: Script) -> None:
    """Raises WrongSetting."""
    minutes = script.length.total_seconds() / 60
    for name, value, most in (
        ("--riders", script.riders, MOST_RIDERS),
        ("--orders", script.orders, MOST_ORDERS),
        ("--minutes", minutes, MOST_MINUTES),
    ):
        if not 1 <= value <= most:
            raise WrongSetting(f"{name} {value:g}: from 1 to {most:,} can be played")


def cleared(data: Path) -> None:
    """Fresh: only what an earlier demo made is thrown away. Raises WrongSetting."""
    others = [each for each in data.iterdir() if each.name not in ("lock", MARK)]
    if others and not (data / MARK).exists():
        raise WrongSetting(f"--data {data}: it holds data that no demo made; name another folder")
    (data / MARK).touch()
    for each in others:
        shutil.rmtree(each) if each.is_dir() else each.unlink()


async def run(settings: Settings, script: Script, as_json: bool) -> int:
    console = Console(file=sys.stderr if as_json else sys.stdout)
    stages = Stages(console)
    supervisor = Supervisor(stages.say)
    try:
        outside = bool(settings.kafka)
        settings = await started_engines(settings, supervisor, stages)
        settings = settings.model_copy(update=dict.fromkeys(RATES, NO_LIMIT))
        with stages.stage("Topics"):
            await set_up_log(settings, client_args(settings), outside=outside)
        return await play(settings, script, console, as_json)
    finally:
        await supervisor.stop()


async def play(settings: Settings, script: Script, console: Console, as_json: bool) -> int:
    clock = VirtualClock(start_of(settings, script))
    journal = settings.data / "journals" / "demo.jsonl"
    dsn = settings.postgres.get_secret_value()
    with Journal(journal) as lines:
        async with System(settings, clock) as system:
            hour = Hour(settings, script, system, lines, lambda text: console.print(f"  {text}", highlight=False))
            played = await hour.run()
            counted = await figures(dsn, TENANT, RULES["max_rounds"])
            verdicts, log = await checked(
                settings, [journal], accounts=system.gateway.shards.accounts, clock=lambda: clock.now
            )
            lag = await system.lag()
            holds = every_holds(verdicts)
            if as_json:
                print(as_report(played, counted, verdicts, log, lag))
            else:
                console.print()
                told(played, counted, log.by_topic, lag, console)
                await stories(hour.api, dsn, counted.interesting, console)
                console.print()
                verdicts_told(verdicts, console)
                console.print(f"\n{last_words(settings, verdicts, holds)}", highlight=False, soft_wrap=True)
    return 0 if holds else BROKEN


def last_words(settings: Settings, verdicts: Sequence[Verdict], holds: bool) -> str:
    where = f"Look at it: logistics up --data {settings.data}"
    return f"All {len(verdicts)} checks hold. {where}" if holds else f"Not every check holds: see above. {where}"


def every_holds(verdicts: Iterable[Verdict]) -> bool:
    """Each of them judged on something: what was played leaves none out."""
    return all(verdict.state == "holds" and verdict.looked_at > 0 for verdict in verdicts)


def as_report(played: Played, counted: Figures, verdicts: list[Verdict], log: LogCheck, lag: int) -> str:
    report = Report(
        holds=every_holds(verdicts),
        outcomes=counted.outcomes,
        events=dict(log.by_topic),
        fixes={name.removeprefix("fixes "): n for name, n in played.counts.items() if name.startswith("fixes ")},
        aside=counted.aside,
        crossings=counted.crossings,
        corrected=counted.corrected,
        eta=counted.eta,
        commands=played.commands,
        seconds=round(played.real_s, 1),
        lag=lag,
        invariants=verdicts,
    )
    return msgspec.json.format(msgspec.json.encode(report)).decode()


def script_of(city: str, seed: str, riders: int, orders: int, minutes: float) -> Script:
    return Script(city=city, seed=seed, riders=riders, orders=orders, length=timedelta(minutes=minutes))
