"""I3: what clients were told has happened, as they wrote it down, is in the log."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path

import msgspec

from infra.check.finding import Judgement, NotJudged, Verdict, nothing_to_judge

DIGEST_BYTES = 16
"""Of each line so much is held until its command is met: a million lines take some 100 MB."""


class Acknowledged(msgspec.Struct, frozen=True):
    """A line of a client's journal: a command that wrote something, and the version after it."""

    command_id: str
    aggregate_id: str
    version: int


class Journals:
    """Read them before the log's ends are taken: what they hold by then must be before those."""

    def __init__(self, files: Iterable[Path]) -> None:
        """Raises NotJudged for a line that is no acknowledgement."""
        self._files = list(files)
        self._waiting = {digest(told) for _, told in self._lines()}
        self._told = len(self._waiting)

    def met(self, command_id: str, aggregate_id: str, version: int) -> None:
        """The log holds this command, with this version after it."""
        if self._waiting:
            self._waiting.discard(digest(Acknowledged(command_id, aggregate_id, version)))

    def verdict(self) -> Verdict:
        if not self._told:
            return nothing_to_judge("I3", "no client has kept a journal here")
        judgement = Judgement("I3")
        judgement.looked_at = self._told
        for where, told in self._lines() if self._waiting else ():
            if digest(told) in self._waiting:
                self._waiting.discard(digest(told))
                what = f"command {told.command_id} was acknowledged at version {told.version} of {told.aggregate_id}"
                judgement.found(where, f"{what}, and is not in the log so")
        if self._waiting:
            judgement.found("the journals", f"{len(self._waiting)} lines that are not in the log are gone meanwhile")
        return judgement.verdict()

    def _lines(self) -> Iterator[tuple[str, Acknowledged]]:
        for file in (file for file in self._files if file.exists()):
            with file.open("rb") as lines:
                for number, line in enumerate(lines, start=1):
                    if line.endswith(b"\n") and line.strip():  # else it is still being written
                        yield f"{file.name}:{number}", acknowledged(line, f"{file}:{number}")


def acknowledged(line: bytes, where: str) -> Acknowledged:
    try:
        return msgspec.json.decode(line, type=Acknowledged)
    except msgspec.MsgspecError as malformed:
        raise NotJudged(f"{where} is not an acknowledgement: {malformed}") from malformed


def digest(told: Acknowledged) -> bytes:
    return sha256(msgspec.json.encode(told)).digest()[:DIGEST_BYTES]
