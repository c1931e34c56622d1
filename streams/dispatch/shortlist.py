"""Who is looked at closely: of those whom no rule shuts out, the ones who score best as the crow flies."""

from collections.abc import Container, Mapping, Sequence

import msgspec
import numpy as np

from schemas.dispatch_rules import DispatchRules
from schemas.message import RiderId
from schemas.rule_numbers import MAX_RATING
from schemas.tender import Excluded, Others
from streams.dispatch.candidates import Exclusions, Work, excluded_for, work_on
from streams.dispatch.known import KnownRider
from streams.dispatch.question import Question
from streams.dispatch.straight import Metres, read
from streams.routing.great_circle import DETOUR, SPEED_MPS
from streams.routing.measured import Grid

LOOKED_AT_CLOSELY = 15
"""At a time: for each of them a router is asked for the ways between all of their stops and the task's."""
MOST_LOOKED_AT = 60
"""Where the first ones turn out to be of no use."""

NOWHERE = 1e12
"""Metres to a stop that there is not."""


class Shortlist(msgspec.Struct, frozen=True, kw_only=True):
    """Whom no rule shuts out, the best first as the crow flies."""

    riders: Sequence[KnownRider]
    scores: Sequence[float]
    excluded: Sequence[Excluded]
    rows: Mapping[RiderId, int]
    """Of each rider the point where they are, in these columns."""
    to_first_m: Metres
    """From each point to the task's first stop."""
    onward_m: Metres
    """From each point to the rider's next."""
    arrival_radius_m: float

    def distance_m(self, rider: KnownRider) -> float:
        """To the task's first stop."""
        return float(self.to_first_m[self.rows[rider.rider_id]])

    def at_first_stop(self, rider: KnownRider) -> bool:
        """Whether they are where the first stop of their itinerary is."""
        return bool(rider.itinerary) and bool(self.onward_m[self.rows[rider.rider_id]] <= self.arrival_radius_m)

    def others(self, looked_at: Container[RiderId]) -> Others:
        rest = [(each.rider_id, score) for each, score in zip(self.riders, self.scores, strict=True)]
        rest = [pair for pair in rest if pair[0] not in looked_at]
        return Others(rider_ids=[rider for rider, _ in rest], scores=[score for _, score in rest])


def shortlist(question: Question) -> Shortlist:
    rules, declined = question.rules, frozenset(question.declined)
    shut_out = Exclusions(rules, work_of(question), declined, question.decided_at, question.of_vehicles)
    to_task = read(question.straight.to_task, len(question.stops))
    onward = read(question.straight.onward)
    to_first, too_far = to_task[:, 0], rules.dispatch.filters.max_distance_m
    able: list[tuple[KnownRider, int]] = []
    excluded: list[Excluded] = []
    row = 0
    for rider in question.riders:
        why = shut_out.of(rider)
        if why is None and too_far is not None and to_first[row] > too_far:
            why = "too_far"
        if why is None:
            able.append((rider, row))
        else:
            excluded.append(excluded_for(rider.rider_id, why))
        row += rider.placed * (1 + len(rider.itinerary))
    scores = estimates(able, question, to_task.astype(float), onward.astype(float))
    order = np.argsort(scores, kind="stable")
    return Shortlist(
        riders=[able[index][0] for index in order.tolist()],
        scores=[round(score, 1) for score in scores[order].tolist()],
        excluded=excluded,
        rows={rider.rider_id: at for rider, at in able},
        to_first_m=to_first,
        onward_m=onward,
        arrival_radius_m=rules.arrival_radius_m,
    )


def work_of(question: Question) -> Work:
    zones = [frozenset(holding) for holding in question.zones]
    return work_on(question.stops, question.decided_at, frozenset(question.required_skills), zones)


def estimates(able: Sequence[tuple[KnownRider, int]], question: Question, to_task: Grid, onward: Grid) -> Grid:
    """Scores by straight ways and a mean speed, without windows: a task's last stop goes behind any of the rider's,
    what comes before it together behind that or an earlier one."""
    if not able:
        return np.zeros(0)
    most = max(len(rider.itinerary) for rider, _ in able)
    gaps = np.arange(most + 1)
    lengths = np.array([len(rider.itinerary) for rider, _ in able])
    there = gaps[None, :] <= lengths[:, None]
    rows = np.minimum(np.array([at for _, at in able])[:, None] + gaps[None, :], len(onward) - 1)
    metres = np.where(there[..., None], to_task[rows], NOWHERE)
    leg_m = np.where(gaps[None, :] < lengths[:, None], onward[rows], 0.0)
    weights, per_s = question.rules.dispatch.weights, per_detour_second(able, question.rules.dispatch)
    between = read(question.straight.between, len(question.stops)).astype(float)
    inner_m = float(np.diagonal(between, 1).sum())
    head_m = float(np.diagonal(between, 1)[:-1].sum())
    back = np.concatenate([metres[:, 1:], np.full((len(able), 1, metres.shape[2]), NOWHERE)], axis=1)
    ends = gaps[None, :] == lengths[:, None]
    back = np.where(ends[..., None], 0.0, back)
    reached = arrivals(able, leg_m, most)
    travel = weights.travel * (reached + seconds(metres[..., 0]))
    together = travel + per_s[:, None] * seconds(metres[..., 0] + inner_m + back[..., -1] - leg_m)
    best = np.min(np.where(there, together, NOWHERE), axis=1)
    if metres.shape[2] > 1 and most:
        early = travel + per_s[:, None] * seconds(metres[..., 0] + head_m + back[..., -2] - leg_m)
        late = per_s[:, None] * seconds(metres[..., -1] + back[..., -1] - leg_m)
        apart = np.minimum.accumulate(np.where(there, early, NOWHERE), axis=1)[:, :-1] + late[:, 1:]
        best = np.minimum(best, np.min(np.where(there[:, 1:], apart, NOWHERE), axis=1))
    found: Grid = best + fixed(able, question.rules.dispatch)
    return found


def arrivals(able: Sequence[tuple[KnownRider, int]], leg_m: Grid, most: int) -> Grid:
    """Seconds until each rider leaves each point."""
    service = np.zeros((len(able), most + 1))
    lengths = [len(rider.itinerary) for rider, _ in able]
    rows = np.repeat(np.arange(len(able)), lengths)
    columns = np.arange(len(rows)) - np.repeat(np.cumsum([0, *lengths[:-1]]), lengths) + 1
    service[rows, columns] = [stop.service_seconds for rider, _ in able for stop in rider.itinerary]
    driven = np.concatenate([np.zeros((len(able), 1)), np.cumsum(seconds(leg_m), axis=1)[:, :-1]], axis=1)
    found: Grid = driven + np.cumsum(service, axis=1)
    return found


def per_detour_second(able: Sequence[tuple[KnownRider, int]], rules: DispatchRules) -> Grid:
    """What a second of detour counts, with what it costs."""
    costs = {each.vehicle: each.per_hour / 3_600 + each.per_km * SPEED_MPS / 1_000 for each in rules.costs}
    per_cost = rules.weights.cost
    return np.array([rules.weights.detour + per_cost * costs.get(rider.vehicle, 0.0) for rider, _ in able])


def fixed(able: Sequence[tuple[KnownRider, int]], rules: DispatchRules) -> Grid:
    """What does not hang on the way."""
    weights = rules.weights
    below_5 = [MAX_RATING - (rules.unrated if rider.rating is None else rider.rating) for rider, _ in able]
    tasks = [rider.tasks for rider, _ in able]
    found: Grid = weights.balance * np.array(tasks, float) + weights.rating * np.array(below_5)
    return found


def seconds(metres: Grid) -> Grid:
    found: Grid = metres * (DETOUR / SPEED_MPS)
    return found
