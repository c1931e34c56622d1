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
from typing import Any

from eventsourcing.persistence import (
    AggregateRecorder,
    ApplicationRecorder,
    InfrastructureFactory,
    ProcessRecorder,
    StoredEvent,
    Tracking,
    TrackingRecorder,
)
from eventsourcing.utils import Environment, EnvType, resolve_topic

from commands.log_reader import AggregateReader, ApplicationReader, LogReader, bootstrap_of
from commands.recorded import RecordedLog


class Recording(LogReader):
    """Writes, too."""

    def __init__(self, log: RecordedLog) -> None:
        super().__init__(log)
        self.recorded = log


class KafkaAggregateRecorder(Recording, AggregateReader):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        self.recorded.insert(stored_events)
        return None


class KafkaApplicationRecorder(Recording, ApplicationReader):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.recorded.insert(stored_events)


class KafkaTrackingRecorder(Recording, TrackingRecorder):
    def insert_tracking(self, tracking: Tracking) -> None:
        self.recorded.insert([], tracking)

    def max_tracking_id(self, application_name: str) -> int | None:
        return self.recorded.tracked(application_name)


class KafkaProcessRecorder(KafkaTrackingRecorder, KafkaApplicationRecorder, ProcessRecorder):
    def insert_events(self, stored_events: Sequence[StoredEvent], **kwargs: Any) -> Sequence[int] | None:
        return self.recorded.insert(stored_events, kwargs.get("tracking"))


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
        topic = (self.env.get("KAFKA_TOPIC") or self.env.name.lower() or "eventsourcing") + suffix
        if topic not in self._logs:
            self._logs[topic] = RecordedLog(bootstrap_of(self.env), topic, int(self.env.get("KAFKA_REPLICATION") or 1))
        return self._logs[topic]


Factory = KafkaFactory
