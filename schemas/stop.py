"""Where a task leads and what goes there: its stops, whom one meets at them, and its parcels."""

from datetime import datetime
from typing import Annotated, Literal

import msgspec

from schemas.geo import Location, PostalCode, Window
from schemas.goods import MAX_ITEMS, Item, NewItem, Party
from schemas.message import (
    Id,
    Input,
    Moment,
    Name,
    ParcelId,
    Personal,
    Record,
    Reference,
    Slug,
    StopId,
    Text,
)
from schemas.proof import (
    MinimumAge,
    PinlessKind,
    PinlessProof,
    ProofKind,
    RequiredProof,
)

MAX_STOPS = 50
StopKind = Literal["pickup", "dropoff", "collection", "hold", "return"]
"""At a collection the recipient comes for the goods; the others are a rider's. A hold is where goods wait for another
attempt, a return where they came from."""


class NewContact(Input, frozen=True, kw_only=True):
    """`reference` is the caller's own name for the person, so that one erasure reaches all their tasks."""

    name: Name
    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=40)] | None = None
    notes: Text | None = None
    reference: Reference | None = None


class NewStop(Input, frozen=True, kw_only=True):
    """At an outlet or a hub of the tenant's if it names one; its location is then known. A hub may be a locker: what is
    dropped off or collected there has ["pin"] among its required proofs, and who has ordered tells the rider that PIN,
    which opens it. Without any of it the goods of a delivery, a transfer and a collection are at the task's outlet, and
    those of a pickup and a return go there. `minimum_age` asks for an ID check of who receives. `after` names earlier
    stops that are over before this one is, as a parcel's pickup is before its dropoff anyhow."""

    kind: Literal["pickup", "dropoff", "collection"]
    stop_id: Id | None = None
    outlet: Slug | None = None
    hub: Slug | None = None
    location: Location | None = None
    address: Text | None = None
    postal_code: PostalCode | None = None
    contact: NewContact | None = None
    window: Window | None = None
    service_seconds: Annotated[int, msgspec.Meta(ge=0, le=14_400)] = 120
    goods_ready_at: Moment | None = None
    required_proof: RequiredProof = []
    minimum_age: MinimumAge | None = None
    after: Annotated[list[Id], msgspec.Meta(max_length=MAX_STOPS)] = []


class NewParcel(Input, frozen=True, kw_only=True):
    """Without stops it goes from the first pickup to the last dropoff. `items` are what is in it, by which a transfer
    is received and a return inspected; without any the parcel is one line itself. `required_proof` is what its dropoff
    needs for it besides, unless the recipient refuses it; a scan is one of this parcel."""

    parcel_id: Id | None = None
    pickup_stop: Id | None = None
    dropoff_stop: Id | None = None
    barcode: Reference | None = None
    description: Text | None = None
    weight_g: Annotated[int, msgspec.Meta(ge=0, le=50_000_000)] = 0
    volume_cm3: Annotated[int, msgspec.Meta(ge=0, le=1_000_000_000)] = 0
    items: Annotated[list[NewItem], msgspec.Meta(max_length=MAX_ITEMS)] = []
    required_proof: PinlessProof = []


class Contact(Record, frozen=True, kw_only=True):
    name: Personal[str]
    phone: Personal[str] | None = None
    notes: Personal[str] | None = None


class Stop(Record, frozen=True, kw_only=True):
    """`party` is who has the goods there: before a pickup and a collection, after a dropoff and a return.
    `from_directory`: its location is that of its outlet or hub."""

    stop_id: StopId
    kind: StopKind
    party: Party
    location: Personal[Location] | None
    address: Personal[str] | None
    contact: Contact | None
    window: Window | None
    service_seconds: int
    goods_ready_at: datetime | None
    required_proof: list[list[ProofKind]]
    minimum_age: int | None
    pin_hash: str | None
    after: list[StopId] = []
    from_directory: bool = False
    postal_code: Personal[str] | None = None


class Parcel(Record, frozen=True, kw_only=True):
    parcel_id: ParcelId
    pickup_stop: StopId
    dropoff_stop: StopId
    barcode: str | None
    description: str | None
    weight_g: int
    volume_cm3: int
    items: list[Item]
    required_proof: list[list[PinlessKind]]
