"""The model against a real broker: the same batches, the same answers."""

from pathlib import Path
from random import Random

import aiokafka.errors as errors
from fresh import fresh_name
from log_topic import lone_broker, make_topics
from model_broker import LAST_EPOCH_GIVEN, NO_ERROR, TRANSACTIONAL_ID_EXPIRES_S, ModelBroker, batch_of

from commands.connection import KafkaConnection, Told
from commands.log import RESENT, ShardLog

PRODUCERS = (7_001, 7_002, 7_003)
BATCHES = 150


class Sender:
    """Draws batches as careful, careless and stale producers would send them."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._sent: list[bytes] = []
        self._next: dict[tuple[int, int], int] = {}
        self._log = ShardLog(KafkaConnection({}, "", 0, []))

    def batch(self) -> bytes:
        draw = self._random
        if self._sent and draw.random() < 0.3:
            return draw.choice(self._sent[-8:])
        producer, epoch = draw.choice(PRODUCERS), draw.choice((3, 3, 3, 4, 5, 32_767))
        epoch = draw.choice((0, 1, 2)) if draw.random() < 0.7 else epoch
        first = draw.choice((self._next.get((producer, epoch), 0),) * 6 + (0, draw.randrange(20)))
        count = draw.choice((1, 1, 2, 3))
        entries = [(b"key", b"%d" % draw.randrange(10_000), []) for _ in range(count)]
        data = self._log._batch(entries, producer, epoch, first)
        self._sent.append(data)
        self._next[producer, epoch] = first + count
        return data


async def test_the_model_answers_as_a_real_broker(tmp_path: Path, jars: Path):
    """And so it does after the leader has read its log anew."""
    topics = [fresh_name("model") for _ in range(8)]
    model, senders = ModelBroker(topics), {topic: Sender(Random(n)) for n, topic in enumerate(topics)}
    async with lone_broker(tmp_path, jars) as broker:
        await make_topics(broker.bootstrap, topics)
        codes = await compared(broker.bootstrap, model, senders)
        await broker.stop()
        await broker.start()
        for partition in model.partitions.values():
            partition.reload()
        codes |= await compared(broker.bootstrap, model, senders)
    assert {errors.for_code(code).__name__ for code in codes} == {
        "NoError",
        "OutOfOrderSequenceNumber",
        "InvalidProducerEpoch",
    }


async def sent(connection: KafkaConnection, batches: dict[str, bytes]) -> list[Told]:
    """What is told once the partitions have their leader."""
    told: dict[str, Told] = {}
    while len(told) < len(batches):
        missing = {topic: data for topic, data in batches.items() if topic not in told}
        told |= {each.topic: each for each in await connection.send(missing) if each.code not in RESENT}
    return list(told.values())


async def compared(bootstrap: str, model: ModelBroker, senders: dict[str, Sender]) -> set[int]:
    connection = KafkaConnection({"bootstrap_servers": bootstrap}, "", 0, list(senders))
    await connection.connect()
    codes = set()
    for number in range(BATCHES):
        batches = {topic: sender.batch() for topic, sender in senders.items()}
        for topic, code, offset in await sent(connection, batches):
            expected = model.append(topic, batches[topic])
            told = (code, offset if code == NO_ERROR else -1)
            assert told == expected, f"batch {number}, {batch_of(batches[topic])}: {model.partitions[topic].producers}"
            codes.add(code)
    await connection.close()
    return codes


def test_epochs_run_out_into_another_id():
    model = ModelBroker([], first_epoch=LAST_EPOCH_GIVEN - 1)
    ids = [model.init_producer_id("one") for _ in range(3)]
    assert [epoch for _, epoch in ids] == [LAST_EPOCH_GIVEN - 1, LAST_EPOCH_GIVEN, 0]
    assert ids[0][0] == ids[1][0] != ids[2][0]


def test_a_transactional_id_that_was_not_used_for_a_week_gets_another_id():
    model = ModelBroker([])
    first, _ = model.init_producer_id("one")
    model.now_s += TRANSACTIONAL_ID_EXPIRES_S + 1
    second, epoch = model.init_producer_id("one")
    assert second != first
    assert epoch == 0
