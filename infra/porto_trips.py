"""Trips and their destinations from files in the format of the ECML/PKDD 2015 challenge: one place every 15 s."""

import csv
import gzip
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from infra.settings import WrongSetting
from schemas.geo import Location
from streams.eta.journey import Journey, Track

FIX_EVERY_S = 15
MOST_FIXES = 20_000
"""Of one trip: three and a half days."""
LONGEST_FIELD = 1 << 20
"""Characters, more than so many places have."""
LATEST_S = 4_102_444_800
TOO_MANY_DIGITS = 20
TRIP_COLUMNS = ("TRIP_ID", "TIMESTAMP", "POLYLINE")
TRUTH_COLUMNS = ("trip_id", "dest_lat", "dest_lon")
places_in = msgspec.json.Decoder(list[tuple[float, float]]).decode

type Row = Mapping[str, Any]


class Trips(msgspec.Struct, frozen=True):
    """`without_fixes` and `again` count what was passed over: trips of no place, and ids that had been there before."""

    journeys: list[Journey]
    without_fixes: int
    again: int


def trips_of(file: Path) -> Trips:
    """Raises WrongSetting, with the line, for what is not such a file."""
    found: dict[str, Journey] = {}
    without_fixes = again = 0
    for where, row in rows_of(file, TRIP_COLUMNS):
        journey = journey_of(where, row)
        if journey is None:
            without_fixes += 1
        elif journey.journey_id in found:
            again += 1
        else:
            found[journey.journey_id] = journey
    return Trips(list(found.values()), without_fixes, again)


def journey_of(where: str, row: Row) -> Journey | None:
    """None for a trip of no place."""
    text = row["TIMESTAMP"]
    started_s = int(text) if text.isascii() and text.isdigit() and len(text) < TOO_MANY_DIGITS else -1
    if not 0 < started_s <= LATEST_S:
        raise WrongSetting(f"{where}, TIMESTAMP: {text!r} is no Unix time in seconds up to the year 2100")
    try:
        places = np.array(places_in(row["POLYLINE"]), float).reshape(-1, 2)
    except msgspec.DecodeError as malformed:
        raise WrongSetting(f"{where}, POLYLINE: no JSON list of [longitude, latitude]: {malformed}") from malformed
    if len(places) > MOST_FIXES:
        raise WrongSetting(f"{where}, POLYLINE: {len(places):,} places, and {MOST_FIXES:,} are the most")
    if (np.abs(places) > (180, 90)).any():
        raise WrongSetting(f"{where}, POLYLINE: a place is not on earth")
    if not len(places):
        return None
    at_s = started_s + FIX_EVERY_S * np.arange(len(places), dtype=float)
    return Journey(row["TRIP_ID"], Track(at_s, places[:, 1].copy(), places[:, 0].copy()))


def destinations_of(file: Path) -> dict[str, Location]:
    """By trip. Nothing else of the file is looked at. Raises WrongSetting, with the line."""
    found: dict[str, Location] = {}
    for where, row in rows_of(file, TRUTH_COLUMNS):
        try:
            place = msgspec.convert({"lat": float(row["dest_lat"]), "lon": float(row["dest_lon"])}, Location)
        except ValueError as malformed:
            raise WrongSetting(f"{where}, dest_lat, dest_lon: {malformed}") from malformed
        if found.setdefault(row["trip_id"], place) != place:
            raise WrongSetting(f"{where}: trip {row['trip_id']} has another destination than in a line before")
    return found


def rows_of(file: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, Row]]:
    """Each with its place in the file. Raises WrongSetting."""
    csv.field_size_limit(LONGEST_FIELD)
    try:
        with gzip.open(file, "rt", newline="") if file.suffix == ".gz" else file.open(newline="") as opened:
            rows = csv.DictReader(opened)
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
            if missing:
                raise WrongSetting(f"{file}: there is no column {', '.join(missing)}")
            for row in rows:
                where = f"{file}, line {rows.line_num}"
                absent = [name for name in columns if row[name] is None]
                if absent:
                    raise WrongSetting(f"{where}: there is no {', '.join(absent)} in it")
                yield where, row
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as unread:
        raise WrongSetting(f"{file} cannot be read: {unread}") from unread
