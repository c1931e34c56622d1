"""One partition's fixes, folded: what is put aside, where riders are, which fences they cross.

A pure fold of frames over the riders' tracks; the fences are given. What it finds is written down together with the
place by `streams.telemetry.work`.

Most fixes go on from where their device was: they are judged all at once, in columns. Of a device of which one is late,
too far, or the first, each fix is held against its track, one after the other; both ways lead to the same.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import itemgetter

import msgspec
import numpy as np

from schemas.fix_rules import REASONS, FixRules, Reason
from schemas.fixes import FixFrame, fixes_of
from schemas.record import Stored, Unreadable, envelope_of, event_of
from schemas.signals import AnomalyKind
from streams.telemetry.cells import Numbers, Truths
from streams.telemetry.crossings import Led, told
from streams.telemetry.fence_index import FenceIndex, Inside, Step, Ways, ways_of
from streams.telemetry.fleet import Fleet, Going
from streams.telemetry.found import Draft, Found, Frame, Taken, aside_row, cause_of, place_of
from streams.telemetry.moments import unix_ms, unix_us
from streams.telemetry.quality import Place, is_amid, judged, places_of, rows_of
from streams.telemetry.rider import Rider, RiderKey
from streams.telemetry.tracks import OLDEST_MS, Change, Told, Track

FROM_OUTSIDE = "/gateway"
"""The source of what devices told. What our own processes write goes as it must: a simulated courier is as fast as the
steps of their task are short."""
ANY_SPEED = 1_000_000_000
STRAYS: tuple[AnomalyKind, ...] = ("gps_jump", "suspected_spoof")

MOST_TOGETHER = 20_000
"""Fixes that are judged at once."""
MOST_NAME = 200
"""Characters. An index takes some 2,700 bytes."""
EARLIEST, LATEST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)
LONGEST_GAP_MS = 120_000
"""Between two fixes of which the way is taken for straight."""

type RulesOf = Callable[[str, int], FixRules]
"""Of a tenant at a time in Unix milliseconds."""


class Steps(msgspec.Struct, frozen=True):
    """The ways that are new on a track, and in whose stead, see `Track.steps`; and the row that led to them."""

    row: int
    track: Track
    after_ms: int
    steps: Sequence[Step]


class Partition:
    """`index` gives a tenant's fences as they are known now, `rules` by what its fixes are believed when they come."""

    def __init__(self, partition: int, index: Callable[[str], FenceIndex], rules: RulesOf) -> None:
        self.partition = partition
        self.riders: dict[RiderKey, Rider] = {}
        self.as_of: dict[RiderKey, int] = {}
        """Of riders the frame up to which all is in what is remembered of them, where that is not the place."""
        self.gone: dict[RiderKey, int] = {}
        """Riders who are let go: what came in of them before then, Unix milliseconds, leads to nothing any more."""
        self._gone_until_ms = 0
        self.swept_ms = 0
        """When those were looked for of whom nothing comes in: it goes with the memory."""
        self.fleet = Fleet()
        self._index = index
        self._rules = rules

    def fold(self, records: Sequence[Stored]) -> Found:
        """What follows does not hang on how many come together."""
        found = Found()
        for together in self.groups(records, found):
            self.take(together, found)
        return found

    def groups(self, records: Sequence[Stored], found: Found) -> Iterator[list[Frame]]:
        """Frames that are taken together: of so many fixes, or one. What cannot be read is told in `found`."""
        group: list[Frame] = []
        fixes = 0
        for stored in records:
            try:
                frame = opened(stored)
            except Unreadable as unreadable:
                found.unread.append(unreadable)
                continue
            if group and fixes + frame.fixes.frame.count > MOST_TOGETHER:
                yield group
                group, fixes = [], 0
            group.append(frame)
            fixes += frame.fixes.frame.count
        if group:
            yield group
        if self.as_of and records and records[-1].offset >= max(self.as_of.values()):
            self.as_of = {}

    def take(self, frames: Sequence[Frame], found: Found) -> None:
        """Signals in the order of their frames, and of what led to them there; crossings last."""
        self.fleet.tidy(self.riders)
        signals: list[tuple[int, int, Draft]] = []
        aside: list[tuple[int, int, Reason]] = []
        taken: dict[int, Taken] = {}
        for numbers in by_tenant([frame.tenant for frame in frames]).values():
            theirs = [frames[number] for number in numbers]
            folding = Folding(self, theirs, self._index(theirs[0].tenant), found)
            folding.fold()
            signals += [(numbers[frame], place, draft) for frame, place, draft in folding.signals]
            aside.extend((numbers[frame], place, reason) for frame, place, reason in folding.aside)
            taken |= {numbers[frame]: each for frame, each in folding.taken().items()}
        found.signals += [draft for _, _, draft in sorted(signals, key=itemgetter(0, 1))]
        found.aside += [aside_row(frames[number], place, reason) for number, place, reason in sorted(aside)]
        found.taken += [taken[number] for number in sorted(taken)]

    def rules(self, frame: Frame, received_ms: int) -> FixRules:
        rules = self._rules(frame.tenant, received_ms)
        return rules if frame.from_outside else msgspec.structs.replace(rules, max_speed_mps=ANY_SPEED)

    def let_go(self, gone: Mapping[RiderKey, int]) -> None:
        self.gone |= gone
        self._gone_until_ms = max(self.gone.values(), default=0)

    def let_go_of_marks(self, before_ms: int) -> None:
        self.gone = {key: until_ms for key, until_ms in self.gone.items() if until_ms >= before_ms}

    def knows(self, told_before: Draft) -> bool:
        """Whether what led to it is in what is remembered of the rider, or was."""
        key = told_before.tenant, told_before.rider_id
        return key in self.gone or place_of(told_before.cause) < self.as_of.get(key, 0)

    def known(self, frame: Frame, received_ms: int) -> Truths | None:
        """Of each fix whether it is in what is remembered of its rider, or was; None: none is."""
        gone = self.gone if received_ms < self._gone_until_ms else {}
        if not (self.as_of or gone):
            return None
        keys, offset = [(frame.tenant, rider) for rider in frame.fixes.frame.riders], frame.stored.offset
        known = [self.as_of.get(key, 0) > offset or gone.get(key, 0) > received_ms for key in keys]
        return np.array(known, bool)[frame.fixes.device] if any(known) else None

    def rider(self, key: RiderKey) -> Rider:
        return self.riders.setdefault(key, Rider())

    def track(self, tenant: str, rider_id: str, device_id: str, at_ms: int) -> Track:
        """A device that is new to the rider takes the place of those that were not seen for a day before its fix."""
        rider = self.rider((tenant, rider_id))
        track = rider.tracks.get(device_id)
        if track is None:
            track = Track()
            seen = {device: known for device, known in rider.tracks.items() if known.newest_ms >= at_ms - OLDEST_MS}
            rider.tracks = {**seen, device_id: track}
        return track


class Folding:
    """One tenant's frames together. `signals` and `aside` are of a frame, by its number here, and a place in it."""

    def __init__(self, partition: Partition, frames: Sequence[Frame], index: FenceIndex, found: Found) -> None:
        self.signals: list[tuple[int, int, Draft]] = []
        self.aside: list[tuple[int, int, Reason]] = []
        self._partition = partition
        self._tenant = frames[0].tenant
        self._frames = frames
        self._index = index
        self._found = found
        received_ms = self._received_ms = [unix_ms(frame.fixes.frame.received_at) for frame in frames]
        self._rules = [partition.rules(frame, at_ms) for frame, at_ms in zip(frames, received_ms, strict=True)]
        fixes = [frame.fixes for frame in frames]
        self._rows = rows_of(list(zip(fixes, self._rules, received_ms, strict=True)))
        counts = [frame.fixes.frame.count for frame in frames]
        self._start = np.cumsum([0, *counts])
        self._number: Numbers = np.repeat(np.arange(len(frames)), counts)
        self._places = places_of(self._rows)
        self._held = index.holding(self._rows.lat, self._rows.lon, self._rows.at_ms)
        self._believed = np.zeros(len(self._number), bool)
        self._strays: dict[int, list[tuple[int, AnomalyKind]]] = {}
        self._shown: list[tuple[int, RiderKey, str]] = []
        """Rows of devices' newest fixes, of whom and by which device."""
        found.fixes += len(self._number)

    def fold(self) -> None:
        wrong = judged(self._rows)
        fresh = self._fresh()
        for row in np.flatnonzero(fresh & (wrong >= 0)).tolist():
            self._put_aside(row, REASONS[wrong[row]])
        fine = fresh & (wrong < 0)
        slot, asked = self._slots(fine)
        going = self._partition.fleet.going_on(slot, self._places, self._rows.max_speed_mps, asked)
        since = self._all_at_once(going)
        fine[going.rows] = False
        self._crossed(going, since, self._one_by_one(np.flatnonzero(fine).tolist()))
        self._show()

    def taken(self) -> dict[int, Taken]:
        """Of the frames from outside, by number."""
        found = {}
        for number, frame in enumerate(self._frames):
            if frame.from_outside:
                start, end = self._start[number], self._start[number + 1]
                places = np.flatnonzero(self._believed[start:end])
                strays = self._strays.get(number, [])
                found[number] = Taken(frame.tenant, cause_of(frame.stored), frame.fixes, places, strays)
        return found

    def _fresh(self) -> Truths:
        """What is not in what is remembered already."""
        fresh = np.ones(len(self._number), bool)
        for number, frame in enumerate(self._frames):
            known = self._partition.known(frame, self._received_ms[number])
            if known is not None:
                fresh[self._start[number] : self._start[number + 1]] = ~known
        return fresh

    def _slots(self, fine: Truths) -> tuple[Numbers, Truths]:
        """Of each row, and which are asked for together: none of a rider with a device that is not known yet, since
        which of the others are kept hangs on when it comes."""
        slots, fresh = [], set()
        for frame in self._frames:
            told_of = frame.fixes.frame
            known = self._partition.fleet.slots(self._partition.riders, self._tenant, told_of.devices, told_of.riders)
            fresh |= {rider for rider, slot in zip(told_of.riders, known, strict=True) if slot < 0 and rider}
            slots.append(np.array(known, np.int64)[frame.fixes.device] if known else np.empty(0, np.int64))
        slot = np.concatenate(slots)
        asked = fine & (slot >= 0)
        if fresh:
            keys = self._partition.fleet.keys
            asked[asked] = [keys[each][1] not in fresh for each in slot[asked].tolist()]
        return slot, asked

    def _all_at_once(self, going: Going) -> list[Inside]:
        """Their tracks take them; of each, which fences held the device before."""
        fleet, rows, held, dwell = self._partition.fleet, going.rows, self._held, self._index.dwell
        at_ms, lat, lon = (self._places[rows, column].tolist() for column in range(3))
        since: list[Inside] = []
        for row, slot, *here in zip(rows.tolist(), going.slot.tolist(), at_ms, lat, lon, strict=True):
            track = fleet.tracks[slot]
            since.append(track.insides[-1])
            changes = track.take_next(here[0], held[row], here[1], here[2], dwell)
            if changes:
                self._tell(track, changes, row)
        last = np.append(going.first[1:], len(rows))[: len(going.first)] - 1
        slots, newest = going.slot[last], self._places[rows[last]]
        fleet.gone(slots, newest)
        shown = zip(slots.tolist(), zip(*newest.T.tolist(), strict=True), rows[last].tolist(), strict=True)
        for slot, place, row in shown:
            fleet.tracks[slot].reach.last = place
            self._found.touched.add(fleet.keys[slot])
            self._shown.append((row, fleet.keys[slot], fleet.devices[slot]))
        self._believed[rows] = True
        return since

    def _one_by_one(self, rows: Sequence[int]) -> list[Steps]:
        """Each by its own track, as of each frame's end: a step that is cut in two in the same frame never was one."""
        steps: list[Steps] = []
        for number, theirs in groupby(rows, lambda row: int(self._number[row])):
            taken: dict[int, tuple[Track, dict[int, int]]] = {}
            for row in theirs:
                track = self._held_against(row, number)
                if track is not None:
                    taken.setdefault(id(track), (track, {}))[1][int(self._places[row, 0])] = row
            for track, of in taken.values():
                self._partition.fleet.see(track)
                for after_ms, each in track.steps(list(of)) if self._index.ids else ():
                    steps.append(Steps(of[each[0].at_ms], track, after_ms, each))
        return steps

    def _held_against(self, row: int, number: int) -> Track | None:
        """The track that takes the fix; None where it is put aside."""
        place = self._place_of(row)
        rider_id, device_id = self._holder(row)
        track = self._partition.track(self._tenant, rider_id, device_id, place[0])
        reason: Reason | None = track.refuses(place[0])
        if reason is None and jumps(track, place, self._rules[number]):
            reason = "gps_jump"
            self._found.touched.add((self._tenant, rider_id))  # for what is remembered of a stray
            self._partition.fleet.see(track)
        if reason is not None:
            self._put_aside(row, reason)
            return None
        self._believed[row] = True
        self._found.touched.add((self._tenant, rider_id))
        at_ms, lat, lon, _ = place
        if at_ms > track.newest_ms:
            self._shown.append((row, (self._tenant, rider_id), device_id))
        changes = track.take(at_ms, self._held[row], (lat, lon), self._index.dwell)
        if changes:
            self._tell(track, changes, row)
        return track

    def _crossed(self, going: Going, since: Sequence[Inside], steps: Sequence[Steps]) -> None:
        """Which fences the ways lead through, whose ends are outside: asked for all at once."""
        if not self._index.ids:
            return
        here = self._places[going.rows]
        short = np.flatnonzero(here[:, 0] - going.since[:, 0] <= LONGEST_GAP_MS)
        ends = np.column_stack([going.since[short, 1:3], here[short, 1:3], going.since[short, 0], here[short, 0]])
        listed = [step for each in steps for step in each.steps if step.at_ms - step.since_ms <= LONGEST_GAP_MS]
        ways = ways_of(listed)
        crossed = self._index.crossed(
            Ways(
                np.concatenate([ends, ways.ends]),
                [*(since[place] for place in short.tolist()), *ways.since_inside],
                [*(self._held[row] for row in going.rows[short].tolist()), *ways.inside],
            )
        )
        fleet = self._partition.fleet
        for number, fences in crossed.items():
            if number < len(short):
                self._led_through(going, int(short[number]), fences)
        of_step = {id(step): crossed.get(len(short) + place, ()) for place, step in enumerate(listed)}
        for each in steps:
            changes = each.track.crossed_anew(each.after_ms, [(step, of_step.get(id(step), ())) for step in each.steps])
            if changes:
                self._tell(each.track, changes, each.row)
        for each in steps:
            each.track.forget()
        for slot in going.slot[going.first].tolist():
            if fleet.tracks[slot].forgets:
                fleet.tracks[slot].forget()

    def _led_through(self, going: Going, place: int, fences: Sequence[str]) -> None:
        """Told of the device's first fix in the frame."""
        track, row = self._partition.fleet.tracks[going.slot[place]], int(going.rows[place])
        at_ms, since_ms = int(self._places[row, 0]), int(going.since[place, 0])
        first = place
        while first > 0 and going.slot[first - 1] == going.slot[place]:
            if self._number[going.rows[first - 1]] != self._number[row]:
                break
            first -= 1
        changes: list[Change] = [Told(fence, "crossed", at_ms, since_ms=since_ms) for fence in fences]
        self._tell(track, changes, int(going.rows[first]))

    def _show(self) -> None:
        if not self._shown:
            return
        shown = sorted(self._shown)
        rows = np.array([row for row, _, _ in shown])
        frames = [frame.fixes for frame in self._frames]
        received_us = np.array([unix_us(fixes.frame.received_at) for fixes in frames], np.int64)
        columns = (
            self._places[rows, :3],
            self._rows.accuracy[rows],
            np.concatenate([fixes.speed for fixes in frames])[rows],
            np.concatenate([fixes.bearing for fixes in frames])[rows],
            received_us[self._number[rows]],
        )
        keys, devices = [key for _, key, _ in shown], [device for _, _, device in shown]
        self._found.live.take(keys, devices, np.column_stack(columns))

    def _tell(self, track: Track, changes: Sequence[Change], row: int) -> None:
        number = int(self._number[row])
        place = row - int(self._start[number])
        for draft in told(track, changes, Led(self._frames[number], place, *self._holder(row))):
            self.signals.append((number, place, draft))

    def _put_aside(self, row: int, reason: Reason) -> None:
        number = int(self._number[row])
        place = row - int(self._start[number])
        self.aside.append((number, place, reason))
        if reason in STRAYS:
            self._strays.setdefault(number, []).append((place, reason))

    def _holder(self, row: int) -> tuple[str, str]:
        """Rider and device."""
        number = int(self._number[row])
        fixes = self._frames[number].fixes
        device = int(fixes.device[row - int(self._start[number])])
        return fixes.frame.riders[device], fixes.frame.devices[device]

    def _place_of(self, row: int) -> Place:
        at_ms, lat, lon, accuracy = self._places[row].tolist()
        return at_ms, lat, lon, accuracy


def jumps(track: Track, place: Place, rules: FixRules) -> bool:
    """A late fix is held against its neighbours, and neither confirms strays nor ends them."""
    if place[0] < track.newest_ms:
        return not is_amid(place, track.neighbours(place[0]), rules)
    return track.reach.refuses(place, rules)


def by_tenant(tenants: Sequence[str]) -> dict[str, list[int]]:
    numbers: dict[str, list[int]] = {}
    for number, tenant in enumerate(tenants):
        numbers.setdefault(tenant, []).append(number)
    return numbers


def opened(stored: Stored) -> Frame:
    """Raises Unreadable."""
    envelope, event = envelope_of(stored), event_of(stored, None)
    if not isinstance(event, FixFrame):
        raise Unreadable(stored, f"{type(event).__name__} is no frame")
    try:
        held_in_rows(envelope.tenant, event)
        return Frame(stored, envelope.tenant, fixes_of(event), envelope.source.endswith(FROM_OUTSIDE))
    except ValueError as broken:
        raise Unreadable(stored, str(broken)) from broken


def held_in_rows(tenant: str, frame: FixFrame) -> None:
    """No door lets in what no row takes, but whoever wrote it, it must not keep the next frames waiting. Raises
    ValueError."""
    names = [tenant, *frame.devices, *frame.riders]
    if "\0" in "".join(names) or max(map(len, names)) > MOST_NAME:
        raise ValueError(f"names of tenant, devices and riders have {MOST_NAME} characters at most, and none is U+0000")
    if not (EARLIEST <= frame.base_time <= LATEST and EARLIEST <= frame.received_at <= LATEST):
        raise ValueError(f"times are between {EARLIEST.year} and {LATEST.year}")
