"""A shard with 100,000 live tasks: what it holds resident, and how long nobody is answered when its owner is killed."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
from benchmarks.running import TENANT, engines, held_mib, order_of, settled, table

from commands.context import Secrets
from commands.order import Answer, Order, Unavailable
from commands.owners import Following
from commands.policy import Policy
from commands.router import Router
from infra.embedded.child import Child
from infra.kafka import client_args
from infra.role_process import environment
from infra.secrets import internal_key, secret, server_secrets
from infra.settings import Settings
from schemas import ids
from schemas.geo import Location
from schemas.keyring import Keyring
from schemas.stop import NewContact, NewParcel, NewStop
from schemas.task import CancelTask, CreateTask

TASKS = 100_000
CALLERS = 256
ROUNDS = 3
HOME = Location(lat=60.161, lon=24.942)


class Owner:
    """`logistics serve shards` as a process that can be killed."""

    def __init__(self, name: str, settings: Settings) -> None:
        env = environment(settings) | {
            "LOGISTICS_OWNER": name,
            "LOGISTICS_PARTITIONS": "1",
            "LOGISTICS_LOG_LEVEL": "info",
        }
        command = [sys.executable, "-m", "infra.cli", "serve", "shards"]
        self.log = settings.data / "logs" / f"{name}.log"
        self.child = Child(command, self.log, env=env)

    async def joined(self) -> None:
        """Until the group has said what is its own, if only that it is nothing."""
        async with asyncio.timeout(60):
            while not self.log.exists() or "shards assigned" not in self.log.read_text():  # noqa: ASYNC110
                await asyncio.sleep(0.1)

    def mib(self) -> float:
        return held_mib(psutil.Process(self.child.pid))


@asynccontextmanager
async def routed(settings: Settings) -> AsyncIterator[Router]:
    keyring = Keyring(secret(settings, "key_encryption_key"))
    following = Following(client_args(settings), keyring, Policy())
    await following.start()
    router = Router(following.announced, 1, internal_key(server_secrets(settings)))
    try:
        yield router
    finally:
        await router.stop()
        await following.stop()


def new_task() -> CreateTask:
    dropoff = NewStop(kind="dropoff", location=HOME, contact=NewContact(name="Cleo Contact", phone="+358401234567"))
    parcels = [NewParcel(weight_g=500) for _ in range(3)]
    return CreateTask(kind="delivery", outlet="kamppi", stops=[NewStop(kind="pickup"), dropoff], parcels=parcels)


async def insisting(router: Router, asked: Order) -> Answer:
    while True:
        with suppress(Unavailable):
            return await router.submit(asked)
        await asyncio.sleep(0.02)


async def filled(router: Router, secrets: Secrets, count: int, run: str) -> None:
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            task = ids.aggregate_id("task", TENANT, "shop", f"{run}-{number}")
            await insisting(router, order_of("task", task, new_task()))

    await asyncio.gather(*(caller() for _ in range(CALLERS)))


async def killed(router: Router, secrets: Secrets, run: str, owner: Owner, number: int) -> float:
    """Seconds from the kill to the first acknowledged command."""
    task = ids.aggregate_id("task", TENANT, "shop", f"{run}-{number}")
    began = time.perf_counter()
    owner.child.kill()
    await insisting(router, order_of("task", task, CancelTask(reason_code="changed_mind"), "cancel"))
    return time.perf_counter() - began


async def test_takeover_of_a_shard_with_live_tasks(tmp_path: Path):
    tmp_path.chmod(0o755)
    async with engines(tmp_path / "run", partitions=1) as settings, routed(settings) as router:
        secrets, run = server_secrets(settings), str(uuid4())
        owners = [Owner("owner-0", settings)]
        await owners[0].child.start()
        await settled(lambda asked: insisting(router, asked))
        await filled(router, secrets, 500, "warm")
        before = owners[0].mib()
        began = time.perf_counter()
        await filled(router, secrets, TASKS, run)
        filling_s = time.perf_counter() - began
        held = owners[0].mib() - before
        rows = [
            (f"{TASKS:,} tasks of two stops and three parcels made", f"{filling_s:.0f} s"),
            ("  their owner's memory grew by", f"{held:,.0f} MiB"),
        ]
        took: list[float] = []
        for number in range(1, ROUNDS + 1):
            owners.append(Owner(f"owner-{number}", settings))
            await owners[-1].child.start()
            await owners[-1].joined()
            took.append(await killed(router, secrets, run, owners[-2], number))
            rows.append((f"owner killed, {number}: to the next acknowledged command", f"{took[-1]:.1f} s"))
        rows.append(("  the successor holds", f"{owners[-1].mib():,.0f} MiB"))
        await owners[-1].child.stop()
        table("Takeover: one shard, one broker, fsync on each batch, the successor running", rows)
