"""What is wrong with a problem before anybody plans: all of it at once, each naming what and where."""

from collections import Counter
from collections.abc import Iterator, Sequence

from streams.planning.check import check
from streams.planning.problem import (
    JOBS_MAX,
    PLACES_MAX,
    VEHICLES_MAX,
    Delivery,
    Job,
    Problem,
    Route,
    Shipment,
    Solution,
    Stop,
    Vehicle,
    Window,
)

TOLD_MAX = 20
NOT_BY_A_PREFIX = {"left_aboard"}
"""What a prefix may leave open: the stops after it settle that."""


class WrongProblem(ValueError):
    """Its text lists the first faults, one a line; `faults` has all."""

    def __init__(self, faults: Sequence[str]) -> None:
        more = [f"and {len(faults) - TOLD_MAX} more"] if len(faults) > TOLD_MAX else []
        super().__init__("\n".join([*faults[:TOLD_MAX], *more]))
        self.faults = tuple(faults)


def judged(problem: Problem) -> Problem:
    """Raises WrongProblem."""
    wrong = list(faults(problem))
    if not wrong:
        wrong = list(prefix_faults(problem))
    if wrong:
        raise WrongProblem(wrong)
    return problem


def faults(problem: Problem) -> Iterator[str]:
    yield from sizes(problem)
    yield from matrix_faults(problem)
    yield from names(problem)
    for vehicle in problem.vehicles:
        yield from vehicle_faults(vehicle, problem)
    for job in problem.jobs:
        yield from job_faults(job, problem)


def sizes(problem: Problem) -> Iterator[str]:
    places = len(problem.matrices.seconds)
    bounds = (
        ("vehicles", len(problem.vehicles), VEHICLES_MAX),
        ("jobs", len(problem.jobs), JOBS_MAX),
        ("places", places, PLACES_MAX),
    )
    for what, count, limit in bounds:
        if count > limit:
            yield f"{what}: {count}, at most {limit} can be planned at once"
    if not problem.vehicles:
        yield "vehicles: there is none"


def matrix_faults(problem: Problem) -> Iterator[str]:
    size = len(problem.matrices.seconds)
    for name, rows in (("seconds", problem.matrices.seconds), ("metres", problem.matrices.metres)):
        if len(rows) != size:
            yield f"matrices.{name}: {len(rows)} rows, where matrices.seconds has {size}"
        for at, row in enumerate(rows):
            if len(row) != size:
                yield f"matrices.{name}[{at}]: {len(row)} columns, must be {size}"
            elif (least := min(row, default=0)) < 0:
                yield f"matrices.{name}[{at}][{row.index(least)}]: {least}, must be 0 or more"
            elif at < size and row[at] != 0:
                yield f"matrices.{name}[{at}][{at}]: {row[at]}, from a place to itself must be 0"


def names(problem: Problem) -> Iterator[str]:
    for what, ids in (
        ("vehicle", [each.id for each in problem.vehicles]),
        ("job", [each.id for each in problem.jobs]),
    ):
        yield from (f"{what} {name}: is there {count} times" for name, count in Counter(ids).items() if count > 1)


def vehicle_faults(vehicle: Vehicle, problem: Problem) -> Iterator[str]:
    where = f"vehicle {vehicle.id}"
    yield from place_faults(f"{where}: start", vehicle.start, problem)
    if vehicle.end is not None:
        yield from place_faults(f"{where}: end", vehicle.end, problem)
    yield from window_faults(f"{where}: shift", vehicle.shift)
    for measure in ("weight_g", "volume_cm3", "parcels"):
        if getattr(vehicle.capacity, measure) < 0:
            yield f"{where}: capacity.{measure} is {getattr(vehicle.capacity, measure)}, must be 0 or more"
    if vehicle.pause is not None:
        yield from window_faults(f"{where}: pause", vehicle.pause.window)
        if vehicle.pause.seconds < 0:
            yield f"{where}: pause takes {vehicle.pause.seconds} s, must be 0 or more"
    jobs = {each.id for each in problem.jobs}
    for at, visit in enumerate(vehicle.prefix):
        if visit.job not in jobs:
            yield f"{where}: prefix[{at}] names job {visit.job}, which is not there"


def job_faults(job: Job, problem: Problem) -> Iterator[str]:
    where = f"job {job.id}"
    match job:
        case Shipment():
            yield from stop_faults(f"{where}: pickup", job.pickup, problem)
            yield from stop_faults(f"{where}: delivery", job.delivery, problem)
            if job.ride_limit_s is not None and job.ride_limit_s < 0:
                yield f"{where}: ride_limit_s is {job.ride_limit_s}, must be 0 or more"
        case Delivery():
            yield from stop_faults(f"{where}: stop", job.stop, problem)
            if job.only is not None and job.only not in {each.id for each in problem.vehicles}:
                yield f"{where}: only vehicle {job.only} may, which is not there"
    for measure in ("weight_g", "volume_cm3", "parcels"):
        if getattr(job.load, measure) < 0:
            yield f"{where}: load.{measure} is {getattr(job.load, measure)}, must be 0 or more"
    if job.penalty is not None and job.penalty < 0:
        yield f"{where}: penalty is {job.penalty}, must be 0 or more"


def stop_faults(where: str, stop: Stop, problem: Problem) -> Iterator[str]:
    yield from place_faults(f"{where}.place", stop.place, problem)
    yield from window_faults(f"{where}.window", stop.window)
    if stop.service_s < 0:
        yield f"{where}.service_s is {stop.service_s}, must be 0 or more"


def place_faults(where: str, place: int, problem: Problem) -> Iterator[str]:
    if not 0 <= place < len(problem.matrices.seconds):
        yield f"{where} is {place}, the matrices know 0 to {len(problem.matrices.seconds) - 1}"


def window_faults(where: str, window: Window) -> Iterator[str]:
    if window.from_s < 0:
        yield f"{where} begins at {window.from_s} s, before the plan's zero"
    if window.until_s < window.from_s:
        yield f"{where} ends at {window.until_s} s, before it begins at {window.from_s} s"


def prefix_faults(problem: Problem) -> Iterator[str]:
    """What has been committed must be possible: where a rider is late already, who asks widens the window."""
    begun = Solution(routes=tuple(Route(vehicle=each.id, visits=each.prefix) for each in problem.vehicles))
    for found in check(problem, begun).violations:
        if found.code not in NOT_BY_A_PREFIX:
            yield f"vehicle {found.vehicle}: its prefix cannot be kept: {found.code}, {found.told}"
