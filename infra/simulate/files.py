"""Orders and riders as CSV files: each cell that cannot be is told by its line and column."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, cast, get_args

from infra.porto_trips import rows_of, trips_of
from infra.settings import WrongSetting
from infra.simulate.world import Order, SimulatedRider
from schemas.geo import Location
from schemas.load import Load
from schemas.rider_vehicle import VehicleKind

MOST_ORDERS = 100_000
MOST_RIDERS = 10_000
MOST_G = 10_000_000
ORDER_COLUMNS = ("id", "created_at", "pickup_lat", "pickup_lon", "dropoff_lat", "dropoff_lon")
RIDER_COLUMNS = ("id", "lat", "lon", "from", "until")
PORTO_SERVICE_S = 60

type Row = Mapping[str, Any]


class Cells:
    """Of one line. Each raises WrongSetting."""

    def __init__(self, where: str, row: Row) -> None:
        self._where, self._row = where, row

    def wrong(self, column: str, what: str) -> WrongSetting:
        return WrongSetting(f"{self._where}, {column}: {what}")

    def text(self, column: str) -> str:
        cell = (self._row.get(column) or "").strip()
        if not cell:
            raise self.wrong(column, "it is empty")
        return cell

    def has(self, column: str) -> bool:
        return bool((self._row.get(column) or "").strip())

    def number(self, column: str, low: float, high: float) -> float:
        cell = self.text(column)
        try:
            value = float(cell)
        except ValueError as malformed:
            raise self.wrong(column, f"{cell!r} is no number") from malformed
        if not low <= value <= high:
            raise self.wrong(column, f"{cell} is not between {low:g} and {high:g}")
        return value

    def optional[T](self, column: str, read: Callable[[str], T], absent: T) -> T:
        return read(column) if self.has(column) else absent

    def whole(self, column: str, most: int, absent: int) -> int:
        value = self.optional(column, lambda name: self.number(name, 0, most), float(absent))
        if value != int(value):
            raise self.wrong(column, f"{value:g} is no whole number")
        return int(value)

    def at_s(self, column: str) -> float:
        cell = self.text(column)
        try:
            at = datetime.fromisoformat(cell)
        except ValueError as malformed:
            raise self.wrong(column, f"{cell!r} is no time such as 2030-03-01T12:00:00Z") from malformed
        if at.tzinfo is None:
            raise self.wrong(column, f"{cell} has no time zone: 2030-03-01T12:00:00Z has one")
        return at.timestamp()

    def place(self, prefix: str = "") -> Location:
        lat = self.number(f"{prefix}lat", -90, 90)
        return Location(lat=lat, lon=self.number(f"{prefix}lon", -180, 180))

    def several(self, column: str) -> tuple[str, ...]:
        return tuple(each.strip() for each in self.text(column).split(";")) if self.has(column) else ()


def orders_in(file: Path) -> list[Order]:
    """Raises WrongSetting."""
    found = ((where, order_of(Cells(where, row))) for where, row in rows_of(file, ORDER_COLUMNS))
    return list(unique(file, found, MOST_ORDERS))


def riders_in(file: Path) -> list[SimulatedRider]:
    """Raises WrongSetting."""
    found = ((where, rider_of(Cells(where, row))) for where, row in rows_of(file, RIDER_COLUMNS))
    return list(unique(file, found, MOST_RIDERS))


def unique[T: (Order, SimulatedRider)](file: Path, found: Iterator[tuple[str, T]], most: int) -> Iterator[T]:
    seen: dict[str, str] = {}
    for where, each in found:
        if each.id in seen:
            raise WrongSetting(f"{where}, id: {each.id} stands in {seen[each.id]} already")
        if len(seen) >= most:
            raise WrongSetting(f"{file}: {most:,} lines are the most")
        seen[each.id] = where
        yield each
    if not seen:
        raise WrongSetting(f"{file}: there is no line in it")


def order_of(cells: Cells) -> Order:
    created_s = cells.at_s("created_at")
    order = Order(
        id=cells.text("id"),
        created_s=created_s,
        ready_s=cells.optional("ready_at", cells.at_s, created_s),
        pickup=cells.place("pickup_"),
        dropoff=cells.place("dropoff_"),
        opens_s=cells.optional("window_start", cells.at_s, None),
        closes_s=cells.optional("window_end", cells.at_s, None),
        load=Load(
            weight_g=cells.whole("weight_g", MOST_G, 0),
            volume_cm3=cells.whole("volume_cm3", MOST_G, 0),
            parcels=cells.whole("parcels", 1_000, 1),
        ),
        pickup_service_s=cells.whole("pickup_service_s", 86_400, 60),
        dropoff_service_s=cells.whole("dropoff_service_s", 86_400, 60),
        skills=cells.several("skills"),
    )
    if order.closes_s is not None and order.closes_s <= max(order.opens_s or 0.0, order.created_s):
        raise cells.wrong("window_end", "it is not after window_start and created_at")
    if order.opens_s is not None and order.closes_s is None:
        raise cells.wrong("window_end", "it is empty, and window_start is not")
    return order


def rider_of(cells: Cells) -> SimulatedRider:
    from_s, until_s = cells.at_s("from"), cells.at_s("until")
    if until_s <= from_s:
        raise cells.wrong("until", "it is not after from")
    vehicle = cells.optional("vehicle", cells.text, "car")
    if vehicle not in get_args(VehicleKind):
        raise cells.wrong("vehicle", f"{vehicle!r} is none of {', '.join(get_args(VehicleKind))}")
    return SimulatedRider(
        id=cells.text("id"),
        start=cells.place(),
        from_s=from_s,
        until_s=until_s,
        vehicle=cast(VehicleKind, vehicle),
        capacity_g=cells.whole("capacity_g", MOST_G, 30_000),
        skills=cells.several("skills"),
        rating=cells.optional("rating", lambda name: cells.number(name, 1, 5), None),
        accepts=cells.optional("accepts", lambda name: cells.number(name, 0, 1), None),
        break_from_s=cells.optional("break_from", cells.at_s, None),
        break_s=60.0 * cells.whole("break_minutes", 1_440, 0),
    )


def porto_orders_in(file: Path) -> list[Order]:
    """Taxi calls: where the first fix is somebody gets in, and out where the last one is. Raises WrongSetting."""
    orders = []
    for trip in trips_of(file).journeys:
        track = trip.track
        places = [Location(lat=float(track.lat[end]), lon=float(track.lon[end])) for end in (0, -1)]
        called_s = float(track.at_s[0])
        orders.append(
            Order(
                id=trip.journey_id,
                created_s=called_s,
                ready_s=called_s,
                pickup=places[0],
                dropoff=places[1],
                load=Load(parcels=1),
                pickup_service_s=PORTO_SERVICE_S,
                dropoff_service_s=PORTO_SERVICE_S,
            )
        )
    if not orders:
        raise WrongSetting(f"{file}: there is no trip in it")
    return orders
