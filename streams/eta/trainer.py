"""Learns from all arrivals: what was seen when they were foretold, and when they were.

One follows all partitions of signals and tasks. What it knows follows from them alone: begun anew, it goes through the
latest day in the order of arrivals, as if it had been there.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import msgspec
import numpy as np
from msgspec.structs import replace

from schemas.directory import TenantCreated
from schemas.eta_model import EtaErrorsMet, EtaModelEvent
from schemas.message import Event, Source
from schemas.signals import EtaScored
from streams.eta.journey import COLUMNS, VEHICLES
from streams.eta.learner import Learner, Lesson
from streams.eta.models import grown, met
from streams.eta.service import ServiceTimes

VEHICLE = COLUMNS.index("vehicle")


class Handed(msgspec.Struct, frozen=True):
    """Lessons in the order of arrivals, and by tenant and kind of stop how many times as long as planned it takes."""

    lessons: Sequence[Lesson]
    service_times: Mapping[tuple[str, str], tuple[float, int]]


class Trainer:
    """`seed` makes the same forests from the same lessons."""

    def __init__(self, seed: int = 0) -> None:
        self._learner = Learner(seed)
        self._service = ServiceTimes()
        self._waiting: list[Lesson] = []
        """Since the last look."""
        self._test_tenants: set[str] = set()
        self._told: EtaErrorsMet | None = None
        self._forest: str | None = None
        """That was told."""

    def take(self, event: Event, source: Source) -> None:
        """What happens on test tenants teaches nobody: it is played."""
        match event:
            case TenantCreated() if event.mode == "test":
                self._test_tenants.add(source.tenant)
            case _ if source.tenant in self._test_tenants:
                pass
            case EtaScored():
                self._arrived(event, source)
            case _:
                self._service.take(event, source)

    def _arrived(self, event: EtaScored, source: Source) -> None:
        """Nothing is learned of who is forgotten, nor from rows of another release, which saw other columns."""
        seen = event.seen.value if event.seen is not None else None
        if seen and all(len(row) == len(COLUMNS) for _, row in seen):
            rows = np.array([row for _, row in seen])
            seconds = np.array([left_s for left_s, _ in seen])
            vehicle = VEHICLES[int(rows[-1, VEHICLE])]
            all_of_it, ended_s = np.ones(len(seen), bool), event.arrived_at.timestamp()
            self._waiting.append(Lesson(ended_s, rows, seconds, all_of_it, source.tenant, vehicle))

    def look(self, now: datetime) -> list[EtaModelEvent]:
        """What is to be told: nothing where all is as it was."""
        return self.learn(self.handed_over(), now)

    def handed_over(self) -> Handed:
        """What came since the last time. Learning from it takes seconds, and may go on beside `take`."""
        lessons, self._waiting = self._waiting, []
        return Handed(sorted(lessons, key=lambda lesson: lesson.ended_s), self._service.times())

    def learn(self, handed: Handed, now: datetime) -> list[EtaModelEvent]:
        for lesson in handed.lessons:
            self._learner.model(lesson.ended_s)
            self._learner.take(lesson)
        model, forest = self._learner.model(now.timestamp()), self._learner.forest
        events: list[EtaModelEvent] = []
        if model.errors is None or forest is None:
            told = met(model, None, handed.service_times, now)
        else:
            if forest.name != self._forest:
                self._forest = forest.name
                until = datetime.fromtimestamp(forest.until_s, UTC)
                events.append(grown(forest.name, forest.middle, forest.spread, forest.journeys, until))
            version = f"{forest.name}+{self._learner.taken}"
            told = met(replace(model, version=version), forest.name, handed.service_times, now)
        if self._told is None or replace(told, until=self._told.until) != self._told:
            self._told = told
            events.append(told)
        return events
