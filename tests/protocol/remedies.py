"""The remedies of the write protocol, each with what is done when it is left out. The simulation must find the harm.

A remedy's name is the rule; `Without` says how a naive owner would go about it.
"""

import types
from collections.abc import Callable, Coroutine, Generator, Mapping, Sequence
from typing import Any, NamedTuple

from model_broker import NO_ERROR, TIMED_OUT
from protocol.owner import ModelConnection, Owner, turn
from protocol.simulation import World
from protocol.witness import TOPICS

from commands.connection import Told
from commands.log import Entry, FateUnknown, ShardLog


class Remedy(NamedTuple):
    name: str
    without: Callable[[World], Owner]
    world: Mapping[str, Any] = {}


class AnswerMissing(FateUnknown):
    """Of a naive owner: it takes a missing answer, or a time-out, for the end of it."""


# The first writes of a tenure


class NoBarrier(Owner):
    """Serves as soon as it has its epoch."""

    async def bar(self, log: ShardLog) -> Mapping[str, int]:
        log._sequence = dict.fromkeys(TOPICS, 0)
        log.next_offset = {topic: len(self.known[topic]) for topic in TOPICS}
        return {topic: end - 1 for topic, end in log.next_offset.items()}


class BarrierInOneTopic(Owner):
    async def bar(self, log: ShardLog) -> Mapping[str, int]:
        one, other = TOPICS
        stand = await log.barriers({one: self.entry("barrier", log.producer_id)})
        log._sequence[other], log.next_offset[other] = 0, len(self.known[other])
        return {**stand, other: log.next_offset[other] - 1}


class ReadsNotToItsBarriers(Owner):
    """Believes what it had read before, and goes on from where its barriers stand."""

    def read_up(self, barriers: Mapping[str, int]) -> dict[str, list[bytes]]:
        return {topic: [*self.known[topic], known[-1]] for topic, known in super().read_up(barriers).items()}


class SharedEpoch(Owner):
    """Two processes write under one id and epoch, as with one taken from a shared place."""

    async def take_epoch(self, log: ShardLog) -> None:
        await log.take_epoch()
        shared: list[tuple[int, int]] = self.world.__dict__.setdefault("shared", [(log.producer_id, log.epoch)])
        log.producer_id, log.epoch = shared[0]


# Ids that change, and what the broker forgets


class NothingRetired(Owner):
    async def retire(self, log: ShardLog, found: Mapping[str, int]) -> None:
        """A changed id is overlooked."""


class RetiresUnasked(Owner):
    """Takes any id that is not its own for an old one."""

    async def retire(self, log: ShardLog, found: Mapping[str, int]) -> None:
        others = {topic: each for topic, each in found.items() if each != log.producer_id}
        await log.retire(others, dict.fromkeys(others, self.entry("retired", log.producer_id)))


class ReadBeforeTheEpoch(Owner):
    """Looks for former ids in what it read before it had an epoch."""

    async def take_epoch(self, log: ShardLog) -> None:
        self.found_before = super().found()
        await turn()
        await log.take_epoch()

    def found(self) -> dict[str, int]:
        return self.found_before


class NoHeartbeats(Owner):
    async def idle(self) -> None: ...


class SpeaksAfterSilence(Owner):
    """Writes on, however long it was silent."""

    class Log(ShardLog):
        def _may_send(self, topics: Any) -> None: ...

    log_class = Log


# One batch


class OffsetUnchecked(Owner):
    class Log(ShardLog):
        def _check_offset(self, topic: str, offset: int, expected: Mapping[str, int]) -> None: ...

    log_class = Log


class GivesUp(ShardLog):
    """Whose fate is unknown is left."""

    async def _send_until_told(self, batches: Mapping[str, bytes], expected: Mapping[str, int]) -> dict[str, int]:
        stand = {told.topic: told.offset for told in await self._connection.send(batches) if self._known(told, set())}
        for topic, offset in stand.items():
            self._check_offset(topic, offset, expected)
        if stand.keys() < batches.keys():
            raise AnswerMissing("not told")
        return stand


class RebuiltBatch(Owner):
    """Gives the used sequence to other records."""

    log_class = GivesUp

    async def append(self, topics: Sequence[str], count: int) -> None:
        try:
            await super().append(topics, count)
        except AnswerMissing:
            assert self.log is not None, "it was open"
            self.log._ended = None


class TimeoutTakenForFailure(Owner):
    """Says it again under an epoch of its own, without a look at the log."""

    log_class = GivesUp

    async def write(self, groups: Mapping[str, Sequence[Entry]]) -> bool:
        try:
            return await super().write(groups)
        except AnswerMissing:
            assert self.log is not None, "it was open"
            await self.log.take_epoch()
            await self.retire(self.log, self.found())
            self.known = self.read_up(await self.bar(self.log))
            return await super().write(
                {topic: [self.again(each) for each in entries] for topic, entries in groups.items()}
            )

    def again(self, entry: Entry) -> Entry:
        kind, _, number = (entry[1] or b"").decode().split()
        return self.entry(kind, int(number))


class TimeoutTakenForSuccess(Owner):
    class Log(ShardLog):
        async def _send_until_told(self, batches: Mapping[str, bytes], expected: Mapping[str, int]) -> dict[str, int]:
            if not expected:
                return await super()._send_until_told(batches, expected)
            for told in await self._connection.send(batches):
                if self._known(told, set()):
                    self._check_offset(told.topic, told.offset, expected)
            return dict(expected)

    log_class = Log


class OffsetOfAnErrorBelieved(Owner):
    """An answer with the expected offset is an acknowledgement, whatever its code."""

    class Connection(ModelConnection):
        async def send(self, batches: Mapping[str, bytes]) -> Sequence[Told]:
            told = await super().send(batches)
            return [each._replace(code=NO_ERROR) if each.code == TIMED_OUT else each for each in told]

    connection_class = Connection


class TooLargeBelieved(Owner):
    """Takes a batch for unwritten that is told too large when it is sent again."""

    class Log(ShardLog):
        def _known(self, told: Told, unsure: set[str]) -> bool:
            return super()._known(told, set())

    log_class = Log


class TwoInFlight(Owner):
    """Sends the second batch while the first is under way."""

    class Log(ShardLog):
        async def _settle(
            self, batches: Mapping[str, bytes], expected: Mapping[str, int], all_fit: bool = False
        ) -> dict[str, int]:
            return await self._send_until_told(batches, expected)

    log_class = Log

    async def append(self, topics: Sequence[str], count: int) -> None:
        await side_by_side(super().append(topics, count), super().append(topics, count))


@types.coroutine
def side_by_side(*steps: Coroutine[Any, Any, None]) -> Generator[None]:
    waiting = list(steps)
    while waiting:
        for each in list(waiting):
            try:
                each.send(None)
            except StopIteration:
                waiting.remove(each)
        if waiting:
            yield


# Answers


class ConfirmedForEver(Owner):
    """Answers from memory without a question to the log."""

    async def answer(self) -> None:
        self.world.witness.answered(self.known, self.world.broker.now_s)


class ConfirmedWhenHeard(Owner):
    """Counts from when the acknowledgement was heard."""

    async def write(self, groups: Mapping[str, Sequence[Entry]]) -> bool:
        stand = await super().write(groups)
        if stand:
            self.confirmed_s = self.clock()
        return stand


REMEDIES = [
    Remedy("a barrier is written before anything else", NoBarrier),
    Remedy("a barrier in every topic", BarrierInOneTopic),
    Remedy("the log is read up to the own barriers", ReadsNotToItsBarriers),
    Remedy("an epoch is never shared", SharedEpoch),
    Remedy("a changed producer id: the former one is retired", NothingRetired),
    Remedy("only an id that the broker has given up is retired", RetiresUnasked),
    Remedy("former ids are looked for after the epoch was taken", ReadBeforeTheEpoch),
    Remedy("heartbeats, well before the broker forgets its producer", NoHeartbeats),
    Remedy("who was silent for too long opens again", SpeaksAfterSilence),
    Remedy("a log is never emptied", Owner, {"topics_emptied": True}),
    Remedy("a batch must stand at the expected offset", OffsetUnchecked),
    Remedy("the same bytes again under a used sequence, no others", RebuiltBatch),
    Remedy("a time-out is no failure", TimeoutTakenForFailure),
    Remedy("a missing answer is no acknowledgement", TimeoutTakenForSuccess),
    Remedy("the offset that comes with an error means nothing", OffsetOfAnErrorBelieved),
    Remedy("told too large when sent again, it may stand", TooLargeBelieved, {"owners": 1}),
    Remedy("one batch in flight", TwoInFlight),
    Remedy("an answer from memory needs a confirmed tenure", ConfirmedForEver),
    Remedy("confirmed is what was sent, not what was heard", ConfirmedWhenHeard, {"owners": 2}),
]
