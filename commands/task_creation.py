"""How a task comes to be: what its kind asks of its stops, who has its goods, and what is drawn for it."""

from typing import assert_never

from commands.context import Context
from commands.geocoding import sought
from commands.proof_needed import needs_somebody
from commands.simulated import must_be_simulable
from commands.task_evolve import evolved
from commands.task_state import AGAIN, HOLD, RETURN, NotForThisKind, Task, Uncreated, state_of
from commands.task_timing import towards_dispatch
from commands.waiting import declared
from schemas.geo import Location, distance_m
from schemas.goods import Item, Party
from schemas.ids import contact_subject
from schemas.message import NotInThisState, OutletSlug, ParcelId, Personal, Refused, StopId, SubjectId
from schemas.proof import ProofKind
from schemas.sla import PinnedSla
from schemas.stop import Contact, NewContact, NewParcel, NewStop, Parcel, Stop
from schemas.task import CreateTask, TaskCreated, TaskEvent
from schemas.task_kind import TaskKind
from schemas.template import MadeFrom

CODE_ALPHABET = "23456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Without the letters and digits that people take for each other."""


OURS = (HOLD, AGAIN, RETURN, "meeting")
ORDERED = MadeFrom()
"""From nothing but the order itself."""
GIVING = ("pickup", "collection")
TAKING = ("dropoff", "collection")
MOST_FROM_PLACE_M = 2_000
"""Of a stop that names an outlet or a hub: its gate may be round the corner, and not in another town."""


class HubClosedNow(Refused):
    rule = "hub-closed"
    stands_in = ("hub",)

    def __init__(self, hub: str) -> None:
        super().__init__(f"hub {hub} is closed: nothing is brought there")
        self.hub = hub


class ParcelMismatch(Refused):
    rule = "parcel-mismatch"
    stands_in = ("parcel_id",)
    is_about = ("parcels",)

    def __init__(self, parcel_id: str, problem: str) -> None:
        super().__init__(f"parcel {parcel_id} {problem}")
        self.parcel_id = parcel_id
        self.problem = problem


class StopsMismatch(Refused):
    rule = "stops-mismatch"
    stands_in = ("stop_id",)
    is_about = ("stops", "shift_seconds")

    def __init__(self, problem: str, stop_id: str | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        if stop_id is not None:
            self.stop_id = stop_id


def create_task(task: Task, command: CreateTask, context: Context, made_from: MadeFrom = ORDERED) -> list[TaskEvent]:
    if not isinstance(task, Uncreated):
        raise NotInThisState(needed="new", actual=state_of(task))
    context.policy.outlet(command.outlet)
    if command.on_hold and command.kind == "collection":
        raise NotForThisKind("delivery", command.kind, "on_hold")  # nobody is sent for it
    must_be_simulable(command, context)
    stops = new_stops(command, context, made_from)
    if command.kind == "transfer":
        must_go_elsewhere(stops)
    parcels = new_parcels(command.parcels, stops)
    must_be_scannable(stops, parcels)
    must_suit_lockers(stops, parcels)
    rules = context.policy.rules
    made = TaskCreated(
        kind=command.kind,
        outlet=OutletSlug(command.outlet),
        priority=command.priority,
        stops=stops,
        parcels=parcels,
        return_proof=command.return_proof,
        authorisation=command.authorisation,
        on_hold=command.on_hold,
        required_skills=list(dict.fromkeys(command.required_skills)),
        sla=promised(command, stops, context),
        external_reference=command.external_reference,
        source=command.source or context.actor,
        shipment_id=command.shipment_id,
        metadata=command.metadata,
        tracking_code=tracking_code(context),
        tracking_token_hash=context.secrets.keyed_hash("tracking", tracking_token(context)),
        max_attempts=rules.max_attempts,
        arrival_radius_m=rules.arrival_radius_m,
        pin_attempts=rules.pin_attempts,
        dispatch_lead_s=rules.dispatch_lead_seconds,
        cloned_from=made_from.cloned_from,
        recurrence_id=made_from.recurrence_id,
        simulation=command.simulation,
    )
    begun = [made, *declared(command, context), *sought(stops, context)]
    return [*begun, *towards_dispatch(evolved(task, begun), context)]


def promised(command: CreateTask, stops: list[Stop], context: Context) -> PinnedSla | None:
    """By where the task leads as it is created; a stop that is located later changes nothing."""
    place = place_promised(command.kind, stops)
    policy = context.policy.sla_policy_for(command.kind, command.outlet, command.priority, place, context.now)
    if policy is None:
        return None
    return PinnedSla(policy_id=policy.policy_id, policy_version=policy.version, terms=policy.terms)


def place_promised(kind: TaskKind, stops: list[Stop]) -> Location | None:
    """Where the goods are to come; of a pickup and a return, which come to the tenant, where from. None: not known."""
    at = ("pickup",) if kind in ("pickup", "return") else TAKING
    location = next(stop.location for stop in stops if stop.kind in at)
    return None if location is None else location.value


def new_stops(command: CreateTask, context: Context, made_from: MadeFrom = ORDERED) -> list[Stop]:
    wanted = command.stops
    ids = [StopId(stop.stop_id or f"stop-{number}") for number, stop in enumerate(wanted, start=1)]
    for place, stop_id in enumerate(ids):
        if stop_id in ids[:place]:
            raise StopsMismatch("two stops have the same stop_id", stop_id)
    for stop_id in ids:
        if stop_id.startswith(OURS):
            raise StopsMismatch(
                f"{stop_id} begins as the stops do that are added on the way: give it another stop_id", stop_id
            )
    must_suit_kind(command.kind, [stop.kind for stop in wanted])
    must_follow_earlier(wanted, ids)
    return [
        new_stop(command, stop, stop_id, context, made_from.subjects.get(stop_id))
        for stop, stop_id in zip(wanted, ids, strict=True)
    ]


def must_suit_kind(kind: TaskKind, stops: list[str]) -> None:
    if kind == "collection":
        if stops != ["collection"]:
            raise StopsMismatch("a collection has one stop, which is one")
    elif stops[0] != "pickup" or "dropoff" not in stops:
        raise StopsMismatch(f"a {kind} begins with a pickup and has a dropoff")
    elif "collection" in stops:
        raise StopsMismatch(f"a {kind} has no collection: there the recipient comes")


def must_go_elsewhere(stops: list[Stop]) -> None:
    givers = [stop.party for stop in stops if stop.kind == "pickup"]
    for stop in stops:
        if stop.kind == "dropoff" and stop.party in givers:
            raise StopsMismatch(
                f"{stop.stop_id} is at {stop.party.kind} {stop.party.id}, where the transfer comes from", stop.stop_id
            )


def must_follow_earlier(wanted: list[NewStop], ids: list[StopId]) -> None:
    """So that there is an order that suits them all: the one in which they are given."""
    for place, stop in enumerate(wanted):
        for stop_id in stop.after:
            if stop_id not in ids[:place]:
                raise StopsMismatch(
                    f"{ids[place]} comes after {stop_id}, which is no earlier stop of this task", ids[place]
                )


def new_stop(
    command: CreateTask, stop: NewStop, stop_id: StopId, context: Context, subject: SubjectId | None = None
) -> Stop:
    if stop.window is not None and stop.window.end <= stop.window.start:
        raise StopsMismatch(f"the window of {stop_id} ends before it starts", stop_id)
    if stop.minimum_age is not None and stop.kind == "pickup":
        raise StopsMismatch(f"{stop_id} is a pickup: a minimum_age is for who receives", stop_id)
    if stop.goods_ready_at is not None and stop.kind == "dropoff":
        raise StopsMismatch(f"{stop_id} is a dropoff: goods are ready at a pickup or a collection", stop_id)
    subject = subject or subject_of(stop, stop_id, context)
    party = party_at(command, stop, stop_id, context)
    own = location_of(party, context)
    if stop.location is not None and own is not None and distance_m(stop.location, own) > MOST_FROM_PLACE_M:
        raise StopsMismatch(
            f"{stop_id} is at {party.kind} {party.id}, and its location is more than 2 km from there", stop_id
        )
    location = stop.location or own
    wants_pin = any("pin" in group for group in stop.required_proof)
    return Stop(
        stop_id=stop_id,
        kind=stop.kind,
        party=party,
        location=Personal(subject, location) if location else None,
        address=Personal(subject, stop.address) if stop.address else None,
        postal_code=Personal(subject, stop.postal_code) if stop.postal_code else None,
        contact=new_contact(stop.contact, subject) if stop.contact else None,
        window=stop.window,
        service_seconds=stop.service_seconds,
        goods_ready_at=stop.goods_ready_at,
        required_proof=with_age_check(stop),
        minimum_age=stop.minimum_age,
        pin_hash=pin_hash(context, stop_id, pin_of(context, stop_id)) if wants_pin else None,
        after=[StopId(earlier) for earlier in dict.fromkeys(stop.after)],
        from_directory=stop.location is None and location is not None,
    )


def subject_of(stop: NewStop, stop_id: StopId, context: Context) -> SubjectId:
    reference = stop.contact.reference if stop.contact else None
    return contact_subject(context.tenant, reference or f"{context.aggregate_id}/{stop_id}")


def party_at(command: CreateTask, stop: NewStop, stop_id: StopId, context: Context) -> Party:
    """Who has the goods there: the outlet or hub that is named, else what the task's kind says."""
    if stop.outlet is not None and stop.hub is not None:
        raise StopsMismatch(f"{stop_id} names an outlet and a hub: it is at one of them", stop_id)
    if stop.outlet is not None:
        context.policy.outlet(stop.outlet)
        return Party(kind="outlet", id=stop.outlet)
    if stop.hub is not None:
        hub = context.policy.hub(stop.hub)
        if hub.closed:
            raise HubClosedNow(stop.hub)
        return Party(kind=hub.kind, id=stop.hub)
    own = Party(kind="outlet", id=command.outlet)
    match command.kind:
        case "delivery" | "collection":
            return Party(kind="recipient") if stop.kind == "dropoff" else own
        case "pickup" | "return":
            return Party(kind="sender") if stop.kind == "pickup" else own
        case "transfer":
            if stop.kind == "dropoff":
                raise StopsMismatch(f"{stop_id} is where a transfer goes: it names an outlet or a hub", stop_id)
            return own
        case _:
            assert_never(command.kind)


def location_of(party: Party, context: Context) -> Location | None:
    match party:
        case Party(kind="outlet", id=str(slug)):
            return context.policy.outlet(slug).location
        case Party(kind="hub" | "locker", id=str(slug)):
            return context.policy.hub(slug).location
        case _:
            return None


def with_age_check(stop: NewStop) -> list[list[ProofKind]]:
    """A minimum age is not kept unless an ID check is needed, whatever else would do."""
    if stop.minimum_age is None or ["id_check"] in stop.required_proof:
        return stop.required_proof
    return [*stop.required_proof, ["id_check"]]


def must_suit_lockers(stops: list[Stop], parcels: list[Parcel]) -> None:
    """Nobody is there, and who comes puts goods in, or takes them out as theirs, by a code."""
    for stop in stops:
        if stop.party.kind != "locker":
            continue
        if stop.kind in TAKING and ["pin"] not in stop.required_proof:
            raise StopsMismatch(
                f"{stop.stop_id} is at locker {stop.party.id}, by a code: its required_proof has [pin]", stop.stop_id
            )
        of_parcels = [group for p in parcels if p.dropoff_stop == stop.stop_id for group in p.required_proof]
        if any(map(needs_somebody, stop.required_proof)) or any(map(needs_somebody, of_parcels)):
            raise StopsMismatch(
                f"{stop.stop_id} is at locker {stop.party.id}: nobody is there who could sign or show an ID",
                stop.stop_id,
            )


def must_be_scannable(stops: list[Stop], parcels: list[Parcel]) -> None:
    """Else a scan would be asked for where there is nothing to scan, and none would do."""
    scannable = {stop_id for parcel in parcels for stop_id in (parcel.pickup_stop, parcel.dropoff_stop)}
    for stop in stops:
        if stop.stop_id not in scannable and any("scan" in group for group in stop.required_proof):
            raise StopsMismatch(f"{stop.stop_id} asks for scans and has no parcels", stop.stop_id)


def new_contact(contact: NewContact, subject: SubjectId) -> Contact:
    return Contact(
        name=Personal(subject, contact.name),
        phone=Personal(subject, contact.phone) if contact.phone else None,
        notes=Personal(subject, contact.notes) if contact.notes else None,
    )


def new_parcels(wanted: list[NewParcel], stops: list[Stop]) -> list[Parcel]:
    first = next(stop.stop_id for stop in stops if stop.kind in GIVING)
    last = next(stop.stop_id for stop in reversed(stops) if stop.kind in TAKING)
    parcels = [new_parcel(parcel, number, first, last) for number, parcel in enumerate(wanted, start=1)]
    order = {stop.stop_id: number for number, stop in enumerate(stops)}
    kinds = {stop.stop_id: stop.kind for stop in stops}
    seen: set[str] = set()
    for parcel in parcels:
        if parcel.parcel_id in seen:
            raise ParcelMismatch(parcel.parcel_id, "stands twice")
        seen.add(parcel.parcel_id)
        for stop_id, suiting in ((parcel.pickup_stop, GIVING), (parcel.dropoff_stop, TAKING)):
            if kinds.get(stop_id) not in suiting:
                raise ParcelMismatch(parcel.parcel_id, f"names {stop_id}, which is no {suiting[0]} of this task")
        if order[parcel.pickup_stop] > order[parcel.dropoff_stop]:
            raise ParcelMismatch(parcel.parcel_id, "is dropped off before it is picked up")
        if len({item.sku for item in parcel.items}) < len(parcel.items):
            raise ParcelMismatch(parcel.parcel_id, "has two items of one sku")
    return parcels


def new_parcel(parcel: NewParcel, number: int, pickup: StopId, dropoff: StopId) -> Parcel:
    return Parcel(
        parcel_id=ParcelId(parcel.parcel_id or f"parcel-{number}"),
        pickup_stop=StopId(parcel.pickup_stop) if parcel.pickup_stop else pickup,
        dropoff_stop=StopId(parcel.dropoff_stop) if parcel.dropoff_stop else dropoff,
        barcode=parcel.barcode,
        description=parcel.description,
        weight_g=parcel.weight_g,
        volume_cm3=parcel.volume_cm3,
        items=[Item(sku=each.sku, quantity=each.quantity, description=each.description) for each in parcel.items],
        required_proof=parcel.required_proof,
    )


def tracking_code(context: Context) -> str:
    """For people: CV-YYYYMMDD-XXXXXX. It may collide, and is looked up within the tenant."""
    number = int.from_bytes(context.secrets.derived("tracking-code", context.command_id))
    letters = []
    for _ in range(6):
        number, letter = divmod(number, len(CODE_ALPHABET))
        letters.append(CODE_ALPHABET[letter])
    day = context.now.date().isoformat().replace("-", "")
    return f"CV-{day}-{''.join(letters)}"


def tracking_token(context: Context) -> str:
    """For links: 128 bits that nobody can guess."""
    return context.secrets.derived("tracking-token", context.command_id)[:16].hex()


def pin_of(context: Context, stop_id: StopId) -> str:
    """Four digits for the recipient; the same for ever, since the creating command's id is."""
    return context.secrets.digits(4, "pin", context.aggregate_id, stop_id)


def pin_hash(context: Context, stop_id: StopId, pin: str) -> str:
    return context.secrets.keyed_hash("pin", context.aggregate_id, stop_id, pin)
