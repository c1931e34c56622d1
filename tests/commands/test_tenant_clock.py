"""A test tenant's clock: decisions go by it, on the real log too; a live tenant has none."""

from datetime import timedelta

from story import nothing_yet
from world import World, now

from commands.policy import Policy
from commands.refusals import NotATestTenant
from commands.tenant import ClockTooFarAhead
from schemas import ids
from schemas.directory import MAX_CLOCK_AHEAD_S, MAX_CLOCK_STEP_S, AdvanceTenantClock, CreateTenant, TenantClockAdvanced
from schemas.message import NotInThisState, TenantSlug
from schemas.task import CancelTask

DAY_S = 86_400


def created(mode: str = "test"):
    return nothing_yet("tenant").when(CreateTenant(tenant="acme", name="Acme", mode=mode)).happened()  # type: ignore[arg-type]


def test_it_goes_forward_and_says_how_far_ahead_it_is():
    story = created().when(AdvanceTenantClock(seconds=60)).happened()
    story.when(AdvanceTenantClock(seconds=30)).then(TenantClockAdvanced(seconds=30, ahead_seconds=90))


def test_a_live_tenant_and_one_that_is_not_there_have_none():
    created("live").when(AdvanceTenantClock(seconds=60)).refuses(NotATestTenant)
    nothing_yet("tenant").when(AdvanceTenantClock(seconds=60)).refuses(NotInThisState)


def test_it_goes_so_far_at_most():
    story = created()
    for _ in range(MAX_CLOCK_AHEAD_S // MAX_CLOCK_STEP_S):
        story = story.when(AdvanceTenantClock(seconds=MAX_CLOCK_STEP_S)).happened()
    story.when(AdvanceTenantClock(seconds=MAX_CLOCK_STEP_S)).refuses(ClockTooFarAhead)


def test_who_is_not_known_goes_by_real_time():
    at = now()
    assert Policy().now("nobody", at) == at
    assert Policy().clocks_ahead() == {}


async def test_decisions_on_the_log_are_made_by_the_tenants_clock(world: World):
    shards = await world.owner()
    await world.settle(shards)
    before = await world.create(shards, "order-1")
    tenant = ids.tenant_id(world.tenant)
    await shards.submit(world.order("tenant", tenant, AdvanceTenantClock(seconds=DAY_S), "ahead"))
    after = await world.create(shards, "order-2")
    assert after.recorded_at - before.recorded_at >= timedelta(days=1)
    cancelled = await shards.submit(world.order("task", before.aggregate_id, CancelTask(reason_code="x"), "cancel"))
    assert cancelled.recorded_at >= after.recorded_at
    other = TenantSlug(f"{world.tenant}-other")
    made = CreateTenant(tenant=other, name="Other", mode="test")
    told = await shards.submit(world.order("tenant", ids.tenant_id(other), made, tenant=other))
    assert told.recorded_at < now() + timedelta(hours=1), "each has a clock of its own"


async def test_who_opens_the_shard_next_knows_the_clock(world: World):
    first = await world.owner()
    await world.settle(first)
    advance = AdvanceTenantClock(seconds=DAY_S)
    await first.submit(world.order("tenant", ids.tenant_id(world.tenant), advance, "ahead"))
    await first.stop()
    second = await world.owner()
    made = await world.create(second, "order-1")
    assert made.recorded_at > now() + timedelta(hours=23)
