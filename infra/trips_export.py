"""`logistics trips export`: the trips of a time as files, each asked of the gateway, whose rules hold for who asks."""

import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Any

import httpx
import msgspec

from gateway.parameters import MAX_LIMIT
from gateway.trip_files import FORMATS, Exported, Format
from infra.importing import FAILED, LATER, TOLD_AT_MOST, TRIES, door_of
from infra.recompute.asked import times_of
from infra.settings import WrongSetting
from infra.whole_file import whole_file

ANSWERS_WITHIN_S = 60.0
MOST_ROWS = 1_000_000
"""Of a Parquet file, which is made in memory."""

decoder = msgspec.json.Decoder(Exported)

type Json = dict[str, Any]


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """`out` is a file for all trips, or a folder in which each has its own."""

    tenant: str
    since: datetime
    until: datetime
    rider_id: str | None
    vehicle_id: str | None
    matched: bool
    format: str
    out: Path

    @property
    def made(self) -> Format:
        return FORMATS[self.format]


class LeftOut(msgspec.Struct, frozen=True):
    trip_id: str
    why: str


class Report(msgspec.Struct, kw_only=True):
    out: str
    trips: int = 0
    """Exported."""
    points: int = 0
    """Their fixes."""
    left_out: list[LeftOut] = []


def export_trips(
    tenant: str,
    since: str,
    until: str,
    rider: str | None,
    vehicle: str | None,
    format: str | None,
    matched: bool,
    out: Path,
    url: str | None,
    token: str | None,
    data: Path | None,
    as_json: bool,
) -> int:
    """The exit code: whether every trip was exported. Raises WrongSetting, NotRunning."""
    begins, ends = times_of(since, until)
    asked = Asked(
        tenant=tenant,
        since=begins,
        until=ends,
        rider_id=rider,
        vehicle_id=vehicle,
        matched=matched,
        format=format_of(format, out),
        out=out,
    )
    place, word = door_of(url, token, tenant, data)
    report = Report(out=str(out))
    headers = {"authorization": f"Bearer {word}"}
    with httpx.Client(base_url=place, headers=headers, timeout=ANSWERS_WITHIN_S) as client:
        written(asked, exported(client, asked, report))
    tell(report, as_json)
    return FAILED if report.left_out else 0


def format_of(given: str | None, out: Path) -> str:
    """By the file's name, where it is not given. Raises WrongSetting."""
    if given is not None and given not in FORMATS:
        raise WrongSetting(f"--format {given}: it is one of {', '.join(FORMATS)}")
    if out.is_dir():
        return given or "geojson"
    if not out.absolute().parent.is_dir():
        raise WrongSetting(f"--out {out}: there is no folder {out.absolute().parent}")
    named = {made.suffix: name for name, made in FORMATS.items()}.get(out.suffix)
    if given is None and named is None:
        raise WrongSetting(f"--out {out}: give --format, or a name that ends with {', '.join(suffixes())}")
    return given or named or ""


def suffixes() -> list[str]:
    return [made.suffix for made in FORMATS.values()]


def exported(client: httpx.Client, asked: Asked, report: Report) -> Iterator[Exported]:
    """Raises WrongSetting where we are not let in."""
    for trip_id in trips_of(client, asked):
        answer = answered(client, f"/v1/{asked.tenant}/trips/{trip_id}/export", of_one(asked))
        if answer.status_code != 200:
            report.left_out.append(LeftOut(trip_id, why(answer)))
            continue
        trip = decoder.decode(answer.content)
        report.trips += 1
        report.points += len(trip.points)
        yield trip


def of_one(asked: Asked) -> Json:
    return {"format": "json", "matched": str(asked.matched).lower()}


def trips_of(client: httpx.Client, asked: Asked) -> Iterator[str]:
    """The ids of those that overlap the time, page by page."""
    given = {"rider_id": asked.rider_id, "vehicle_id": asked.vehicle_id}
    page: Json = {"since": asked.since.isoformat(), "until": asked.until.isoformat(), "limit": MAX_LIMIT}
    page |= {name: value for name, value in given.items() if value is not None}
    while True:
        answer = answered(client, f"/v1/{asked.tenant}/trips", page)
        if answer.status_code != 200:
            raise WrongSetting(f"{answer.request.url.path}: {answer.status_code} {why(answer)}")
        told: Json = answer.json()
        yield from (row["trip_id"] for row in told["items"])
        if "next" not in told:
            return
        page["after"] = told["next"]


def answered(client: httpx.Client, path: str, parameters: Json) -> httpx.Response:
    """Asked again where it is to be. Raises WrongSetting where we are not let in, or nobody is there."""
    said = ""
    for _ in range(TRIES):
        wait_s = 1.0
        try:
            answer = client.get(path, params=parameters)
        except httpx.TransportError as failed:
            said = f"the gateway does not answer: {failed!r}"
        else:
            if answer.status_code in (401, 403):
                raise WrongSetting(f"{path}: {answer.status_code} {why(answer)}")
            if answer.status_code not in LATER:
                return answer
            said, wait_s = why(answer), float(answer.headers.get("retry-after", wait_s))
        sleep(wait_s)
    raise WrongSetting(f"{path}: {said}")


def why(answer: httpx.Response) -> str:
    try:
        told: Json = answer.json()
    except ValueError:
        return str(answer.status_code)
    return f"{told.get('code')}: {told.get('detail')}"


def written(asked: Asked, trips: Iterable[Exported]) -> None:
    if not asked.out.is_dir():
        kept(asked.out, asked.made, bounded(trips) if asked.format == "parquet" else trips)
        return
    for trip in trips:
        kept(asked.out / f"trip-{trip.trip_id}{asked.made.suffix}", asked.made, [trip])


def bounded(trips: Iterable[Exported]) -> Iterator[Exported]:
    """Raises WrongSetting."""
    rows = 0
    for trip in trips:
        rows += len(trip.points) + sum(len(part.line) for part in (trip.matched.parts if trip.matched else ()))
        if rows > MOST_ROWS:
            raise WrongSetting(f"more than {MOST_ROWS:,} rows in one file: ask for less time, or give --out a folder")
        yield trip


def kept(file: Path, made: Format, trips: Iterable[Exported]) -> None:
    with whole_file(file) as part, part.open("wb") as opened:
        for piece in made.write(trips):
            opened.write(piece)


def tell(report: Report, as_json: bool) -> None:
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report)).decode())
        return
    for each in report.left_out[:TOLD_AT_MOST]:
        print(f"trip {each.trip_id}: {each.why}", file=sys.stderr)
    if len(report.left_out) > TOLD_AT_MOST:
        print(f"and {len(report.left_out) - TOLD_AT_MOST:,} trips more", file=sys.stderr)
    print(f"{report.trips:,} trips with {report.points:,} fixes: {report.out}; {len(report.left_out):,} were left out")
