"""Where the stops of many tasks fit best on the itineraries of many riders, for all pairs of one shape at once."""

from collections.abc import Sequence
from typing import get_args

import msgspec
import numpy as np

from schemas.tender import Exclusion
from streams.dispatch.board import Board, Flags, Numbers
from streams.dispatch.orders import Orders, orders_of
from streams.routing.measured import Grid

MOST_ROWS = 60_000
"""Of ways to drive that are walked at once: what they need lies in a processor's cache."""
CODES: tuple[Exclusion, ...] = get_args(Exclusion)
NUMBER = {code: number for number, code in enumerate(CODES)}
FITS = -1
PARTS = ("travel", "detour", "lateness", "cost")


class Pairs(msgspec.Struct, frozen=True, kw_only=True):
    """Of one shape: so many stops ahead, so many new ones, the same number that stays first."""

    riders: Numbers
    routes: Numbers
    """Stops ahead (columns), by number."""
    stops: Numbers
    """The new ones."""
    first: int
    tasks_had: Numbers
    """How many tasks the rider has."""
    room: Numbers
    """Of each pair (rows) and each vehicle: grams, cubic centimetres, parcels."""


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """Of each pair the best place. `code` is FITS, or the number of what keeps them apart."""

    score: Grid
    order: Numbers
    code: Numbers
    parts: Grid
    """Of each pair (rows), by PARTS."""
    ends: Grid


class Driven(msgspec.Struct, frozen=True, kw_only=True):
    """Of each pair (first axis) and order (second)."""

    ends: Grid
    seconds: Grid
    metres: Grid
    lateness: Grid
    reached: Grid
    """The first of the new stops; of what was there before nothing."""
    peaks: Numbers
    rides: Grid
    """Of each task (third axis), not a number where it has no ride."""


def fitted(board: Board, pairs: Pairs) -> Fitted:
    orders = orders_of(pairs.routes.shape[1], pairs.stops.shape[1], pairs.first)
    at_once = max(1, MOST_ROWS // len(orders))
    parts = [of_some(board, rows, orders) for rows in split(pairs, at_once)]
    return Fitted(
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in Fitted.__struct_fields__}
    )


def split(pairs: Pairs, at_once: int) -> Sequence[Pairs]:
    def some(start: int) -> Pairs:
        rows = slice(start, start + at_once)
        return Pairs(
            riders=pairs.riders[rows],
            routes=pairs.routes[rows],
            stops=pairs.stops[rows],
            first=pairs.first,
            tasks_had=pairs.tasks_had[rows],
            room=pairs.room[rows],
        )

    return [some(start) for start in range(0, max(1, len(pairs.riders)), at_once)]


def of_some(board: Board, pairs: Pairs, orders: Orders) -> Fitted:
    known = pairs.routes.shape[1]
    ahead = np.concatenate([pairs.routes, pairs.stops], axis=1)
    with np.errstate(invalid="ignore"):
        walked = walk(board, pairs, ahead, orders, known)
        before = walk(board, pairs, pairs.routes, np.arange(known + 1).reshape(1, -1), known)
        parts = parts_of(board, pairs, walked, before)
        weights = board.rules.weights
        fixed = weights.balance * pairs.tasks_had + weights.rating * board.below_5[pairs.riders]
        score = fixed[:, None] + np.sum([getattr(weights, name) * part for name, part in parts.items()], axis=0)
        judged = judgements(board, pairs, walked, before, parts)
    reachable = np.isfinite(walked.seconds) & np.isfinite(before.seconds)
    holds = np.logical_and.reduce([reachable, *(each for _, each in judged)])
    ranked = np.where(np.isfinite(score), score, np.inf)
    able = holds.any(axis=1)
    best = np.where(able, np.argmin(np.where(holds, ranked, np.inf), axis=1), np.argmin(ranked, axis=1))
    rows = np.arange(len(best))
    return Fitted(
        score=np.where(able, np.round(score[rows, best], 3), np.inf),
        order=best,
        code=np.where(able, FITS, why_none(judged, best, reachable)),
        parts=np.stack([parts[name][rows, best] for name in PARTS], axis=1),
        ends=walked.ends[rows, best],
    )


def walk(board: Board, pairs: Pairs, ahead: Numbers, orders: Orders, known: int) -> Driven:
    """Whoever is early waits until the window opens."""
    shape = len(pairs.riders), len(orders)
    points, size = len(board.riders), len(board.seconds)
    seconds, metres = board.seconds.reshape(-1), board.metres.reshape(-1)
    at, driven, way, lateness = np.zeros(shape), np.zeros(shape), np.zeros(shape), np.zeros(shape)
    reached = np.zeros(shape)
    measures = 1 if pairs.room[..., 1:].min(initial=0) > 2**61 or pairs.room.size == 0 else 3
    aboard = np.zeros((*shape, measures), np.int64)
    most, least = aboard.copy(), aboard.copy()
    rides = board.rules.filters.max_ride_seconds is not None
    arrives, leaves = (np.full((*shape, ahead.shape[1] if rides else 0), np.nan) for _ in range(2))
    previous = np.broadcast_to(pairs.riders[:, None], shape)
    for step in range(1, orders.shape[1]):
        column = orders[:, step] - 1
        stop = ahead[:, column]
        point = stop + points
        leg = previous * size + point
        legs = seconds[leg]
        at = at + legs
        driven = driven + legs
        if board.cost_counts:
            way = way + metres[leg]
        np.copyto(reached, at, where=(column == known)[None, :])
        lateness = lateness + np.maximum(0.0, at - board.closes[stop])
        leaving = np.maximum(at, board.opens[stop]) + board.service[stop]
        if rides:
            rows = np.arange(len(orders))
            arrives[:, rows, column], leaves[:, rows, column] = at, leaving
        at = leaving
        aboard = aboard + board.loads[stop, :measures]
        most, least = np.maximum(most, aboard), np.minimum(least, aboard)
        previous = point
    return Driven(
        ends=at,
        seconds=driven,
        metres=way,
        lateness=lateness,
        reached=reached,
        peaks=most - least,
        rides=rides_of(board, ahead, arrives, leaves) if rides else np.zeros((*shape, 0)),
    )


def rides_of(board: Board, ahead: Numbers, arrives: Grid, leaves: Grid) -> Grid:
    """A column for each stop, filled at a task's first pickup: from it to the last drop."""
    found = np.full(arrives.shape, np.nan)
    tasks, pickup = board.task_of[ahead], board.pickup[ahead]
    for column in range(ahead.shape[1]):
        same = tasks == tasks[:, column : column + 1]
        begins = pickup[:, column] & ~(same & pickup)[:, :column].any(axis=1)
        picks, drops = (same & pickup)[:, None, :], (same & ~pickup)[:, None, :]
        last = np.max(np.where(drops, arrives, -np.inf), axis=2)
        early = np.min(np.where(picks, leaves, np.inf), axis=2)
        counts = (begins & drops[:, 0].any(axis=1))[:, None]
        found[:, :, column] = np.where(counts, last - early, np.nan)
    return found


def parts_of(board: Board, pairs: Pairs, walked: Driven, before: Driven) -> dict[str, Grid]:
    detour_s, detour_m = walked.seconds - before.seconds, walked.metres - before.metres
    parts = {
        "travel": np.round(walked.reached, 1),
        "detour": np.round(np.maximum(0.0, detour_s), 1),
        "lateness": np.round(np.maximum(0.0, walked.lateness - before.lateness), 1),
        "cost": np.zeros(detour_s.shape),
    }
    if board.cost_counts:
        per_hour, per_km = board.per_hour[pairs.riders, None], board.per_km[pairs.riders, None]
        parts["cost"] = np.round(np.maximum(0.0, per_hour * detour_s / 3_600 + per_km * detour_m / 1_000), 2)
    return parts


def judgements(
    board: Board, pairs: Pairs, walked: Driven, before: Driven, parts: dict[str, Grid]
) -> list[tuple[Exclusion, Flags]]:
    """What is not limited is left out."""
    filters = board.rules.filters
    limits = pairs.room[:, None, :, : walked.peaks.shape[2]]
    found: list[tuple[Exclusion, Flags]] = [
        ("over_capacity", (walked.peaks[:, :, None, :] <= limits).all(axis=3).any(axis=2)),
        ("shift_ends_too_soon", walked.ends <= board.ends_by[pairs.riders, None]),
        ("hours_exhausted", walked.ends <= board.hours_by[pairs.riders, None]),
    ]
    most: tuple[tuple[Exclusion, str, int | None], ...] = (
        ("travel_too_long", "travel", filters.max_travel_seconds),
        ("detour_too_long", "detour", filters.max_detour_seconds),
        ("would_be_late", "lateness", filters.max_lateness_seconds),
    )
    for code, name, limit in most:
        if limit is not None:
            found.append((code, parts[name] <= limit))
    if filters.max_ride_seconds is not None:
        found.append(("ride_too_long", rides_within(walked.rides, before.rides, filters.max_ride_seconds)))
    return found


def rides_within(rides: Grid, before: Grid, limit_s: float) -> Flags:
    already = np.zeros((len(rides), 1, rides.shape[2]))
    already[:, :, : before.shape[2]] = np.nan_to_num(before)
    holds: Flags = (np.isnan(rides) | (rides <= np.maximum(limit_s, already))).all(axis=2)
    return holds


def why_none(judged: Sequence[tuple[Exclusion, Flags]], best: Numbers, reachable: Flags) -> Numbers:
    """Of each pair that does not fit: what shuts out every order; where each is shut out by something else, what does
    the best one."""
    rows, code = np.arange(len(best)), np.full(len(best), NUMBER["unreachable"])
    for name, holds in reversed(judged):
        code = np.where(~holds[rows, best], NUMBER[name], code)
    for name, holds in reversed(judged):
        code = np.where(~holds.any(axis=1), NUMBER[name], code)
    found: Numbers = np.where(reachable.any(axis=1), code, NUMBER["unreachable"])
    return found
