"""`_schemas` filled from the committed schemas, where they are missing. A released schema is never changed there."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from infra.kafka import WrongTopic
from schemas.registered import Record, Registered, records, registered, schema_record
from schemas.topics import SCHEMAS

PLACE = TopicPartition(SCHEMAS.name, 0)
BATCH_BYTES = 1 << 20

logger = structlog.get_logger()

type Held = dict[bytes, bytes | None]
"""By key, the latest value."""


async def register(args: Mapping[str, Any]) -> int:
    """How many records were written. Raises WrongTopic where what stands there contradicts ours."""
    held = await read(args)
    refuse_foreign(held)
    missing = [(key, value) for key, value in records() if not same(held.get(key), value)]
    await write(args, missing)
    return len(missing)


def refuse_foreign(held: Held) -> None:
    """An id means one schema, on a cluster where others register theirs, too."""
    ours = {each.id: each for each in registered()}
    own_keys = {schema_record(each)[0]: each for each in registered()}
    for key, value in held.items():
        told = decoded(value)
        if decoded(key).get("keytype") != "SCHEMA" or told.get("deleted", False):
            continue
        mine = own_keys.get(key)
        if mine is not None:
            refuse_changed(mine, told)
        elif told.get("id") in ours and told.get("schema") != ours[told["id"]].schema:
            raise WrongTopic(
                f"{SCHEMAS.name} gives id {told['id']} to {told.get('subject')}, which is not ours: the log needs a "
                f"cluster on which ids 1 to {max(ours)} are free for it"
            )


def refuse_changed(mine: Registered, told: Mapping[str, Any]) -> None:
    if mine.released and (told.get("id") != mine.id or not same_schema(told.get("schema"), mine.schema)):
        raise WrongTopic(f"{SCHEMAS.name} holds another {mine.subject} version {mine.version} than was released")


def same(held: bytes | None, wanted: bytes) -> bool:
    return held is not None and decoded(held) == decoded(wanted)


def same_schema(held: Any, wanted: str) -> bool:
    try:
        return bool(json.loads(held) == json.loads(wanted))
    except (TypeError, ValueError):
        return False


def decoded(text: bytes | None) -> dict[str, Any]:
    try:
        told = json.loads(text or b"{}")
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


async def read(args: Mapping[str, Any]) -> Held:
    """What stands there now."""
    consumer = AIOKafkaConsumer(**args, enable_auto_commit=False, auto_offset_reset="earliest", fetch_max_wait_ms=50)
    await consumer.start()
    try:
        consumer.assign([PLACE])
        end = (await consumer.end_offsets([PLACE]))[PLACE]
        await consumer.seek_to_beginning(PLACE)
        held: Held = {}
        while await consumer.position(PLACE) < end:
            for fetched in (await consumer.getmany(PLACE, timeout_ms=200)).values():
                held |= {record.key or b"": record.value for record in fetched}
        return held
    finally:
        await consumer.stop()


async def write(args: Mapping[str, Any], missing: list[Record]) -> None:
    """Two that start at once write the same bytes under the same keys."""
    if not missing:
        return
    producer = AIOKafkaProducer(**args, enable_idempotence=True, max_batch_size=BATCH_BYTES, linger_ms=20)
    await producer.start()
    try:
        sent = [await producer.send(SCHEMAS.name, value, key=key, partition=0) for key, value in missing]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()
    logger.info("schemas registered", records=len(missing))
