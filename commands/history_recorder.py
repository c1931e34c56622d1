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
from threading import Event as Signal
from typing import Any, NoReturn
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ListenNotifySubscription,
    Mapper,
    Notification,
    ProcessRecorder,
    ProgrammingError,
    StoredEvent,
    Subscription,
    TrackingRecorder,
)

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


class HistoryMapper(Mapper[Any]):
    def to_domain_event(self, stored_event: StoredEvent) -> Any:
        event = catalog.read(stored_event.state, None)
        return Told(str(stored_event.originator_id), stored_event.originator_version, event)

    def to_stored_event(self, domain_event: Any) -> NoReturn:
        raise ProgrammingError(READ_ONLY)


class HistoryRecorder(ApplicationRecorder):
    def __init__(self, log: HistoryLog) -> None:
        self.log = log

    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> NoReturn:
        raise ProgrammingError(READ_ONLY)

    def select_events(
        self,
        originator_id: UUID | str,
        *,
        gt: int | None = None,
        lte: int | None = None,
        desc: bool = False,
        limit: int | None = None,
    ) -> Sequence[StoredEvent]:
        return self.log.select(originator_id, gt, lte, desc, limit)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        first = 1 if start is None else start if inclusive_of_start else start + 1
        found = self.log.notifications(first, stop, limit, topics)
        return [Notification(e.originator_id, e.originator_version, e.topic, e.state, number) for number, e in found]

    def max_notification_id(self) -> int | None:
        return self.log.newest()

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return HistorySubscription(recorder=self, gt=gt, topics=topics)

    def listen(self, signal: Signal) -> None:
        self.log.listen(signal)

    def unlisten(self, signal: Signal) -> None:
        self.log.unlisten(signal)


class HistorySubscription(ListenNotifySubscription[HistoryRecorder]):
    def __init__(self, recorder: HistoryRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._recorder.listen(self._has_been_notified)

    def stop(self) -> None:
        super().stop()
        self._recorder.unlisten(self._has_been_notified)


class HistoryFactory(InfrastructureFactory[TrackingRecorder]):
    def __init__(self, env: Any) -> None:
        super().__init__(env)
        self._log: HistoryLog | None = None

    def mapper(self, transcoder: Any = None, mapper_class: Any = None) -> Mapper[Any]:
        return HistoryMapper(transcoder or self.transcoder())

    def application_recorder(self) -> ApplicationRecorder:
        """Raises InfrastructureFactoryError where Kafka is not named."""
        if self._log is None:
            bootstrap = self.env.get("KAFKA_BOOTSTRAP_SERVERS")
            if not bootstrap:
                raise InfrastructureFactoryError("KAFKA_BOOTSTRAP_SERVERS is not set: host:port[,host:port] is needed")
            topic, partition = self.env.get("HISTORY_TOPIC") or TASK.name, self.env.get("HISTORY_PARTITION") or "0"
            self._log = HistoryLog(bootstrap, topic, int(partition))
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
