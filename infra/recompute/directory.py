"""Whose fixes? What the log says of one tenant: by what its fixes are believed, its fences, whether it is played."""

from aiokafka import AIOKafkaConsumer, TopicPartition

from infra.log_reading import stretch
from infra.recompute.reading import of_tenant
from infra.settings import WrongSetting
from schemas.directory import GeofenceCreated, TenantCreated
from schemas.record import Stored, Unreadable, envelope_of, event_of, source_of
from schemas.topics import DIRECTORY
from streams.eta.worlds import Worlds
from streams.telemetry.fences import Fences
from streams.telemetry.quality import Quality


class Directory:
    def __init__(self, tenant: str) -> None:
        self.tenant = tenant
        self.is_there = False
        self.fences, self.quality, self.worlds = Fences(), Quality(), Worlds()
        self.names: dict[str, str] = {}

    def take(self, stored: Stored) -> None:
        try:
            event, source = event_of(stored, None), source_of(envelope_of(stored), stored)
        except Unreadable:  # as the stream passes it over
            return
        self.is_there = self.is_there or isinstance(event, TenantCreated)
        if isinstance(event, GeofenceCreated):
            self.names[source.aggregate_id] = event.name
        self.fences.take(event, source)
        self.quality.take(event, source)
        self.worlds.take(event)


async def learnt(consumer: AIOKafkaConsumer, partitions: int, directory: Directory) -> None:
    """Raises WrongSetting where there is no such tenant."""
    for partition in range(partitions):
        place = TopicPartition(DIRECTORY.name, partition)
        end = (await consumer.end_offsets([place]))[place]
        async for records in stretch(consumer, place, 0, end):
            for stored in of_tenant(records, directory.tenant):
                directory.take(stored)
    if not directory.is_there:
        raise WrongSetting(f"--tenant {directory.tenant}: there is no such tenant on this log")
