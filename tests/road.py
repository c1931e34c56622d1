"""What happens on the road, as the telemetry stream writes it."""

from reception import House

from schemas import catalog
from schemas.message import DeviceId, GeofenceId
from schemas.record import Stored, derived_headers
from schemas.signals import GeofenceEntered
from schemas.topics import SIGNALS


def a_signal(house: House, number: int, rider: str = "ann") -> None:
    """The rider has come into a yard."""
    event = GeofenceEntered(
        geofence_id=GeofenceId("yard"), device_id=DeviceId("phone"), at=house.now, fix=None, late=False
    )
    headers = derived_headers(
        event_id=f"signal-{number}",
        type_name=catalog.BY_CLASS[GeofenceEntered].name,
        source="/logistics/test/stream/0",
        event_time=house.now,
        recorded_at=house.now,
        subject=rider,
        tenant="acme",
        actor="telemetry",
        epoch=1,
    )
    value = catalog.write(event, lambda *_: b"")
    house.desk.log.append(Stored(SIGNALS.name, 0, number, rider.encode(), value, headers))
