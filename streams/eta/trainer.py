"""Learns from all arrivals: what was seen on the way, and how long it took from there.

One follows all partitions of signals and tasks. What it knows follows from them alone: begun anew, it goes through the
latest day in the order of arrivals, as if it had been there. Of the tenants that are live it learns apart from those
that are played.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.directory import TenantCreated
from schemas.eta_model import EtaErrorsMet, EtaModelEvent
from schemas.message import Event, Source
from schemas.signals import EtaScored
from streams.eta.journey import COLUMNS, COLUMNS_NAME, VEHICLES
from streams.eta.learner import Learner, Lesson
from streams.eta.models import grown, met
from streams.eta.service import ServiceTimes
from streams.eta.worlds import Worlds

VEHICLE = COLUMNS.index("vehicle")


FEWEST_CAUGHT_UP = 60
"""Journeys through which it goes one by one when it is begun anew, so that errors are known; and so long a time:"""
CAUGHT_UP_S = 7_200.0


class Handed(msgspec.Struct, frozen=True):
    """Lessons in the order of arrivals, who is forgotten, and by tenant and kind of stop how many times as long as
    planned it takes."""

    lessons: Sequence[Lesson]
    forgotten: Sequence[str]
    service_times: Mapping[tuple[str, str], tuple[float, int]]


class Trainer:
    """`seed` makes the same forests from the same lessons."""

    def __init__(self, seed: int = 0) -> None:
        self._worlds = Worlds()
        self._service = ServiceTimes()
        self._waiting: list[Lesson] = []
        self._forgotten: list[str] = []
        """Both since the last look."""
        self._pupils = {live: Pupil(live, Learner(seed)) for live in (True, False)}

    def take(self, event: Event, source: Source) -> None:
        match event:
            case TenantCreated():
                self._worlds.take(event)
            case EtaScored():
                self._arrived(event, source)
            case _:
                self._service.take(event, source)

    def forget(self, subject: str) -> None:
        self._waiting = [lesson for lesson in self._waiting if lesson.subject != subject]
        self._forgotten.append(subject)

    def stands(self, event: Event) -> None:
        """This was told before, and is what everybody goes by."""
        if isinstance(event, EtaErrorsMet):
            self._pupils[event.live].stands = event

    def _arrived(self, event: EtaScored, source: Source) -> None:
        """Nothing is learned of who is forgotten, nor from rows of another release, which saw other columns."""
        seen = event.seen.value if event.seen is not None else None
        if event.seen is None or not seen or event.columns != COLUMNS_NAME:
            return
        rows = np.array([row for _, row in seen])
        seconds = np.array([left_s for left_s, _ in seen])
        vehicle = VEHICLES[int(rows[-1, VEHICLE])]
        all_of_it, ended_s = np.ones(len(seen), bool), event.arrived_at.timestamp()
        lesson = Lesson(ended_s, rows, seconds, all_of_it, source.tenant, vehicle, event.seen.subject)
        self._waiting.append(lesson)

    def look(self, now: datetime) -> list[EtaModelEvent]:
        """What is to be told: nothing where all is as it was. For who tells it at once."""
        events = self.learn(self.handed_over(), now)
        for event in events:
            self.told(event)
        return events

    def handed_over(self) -> Handed:
        """What came since the last time. Learning from it takes seconds, and may go on beside `take`."""
        lessons, self._waiting = self._waiting, []
        forgotten, self._forgotten = self._forgotten, []
        in_order = sorted(lessons, key=lambda lesson: lesson.ended_s)
        return Handed(in_order, forgotten, self._service.times())

    def learn(self, handed: Handed, now: datetime) -> list[EtaModelEvent]:
        return [event for live, pupil in self._pupils.items() for event in pupil.learn(self._of(live, handed), now)]

    def told(self, event: EtaModelEvent) -> None:
        """It stands on the log."""
        pupil = self._pupils[event.live]
        if isinstance(event, EtaErrorsMet):
            pupil.stands = event
        else:
            pupil.forest = event.forest

    def end(self) -> None:
        """Whatever learning goes on comes to its end soon."""
        for pupil in self._pupils.values():
            pupil.ends = True

    def _of(self, live: bool, handed: Handed) -> Handed:
        lessons = [lesson for lesson in handed.lessons if self._worlds.is_live(lesson.tenant) == live]
        times = {key: known for key, known in handed.service_times.items() if self._worlds.is_live(key[0]) == live}
        return Handed(lessons, handed.forgotten, times)


class Pupil:
    """Who learns of one world: `stands` and `forest` are what was told of it last."""

    def __init__(self, live: bool, learner: Learner) -> None:
        self._live = live
        self._learner = learner
        self.stands: EtaErrorsMet | None = None
        self.forest: str | None = None
        self.ends = False

    def learn(self, handed: Handed, now: datetime) -> list[EtaModelEvent]:
        for subject in handed.forgotten:
            self._learner.forget(subject)
        for lesson, asks in caught_up(handed.lessons):
            if self.ends:
                return []
            if asks:
                self._learner.model(lesson.ended_s)
            self._learner.take(lesson)
        if self.ends:
            return []
        model, forest = self._learner.model(now.timestamp()), self._learner.forest
        if model.errors is None or forest is None:
            if self.stands is not None and self.stands.forest is not None:
                return []  # what was learned before is better than nothing
            return self._if_new(met(self._live, model, None, handed.service_times, now))
        events: list[EtaModelEvent] = [] if forest.name == self.forest else [grown(self._live, forest)]
        version = f"{forest.name}+{self._learner.taken}"
        told = met(self._live, replace(model, version=version), forest.name, handed.service_times, now)
        return [*events, *self._if_new(told)]

    def _if_new(self, told: EtaErrorsMet) -> list[EtaModelEvent]:
        same = self.stands is not None and replace(told, until=self.stands.until) == self.stands
        return [] if same else [told]


def caught_up(lessons: Sequence[Lesson]) -> Iterator[tuple[Lesson, bool]]:
    """Whether a model is to be asked for before each. Of many at once only the last ones matter so much: forests of
    hours that are long over would be grown for nothing."""
    if not lessons:
        return
    since_s = lessons[-1].ended_s - CAUGHT_UP_S
    for number, lesson in enumerate(lessons):
        yield lesson, lesson.ended_s >= since_s or number >= len(lessons) - FEWEST_CAUGHT_UP
