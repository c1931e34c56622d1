"""The eventsourcing library's own cases, unchanged, on real Kafka; and what they do not ask."""

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import TestCase

import pytest
from eventsourcing.persistence import IntegrityError, StoredEvent
from eventsourcing.tests import application, persistence
from eventsourcing.utils import Environment
from fresh import fresh_name

from commands import read_log, recorded
from commands.connection import KafkaConnection
from commands.recorded import RecordedLog
from commands.recorder import (
    KafkaAggregateRecorder,
    KafkaApplicationRecorder,
    KafkaFactory,
    KafkaProcessRecorder,
    KafkaTrackingRecorder,
)


@pytest.fixture(autouse=True)
def on_kafka(kafka: str, request: pytest.FixtureRequest) -> Iterator[None]:
    """The library's cases are classes without fixtures: they find the broker at their class."""
    if request.cls is not None:
        request.cls.bootstrap = kafka
        request.cls.logs = []
    yield
    for log in getattr(request.cls, "logs", ()):
        log.close()


class OnKafka(TestCase):
    bootstrap: str
    logs: list[RecordedLog]

    def new_log(self) -> RecordedLog:
        log = RecordedLog(self.bootstrap, fresh_name("recorder"))
        self.logs.append(log)
        return log


class TestAggregateRecorder(OnKafka, persistence.AggregateRecorderTestCase):
    def create_recorder(self) -> KafkaAggregateRecorder:
        return KafkaAggregateRecorder(self.new_log())


class TestApplicationRecorder(OnKafka, persistence.ApplicationRecorderTestCase[KafkaApplicationRecorder]):
    def create_recorder(self) -> KafkaApplicationRecorder:
        return KafkaApplicationRecorder(self.new_log())


class TestTrackingRecorder(OnKafka, persistence.TrackingRecorderTestCase):
    def create_recorder(self) -> KafkaTrackingRecorder:
        return KafkaTrackingRecorder(self.new_log())


class TestProcessRecorder(OnKafka, persistence.ProcessRecorderTestCase):
    def create_recorder(self) -> KafkaProcessRecorder:
        return KafkaProcessRecorder(self.new_log())


class TestNonInterleaving(OnKafka, persistence.NonInterleavingNotificationIDsBaseCase):
    def create_recorder(self) -> KafkaApplicationRecorder:
        return KafkaApplicationRecorder(self.new_log())


class OurTracking(KafkaTrackingRecorder):
    pass


class TestFactory(OnKafka, persistence.InfrastructureFactoryTestCase[KafkaFactory]):
    def setUp(self) -> None:
        self.env = Environment(name=fresh_name("TestCase"))
        self.env["PERSISTENCE_MODULE"] = "commands.recorder"
        self.env["KAFKA_BOOTSTRAP_SERVERS"] = self.bootstrap
        super().setUp()

    def expected_factory_class(self) -> Any:
        return KafkaFactory

    def expected_aggregate_recorder_class(self) -> Any:
        return KafkaAggregateRecorder

    def expected_application_recorder_class(self) -> Any:
        return KafkaApplicationRecorder

    def expected_tracking_recorder_class(self) -> Any:
        return KafkaTrackingRecorder

    def tracking_recorder_subclass(self) -> Any:
        return OurTracking

    def expected_process_recorder_class(self) -> Any:
        return KafkaProcessRecorder


class OnOurModule(OnKafka):
    def setUp(self) -> None:
        super().setUp()
        os.environ |= {
            "PERSISTENCE_MODULE": "commands.recorder",
            "KAFKA_BOOTSTRAP_SERVERS": self.bootstrap,
            "KAFKA_TOPIC": fresh_name("application"),
        }

    def tearDown(self) -> None:
        for name in ("PERSISTENCE_MODULE", "KAFKA_BOOTSTRAP_SERVERS", "KAFKA_TOPIC"):
            os.environ.pop(name, None)
        super().tearDown()


class TestExampleApplication(OnOurModule, application.ExampleApplicationTestCase):
    expected_factory_topic = "commands.recorder:KafkaFactory"


class TestApplication(OnOurModule, application.ApplicationTestCase):
    pass


# What the library's cases do not ask


def stored(version: int, originator: str = "parcel-1") -> StoredEvent:
    return StoredEvent(originator, version, "moved", b"%d" % version)


def test_what_was_recorded_is_there_for_the_next_process(kafka: str):
    topic = fresh_name("recorder")
    first = RecordedLog(kafka, topic)
    assert first.insert([stored(1), stored(2)]) == [1, 2]
    first.close()
    second = RecordedLog(kafka, topic)
    assert second.select("parcel-1", None, None, False, None) == [stored(1), stored(2)]
    assert second.insert([stored(3)]) == [3]
    second.close()


def test_two_processes_on_one_topic_see_each_other_and_record_each_version_once(kafka: str):
    topic = fresh_name("recorder")
    one, two = RecordedLog(kafka, topic), RecordedLog(kafka, topic)
    one.insert([stored(1)])
    with pytest.raises(IntegrityError):
        two.insert([stored(1)])
    assert two.insert([stored(2)]) == [2]
    assert one.insert([stored(3)]) == [3], "the first was fenced, has read what the other wrote, and goes on"
    for log in (one, two):
        assert log.select("parcel-1", None, None, False, None) == [stored(1), stored(2), stored(3)]
        log.close()


def test_a_process_whose_producer_id_was_replaced_meanwhile_records_nothing_twice(
    kafka: str, monkeypatch: pytest.MonkeyPatch
):
    """The broker forgets a transactional id that is not used for a week, and with it the id of who still writes."""
    topic = fresh_name("recorder")
    idle = RecordedLog(kafka, topic)
    idle.insert([stored(1)])

    def expired(args: Any, identity: str, partition: int, topics: list[str]) -> KafkaConnection:
        return KafkaConnection(args, f"{identity}.expired", partition, topics)

    monkeypatch.setattr(recorded, "KafkaConnection", expired)
    other = RecordedLog(kafka, topic)
    other.insert([stored(2)])
    with pytest.raises(IntegrityError):
        idle.insert([stored(2)])
    assert other.newest() == 2
    for log in (idle, other):
        log.close()


def test_what_is_no_longer_in_memory_is_read_from_the_log(kafka: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(read_log, "MOST_CACHED", 5)
    log = RecordedLog(kafka, fresh_name("recorder"))
    for version in range(1, 51):
        log.insert([stored(version)])
    assert log.select("parcel-1", 9, 12, True, None) == [stored(12), stored(11), stored(10)]
    assert [number for number, _ in log.notifications(3, None, 7, ())] == [3, 4, 5, 6, 7, 8, 9]
    log.close()


def test_the_example_in_the_docs_runs(kafka: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", kafka)
    monkeypatch.setenv("KAFKA_TOPIC", fresh_name("parcels"))
    text = (Path(__file__).parents[2] / "docs" / "eventsourcing.md").read_text()
    [example] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    made = ModuleType("parcels_example")
    monkeypatch.setitem(sys.modules, made.__name__, made)
    exec(compile(example, "docs/eventsourcing.md", "exec"), made.__dict__)  # the library finds its classes by module
