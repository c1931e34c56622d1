"""By which a tenant's riders are chosen for tasks: who is shut out, and what makes one better than another."""

from typing import Annotated, Literal

import msgspec

from schemas.batch_rules import BatchRules
from schemas.message import Input
from schemas.money import Currency
from schemas.rider_vehicle import VehicleKind
from schemas.rule_numbers import Minor, Rating, Seconds, Weight

MAX_STEPS = 10

TenderMode = Literal["direct", "waterfall", "broadcast", "ranked", "bid", "self_claim"]
"""`direct` asks the best. `waterfall` asks the best, then the next, until one takes it; `ranked` does so by batches.
`broadcast` asks several at once, `self_claim` everybody who could, and in both the first to claim is tried first. `bid`
asks several what they want for it; when the time is up the cheapest is tried first."""


class DispatchFilters(Input, frozen=True, kw_only=True):
    """Who lies beyond is not asked, and the decision says why. What is None is not looked at."""

    vehicles: Annotated[list[VehicleKind], msgspec.Meta(max_length=5)] = []
    """Kinds that may do it; none named: any. `vehicle_kind`."""
    max_distance_m: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None
    """As the crow flies to the first stop. `too_far`."""
    max_travel_seconds: Seconds | None = None
    """Until they are at the first stop, by way of what they have to do before. `travel_too_long`."""
    max_detour_seconds: Seconds | None = None
    """By which their driving gets longer. `detour_too_long`."""
    max_lateness_seconds: Seconds | None = None
    """By which stops, of this task and of those they have, get late or later. `would_be_late`."""
    max_ride_seconds: Seconds | None = None
    """From a task's first pickup to its last drop: of this task, and of those that ride longer by it.
    `ride_too_long`."""
    max_declines: Annotated[int, msgspec.Meta(ge=0, le=1_000)] | None = None
    """Offers that they declined or let pass within `decline_minutes`. `declines_too_often`."""
    decline_minutes: Annotated[int, msgspec.Meta(ge=1, le=10_080)] = 60
    min_rating: Rating | None = None
    """Who has none is not shut out. `rated_too_low`."""


class ScoreWeights(Input, frozen=True, kw_only=True):
    """What each part of a score counts for; the smallest sum is the best, equal ones go by rider id."""

    travel: Weight = 1.0
    """A second until they are at the first stop."""
    detour: Weight = 1.0
    """A second by which their driving gets longer."""
    lateness: Weight = 2.0
    """A second by which stops get late or later."""
    balance: Weight = 0.0
    """A task that they have already."""
    cost: Weight = 0.0
    """A minor unit that it costs, by `costs`."""
    rating: Weight = 0.0
    """A point that their rating lies below 5."""


class VehicleCost(Input, frozen=True, kw_only=True):
    """Of driving, on top of what is driven anyway."""

    vehicle: VehicleKind
    per_km: Minor = 0
    per_hour: Minor = 0


class TenderStep(Input, frozen=True, kw_only=True):
    """How a round asks. `size`: so many at once, but in `direct` and `waterfall`, which ask one, and in `self_claim`,
    which asks all."""

    mode: TenderMode
    size: Annotated[int, msgspec.Meta(ge=1, le=50)] = 3
    seconds: Annotated[int, msgspec.Meta(ge=5, le=3_600)] = 60
    """So long each offer stands."""


class DispatchRules(Input, frozen=True, kw_only=True):
    filters: DispatchFilters = DispatchFilters()
    weights: ScoreWeights = ScoreWeights()
    costs: Annotated[list[VehicleCost], msgspec.Meta(max_length=5)] = []
    currency: Currency = "EUR"
    """Of `costs`, and of what riders bid."""
    unrated: Rating = 4.0
    """What counts as the rating of who has none."""
    steps: Annotated[list[TenderStep], msgspec.Meta(max_length=MAX_STEPS)] = []
    """How each round asks, the last one also all that come after it. Without any all go by `tender_mode`,
    `broadcast_size` and `offer_seconds`."""
    batch: BatchRules | None = None
    """Where it is set, tasks are not given one by one as they come, but all that wait together, by windows. Each is
    offered `direct`, for the seconds of its round's step."""
