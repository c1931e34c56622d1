"""`logistics simulate`: a day of orders against one policy or two."""

import asyncio
import csv
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path

import msgspec

from infra.eta_score import ANSWERS_WITHIN_S, must_answer
from infra.observability import quiet
from infra.settings import WrongSetting
from infra.simulate.bound import most_deliverable
from infra.simulate.day import Lived
from infra.simulate.figures import Figures, figures_of, in_words
from infra.simulate.files import MOST_RIDERS, orders_in, porto_orders_in, riders_in
from infra.simulate.made import made_day, made_riders
from infra.simulate.playing import played
from infra.simulate.plots import draw, drawing_tools
from infra.simulate.policy import Policy, policy_in
from infra.simulate.world import Day
from infra.whole_file import whole_file
from schemas.geo import Location
from schemas.message import TenantSlug
from streams.dispatch.ways import Router
from streams.routing.great_circle import straight_matrix
from streams.routing.measured import Measured
from streams.routing.osrm import OsrmRouter
from streams.routing.tenants import OneForAll

MADE, PORTO = "made:", "porto:"
MADE_RIDERS = 30
HEADER = ("id", "created_at", "rider", "assigned_at", "picked_up_at", "delivered_at", "late_s", "code")


class Straight:
    """Everybody drives by the great circle and a factor."""

    async def matrix(self, tenant: TenantSlug, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        return straight_matrix(origins, goals)


def simulate(
    orders: str,
    riders: str | None,
    policies: Sequence[Path],
    seed: int,
    osrm: str | None,
    out: Path | None,
    as_json: bool,
) -> None:
    """Raises WrongSetting."""
    quiet()
    day = day_of(orders, riders, seed)
    named = [(name, policy_in(file)) for name, file in zip(names_of(policies), policies, strict=True)]
    pyplot = drawing_tools() if out is not None else None
    told, lived = asyncio.run(simulated(day, named, osrm, seed))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for name, one in lived:
            write(out / f"orders-{name}.csv", one)
        draw(pyplot, out, lived)
    print(msgspec.json.encode(told).decode() if as_json else in_words(told))


def names_of(policies: Sequence[Path]) -> list[str]:
    """By their files; where two have the same name, numbered."""
    names = [file.stem for file in policies]
    return names if len(set(names)) == len(names) else [f"{name}-{n}" for n, name in enumerate(names, start=1)]


def day_of(orders: str, riders: str | None, seed: int) -> Day:
    """Raises WrongSetting."""
    if orders.startswith(MADE):
        day = made_day(number(orders, "--orders"), MADE_RIDERS if riders is None else count_of(riders))
        if riders is None or riders.startswith(MADE):
            return day
        return Day(name=orders, orders=day.orders, riders=riders_in(Path(riders)))
    if riders is None:
        raise WrongSetting("--riders names no file; only made orders bring riders with them")
    file = Path(orders.removeprefix(PORTO))
    found = porto_orders_in(file) if orders.startswith(PORTO) else orders_in(file)
    fleet = made_riders(found, count_of(riders), seed) if riders.startswith(MADE) else riders_in(Path(riders))
    return Day(name=orders, orders=found, riders=fleet)


def count_of(riders: str) -> int:
    if not riders.startswith(MADE):
        return MADE_RIDERS
    count = number(riders, "--riders")
    if not 1 <= count <= MOST_RIDERS:
        raise WrongSetting(f"--riders {riders}: from 1 to {MOST_RIDERS:,}")
    return count


def number(given: str, option: str) -> int:
    text = given.removeprefix(MADE)
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        raise WrongSetting(f"{option} {given}: a number of up to nine digits follows made:")
    return int(text)


async def simulated(
    day: Day, policies: Sequence[tuple[str, Policy]], osrm: str | None, seed: int
) -> tuple[list[Figures], list[tuple[str, Lived]]]:
    """Raises WrongSetting where no OSRM answers."""
    async with AsyncExitStack() as ends:
        router: Router = Straight()
        if osrm:
            await must_answer(osrm)
            asked = OsrmRouter(osrm, ANSWERS_WITHIN_S)
            router = OneForAll(asked)
            ends.push_async_callback(asked.close)
        told, lived = [], []
        for name, policy in policies:
            one = await played(day, policy, router, seed)
            most = await most_deliverable(day, router, policy.rules.dispatch.filters.max_lateness_seconds)
            told.append(figures_of(name, one, most))
            lived.append((name, one))
        return told, lived


def write(file: Path, lived: Lived) -> None:
    """What became of each order; times are Unix seconds."""
    with whole_file(file) as part, part.open("w", newline="") as opened:
        rows = csv.writer(opened)
        rows.writerow(HEADER)
        for fate in lived.fates:
            times = (fate.assigned_s, fate.picked_up_s, fate.delivered_s)
            rows.writerow(
                (
                    fate.order.id,
                    f"{fate.order.created_s:.0f}",
                    fate.rider_id or "",
                    *("" if at_s is None else f"{at_s:.0f}" for at_s in times),
                    f"{fate.late_s:.0f}",
                    "" if fate.delivered_s is not None else fate.code or "",
                )
            )
