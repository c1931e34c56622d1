"""When a vehicle is where, for a route given as an order of stops: the checker's own clockwork.

A route's moments are a simple temporal network (Dechter, Meiri, Pearl 1991): each is so much later than another. Its
least solution is found by going forward until nothing moves, which is exact, also where a ride limit makes a pickup
wait for its delivery. No solver uses this module.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from streams.planning.problem import Break, Stop, Vehicle, Window

EVER = float("inf")


class Ride(NamedTuple):
    """Positions among the stops; `limit_s` from the end of the pickup's service to the delivery's beginning."""

    pickup: int
    delivery: int
    limit_s: float


class Timetable(NamedTuple):
    """`begins_s`: of each stop's service."""

    departs_s: float
    begins_s: tuple[float, ...]
    ends_s: float
    break_s: float | None = None

    @property
    def duration_s(self) -> float:
        return self.ends_s - self.departs_s


class Network(NamedTuple):
    """Moments 0 departure, 1… the services' beginnings, last the end; `gap[i]` from moment i to i + 1 at least."""

    earliest: list[float]
    latest: list[float]
    gap: list[float]
    service: list[float]
    rides: tuple[Ride, ...]


def network(stops: Sequence[Stop], legs_s: Sequence[float], shift: Window, rides: Sequence[Ride]) -> Network:
    """`legs_s`: driving before each stop and to the end."""
    service = [0.0, *(stop.service_s for stop in stops), 0.0]
    return Network(
        earliest=[shift.from_s, *(stop.window.from_s for stop in stops), shift.from_s],
        latest=[shift.until_s, *(stop.window.until_s for stop in stops), shift.until_s],
        gap=[serves + leg for serves, leg in zip(service, legs_s, strict=False)],
        service=service,
        rides=tuple(Ride(each.pickup + 1, each.delivery + 1, each.limit_s) for each in rides),
    )


def with_break(given: Network, pause: Break) -> Iterator[tuple[int, Network]]:
    """The route with its break before departure (-1), on each leg (its number), and after the end."""
    begins, until, takes = pause.window.from_s, pause.window.until_s, pause.seconds
    last = len(given.earliest) - 1
    if given.earliest[0] <= until:
        earliest = [max(given.earliest[0], begins) + takes, *given.earliest[1:]]
        yield -1, given._replace(earliest=earliest)
    for leg, gap in enumerate(given.gap):
        earliest, latest = list(given.earliest), list(given.latest)
        earliest[leg + 1] = max(earliest[leg + 1], begins + takes)
        latest[leg] = min(latest[leg], until - given.service[leg])
        yield leg, given._replace(earliest=earliest, latest=latest, gap=replaced(given.gap, leg, gap + takes))
    if begins + takes <= given.latest[last]:
        yield last, given._replace(latest=[*given.latest[:-1], min(until, given.latest[last] - takes)])


def replaced(values: Sequence[float], at: int, value: float) -> list[float]:
    return [*values[:at], value, *values[at + 1 :]]


def soonest(given: Network, slack_s: float = 0.0) -> list[float] | None:
    """Each moment as early as can be, None where that is too late for one. `slack_s` forgives rounding."""
    moments = forward(given.earliest, given.gap)
    for _ in range(len(moments) + 1):  # Bellman and Ford: what still moves after a round for each moment never ends
        moved = False
        for ride in given.rides:
            held = moments[ride.delivery] - ride.limit_s - given.service[ride.pickup]
            if moments[ride.pickup] < held - slack_s:
                moments[ride.pickup] = held
                moved = True
        moments = forward(moments, given.gap)
        if any(at > until + slack_s for at, until in zip(moments, given.latest, strict=True)):
            return None
        if not moved:
            return moments
    return None


def forward(earliest: Sequence[float], gap: Sequence[float]) -> list[float]:
    moments = [earliest[0]]
    for at, leg in zip(earliest[1:], gap, strict=True):
        moments.append(max(at, moments[-1] + leg))
    return moments


def departing_late(given: Network, moments: Sequence[float]) -> float:
    """The latest departure that leaves the end where it is."""
    late = [*given.latest[:-1], moments[-1]]
    for _ in range(len(late) + 1):
        before = list(late)
        for at in range(len(late) - 2, -1, -1):
            late[at] = min(late[at], late[at + 1] - given.gap[at])
        for ride in given.rides:
            late[ride.delivery] = min(
                late[ride.delivery], late[ride.pickup] + given.service[ride.pickup] + ride.limit_s
            )
        if late == before:
            break
    return max(moments[0], late[0])


def timetable(given: Network, vehicle: Vehicle, shortest: bool, slack_s: float = 0.0) -> Timetable | None:
    """The one that ends first, or lasts `shortest`; None where no schedule keeps everything.

    Who has a prefix is under way: they leave at once. Others leave as late as does not delay their end.
    """
    pause = vehicle.pause
    options = [(None, given)] if pause is None else list(with_break(given, pause))
    found = [each for at, option in options if (each := settled(option, at, vehicle, slack_s))]
    if shortest:
        return min(found, key=lambda each: (each.duration_s, each.ends_s), default=None)
    return min(found, key=lambda each: (each.ends_s, each.duration_s), default=None)


def settled(given: Network, break_at: int | None, vehicle: Vehicle, slack_s: float) -> Timetable | None:
    moments = soonest(given, slack_s)
    if moments is None:
        return None
    if not vehicle.prefix:
        departs = departing_late(given, moments)
        moments = soonest(given._replace(earliest=[departs, *given.earliest[1:]]), slack_s) or moments
    pause = vehicle.pause
    break_s = None if pause is None or break_at is None else break_begin(given, moments, break_at, pause)
    return Timetable(moments[0], tuple(moments[1:-1]), moments[-1], break_s)


def break_begin(given: Network, moments: Sequence[float], at: int, pause: Break) -> float:
    if at < 0:
        return max(given.earliest[0] - pause.seconds, pause.window.from_s)
    return max(moments[at] + given.service[at], pause.window.from_s)
