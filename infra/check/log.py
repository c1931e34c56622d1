"""What the log alone can tell: I1, I2, I3, I8 and I10 by its headers, I7 by its facts."""

from collections.abc import Mapping, Sequence

from infra.check.custody import Custody
from infra.check.finding import Judgement, Verdict
from infra.check.journals import Journals
from infra.check.reading import Place
from schemas.record import GENESIS, ChainBroken, Envelope, Stored, Unreadable, chained, envelope_of, verified
from schemas.topics import SIGNALS

type Standing = Mapping[Place, Mapping[int, Sequence[str]]]
"""Where readers stand: of each partition, by next offset, their names."""


class LogCheck:
    """Takes every record of the chained topics, each partition in its order. Needs no keys.

    What it must remember of a partition it forgets with `leave`.
    """

    def __init__(self, journals: Journals | None = None, standing: Standing | None = None) -> None:
        self.by_topic: dict[str, int] = {}
        """Topic → its events."""
        self.by_type: dict[str, int] = {}
        """Name of an event → how many there are."""
        self.judgements = {i: Judgement(i) for i in ("I1", "I2", "I7", "I8", "I10")}
        self.journals = journals or Journals([])
        self._standing = standing or {}
        self._places: dict[Place, PlaceCheck] = {}

    def take(self, stored: Stored) -> None:
        place = stored.topic, stored.partition
        if place not in self._places:
            self._places[place] = PlaceCheck(self.judgements, self.journals, self._standing.get(place, {}))
        self._places[place].take(stored)
        if not stored.is_control:
            name = (stored.header("ce_type") or "").rpartition(".")[2]
            self.by_topic[stored.topic] = self.by_topic.get(stored.topic, 0) + 1
            self.by_type[name] = self.by_type.get(name, 0) + 1

    def leave(self, place: Place) -> None:
        """No more of this partition will come."""
        known = self._places.pop(place, None)
        if known is not None:
            known.end(place)

    def verdicts(self) -> list[Verdict]:
        """Once everything has been taken."""
        for place in list(self._places):
            self.leave(place)
        return [*(judgement.verdict() for judgement in self.judgements.values()), self.journals.verdict()]


class PlaceCheck:
    """Of one partition: an aggregate and its commands stand in no other."""

    def __init__(
        self, judgements: Mapping[str, Judgement], journals: Journals, standing: Mapping[int, Sequence[str]]
    ) -> None:
        self._judgements = judgements
        self._journals = journals
        self._standing = standing
        self._chain = GENESIS
        self._versions: dict[str, int] = {}
        self._commands: set[str] = set()
        self._open: tuple[Envelope, int] | None = None
        """The last record of a command that has more to come, and its offset."""
        self._custody = Custody(judgements["I7"])

    def take(self, stored: Stored) -> None:
        readable = self._link(stored)
        if stored.is_control:
            return
        try:
            envelope = envelope_of(stored)
        except Unreadable as unreadable:
            if readable:
                self._found("I10", stored, unreadable.reason)
            return
        if stored.topic != SIGNALS.name:
            self._version(envelope, stored)
            self._command(envelope, stored)
            self._custody.take(envelope, stored)

    def end(self, place: Place) -> None:
        self._custody.end()
        if self._open is not None:
            envelope, offset = self._open
            what = f"command {envelope.command_id} ends after {envelope.command_index + 1} of {envelope.command_size}"
            self._judgements["I8"].found(f"{place[0]}/{place[1]}@{offset}", what)

    def _found(self, invariant: str, stored: Stored, what: str) -> None:
        self._judgements[invariant].found(where(stored), what)

    def _link(self, stored: Stored) -> bool:
        """Whether the chain holds here. After a break it goes on from what the record claims: one edit shows once."""
        self._judgements["I10"].looked_at += 1
        try:
            self._chain = verified(self._chain, stored)
        except ChainBroken as broken:
            self._found("I10", stored, str(broken))
            self._chain = claimed_of(stored) or chained(self._chain, stored.key, stored.value, stored.headers)
            return False
        return True

    def _version(self, envelope: Envelope, stored: Stored) -> None:
        before = self._versions.get(envelope.aggregate_id, 0)
        self._judgements["I1"].looked_at += before == 0
        if envelope.version != before + 1:
            self._found("I1", stored, f"version {envelope.version} of {envelope.aggregate_id} follows {before}")
        self._versions[envelope.aggregate_id] = envelope.version

    def _command(self, envelope: Envelope, stored: Stored) -> None:
        if envelope.command_index == 0:
            self._begins(envelope, stored)
        else:
            self._goes_on(envelope, stored)
        self._open = None
        if envelope.command_index < envelope.command_size - 1:
            self._open = envelope, stored.offset
        else:
            self._journals.met(envelope.command_id, envelope.aggregate_id, envelope.version)

    def _begins(self, envelope: Envelope, stored: Stored) -> None:
        self._judgements["I2"].looked_at += 1
        self._judgements["I8"].looked_at += 1
        if envelope.command_id in self._commands:
            self._found("I2", stored, f"command {envelope.command_id} took effect before")
        self._commands.add(envelope.command_id)
        if self._open is not None:
            self._found("I8", stored, f"stands where command {self._open[0].command_id} is not whole")

    def _goes_on(self, envelope: Envelope, stored: Stored) -> None:
        """Side by side with the record before it, and nobody has stopped between the two."""
        if self._open is None or not follows(self._open, envelope, stored.offset):
            what = f"record {envelope.command_index + 1} of command {envelope.command_id} does not follow its record"
            self._found("I8", stored, f"{what} {envelope.command_index}")
        for reader in self._standing.get(stored.offset, ()):
            self._found("I8", stored, f"{reader} has stopped within command {envelope.command_id}")


def follows(before: tuple[Envelope, int], envelope: Envelope, offset: int) -> bool:
    first, at = before
    return (
        first.command_id == envelope.command_id
        and first.command_index + 1 == envelope.command_index
        and first.command_size == envelope.command_size
        and at + 1 == offset
    )


def claimed_of(stored: Stored) -> bytes | None:
    try:
        return bytes.fromhex(stored.header("hash") or "") or None
    except ValueError:
        return None


def where(stored: Stored) -> str:
    return f"{stored.topic}/{stored.partition}@{stored.offset}"
