"""Each provider asked in its own protocol: requests are judged by what its documentation demands, answers are shaped as
it records them."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import numpy as np
import pytest
from provider_server import ProviderServer, Request, Said
from provider_shapes import ANSWERS, HARBOUR, ISLAND, LINE, MARKET, SECRET, STATION, osrm, secret_of
from story import NOON

from schemas.geo import Location
from streams.routing.google import Google
from streams.routing.mapbox import Mapbox
from streams.routing.osrm_shaped import Osrm
from streams.routing.provider import CannotDo, Provider
from streams.routing.routers import WRONG, RouterSaysNo
from streams.routing.valhalla import Valhalla
from streams.routing.wire import MAX_ANSWER_BYTES, NotAdmitted, QuotaUsedUp, SecretMissing, Wire, WrongAnswer
from streams.telemetry.recorded import Point

NAMES = ("osrm", "valhalla", "mapbox", "google")


def made(name: str, wire: Wire, url: str, reference: str = "env:TOKEN") -> Provider:
    match name:
        case "osrm":
            return Osrm(wire, url, "here")
        case "valhalla":
            return Valhalla(wire, url, "here")
        case "mapbox":
            return Mapbox(wire, reference, "mapbox", url=url)
        case _:
            return Google(wire, reference, "google", urls=(url, url))


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    one = Wire(secret_of)
    yield one
    await one.aclose()


@pytest.fixture
async def server(request: pytest.FixtureRequest) -> AsyncIterator[ProviderServer]:
    name = request.node.callspec.params.get("name") or request.node.callspec.params["paid"]
    one = ProviderServer(ANSWERS[name])
    await one.start()
    yield one
    await one.stop()
    assert not one.faults


every = pytest.mark.parametrize("name", NAMES)
paid = pytest.mark.parametrize("name", ["mapbox", "google"])


@every
async def test_a_matrix_tells_seconds_and_metres_of_each_pair_and_of_one_without_a_way_nothing(server, wire, name):
    seconds, metres = await made(name, wire, server.url).matrix([STATION, MARKET, ISLAND], [HARBOUR])
    np.testing.assert_allclose(seconds[:, 0], [120, 95.5, np.nan])
    np.testing.assert_allclose(metres[:, 0], [830, 512, np.nan])


@every
async def test_a_place_is_no_way_from_itself(server, wire, name):
    seconds, metres = await made(name, wire, server.url).matrix([HARBOUR], [HARBOUR])
    assert (seconds[0, 0], metres[0, 0]) == (0, 0)


@pytest.mark.parametrize(("name", "requests"), [("osrm", 1), ("valhalla", 1), ("mapbox", 17), ("google", 4)])
async def test_a_large_matrix_is_asked_for_in_tiles_that_fit(server, wire, name, requests):
    origins = [Location(lat=60 + n / 1_000, lon=24.9) for n in range(48)] + [STATION]
    goals = [Location(lat=60 + n / 1_000, lon=25.1) for n in range(48)] + [HARBOUR]
    provider = made(name, wire, server.url)
    most = {"mapbox": 24, "google": 49}.get(name, 49)
    seconds, metres = await provider.matrix(origins[-most:], goals)
    assert (seconds[-1, -1], metres[-1, -1]) == (120, 830)
    assert np.isnan(seconds[:-1]).all()
    assert len(server.asked) == provider.cost(most, 49).requests


@every
async def test_a_way_goes_through_the_points_and_takes_as_long_as_is_told(server, wire, name):
    way = await made(name, wire, server.url).route([STATION, HARBOUR])
    assert way.source == name
    np.testing.assert_allclose(np.stack([way.lat, way.lon]).T, LINE, atol=2e-5)
    assert (way.seconds[0], way.seconds[-1], way.metres[-1]) == pytest.approx((0, 120, 830))
    assert list(way.stops) == [2]
    assert 0 < way.seconds[1] < 120


@pytest.mark.parametrize("name", ["valhalla", "google"])
async def test_a_way_with_stops_between_is_one_line(server, wire, name):
    way = await made(name, wire, server.url).route([STATION, HARBOUR, STATION, HARBOUR])
    assert (list(way.stops), len(way.lat)) == ([2, 4, 6], 7)
    assert way.seconds[way.stops].tolist() == pytest.approx([120, 240, 360])
    assert np.all(np.diff(way.seconds) > 0)


@every
async def test_that_there_is_no_way_is_an_answer(server, wire, name):
    with pytest.raises(RouterSaysNo):
        await made(name, wire, server.url).route([STATION, ISLAND])


TRACE = [
    Point(observed_at=NOON + timedelta(seconds=30 * n), lat=lat, lon=lon, accuracy_m=10.0, speed_mps=None)
    for n, (lat, lon) in enumerate(LINE)
]


@pytest.mark.parametrize("name", ["osrm", "valhalla", "mapbox"])
async def test_a_trace_is_matched_to_streets(server, wire, name):
    answer = await made(name, wire, server.url).match(TRACE)
    [part] = answer.parts
    assert (part.since, part.until) == (TRACE[0].observed_at, TRACE[-1].observed_at)
    assert part.confidence == (0.667 if name == "valhalla" else 0.94)
    assert (part.line[0], part.line[-1]) == ((24.9440, 60.1713), (24.9465, 60.1677))
    assert part.metres == pytest.approx(430 if name == "valhalla" else 830, rel=0.1)


@pytest.mark.parametrize("name", ["valhalla"])
async def test_a_trace_on_no_street_is_told_to_be_off_them(server, wire, name):
    away = [Point(observed_at=NOON, lat=ISLAND.lat, lon=ISLAND.lon, accuracy_m=None, speed_mps=None)] * 2
    answer = await made(name, wire, server.url).match(away)
    assert (answer.parts, answer.code) == ([], "NoSegment")


@pytest.mark.parametrize("name", ["osrm", "mapbox"])
@pytest.mark.parametrize("code", ["NoMatch", "NoSegment"])
async def test_that_a_trace_is_on_no_street_is_an_answer(server, wire, name, code):
    server.answers = lambda request: (400 if name == "osrm" else 200, {"code": code, "message": ""})
    answer = await made(name, wire, server.url).match(TRACE)
    assert (answer.parts, answer.code) == ([], code)


@paid
async def test_an_address_has_candidates_the_likeliest_first(server, wire, name):
    found = await made(name, wire, server.url).geocode("Satamakatu 2; Helsinki")
    assert (found[0].place, found[0].label[:12]) == (HARBOUR, "Satamakatu 2")
    sure = {"mapbox": [0.98, 0.8, 0.5, 0.2], "google": [0.97, 0.582, 0.2]}[name]
    assert [each.confidence for each in found] == sure


@paid
async def test_an_address_that_nobody_knows_has_none(server, wire, name):
    assert await made(name, wire, server.url).geocode("nowhere") == []


async def test_what_a_provider_cannot_do_it_does_not_say_it_can(wire):
    for name in NAMES:
        provider = made(name, wire, "http://127.0.0.1:1")
        for word, ask in (("match", provider.match), ("geocode", provider.geocode)):
            if word not in provider.can:
                with pytest.raises(CannotDo):
                    await ask([])  # type: ignore[arg-type]


@every
async def test_a_quota_that_is_used_up_says_when_to_come_again(server, wire, name):
    server.answers = lambda request: (429, {"message": "Too Many Requests"}, {"Retry-After": "42"})
    with pytest.raises(QuotaUsedUp) as told:
        await made(name, wire, server.url).matrix([STATION], [HARBOUR])
    assert told.value.retry_after_s == 42


@pytest.mark.parametrize("name", ["mapbox"])
async def test_a_rate_that_is_passed_is_over_at_the_moment_that_is_told(server, wire, name):
    reset = int(datetime.now(UTC).timestamp()) + 3_600
    server.answers = lambda request: (429, {"message": "Too Many Requests"}, {"X-Rate-Limit-Reset": str(reset)})
    with pytest.raises(QuotaUsedUp) as told:
        await made(name, wire, server.url).route([STATION, HARBOUR])
    assert told.value.retry_after_s == pytest.approx(3_600, abs=60)


@pytest.mark.parametrize("name", ["google"])
@pytest.mark.parametrize(("status", "raised"), [("OVER_QUERY_LIMIT", QuotaUsedUp), ("UNKNOWN_ERROR", WrongAnswer)])
async def test_google_says_of_an_address_in_the_body_what_is_wrong(server, wire, name, status, raised):
    server.answers = lambda request: (200, {"results": [], "status": status})
    with pytest.raises(raised):
        await made(name, wire, server.url).geocode("Satamakatu 2")


@paid
async def test_a_secret_that_is_none_is_told_apart(server, wire, name):
    provider = made(name, Wire(lambda reference: "pk.another"), server.url)
    for asked in (provider.matrix([STATION], [HARBOUR]), provider.geocode("Satamakatu 2")):
        with pytest.raises(NotAdmitted):
            await asked
    await provider.wire.aclose()


@paid
async def test_a_secret_that_is_not_there_is_named_by_its_reference(server, wire, name):
    with pytest.raises(SecretMissing, match=r"env:OTHER: is not set"):
        made(name, wire, server.url, "env:OTHER").ready()


MALFORMED: list[Any] = [
    b"<html>Welcome</html>",
    b"",
    [],
    {},
    {"code": "Ok"},
    {"code": "Ok", "durations": [], "distances": [], "sources": [], "destinations": []},
    {"code": "Ok", "durations": [[1], [2]], "distances": [[1], [2]]},
    {
        "code": "Ok",
        "durations": [[-60.0]],
        "distances": [[1.0]],
        "sources": [{"distance": 1}],
        "destinations": [{"distance": 1}],
    },
    {
        "code": "Ok",
        "durations": [["x"]],
        "distances": [[1.0]],
        "sources": [{"distance": 1}],
        "destinations": [{"distance": 1}],
    },
    {"code": "InvalidQuery"},
    {"sources_to_targets": [[{"time": 1, "distance": 1}]], "units": "miles"},
    {"sources_to_targets": [[]], "units": "kilometers"},
    {"sources_to_targets": [[{"time": 1e999, "distance": 1}]], "units": "kilometers"},
    [{"originIndex": 0, "destinationIndex": 1, "status": {}, "condition": "ROUTE_EXISTS"}],
    [{"originIndex": 0, "destinationIndex": 0, "status": {"code": 13}, "condition": "ROUTE_NOT_FOUND"}],
    [{"originIndex": 0, "destinationIndex": 0, "status": {}, "condition": "ROUTE_EXISTS", "duration": "9 min"}],
    [{"error": {"code": 13, "status": "INTERNAL"}}],
    "text",
    7,
]


@every
@pytest.mark.parametrize("number", range(len(MALFORMED)))
async def test_what_is_no_answer_is_never_taken_for_a_time(server, wire, name, number):
    server.answers = lambda request: (200, MALFORMED[number])
    with pytest.raises(WRONG):
        await made(name, wire, server.url).matrix([STATION], [HARBOUR])


ODD_WAYS: list[Any] = [
    {"code": "Ok", "routes": [], "waypoints": []},
    [],
    {"trip": {"legs": [], "units": "kilometers"}},
    {"trip": {"legs": [{"shape": "~", "maneuvers": [], "summary": {"time": 1, "length": 1}}], "units": "kilometers"}},
    {"routes": [{"legs": []}]},
    {"routes": [{"legs": [{"steps": []}]}]},
]


@every
@pytest.mark.parametrize("number", range(len(ODD_WAYS)))
async def test_what_is_no_answer_is_never_taken_for_a_way(server, wire, name, number):
    server.answers = lambda request: (200, ODD_WAYS[number])
    with pytest.raises(WRONG):
        await made(name, wire, server.url).route([STATION, HARBOUR])


@every
async def test_a_server_that_is_broken_is_no_answer(server, wire, name):
    server.answers = lambda request: (503, b"upstream")
    with pytest.raises(WrongAnswer, match="503"):
        await made(name, wire, server.url).route([STATION, HARBOUR])


@every
async def test_an_answer_without_end_is_cut_off(server, wire, name):
    server.answers = lambda request: (200, b" " * (MAX_ANSWER_BYTES + 1))
    with pytest.raises(WrongAnswer, match=f"{MAX_ANSWER_BYTES} bytes"):
        await made(name, wire, server.url).matrix([STATION], [HARBOUR])


@pytest.mark.parametrize("name", ["google"])
async def test_a_departure_ahead_is_asked_for_with_its_traffic_and_one_that_has_passed_without(server, wire, name):
    provider = made(name, wire, server.url)
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    for departing in (tomorrow, NOON - timedelta(days=9_000), None):
        await provider.matrix([STATION], [HARBOUR], departing)
    asked = [request.body.get("departureTime") for request in server.asked]
    assert asked == [tomorrow.strftime("%Y-%m-%dT%H:%M:%SZ"), None, None]


@pytest.mark.parametrize("name", ["osrm"])
async def test_a_server_that_takes_small_tables_is_asked_for_small_ones_from_then_on(server, wire, name):
    def small(request: Request) -> Said:
        if request.path.count(";") >= 100:
            return 400, {"code": "TooBig", "message": "Too many table coordinates"}
        return osrm(request)

    server.answers = small
    provider = made(name, wire, server.url)
    many = [Location(lat=60 + n / 1_000, lon=24.9) for n in range(119)] + [STATION]
    for asked in (3, 5):
        seconds, _ = await provider.matrix(many, [HARBOUR])
        assert (seconds[-1, 0], len(server.asked)) == (120, asked)


@pytest.mark.parametrize("name", ["osrm"])
async def test_who_is_off_the_map_has_no_way_and_where_all_are_it_is_said(server, wire, name):
    def off_the_map(request: Request) -> Said:
        status, told = osrm(request)[:2]
        for each in told["sources"][:1] + told["destinations"][: "11.0" in request.path]:
            each["distance"] = 20_000.0
        return status, told

    server.answers = off_the_map
    provider = made(name, wire, server.url)
    seconds, metres = await provider.matrix([STATION, MARKET], [HARBOUR])
    np.testing.assert_allclose(seconds[:, 0], [np.nan, 95.5])
    np.testing.assert_allclose(metres[:, 0], [np.nan, 512])
    for pair in ([STATION], [HARBOUR]), ([MARKET, STATION], [Location(lat=60, lon=11)]):
        with pytest.raises(RouterSaysNo, match="OffTheMap"):
            await provider.matrix(*pair)


@pytest.mark.parametrize("name", ["osrm"])
async def test_of_places_beside_each_other_a_little_less_than_no_way_is_none(server, wire, name):
    def beside(request: Request) -> Said:
        status, told = osrm(request)[:2]
        return status, told | {"distances": [[-0.6]], "durations": [[0.4]]}

    server.answers = beside
    seconds, metres = await made(name, wire, server.url).matrix([STATION], [HARBOUR])
    assert (seconds[0, 0], metres[0, 0]) == (0.4, 0)


@every
async def test_where_somebody_is_is_in_no_log(server, wire, name, caplog):
    caplog.set_level("DEBUG")
    provider = made(name, wire, server.url)
    await provider.matrix([STATION], [HARBOUR])
    await provider.route([STATION, HARBOUR])
    assert "HTTP Request" in caplog.text, "httpx tells of each"
    assert f"{STATION.lat}" not in caplog.text
    assert f"{HARBOUR.lon}" not in caplog.text


@paid
async def test_the_secret_is_in_no_log_and_in_no_error(server, wire, name, caplog):
    caplog.set_level("DEBUG")
    provider = made(name, wire, server.url)
    await provider.matrix([STATION], [HARBOUR])
    await provider.geocode("Satamakatu 2")
    with pytest.raises(httpx.ConnectError) as failed:
        await made(name, wire, "http://127.0.0.1:1").geocode("Satamakatu 2")
    assert "HTTP Request" in caplog.text, "httpx tells of each"
    assert SECRET not in caplog.text
    assert "Satamakatu" not in caplog.text
    assert (
        SECRET
        not in f"{failed.value!r} {failed.value.request.url} {failed.value.request.headers.raw!r} {vars(failed.value)}"
    )
    assert SECRET not in repr(failed.value.request.extensions)
