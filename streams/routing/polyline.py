"""Lines as Google's and Valhalla's services write them: differences of rounded degrees, five bits a character.

https://developers.google.com/maps/documentation/utilities/polylinealgorithm; with six digits in Valhalla's.
"""

from collections.abc import Iterable, Iterator

MOST_CHARACTERS = 4_000_000


def decoded(line: str, digits: int) -> list[tuple[float, float]]:
    """Latitudes and longitudes. Raises ValueError for what is no such line."""
    if len(line) > MOST_CHARACTERS:
        raise ValueError(f"a line of {len(line)} characters")
    steps = list(numbers(line))
    if len(steps) % 2:
        raise ValueError("a line with a latitude and no longitude")
    found, lat, lon = [], 0, 0
    for north, east in zip(steps[::2], steps[1::2], strict=True):
        lat, lon = lat + north, lon + east
        place = lat / 10**digits, lon / 10**digits
        if abs(place[0]) > 90 or abs(place[1]) > 180:
            raise ValueError("a line that leaves the earth")
        found.append(place)
    return found


def numbers(line: str) -> Iterator[int]:
    value = shift = 0
    for character in line:
        bits = ord(character) - 63
        if not 0 <= bits < 64:
            raise ValueError("a line with a character that is of none")
        value |= (bits & 31) << shift
        shift += 5
        if bits < 32:
            yield ~(value >> 1) if value & 1 else value >> 1
            value = shift = 0
    if shift:
        raise ValueError("a line that is cut off")


def encoded(points: Iterable[tuple[float, float]], digits: int) -> str:
    """Of latitudes and longitudes."""
    line: list[str] = []
    before = (0, 0)
    for lat, lon in points:
        here = round(lat * 10**digits), round(lon * 10**digits)
        line += (characters(now - then) for now, then in zip(here, before, strict=True))
        before = here
    return "".join(line)


def characters(step: int) -> str:
    value, found = ~(step << 1) if step < 0 else step << 1, ""
    while value >= 32:
        found += chr((value & 31 | 32) + 63)
        value >>= 5
    return found + chr(value + 63)
