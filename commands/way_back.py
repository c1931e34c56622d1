"""The way back of goods that are not delivered: each goes to where it was picked up, all from one place together."""

from collections.abc import Iterable

from commands.context import Context
from commands.proof_needed import needs_somebody
from commands.task_state import RETURN, CreatedTask, ParcelState, carried, ids_of, next_stop_id
from schemas.geo import Location
from schemas.message import StopId
from schemas.stop import Stop
from schemas.stop_events import ReturnStarted


def ways_back(task: CreatedTask, reason_code: str, context: Context, *, cancelled: bool = False) -> list[ReturnStarted]:
    """One to each of the places where carried parcels were picked up."""
    return [
        ReturnStarted(
            stop=return_stop(task, next_stop_id(task, RETURN, number), goods[0], context),
            parcel_ids=ids_of(goods),
            rider_id=task.rider_id,
            round=task.round,
            reason_code=reason_code,
            cancelled=cancelled,
            carrier_id=None if task.carrier is None else task.carrier.carrier_id,
        )
        for number, goods in enumerate(by_origin(task, carried(task), context))
    ]


def by_origin(task: CreatedTask, goods: Iterable[ParcelState], context: Context) -> list[list[ParcelState]]:
    """Two pickups are at one place where the same party has the goods at the same point: of senders, whom no slug tells
    apart, the same contact."""
    places: dict[object, list[ParcelState]] = {}
    for parcel in goods:
        stop = task.stops[parcel.parcel.pickup_stop].stop
        point = context.opened(stop.location, Location)
        whose = None if stop.party.id is not None or stop.contact is None else stop.contact.name.subject
        places.setdefault((stop.party, whose, point or stop.stop_id), []).append(parcel)
    return list(places.values())


def return_stop(task: CreatedTask, stop_id: StopId, parcel: ParcelState, context: Context) -> Stop:
    origin = task.stops[parcel.parcel.pickup_stop].stop
    return Stop(
        stop_id=stop_id,
        kind="return",
        party=origin.party,
        location=context.anew(origin.location, Location),
        address=origin.address,
        postal_code=origin.postal_code,
        contact=origin.contact,
        window=None,
        service_seconds=origin.service_seconds,
        goods_ready_at=None,
        required_proof=[
            list(group) for group in task.return_proof if origin.party.kind != "locker" or not needs_somebody(group)
        ],
        minimum_age=None,
        pin_hash=None,
    )
