"""What the telemetry stream has told and kept, held against the log itself.

Fences against a reckoning that knows none of the engine (`fence_truth`); everything else that follows from the frames
alone against one fold of the whole log in one go; and what hangs on when a worker knew what, by what it promises.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

import msgspec
from fence_truth import Happened, Seen, Stood, truth
from world import World, records

from commands.owners import Shards
from infra.settings import Settings
from schemas.message import Event
from schemas.record import Stored, envelope_of, event_of, source_of
from schemas.signals import (
    FENCE_SIGNALS,
    TRANSITIONS,
    AnomalyCleared,
    AnomalyDetected,
    EtaForecast,
    EtaScored,
    EtaThresholdReached,
    GeofenceCrossed,
    GeofenceDwelled,
    GeofenceTransitionCorrected,
    TripEnded,
)
from schemas.topics import DIRECTORY, FIXES, FLEET
from streams.telemetry.anomalies import Anomalies
from streams.telemetry.eta import EVERY_MS, MOVED_MS, name_of_threshold
from streams.telemetry.fences import Fences
from streams.telemetry.found import AsideRow, Draft, LiveRow, drafted
from streams.telemetry.itineraries import Itineraries
from streams.telemetry.moments import unix_ms
from streams.telemetry.partition import Partition, opened
from streams.telemetry.quality import Quality
from streams.telemetry.rider import RiderKey, restored
from streams.telemetry.tracks import Track, packed
from tests.faults.two_workers import rows

FENCES = (*FENCE_SIGNALS, GeofenceTransitionCorrected)
BY_ROUTE = "route_deviation"
"""Is told by the way that the worker asked for when it first saw the rider."""


class Folded(msgspec.Struct):
    """All that follows from the frames alone."""

    told: dict[str, tuple[str, Event]] = {}
    """By its id, whose it is."""
    live: dict[RiderKey, LiveRow] = {}
    aside: list[AsideRow] = []
    tracks: dict[tuple[str, str, str], Any] = {}


async def folded(world: World, shards: Shards) -> Folded:
    """Each partition in one go, by what stands on the log by now."""
    known, whole = await knowledge(world, shards), Folded()
    frames = await records(world.kafka, FIXES.name, world.partitions)
    anomalies = Anomalies(known.quality.anomalies, known.itineraries, lambda *_: None)
    for number in range(world.partitions):
        partition = Partition(number, known.fences.index, known.quality.rules)
        found = partition.fold([stored for stored in frames if stored.partition == number])
        drafts = [*found.signals, *anomalies.of(partition, found)]
        assert len({draft.event_id for draft in drafts}) == len(drafts)
        whole.told |= {draft.event_id: (draft.rider_id, draft.event) for draft in drafts}
        whole.live |= found.live
        whole.aside += found.aside
        whole.tracks |= tracks_of(partition)
    return whole


async def resumed(world: World, shards: Shards, settings: Settings) -> dict[tuple[str, str, str], Any]:
    """What a worker would remember of each device that began anew with what stands in Postgres, and folded all frames
    of which somebody is not kept yet."""
    known, found = await knowledge(world, shards), {}
    frames = await records(world.kafka, FIXES.name, world.partitions)
    for number in range(world.partitions):
        partition = Partition(number, known.fences.index, known.quality.rules)
        of = f"SELECT tenant, rider_id, state, as_of FROM stream_riders WHERE partition = {number}"
        for tenant, rider_id, state, as_of in await rows(settings, of):
            partition.riders[tenant, rider_id], partition.as_of[tenant, rider_id] = restored(state), as_of
        [(since,)] = await rows(settings, f"SELECT folded_from FROM stream_places WHERE partition = {number}")
        partition.fold([stored for stored in frames if stored.partition == number and stored.offset >= since])
        found |= tracks_of(partition)
    return found


def tracks_of(partition: Partition) -> dict[tuple[str, str, str], Any]:
    return {
        (*key, device): remembered(track)
        for key, rider in partition.riders.items()
        for device, track in rider.tracks.items()
    }


class Knowledge(msgspec.Struct):
    """Of fences, rules and stops, as of the end of the log."""

    fences: Fences
    quality: Quality
    itineraries: Itineraries


async def knowledge(world: World, shards: Shards) -> Knowledge:
    known = Knowledge(Fences(), Quality(), Itineraries())
    for stored in await records(world.kafka, DIRECTORY.name, world.partitions):
        if not stored.is_control:
            source = source_of(envelope_of(stored), stored)
            known.fences.take(event_of(stored, None), source)
            known.quality.take(event_of(stored, None), source)
    for stored in await records(world.kafka, FLEET.name, world.partitions):
        if not stored.is_control:
            source = source_of(envelope_of(stored), stored)
            event = event_of(stored, shards._keyring.unsealer(stored.partition, source.tenant, source.aggregate_id))
            known.itineraries.take(event, source, lambda event=event: event)
    return known


def drafts_of(told: Sequence[Stored]) -> list[Draft]:
    """In the order of the log, partition by partition; the places in them sealed."""
    said = [stored for stored in told if not stored.is_control]
    ids = Counter(stored.header("ce_id") for stored in said)
    doubled = [place_told(stored) for stored in said if ids[stored.header("ce_id")] > 1]
    assert doubled == [], "nothing is told twice"
    return [drafted(envelope_of(stored), event_of(stored, None)) for stored in said]


def zombies(told: Sequence[Stored]) -> list[tuple[Any, ...]]:
    """What stands after the barrier of a later owner, who had fenced whoever wrote it."""
    latest: dict[int, int] = {}
    found = []
    for stored in told:
        epoch = int(stored.header("epoch") or -1)
        if epoch < latest.get(stored.partition, -1):
            found.append(place_told(stored))
        latest[stored.partition] = max(epoch, latest.get(stored.partition, -1))
    return found


def place_told(stored: Stored) -> tuple[Any, ...]:
    names = ("ce_id", "ce_type", "epoch", "ce_time", "causation_id")
    return stored.partition, stored.offset, *(stored.header(name) for name in names)


def of_frames_alone(event: Event, rider_id: str, couriers: Sequence[str]) -> bool:
    """Whether it follows from nothing else: what a courier has ahead changes at moments that each worker learns of."""
    if isinstance(event, AnomalyDetected | AnomalyCleared):
        return event.kind != BY_ROUTE and rider_id not in couriers
    return isinstance(event, (*FENCES, TripEnded))


def without_places(event: Event) -> Any:
    """Whoever has no key sees the rest."""
    found = msgspec.structs.asdict(event)
    return type(event).__name__, {
        name: value for name, value in found.items() if name not in ("fix", "evidence", "places")
    }


async def stood(world: World, settings: Settings, fences: Sequence[Stood]) -> set[Happened]:
    """What really happened at the fences, of all fixes on the log that were not put aside."""
    aside = set(await rows(settings, 'SELECT "partition", "offset", place FROM quarantine'))
    seen = []
    for stored in await records(world.kafka, FIXES.name, world.partitions):
        fixes = opened(stored).fixes
        frame = fixes.frame
        for place in range(frame.count):
            if (stored.partition, stored.offset, place) not in aside:
                device = int(fixes.device[place])
                at_ms, lat, lon = int(fixes.at_ms[place]), int(fixes.lat[place]), int(fixes.lon[place])
                seen.append(Seen(frame.riders[device], frame.devices[device], at_ms, lat, lon))
    return truth(seen, fences)


def standing(drafts: Sequence[Draft]) -> list[Happened]:
    """What the log says of fences once all its corrections are made."""
    stands: dict[str, Happened] = {}
    for draft in drafts:
        event = draft.event
        if isinstance(event, FENCE_SIGNALS):
            since = event.since if isinstance(event, GeofenceDwelled | GeofenceCrossed) else event.at
            what = TRANSITIONS[type(event)]
            fact = draft.rider_id, event.device_id, event.geofence_id, what, unix_ms(since), unix_ms(event.at)
            stands[draft.event_id] = fact
        elif isinstance(event, GeofenceTransitionCorrected):
            rider, device, fence, what, *_ = stands.pop(event.supersedes)
            if event.at is not None:
                stands[event.supersedes] = (
                    rider,
                    device,
                    fence,
                    what,
                    unix_ms(event.since or event.at),
                    unix_ms(event.at),
                )
    return list(stands.values())


def broken_promises(drafts: Sequence[Draft]) -> Iterator[str]:
    """Of what a worker tells by what it knows at the time: each thing once, and in no other words."""
    forecasts: dict[tuple[str, ...], list[tuple[int, int]]] = {}
    made: set[tuple[str, str, int, int]] = set()
    once: Counter[tuple[object, ...]] = Counter()
    open_kinds: dict[tuple[str, str], str] = {}
    for draft in drafts:
        rider, event = draft.rider_id, draft.event
        match event:
            case EtaForecast():
                stop = rider, event.task_id, event.stop_id, str(event.ahead_since)
                forecasts.setdefault(stop, []).append((unix_ms(draft.at), unix_ms(event.p50)))
                made.add((event.task_id, event.stop_id, unix_ms(draft.at), unix_ms(event.p50)))
            case EtaThresholdReached():
                once["threshold", rider, event.task_id, event.stop_id, event.ahead_since, name_of_threshold(event)] += 1
            case EtaScored():
                once["score", rider, event.task_id, event.stop_id] += 1
                for each in event.forecasts:
                    if (event.task_id, event.stop_id, unix_ms(each.at), unix_ms(each.p50)) not in made:
                        yield f"scored, and never told: {event.task_id}/{event.stop_id} at {each.at}"
            case TripEnded():
                once["trip", rider, event.started_at] += 1
            case AnomalyDetected():
                if (rider, event.kind) in open_kinds:
                    yield f"{event.kind} of {rider} is told while it stands"
                open_kinds[rider, event.kind] = draft.event_id
            case AnomalyCleared():
                if open_kinds.pop((rider, event.kind), None) != event.anomaly_id:
                    yield f"{event.kind} of {rider} is over, and did not stand"
            case _:
                pass
    yield from (f"told {count} times: {what}" for what, count in once.items() if count > 1)
    for stop, told in forecasts.items():
        for (at_ms, p50_ms), (later_ms, other_ms) in pairwise(told):
            if later_ms - at_ms < EVERY_MS or abs(other_ms - p50_ms) <= MOVED_MS:
                yield f"a forecast of {stop} {later_ms - at_ms} ms after the last one, moved by {other_ms - p50_ms} ms"


def remembered(track: Track) -> Any:
    """All that is kept of it; the order of what was told hangs on how many frames came together."""
    *rest, _, reach = packed(track)
    return rest, sorted(track.told.items()), reach


async def kept_rows(settings: Settings, row: type[LiveRow | AsideRow], table: str) -> set[Any]:
    names = row.__struct_fields__
    found = await rows(settings, f"SELECT {', '.join(f'"{name}"' for name in names)} FROM {table}")
    return {row(**dict(zip(names, each, strict=True))) for each in found}


def counted(drafts: Sequence[Draft]) -> Mapping[str, int]:
    return Counter(type(draft.event).__name__ for draft in drafts)
