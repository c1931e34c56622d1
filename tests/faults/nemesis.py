"""What is done to the plant: a schedule drawn from a seed, and the hands that do it.

The same seed draws the same schedule: what, to whom, when, for how long. What it meets differs from run to run.
"""

import asyncio
import random
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

import msgspec

from infra.endpoints import NotRunning
from infra.settings import WrongSetting
from infra.shards import members, moved
from tests.faults.plant import OWNERS, ROLES, Plant
from tests.tcp_proxy import Fault, TcpProxy

type Kind = Literal[
    "kill",
    "freeze",
    "cut",
    "refuse",
    "delay",
    "hold",
    "drop answers",
    "kill broker",
    "restart broker",
    "freeze broker",
    "two of three brokers",
    "kill postgres",
    "restart postgres",
    "move a shard",
    "one owner more",
    "one owner less",
]
KINDS: tuple[Kind, ...] = get_args(Kind.__value__)

WEIGHTS: dict[Kind, float] = {
    "kill": 6,
    "freeze": 6,
    "cut": 3,
    "refuse": 1.5,
    "delay": 2,
    "hold": 4,
    "drop answers": 2.5,
    "kill broker": 1.5,
    "restart broker": 1,
    "freeze broker": 0.7,
    "two of three brokers": 0.4,
    "kill postgres": 0.7,
    "restart postgres": 0.7,
    "move a shard": 3,
    "one owner more": 0.7,
    "one owner less": 1,
}
MEAN_GAP_S = 2.5
CALM_AT_FIRST_S, CALM_AT_LAST_S = 2.0, 4.0
ALL_ROLES = tuple(ROLES)
RECOVERY_S = 4.0
"""After a fault of a victim before the next of the same kind of part; a part that is not up by then is passed over."""
REDRAWN = 20
OF_OWNERS = 0.6
"""Of all kills and freezes so many are of a process that owns shards: most depends on them."""
OF_ALL = 0.2
"""Of the network's faults so many are everybody's with one target; the others are one process's."""
OF_POSTGRES = 0.25
MOVED_WITHIN_S = 15.0
UP_AGAIN_WITHIN_S = 90.0


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """`victim` is a part; of the network it is the target, and `of` who is kept from it, None for everybody."""

    at_s: float
    kind: Kind
    victim: str
    of: str | None = None
    for_s: float = 0.0
    delay_s: float = 0.0
    number: int = 0
    """Whatever else chance has to say."""


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the journal of faults. Times are seconds since 1970."""

    planned: Planned
    began_at: float
    ended_at: float
    went: bool
    why: str | None = None
    """Why it was not done, or not to its end."""


class Chance:
    def __init__(self, seed: str, brokers: int) -> None:
        self._of = random.Random(f"faults|{seed}|{brokers}")
        self._brokers = ["kafka"] if brokers == 1 else [f"kafka-{n}" for n in range(1, brokers + 1)]

    def gap_s(self) -> float:
        return self._of.expovariate(1 / MEAN_GAP_S)

    def planned(self, at_s: float, kinds: Sequence[Kind]) -> Planned:
        of = self._of
        kind = of.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]
        number = of.randrange(1_000_000)
        match kind:
            case "kill":
                names = (*ALL_ROLES, "osrm")
                victim = of.choice(OWNERS) if of.random() < OF_OWNERS else of.choice(names)
                return Planned(at_s=at_s, kind=kind, victim=victim, for_s=of.uniform(0.2, 3.0), number=number)
            case "freeze":
                victim = of.choice(OWNERS) if of.random() < OF_OWNERS else of.choice(ALL_ROLES)
                for_s = of.uniform(2.2, 8.0) if of.random() < 0.7 else of.uniform(0.5, 2.2)
                return Planned(at_s=at_s, kind=kind, victim=victim, for_s=for_s, number=number)
            case "cut" | "refuse" | "delay" | "hold" | "drop answers":
                return self._of_network(at_s, kind, number)
            case "kill broker" | "restart broker" | "freeze broker":
                for_s = of.uniform(0.5, 4.0) if kind == "freeze broker" else of.uniform(0.2, 3.0)
                victim = of.choice(self._brokers)
                return Planned(at_s=at_s, kind=kind, victim=victim, for_s=for_s, number=number)
            case "two of three brokers":
                return Planned(at_s=at_s, kind=kind, victim="brokers", for_s=5.0, number=number)
            case "kill postgres" | "restart postgres":
                return Planned(at_s=at_s, kind=kind, victim="postgres", for_s=of.uniform(0.2, 3.0), number=number)
            case "move a shard":
                return Planned(at_s=at_s, kind=kind, victim=f"shard {number % 8}", number=number // 8)
            case "one owner more":
                return Planned(at_s=at_s, kind=kind, victim="shards-3", for_s=of.uniform(6, 20), number=number)
            case "one owner less":
                victim = of.choice(("shards-1", "shards-2"))
                return Planned(at_s=at_s, kind=kind, victim=victim, for_s=of.uniform(2, 8), number=number)

    def _of_network(self, at_s: float, kind: Kind, number: int) -> Planned:
        of = self._of
        everybody = of.random() < OF_ALL
        kafka = of.choice(self._brokers) if everybody else "kafka"
        victim = "postgres" if of.random() < OF_POSTGRES else kafka
        owners = of.random() < OF_OWNERS
        name = of.choice(OWNERS if owners and victim != "postgres" else ALL_ROLES)
        length = {"cut": (0.0, 0.0), "refuse": (0.5, 3.0), "delay": (3.0, 10.0), "hold": (1.0, 6.0)}
        return Planned(
            at_s=at_s,
            kind=kind,
            victim=victim,
            of=None if everybody else name,
            for_s=of.uniform(*length.get(kind, (1.0, 4.0))),
            delay_s=of.uniform(0.05, 0.5) if kind == "delay" else 0.0,
            number=number,
        )


def drawn(seed: str, seconds: float, brokers: int, only: Sequence[Kind] = ()) -> list[Planned]:
    """What is to be done within so many seconds. A part has one fault of a kind at a time, and at most one broker is
    down, but where two are meant to be."""
    chance = Chance(seed, brokers)
    kinds = [kind for kind in KINDS if (not only or kind in only) and (brokers > 1 or kind != "two of three brokers")]
    found: list[Planned] = []
    free_at: dict[str, float] = {}
    at_s = CALM_AT_FIRST_S + chance.gap_s()
    while at_s < seconds - CALM_AT_LAST_S:
        for _ in range(REDRAWN):
            planned = chance.planned(at_s, kinds)
            what = suffering(planned)
            if free_at.get(what, 0.0) <= at_s:
                free_at[what] = at_s + planned.for_s + RECOVERY_S
                found.append(planned)
                break
        at_s += chance.gap_s()
    return found


def suffering(planned: Planned) -> str:
    """What can have only one such fault at a time."""
    if planned.victim.startswith(("kafka", "brokers")) and (planned.of is None):
        return "brokers"
    if planned.kind in ("cut", "refuse", "delay", "hold", "drop answers"):
        return f"{planned.of} and {planned.victim}"
    return planned.victim


class NotDone(Exception):
    """What was planned met a part that is not there now, or did not come to its end."""


class Nemesis:
    """`say` hears of each fault as it begins."""

    def __init__(self, plant: Plant, plan: Sequence[Planned], journal: Path, say: Callable[[str], None]) -> None:
        self._plant, self._plan, self._say = plant, plan, say
        self._journal = journal
        self._under_way: set[asyncio.Task[None]] = set()
        self.done: list[Done] = []
        self.spans: list[tuple[float, float]] = []
        """Of each done, by the monotonic clock."""

    async def run(self) -> None:
        """To the end of the plan; what is under way then goes on."""
        began_s = time.monotonic()
        for planned in self._plan:
            await asyncio.sleep(max(0.0, began_s + planned.at_s - time.monotonic()))
            task = asyncio.create_task(self._inject(planned))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def over(self) -> None:
        """Once everything is healed that was done."""
        async with asyncio.timeout(UP_AGAIN_WITHIN_S):
            while self._under_way:
                await asyncio.wait(self._under_way)

    async def cancel(self) -> None:
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _inject(self, planned: Planned) -> None:
        began_at, began_s, why = time.time(), time.monotonic(), None
        of = f" of {planned.of}" if planned.of else ""
        self._say(f"{planned.at_s:6.1f} {planned.kind}: {planned.victim}{of} {planned.for_s:.1f} s")
        try:
            await self._do(planned)
        except (NotDone, NotRunning, WrongSetting, TimeoutError) as hindered:
            why = str(hindered) or type(hindered).__name__
        done = Done(planned=planned, began_at=began_at, ended_at=time.time(), went=why is None, why=why)
        self.done.append(done)
        self.spans.append((began_s, time.monotonic()))
        with self._journal.open("ab") as lines:
            lines.write(msgspec.json.encode(done) + b"\n")

    async def _do(self, planned: Planned) -> None:
        match planned.kind:
            case "kill" | "kill broker" | "kill postgres":
                await self._ended(planned.victim, signal.SIGKILL, planned.for_s)
            case "restart broker" | "one owner less":
                await self._ended(planned.victim, signal.SIGTERM, planned.for_s)
            case "restart postgres":
                await self._ended(planned.victim, signal.SIGINT, planned.for_s)
            case "freeze" | "freeze broker":
                await self._frozen(planned)
            case "two of three brokers":
                two = random.Random(planned.number).sample(self._plant.brokers, 2)
                await asyncio.gather(*(self._ended(broker, signal.SIGKILL, planned.for_s) for broker in two))
            case "cut":
                for proxy in self._plant.proxies(planned.victim):
                    proxy.cut(planned.of)
            case "refuse" | "delay" | "hold" | "drop answers":
                async with suffered(self._plant.proxies(planned.victim), planned):
                    await asyncio.sleep(planned.for_s)
            case "move a shard":
                await self._move(planned)
            case "one owner more":
                await self._one_more(planned)

    async def _ended(self, name: str, sign: signal.Signals, down_s: float) -> None:
        kept = self._plant.parts.get(name)
        if kept is None or not kept.up.is_set():
            raise NotDone(f"{name} is down")
        async with asyncio.timeout(UP_AGAIN_WITHIN_S):
            await kept.ended(sign, down_s)

    async def _frozen(self, planned: Planned) -> None:
        kept = self._plant.parts.get(planned.victim)
        if kept is None or not kept.up.is_set():
            raise NotDone(f"{planned.victim} is down")
        kept.send(signal.SIGSTOP)
        try:
            await asyncio.sleep(planned.for_s)
        finally:
            kept.send(signal.SIGCONT)

    async def _move(self, planned: Planned) -> None:
        shard = int(planned.victim.rpartition(" ")[2])
        async with asyncio.timeout(MOVED_WITHIN_S):
            try:
                owners = sorted(await members(self._plant.settings))
                if not owners:
                    raise NotDone("no owner is there")
                state, _ = await moved(self._plant.settings, shard, owners[planned.number % len(owners)])
            except (TimeoutError, NotDone, NotRunning, WrongSetting):
                raise
            except Exception as failed:  # a client that met another fault
                raise NotDone(repr(failed)) from failed
        if not state.open:
            raise NotDone(f"{planned.victim} is not open")

    async def _one_more(self, planned: Planned) -> None:
        if planned.victim in self._plant.parts:
            raise NotDone(f"{planned.victim} is there already")
        await self._plant.add(planned.victim)
        try:
            await asyncio.sleep(planned.for_s)
        finally:
            sign = signal.SIGKILL if planned.number % 2 else signal.SIGTERM
            await asyncio.shield(self._plant.remove(planned.victim, sign))


@asynccontextmanager
async def suffered(proxies: Sequence[TcpProxy], planned: Planned) -> AsyncIterator[None]:
    begun: list[tuple[TcpProxy, Fault]] = [(proxy, begin(proxy, planned)) for proxy in proxies]
    try:
        yield
    finally:
        for proxy, fault in begun:
            with suppress(ValueError):
                proxy.heal(fault)


def begin(proxy: TcpProxy, planned: Planned) -> Fault:
    match planned.kind:
        case "refuse":
            return proxy.refuse(planned.of)
        case "delay":
            return proxy.delay(planned.delay_s, planned.of)
        case "hold":
            return proxy.hold(planned.of)
        case "drop answers":
            return proxy.drop_answers(planned.of)
        case _:
            raise AssertionError(f"{planned.kind} is no fault that lasts in the network")
