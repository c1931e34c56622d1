"""What every process that decides or answers must know of the whole log: the directory and the data keys."""

from collections.abc import Mapping

import structlog

from commands.policy import Policy
from schemas import catalog
from schemas.control import DataKeyWrapped, Heartbeat, ShardOpened
from schemas.keyring import Keyring
from schemas.message import SubjectId
from schemas.record import Stored, envelope_of, event_of, source_of
from schemas.topics import DIRECTORY, KEYS

LEARNED_FROM = (KEYS.name, DIRECTORY.name)

logger = structlog.get_logger()


class Barriers:
    """The latest barrier of each topic-partition: after it every record carries its epoch."""

    def __init__(self) -> None:
        self._standing: dict[tuple[str, int], ShardOpened] = {}

    def take(self, stored: Stored, headers: Mapping[str, bytes]) -> None:
        """A control record, with its headers by name."""
        if headers.get("ce_type") == OPENED:
            opened = event_of(stored, None)
            assert isinstance(opened, ShardOpened), "the type says so"
            self.stands(stored.topic, stored.partition, opened)

    def stands(self, topic: str, partition: int, opened: ShardOpened) -> None:
        self._standing[topic, partition] = opened

    def latest(self, topic: str, partition: int) -> ShardOpened | None:
        return self._standing.get((topic, partition))

    def fenced(self, stored: Stored, headers: Mapping[str, bytes]) -> bool:
        """Whether it was let in where no fence stood: a record of an owner that was none any more."""
        barrier = self._standing.get((stored.topic, stored.partition))
        if barrier is None or headers.get("epoch") == b"%d" % barrier.epoch:
            return False
        if headers.get("ce_type") == HEARTBEAT:
            return False  # the one that fences an earlier producer id stands before the barrier
        logger.warning("record of a fenced owner passed over", topic=stored.topic, offset=stored.offset)
        return True


class Learning:
    def __init__(self, keyring: Keyring, policy: Policy) -> None:
        self._keyring = keyring
        self._policy = policy
        self.barriers = Barriers()

    def take(self, stored: Stored) -> None:
        """One record of these topics or of `logistics.shards`, in its partition's order. Raises Unreadable."""
        headers = stored.named()
        if "control" in headers:
            self.barriers.take(stored, headers)
        if self.barriers.fenced(stored, headers):
            return
        if stored.topic == KEYS.name:
            if (told := key_in(stored)) is not None:
                self._keyring.take(stored.partition, stored.offset, *told)
        elif stored.topic == DIRECTORY.name:
            self._directory(stored)

    def _directory(self, stored: Stored) -> None:
        event, source = None, None
        if not stored.is_control:
            event, source = event_of(stored, None), source_of(envelope_of(stored), stored)
        self._policy.take(event, source, stored.partition, stored.offset)


def key_in(stored: Stored) -> tuple[SubjectId, bytes | None] | None:
    """Whose key a record of `logistics.keys` tells, and that key, wrapped: None where it is thrown away. No other
    record tells of one. Raises Unreadable."""
    if stored.header("ce_type") != WRAPPED:
        return None
    subject, wrapped = SubjectId((stored.key or b"").decode()), None
    if stored.value is not None:
        key = event_of(stored, None)
        assert isinstance(key, DataKeyWrapped), "the type says so"
        wrapped = key.wrapped
    return subject, wrapped


HEARTBEAT = catalog.BY_CLASS[Heartbeat].name.encode()
OPENED = catalog.BY_CLASS[ShardOpened].name.encode()
WRAPPED = catalog.BY_CLASS[DataKeyWrapped].name
