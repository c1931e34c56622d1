"""Owners of one shard on a model broker, interleaved by a schedule, with whatever a network and a scheduler can do.

Nothing here waits: each owner is driven by hand, a request is a flight whose fate the schedule draws, time is a number.
So a run is its schedule, and the same one plays the same. What must hold, checked at each step: see `Witness`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from model_broker import HOUR_S, LAST_EPOCH_GIVEN, NO_ERROR, NOT_LEADER, TIMED_OUT, TOO_LARGE, ModelBroker
from protocol.owner import Flight, Owner
from protocol.witness import TOPICS, Violation, Witness

from commands.connection import Identity, Told

TRANSACTIONAL_ID = "logistics.simulated.shard.0"
HEARTBEAT_EVERY_S = 6 * HOUR_S
STUCK_AFTER = 2_000
LONGEST_WITH_STOPPED_CLOCKS_S = 6 * 24 * HOUR_S


class Schedule:
    """Numbers that decide what comes next. Zeros at the end: the plain course of things."""

    def __init__(self, drawn: bytes) -> None:
        self._drawn = drawn
        self._at = 0

    @property
    def over(self) -> bool:
        return self._at >= len(self._drawn)

    def below(self, limit: int) -> int:
        if self.over:
            return 0
        self._at += 1
        return self._drawn[self._at - 1] % limit


class World:
    """`topics_emptied`: somebody trims the log, which ours forbids."""

    def __init__(
        self,
        schedule: Schedule,
        owner: Callable[["World"], Owner] = Owner,
        owners: int = 3,
        topics_emptied: bool = False,
    ) -> None:
        self.schedule = schedule
        self._topics_emptied = topics_emptied
        self.clocks_may_stand = schedule.below(4) == 3
        """As of a suspended machine. Then no id changes: see `_let_pass`."""
        epochs_left = (LAST_EPOCH_GIVEN, 1, 2)[0 if self.clocks_may_stand else schedule.below(3)]
        self.broker = ModelBroker(TOPICS, LAST_EPOCH_GIVEN - epochs_left)
        self.witness = Witness(self.broker)
        self._facts = 0
        self._late: list[Flight] = []
        self.owners = [owner(self) for _ in range(owners)]
        self.steps = 0

    # What owners see of it

    def read(self, barriers: Mapping[str, int] | None = None) -> dict[str, list[bytes]]:
        """The log, up to the barriers and with them."""
        ends = {topic: None if barriers is None else barriers[topic] + 1 for topic in TOPICS}
        return {topic: self.broker.partitions[topic].log[: ends[topic]] for topic in TOPICS}

    def next_fact(self) -> int:
        self._facts += 1
        return self._facts

    # The run

    def run(self) -> None:
        """Raises Violation."""
        self._finish(self.owners[0], self.owners[0].open)
        while not self.schedule.over:
            self._next()
        self._conclude()

    def _next(self) -> None:
        self.steps += 1
        what, owner = self.schedule.below(32), self.owners[self.schedule.below(len(self.owners))]
        match what:
            case 17 | 18 | 19 | 20 | 21:
                self._spoil(owner)
            case 22 | 23:
                self._freeze(owner)
            case 24 | 25:
                owner.frozen = owner.clock_stands = False
            case 26 | 27:
                self._open(owner)
            case 28:
                self._deliver_late()
            case 16 | 29:
                self.broker.now_s += 2
            case 30:
                self._let_pass((7, 26, 26, 8 * 24)[self.schedule.below(4)] * HOUR_S)
            case 31:
                self._trouble_at_the_leader()
            case _:
                self._go(owner)

    def _go(self, owner: Owner) -> None:
        if owner.frozen:
            return
        if owner.steps is None:
            self._begin(owner)
        elif owner.flight is None:
            owner.step()
        elif owner.flight.answer is None:
            self._deliver(owner.flight)
        else:
            self._tell(owner, owner.flight.answer)

    def _begin(self, owner: Owner) -> None:
        if not owner.serving:
            if not owner.fenced:
                owner.begin(owner.open)
            return
        match self.schedule.below(6):
            case 3 | 4 if not self.clocks_may_stand:
                owner.begin(owner.answer)
            case 5:
                owner.begin(owner.append, TOPICS, 2)
            case which:
                owner.begin(owner.append, [TOPICS[which % 2]], 1 + which // 2)

    def _open(self, owner: Owner) -> None:
        """As if started anew: what it was about is forgotten, what it had sent may still arrive."""
        if owner.frozen:
            return
        self._late += [flight for flight in owner.flights if flight.answer is None]
        owner.flights.clear()
        if owner.steps is not None:
            owner.steps.close()
        owner.begin(owner.open)

    def _freeze(self, owner: Owner) -> None:
        owner.frozen = True
        owner.clock_stands = self.clocks_may_stand and self.schedule.below(2) == 1

    def _trouble_at_the_leader(self) -> None:
        partition = self.broker.partitions[TOPICS[self.schedule.below(len(TOPICS))]]
        match self.schedule.below(3):
            case 2:
                partition.log.append(b"stranger's %d" % self.next_fact())
            case 1 if self._topics_emptied:
                partition.empty()
                partition.reload()
            case _:
                partition.reload()

    # Flights

    def _deliver(self, flight: Flight) -> None:
        if flight.batches is None:
            producer_id, epoch = self.broker.init_producer_id(TRANSACTIONAL_ID)
            self.witness.epoch_given(producer_id, epoch)
            flight.answer = Identity(NO_ERROR, producer_id, epoch)
        else:
            flight.answer = [self._append(topic, data) for topic, data in flight.batches.items()]

    def _append(self, topic: str, data: bytes) -> Told:
        log = self.broker.partitions[topic].log
        end = len(log)
        code, offset = self.broker.append(topic, data)
        self.witness.taken(topic, log[end:])
        return Told(topic, code, offset)

    def _tell(self, owner: Owner, told: list[Told] | Identity | None) -> None:
        flight = owner.flights.pop(0)
        flight.told, flight.over = told, True

    def _spoil(self, owner: Owner) -> None:
        """Something happens to what it has sent."""
        flight = owner.flight
        if flight is None:
            return
        fate = self.schedule.below(8)
        if flight.answer is not None or fate == 0:  # lost: the answer, or the request
            self._tell(owner, None)
        elif fate == 1 or flight.batches is None:
            self._late.append(flight)
            self._tell(owner, None)
        elif fate in (2, 3, 4):
            self._time_out(owner, flight, flight.batches, ("before", "never", "later")[fate - 2])
        elif fate in (5, 6):  # not the leader any more; or for a moment the topic takes less
            self._tell(owner, [Told(topic, (NOT_LEADER, TOO_LARGE)[fate - 5], -1) for topic in flight.batches])
        else:
            first = next(iter(flight.batches))
            self._tell(owner, [self._append(first, flight.batches[first])])

    def _time_out(self, owner: Owner, flight: Flight, batches: Mapping[str, bytes], written: str) -> None:
        """The leader did not hear from its replicas in time: it says so, with the offset that the batch would have."""
        told = [Told(topic, TIMED_OUT, len(self.broker.partitions[topic].log)) for topic in batches]
        if written == "before":
            for topic, data in batches.items():
                self._append(topic, data)
        if written == "later":
            self._late.append(flight)
        self._tell(owner, told)

    def _deliver_late(self) -> None:
        if self._late:
            self._deliver(self._late.pop(self.schedule.below(len(self._late))))

    # Time

    def _let_pass(self, seconds: float) -> None:
        """Hours or days: who is awake finishes and beats, what is on its way arrives, connections break.

        Two things are believed not to come together: a machine that stood still for a day with its clock, and a
        changed producer id; nor that it was alone in that time.
        """
        if self.clocks_may_stand:
            seconds = min(seconds, LONGEST_WITH_STOPPED_CLOCKS_S - self.broker.now_s)
        self._arrive()
        until_s = self.broker.now_s + seconds
        while self.broker.now_s < until_s:
            awake = [owner for owner in self.owners if not owner.frozen]
            for owner in awake:
                if owner.steps is not None:
                    self._finish(owner)
                if owner.serving:
                    self._finish(owner, owner.idle)
            if self.clocks_may_stand and not any(owner.serving for owner in awake):
                return
            passed_s = min(HEARTBEAT_EVERY_S, until_s - self.broker.now_s)
            self.broker.now_s += passed_s
            for owner in self.owners:
                owner.behind_s += passed_s if owner.clock_stands else 0

    def _arrive(self) -> None:
        for owner in self.owners:
            while owner.frozen and owner.flight is not None:
                if owner.flight.answer is None:
                    self._deliver(owner.flight)
                self._tell(owner, None)
        while self._late:
            self._deliver(self._late.pop(0))

    def _finish(self, owner: Owner, doing: Callable[..., Awaitable[None]] | None = None, *told: Any) -> None:
        if doing is not None:
            owner.begin(doing, *told)
        for _ in range(STUCK_AFTER):
            if owner.steps is None:
                return
            self._go(owner)
        raise Violation(f"an owner finds no end in {STUCK_AFTER} steps")

    def _conclude(self) -> None:
        """Everyone wakes, everything arrives; then the first one opens anew, knows everything, and can write."""
        for owner in self.owners:
            owner.frozen = owner.clock_stands = False
            if owner.steps is not None:
                self._finish(owner)
        while self._late:
            self._deliver(self._late.pop(0))
        self.witness.all_stand()
        last = self.owners[0]
        for doing in (last.open, last.append):
            self._finish(last, doing, *([TOPICS, 2] if doing == last.append else []))
            if not last.serving:
                raise Violation("the only owner that is left cannot open and write")
        self.witness.answered(last.known, self.broker.now_s)
        self.witness.all_stand()
