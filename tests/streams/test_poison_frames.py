"""Whatever stands on the topic of frames: it is folded, or put aside by name, and the honest frames beside it count."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from logged import headers_of
from msgspec.structs import replace
from story import NOON

from schemas import catalog
from schemas.control import Heartbeat
from schemas.fixes import FixFrame, HeldFix, NewFix, frames_of
from schemas.record import Stored
from schemas.topics import FIXES
from streams.telemetry.fence_index import FenceIndex
from streams.telemetry.found import Found
from streams.telemetry.partition import Partition
from streams.telemetry.quality import Quality
from streams.telemetry.rider import kept
from streams.telemetry.store import columns

SECOND = timedelta(seconds=1)


def frame(number: int = 0) -> FixFrame:
    """Of Ann and Bob."""
    at = NOON + number * 10 * SECOND
    fix = NewFix(observed_at=at, lat=60.17, lon=24.94)
    [made] = frames_of([HeldFix("phone", "ann", fix), HeldFix("bobs", "bob", fix)], at + SECOND)
    return made


def stored(value: bytes | None, offset: int = 0, tenant: str | None = "acme", **more: bytes) -> Stored:
    headers = headers_of(frame(), tenant or "")
    named = dict(headers) | more
    if tenant is None:
        del named["tenant"]
    return Stored(FIXES.name, 0, offset, None, value, list(named.items()))


def written(event: Any) -> bytes:
    return catalog.write(event, lambda *_: b"")


def folded(poison: Stored) -> Found:
    """Between two honest frames, of which nothing is lost."""
    partition = Partition(0, lambda tenant: FenceIndex([]), Quality().rules)
    found = partition.fold([stored(written(frame(0)), 0), poison, stored(written(frame(1)), 2)])
    known = partition.riders["acme", "ann"].tracks["phone"].times
    assert {round(at.timestamp() * 1000) for at in (NOON, NOON + 10 * SECOND)} <= set(known)
    for rider in partition.riders.values():
        kept(rider)
    return found


POISON = {
    "no value": (stored(None, 1), "Unreadable|TypeError|ValueError|EOFError|struct"),
    "no frame": (stored(b"no frame", 1), "ValueError"),
    "a schema that nobody knows": (stored(b"\x00\x7f\xff\xff\xffxx", 1), "2147483647"),
    "cut in two": (stored(written(frame())[:40], 1), ""),
    "another event": (stored(written(Heartbeat(shard=0, epoch=0)), 1), "Heartbeat is no frame"),
    "no tenant": (stored(written(frame()), 1, tenant=None), "tenant"),
    "a header that is no text": (stored(written(frame()), 1, tenant="acme", ce_time=b"\xff"), ""),
    "another layout": (stored(written(replace(frame(), layout=2)), 1), "layout 2"),
    "500 fixes in short columns": (stored(written(replace(frame(), count=500)), 1), "2 entries for 500 fixes"),
    "less than none": (stored(written(replace(frame(), count=-1)), 1), "2 entries for -1 fixes"),
    "half an entry": (stored(written(replace(frame(), lat=b"\x00" * 7)), 1), "multiple of element size"),
    "a device that is not there": (stored(written(replace(frame(), device=b"\x09\0\0\0\0\0\0\0")), 1), "does not name"),
    "riders that are too few": (stored(written(replace(frame(), riders=["ann"])), 1), "2 devices and 1 riders"),
    "flags of one": (stored(written(replace(frame(), flags=b"\x01")), 1), "column flags has 1 entries"),
    "a device of a character that no row takes": (
        stored(written(replace(frame(), devices=["ph\0ne", "bobs"])), 1),
        "names",
    ),
    "a device of 10 kB": (stored(written(replace(frame(), devices=["p" * 10_000, "bobs"])), 1), "names"),
    "a tenant of 10 kB": (stored(written(frame()), 1, tenant="t" * 10_000), "names"),
    "a time at the end of all times": (
        stored(written(replace(frame(), base_time=datetime.max.replace(tzinfo=UTC), offset_ms=b"\xff\xff\xff\xff")), 1),
        "times",
    ),
}


@pytest.mark.parametrize("what", POISON)
def test_a_frame_that_is_none_is_named_and_the_others_count(what: str):
    poison, reason = POISON[what]
    found = folded(poison)
    [unread] = found.unread
    assert unread.stored is poison
    assert any(word in unread.reason for word in reason.split("|"))
    assert found.fixes == 4


def test_a_frame_of_nothing_says_nothing():
    nothing = dict.fromkeys(("device", "offset_ms", "lat", "lon", "speed", "bearing", "accuracy", "battery"), b"")
    found = folded(stored(written(replace(frame(), count=0, devices=[], riders=[], **nothing)), 1))
    assert (found.unread, found.aside, found.fixes) == ([], [], 4)


FIELDS = {
    "layout": st.integers(0, 2),
    "count": st.integers(-1, 3),
    "base_time": st.datetimes(timezones=st.just(UTC)),
    "received_at": st.datetimes(timezones=st.just(UTC)),
    "devices": st.lists(st.text(max_size=3), max_size=3),
    "riders": st.lists(st.text(max_size=3), max_size=3),
    **{
        name: st.binary(max_size=2 * size)
        for name, size in (("device", 4), ("offset_ms", 2), ("lat", 4), ("lon", 4), ("speed", 2), ("flags", 1))
    },
}


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.fixed_dictionaries({}, optional=FIELDS))
def test_whatever_a_frame_says_is_folded_or_named_and_can_be_written(said: dict[str, Any]):
    found = folded(stored(written(replace(frame(), **said)), 1))
    for row in (*found.live.values(), *found.aside):
        for value in columns([row], row.__struct_fields__):
            assert "\0" not in str(value[0])
    for draft in found.signals:
        msgspec.json.encode(draft.event)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.integers(0, 200), st.binary(max_size=3), st.integers(0, 3))
def test_a_frame_that_is_broken_somewhere_is_folded_or_named(place: int, put: bytes, cut: int):
    value = written(frame())
    folded(stored(value[:place] + put + value[place + cut :], 1))
