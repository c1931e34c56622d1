"""`make faults`: the whole system under load while everything that can fail does, and then the log is judged.

What runs is what runs in production (`plant.py`): one broker or three, Postgres, OSRM, two gateways of which one owns
shards too, two more owners of shards, two each of projector, processes and streams. Between them and the brokers, and
Postgres, stand proxies that know who comes to them, so that one process alone can be cut off: an owner that the brokers
do not hear, and that the gateways still ask, is what I6 is about.

Eight integrators and a town of riders load it (`clients.py`). All write down what they were told before they go on. An
integrator asks until it is told, and each of its tasks is its alone, so it knows what every answer must be (`told.py`).

The faults are drawn from the seed (`nemesis.py`), overlap, and each is written to `faults.jsonl`. At the end all is
healed, everybody is answered, the read models catch up, and what `logistics check` judges is judged with the clients'
journals; with it I6, and that no read is older than its token. The exit code is 1 if anything is broken, was not judged
or left a client without an answer. The data are kept then.

    python -m tests.faults.run --seed 7 --brokers 3 --minutes 2      plays one seed again
    python -m tests.faults.run --seeds 10 --minutes 30               ten seeds, one and three brokers in turn
"""

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Annotated, cast

import msgspec
import typer
from psycopg import AsyncConnection, OperationalError
from rich.console import Console

from infra.check.finding import Verdict
from infra.check.reading import ends_of
from infra.check.run import checked
from infra.check.run import told as verdicts_told
from infra.kafka import client_args
from infra.lag import FOLLOWED, lag_records
from infra.observability import quiet
from tests.faults.clients import Clients
from tests.faults.nemesis import KINDS, Kind, Nemesis, drawn
from tests.faults.plant import Plant, running
from tests.faults.report import Outcome, injected, summary, tell
from tests.faults.told import lines, verdicts

DATA = Path(".logistics/faults")
AFTER_HEALING_S = 3.0
ANSWERED_WITHIN_S = 60.0
"""After everything is healed nobody waits longer."""
CAUGHT_UP_WITHIN_S = 120.0
LOOK_EVERY_S = 0.5
BROKEN = 1

type Say = Callable[[str], None]


async def one_run(seed: str, brokers: int, seconds: float, data: Path, only: Sequence[Kind], say: Say) -> Outcome:
    """Raises NotWell where the system does not come up, or not back."""
    async with running(data, brokers, say) as plant:
        clients = Clients(seed, plant.settings, plant.urls, data)
        try:
            await clients.settle()
            nemesis = Nemesis(plant, drawn(seed, seconds, brokers, only), data / "faults.jsonl", say)
            await under_faults(plant, clients, nemesis, seconds)
            say("all is healed; everybody is answered")
            await plant.ready()
            await asyncio.sleep(AFTER_HEALING_S)
            await clients.stop(ANSWERED_WITHIN_S)
            say("the clients have stopped; the read models catch up")
            await caught_up(plant)
            return await judged(plant, clients, nemesis, seed, brokers, seconds)
        finally:
            await clients.close()


async def under_faults(plant: Plant, clients: Clients, nemesis: Nemesis, seconds: float) -> None:
    """Until all is healed again, and not before the time is over."""
    clients.start()
    end_s = time.monotonic() + seconds
    injecting = asyncio.create_task(nemesis.run())
    try:
        while time.monotonic() < end_s or not injecting.done():
            plant.failed()
            clients.failed()
            await asyncio.sleep(LOOK_EVERY_S)
        await injecting
        await nemesis.over()
    finally:
        injecting.cancel()
        await nemesis.cancel()


async def caught_up(plant: Plant) -> None:
    """As far as the processes let it: what they add is folded, too. Who judges says what is missing."""
    settings, topics = plant.settings, sorted(FOLLOWED)
    end_s, still = time.monotonic() + CAUGHT_UP_WITHIN_S, 0
    while time.monotonic() < end_s and still < 3:
        ends = await ends_of(client_args(settings), topics, settings.partitions)
        try:
            async with await AsyncConnection.connect(settings.postgres.get_secret_value()) as connection:
                still = still + 1 if await lag_records(connection, ends) == 0 else 0
        except OperationalError:
            still = 0
        await asyncio.sleep(LOOK_EVERY_S)


async def judged(plant: Plant, clients: Clients, nemesis: Nemesis, seed: str, brokers: int, seconds: float) -> Outcome:
    folder, counts = plant.data, clients.counts
    found, log = await checked(plant.settings, sorted((folder / "journals").glob("*.jsonl")))
    found += verdicts(lines(sorted((folder / "told").glob("*.jsonl"))))
    found.sort(key=place_of)
    at = counts.acknowledged_at
    return Outcome(
        seed=seed,
        brokers=brokers,
        seconds=seconds,
        holds=holds(found) and not counts.unanswered,
        verdicts=found,
        injected=injected(nemesis.done, nemesis.spans, at),
        asked=counts.asked,
        acknowledged=len(at),
        sent=counts.sent,
        turned_away=dict(counts.turned_away),
        unanswered=counts.unanswered,
        longest_gap_s=max((b - a for a, b in pairwise(at)), default=0.0),
        events=dict(log.by_topic),
        delivered=log.by_type.get("TaskCompleted", 0),
        ended_by_themselves={f"{name} with {code}": count for (name, code), count in plant.ends().items()},
        rides=dict(clients.town.counts),
        ticks_failed=dict(counts.ticks_failed),
    )


def place_of(verdict: Verdict) -> tuple[int, str]:
    """I1 to I10 by their numbers, then the others."""
    number = verdict.invariant.removeprefix("I")
    return (int(number), "") if number.isdigit() else (sys.maxsize, verdict.invariant)


def holds(found: Sequence[Verdict]) -> bool:
    """Each of them judged, and on something: what runs here leaves none out."""
    return all(verdict.state == "holds" and verdict.looked_at > 0 for verdict in found)


def play(seed: str, brokers: int, seconds: float, data: Path, only: Sequence[Kind], following: bool) -> Outcome:
    """One seed from nothing. `data` are its own, and what is there is thrown away."""
    shutil.rmtree(data, ignore_errors=True)
    data.mkdir(parents=True)
    began_s, console = time.monotonic(), Console()

    def say(text: str) -> None:
        if following:
            console.print(f"  {time.monotonic() - began_s:6.1f} s  {text}", markup=False, highlight=False)

    outcome = asyncio.run(one_run(seed, brokers, seconds, data, only, say))
    (data / "outcome.json").write_bytes(msgspec.json.format(msgspec.json.encode(outcome)))
    console.print()
    tell(outcome, console)
    console.print()
    verdicts_told(outcome.verdicts, console)
    return outcome


def main(
    seed: Annotated[str | None, typer.Option(help="Draws the same faults again; without it a new one")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="So many, counted on from the first, one after the other")] = 2,
    minutes: Annotated[float, typer.Option(min=0.2, help="Under faults, all seeds together")] = 5.0,
    hours: Annotated[float, typer.Option(help="Instead of minutes")] = 0.0,
    brokers: Annotated[int, typer.Option(help="1 or 3; without it in turn")] = 0,
    data: Annotated[Path, typer.Option(help="A folder for the runs' data")] = DATA,
    keep: Annotated[bool, typer.Option("--keep", help="The data, even if all holds")] = False,
    only: Annotated[str, typer.Option(help=f"Of these faults alone: {', '.join(KINDS)}")] = "",
    quietly: Annotated[bool, typer.Option("--quiet", help="Without a line for each fault")] = False,
) -> None:
    """Break everything for a while, then judge the log."""
    quiet()
    kinds = kinds_of(only)
    first = int(seed) if seed is not None else int(time.time()) % 1_000_000
    seeds = 1 if seed is not None and seeds == 2 and brokers else seeds
    seconds = (60 * hours or minutes) * 60 / seeds
    outcomes: list[Outcome] = []
    for n in range(seeds):
        count = brokers or (1, 3)[n % 2]
        again = f"python -m tests.faults.run --seed {first + n} --seeds 1 --brokers {count} --minutes {seconds / 60:g}"
        again += f" --only {only!r}" if only else ""
        print(f"\n{again}", flush=True)
        folder = data / f"{first + n}-{count}"
        try:
            outcomes.append(play(str(first + n), count, seconds, folder, kinds, not quietly))
        except BaseException:
            print(f"\nnot judged; the data are in {folder}; again: {again}", file=sys.stderr)
            raise
        if not outcomes[-1].holds:
            print(f"\nDOES NOT HOLD; the data are in {folder}; again: {again}", flush=True)
        elif not keep:
            shutil.rmtree(folder, ignore_errors=True)
    print()
    Console().print(summary(outcomes))
    sys.exit(0 if all(outcome.holds for outcome in outcomes) else BROKEN)


def kinds_of(only: str) -> list[Kind]:
    """Raises BadParameter."""
    words = [word.strip() for word in only.split(",") if word.strip()]
    if unknown := set(words) - set(KINDS):
        raise typer.BadParameter(f"there is no fault {', '.join(sorted(unknown))}; one of {', '.join(KINDS)}")
    return [cast(Kind, word) for word in words]


if __name__ == "__main__":
    typer.run(main)
