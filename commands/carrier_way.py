"""Where a carrier's courier is: on the way to a stop, or there.

A carrier's status names no stop and comes in any order. It is of the first stop of its kind that is ahead; what was
observed before the latest that is known is late, and moves no stop back.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

from commands.arrival import away
from commands.context import Context
from commands.task_state import OVER, BookingState, CreatedTask, StopState
from schemas.carried import CarrierSays, RecordCarrierReport
from schemas.ids import courier_subject
from schemas.message import Personal
from schemas.stop_events import StopArrived, StopEnRoute
from schemas.task import TaskEvent

MOVES: Mapping[CarrierSays, tuple[Literal["en_route", "arrived"], Literal["pickup", "dropoff"]]] = {
    "en_route_to_pickup": ("en_route", "pickup"),
    "arrived_at_pickup": ("arrived", "pickup"),
    "en_route_to_dropoff": ("en_route", "dropoff"),
    "arrived_at_dropoff": ("arrived", "dropoff"),
}
BY_ITS_STATUS = "carrier_status"
"""Why an arrival out of the stop's radius is one: nobody is there who could be asked."""


def gone_back(task: CreatedTask, known: BookingState, says: CarrierSays, at: datetime) -> str | None:
    """Why the courier cannot be there, if so: at a pickup, though everything was picked up before, or at a door, though
    everything was delivered."""
    _, kind = MOVES[says]
    since = known.picked_up_at if kind == "pickup" else known.delivered_at
    if since is None or at <= since or ahead(task, kind):
        return None
    if kind == "pickup":
        return f"the carrier has had the goods since {since.isoformat()}"
    return f"the carrier delivered the goods at {since.isoformat()}"


def came(task: CreatedTask, known: BookingState, command: RecordCarrierReport, context: Context) -> list[TaskEvent]:
    """What it makes of a stop."""
    word, kind = MOVES[command.says]
    late = known.moved_at is not None and command.observed_at < known.moved_at
    stops = ahead(task, kind)
    if word == "en_route":
        stop = None if late or is_any(stops, "en_route") else first(stops, "pending")
        return [StopEnRoute(stop_id=stop.stop.stop_id, rider_id=None)] if stop is not None else []
    if not late and stops:
        stop = first(stops, "en_route") or (None if is_any(stops, "arrived") else first(stops, "pending"))
        return [arrived(task, stop, command, context, late=False)] if stop is not None else []
    passed = behind(task, kind)
    return [arrived(task, passed, command, context, late=True)] if passed is not None else []


def ahead(task: CreatedTask, kind: str) -> list[StopState]:
    return [s for s in task.stops.values() if s.stop.kind == kind and s.status not in OVER and not s.handed_over]


def behind(task: CreatedTask, kind: str) -> StopState | None:
    """The last that the courier has been to; where none is known, they must have been to the first."""
    stops = [stop for stop in task.stops.values() if stop.stop.kind == kind]
    begun = [stop for stop in stops if stop.status != "pending" or stop.handed_over]
    return next(iter([*reversed(begun), *stops]), None)


def first(stops: list[StopState], status: str) -> StopState | None:
    return next((stop for stop in stops if stop.status == status), None)


def is_any(stops: list[StopState], status: str) -> bool:
    return first(stops, status) is not None


def arrived(
    task: CreatedTask, stop: StopState, command: RecordCarrierReport, context: Context, *, late: bool
) -> StopArrived:
    """Also where it is far from there: that is flagged."""
    found = away(task, stop, command.fix, context)
    return StopArrived(
        stop_id=stop.stop.stop_id,
        rider_id=None,
        fix=None if command.fix is None else Personal(courier_subject(command.booking_id), command.fix),
        distance_m=found.metres,
        override_reason=BY_ITS_STATUS if found.too_far else None,
        late=late,
    )
