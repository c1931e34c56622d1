"""The trainer: one process learns from all arrivals what drives take, and tells it on `logistics.eta-models`.

Several may run: the group lets one of them learn, which is the one that has the topic's only partition.
"""

import asyncio
from datetime import datetime, timedelta

import structlog
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.errors import KafkaError

from commands.follow import Follower
from commands.learning import key_in
from infra.clock import real_time
from infra.kafka import client_args
from infra.secrets import secret
from infra.settings import Settings
from schemas import catalog, ids
from schemas.catalog import nothing_personal
from schemas.eta_model import EtaModelEvent, key_of
from schemas.keyring import Keyring
from schemas.record import Stored, derived_headers, envelope_of, event_of, source_of
from schemas.topics import DIRECTORY, ETA_MODELS, KEYS, SIGNALS, TASK
from streams.eta.trainer import Trainer

LOOKS_EVERY_S = 20.0
LOOKS_BACK = timedelta(days=7)
"""What came before teaches nothing any more."""
ASKS_EVERY_MS = 1_000

logger = structlog.get_logger()


async def serve_trainer(settings: Settings) -> None:
    """Until it is cancelled. Raises what learning ended with."""
    args = client_args(settings)
    turn = AIOKafkaConsumer(
        ETA_MODELS.name,
        **args,
        group_id=f"logistics.trainer.{settings.cluster}",
        enable_auto_commit=False,
        auto_offset_reset="latest",
    )
    await turn.start()
    try:
        while True:
            await turn.getmany(timeout_ms=ASKS_EVERY_MS)
            if turn.assignment():
                await while_it_is_ours(turn, Learning(settings))
    finally:
        await turn.stop()


async def while_it_is_ours(turn: AIOKafkaConsumer, learning: "Learning") -> None:
    """Raises what learning ended with."""
    task = asyncio.create_task(learning.run())
    try:
        while turn.assignment() and not task.done():
            await turn.getmany(timeout_ms=ASKS_EVERY_MS)
    finally:
        if not task.done():
            learning.end()
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    if not task.cancelled():
        task.result()


class Learning:
    def __init__(self, settings: Settings) -> None:
        args = client_args(settings)
        since = real_time() - LOOKS_BACK
        self._source = f"/logistics/{settings.cluster}/trainer"
        self._keyring = Keyring(secret(settings, "key_encryption_key"))
        self._trainer = Trainer()
        self._keys = Follower(args, [KEYS.name], self._learn_key)
        self._directory = Follower(args, [DIRECTORY.name], self._take)
        self._facts = Follower(args, [SIGNALS.name, TASK.name], self._take, since)
        self._told = Follower(args, [ETA_MODELS.name], self._learn_told)
        self._producer = AIOKafkaProducer(**args, enable_idempotence=True, max_request_size=8 << 20)

    async def run(self) -> None:
        """Until it is cancelled. Raises what following ended with."""
        await self._producer.start()
        try:
            await self._told.start()
            await self._told.stop()
            for followed in (self._keys, self._directory, self._facts):
                await followed.start()
            logger.info("trainer learns")
            await asyncio.gather(self._looks(), self._keys.run(), self._directory.run(), self._facts.run())
        finally:
            for followed in (self._facts, self._directory, self._keys):
                await followed.stop()
            await self._producer.stop()

    def end(self) -> None:
        self._trainer.end()

    async def _looks(self) -> None:
        """What cannot be learned is passed over: riders are foretold by the model before."""
        while True:
            now = real_time()
            try:
                told = await asyncio.to_thread(self._trainer.learn, self._trainer.handed_over(), now)
            except Exception as failed:
                logger.exception("nothing was learned", error=failed)
                told = []
            for event in told:
                if not await self._stands(event, now):
                    break  # errors go with their forest; both are told again
            await asyncio.sleep(LOOKS_EVERY_S)

    async def _stands(self, event: EtaModelEvent, now: datetime) -> bool:
        key = key_of(event)
        headers = derived_headers(
            event_id=ids.derived("eta-model", self._source, key.decode(), now.isoformat()),
            type_name=catalog.BY_CLASS[type(event)].name,
            source=self._source,
            event_time=now,
            recorded_at=now,
            subject=key.decode(),
            tenant="",
            actor="trainer",
            epoch=0,
        )
        value = catalog.write(event, nothing_personal)
        try:
            await self._producer.send_and_wait(ETA_MODELS.name, value, key=key, headers=list(headers))
        except KafkaError as failed:
            logger.warning("a model was not told", key=key.decode(), error=failed)
            return False
        self._trainer.told(event)
        return True

    def _learn_key(self, stored: Stored) -> None:
        if (told := key_in(stored)) is None:
            return
        subject, wrapped = told
        self._keyring.apply(stored.partition, subject, wrapped)
        if wrapped is None:
            self._trainer.forget(subject)

    def _learn_told(self, stored: Stored) -> None:
        self._trainer.stands(event_of(stored, None))

    def _take(self, stored: Stored) -> None:
        if stored.is_control:
            return
        envelope = envelope_of(stored)
        unseal = self._keyring.unsealer(stored.partition, envelope.tenant, envelope.aggregate_id)
        self._trainer.take(event_of(stored, unseal), source_of(envelope, stored))
