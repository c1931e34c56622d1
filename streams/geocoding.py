"""A stop that was given by its address is located.

| fact               | command                      | then                                        | refused → |
|--------------------|------------------------------|---------------------------------------------|-----------|
| StopLocationSought | ConfirmLocationSought (Task) | what people have told of the address, else  | nothing   |
|                    |                              | those are asked who know addresses,         |           |
|                    |                              | RecordGeocoding (Task), with what they say  |           |

Before anybody is asked the task says whether it waits still: asking may cost money, and who reads the log anew asks
nobody. Whether an answer is sure enough the task judges, by its tenant's rules. Where nobody answers it is told so,
too, and has it fall due to be asked again (see deadlines): no other fact waits meanwhile.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec
from prometheus_client import Counter

from schemas.geo import Location
from schemas.geocoding import (
    MOST_CANDIDATES,
    REMEMBERED,
    ConfirmLocationSought,
    PlaceFound,
    RecordGeocoding,
    StopLocationSought,
)
from schemas.message import Command, Source, TenantSlug
from streams.process import NotAllowed, Rule, Send, Step
from streams.routing.chain import Placed
from streams.routing.provider import Candidate

SOUGHT = Counter("logistics_addresses_sought_total", "Stops whose address was looked up, by who knew it", ["source"])
NOBODY, SILENT = "nobody", "unanswered"


class Places(Protocol):
    async def geocode(self, tenant: TenantSlug, text: str) -> Placed:
        """By those whom the tenant asks. Does not fail."""
        ...

    async def remembered(self, place_key: str, source: Source) -> Location | None:
        """Where an address of the tenant's is, as a person had told it by then. Raises NotNow."""
        ...


def geocoding(send: Send, places: Places) -> tuple[Rule, ...]:
    async def locate(event: StopLocationSought, source: Source) -> Sequence[Step]:
        still = step(source, ConfirmLocationSought(stop_id=event.stop_id, number=event.number), "sought")
        if isinstance(await send(still, source, source.tenant), NotAllowed):
            return []
        return [step(source, await asked(event, source, places), "located")]

    return (Rule(StopLocationSought, locate),)


async def asked(event: StopLocationSought, source: Source, places: Places) -> RecordGeocoding:
    nobody = RecordGeocoding(
        stop_id=event.stop_id, number=event.number, candidates=[], source=None, answered=True, forgotten=True
    )
    if event.address.value is None:
        return nobody
    known = await places.remembered(event.place_key, source)
    if known is not None:
        SOUGHT.labels(REMEMBERED).inc()
        so = PlaceFound(location=known, label=event.address.value, confidence=1.0)
        return msgspec.structs.replace(nobody, candidates=[so], source=REMEMBERED, forgotten=False)
    told = await places.geocode(source.tenant, event.address.value)
    SOUGHT.labels(told.source or (NOBODY if told.is_told else SILENT)).inc()
    return msgspec.structs.replace(
        nobody,
        candidates=[found(each) for each in told.candidates[:MOST_CANDIDATES] if is_on_earth(each.place)],
        source=told.source,
        answered=told.is_told,
        forgotten=False,
    )


def found(candidate: Candidate) -> PlaceFound:
    sure = min(1.0, max(0.0, candidate.confidence))
    return PlaceFound(location=candidate.place, label=candidate.label[:2_000], confidence=sure)


def is_on_earth(place: Location) -> bool:
    """What a provider says is not ours."""
    return -90 <= place.lat <= 90 and -180 <= place.lon <= 180


def step(source: Source, command: Command, purpose: str) -> Step:
    return Step(kind="task", aggregate_id=source.aggregate_id, command=command, purpose=purpose)
