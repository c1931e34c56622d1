"""Which fences hold a point? Cells over each fence, within it or on its border, looked up in numpy; borders asked for
one by one."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import shapely

from schemas.calendar import Calendar
from schemas.directory import Shape
from schemas.fixes import MICRODEGREES, Column
from schemas.ground import Drawn, Ground, ground_of
from schemas.sphere import Arcs, joined, metres_off, picked, vectors
from streams.telemetry.cells import SIZES, Cells, Numbers, Truths, cell_key, cells_over, column_of, row_of
from streams.telemetry.openings import Openings
from streams.telemetry.steps import Pieces, cells_along, comes_near, leads_through, pieces_of

FOR_EVER_MS = 2**62
MOST_SETS = 100_000
"""Of fences that hold a point together; then they are forgotten, and met anew."""

type Inside = frozenset[str]

OUTSIDE: Inside = frozenset()


class Covered:
    """A shape's ground, and the cells over it."""

    def __init__(self, shape: Shape) -> None:
        self.ground: Ground = ground_of(shape)
        self.cells: list[Cells] = cells_over(self.ground)

    @property
    def parts(self) -> int:
        return 1 if isinstance(self.ground, Drawn) else len(self.ground)


class FenceVersion(msgspec.Struct, frozen=True):
    """A fence's shape from one moment to another, Unix milliseconds."""

    geofence_id: str
    shape: Shape
    from_ms: int
    until_ms: int
    dwell_s: int | None
    covered: Covered
    calendar: Calendar | None = None


def version_of(
    geofence_id: str,
    shape: Shape,
    from_ms: int = 0,
    until_ms: int = FOR_EVER_MS,
    dwell_s: int | None = None,
    calendar: Calendar | None = None,
) -> FenceVersion:
    return FenceVersion(geofence_id, shape, from_ms, until_ms, dwell_s, Covered(shape), calendar)


class Step(msgspec.Struct, frozen=True):
    """From one fix to the next of the same device."""

    since_ms: int
    since_inside: Inside
    at_ms: int
    inside: Inside
    ends: tuple[int, int, int, int, int, int]
    """Latitude and longitude there and here in microdegrees, then the two times."""


def step_from(
    since_ms: int, since_spot: tuple[int, int], since_inside: Inside, at_ms: int, spot: tuple[int, int], inside: Inside
) -> Step:
    return Step(since_ms, since_inside, at_ms, inside, (*since_spot, *spot, since_ms, at_ms))


class Ways(msgspec.Struct, frozen=True):
    """Steps in columns: one a row."""

    ends: Numbers
    """As in `Step.ends`."""
    since_inside: Sequence[Inside]
    inside: Sequence[Inside]


def ways_of(steps: Sequence[Step]) -> Ways:
    ends = np.array([step.ends for step in steps], np.int64).reshape(-1, 6)
    return Ways(ends, [step.since_inside for step in steps], [step.inside for step in steps])


class Table:
    """The cells of one size, of all fences: sorted keys, of each the parts that lie over it."""

    def __init__(self, size: int, cells: Sequence[tuple[int, Cells]]) -> None:
        """`cells` with the number of their fence's first part."""
        self.size = size
        key = np.concatenate([cell_key(each.row, each.column) for _, each in cells])
        order = np.argsort(key, kind="stable")
        self.part: Numbers = np.concatenate([first + each.part for first, each in cells])[order]
        self.whole: Truths = np.concatenate([each.whole for _, each in cells])[order]
        self._keys, self._start, self._count = np.unique(key[order], return_index=True, return_counts=True)

    def found(self, row: Numbers, column: Numbers) -> tuple[Numbers, Numbers]:
        """Of each cell that has any: its place among those asked for, and where in the table one lies over it."""
        key = cell_key(row, column)
        at = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        hit = np.flatnonzero(self._keys[at] == key)
        at = at[hit]
        count = self._count[at]
        within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
        return np.repeat(hit, count), within + np.repeat(self._start[at], count)


class FenceIndex:
    """Of one tenant. Built anew when a fence changes, of what is known of each fence."""

    def __init__(self, versions: Sequence[FenceVersion]) -> None:
        self.ids = [version.geofence_id for version in versions]
        self._named = {name: number for number, name in enumerate(dict.fromkeys(self.ids))}
        self._name = np.array([self._named[name] for name in self.ids], np.int64)
        self._from = np.array([version.from_ms for version in versions], np.int64)
        self._until = np.array([version.until_ms for version in versions], np.int64)
        self._openings, self._calendar = calendars([version.calendar for version in versions])
        parts = np.array([version.covered.parts for version in versions], np.int64)
        self._fence = np.repeat(np.arange(len(versions)), parts)
        self._grounds(versions, parts)
        self._tables = tables([version.covered for version in versions], np.cumsum(parts) - parts)
        self._sets: dict[tuple[int, ...], Inside] = {}
        self._dwells: dict[str, list[FenceVersion]] = {}
        for version in versions:
            if version.dwell_s is not None:
                self._dwells.setdefault(version.geofence_id, []).append(version)

    @property
    def dwell(self) -> Callable[[str, int], int | None] | None:
        """How long a fence asks for of who enters it at that time, in milliseconds; None where none of them asks."""
        return self._dwell_ms if self._dwells else None

    def _dwell_ms(self, geofence_id: str, at_ms: int) -> int | None:
        asked = (each for each in self._dwells.get(geofence_id, ()) if each.from_ms <= at_ms < each.until_ms)
        return next((1_000 * each.dwell_s for each in asked if each.dwell_s is not None), None)

    def _grounds(self, versions: Sequence[FenceVersion], parts: Numbers) -> None:
        """Of each part what is drawn, or the row of its way."""
        grounds = [version.covered.ground for version in versions]
        self._drawn: npt.NDArray[Any] = np.full(int(parts.sum()), None, object)
        measured = np.array([not isinstance(ground, Drawn) for ground in grounds], bool)
        is_way = np.repeat(measured, parts)
        self._drawn[~is_way] = [ground.sewn for ground in grounds if isinstance(ground, Drawn)]
        self._bounds = shapely.bounds(self._drawn).reshape(-1, 4)
        ways = [ground for ground in grounds if isinstance(ground, Arcs)]
        self._ways: Arcs | None = joined(ways) if ways else None
        self._way = np.where(is_way, np.cumsum(is_way) - 1, -1)

    def holding(self, lat: Column, lon: Column, at_ms: Column) -> list[Inside]:
        """Of each point (microdegrees) the fences that hold it then, borders included."""
        held = [OUTSIDE] * len(lat)
        point, fence = self._pairs(lat, lon, at_ms)
        if not len(point):
            return held
        pairs = distinct((point << 32) + fence)
        point, fence = pairs >> 32, pairs & 0xFFFFFFFF
        first = np.flatnonzero(np.diff(point, prepend=-1))
        fences, ends = fence.tolist(), [*first[1:].tolist(), len(point)]
        for place, start, end in zip(point[first].tolist(), first.tolist(), ends, strict=True):
            held[place] = self._set(tuple(fences[start:end]))
        return held

    def _set(self, fences: tuple[int, ...]) -> Inside:
        """The same one for the same fences: most points are where others were."""
        known = self._sets.get(fences)
        if known is None:
            if len(self._sets) >= MOST_SETS:
                self._sets.clear()
            known = self._sets[fences] = frozenset(self.ids[fence] for fence in fences)
        return known

    def _pairs(self, lat: Column, lon: Column, at_ms: Column) -> tuple[Numbers, Numbers]:
        point, part, sure = self._candidates(lat, lon)
        fence = self._fence[part]
        valid = self._stand(fence, at_ms[point])
        point, part, sure = point[valid], part[valid], sure[valid]
        unsure = np.flatnonzero(~sure)
        sure[unsure] = self._exactly(part[unsure], lat[point[unsure]], lon[point[unsure]])
        return point[sure], self._fence[part[sure]]

    def _stand(self, fence: Numbers, at_ms: Column) -> Truths:
        """Whether each fence holds then: neither before nor after its time, nor closed."""
        stands: Truths = (self._from[fence] <= at_ms) & (at_ms < self._until[fence])
        if self._openings:
            calendar = self._calendar[fence]
            for number in np.unique(calendar[stands & (calendar >= 0)]).tolist():
                asked = np.flatnonzero(stands & (calendar == number))
                stands[asked] = self._openings[number].hold(at_ms[asked])
        return stands

    def _candidates(self, lat: Column, lon: Column) -> tuple[Numbers, Numbers, Truths]:
        found = [(table, *table.found(row_of(table.size, lat), column_of(table.size, lon))) for table in self._tables]
        if not found:
            nothing = np.empty(0, np.int64)
            return nothing, nothing, np.empty(0, bool)
        return (
            np.concatenate([point for _, point, _ in found]),
            np.concatenate([table.part[at] for table, _, at in found]),
            np.concatenate([table.whole[at] for table, _, at in found]),
        )

    def crossed(self, ways: Ways) -> dict[int, list[str]]:
        """By the row of the way, whose ends are outside: the fences through which it leads straight, sorted. They stand
        at both ends."""
        ends = ways.ends
        pieces = pieces_of(ends[:, 0:2] / MICRODEGREES, ends[:, 2:4] / MICRODEGREES)
        piece, part = self._on_the_way(pieces)
        step, fence = pieces.step[piece], self._fence[part]
        valid = np.flatnonzero(self._stand(fence, ends[step, 4]) & self._stand(fence, ends[step, 5]))
        asked = valid[self._outside(ways, step[valid].tolist(), fence[valid].tolist())]
        piece, part = piece[asked], part[asked]
        through = self._led_through(pieces, piece, part)
        found: dict[int, set[str]] = {}
        hits = zip(pieces.step[piece[through]].tolist(), self._fence[part[through]].tolist(), strict=True)
        for row, number in hits:
            found.setdefault(row, set()).add(self.ids[number])
        return {row: sorted(names) for row, names in found.items()}

    def _outside(self, ways: Ways, step: Sequence[int], fence: Sequence[int]) -> Truths:
        """Whether the fence holds neither end of the way."""
        names, since, inside = self.ids, ways.since_inside, ways.inside
        pairs = zip(step, fence, strict=True)
        return np.array([names[of] not in inside[row] and names[of] not in since[row] for row, of in pairs], bool)

    def _on_the_way(self, pieces: Pieces) -> tuple[Numbers, Numbers]:
        """Each piece with each part that lies over a cell on its way, once. What the cell lies within where the piece
        does not leave it holds both of its ends."""
        keys = []
        for table in self._tables if len(pieces) else ():
            piece, row, column = cells_along(pieces, table.size)
            alone = np.bincount(piece, minlength=len(pieces))[piece] == 1
            cell, at = table.found(row, column)
            asked = ~(table.whole[at] & alone[cell])
            keys.append((piece[cell[asked]] << 32) + table.part[at[asked]])
        key = distinct(np.concatenate(keys)) if keys else np.empty(0, np.int64)
        return key >> 32, key & 0xFFFFFFFF

    def _led_through(self, pieces: Pieces, piece: Numbers, part: Numbers) -> Truths:
        met = np.zeros(len(piece), bool)
        way = self._way[part]
        measured, drawn = np.flatnonzero(way >= 0), np.flatnonzero(way < 0)
        if self._ways is not None and len(measured):
            met[measured] = comes_near(pieces, piece[measured], picked(self._ways, way[measured]))
        if len(drawn):
            met[drawn] = leads_through(pieces, piece[drawn], self._drawn[part[drawn]], self._bounds[part[drawn]])
        return met

    def _exactly(self, part: Numbers, lat: Column, lon: Column) -> Truths:
        held = np.zeros(len(part), bool)
        way = self._way[part]
        measured, drawn = np.flatnonzero(way >= 0), np.flatnonzero(way < 0)
        north, east = lat / MICRODEGREES, lon / MICRODEGREES
        if self._ways is not None and len(measured):
            ways = picked(self._ways, way[measured])
            held[measured] = metres_off(ways, vectors(north[measured], east[measured])) <= ways.reach_m
        held[drawn] = shapely.intersects_xy(self._drawn[part[drawn]], east[drawn], north[drawn])
        return held


def distinct(keys: Numbers) -> Numbers:
    """Sorted; numpy's own way, by a table of hashes, takes twenty times as long here."""
    ordered = np.sort(keys)
    once: Numbers = ordered[np.diff(ordered, prepend=-1) != 0]
    return once


def calendars(of_versions: Sequence[Calendar | None]) -> tuple[list[Openings], Numbers]:
    """Each once, and of each version the number of its own; -1: it is open all the time."""
    numbers: dict[bytes, int] = {}
    openings: list[Openings] = []
    of_each = np.full(len(of_versions), -1, np.int64)
    for place, calendar in enumerate(of_versions):
        if calendar is None:
            continue
        key = msgspec.json.encode(calendar)
        if key not in numbers:
            numbers[key] = len(openings)
            openings.append(Openings(calendar))
        of_each[place] = numbers[key]
    return openings, of_each


def tables(covered: Sequence[Covered], first: Numbers) -> list[Table]:
    of_size: list[list[tuple[int, Cells]]] = [[] for _ in range(SIZES)]
    for each, part in zip(covered, first.tolist(), strict=True):
        for cells in each.cells:
            of_size[cells.size].append((part, cells))
    return [Table(size, cells) for size, cells in enumerate(of_size) if cells]
