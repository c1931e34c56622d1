"""I9: every process follows the whole log again, with no place kept: not one new event may come of it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from commands.order import Answer, Desk, Order
from infra.check.finding import Finding, Verdict, verdict
from infra.check.reading import whole_log
from infra.lookups import Lookups
from infra.sending import Sending
from schemas.keyring import Keyring
from schemas.record import Stored
from streams.dispatch.decision import Decision, Router
from streams.dispatch.itinerary import itinerary
from streams.dispatch.tendering import tendering
from streams.process import Process
from streams.runner import Runner


class Watching:
    """A desk that tells what changed although it should not have."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.asked = 0
        self.findings: list[Finding] = []

    async def submit(self, order: Order) -> Answer:
        self.asked += 1
        answer = await self._desk.submit(order)
        if answer.events and not answer.repeated:
            what = f"{type(order.command).__name__} led to {', '.join(answer.events)}"
            self.findings.append(Finding("I9", f"{order.kind} {order.aggregate_id}", what))
        return answer


async def check_replay(
    desk: Desk,
    lookups: Lookups,
    router: Router,
    keyring: Keyring,
    client_args: Mapping[str, Any],
    ends: Mapping[tuple[str, int], int],
    clock: Callable[[], datetime],
) -> Verdict:
    """`ends` is where the running processes are through: what they are about to do is theirs to do."""
    watching = Watching(desk)
    send = Sending(watching, "dispatch", lookups.saw)
    decide = Decision(lookups, lookups, router, clock)
    process = Process("dispatch", [*tendering(lookups, decide), *itinerary(lookups)], send)
    unread: list[Stored] = []

    async def dead(stored: Stored, reason: str) -> None:
        unread.append(stored)

    runner = Runner([process], lambda e, p: keyring.unsealer(p, e.tenant, e.aggregate_id), dead)
    async for stored in whole_log(client_args, ends):
        await runner.take({(stored.topic, stored.partition): [stored]})
    return verdict("I9", watching.asked, watching.findings)
