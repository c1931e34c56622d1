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
from schemas.signals import EtaForecast, EtaScored
from streams.eta.journey import COLUMNS, VEHICLES
from streams.eta.learner import Learner, Lesson
from streams.eta.models import grown, met
from streams.eta.service import ServiceTimes

MOST_OPEN = 50_000
"""Stops of which something was foretold; the oldest are forgotten."""
MOST_SEEN = 120
"""Of one stop: of more, every second one of the older half goes."""
VEHICLE = COLUMNS.index("vehicle")

type StopKey = tuple[str, str, str, str]
"""Tenant, rider, task and stop."""


class Seen(msgspec.Struct, frozen=True):
    at_s: float
    row: list[float]


class Handed(msgspec.Struct, frozen=True):
    """Lessons in the order of arrivals, and by tenant and kind of stop how many times as long as planned it takes."""

    lessons: Sequence[Lesson]
    service_times: Mapping[tuple[str, str], tuple[float, int]]


class Trainer:
    """`seed` makes the same forests from the same lessons."""

    def __init__(self, seed: int = 0) -> None:
        self._learner = Learner(seed)
        self._service = ServiceTimes()
        self._seen: dict[StopKey, list[Seen]] = {}
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
            case EtaForecast():
                self._saw(event, source)
            case EtaScored():
                self._arrived(event, source)
            case _:
                self._service.take(event, source)

    def _saw(self, event: EtaForecast, source: Source) -> None:
        row = None if event.seen is None else event.seen.value
        if row is None or len(row) != len(COLUMNS):
            return  # the rider is forgotten, or another release saw other columns
        stop = source.tenant, source.aggregate_id, event.task_id, event.stop_id
        seen = self._seen.setdefault(stop, [])
        seen.append(Seen(source.event_time.timestamp(), row))
        if len(seen) > MOST_SEEN:
            del seen[1 : MOST_SEEN // 2 : 2]
        if len(self._seen) > MOST_OPEN:
            del self._seen[next(iter(self._seen))]

    def _arrived(self, event: EtaScored, source: Source) -> None:
        """Since the first forecast that is scored: what was seen before was of another attempt."""
        seen = self._seen.pop((source.tenant, source.aggregate_id, event.task_id, event.stop_id), [])
        ended_s, since_s = event.arrived_at.timestamp(), event.forecasts[0].at.timestamp()
        known = [each for each in seen if since_s <= each.at_s < ended_s]
        if known:
            rows = np.array([each.row for each in known])
            seconds = ended_s - np.array([each.at_s for each in known])
            vehicle = VEHICLES[int(rows[-1, VEHICLE])]
            all_of_it = np.ones(len(known), bool)
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
