"""Where a task's stops are: asked of who knows addresses, taken where that is sure enough, else told by a person."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from commands.context import Context, Secrets
from commands.task_state import CreatedTask, StopState, known_stop, state_of
from commands.task_timing import followed
from schemas.address import asked_of, normalised
from schemas.field_report import ReportArrived
from schemas.geo import Location
from schemas.geocoding import (
    ENTRANCE_ELSEWHERE,
    LOCATION_NOT_SOUGHT,
    ConfirmLocationSought,
    PlaceCandidate,
    PlaceFound,
    RecordGeocoding,
    SeekLocations,
    StopLocationSought,
    StopNeedsLocation,
    WhyNotLocated,
)
from schemas.ids import contact_subject
from schemas.message import NotInThisState, Personal, Refused, SubjectId
from schemas.stop import Stop
from schemas.task import LocateStop, StopLocated, TaskEvent

AGAIN_AFTER_S = (10, 30, 60, 300, 900, 3_600)
"""After each time that nobody answered; from then on always the last."""
ACCURATE_M = 50.0
"""A fix that errs by more tells no entrance."""
MOST_TIMES = 48
"""So often a stop is asked for, nearly two days long; then a person alone can tell."""
DISPATCHING = ("dispatcher", "operator")
"""Whose word of where an address is is remembered."""


class LocationNotSought(Refused):
    rule = LOCATION_NOT_SOUGHT

    def __init__(self, stop_id: str, number: int) -> None:
        super().__init__(f"nobody waits for where {stop_id} is, asked for the {number}. time")
        self.stop_id = stop_id
        self.number = number


def sought(stops: Iterable[Stop], context: Context, number: int = 1) -> list[StopLocationSought]:
    """Of those that have an address that can be read, and no place."""
    found = []
    for stop in stops:
        address = context.opened(stop.address, str)
        if stop.location is None and stop.address is not None and address:
            code = context.opened(stop.postal_code, str)
            asked = StopLocationSought(
                stop_id=stop.stop_id,
                number=number,
                address=Personal(stop.address.subject, asked_of(address, code)),
                place_key=place_key(address, code, context),
            )
            found.append(asked)
    return found


def place_key(address: str, postal_code: str | None, context: Context) -> str:
    return key_of_address(context.secrets, context.tenant, address, postal_code)


def key_of_address(secrets: Secrets, tenant: str, address: str, postal_code: str | None) -> str:
    """It tells nobody the address, and is the same for who asks for the same one."""
    return secrets.keyed_hash("address", tenant, normalised(address, postal_code))


def entrance_key(stop: Stop, command: ReportArrived, context: Context) -> str | None:
    """None where the rider does not say that the stop is elsewhere, or cannot know it so well."""
    if command.override_reason != ENTRANCE_ELSEWHERE or command.fix.accuracy_m is None:
        return None
    return key_of_stop(stop, context) if command.fix.accuracy_m <= ACCURATE_M else None


def key_of_stop(stop: Stop, context: Context) -> str | None:
    """None of a stop at an outlet or a hub, and of one without an address."""
    address = context.opened(stop.address, str)
    if not address or stop.party.kind not in ("recipient", "sender"):
        return None
    return place_key(address, context.opened(stop.postal_code, str), context)


def locate_stop(task: CreatedTask, command: LocateStop, context: Context) -> list[TaskEvent]:
    stop = known_stop(task, command.stop_id)
    if state_of(task) not in ("created", "dispatchable", "offering"):
        raise NotInThisState(needed="not yet under way", actual=state_of(task))
    if context.opened(stop.stop.location, Location) == command.location:
        return []
    placed = StopLocated(
        stop_id=command.stop_id,
        location=Personal(subject_of(stop.stop, context), command.location),
        reason_code=command.reason_code,
        remember_as=key_of_stop(stop.stop, context) if context.role in DISPATCHING else None,
        seek_at=seek_at_without(task, stop),
    )
    return followed(task, placed, context)


def subject_of(stop: Stop, context: Context) -> SubjectId:
    if stop.contact:
        return stop.contact.name.subject
    if stop.address:
        return stop.address.subject
    return contact_subject(context.tenant, f"{context.aggregate_id}/{stop.stop_id}")


def confirm_location_sought(task: CreatedTask, command: ConfirmLocationSought) -> list[TaskEvent]:
    if waiting_for(task, command) is None:
        raise LocationNotSought(command.stop_id, command.number)
    return []


def waiting_for(task: CreatedTask, command: ConfirmLocationSought | RecordGeocoding) -> StopState | None:
    """The stop, if this is the answer that it waits for."""
    stop = task.stops.get(command.stop_id)
    if stop is None or task.ended or stop.stop.location is not None:
        return None
    return stop if stop.sought == command.number and not stop.sought_answered else None


def record_geocoding(task: CreatedTask, command: RecordGeocoding, context: Context) -> list[TaskEvent]:
    stop = waiting_for(task, command)
    if stop is None:
        return []
    subject = subject_of(stop.stop, context)
    best = max(command.candidates, key=lambda each: each.confidence, default=None)
    if best is not None and best.confidence >= context.policy.rules.locate_confidence:
        located = StopLocated(
            stop_id=command.stop_id,
            location=Personal(subject, best.location),
            confidence=best.confidence,
            source=command.source,
            seek_at=seek_at_without(task, stop),
        )
        return followed(task, located, context)
    at = again_at(command, context)
    return [
        StopNeedsLocation(
            stop_id=command.stop_id,
            number=command.number,
            reason_code=why_not(command),
            candidates=[candidate(each, subject) for each in command.candidates],
            source=command.source,
            again=at is not None,
            seek_at=earliest(task.seek_at, at),
        )
    ]


def why_not(command: RecordGeocoding) -> WhyNotLocated:
    if command.forgotten:
        return "person_forgotten"
    if not command.answered:
        return "nobody_answers"
    return "not_sure" if command.candidates else "unknown_address"


def candidate(found: PlaceFound, subject: SubjectId) -> PlaceCandidate:
    return PlaceCandidate(
        location=Personal(subject, found.location), label=Personal(subject, found.label), confidence=found.confidence
    )


def again_at(command: RecordGeocoding, context: Context) -> datetime | None:
    if command.answered or command.number >= MOST_TIMES:
        return None
    after_s = AGAIN_AFTER_S[min(command.number, len(AGAIN_AFTER_S)) - 1]
    return context.now + timedelta(seconds=after_s)


def seek_locations(task: CreatedTask, command: SeekLocations, context: Context) -> list[TaskEvent]:
    """All that nobody answered for, together."""
    if task.seek_at is None or context.now < task.seek_at or task.ended:
        return []
    waiting = [stop for stop in task.stops.values() if stop.seek_again]
    return [event for stop in waiting for event in again(stop, context)]


def again(stop: StopState, context: Context) -> list[StopLocationSought | StopNeedsLocation]:
    """Whoever was forgotten meanwhile has no address any more."""
    asked = sought([stop.stop], context, stop.sought + 1)
    if asked:
        return [*asked]
    forgotten = StopNeedsLocation(
        stop_id=stop.stop.stop_id,
        number=stop.sought,
        reason_code="person_forgotten",
        candidates=[],
        source=None,
        again=False,
        seek_at=None,
    )
    return [forgotten]


def seek_at_without(task: CreatedTask, located: StopState) -> datetime | None:
    """When the others are asked for again."""
    others = [stop for stop in task.stops.values() if stop.seek_again and stop is not located]
    return task.seek_at if others else None


def earliest(*times: datetime | None) -> datetime | None:
    return min((at for at in times if at is not None), default=None)
