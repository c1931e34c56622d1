"""`logistics eta score`: what would have been foretold on past trips, for whoever wants to score it.

The forecasts are those of the model that the trips themselves teach, each at its end (streams/eta/replay.py). Of the
file of truth only each trip's id and destination are read.
"""

import asyncio
import csv
import os
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import httpx
import msgspec
from rich.console import Console

from infra.embedded.osrm import EmbeddedOsrm, answers
from infra.observability import quiet
from infra.porto_trips import Trips, destinations_of, trips_of
from infra.settings import Settings, WrongSetting, load_settings
from infra.stages import Stages
from schemas.geo import Location
from streams.eta.learner import Learner
from streams.eta.replay import Forecast, replayed
from streams.routing.osrm import OsrmRouter

ANSWERS_WITHIN_S = 30.0
"""The router is asked for many ways at once, and nobody waits for it at a door."""
MAP = "*.osm.pbf"
HEADER = ("trip_id", "time", "p10", "p50", "p90", "model")


class Scored(msgspec.Struct, frozen=True):
    trips: int
    forecast: int
    """Trips."""
    forecasts: int
    """One for each of their fixes."""
    unknown: int
    """Trips with a destination, of which there are no fixes."""
    without_fixes: int
    again: int
    by_router: bool
    off_the_map: int
    """Forecasts at fixes from which the router knew no way."""
    seconds: float


def score(
    trips: Path, truth: Path, forecasts: Path, streets: Path | None, osrm: str | None, seed: int, as_json: bool
) -> None:
    """Raises WrongSetting, StageFailed."""
    quiet()
    settings = load_settings()
    known, destinations = trips_of(trips), destinations_of(truth)
    if not known.journeys:
        raise WrongSetting(f"{trips}: there is no trip in it")
    if not forecasts.absolute().parent.is_dir():
        raise WrongSetting(f"--forecasts {forecasts}: there is no folder {forecasts.absolute().parent}")
    streets = streets or (None if osrm else map_beside(trips, truth, settings.sample_data))
    if streets is not None and not streets.is_file():
        raise WrongSetting(f"--map {streets}: there is no such file")
    scored = asyncio.run(_scored(settings, known, destinations, forecasts, streets, osrm or settings.osrm, seed))
    print(msgspec.json.encode(scored).decode() if as_json else "\n".join(in_words(scored, forecasts)))


def map_beside(trips: Path, truth: Path, sample_data: Path | None) -> Path | None:
    """The one extract in the folder of either file or in the folder `osm` next to it, or in that of the sample data."""
    beside = [
        folder for file in (trips, truth) for folder in (file.absolute().parent, file.absolute().parent.parent / "osm")
    ]
    folders = [*beside, *([sample_data.absolute() / "osm"] if sample_data else [])]
    found = {file.resolve() for folder in folders for file in folder.glob(MAP)}
    return found.pop() if len(found) == 1 else None


async def _scored(
    settings: Settings,
    known: Trips,
    destinations: dict[str, Location],
    file: Path,
    streets: Path | None,
    osrm: str,
    seed: int,
) -> Scored:
    began = time.monotonic()
    stages = Stages(Console(stderr=True))
    async with AsyncExitStack() as ends:
        url = await ends.enter_async_context(routing(settings, streets, stages)) if streets else osrm
        if url:
            await must_answer(url)
        router = OsrmRouter(url, ANSWERS_WITHIN_S)
        ends.push_async_callback(router.close)
        with stages.stage("Trips, asked of the router" if url else "Trips, by the great circle") as stage:
            told = await replayed(known.journeys, destinations, router, Learner(seed))
            stage.note = f"{len(known.journeys):,} trips"
    with stages.stage("Forecasts") as stage:
        written = list(told)
        write(file, written)
        stage.note = f"{len(written):,}"
    forecast = {each.journey_id for each in written}
    return Scored(
        trips=len(known.journeys),
        forecast=len(forecast),
        forecasts=len(written),
        unknown=len(destinations.keys() - forecast),
        without_fixes=known.without_fixes,
        again=known.again,
        by_router=bool(url),
        off_the_map=sum(not each.routed for each in written) if url else 0,
        seconds=round(time.monotonic() - began, 1),
    )


@asynccontextmanager
async def routing(settings: Settings, streets: Path, stages: Stages) -> AsyncIterator[str]:
    """The URL of an OSRM on these streets. Raises StageFailed."""
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedOsrm(Path(folder), settings.city_data, streets)
        try:
            with stages.stage(f"OSRM on {streets.name}") as stage:
                stage.note = await engine.start()
            yield engine.url
        finally:
            await engine.stop()


async def must_answer(urls: str) -> None:
    """One of them: else all ways would be those of the great circle, and nobody be told. Raises WrongSetting."""
    for url in urls.split(","):
        with suppress(httpx.InvalidURL, ValueError):
            if await answers(url):
                return
    raise WrongSetting(f"no OSRM answers at {urls} (--osrm, LOGISTICS_OSRM)")


def write(file: Path, told: Sequence[Forecast]) -> None:
    """All of it or nothing."""
    part = file.with_name(f"{file.name}.{os.getpid()}.part")
    try:
        with part.open("w", newline="") as opened:
            rows = csv.writer(opened)
            rows.writerow(HEADER)
            for each in sorted(told, key=lambda each: (each.at_s, each.journey_id)):
                seconds = (f"{each.p10:.1f}", f"{each.p50:.1f}", f"{each.p90:.1f}")
                rows.writerow((each.journey_id, f"{each.at_s:.0f}", *seconds, each.model))
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def in_words(scored: Scored, file: Path) -> list[str]:
    said = [f"{scored.forecasts:,} forecasts for {scored.forecast:,} of {scored.trips:,} trips: {file}"]
    if scored.without_fixes:
        said.append(f"{scored.without_fixes:,} trips have no place and were passed over")
    if scored.again:
        said.append(f"{scored.again:,} trips have the id of one before and were passed over")
    if scored.unknown:
        said.append(f"{scored.unknown:,} destinations are of trips that are not there")
    if scored.off_the_map:
        said.append(f"{scored.off_the_map:,} of them go by the great circle: the router knows no way from there")
    if not scored.by_router:
        said.append("no streets are known (--map, --osrm): all ways are those of the great circle")
    return said
