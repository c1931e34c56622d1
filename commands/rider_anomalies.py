"""What was odd about a rider's way, and somebody has looked at: it is nothing."""

from msgspec.structs import replace

from commands.context import Context
from commands.rider_state import RegisteredRider
from schemas.ids import rider_subject
from schemas.message import Personal, RiderId
from schemas.rider import AnomalyDismissed, DismissAnomaly, RiderEvent

MAX_DISMISSED = 100
"""The latest, by which a repeat is known. One that is older is dismissed once more, which changes nothing."""


def dismiss_anomaly(rider: RegisteredRider, command: DismissAnomaly, context: Context) -> list[RiderEvent]:
    if command.note is None and rider.dismissed.get(command.anomaly_id) == command.reason_code:
        return []
    subject = rider_subject(RiderId(context.aggregate_id))
    return [
        AnomalyDismissed(
            anomaly_id=command.anomaly_id,
            reason_code=command.reason_code,
            note=Personal(subject, command.note) if command.note else None,
        )
    ]


def with_dismissed(rider: RegisteredRider, event: AnomalyDismissed) -> RegisteredRider:
    others = {of: why for of, why in rider.dismissed.items() if of != event.anomaly_id}
    kept = dict([*others.items()][-MAX_DISMISSED + 1 :])
    return replace(rider, dismissed=kept | {event.anomaly_id: event.reason_code})
