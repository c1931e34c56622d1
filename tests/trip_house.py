"""A door for tests behind which a rider has made a trip: its frames on the log, its signal in the read model."""

from collections.abc import Sequence

from memory_desk import PARTITIONS
from reception import House, MemoryFrames
from riding_along import RidingAlong, Row, drive, stand

from projections.folding import Parked
from projections.model import fact_of
from projections.rows import fold_into
from projections.trips import TRIPS
from schemas import catalog, ids
from schemas.partition import partition_of
from schemas.record import Stored, derived_headers
from schemas.signals import TripEnded
from schemas.topics import SIGNALS

ANN = ids.aggregate_id("rider", "acme", "shop", "ann")
PARTITION = partition_of(ANN, PARTITIONS)
TRIP = "trip-1"
ROWS = *stand(0, 60), *drive(65, 200, 10, from_m=10), *stand(210, 600, 1_400)


async def makes_a_trip(house: House, rows: Sequence[Row] = ROWS) -> None:
    await house.knows(ANN)
    ann = RidingAlong(rider=ANN, partition=PARTITION)
    ann.tells(*rows[:20], accuracy_m=5.0)
    ann.tells((103, 900, 10.0), mock=True)
    ann.tells(*rows[20:], accuracy_m=5.0)
    log_of(house)[:] = ann.log
    async with house.door.pool.connection() as connection, connection.transaction(), connection.cursor() as cursor:
        await cursor.execute(f"TRUNCATE {TRIPS.physical}".encode())
        await cursor.execute("DELETE FROM quarantine WHERE tenant = 'acme'")
        for offset, place in ann.aside:
            await cursor.execute(
                "INSERT INTO quarantine VALUES ('acme', %s, %s, %s, 'phone', %s, 'suspected_spoof', 0, 0, now(), now())",
                (PARTITION, offset, place, ANN),
            )
        await fold_into(cursor, TRIPS, TRIPS.physical, [fact_of(told(house, ann))], Parked())


def log_of(house: House) -> list[Stored]:
    assert isinstance(house.frames, MemoryFrames)
    return house.frames.log


def told(house: House, ann: RidingAlong) -> Stored:
    """The signal as it stands on the log."""
    [draft] = [draft for draft in ann.told if isinstance(draft.event, TripEnded)]
    headers = derived_headers(
        event_id=TRIP,
        type_name=catalog.BY_CLASS[TripEnded].name,
        source="/logistics/test/stream/0",
        event_time=draft.at,
        recorded_at=house.now,
        subject=ANN,
        tenant="acme",
        actor="telemetry",
        epoch=1,
        causation_id=draft.cause,
    )
    value = catalog.write(draft.event, house.keyring.sealer(PARTITION, "acme", ANN))
    return Stored(SIGNALS.name, PARTITION, 0, ANN.encode(), value, headers)
