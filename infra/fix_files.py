"""Fixes that stand in a file: the points of GPX tracks, or the lines of a CSV; each line is judged by itself."""

import csv
import gzip
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import IO, Any
from xml.parsers import expat

import msgspec

from gateway.osmand import HDOP_M, moment
from gateway.own_words import in_our_words
from gateway.parameters import ID
from infra.csv_commands import MAX_CELL
from infra.settings import WrongSetting
from schemas.fixes import NewFix

COLUMNS = ("device_id", *(each for each in NewFix.__struct_fields__ if each != "mock"))
NEEDED = ("observed_at", "lat", "lon")
MAX_FIXES = 1_000_000
"""In a file."""
MAX_LINE = 1 << 20
"""Bytes of a line, or of one thing in XML. A packed file may grow without end: it is read as a stream."""
CHUNK = 1 << 16
FORMATS = (".gpx", ".csv")
ON_STREETS = "matched"
"""What an export of trips calls the line that a router found beside the fixes: its points have no
time, and are none."""

type Columns = Mapping[str, str]
"""Our column → what the file calls it."""


class FixLine(msgspec.Struct, frozen=True):
    """Either it is a device's fix, or something is wrong with it."""

    number: int
    device_id: str = ""
    fix: NewFix | None = None
    wrong: str | None = None


class FixFile(msgspec.Struct, frozen=True):
    """`unread` are columns that nobody asked for; `passed_over` are points of lines on streets."""

    lines: list[FixLine]
    unread: Sequence[str] = ()
    passed_over: int = 0


class Wrong(ValueError):
    """Of one line."""


class NotThatFile(ValueError):
    """The file is not of its format, as a whole."""


def fixes_in(path: Path, device: str | None, columns: Columns) -> FixFile:
    """Of GPX all points are the `device`'s. Raises NotThatFile."""
    suffixes = [each.lower() for each in path.suffixes]
    packed = suffixes[-1:] == [".gz"]
    kind = "".join(suffixes[-2:-1] if packed else suffixes[-1:])
    if kind not in FORMATS:
        raise NotThatFile(f"it is none of {', '.join(FORMATS)}, nor one of these with .gz")
    try:
        with gzip.open(path) if packed else path.open("rb") as file:
            if kind == ".gpx":
                track = Track(device)
                return FixFile(track.points(file), passed_over=track.passed_over)
            return in_csv(file, device, columns)
    except csv.Error as wrong:
        raise NotThatFile(f"it is no CSV: {wrong}") from wrong
    except (OSError, EOFError, zlib.error) as wrong:
        raise NotThatFile(f"it cannot be read: {getattr(wrong, 'strerror', None) or wrong}") from wrong


# CSV


def in_csv(file: IO[bytes] | gzip.GzipFile, device: str | None, columns: Columns) -> FixFile:
    csv.field_size_limit(MAX_CELL)
    rows = csv.DictReader(text_of(file), strict=True)
    named = {ours: columns.get(ours, ours) for ours in COLUMNS}
    found = list(rows.fieldnames or [])
    missing = [named[each] for each in NEEDED if named[each] not in found]
    missing += [theirs for theirs in columns.values() if theirs not in found and theirs not in missing]
    twice = sorted({each for each in found if found.count(each) > 1})
    if twice:
        raise NotThatFile(f"the column {' and the column '.join(twice)} is there twice")
    if missing:
        raise NotThatFile(f"the column {' and the column '.join(missing)} is missing: it has {', '.join(found)}")
    if device is None and named["device_id"] not in found:
        raise NotThatFile("no column says whose device it is: name one by --column device_id=…, or give --device")
    if device is not None and "device_id" in columns:
        raise WrongSetting("--device and --column device_id=… say the same thing: give one of the two")
    told = [(row, line_of(rows.line_num, row, named, device)) for row in bounded(rows)]
    lines = [line for row, line in told if not is_on_streets(row, named["observed_at"])]
    return FixFile(lines, [each for each in found if each not in named.values()], len(told) - len(lines))


def is_on_streets(row: Mapping[str | None, Any], time: str) -> bool:
    return row.get("line") == ON_STREETS and not row.get(time)


def text_of(file: IO[bytes] | gzip.GzipFile) -> Iterator[str]:
    for number, line in enumerate(iter(lambda: file.readline(MAX_LINE + 1), b""), start=1):
        if len(line) > MAX_LINE:
            raise NotThatFile(f"line {number} is longer than {MAX_LINE:,} bytes")
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as wrong:
            raise NotThatFile(f"line {number} is not UTF-8") from wrong


def bounded(rows: Iterable[dict[str | Any, Any]]) -> Iterator[dict[str | Any, Any]]:
    for count, row in enumerate(rows):
        if count >= MAX_FIXES:
            raise NotThatFile(f"it has more than {MAX_FIXES:,} lines: split it")
        yield row


def line_of(number: int, row: Mapping[str | None, Any], named: Columns, device: str | None) -> FixLine:
    if None in row:
        return FixLine(number, wrong="it has more cells than the header")
    cells = {ours: (row.get(theirs) or "").strip() for ours, theirs in named.items()}
    try:
        device_id = device_of(cells["device_id"] or device or "", named["device_id"])
        numbers = {ours: number_of(cells[ours], named[ours]) for ours in COLUMNS[2:] if cells[ours] or ours in NEEDED}
        return FixLine(number, device_id, fix_of(time_of(cells["observed_at"], named["observed_at"]), numbers, named))
    except Wrong as wrong:
        return FixLine(number, wrong=str(wrong))


# GPX


class Track:
    """The points of a file's tracks, read as a stream. GPX has no DOCTYPE: a file with one, and with entities that grow
    without end in it, is no GPX."""

    def __init__(self, device: str | None) -> None:
        if device is None:
            raise WrongSetting("GPX does not say whose device it is: give --device")
        self._device = device
        self.passed_over = 0
        self._kind = ""
        self._lines: list[FixLine] = []
        self._open: list[str] = []
        self._point: dict[str, str] | None = None
        self._depth = self._number = self._read = 0
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def points(self, file: IO[bytes] | gzip.GzipFile) -> list[FixLine]:
        """Raises NotThatFile."""
        try:
            while chunk := file.read(CHUNK):
                self._read += len(chunk)
                self._parser.Parse(chunk, False)
                if self._read - max(0, self._parser.CurrentByteIndex) > MAX_LINE:
                    raise NotThatFile(
                        f"line {self._parser.CurrentLineNumber}: more than {MAX_LINE:,} bytes are one thing"
                    )
            self._parser.Parse(b"", True)
        except expat.ExpatError as broken:
            raise NotThatFile(f"it is no XML: line {broken.lineno}, {expat.ErrorString(broken.code)}") from broken
        return self._lines

    @property
    def _here(self) -> str:
        return f"line {self._parser.CurrentLineNumber}"

    def _doctype(self, *_: object) -> None:
        raise NotThatFile("it has a DOCTYPE, which GPX has not")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        word = name.rpartition(" ")[2]
        if not self._open and word != "gpx":
            raise NotThatFile(f"it is no GPX, but {word[:100]}")
        self._open.append(word)
        if word == "trk":
            self._kind = ""
        if word == "trkpt" and self._point is None:
            self._point = {name: attributes.get(name, "") for name in ("lat", "lon")}
            self._depth, self._number = len(self._open), self._parser.CurrentLineNumber

    def _text(self, text: str) -> None:
        if self._open[-2:] == ["trk", "type"]:
            self._kind = (self._kind + text)[:MAX_CELL]
        if self._point is None:
            return
        word = self._open[-1]
        own = word == "time" and len(self._open) == self._depth + 1
        if own or word in ("speed", "course", "hdop"):
            self._point[word] = said = self._point.get(word, "") + text
            if len(said) > MAX_CELL:
                raise NotThatFile(
                    f"line {self._parser.CurrentLineNumber}: {word} has more than {MAX_CELL:,} characters"
                )

    def _end(self, _: str) -> None:
        self._open.pop()
        if self._point is not None and len(self._open) < self._depth:
            if len(self._lines) + self.passed_over == MAX_FIXES:
                raise NotThatFile(f"it has more than {MAX_FIXES:,} points: split it")
            if self._kind.strip() == ON_STREETS and "time" not in self._point:
                self.passed_over += 1
            else:
                self._lines.append(self._line({name: said.strip() for name, said in self._point.items()}))
            self._point = None

    def _line(self, point: Mapping[str, str]) -> FixLine:
        names = {"lat": "lat", "lon": "lon", "speed_mps": "speed", "bearing_deg": "course", "accuracy_m": "hdop"}
        try:
            if not point.get("time"):
                raise Wrong("the point has no time")
            numbers = {
                ours: number_of(point.get(theirs, ""), theirs)
                for ours, theirs in names.items()
                if point.get(theirs) or ours in NEEDED
            }
            if "accuracy_m" in numbers:
                numbers["accuracy_m"] *= HDOP_M
            fix = fix_of(time_of(point["time"], "time"), numbers, names)
        except Wrong as wrong:
            return FixLine(self._number, wrong=str(wrong))
        return FixLine(self._number, self._device, fix)


# Both


def device_of(word: str, where: str) -> str:
    if not ID.fullmatch(word):
        raise Wrong(f"{where}: {word[:100] or 'nothing'} is no device's id")
    return word


def time_of(word: str, where: str) -> datetime:
    try:
        return moment(word)
    except ValueError as wrong:
        raise Wrong(f"{where}: {wrong}, not {word[:40] or 'nothing'}") from wrong


def number_of(word: str, where: str) -> float:
    try:
        found = float(word)
    except ValueError:
        found = float("nan")
    if not isfinite(found):
        raise Wrong(f"{where}: a number is needed, not {word[:40] or 'nothing'}")
    return found


def fix_of(at: datetime, numbers: Mapping[str, float], named: Columns) -> NewFix:
    """As the gateway would judge it: a place that there is not is taken, and put aside there."""
    try:
        return msgspec.convert({"observed_at": at} | dict(numbers), NewFix)
    except msgspec.ValidationError as wrong:
        what, _, ours = str(wrong).partition(" - at `$.")
        raise Wrong(f"{named.get(ours.rstrip('`'), ours)}: {in_our_words(what)}") from wrong
