"""Riders and a task on a plain, where everybody drives straight on: a decision made by what is known of them."""

from collections.abc import Sequence
from datetime import datetime
from random import Random
from typing import Any

import msgspec
from story import ACME, NOON, minutes

from schemas.directory import TenantRules
from schemas.dispatch_rules import DispatchFilters, DispatchRules, ScoreWeights
from schemas.geo import Location, Window
from schemas.load import NOTHING, Load
from schemas.message import RiderId, StopId, TaskId, TenantSlug
from schemas.rider import StopKind
from schemas.tender import OpenTender
from streams.dispatch.choice import choose
from streams.dispatch.known import Ahead, KnownRider, Seen
from streams.dispatch.question import Question, Record, recorded
from streams.dispatch.shortlist import LOOKED_AT_CLOSELY, shortlist
from streams.dispatch.straight import straight_ways
from streams.dispatch.ways import AskedWays
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured

TASK = TaskId("task-1")
KM_S = 1_000 * 1.4 / 6.0
"""Seconds for a kilometre as the crow flies."""


def km(east: float, north: float = 0.0) -> Location:
    """So many kilometres from a point on the equator, where a degree is as long both ways."""
    return Location(lat=north / 111.195, lon=east / 111.195)


def stop(
    task: str,
    kind: StopKind,
    opens: float | None = None,
    closes: float | None = None,
    service_s: int = 0,
    load: Load = NOTHING,
    name: str = "",
) -> Ahead:
    window = None if closes is None else Window(start=minutes(opens or -600), end=minutes(closes))
    return Ahead(
        task_id=TaskId(task),
        stop_id=StopId(name or f"{task}-{kind}"),
        kind=kind,
        window=window,
        service_seconds=service_s,
        load=load,
    )


def rider(name: str, here: Location, *ahead: tuple[Ahead, Location], **changes: Any) -> Seen:
    known = KnownRider(
        rider_id=RiderId(name),
        status="approved",
        documents=[],
        shift_ends_at=minutes(480),
        on_break=False,
        silent=False,
        hours_end_at=None,
        capacity_g=100_000,
        tasks=len({each.task_id for each, _ in ahead}),
        offers=0,
        seen_at=NOON,
        itinerary=[each for each, _ in ahead],
    )
    return Seen(rider=msgspec.structs.replace(known, **changes), here=here, ahead=[place for _, place in ahead])


class Straight:
    """Everybody drives as the crow flies."""

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        return straight_matrix(origins, goals)


def rules(filters: dict[str, Any] | None = None, weights: dict[str, float] | None = None, **more: Any) -> TenantRules:
    dispatch = DispatchRules(
        filters=DispatchFilters(**(filters or {})), weights=ScoreWeights(**(weights or {})), **more
    )
    return TenantRules(max_active_tasks=100, dispatch=dispatch)


async def asked(
    riders: Sequence[Seen],
    stops: Sequence[tuple[Ahead, Location]],
    by: TenantRules | None = None,
    now: datetime = NOON,
    router: Any = None,
    **more: Any,
) -> Record:
    """What a decision is made from."""
    ordered = sorted(riders, key=lambda seen: seen.rider.rider_id)
    places = [place for _, place in stops]
    question = Question(
        task_id=TASK,
        round=1,
        decided_at=now,
        stops=[each for each, _ in stops],
        zones=[[] for _ in stops],
        required_skills=[],
        rules=by or rules(),
        policy_version=1,
        of_vehicles=[],
        declined=[],
        riders=[seen.rider for seen in ordered],
        straight=straight_ways(ordered, places),
    )
    question = msgspec.structs.replace(question, **more)
    closely = {each.rider_id for each in shortlist(question).riders[:LOOKED_AT_CLOSELY]}
    near = [seen for seen in ordered if seen.rider.rider_id in closely]
    return Record(question=question, ways=await AskedWays(router or Straight()).between(ACME, near, places))


async def chosen(*given: Any, **more: Any) -> OpenTender:
    record = await asked(*given, **more)
    return choose(record.question, record.ways, recorded(record)[0])


async def best(*given: Any, **more: Any) -> str:
    return (await chosen(*given, **more)).candidates[0].rider_id


async def why_not(name: str, *given: Any, **more: Any) -> str | None:
    opening = await chosen(*given, **more)
    return next((each.code for each in opening.excluded if each.rider_id == name), None)


def delivery(
    at: Location, to: Location, closes: float | None = None, load: Load = NOTHING, service_s: int = 0
) -> list[tuple[Ahead, Location]]:
    unloaded = Load(weight_g=-load.weight_g, volume_cm3=-load.volume_cm3, parcels=-load.parcels)
    return [
        (stop(TASK, "pickup", load=load, service_s=service_s), at),
        (stop(TASK, "dropoff", closes=closes, load=unloaded, service_s=service_s), to),
    ]


def crowd(count: int, seed: int) -> list[Seen]:
    draw = Random(seed)

    def place() -> Location:
        return km(draw.uniform(-8, 8), draw.uniform(-8, 8))

    riders = []
    for number in range(count):
        ahead = [(stop(f"of-{number}-{i}", "dropoff", service_s=60), place()) for i in range(draw.randint(0, 4))]
        riders.append(rider(f"r{number:04}", place(), *ahead))
    return riders
