"""`logistics simulate`: a day in virtual time against a policy, by the code that decides in earnest."""

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from choosing import Straight, km

from infra import cli
from infra.settings import WrongSetting, load_settings
from infra.simulate import bound as bounds
from infra.simulate import day as days
from infra.simulate import files, windows
from infra.simulate import policy as policies
from infra.simulate import riding as ridings
from infra.simulate.bound import Need, most_deliverable, solved
from infra.simulate.day import Lived
from infra.simulate.figures import figures_of
from infra.simulate.files import orders_in, porto_orders_in, riders_in
from infra.simulate.made import made_day
from infra.simulate.playing import played
from infra.simulate.policy import Policy, policy_in
from infra.simulate.world import Day, Order, SimulatedRider
from schemas.geo import Location
from schemas.load import Load
from streams.routing.measured import Measured

DOCS = Path(__file__).resolve().parents[2] / "docs" / "simulate"
NEAREST, BATCH = (policy_in(DOCS / f"{name}.json") for name in ("nearest-first", "batch"))
KM_S = 1_000 * 1.4 / 6.0
TEN = 1_900_000_000.0


def order(name: str, at: Location, to: Location, after_s: float = 0.0, **more: Any) -> Order:
    given = {"ready_s": TEN + after_s, "pickup_service_s": 60, "dropoff_service_s": 60, "load": Load(weight_g=1_000)}
    return Order(id=name, created_s=TEN + after_s, pickup=at, dropoff=to, **(given | more))


def rider(name: str, at: Location, **more: Any) -> SimulatedRider:
    return SimulatedRider(id=name, start=at, **({"from_s": TEN, "until_s": TEN + 14_400} | more))


def policy(engine: str = "instant", dispatch: dict[str, Any] | None = None, **more: Any) -> Policy:
    rules = {"dispatch": dispatch or {}, **more.pop("rules", {})}
    return msgspec.convert({"engine": engine, "answer_seconds": 0, "rules": rules, **more}, Policy)


async def lived(orders: list[Order], riders: list[SimulatedRider], by: Policy, seed: int = 0) -> Lived:
    return await played(Day(name="test", orders=orders, riders=riders), by, Straight(), seed)


# Riders on their way


@pytest.mark.parametrize("engine", ["instant", "batch"])
async def test_a_rider_drives_there_and_to_the_door_and_each_stop_takes_its_time(engine: str):
    day = await lived([order("a", km(1), km(3))], [rider("ann", km(0))], policy(engine, batch={"window_seconds": 1}))
    [fate] = day.fates
    assert fate.rider_id == "ann"
    assert fate.assigned_s == pytest.approx(TEN, abs=1)
    assert fate.picked_up_s == pytest.approx(fate.assigned_s + KM_S + 60, abs=1)
    assert fate.delivered_s == pytest.approx(fate.picked_up_s + 2 * KM_S, abs=1)
    [riding] = day.ridings
    assert riding.driven_m == pytest.approx(3 * 1_400, rel=0.01)
    assert riding.at_stops_s == 120
    told = figures_of("p", day, None)
    assert told.utilisation == pytest.approx((3 * KM_S + 120) / 14_400, abs=0.001)


async def test_who_is_early_waits_until_the_goods_are_ready_and_until_the_window_opens():
    given = {"ready_s": TEN + 600, "opens_s": TEN + 1_800, "closes_s": TEN + 3_600}
    [fate] = (await lived([order("a", km(1), km(2), **given)], [rider("ann", km(0))], policy())).fates
    assert fate.picked_up_s == TEN + 660
    assert fate.delivered_s == TEN + 1_800
    assert fate.late_s == 0


async def test_it_comes_to_dispatch_some_time_before_its_goods_are_ready():
    by = policy(rules={"dispatch_lead_seconds": 600})
    [fate] = (await lived([order("a", km(1), km(2), ready_s=TEN + 3_600)], [rider("ann", km(0))], by)).fates
    assert fate.assigned_s == TEN + 3_000


async def test_who_turns_midway_has_driven_as_far_as_they_came():
    """Half of the four kilometres to the first pickup, then back to one that lies behind, whose door comes last."""
    here = rider("ann", km(0))
    first = order("a", km(4), km(5))
    second = order("b", km(1), km(0), after_s=2 * KM_S)
    day = await lived([first, second], [here], policy(dispatch={"weights": {"travel": 1, "detour": 0}}))
    [riding] = day.ridings
    turns = [passed.place.lon * 111.195 for passed in riding.passed]
    assert turns[:4] == pytest.approx([0, 0, 2, 1], abs=0.01)
    assert riding.driven_m == pytest.approx((2 + 1 + 3 + 1 + 5) * 1_400, rel=0.01)
    assert all(fate.delivered_s for fate in day.fates)


async def test_nobody_carries_more_than_they_can_and_each_order_is_delivered_by_who_picked_it_up():
    orders = [order(f"o{n}", km(0), km(2 + n / 10), load=Load(weight_g=600)) for n in range(4)]
    for engine in ("instant", "batch"):
        day = await lived(
            orders, [rider("ann", km(0), capacity_g=1_200)], policy(engine, rules={"max_active_tasks": 9})
        )
        events = sorted([(fate.picked_up_s, 1) for fate in day.fates] + [(fate.delivered_s, -1) for fate in day.fates])
        aboard = [sum(change for _, change in events[: n + 1]) for n in range(len(events))]
        assert max(aboard) == 2


async def test_who_is_on_a_break_or_off_shift_is_given_nothing():
    resting = rider("ann", km(0), break_from_s=TEN, break_s=1_800)
    [fate] = (await lived([order("a", km(1), km(2), after_s=60)], [resting], policy(rules={"max_rounds": 50}))).fates
    assert fate.assigned_s == pytest.approx(TEN + 1_800, abs=60)
    later = rider("ann", km(0), from_s=TEN + 7_200)
    [fate] = (await lived([order("a", km(1), km(2))], [later], policy(rules={"max_rounds": 2}))).fates
    assert (fate.delivered_s, fate.code) == (None, "off_shift")


# Offers and answers


@pytest.mark.parametrize("mode", ["direct", "waterfall", "broadcast", "ranked", "bid", "self_claim"])
async def test_each_mode_finds_the_one_who_takes_it(mode: str):
    riders = [rider("ann", km(0), accepts=0.0), rider("bob", km(0.5), accepts=0.0), rider("cid", km(1), accepts=1.0)]
    step = {"mode": mode, "size": 3, "seconds": 60}
    by = policy(dispatch={"steps": [step]}, answer_seconds=10, rules={"max_rounds": 5, "retry_seconds": 60})
    [fate] = (await lived([order("a", km(0), km(2))], riders, by)).fates
    assert fate.rider_id == "cid"
    waits = {"direct": 10 + 60 + 10 + 60 + 10, "waterfall": 30}
    assert fate.assigned_s == TEN + waits.get(mode, 10)
    assert (fate.round == 1) == (mode != "direct")


async def test_an_offer_that_nobody_answers_expires():
    riders = [rider("ann", km(0), accepts=0.0), rider("bob", km(1), accepts=1.0)]
    step = {"mode": "waterfall", "seconds": 90}
    by = policy(dispatch={"steps": [step]}, ignores=1.0, answer_seconds=10)
    [fate] = (await lived([order("a", km(0), km(2))], riders, by)).fates
    assert (fate.rider_id, fate.assigned_s) == ("bob", TEN + 100)


@pytest.mark.parametrize("engine", ["instant", "batch"])
async def test_what_nobody_takes_is_told(engine: str):
    nobody = [rider("ann", km(0), accepts=0.0)]
    closes = {"closes_s": TEN + 3_600}
    [fate] = (await lived([order("a", km(0), km(2), **closes)], nobody, policy(engine))).fates
    assert fate.delivered_s is None
    assert fate.code in {"nobody_wanted_it", "declined_before"}


async def test_the_same_seed_plays_the_same_and_another_another():
    day, by = (
        made_day(3, 2),
        msgspec.structs.replace(
            BATCH, batch=msgspec.structs.replace(BATCH.batch, window_seconds=120), accepts=0.7, ignores=0.3
        ),
    )
    once, again, other = [
        [(fate.rider_id, fate.delivered_s) for fate in (await played(day, by, Straight(), seed)).fates]
        for seed in (1, 1, 2)
    ]
    assert once == again
    assert once != other


# A day with too few riders


async def test_windows_deliver_within_a_twentieth_of_the_bound_what_nearest_first_leaves_a_tenth_of():
    day = made_day(2, 8)
    most = await most_deliverable(day, Straight(), 0.0)
    assert most is not None
    nearest, windows = [
        sum(fate.delivered_s is not None for fate in (await played(day, by, Straight(), 0)).fates)
        for by in (NEAREST, BATCH)
    ]
    assert windows <= most + 1e-6
    assert windows >= 0.95 * most
    assert nearest <= 0.9 * len(day.orders)


def test_the_bound_is_what_the_time_of_riders_allows():
    hour = [(0.0, 3_600.0)]
    assert solved([Need(600, (0, 3_600))] * 10, hour) == pytest.approx(6)
    assert solved([Need(600, (0, 3_600))] * 10, hour * 2) == pytest.approx(10)
    assert solved([Need(600, (0, 1_200))] * 10, hour) == pytest.approx(2)
    assert solved([Need(300, (0, 3_600))] * 4 + [Need(1_200, (0, 3_600))] * 4, hour) == pytest.approx(6)
    assert solved([Need(600, (7_200, 9_000))], hour) == 0


async def test_nobody_delivers_more_than_the_bound():
    for seed in range(2):
        day = made_day(seed, 4)
        hurried = Day(
            name="hurried",
            riders=day.riders[:1],
            orders=[msgspec.structs.replace(each, closes_s=each.created_s + 1_500) for each in day.orders],
        )
        most = await most_deliverable(hurried, Straight(), 0.0)
        assert most is not None
        done = [fate for fate in (await played(hurried, BATCH, Straight(), 0)).fates if fate.delivered_s]
        assert 0 < len([fate for fate in done if fate.late_s == 0]) <= most + 1e-6 < len(day.orders)


class SmallMap(Straight):
    """Knows no street east of a line."""

    async def matrix(self, tenant: Any, origins: Any, goals: Any) -> Measured:
        told = await super().matrix(tenant, origins, goals)
        east = np.logical_or.outer(*([each.lon > km(2).lon for each in places] for places in (origins, goals)))
        return Measured(*(np.where(east, np.nan, grid) for grid in (told.seconds, told.metres)), "osrm")


async def test_the_bound_counts_also_who_orders_from_beyond_the_map():
    orders = [order(f"o{n}", km(1 + n / 10), km(3 + n / 10)) for n in range(6)]
    day = Day(name="beyond", orders=orders, riders=[rider("ann", km(0)), rider("bob", km(4))])
    done = [fate for fate in (await played(day, BATCH, SmallMap(), 0)).fates if fate.delivered_s]
    assert len(done) == 6
    assert await most_deliverable(day, SmallMap(), 0.0) == pytest.approx(6)


# The command


def written(folder: Path, name: str, *rows: dict[str, Any]) -> Path:
    with (folder / name).open("w", newline="") as out:
        lines = csv.DictWriter(out, rows[0])
        lines.writeheader()
        lines.writerows(rows)
    return folder / name


ORDER = {
    "id": "a",
    "created_at": "2030-03-01T12:00:00Z",
    "ready_at": "2030-03-01T12:10:00Z",
    "pickup_lat": 60.17,
    "pickup_lon": 24.94,
    "dropoff_lat": 60.18,
    "dropoff_lon": 24.95,
    "window_start": "",
    "window_end": "2030-03-01T13:00:00Z",
    "weight_g": 900,
    "pickup_service_s": 30,
    "skills": "cold;heavy",
}
RIDER = {
    "id": "ann",
    "lat": 60.17,
    "lon": 24.93,
    "from": "2030-03-01T11:00:00+00:00",
    "until": "2030-03-01T15:00:00Z",
    "vehicle": "bicycle",
    "capacity_g": 9_000,
    "skills": "cold;heavy",
    "break_from": "",
    "break_minutes": "",
}


def test_files_are_read_as_they_are_documented(tmp_path: Path):
    [read] = orders_in(written(tmp_path, "orders.csv", ORDER))
    assert (read.ready_s - read.created_s, read.load.weight_g, read.skills) == (600, 900, ("cold", "heavy"))
    assert (read.pickup_service_s, read.dropoff_service_s, read.opens_s) == (30, 60, None)
    [ann] = riders_in(written(tmp_path, "riders.csv", RIDER))
    assert (ann.vehicle, ann.until_s - ann.from_s, ann.break_from_s) == ("bicycle", 14_400, None)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"pickup_lat": "north"}, "line 3, pickup_lat: 'north' is no number"),
        ({"dropoff_lon": 181}, "line 3, dropoff_lon: 181 is not between -180 and 180"),
        ({"created_at": "noon"}, "line 3, created_at: 'noon' is no time"),
        ({"ready_at": "2030-03-01T12:10:00"}, "line 3, ready_at: 2030-03-01T12:10:00 has no time zone"),
        ({"window_end": "2030-03-01T11:00:00Z"}, "line 3, window_end: it is not after"),
        ({"window_end": "", "window_start": "2030-03-01T12:00:00Z"}, "line 3, window_end: it is empty"),
        ({"weight_g": 1.5}, "line 3, weight_g: 1.5 is no whole number"),
        ({"id": ""}, "line 3, id: it is empty"),
        ({"id": "a"}, "line 3, id: a stands in .*line 2 already"),
    ],
)
def test_an_order_that_is_none_is_told_by_line_and_column(tmp_path: Path, changed: dict[str, Any], said: str):
    file = written(tmp_path, "orders.csv", ORDER, ORDER | {"id": "b"} | changed)
    with pytest.raises(WrongSetting, match=said):
        orders_in(file)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"until": "2030-03-01T11:00:00Z"}, "line 2, until: it is not after from"),
        ({"vehicle": "balloon"}, "line 2, vehicle: 'balloon' is none of foot"),
        ({"lat": ""}, "line 2, lat: it is empty"),
    ],
)
def test_a_rider_who_is_none_is_told_by_line_and_column(tmp_path: Path, changed: dict[str, Any], said: str):
    with pytest.raises(WrongSetting, match=said):
        riders_in(written(tmp_path, "riders.csv", RIDER | changed))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ('{"engine": "fast"}', r"engine"),
        ('{"rules": {"dispatch": {"weights": {"travel": -1}}}}', r"\$\.rules\.dispatch\.weights\.travel"),
        ('{"batch": {"window_seconds": 0}}', r"\$\.batch\.window_seconds"),
        ('{"windows": 3}', "windows"),
        ("{", "truncated"),
    ],
)
def test_a_policy_that_is_none_is_told_by_its_place(tmp_path: Path, given: str, said: str):
    (tmp_path / "policy.json").write_text(given)
    with pytest.raises(WrongSetting, match=said):
        policy_in(tmp_path / "policy.json")


def simulated(*arguments: object) -> None:
    cli.app(["simulate", *map(str, arguments)], standalone_mode=False)


def test_two_policies_stand_beside_each_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    orders = written(tmp_path, "orders.csv", ORDER, ORDER | {"id": "b", "skills": "divers"})
    riders = written(tmp_path, "riders.csv", RIDER)
    given = ("--orders", orders, "--riders", riders, "--policy", DOCS / "batch.json")
    simulated(*given, "--compare", DOCS / "nearest-first.json", "--json")
    one, other = json.loads(capsys.readouterr().out)
    assert [one["policy"], other["policy"]] == ["batch", "nearest-first"]
    for told in (one, other):
        assert (told["orders"], told["delivered"], told["undelivered"]) == (2, 1, {"skill_missing": 1})
    simulated(*given)
    said = capsys.readouterr().out
    assert "skill_missing" in said
    assert "1 (50.0%)" in said


def test_figures_are_drawn_and_each_orders_fate_is_written(tmp_path: Path):
    pytest.importorskip("matplotlib", reason="requirements-plots.lock is not installed")
    simulated("--orders", "made:1", "--riders", "made:2", "--policy", DOCS / "batch.json", "--out", tmp_path / "out")
    names = {file.name for file in (tmp_path / "out").iterdir()}
    assert names == {"waiting.svg", "to-door.svg", "ways-batch.svg", "orders-batch.csv"}
    with (tmp_path / "out" / "orders-batch.csv").open(newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert len(rows) == len(made_day(1, 2).orders)
    assert all(bool(row["delivered_at"]) != bool(row["code"]) for row in rows)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--orders", "made:many"), "made:many: a number"),
        (("--orders", "made:1", "--riders", "made:0"), "made:0: from 1"),
        (("--orders", "no.csv"), "--riders names no file"),
        (("--orders", "no.csv", "--riders", "made:2"), "no.csv cannot be read"),
    ],
)
def test_what_cannot_be_simulated_is_told(words: tuple[str, ...], said: str):
    with pytest.raises(WrongSetting, match=said):
        simulated(*words, "--policy", DOCS / "batch.json")


def test_taxi_calls_are_orders(tmp_path: Path):
    with gzip.open(tmp_path / "trips.csv.gz", "wt") as out:
        out.write('TRIP_ID,TIMESTAMP,POLYLINE\nt,1372636853,"[[-8.62,41.14],[-8.61,41.15]]"\n')
    [call] = porto_orders_in(tmp_path / "trips.csv.gz")
    assert (call.id, call.created_s, call.pickup.lon, call.dropoff.lat) == ("t", 1372636853, -8.62, 41.15)


def test_a_morning_in_porto_is_replayed(capsys: pytest.CaptureFixture[str]):
    data = load_settings().sample_data
    if data is None:
        pytest.skip("LOGISTICS_SAMPLE_DATA names no folder with the taxi trips")
    trips = data / "traces" / "porto_taxi_trips.csv.gz"
    simulated("--orders", f"porto:{trips}", "--riders", "made:80", "--policy", DOCS / "nearest-first.json", "--json")
    [told] = json.loads(capsys.readouterr().out)
    assert told["orders"] == 609
    assert told["delivered"] > 500


# What may grow, and how far


def test_files_have_a_most(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "MOST_ORDERS", 1)
    monkeypatch.setattr(files, "MOST_RIDERS", 1)
    with pytest.raises(WrongSetting, match="1 lines are the most"):
        orders_in(written(tmp_path, "orders.csv", ORDER, ORDER | {"id": "b"}))
    with pytest.raises(WrongSetting, match="1 lines are the most"):
        riders_in(written(tmp_path, "riders.csv", RIDER, RIDER | {"id": "bob"}))
    monkeypatch.setattr(policies, "MOST_BYTES", 10)
    with pytest.raises(WrongSetting, match="more than 10 bytes"):
        policy_in(DOCS / "batch.json")


async def test_of_more_orders_than_a_window_takes_the_others_wait_for_the_next(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(windows, "MOST_WINDOW_TASKS", 1)
    orders = [order(name, km(0), km(1)) for name in "ab"]
    by = policy("batch", batch={"window_seconds": 30})
    day = await lived(orders, [rider("ann", km(0)), rider("bob", km(0))], by)
    first, second = [fate.assigned_s for fate in day.fates]
    assert first is not None
    assert second == first + 30


async def test_a_day_ends_after_a_week_and_the_bound_is_for_so_many_orders(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(days, "LONGEST_S", 100)
    [fate] = (await lived([order("a", km(1), km(3))], [rider("ann", km(0))], policy())).fates
    assert fate.assigned_s == TEN
    assert fate.delivered_s is None
    monkeypatch.setattr(bounds, "MOST_ORDERS", 1)
    assert await most_deliverable(made_day(0, 1), Straight(), 0.0) is None


async def test_legs_are_forgotten_when_there_are_too_many(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ridings, "MOST_LEGS", 2)
    roads = ridings.Roads(Straight())
    for east in range(5):
        assert (await roads.leg(km(0), km(east))).seconds == pytest.approx(east * KM_S, rel=0.01)
        assert roads.kept <= 2


def test_what_the_docs_show_is_what_is_told(capsys: pytest.CaptureFixture[str]):
    shown = (DOCS.parent / "simulate.md").read_text().split("```")[1].splitlines()
    simulated("--orders", "made:1", "--riders", "made:12", "--policy", DOCS / "batch.json")
    told = {line.split("  ")[0].strip(): line.split()[-1] for line in capsys.readouterr().out.splitlines() if line}
    in_docs = {line.split("  ")[0].strip(): line.split()[-1] for line in shown if line.startswith(("orders", "most"))}
    assert in_docs == {label: told[label] for label in in_docs}
    assert len(in_docs) == 2
