"""The eventsourcing library on Kafka: a persistence module, chosen by PERSISTENCE_MODULE=commands.recorder.

| variable                   | meaning                                                             |
|----------------------------|---------------------------------------------------------------------|
| KAFKA_BOOTSTRAP_SERVERS    | host:port[,host:port]                                               |
| KAFKA_TOPIC                | the topic's name; default: the application's name in small letters   |
| KAFKA_REPLICATION          | replicas of a topic that is made here; default 1                     |

Notification ids count the events from 1, without gaps. Several processes may record on one topic: what one has written
the others see, and the same version of the same aggregate is recorded once.
"""

from collections.abc import Sequence
from threading import Event
from typing import Any
from uuid import UUID

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    InfrastructureFactoryError,
    ListenNotifySubscription,
    Notification,
    ProcessRecorder,
    StoredEvent,
    Subscription,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from commands.recorded import RecordedLog


class KafkaRecorder:
    def __init__(self, log: RecordedLog) -> None:
        self.log = log


class KafkaAggregateRecorder(KafkaRecorder, AggregateRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self.log.insert(stored_events)
        return None

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


class KafkaApplicationRecorder(KafkaAggregateRecorder, ApplicationRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.log.insert(stored_events)

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
        return [
            Notification(
                id=number,
                originator_id=event.originator_id,
                originator_version=event.originator_version,
                topic=event.topic,
                state=event.state,
            )
            for number, event in self.log.notifications(first, stop, limit, topics)
        ]

    def max_notification_id(self) -> int | None:
        return self.log.newest()

    def subscribe(self, gt: int | None = None, topics: Sequence[str] = ()) -> Subscription[ApplicationRecorder]:
        return KafkaSubscription(recorder=self, gt=gt, topics=topics)

    def listen(self, event: Event) -> None:
        self.log.listen(event)

    def unlisten(self, event: Event) -> None:
        self.log.unlisten(event)


class KafkaSubscription(ListenNotifySubscription[KafkaApplicationRecorder]):
    def __init__(self, recorder: KafkaApplicationRecorder, gt: int | None = None, topics: Sequence[str] = ()) -> None:
        super().__init__(recorder=recorder, gt=gt, topics=topics)
        self._recorder.listen(self._has_been_notified)

    def stop(self) -> None:
        super().stop()
        self._recorder.unlisten(self._has_been_notified)


class KafkaTrackingRecorder(KafkaRecorder, TrackingRecorder):
    def insert_tracking(self, tracking: Tracking) -> None:
        self.log.insert([], tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        return self.log.tracked(application_name)


class KafkaProcessRecorder(KafkaTrackingRecorder, KafkaApplicationRecorder, ProcessRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.log.insert(stored_events, kwargs.get("tracking"))


class KafkaFactory(InfrastructureFactory[KafkaTrackingRecorder]):
    def __init__(self, env: Environment | EnvType | None) -> None:
        super().__init__(env)
        self._logs: dict[str, RecordedLog] = {}

    def aggregate_recorder(self, purpose: str = "events") -> AggregateRecorder:
        return KafkaAggregateRecorder(self._log("" if purpose == "events" else f".{purpose}"))

    def application_recorder(self) -> ApplicationRecorder:
        chosen = self.env.get(self.APPLICATION_RECORDER_TOPIC)
        cls: type[KafkaApplicationRecorder] = resolve_topic(chosen) if chosen else KafkaApplicationRecorder
        return cls(self._log())

    def tracking_recorder(
        self, tracking_recorder_class: type[KafkaTrackingRecorder] | None = None
    ) -> KafkaTrackingRecorder:
        chosen = self.env.get(self.TRACKING_RECORDER_TOPIC)
        cls: type[KafkaTrackingRecorder] = tracking_recorder_class or (
            resolve_topic(chosen) if chosen else KafkaTrackingRecorder
        )
        return cls(self._log(".tracking"))

    def process_recorder(self) -> ProcessRecorder:
        chosen = self.env.get(self.PROCESS_RECORDER_TOPIC)
        cls: type[KafkaProcessRecorder] = resolve_topic(chosen) if chosen else KafkaProcessRecorder
        return cls(self._log())

    def close(self) -> None:
        for log in self._logs.values():
            log.close()
        self._logs.clear()

    def _log(self, suffix: str = "") -> RecordedLog:
        """One for each topic. Raises InfrastructureFactoryError where Kafka is not named."""
        bootstrap = self.env.get("KAFKA_BOOTSTRAP_SERVERS")
        if not bootstrap:
            raise InfrastructureFactoryError("KAFKA_BOOTSTRAP_SERVERS is not set: host:port[,host:port] is needed")
        topic = (self.env.get("KAFKA_TOPIC") or self.env.name.lower() or "eventsourcing") + suffix
        if topic not in self._logs:
            self._logs[topic] = RecordedLog(bootstrap, topic, int(self.env.get("KAFKA_REPLICATION") or 1))
        return self._logs[topic]


Factory = KafkaFactory
