"""Who gets which shards when the group assigns."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from commands.assignment import Claim, Pin, pins_that_hold, spread

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def serving(owner: str, *shards: int, epoch: int = 1, **pins: str) -> Claim:
    return Claim(owner, dict.fromkeys(shards, epoch), {int(s[1:]): Pin(NOON, to) for s, to in pins.items()})


def test_one_owner_gets_all():
    assert spread(range(4), {"a": serving("ann")}) == {"a": [0, 1, 2, 3]}


def test_a_second_owner_gets_half_and_the_first_keeps_the_rest():
    given = spread(range(8), {"a": serving("ann", *range(8)), "b": serving("bob")})
    assert len(given["a"]) == len(given["b"]) == 4


def test_what_is_served_stays_where_it_is():
    members = {"a": serving("ann", 1, 3), "b": serving("bob", 0, 2)}
    assert spread(range(4), members) == {"a": [1, 3], "b": [0, 2]}


def test_when_one_is_gone_the_others_keep_theirs_and_share_the_rest():
    given = spread(range(6), {"a": serving("ann", 0, 1), "b": serving("bob", 2, 3)})
    assert {0, 1} <= set(given["a"])
    assert {2, 3} <= set(given["b"])
    assert sorted(given["a"] + given["b"]) == list(range(6))


def test_of_two_that_serve_the_same_the_higher_epoch_keeps_it():
    members = {"a": serving("ann", 0, epoch=7), "b": serving("bob", 0, 1, epoch=5)}
    assert spread(range(2), members) == {"a": [0], "b": [1]}


def test_a_pinned_shard_goes_where_it_is_pinned_and_the_others_stay_even():
    given = spread(range(5), {"a": serving("ann", 0, 1, s0="bob"), "b": serving("bob", 2, 3, 4)})
    assert given == {"a": [1, 4], "b": [0, 2, 3]}


def test_a_pin_to_an_owner_that_is_not_there_says_nothing():
    assert spread(range(2), {"a": serving("ann", 0, 1, s0="gone")}) == {"a": [0, 1]}


def test_of_two_pins_the_later_counts():
    later = Claim("ann", {}, {0: Pin(NOON + timedelta(minutes=1), "ann")})
    members = {"a": later, "b": Claim("bob", {0: 1}, {0: Pin(NOON, "bob")})}
    assert 0 in spread(range(2), members)["a"]


claims = st.dictionaries(
    st.sampled_from("abcdef"),
    st.tuples(
        st.dictionaries(st.integers(0, 11), st.integers(0, 5)),
        st.dictionaries(st.integers(0, 11), st.sampled_from("abcdefg")),
    ),
    min_size=1,
)


@given(claims, st.integers(1, 12))
def test_every_shard_has_one_owner_and_nobody_two_more_than_another(told: dict, count: int):
    members = {
        name: Claim(name, served, {shard: Pin(NOON, to) for shard, to in pins.items()})
        for name, (served, pins) in told.items()
    }
    given = spread(range(count), members)
    assert sorted(shard for mine in given.values() for shard in mine) == list(range(count))
    assert given.keys() == members.keys()
    pinned = pins_that_hold(members)
    free = [len([shard for shard in mine if shard not in pinned]) for mine in given.values()]
    assert max(free) - min(free) <= 1


@given(claims, st.integers(1, 12))
def test_assigning_again_moves_nothing(told: dict, count: int):
    members = {
        name: Claim(name, served, {shard: Pin(NOON, to) for shard, to in pins.items()})
        for name, (served, pins) in told.items()
    }
    first = spread(range(count), members)
    settled = {name: Claim(name, dict.fromkeys(first[name], 9), members[name].pins) for name in members}
    assert spread(range(count), settled) == first
