"""Whose plan is made next, and what comes of one that cannot be made."""

from collections.abc import Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from story import NOON

from infra.planning import planner
from infra.planning.planner import Planner
from projections.plans import PlanRequestRow, WantedPlan
from schemas.message import Source, TenantSlug
from schemas.plan import FailPlan, ProposePlan
from streams.dispatch.decision import nowhere
from streams.process import Done, NotNow, Step


def plan(tenant: str, name: str) -> WantedPlan:
    request = PlanRequestRow(
        tasks=[],
        riders=[],
        outlets=[],
        until=None,
        objective="duration",
        seconds=1,
        seed=0,
        replan=False,
        commit="by_hand",
    )
    return WantedPlan(tenant=tenant, plan_id=name, request=request)


class Desk:
    """Plans that wait, and what was sent for them."""

    def __init__(self, *waiting: WantedPlan) -> None:
        self.waiting = list(waiting)
        self.sent: list[tuple[str, Any]] = []

    async def wanted(self, connection: Any) -> Sequence[WantedPlan]:
        return list({each.tenant: each for each in reversed(self.waiting)}.values())

    async def send(self, step: Step, source: Source, tenant: TenantSlug) -> Done:
        self.waiting = [each for each in self.waiting if each.plan_id != step.aggregate_id]
        self.sent.append((step.aggregate_id, step.command))
        return Done({})

    @asynccontextmanager
    async def connection(self) -> Any:
        yield None

    async def wave(self, tenant: TenantSlug, request: PlanRequestRow) -> Any:
        raise LookupError("what nobody thought of")

    def now(self, tenant: TenantSlug) -> Any:
        return NOON


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    made = Desk(plan("acme", "a1"), plan("acme", "a2"), plan("acme", "a3"), plan("lumi", "l1"))
    monkeypatch.setattr(planner, "wanted", made.wanted)
    return made


async def test_who_asks_for_many_plans_keeps_nobody_else_waiting_and_a_broken_one_is_told(desk: Desk):
    anything: Any = desk
    making = Planner(anything, anything, anything, desk.send, nowhere)
    while await making.look():
        pass
    names = [name for name, _ in desk.sent]
    assert names.index("l1") <= 1
    assert [name for name in names if name != "l1"] == ["a1", "a2", "a3"]
    assert not any(isinstance(command, ProposePlan) for _, command in desk.sent)
    told = {command.told for _, command in desk.sent if isinstance(command, FailPlan)}
    assert told == {"LookupError: what nobody thought of"}
    await making.close()


async def test_what_could_not_be_sent_is_sent_again_and_not_made_again(desk: Desk):
    desk.waiting, anything = [plan("acme", "a1")], desk
    made: list[str] = []

    async def wave(tenant: TenantSlug, request: PlanRequestRow) -> Any:
        made.append(tenant)
        raise LookupError("what nobody thought of")

    async def nobody(step: Step, source: Source, tenant: TenantSlug) -> Done:
        raise NotNow("the shard is not open")

    desk.wave = wave  # type: ignore[method-assign]
    given: Any = anything
    making = Planner(given, given, given, nobody, nowhere)
    for _ in range(3):
        with pytest.raises(NotNow):
            await making.look()
    making._send = desk.send
    assert (await making.look(), await making.look(), made) == (1, 0, ["acme"])
