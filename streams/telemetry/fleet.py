"""Where each device of a partition was last, in columns: fixes that go on from there are judged all at once.

The tracks are the truth. A device is `odd` where its track must be asked: it has no point yet, what is believed of it
last is not its newest point, or strays wait to be confirmed.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from streams.telemetry.cells import Numbers, Truths
from streams.telemetry.quality import follow
from streams.telemetry.rider import Rider, RiderKey
from streams.telemetry.tracks import OLDEST_MS, Track

FIRST_SLOTS = 1_024


class Going(msgspec.Struct, frozen=True):
    """Fixes that go on from what is known, device after device, each in order of time."""

    rows: Numbers
    """Which they are, of those that were asked for."""
    slot: Numbers
    since: Numbers
    """Where the device was before, one a row: time, latitude, longitude, accuracy."""
    first: Numbers
    """Where each device begins."""


class Fleet:
    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.keys: list[RiderKey] = []
        self.devices: list[str] = []
        self._last = np.zeros((FIRST_SLOTS, 4), np.int64)
        """Time, latitude, longitude, accuracy."""
        self._odd = np.ones(FIRST_SLOTS, bool)
        self._tidied = 0

    def slots(
        self, riders: Mapping[RiderKey, Rider], tenant: str, devices: Sequence[str], holders: Sequence[str]
    ) -> list[int]:
        """Of each device and its holder; -1 where nothing is known of it."""
        found = []
        for device, rider_id in zip(devices, holders, strict=True):
            key = tenant, rider_id
            rider = riders.get(key)
            track = None if rider is None else rider.tracks.get(device)
            if track is None:
                found.append(-1)
            else:
                found.append(track.slot if track.slot >= 0 else self._added(key, device, track))
        return found

    def going_on(self, slot: Numbers, places: Numbers, max_speed_mps: Numbers, asked: Truths) -> Going:
        """All fixes among those asked for of the devices of which each one is later than the one before, and near."""
        rows = np.flatnonzero(asked)
        rows = rows[np.argsort(slot[rows], kind="stable")]
        of, here = slot[rows], places[rows]
        first = np.diff(of, prepend=-1) != 0
        since = np.empty_like(here)
        since[1:] = here[:-1]
        since[first] = self._last[of[first]]
        after_ms = here[:, 0] - since[:, 0]
        fine = (after_ms > 0) & (after_ms <= OLDEST_MS) & ~self._odd[of] & follow(since, here, max_speed_mps[rows])
        broken = np.zeros(len(self.tracks), bool)
        broken[of[~fine]] = True
        going = ~broken[of]
        return Going(rows[going], of[going], since[going], np.flatnonzero(first[going]))

    def gone(self, slots: Numbers, places: Numbers) -> None:
        """They are there now."""
        self._last[slots] = places

    def see(self, track: Track) -> None:
        """What its track has come to."""
        slot, last = track.slot, track.reach.last
        if slot < 0:
            return
        self._odd[slot] = True
        if last is not None and last[:3] == track.newest and track.reach.strays == 0:
            self._odd[slot], self._last[slot] = False, last

    def tidy(self, riders: Mapping[RiderKey, Rider]) -> None:
        """Tracks that nobody has any more make room. Slots are others then."""
        if len(self.tracks) < 2 * self._tidied + FIRST_SLOTS:
            return
        for track in self.tracks:
            track.slot = -1
        self.tracks, self.keys, self.devices = [], [], []
        for key, rider in riders.items():
            for device, track in rider.tracks.items():
                self._added(key, device, track)
        self._tidied = len(self.tracks)

    def _added(self, key: RiderKey, device: str, track: Track) -> int:
        slot = track.slot = len(self.tracks)
        self.tracks.append(track)
        self.keys.append(key)
        self.devices.append(device)
        if slot == len(self._odd):
            self._last = np.concatenate([self._last, np.zeros_like(self._last)])
            self._odd = np.concatenate([self._odd, np.ones_like(self._odd)])
        self.see(track)
        return slot
