"""By which a tenant's riders are chosen for tasks: who is shut out, and what makes one better than another."""

from typing import Annotated, Literal

import msgspec

from schemas.batch_rules import BatchRules
from schemas.message import Code, Id, Input
from schemas.money import Currency
from schemas.rider_vehicle import VehicleKind
from schemas.rule_numbers import Minor, Rating, Seconds, Weight

MAX_STEPS = 10

TenderMode = Literal["direct", "waterfall", "broadcast", "ranked", "bid", "self_claim"]
"""`direct` asks the best. `waterfall` asks the best, then the next, until one takes it; `ranked` does so by batches.
`broadcast` asks several at once, `self_claim` everybody who could, and in both the first to claim is tried first. `bid`
asks several what they want for it; when the time is up the cheapest is tried first."""

Asked = Literal["riders", "carriers", "both"]


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
    which asks all. `both` asks so many of each at once, and one after the other the riders first."""

    mode: TenderMode
    size: Annotated[int, msgspec.Meta(ge=1, le=50)] = 3
    seconds: Annotated[int, msgspec.Meta(ge=5, le=3_600)] = 60
    """So long each offer to a rider stands, and where there are bids any offer. One to a carrier stands as long as its
    commitment."""
    to: Asked = "riders"
    carriers: Annotated[list[Id], msgspec.Meta(max_length=50)] = []
    """Which may be asked; none named: all under contract."""
    service_level: Code | None = None
    """Without it the cheapest of a carrier's that fits."""


class CounterLimit(Input, frozen=True, kw_only=True):
    """What a carrier may ask for in place of what it was offered and get at once: a price that either of the first two
    allows, and to deliver so much after the last window's end. Else a dispatcher decides."""

    max_over_percent: Annotated[int, msgspec.Meta(ge=0, le=1_000)] = 0
    max_price_minor: Minor | None = None
    max_late_seconds: Seconds = 0


class DispatchRules(Input, frozen=True, kw_only=True):
    filters: DispatchFilters = DispatchFilters()
    weights: ScoreWeights = ScoreWeights()
    costs: Annotated[list[VehicleCost], msgspec.Meta(max_length=5)] = []
    currency: Currency = "EUR"
    """Of `costs`, and of what riders and carriers ask for."""
    unrated: Rating = 4.0
    """What counts as the rating of who has none."""
    steps: Annotated[list[TenderStep], msgspec.Meta(max_length=MAX_STEPS)] = []
    """How each round asks, the last one also all that come after it. Without any all go by `tender_mode`,
    `broadcast_size` and `offer_seconds`."""
    batch: BatchRules | None = None
    """Where it is set, tasks are not given one by one as they come, but all that wait together, by windows. Each is
    offered `direct`, for the seconds of its round's step."""
    max_carrier_price_minor: Minor | None = None
    """Whoever asks for more is not asked. `too_dear`."""
    counters: CounterLimit = CounterLimit()

    def step(self, task_round: int) -> TenderStep | None:
        """How a round asks; None where there are no steps."""
        return self.steps[min(task_round, len(self.steps)) - 1] if self.steps else None
