"""What the log alone can tell: I1, I2, I8 and I10 by its headers, I7 by its facts."""

from infra.check.finding import Finding, Verdict, verdict
from schemas.message import Event
from schemas.record import GENESIS, ChainBroken, Envelope, Stored, envelope_of, event_of, verified
from schemas.task import (
    ParcelsDelivered,
    ParcelsPickedUp,
    ParcelsReturned,
    ParcelsWrittenOff,
    Party,
    TaskAssigned,
    TaskCreated,
    TaskUnassigned,
)
from schemas.tender import TenderAwarded


class LogCheck:
    """Takes every record of the history topics, each partition in its order. Needs no keys."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.records = 0
        self.events: dict[str, int] = {}
        self.by_topic: dict[str, int] = {}
        self.commands: dict[str, tuple[str, int]] = {}
        """Command id → its aggregate and the version after it."""
        self.boundaries: dict[tuple[str, int], set[int]] = {}
        """Of each partition: the offsets after whole commands, and after control records between them."""
        self._chain: dict[tuple[str, int], bytes] = {}
        self._versions: dict[str, int] = {}
        self._open: dict[tuple[str, int], tuple[Envelope, int]] = {}
        self._winners: dict[str, str] = {}
        self._assignees: dict[str, str] = {}
        self._parcels: dict[tuple[str, str], Party] = {}

    def take(self, stored: Stored) -> None:
        self.records += 1
        place = stored.topic, stored.partition
        try:
            self._chain[place] = verified(self._chain.get(place, GENESIS), stored)
        except ChainBroken as broken:
            self._found("I10", stored, str(broken))
        if stored.is_control:
            if place not in self._open:
                self.boundaries.setdefault(place, {0}).add(stored.offset + 1)
            return
        envelope = envelope_of(stored)
        self.by_topic[stored.topic] = self.by_topic.get(stored.topic, 0) + 1
        self._version(envelope, stored)
        self._command(envelope, stored)
        event = event_of(stored, None)
        self.events[type(event).__name__] = self.events.get(type(event).__name__, 0) + 1
        self._custody(envelope, event, stored)

    def verdicts(self) -> list[Verdict]:
        for place, (envelope, _) in self._open.items():
            what = f"command {envelope.command_id} ends with record {envelope.command_index + 1}"
            self.findings.append(Finding("I8", "/".join(map(str, place)), what))
        looked_at = {
            "I1": len(self._versions),
            "I2": len(self.commands),
            "I7": len(self._winners) + len(self._parcels),
            "I8": len(self.commands),
            "I10": self.records,
        }
        return [verdict(i, count, [f for f in self.findings if f.invariant == i]) for i, count in looked_at.items()]

    def _found(self, invariant: str, stored: Stored, what: str) -> None:
        self.findings.append(Finding(invariant, f"{stored.topic}/{stored.partition}@{stored.offset}", what))

    def _version(self, envelope: Envelope, stored: Stored) -> None:
        before = self._versions.get(envelope.aggregate_id, 0)
        if envelope.version != before + 1:
            self._found("I1", stored, f"version {envelope.version} of {envelope.aggregate_id} follows {before}")
        self._versions[envelope.aggregate_id] = envelope.version

    def _command(self, envelope: Envelope, stored: Stored) -> None:
        """Its records stand side by side, from the first to the last, once."""
        place = stored.topic, stored.partition
        before = self._open.pop(place, None)
        if before is None:
            if envelope.command_index != 0:
                self._found("I8", stored, f"command {envelope.command_id} begins with {envelope.command_index}")
            if envelope.command_id in self.commands:
                self._found("I2", stored, f"command {envelope.command_id} took effect before")
        else:
            first, offset = before
            follows = (
                first.command_id == envelope.command_id
                and first.command_index + 1 == envelope.command_index
                and offset + 1 == stored.offset
            )
            if not follows:
                self._found("I8", stored, f"stands within command {first.command_id}")
        if envelope.command_index < envelope.command_size - 1:
            self._open[place] = envelope, stored.offset
        else:
            self.commands[envelope.command_id] = envelope.aggregate_id, envelope.version
            self.boundaries.setdefault(place, {0}).add(stored.offset + 1)

    def _custody(self, envelope: Envelope, event: Event, stored: Stored) -> None:
        task = envelope.aggregate_id
        match event:
            case TenderAwarded():
                if self._winners.setdefault(task, event.offer_id) != event.offer_id:
                    self._found("I7", stored, f"tender {task} was won by {self._winners[task]} before")
            case TaskAssigned():
                if task in self._assignees:
                    self._found("I7", stored, f"task {task} is {self._assignees[task]}'s")
                self._assignees[task] = event.rider_id
            case TaskUnassigned():
                self._assignees.pop(task, None)
            case TaskCreated():
                outlet = Party(kind="outlet", id=event.outlet)
                self._parcels |= {(task, parcel.parcel_id): outlet for parcel in event.parcels}
            case ParcelsPickedUp() | ParcelsDelivered() | ParcelsReturned():
                for parcel_id in event.parcel_ids:
                    has = self._parcels.get((task, parcel_id))
                    if has != event.from_party:
                        self._found("I7", stored, f"parcel {parcel_id} comes from {event.from_party}, {has} has it")
                    self._parcels[task, parcel_id] = event.to_party
            case ParcelsWrittenOff():
                self._parcels |= {(task, parcel_id): event.to_party for parcel_id in event.parcel_ids}
            case _:
                pass
