"""The write protocol against a real broker: each pitfall first, then its remedy."""

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from fresh import fresh_name
from log_topic import contents, entry, log_on, lone_broker, make_topics, opened

from commands.connection import Told
from commands.log import Fenced, OffsetUnexpected, SequenceBroken, TenureLost


@pytest.fixture
async def topic(kafka: str) -> str:
    name = fresh_name("log")
    await make_topics(kafka, [name])
    return name


async def test_a_group_stands_as_one_batch_at_the_expected_offset(kafka: str, topic: str):
    log = await opened(kafka, topic)
    assert await log.append({topic: [entry("a"), entry("b")]}) == {topic: 1}
    assert await log.append({topic: [entry("c")]}) == {topic: 3}
    await log.close()
    assert await contents(kafka, topic) == ["barrier", "a", "b", "c"]


async def test_an_epoch_alone_fences_nothing_its_first_write_does(kafka: str, topic: str):
    old = await opened(kafka, topic)
    new = log_on(kafka, topic)
    await new.connect()
    await new.take_epoch()
    assert await old.append({topic: [entry("still mine")]}) == {topic: 1}, "the pitfall"
    await new.barriers({topic: entry("barrier 2")})
    with pytest.raises(Fenced):
        await old.append({topic: [entry("zombie")]})
    await asyncio.gather(old.close(), new.close())
    assert await contents(kafka, topic) == ["barrier", "still mine", "barrier 2"]


async def test_a_batch_that_stands_elsewhere_is_not_acknowledged(kafka: str, topic: str):
    log = await opened(kafka, topic)
    log.next_offset[topic] += 1
    with pytest.raises(OffsetUnexpected):
        await log.append({topic: [entry("a")]})
    await log.close()


async def test_a_reused_sequence_says_yes_and_writes_nothing_but_stands_at_the_wrong_offset(kafka: str, topic: str):
    log = await opened(kafka, topic)
    await log.append({topic: [entry("a")]})
    await log.append({topic: [entry("b")]})
    log._sequence[topic] -= 1
    with pytest.raises(OffsetUnexpected):
        await log.append({topic: [entry("never written")]})
    await log.close()
    assert await contents(kafka, topic) == ["barrier", "a", "b"]


async def test_a_gap_in_the_sequence_ends_the_tenure(kafka: str, topic: str):
    log = await opened(kafka, topic)
    log._sequence[topic] += 5
    with pytest.raises(SequenceBroken):
        await log.append({topic: [entry("a")]})
    await log.close()


async def test_a_batch_whose_answer_was_lost_is_sent_again_and_stands_once(kafka: str, topic: str):
    log = await opened(kafka, topic)
    send, lost = log._connection.send, []

    async def losing(batches: Mapping[str, bytes]) -> Sequence[Told]:
        told = await send(batches)
        if not lost:
            lost.append(told)
            return []
        return told

    log._connection.send = losing  # type: ignore[method-assign]
    assert await log.append({topic: [entry("a")]}) == {topic: 1}
    assert lost, "the first answer was lost"
    assert await log.append({topic: [entry("b")]}) == {topic: 2}
    await log.close()
    assert await contents(kafka, topic) == ["barrier", "a", "b"]


async def test_a_batch_too_large_is_told_and_the_sequence_stays_usable(kafka: str, topic: str):
    log = await opened(kafka, topic)
    huge = (b"key", b"x" * (9 << 20), [])
    assert await log.append({topic: [huge]}) == {topic: None}
    assert await log.append({topic: [entry("small")]}) == {topic: 1}
    await log.close()


async def test_a_producer_whose_id_is_gone_is_fenced_by_the_last_epoch_under_its_id(kafka: str, topic: str):
    old = await opened(kafka, topic)
    new = log_on(kafka, topic, identity=f"logistics.{topic}.other-id")
    await new.connect()
    await new.take_epoch()
    assert new.producer_id != old.producer_id
    await new.barriers({topic: entry("barrier 2")})
    old.next_offset[topic] = 2
    assert await old.append({topic: [entry("a zombie that no epoch of ours reaches")]}) == {topic: 2}
    await new.retire({topic: old.producer_id}, {topic: entry("retired")})
    with pytest.raises(Fenced):
        await old.append({topic: [entry("zombie")]})
    await asyncio.gather(old.close(), new.close())


async def test_a_second_batch_while_the_first_is_under_way_is_refused(kafka: str, topic: str):
    """It would have the same sequence, be told that it stands where the first one does, and be written nowhere."""
    log = await opened(kafka, topic)
    first, second = await asyncio.gather(
        log.append({topic: [entry("a")]}), log.append({topic: [entry("b")]}), return_exceptions=True
    )
    assert first == {topic: 1}
    assert isinstance(second, RuntimeError)
    assert await log.append({topic: [entry("c")]}) == {topic: 2}
    await log.close()
    assert await contents(kafka, topic) == ["barrier", "a", "c"]


async def test_a_tenure_that_is_lost_stays_lost_until_a_new_epoch_is_taken(kafka: str, topic: str):
    log = await opened(kafka, topic)
    log.next_offset[topic] += 1
    for _ in range(2):
        with pytest.raises(OffsetUnexpected):
            await log.append({topic: [entry("a")]})
    await log.take_epoch()
    await log.barriers({topic: entry("barrier 2")})
    assert await log.append({topic: [entry("b")]}) == {topic: 3}
    await log.close()
    assert await contents(kafka, topic) == ["barrier", "a", "barrier 2", "b"]


async def test_a_barrier_that_is_too_large_opens_nothing(kafka: str, topic: str):
    log = log_on(kafka, topic)
    await log.connect()
    await log.take_epoch()
    with pytest.raises(TenureLost, match="too large"):
        await log.barriers({topic: (b"key", b"x" * (9 << 20), [])})
    await log.close()


async def test_an_epoch_that_may_not_be_had_is_not_asked_for_for_ever(tmp_path: Path, jars: Path):
    """Here the broker does not take our time-out; as little would it, were we not allowed."""
    async with lone_broker(tmp_path, jars, transaction_max_timeout_ms=1_000) as broker:
        log = log_on(broker.bootstrap, "any")
        await log.connect()
        with pytest.raises(TenureLost, match="gets no epoch: InvalidTransactionTimeout"):
            await log.take_epoch()
        await log.close()


async def test_a_sequence_that_runs_out_begins_again(kafka: str, topic: str):
    """A producer that the broker does not know may begin anywhere: here just before the end."""
    log = log_on(kafka, topic)
    await log.connect()
    await log.take_epoch()
    log._sequence[topic], log.next_offset[topic] = (1 << 31) - 2, 0
    assert await log.append({topic: [entry(text) for text in "abcde"]}) == {topic: 0}
    assert log._sequence[topic] == 3
    assert await log.append({topic: [entry("f")]}) == {topic: 5}
    await log.close()
    assert await contents(kafka, topic) == list("abcdef")
