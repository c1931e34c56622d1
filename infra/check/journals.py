"""I3: what clients were told has happened, as they wrote it down, is in the log.

A line that is no JSON is torn: its writer lost power in the middle of it, before it went on. It is told and counted;
the others are judged.
"""

from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import msgspec

from infra.check.finding import Judgement, NotJudged, Verdict, nothing_to_judge

DIGEST_BYTES = 16
"""Of each line so much is held until its command is met: a million lines take some 100 MB."""
TORN_TOLD = 10
"""Places of torn lines; of the rest only the count."""


class Acknowledged(msgspec.Struct, frozen=True):
    """A line of a client's journal: a command that wrote something, and the version after it."""

    command_id: str
    aggregate_id: str
    version: int


class Journals:
    """Read them before the log's ends are taken: what they hold by then must be before those."""

    def __init__(self, files: Iterable[Path]) -> None:
        """Raises NotJudged for a whole line that is no acknowledgement."""
        self._files = list(files)
        self._torn: dict[str, None] = {}
        self._waiting = {digest(told) for _, told in self._lines()}
        self._told = len(self._waiting)

    def met(self, command_id: str, aggregate_id: str, version: int) -> None:
        """The log holds this command, with this version after it."""
        if self._waiting:
            self._waiting.discard(digest(Acknowledged(command_id, aggregate_id, version)))

    def verdict(self) -> Verdict:
        torn = torn_told(list(self._torn))
        if not self._told:
            return nothing_to_judge("I3", torn or "no client has kept a journal here")
        judgement = Judgement("I3")
        judgement.looked_at = self._told
        for where, told in self._lines() if self._waiting else ():
            if digest(told) in self._waiting:
                self._waiting.discard(digest(told))
                what = f"command {told.command_id} was acknowledged at version {told.version} of {told.aggregate_id}"
                judgement.found(where, f"{what}, and is not in the log so")
        if self._waiting:
            judgement.found("the journals", f"{len(self._waiting)} lines that are not in the log are gone meanwhile")
        return msgspec.structs.replace(judgement.verdict(), reason=torn)

    def _lines(self) -> Iterator[tuple[str, Acknowledged]]:
        for file in (file for file in self._files if file.exists()):
            with file.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if not line.endswith(b"\n") or not line.strip():
                        continue  # it is still being written
                    told = acknowledged(line, f"{file}:{number}")
                    if told is None:
                        self._torn[f"{file.name}:{number}"] = None
                    else:
                        yield f"{file.name}:{number}", told


def acknowledged(line: bytes, where: str) -> Acknowledged | None:
    """None for a torn line. Raises NotJudged for another one that is no acknowledgement."""
    try:
        return msgspec.json.decode(line, type=Acknowledged)
    except msgspec.ValidationError as other:
        raise NotJudged(f"{where} is not an acknowledgement: {other}") from other
    except msgspec.DecodeError:
        return None


def torn_told(torn: Sequence[str]) -> str | None:
    if not torn:
        return None
    more = f" and {len(torn) - TORN_TOLD:,} more" if len(torn) > TORN_TOLD else ""
    return f"torn, and not judged: {', '.join(torn[:TORN_TOLD])}{more}"


def digest(told: Acknowledged) -> bytes:
    return sha256(msgspec.json.encode(told)).digest()[:DIGEST_BYTES]
