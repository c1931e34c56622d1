"""Closed windows are decided on beside the facts, once, whatever ends in between and however often it begins anew."""

import asyncio
from collections import Counter
from typing import Any

import pytest
from choosing import Straight
from quarter import until
from read_models import ReadModels
from reception import House
from story import ACME, KAMPPI, minutes

from gateway.why.asked import asked_on
from infra.artefacts import in_memory
from infra.check.replay import NobodyIsAsked, told_already
from infra.decision_records import DecisionRecords
from infra.lookups import Lookups
from infra.sending import Sending
from infra.why import made_again
from infra.window_desk import WindowDesk, window_of
from projections.deadlines import due
from projections.windows import to_decide
from schemas import ids
from schemas.batch_rules import BatchRules
from schemas.directory import ChangeTenantRules, TenantRules
from schemas.dispatch_rules import DispatchRules
from schemas.dispatch_window import WindowDecided
from schemas.message import RiderId, Source, TaskId, TenantSlug
from schemas.record import Stored, envelope_of, event_of, source_of
from schemas.rider import ApproveRider, RegisterRider, StartShift
from schemas.task import CancelTask
from schemas.tender import DispatchDecisionRecorded, OfferSent, TenderExhausted
from streams.deadlines import source_of as source_of_deadline
from streams.deadlines import step_of
from streams.dispatch.decision import Decision
from streams.dispatch.windows import ClosedWindow, WindowDecision, WindowTenders
from streams.process import Done, NotAllowed, Step
from streams.processes import every_process
from streams.runner import Runner

BY_WINDOWS = TenantRules(max_active_tasks=1, dispatch=DispatchRules(batch=BatchRules(window_seconds=60, max_bundle=1)))
RIDERS = [RiderId("ann"), RiderId("bob")]


class Ended(Exception):
    """All processes, at once."""


class Running:
    """The processes over a desk in memory and real read models. Where they end at each step they do so before any
    command that is sent for the first time, and again after it."""

    def __init__(self, house: House, models: ReadModels, ends_at_each: bool = False) -> None:
        self.house, self.models, self.ends_at_each = house, models, ends_at_each
        self.ended = 0
        self.known: Counter[str] = Counter()
        self.store = in_memory()
        self.desk: Any = None
        self.begin()

    def begin(self) -> None:
        """With nothing in memory, and no place kept."""
        house, pool = self.house, self.house.door.pool
        self.lookups = Lookups(pool, house.policy, house.keyring, house.door.partitions, lambda: house.now)
        records = DecisionRecords(self.store)
        route = Straight()
        decide = Decision(self.lookups, self.lookups, route, self.lookups.now)
        self.decide = WindowDecision(self.lookups, self.lookups, route, self.lookups.now, records.keep)
        self.windows = WindowDesk(pool, self.decide, self.send, self.lookups.now)
        tenders = WindowTenders(self.lookups.now, records.record)
        opener = lambda envelope, p: house.keyring.unsealer(p, envelope.tenant, envelope.aggregate_id)  # noqa: E731
        nobody = NobodyIsAsked()
        self.runner = Runner(
            every_process(self.lookups, decide, tenders, self.send, house.desk.forget, told_already, nobody, nobody),
            opener,
            self.dead,
        )
        self.place = 0

    async def dead(self, stored: Stored, reason: str) -> None:
        raise AssertionError(reason)

    async def send(self, step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        sending = Sending(self.house.desk, "dispatch", lambda position: None)
        self.known[command_id := step.command_id(source)] += 1
        if not self.ends_at_each or self.known[command_id] > 2:
            return await sending(step, source, tenant)
        self.ended += 1
        if self.known[command_id] == 2:
            await sending(step, source, tenant)
        raise Ended

    async def until_quiet(self) -> None:
        """Beginning anew whenever they have ended."""
        while True:
            before, again = len(self.house.desk.log), False
            try:
                await self.once()
            except* Ended:
                self.begin()
                again = True
            if len(self.house.desk.log) == before and not again:
                return

    async def once(self) -> None:
        await self.models.fold()
        fresh = self.house.desk.log[self.place :]
        for stored in fresh:
            await self.models.fold()
            await self.runner.take({(stored.topic, stored.partition): [stored]})
        self.place += len(fresh)
        await self.models.fold()
        await self.fire_due()
        await self.decide_windows()

    async def fire_due(self) -> None:
        async with self.house.door.pool.connection() as connection:
            rows = await due(connection, range(self.house.door.partitions), self.house.now, 100)
        for row in rows:
            await self.send(step_of(row), source_of_deadline(row, self.house.now), row["tenant"])

    async def decide_windows(self) -> None:
        async with self.house.door.pool.connection() as connection:
            rows = await to_decide(connection, [], 10)
        for row in rows:
            await self.windows.sent(row, await self.windows.decided(window_of(row)))

    def facts(self, cls: type) -> list[tuple[Source, Any]]:
        found = []
        for stored in self.house.desk.log:
            envelope = envelope_of(stored)
            unseal = self.house.keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id)
            event = event_of(stored, unseal)
            if isinstance(event, cls):
                found.append((source_of(envelope, stored), event))
        return found


@pytest.fixture
async def shop(library: tuple[House, ReadModels]) -> tuple[House, ReadModels]:
    """Two riders at work, a tenant that gives by windows, and three orders."""
    house, models = library
    for rider in RIDERS:
        await house.process("rider", rider, RegisterRider(name=rider))
        await house.process("rider", rider, ApproveRider())
        await house.process("rider", rider, StartShift(ends_at=minutes(480), location=KAMPPI))
    await house.process("tenant", ids.tenant_id(ACME), ChangeTenantRules(rules=BY_WINDOWS))
    for name in ("one", "two", "three"):
        await house.expects(name)
    return house, models


async def until_decided(running: Running) -> None:
    await running.until_quiet()
    running.house.now = minutes(1)
    await running.until_quiet()


async def test_two_of_three_are_given_and_the_third_is_left_with_its_code(shop: tuple[House, ReadModels]):
    running = Running(*shop)
    await until_decided(running)
    [(_, decided)] = running.facts(WindowDecided)
    assert sorted(each.rider_id for each in decided.given) == RIDERS
    assert [each.code for each in decided.left] == ["too_many_tasks"]
    decisions = {event.task_id: event for _, event in running.facts(DispatchDecisionRecorded)}
    assert decisions.keys() == {"one", "two", "three"}
    assert len(running.facts(OfferSent)) == 2
    assert len(running.facts(TenderExhausted)) == 1


async def test_each_tells_why_from_the_read_models_and_is_divided_again_from_its_record_the_same(
    shop: tuple[House, ReadModels],
):
    running = Running(*shop)
    await until_decided(running)
    async with running.house.door.pool.connection() as connection:
        whys = [await asked_on(connection, name, ACME) for name in ("one", "two", "three")]
    for why in whys:
        assert any("in a window of 3 tasks and 2 riders" in said for said in why.told)
        assert [each.same for each in await made_again(running.store, why)] == [True]
    said = " ".join(sentence for why in whys for sentence in why.told)
    assert said.count("The window gave it to rider") == 2
    assert said.count("The window left it, because of too_many_tasks") == 1


async def test_wherever_they_end_and_begin_anew_each_task_is_decided_on_once_and_as_it_was_first(
    shop: tuple[House, ReadModels],
):
    """Before each command in turn, from the first join to the last tender."""
    running = Running(*shop, ends_at_each=True)
    await until_decided(running)
    assert running.ended > 8
    [(window, decided)] = running.facts(WindowDecided)
    given = {task.task_id: each.rider_id for each in decided.given for task in each.tasks}
    offers = {source.aggregate_id: event.rider_id for source, event in running.facts(OfferSent)}
    assert offers == {ids.tender_id(TaskId(task), 1): rider for task, rider in given.items()}
    assert Counter(event.task_id for _, event in running.facts(DispatchDecisionRecorded)) == Counter(
        ["one", "two", "three"]
    )
    for _, event in running.facts(DispatchDecisionRecorded):
        assert event.input_hash == decided.input_hash
        assert event.in_window.window_id == window.aggregate_id


async def test_followed_from_nothing_nothing_is_added(shop: tuple[House, ReadModels]):
    running = Running(*shop)
    await until_decided(running)
    before = len(running.house.desk.log)
    running.begin()
    running.house.now = minutes(1.5)
    await running.until_quiet()
    assert len(running.house.desk.log) == before


async def test_what_was_called_off_meanwhile_is_left_out(shop: tuple[House, ReadModels]):
    running = Running(*shop)
    await running.until_quiet()
    await running.house.process("task", "two", CancelTask(reason_code="changed_mind"))
    running.house.now = minutes(1)
    await running.until_quiet()
    [(_, decided)] = running.facts(WindowDecided)
    assert decided.gone == ["two"]
    assert {event.task_id for _, event in running.facts(DispatchDecisionRecorded)} == {"one", "three"}


async def test_the_desk_finds_what_has_closed_and_does_it_beside_all_else(shop: tuple[House, ReadModels]):
    running = Running(*shop)
    await running.until_quiet()
    running.house.now = minutes(1)
    await running.fire_due()
    await running.models.fold()
    looking = asyncio.create_task(running.windows.run())

    async def decided() -> list[Any]:
        return running.facts(WindowDecided)

    await until(decided, bool)
    looking.cancel()
    await asyncio.gather(looking, return_exceptions=True)
    assert len(running.facts(WindowDecided)) == 1


async def test_where_deciding_fails_its_tasks_come_again_in_the_next_round(
    shop: tuple[House, ReadModels], monkeypatch: pytest.MonkeyPatch
):
    async def fails(window: ClosedWindow) -> Any:
        raise ValueError("no such thing")

    running = Running(*shop)
    await running.until_quiet()
    monkeypatch.setattr(running.windows, "_decide", fails)
    running.house.now = minutes(1)
    await running.until_quiet()
    [(_, decided)] = running.facts(WindowDecided)
    assert {each.code for each in decided.left} == {"not_decided"}
    running.begin()
    running.house.now = minutes(3)
    await running.until_quiet()
    running.house.now = minutes(4)
    await running.until_quiet()
    assert len(running.facts(OfferSent)) == 2
