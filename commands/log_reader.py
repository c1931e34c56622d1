"""The reading half of the eventsourcing library's recorders, over whatever log they stand on."""

from collections.abc import Sequence
from threading import Event
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactoryError,
    ListenNotifySubscription,
    Notification,
    StoredEvent,
    Subscription,
)
from eventsourcing.utils import Environment

from commands.read_log import ReadLog


class LogReader:
    def __init__(self, log: ReadLog) -> None:
        self.log = log


class AggregateReader(LogReader, AggregateRecorder):
    """Inserting is left to who may."""

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


class ApplicationReader(AggregateReader, ApplicationRecorder):
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
        return LogSubscription(recorder=self, gt=gt, topics=topics)

    def listen(self, event: Event) -> None:
        self.log.listen(event)

    def unlisten(self, event: Event) -> None:
        self.log.unlisten(event)


class LogSubscription(ListenNotifySubscription[ApplicationReader]):
    def __init__(self, recorder: ApplicationReader, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._recorder.listen(self._has_been_notified)

    def stop(self) -> None:
        super().stop()
        self._recorder.unlisten(self._has_been_notified)


def bootstrap_of(env: Environment) -> str:
    """Raises InfrastructureFactoryError where Kafka is not named."""
    bootstrap = env.get("KAFKA_BOOTSTRAP_SERVERS")
    if not bootstrap:
        raise InfrastructureFactoryError("KAFKA_BOOTSTRAP_SERVERS is not set: host:port[,host:port] is needed")
    return bootstrap
