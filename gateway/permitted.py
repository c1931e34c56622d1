"""What a caller may ask of one aggregate as it is now, and which rule forbids the rest.

It is told from the aggregate's state by name, and from what of it is read. What lies within a command, such as a stop
that is over, is judged when it is sent.
"""

from collections.abc import Callable, Mapping
from typing import Any

from commands.aggregates import AGGREGATES
from commands.task_state import GoodsInCustody
from gateway.allowed import Roles
from gateway.commands import OPEN
from gateway.tokens import Caller
from schemas.carrier_booking import ReviewCarrierStatus
from schemas.carrier_offer import AcceptCounter, DeclineCounter
from schemas.fleet import RemoveRiderFromFleet, RemoveVehicleFromFleet
from schemas.hand_over import AcceptHandOver, DeclineHandOver, WithdrawHandOver
from schemas.incident import UnlinkIncident
from schemas.message import Command, NotInThisState
from schemas.recurrence import ReviewOccurrence
from schemas.rider import (
    EndBreak,
    EndShift,
    LockNextStop,
    ReinstateRider,
    RejectDocument,
    ResequenceItinerary,
    StartBreak,
    StartShift,
    UnbindDevice,
    UnlockNextStop,
    VerifyDocument,
)
from schemas.task import (
    AuthoriseReturn,
    HoldTask,
    RejectProof,
    ReleaseTask,
    ReviewFieldReport,
    SettleProofDispute,
    UnassignTask,
)
from schemas.vehicle import (
    CancelVehicleMaintenance,
    CompleteVehicleMaintenance,
    RejectVehicleDocument,
    ReleaseVehicle,
    VerifyVehicleDocument,
)
from schemas.waiting import WaiveDependency

type Row = Mapping[str, Any]
type Has = Callable[[Row], bool]
type Bar = Callable[[Row], str | None]


def some(field: str) -> Has:
    return lambda row: bool(row[field])


def none(field: str) -> Has:
    return lambda row: not row[field]


def on_duty(row: Row) -> bool:
    """A shift that is ending already is ended by what is left of it."""
    return row["shift"] is not None and not row["shift"]["ending"]


def countered(row: Row) -> bool:
    return any(offer["state"] == "countered" for offer in row["offers"].values())


HAS: Mapping[type[Command], Has] = {
    HoldTask: none("held"),
    ReleaseTask: some("held"),
    AuthoriseReturn: none("authorisation"),
    SettleProofDispute: some("proof_disputed"),
    RejectProof: lambda row: any(proof["status"] == "accepted" for proof in row["proofs"]),
    ReviewFieldReport: lambda row: any(conflict["decision_code"] is None for conflict in row["conflicts"]),
    WaiveDependency: lambda row: any(each["status"] in ("open", "failed") for each in row["dependencies"].values()),
    AcceptHandOver: some("hand_over"),
    DeclineHandOver: some("hand_over"),
    WithdrawHandOver: some("hand_over"),
    StartShift: none("shift"),
    StartBreak: lambda row: row["shift"] is not None and not row["on_break"],
    EndBreak: some("on_break"),
    EndShift: on_duty,
    ReinstateRider: lambda row: row["status"] == "suspended" or bool(row["off_dispatch_for"]),
    VerifyDocument: some("documents"),
    RejectDocument: some("documents"),
    UnbindDevice: some("devices"),
    LockNextStop: lambda row: bool(row["itinerary"]) and row["locked_stop"] is None,
    UnlockNextStop: some("locked_stop"),
    ResequenceItinerary: some("itinerary"),
    ReleaseVehicle: some("rider_id"),
    VerifyVehicleDocument: some("documents"),
    RejectVehicleDocument: some("documents"),
    CompleteVehicleMaintenance: some("maintenance"),
    CancelVehicleMaintenance: some("maintenance"),
    RemoveRiderFromFleet: some("riders"),
    RemoveVehicleFromFleet: some("vehicles"),
    ReviewCarrierStatus: some("conflicts"),
    AcceptCounter: countered,
    DeclineCounter: countered,
    ReviewOccurrence: some("refused"),
    UnlinkIncident: some("links"),
}
"""Without which a command would be taken and change nothing, or has nothing that it could name."""


def stays(row: Row) -> str | None:
    """What a rider has in hand is not taken away by a word, nor what a carrier is booked for."""
    if row["progress"]["carrier"]:
        return NotInThisState.rule
    held = any(parcel["party"]["kind"] in ("rider", "carrier") for parcel in row["parcels"].values())
    return GoodsInCustody.rule if held else None


BARS: Mapping[type[Command], Bar] = {UnassignTask: stays}
"""The rule that refuses a command as its aggregate is, whatever the command says."""

ROLES: Mapping[tuple[str, str], Roles] = {(known.plural, known.word): known.roles for known in OPEN}


def permitted(kind: str, aggregate_id: str, row: Row, caller: Caller) -> dict[str, Any]:
    """`allowed_commands` as they stand behind `/v1/{tenant}/`; `forbidden_commands` by their word, with the rule."""
    life, status = AGGREGATES[kind].life, status_in(kind, row)
    allowed: list[str] = []
    forbidden: dict[str, dict[str, Any]] = {}
    for known in OPEN:
        if known.kind != kind or known.creating:
            continue
        if caller.role not in known.roles:
            forbidden[known.word] = {"rule": "forbidden", "allowed": sorted(known.roles)}
        elif known.cls in life.only_for and row["kind"] != (kind_needed := life.only_for[known.cls]):
            forbidden[known.word] = {"rule": "not-for-this-kind", "needed": [kind_needed], "actual": row["kind"]}
        elif status not in life.takes[known.cls]:
            needed = sorted(life.takes[known.cls])
            forbidden[known.word] = {"rule": "not-in-this-state", "needed": needed, "actual": status}
        elif known.cls in HAS and not HAS[known.cls](row):
            forbidden[known.word] = {"rule": "nothing-to-change"}
        elif known.cls in BARS and (rule := BARS[known.cls](row)) is not None:
            forbidden[known.word] = {"rule": rule}
        else:
            allowed.append(f"{known.plural}/{aggregate_id}/{known.word}")
    return {"allowed_commands": allowed, "forbidden_commands": forbidden}


def may_send(path: str, caller: Caller) -> bool:
    """`path` as it stands behind `/v1/{tenant}/`."""
    plural, _, word = path.split("/")
    return caller.role in ROLES[plural, word]


def status_in(kind: str, row: Row) -> str:
    """As the aggregate's life names it."""
    match kind:
        case "task" | "tender":
            status: str = row["state"]
            return status
        case "outlet":
            return "created"
        case "hub":
            return "closed" if row["closed"] else "open"
        case "provider_config":
            return "cleared" if row["cleared"] else "in_force"
        case "sla_policy":
            return "removed" if row["removed"] else "in_force"
        case "geofence":
            return "present" if row["valid_until"] is None else "removed"
        case _:
            told: str = row["status"]
            return told
