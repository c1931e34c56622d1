"""A batch window of 300 orders and 200 riders: ways known and not, beside giving each order by itself.

Riders have up to two stops ahead; orders come from 25 kitchens in Helsinki. Ways are those of OSRM on its streets.
"""

from collections.abc import Sequence
from random import Random
from time import perf_counter, process_time

from batching import Job, job
from benchmarks.running import table
from choosing import rider, stop
from msgspec.structs import replace
from story import ACME, NOON, minutes

from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.dispatch_rules import DispatchFilters, DispatchRules
from schemas.geo import Location
from schemas.load import Load
from streams.dispatch.admission import admitted
from streams.dispatch.batch import assign, greedily, left_out, plan
from streams.dispatch.batch_question import BatchQuestion
from streams.dispatch.batch_ways import BatchedWays, straight_of
from streams.dispatch.board import board_of
from streams.dispatch.known import Seen
from streams.dispatch.table import Table
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import OneForAll

ORDERS, RIDERS, KITCHENS = 300, 200, 25
ROUNDS = 5
RULES = TenantRules(max_active_tasks=4, dispatch=DispatchRules(filters=DispatchFilters(max_lateness_seconds=600)))


async def test_a_window_of_300_orders_and_200_riders(osrm: str):
    draw = Random(7)
    kitchens = [somewhere(draw) for _ in range(KITCHENS)]
    jobs = [some_job(draw, number, kitchens) for number in range(ORDERS)]
    router = OsrmRouter(osrm, timeout_s=30.0)
    cold_s, cached_s, known_s, cpu_s, rows = [], [], [], [], []
    try:
        for round_ in range(ROUNDS):
            riders = some_riders(Random(round_))
            stops = [places for _, places in jobs]
            ways = BatchedWays(OneForAll(router))
            question = asked(riders, jobs)
            began = perf_counter()
            told = await ways.between(ACME, riders, stops)
            assign(question, told)
            cold_s.append(perf_counter() - began)
            began = perf_counter()
            told = await ways.between(ACME, riders, stops)
            answered = perf_counter()
            cpu = process_time()
            answer = assign(question, told)
            cached_s.append(perf_counter() - began)
            known_s.append(perf_counter() - answered)
            cpu_s.append(process_time() - cpu)
            board = board_of(question, told)
            began = perf_counter()
            order = sorted(range(ORDERS), key=lambda number: (question.tasks[number].since, number))
            peer_table = Table(board, admitted(question, board), RULES.max_active_tasks, None)
            peer_table.fit(range(ORDERS), range(RIDERS))
            peer = plan("peer", lambda t, c, order=order: greedily(t, c, order), peer_table, left_out(question))
            rows.append((answer.total, len(answer.left), peer.total, len(peer.left), perf_counter() - began))
    finally:
        await router.close()
    ours, left, theirs, their_left, their_s = zip(*rows, strict=True)
    table(
        f"Batch window: {ORDERS} orders, {RIDERS} riders, {ROUNDS} windows",
        [
            ("cold: every way asked of OSRM", spread(cold_s)),
            ("stops known: ways from where riders are, and dividing", spread(cached_s)),
            ("all ways known: dividing alone", spread(known_s)),
            ("… CPU", spread(cpu_s)),
            ("sum of scores, orders left", f"{sum(ours) / ROUNDS:,.0f}, {sum(left) / ROUNDS:.1f}"),
            ("one by one in order of waiting", f"{sum(theirs) / ROUNDS:,.0f}, {sum(their_left) / ROUNDS:.1f}"),
            ("… takes", spread(their_s)),
        ],
    )


def spread(seconds: Sequence[float]) -> str:
    ordered = sorted(seconds)
    return f"{ordered[len(ordered) // 2]:.2f} s ({ordered[0]:.2f} to {ordered[-1]:.2f})"


def somewhere(draw: Random) -> Location:
    return Location(lat=60.17 + draw.uniform(-0.015, 0.015), lon=24.94 + draw.uniform(-0.03, 0.03))


def some_job(draw: Random, number: int, kitchens: Sequence[Location]) -> Job:
    return job(
        f"t{number:03}",
        draw.choice(kitchens),
        somewhere(draw),
        closes=draw.choice((35.0, 50.0, 70.0)),
        grams=draw.choice((500, 2_000)),
        since=minutes(-draw.uniform(0, 10)),
        ready=draw.uniform(0, 15),
        service_s=60,
    )


def some_riders(draw: Random) -> list[Seen]:
    found = []
    for number in range(RIDERS):
        stops = [
            (stop(f"had-{number}", kind, closes=60.0, service_s=60, load=load), somewhere(draw))
            for kind, load in (("pickup", Load(weight_g=500)), ("dropoff", Load(weight_g=-500)))
        ]
        found.append(rider(f"r{number:03}", somewhere(draw), *stops[draw.randint(0, 2) :], capacity_g=9_000))
    return found


def asked(riders: Sequence[Seen], jobs: Sequence[Job]) -> BatchQuestion:
    to_first, to_ahead = straight_of(riders, [places[0] for _, places in jobs])
    return BatchQuestion(
        decided_at=NOON,
        tasks=[replace(task) for task, _ in jobs],
        riders=[seen.rider for seen in riders],
        rules=RULES,
        batch=BatchRules(),
        policy_version=1,
        to_first=to_first,
        to_ahead=to_ahead,
    )
