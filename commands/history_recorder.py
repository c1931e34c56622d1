"""Our history for the eventsourcing library: a partition of an aggregate topic as a notification log that is only read.

| variable                | meaning                                                    |
|-------------------------|------------------------------------------------------------|
| PERSISTENCE_MODULE      | commands.history_recorder                                  |
| KAFKA_BOOTSTRAP_SERVERS | host:port[,host:port]                                      |
| HISTORY_TOPIC           | default: logistics.task                                    |
| HISTORY_PARTITION       | default: 0; a projection follows one partition             |

Notification ids count the partition's events from 1. A domain event is a `Told`: personal data in it are `erased`,
since there is no key here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    Mapper,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    TrackingRecorder,
)

from commands.log_reader import ApplicationReader, bootstrap_of
from commands.read_log import ReadLog
from schemas import catalog
from schemas.message import Event
from schemas.topics import TASK

READ_ONLY = "our history is only read: commands go through the gateway"


@dataclass(frozen=True)
class Told:
    """An event of one of our aggregates, as the library's policies and projections are given it."""

    originator_id: str
    originator_version: int
    event: Event


class HistoryLog(ReadLog):
    def event_of(self, record: Any) -> StoredEvent | None:
        headers = dict(record.headers)
        kind = headers.get("ce_type", b"").decode()
        if "control" in headers or "version" not in headers or kind not in catalog.TYPES:
            return None
        return StoredEvent(record.key.decode(), int(headers["version"]), kind, record.value)

    def _took(self, record: Any, place: int | None) -> None:
        """Nothing but events is known of it."""


class HistoryMapper(Mapper[Any]):
    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        event = catalog.read(stored_event.state, None)
        return Told(str(stored_event.originator_id), stored_event.originator_version, event)

    def to_stored_event(self, domain_event: Any) -> NoReturn:
        raise ProgrammingError(READ_ONLY)


class HistoryRecorder(ApplicationReader):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> NoReturn:
        raise ProgrammingError(READ_ONLY)


class HistoryFactory(InfrastructureFactory[TrackingRecorder]):
    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._log: HistoryLog | None = None

    def mapper(self, transcoder: Any = None, mapper_class: Any = None) -> Mapper[Any]:
        return HistoryMapper(transcoder or self.transcoder())

    def application_recorder(self) -> ApplicationRecorder:
        """Raises InfrastructureFactoryError where Kafka is not named."""
        if self._log is None:
            topic, partition = self.env.get("HISTORY_TOPIC") or TASK.name, self.env.get("HISTORY_PARTITION") or "0"
            self._log = HistoryLog(bootstrap_of(self.env), topic, int(partition))
        return HistoryRecorder(self._log)

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        return self.application_recorder()

    def tracking_recorder(self, tracking_recorder_class: type[TrackingRecorder] | None = None) -> NoReturn:
        raise ProgrammingError(READ_ONLY)

    def process_recorder(self) -> ProcessRecorder:
        raise ProgrammingError(READ_ONLY)

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None


Factory = HistoryFactory
