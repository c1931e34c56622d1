"""What the write protocol promises, and who watches it."""

from collections.abc import Mapping, Sequence

from model_broker import ModelBroker

from commands.log import ShardLog

TOPICS = ("facts", "shards")
CONFIRMED_FOR_S = 1.0
"""As commands/shard.py has it: so long after a write that was acknowledged was sent, an owner may answer from memory."""


class Violation(AssertionError):
    """What must never happen has happened."""


class Witness:
    """Sees all that the broker takes and all that owners say, and holds it against what was promised.

    1. What is acknowledged stands in the log, once, at the offset that was told, after all that its owner knew, and
       its owner knew all that stands before it.
    2. What one owner wrote stands in the order in which it was decided.
    3. Nothing of an older owner is taken after a newer one's barrier, nor anywhere once a newer one serves.
    4. A batch stands whole. (The broker sees to that; the first promise would not hold without.)
    5. An answer from memory knows all that was acknowledged until a second before it was asked for.
    """

    def __init__(self, broker: ModelBroker) -> None:
        self._broker = broker
        self._numbers: dict[tuple[int, int], int] = {}
        self._serving = -1
        self._barrier = dict.fromkeys(TOPICS, -1)
        self._latest: dict[tuple[str, int], int] = {}
        self._facts: set[int] = set()
        self._acknowledged: list[tuple[float, str, bytes]] = []
        self.acknowledgements = 0

    def epoch_given(self, producer_id: int, epoch: int) -> None:
        self._numbers[producer_id, epoch] = len(self._numbers)

    def number(self, log: ShardLog) -> int:
        """Owners by the order in which they got their epochs."""
        return self._numbers[log.producer_id, log.epoch]

    def serves(self, log: ShardLog) -> None:
        self._serving = max(self._serving, self.number(log))

    def taken(self, topic: str, values: Sequence[bytes]) -> None:
        for value in values:
            kind, number, *rest = value.decode().split()
            owner = int(number)
            if owner < self._barrier[topic]:
                raise Violation(f"{topic}: {kind} of owner {owner} after the barrier of owner {self._barrier[topic]}")
            if owner < self._serving:
                raise Violation(f"{topic}: {kind} of owner {owner} while owner {self._serving} serves")
            if kind == "barrier":
                self._barrier[topic] = owner
            if kind in ("fact", "beat"):
                self._in_order(topic, owner, int(rest[0]))

    def _in_order(self, topic: str, owner: int, fact: int) -> None:
        if fact in self._facts:
            raise Violation(f"{topic}: fact {fact} stands twice")
        if (latest := self._latest.get((topic, owner), -1)) >= fact:
            raise Violation(f"{topic}: fact {fact} of owner {owner} after its fact {latest}")
        self._facts.add(fact)
        self._latest[topic, owner] = fact

    def acknowledged(self, topic: str, offset: int, values: Sequence[bytes], known: Sequence[bytes]) -> None:
        log = self._broker.partitions[topic].log
        if log[offset : offset + len(values)] != list(values):
            raise Violation(f"{topic}: {values} acknowledged at {offset}, where {log[offset:]} stands")
        if log[:offset] != list(known):
            raise Violation(f"{topic}: acknowledged at {offset} by one who knew {len(known)} records before it")
        self._acknowledged += [(self._broker.now_s, topic, value) for value in values]
        self.acknowledgements += 1

    def answered(self, known: Mapping[str, Sequence[bytes]], asked_s: float) -> None:
        for at_s, topic, value in self._acknowledged:
            if at_s < asked_s - CONFIRMED_FOR_S and value not in known[topic]:
                raise Violation(f"{topic}: an answer from memory does not know {value!r}")

    def all_stand(self) -> None:
        for _, topic, value in self._acknowledged:
            if value not in self._broker.partitions[topic].log:
                raise Violation(f"{topic}: {value!r} was acknowledged and does not stand")
