"""Plays a day by a policy."""

from infra.simulate.day import Engine, Lived, World
from infra.simulate.instant import Instant
from infra.simulate.policy import Policy
from infra.simulate.riding import Roads
from infra.simulate.windows import Windows
from infra.simulate.world import Day
from streams.dispatch.ways import Router


async def played(day: Day, policy: Policy, router: Router, seed: int) -> Lived:
    """The same day, policy and seed are played the same."""
    world = World(day, policy, Roads(router), seed)
    engine: Engine = Windows(world) if policy.engine == "batch" else Instant(world)
    return await world.live(engine)
