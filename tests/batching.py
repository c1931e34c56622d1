"""A batch window on a plain, where everybody drives straight on; and a walk of its own that judges what was given."""

from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Any

from choosing import Straight, km, rider, rules, stop
from story import ACME, NOON, minutes

from schemas.batch_rules import BatchRules
from schemas.directory import TenantRules
from schemas.geo import Location
from schemas.load import Load
from schemas.message import TaskId
from streams.dispatch.batch_question import BatchQuestion, Waiting
from streams.dispatch.batch_ways import BatchedWays, straight_of
from streams.dispatch.known import Ahead, Seen
from streams.dispatch.question import Ways

type Job = tuple[Waiting, list[Location]]


def job(
    name: str,
    at: Location,
    to: Location,
    closes: float | None = None,
    grams: int = 0,
    since: datetime = NOON,
    ready: float | None = None,
    service_s: int = 0,
    **more: Any,
) -> Job:
    up, down = Load(weight_g=grams, parcels=1), Load(weight_g=-grams, parcels=-1)
    opens = None if ready is None else 600.0
    stops = [
        stop(name, "pickup", ready, opens, service_s, up),
        stop(name, "dropoff", None, closes, service_s, down),
    ]
    return Waiting(task_id=TaskId(name), since=since, stops=stops, **more), [at, to]


async def window(
    riders: Sequence[Seen],
    jobs: Sequence[Job],
    by: TenantRules | None = None,
    batch: BatchRules | None = None,
    router: Any = None,
    now: datetime = NOON,
) -> tuple[BatchQuestion, Ways]:
    to_first, to_ahead = straight_of(riders, [places[0] for _, places in jobs])
    question = BatchQuestion(
        decided_at=now,
        tasks=[task for task, _ in jobs],
        riders=[seen.rider for seen in riders],
        rules=by or rules(),
        batch=batch or BatchRules(),
        policy_version=1,
        to_first=to_first,
        to_ahead=to_ahead,
    )
    return question, await BatchedWays(router or Straight()).between(ACME, riders, [places for _, places in jobs])


def some_riders(draw: Random, count: int, **changes: Any) -> list[Seen]:
    found = []
    for number in range(count):
        grams = draw.choice((0, 400))
        ahead: list[tuple[Ahead, Location]] = [
            (
                stop(f"had-{number}", kind, closes=draw.choice((None, 40.0)), service_s=60, load=load),
                km(draw.uniform(-3, 3), draw.uniform(-3, 3)),
            )
            for kind, load in (("pickup", Load(weight_g=grams)), ("dropoff", Load(weight_g=-grams)))
        ][draw.choice((0, 1, 2)) :]
        own = {
            "locked": bool(ahead) and draw.random() < 0.2,
            "capacity_g": draw.choice((500, 1_000)),
            "shift_ends_at": minutes(draw.choice((14, 45, 240))),
            "hours_end_at": draw.choice((None, None, minutes(60))),
            "rating": draw.choice((None, 3.0, 4.9)),
            "vehicle": draw.choice(("car", "bicycle")),
            "status": draw.choice(("approved",) * 9 + ("suspended",)),
            "skills": frozenset(draw.choice(((), ("cold",)))),
        }
        here = km(draw.uniform(-3, 3), draw.uniform(-3, 3))
        found.append(rider(f"r{number:03}", here, *ahead, **(own | changes)))
    return found


def some_jobs(draw: Random, count: int) -> list[Job]:
    kitchens = [km(draw.uniform(-2, 2), draw.uniform(-2, 2)) for _ in range(max(1, count // 3))]
    return [
        job(
            f"t{number:03}",
            draw.choice(kitchens),
            km(draw.uniform(-3, 3), draw.uniform(-3, 3)),
            closes=draw.choice((None, 25.0, 60.0)),
            grams=draw.choice((0, 200, 500)),
            since=minutes(-draw.randint(0, 20)),
            ready=draw.choice((None, 10.0)),
            service_s=draw.choice((0, 90)),
            required_skills=draw.choice(((),) * 6 + (("cold",),)),
            declined=[f"r{draw.randrange(6):03}"] if draw.random() < 0.2 else [],
        )
        for number in range(count)
    ]
