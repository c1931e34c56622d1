"""A delivery from its order to the door, as the records that its owners would write, and how to spoil them."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from memory_desk import MemoryDesk
from story import KAMPPI, NOON, SECRETS, minutes

from commands.order import Order
from commands.policy import Policy
from schemas import catalog, ids
from schemas.directory import CreateOutlet, CreateTenant
from schemas.field_report import ReportDelivered, ReportPickedUp
from schemas.keyring import Keyring
from schemas.message import Command, Event, Role, StopId, TenantSlug
from schemas.record import GENESIS, Stored, chained
from schemas.rider import ApproveRider, RegisterRider
from schemas.stop import NewParcel, NewStop
from schemas.task import AssignTask, CreateTask, RecordTender
from schemas.tender import AwardTender, Candidate, ClaimOffer, Excluded, OpenTender, PlannedOffer

ACME = TenantSlug("acme")
TASK = ids.aggregate_id("task", ACME, "shop", "order-1")
ANN, BOB, CYD = (ids.aggregate_id("rider", ACME, "shop", name) for name in ("ann", "bob", "cyd"))
TENDER = ids.tender_id(TASK, 1)  # type: ignore[arg-type]
TO_ANN, TO_BOB = (ids.offer_id(TENDER, rider) for rider in (ANN, BOB))  # type: ignore[arg-type]


async def delivered() -> list[Stored]:
    """Offered to Ann and Bob, won by Bob, picked up and delivered; every partition's chain verifies."""
    desk = MemoryDesk(Policy(), SECRETS, Keyring(bytes(32)), lambda: NOON)

    async def send(kind: str, aggregate_id: str, command: Command, actor: str = "shop", role: Role = "system") -> None:
        identity = ids.command_id(aggregate_id, type(command).__name__)
        order = Order(
            tenant=ACME,
            kind=kind,
            aggregate_id=aggregate_id,
            command=command,
            command_id=identity,
            request_hash=identity,
            actor=actor,
            role=role,
            correlation_id=identity,
        )
        await desk.submit(order)

    await send("tenant", ids.tenant_id(ACME), CreateTenant(tenant=ACME, name="Acme", mode="test"))
    outlet = CreateOutlet(outlet="kamppi", name="Kamppi", location=KAMPPI, zone="Europe/Helsinki")
    await send("outlet", ids.outlet_id(ACME, "kamppi"), outlet)
    await send("rider", BOB, RegisterRider(name="Bob"))
    await send("rider", BOB, ApproveRider())
    stops = [NewStop(kind="pickup"), NewStop(kind="dropoff", location=KAMPPI)]
    await send("task", TASK, CreateTask(kind="delivery", outlet="kamppi", stops=stops, parcels=[NewParcel()]))
    await send("tender", TENDER, opening())
    await send("task", TASK, RecordTender(tender_id=TENDER, round=1))
    await send("tender", TENDER, ClaimOffer(offer_id=TO_BOB), BOB, "rider")
    await send("tender", TENDER, AwardTender(offer_id=TO_BOB))
    await send("task", TASK, AssignTask(rider_id=BOB, tender_id=TENDER, offer_id=TO_BOB))  # type: ignore[arg-type]
    await send("task", TASK, ReportPickedUp(stop_id=StopId("stop-1"), observed_at=NOON), BOB, "rider")
    await send("task", TASK, ReportDelivered(stop_id=StopId("stop-2"), observed_at=NOON), BOB, "rider")
    return sealed_again(desk.log)


def opening() -> OpenTender:
    asked = [PlannedOffer(offer_id=o, rider_id=r, expires_at=minutes(1)) for o, r in ((TO_ANN, ANN), (TO_BOB, BOB))]  # type: ignore[arg-type]
    near = {"travel_s": 60.0, "distance_m": 500.0, "source": "osrm"}
    return OpenTender(
        task_id=TASK,  # type: ignore[arg-type]
        round=1,
        mode="broadcast",
        candidates=[Candidate(rider_id=r, rank=n, **near) for n, r in enumerate((ANN, BOB), 1)],  # type: ignore[arg-type]
        excluded=[Excluded(rider_id=CYD, code="off_shift")],  # type: ignore[arg-type]
        offers=asked,
        policy_version=1,
        input_hash="h",
        solver="nearest-1",
    )


def sealed_again(records: Iterable[Stored]) -> list[Stored]:
    """Offsets and hashes as an owner would have written these records: whoever spoils the log hides it well."""
    ends: dict[tuple[str, int], tuple[int, bytes]] = {}
    log = []
    for stored in records:
        offset, before = ends.get((stored.topic, stored.partition), (0, GENESIS))
        headers = [header for header in stored.headers if header[0] != "hash"]
        after = chained(before, stored.key, stored.value, headers)
        ends[stored.topic, stored.partition] = offset + 1, after
        log.append(msgspec.structs.replace(stored, offset=offset, headers=[*headers, ("hash", after.hex().encode())]))
    return log


def place_of(log: Sequence[Stored], name: str) -> int:
    """Where in the list the only record of this type stands."""
    [place] = [n for n, stored in enumerate(log) if (stored.header("ce_type") or "").endswith(f".{name}")]
    return place


def event_in(log: Sequence[Stored], name: str) -> Any:
    return catalog.read(log[place_of(log, name)].value or b"", None)


def saying(stored: Stored, event: Event, **headers: object) -> Stored:
    """The record with another event and other headers, as a command of its own."""
    alone = {"command_index": 0, "command_size": 1, "command_id": ids.derived("forged", repr(event)), **headers}
    changed = {name: str(value).encode() for name, value in alone.items()} | {
        "ce_type": catalog.BY_CLASS[type(event)].name.encode()
    }
    return msgspec.structs.replace(
        stored,
        value=catalog.write(event, catalog.nothing_personal),
        headers=[(name, changed.get(name, value)) for name, value in stored.headers],
    )
