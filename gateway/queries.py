"""The query endpoints: one table of listings and one of single aggregates, each over its read model."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import datetime
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

import msgspec

from commands.aggregates import BY_PLURAL
from commands.carrier import CarrierStatus
from commands.carrier_booking_state import BookingStatus
from commands.incident_state import IncidentStatus
from commands.pick_wave import WaveStatus
from commands.plan import PlanStatus
from commands.task_state import TaskState
from commands.vehicle_state import VehicleStatus
from gateway import log
from gateway.allowed import PERSONAL, READERS
from gateway.call import Call
from gateway.commands import tenant_of
from gateway.door import Door
from gateway.entry import Entry
from gateway.fence_now import as_it_holds
from gateway.in_force import in_force
from gateway.parameters import (
    CURSOR,
    DEFAULT_LIMIT,
    LIMIT,
    MIN_VERSION,
    After,
    Parameter,
    box,
    choice,
    cursor_of,
    entry,
    flag,
    id_of,
    moment,
    parameters_of,
    text,
)
from gateway.permitted import may_send, permitted
from gateway.personal import Opener, opener, shown
from gateway.place_contacts import CONTACTS_AFTER_END, PARTIES, PLACES, readable
from gateway.problems import not_found
from gateway.reading import Connection, Reading, Row, parked_of
from gateway.reply import Reply, json_reply
from gateway.tenant_read import as_read
from gateway.tokens import Caller
from gateway.upcoming import with_upcoming
from projections import (
    anomalies,
    carrier_bookings,
    carriers,
    deadlines,
    dispatch_decisions,
    eta_scores,
    etas,
    exception_desk,
    fence_alerts,
    fleets,
    geofence_versions,
    geofences,
    hubs,
    incident_register,
    live_map,
    outlets,
    pick_waves,
    plans,
    provider_configs,
    quarantine,
    recurrences,
    rider_roster,
    sla_board,
    sla_policies,
    task_board,
    task_detail,
    task_incidents,
    tender_board,
    trips,
    vehicle_roster,
    windows,
)
from projections.model import Readable, ReadModel
from projections.windows import WINDOW_STATES
from schemas.fix_rules import REASONS
from schemas.hub import HubKind
from schemas.position import Vector, token
from schemas.recurrence import RecurrenceStatus
from schemas.registries import Severity
from schemas.signals import ANOMALIES, Transition
from schemas.sla import Promise
from schemas.task_kind import Priority, TaskKind
from schemas.vehicle import VehicleKind

UNSHOWN = frozenset({"tenant", "progress", "created_by", "frame"})
"""The path names the tenant; the progress is the fold's own, as are the command that the secrets hang on and the frame
that a trip's points are found by."""

METADATA = entry("An entry that its metadata have, as key:value.")
OF_PLACES = {"metadata": METADATA, "updated_since": moment("What has changed since then.")}
OF_WHAT_IS_CREATED = {"external_reference": text("The caller's own reference."), **OF_PLACES}

INCIDENT_OPEN = flag("Whether an incident links to it that is neither resolved nor sealed.")
SLA_PERIOD = {
    "since": moment("Of promises whose clock started then or later."),
    "until": moment("Of promises whose clock started before."),
}

ETA_STATISTICS = {
    "by": choice(tuple(eta_scores.GROUPS), "What is counted together; without it, how long before the arrival."),
    "since": moment("Of arrivals then or later."),
    "until": moment("Of arrivals before."),
}

type Page = Callable[[Connection, str, dict[str, Any]], Awaitable[list[Row]]]


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """`order` names the columns of its keyset: a time and an id."""

    word: str
    model: Readable
    page: Page
    filters: Mapping[str, Parameter]
    order: tuple[str, str]
    about: str
    also: tuple[Readable, ...] = ()
    """Other models that its query looks at: they are to be as fresh."""
    follows: tuple[str, ...] = ()
    """The columns with the aggregates that a row is folded from, where they are not its key."""

    @property
    def parameters(self) -> Mapping[str, Parameter]:
        return {**self.filters, "limit": LIMIT, "after": CURSOR}

    @property
    def aggregates(self) -> tuple[str, ...]:
        return self.follows or (self.model.key[1],)


class Single(msgspec.Struct, frozen=True, kw_only=True):
    plural: str
    readers: str
    """Its word in the table of readers."""
    model: ReadModel
    about: str


LISTINGS = (
    Listing(
        word="task-board",
        model=task_board.TASK_BOARD,
        page=task_board.page,
        filters={
            "state": choice(get_args(TaskState.__value__), "The state."),
            "outlet": text("The outlet's slug."),
            "kind": choice(get_args(TaskKind), "The kind."),
            "priority": choice(get_args(Priority), "How pressing it is."),
            "held": flag("Whether it is kept from dispatch."),
            "sla_at_risk": flag("Whether something that was promised may come too late."),
            "sla_breached": flag("Whether something that was promised is late, or was."),
            "incident_open": INCIDENT_OPEN,
            "waits_for": text("The id of a task or a pick wave that it still waits for."),
            "shipment_id": text("The shipment that it is part of."),
            "recurrence_id": text("The recurrence that it is an occurrence of."),
            "rider_id": text("Who has the task."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "task_id"),
        also=(incident_register.INCIDENT_REGISTER,),
        about="Which tasks are there, how far are they, and who has them? A rider sees their own.",
    ),
    Listing(
        word="tasks",
        model=task_detail.TASK_DETAIL,
        page=task_detail.page,
        filters={"incident_open": INCIDENT_OPEN, "rider_id": text("Who has the task."), **OF_WHAT_IS_CREATED},
        order=("created_at", "task_id"),
        also=(incident_register.INCIDENT_REGISTER,),
        about="The tasks under way in full, their stops' places among it. A rider sees their own.",
    ),
    Listing(
        word="rider-roster",
        model=rider_roster.RIDER_ROSTER,
        page=rider_roster.page,
        filters={
            "status": choice(("invited", "approved", "rejected", "suspended"), "The rider's status."),
            "on_shift": flag("Whether the rider is on a shift that is not ending."),
            "zone": text("A zone that is among those of the rider: the id of its geofence."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "rider_id"),
        about="Who drives, who may, who is on shift, and what stands on their itineraries?",
    ),
    Listing(
        word="vehicle-roster",
        model=vehicle_roster.VEHICLE_ROSTER,
        page=vehicle_roster.page,
        filters={
            "kind": choice(get_args(VehicleKind), "What it is."),
            "status": choice(get_args(VehicleStatus.__value__), "The vehicle's status."),
            "rider_id": text("Who has it."),
            "outlet": text("The slug of the outlet where it is at home."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "vehicle_id"),
        about="Which vehicles are there, who has them, may they drive, what care do they need? A rider sees their own.",
    ),
    Listing(
        word="fleets",
        model=fleets.FLEETS,
        page=fleets.page,
        filters={
            "rider_id": text("Who is in it."),
            "vehicle_id": text("Which vehicle is in it."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "fleet_id"),
        about="Which fleets has the tenant, and who and what is in them? Retired ones too.",
    ),
    Listing(
        word="tender-board",
        model=tender_board.TENDER_BOARD,
        page=tender_board.page,
        filters={
            "state": choice(("open", "awarded", "exhausted", "withdrawn"), "The tender's state."),
            "task_id": text("The task that is offered."),
        },
        order=("created_at", "tender_id"),
        about="Which tenders are there, who has been asked, and who won? A rider sees offers to themself.",
    ),
    Listing(
        word="dispatch-decisions",
        model=dispatch_decisions.DISPATCH_DECISIONS,
        page=dispatch_decisions.page,
        filters={"task_id": text("The task.")},
        order=("decided_at", "tender_id"),
        about="Why this rider, and why nobody?",
    ),
    Listing(
        word="windows",
        model=windows.WINDOWS,
        page=windows.page,
        filters={
            "status": choice(WINDOW_STATES, "How far it is."),
            "task_id": text("A task that is, or was, in it."),
        },
        order=("opened_at", "window_id"),
        about="Which batch windows are there, which tasks wait in them, and who was given what?",
    ),
    Listing(
        word="pick-waves",
        model=pick_waves.PICK_WAVES,
        page=pick_waves.page,
        filters={
            "outlet": text("The outlet's slug."),
            "status": choice(get_args(WaveStatus.__value__), "How far it is."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "pick_wave_id"),
        about="Which pick waves are there, when are their goods ready, and which tasks are in them?",
    ),
    Listing(
        word="plans",
        model=plans.PLANS,
        page=plans.page,
        filters={"status": choice(get_args(PlanStatus.__value__), "How far it is."), **OF_WHAT_IS_CREATED},
        order=("created_at", "plan_id"),
        about="Which plans are there, and what came of them? Their routes stand in each plan itself.",
    ),
    Listing(
        word="carrier-bookings",
        model=carrier_bookings.CARRIER_BOOKINGS,
        page=carrier_bookings.page,
        filters={
            "status": choice(get_args(BookingStatus.__value__), "How far it is."),
            "task_id": text("The task."),
            "carrier_id": text("The carrier."),
            "silent": flag("Whether the carrier has fallen silent."),
            "refused": flag("Whether its task is not with it, and why: `refusal`."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "carrier_booking_id"),
        about="Which tasks are in carriers' hands, how far are they, and what was heard of them last?",
    ),
    Listing(
        word="recurrences",
        model=recurrences.RECURRENCES,
        page=recurrences.page,
        filters={
            "status": choice(get_args(RecurrenceStatus), "Whether it goes on."),
            "outlet": text("The outlet's slug."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "recurrence_id"),
        about="What recurs, by which rule, what comes next, and what came of it last?",
    ),
    Listing(
        word="exception-desk",
        model=exception_desk.EXCEPTION_DESK,
        page=exception_desk.page,
        filters={
            "kind": choice(exception_desk.KINDS, "What is the matter."),
            "aggregate_id": text("The task, incident, vehicle, rider, booking or recurrence."),
        },
        order=("since", "id"),
        also=(etas.ETAS, task_board.TASK_BOARD, rider_roster.RIDER_ROSTER, geofences.GEOFENCES),
        about="What needs a person now, since when, and which commands would mend it?",
    ),
    Listing(
        word="sla-board",
        model=sla_board.SLA_BOARD,
        page=sla_board.page,
        filters={
            "status": choice(get_args(sla_board.SlaStatus), "How it stands with the promise."),
            "promise": choice(get_args(Promise), "What was promised."),
            "outlet": text("The outlet's slug."),
            "task_id": text("The task."),
            "sla_policy_id": text("The policy that promised it."),
            "at_risk": flag("Whether it is at risk, or was."),
        },
        order=("updated_at", "id"),
        about="What was promised for which task, by when, and is it kept?",
    ),
    Listing(
        word="incident-register",
        model=incident_register.INCIDENT_REGISTER,
        page=incident_register.page,
        filters={
            "status": choice(get_args(IncidentStatus.__value__), "The incident's status."),
            "kind": text("A kind of the tenant's registry."),
            "severity": choice(get_args(Severity), "How severe it is."),
            "assignee": text("Who attends to it."),
            "linked_to": text("The id of a task, a rider or another aggregate that it links to."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "incident_id"),
        about="Which incidents are there, who attends to them, and what is still to be done?",
    ),
    Listing(
        word="deadlines",
        model=deadlines.DEADLINES,
        page=deadlines.page,
        filters={},
        order=("due_at", "subject"),
        about="What falls due, when, and for whom?",
    ),
    Listing(
        word="outlets",
        model=outlets.OUTLETS,
        page=outlets.page,
        filters=OF_PLACES,
        order=("created_at", "outlet_id"),
        about="Which outlets has the tenant, and where are they?",
    ),
    Listing(
        word="hubs",
        model=hubs.HUBS,
        page=hubs.page,
        filters={"kind": choice(get_args(HubKind), "Whether it is a hub or a locker."), **OF_PLACES},
        order=("created_at", "hub_id"),
        about="Which hubs has the tenant, where are they, and which are closed?",
    ),
    Listing(
        word="sla-policies",
        model=sla_policies.SLA_POLICIES,
        page=sla_policies.page,
        filters=OF_WHAT_IS_CREATED,
        order=("created_at", "sla_policy_id"),
        about="What is promised for which tasks? Removed policies too.",
    ),
    Listing(
        word="provider-configs",
        model=provider_configs.PROVIDER_CONFIGS,
        page=provider_configs.page,
        filters={},
        order=("created_at", "provider_config_id"),
        about="Whom does the tenant ask for ways, and in which order? Nobody's where it has set nothing.",
    ),
    Listing(
        word="carriers",
        model=carriers.CARRIERS,
        page=carriers.page,
        filters={
            "status": choice(get_args(CarrierStatus.__value__), "The contract's status."),
            **OF_WHAT_IS_CREATED,
        },
        order=("created_at", "carrier_id"),
        about="Which carriers has the tenant, can they be booked, and on which terms?",
    ),
    Listing(
        word="geofences",
        model=geofences.GEOFENCES,
        page=geofences.page,
        filters=OF_WHAT_IS_CREATED,
        order=("created_at", "geofence_id"),
        about="Which fences stand, in what shape now, in which one later, from when until when?",
    ),
    Listing(
        word="geofence-versions",
        model=geofence_versions.GEOFENCE_VERSIONS,
        page=geofence_versions.page,
        filters={
            "geofence_id": text("The fence."),
            "held_at": moment("Those that hold at this moment, as is known by now."),
        },
        order=("valid_from", "id"),
        about="Which shape, stay and calendar did a fence have when? From `valid_from` up to `valid_until`; what was "
        "told and never held is not there.",
    ),
    Listing(
        word="live-map",
        model=live_map.LIVE_MAP,
        page=live_map.page,
        filters={
            "bbox": box("west,south,east,north in degrees; it may cross the antimeridian."),
            "rider_id": text("One rider."),
            "on_duty": flag("Without it, true; false: those off duty, where they were last."),
        },
        order=("observed_at", "rider_id"),
        also=(rider_roster.RIDER_ROSTER,),
        about="Where is each rider who is on duty now? A rider sees themself.",
    ),
    Listing(
        word="fence-alerts",
        model=fence_alerts.FENCE_ALERTS,
        page=fence_alerts.page,
        filters={
            "rider_id": text("Who it was."),
            "geofence_id": text("The fence."),
            "transition": choice(get_args(Transition), "What happened."),
            "since": moment("Of what happened then or later, as it stands now."),
            "until": moment("Of what happened before."),
        },
        order=("recorded_at", "signal_id"),
        about="Who entered and left which fence, stayed in it or crossed it, when, and was it corrected since? A rider "
        "sees their own.",
        follows=("rider_id",),
    ),
    Listing(
        word="etas",
        model=etas.ETAS,
        page=etas.page,
        filters={
            "task_id": text("The task."),
            "rider_id": text("Who is on the way."),
            "open": flag("Whether the stop is still ahead."),
        },
        order=("forecast_at", "id"),
        about="When will each stop be reached, how sure is that, and is it late? A rider sees their own.",
        follows=("task_id", "rider_id"),
    ),
    Listing(
        word="eta-scores",
        model=eta_scores.ETA_SCORES,
        page=eta_scores.page,
        filters={
            "task_id": text("The task."),
            "rider_id": text("Who was on the way."),
            "model": text("What it was told by."),
        },
        order=("forecast_at", "id"),
        about="How good were the forecasts? Each of them, beside when the rider was there.",
    ),
    Listing(
        word="anomalies",
        model=anomalies.ANOMALIES,
        page=anomalies.page,
        filters={
            "rider_id": text("Of whom it is told."),
            "kind": choice(ANOMALIES, "What is odd."),
            "state": choice(anomalies.STATES, "Whether it is over."),
            "since": moment("Of what was so then or later: what is not over is so still."),
            "until": moment("Of what began before."),
        },
        order=("recorded_at", "anomaly_id"),
        about="What was odd about riders' ways, which fixes show it, and is it over? A rider sees their own.",
    ),
    Listing(
        word="trips",
        model=trips.TRIPS,
        page=trips.page,
        filters={
            "rider_id": text("Whose they are."),
            "vehicle_id": text("The vehicle that the rider had."),
            "since": moment("Of trips that ended then or later."),
            "until": moment("Of trips that began before."),
        },
        order=("recorded_at", "trip_id"),
        about="Which trips did riders make, from where to where, and how far? A rider sees their own.",
    ),
    Listing(
        word="quarantine",
        model=quarantine.QUARANTINE,
        page=quarantine.page,
        filters={"device_id": text("The device."), "reason": choice(REASONS, "Why it was put aside.")},
        order=("received_at", "id"),
        about="Which fixes were put aside, and why?",
    ),
)
SINGLES = (
    Single(
        plural="tasks",
        readers="tasks",
        model=task_detail.TASK_DETAIL,
        about="One task: its stops, its parcels and where they are, its proofs, who has it.",
    ),
    Single(
        plural="riders",
        readers="riders",
        model=rider_roster.RIDER_ROSTER,
        about="One rider: documents, breaches, shift and hours, reservations, itinerary. Riders read themselves.",
    ),
    Single(
        plural="vehicles",
        readers="vehicles",
        model=vehicle_roster.VEHICLE_ROSTER,
        about="One vehicle: outfit, documents, inspection, maintenance. A rider reads the one assigned to them.",
    ),
    Single(plural="fleets", readers="fleets", model=fleets.FLEETS, about="One fleet: who and what is in it."),
    Single(
        plural="tenders",
        readers="tender-board",
        model=tender_board.TENDER_BOARD,
        about="One tender: who was asked, who won. A rider sees their own offer.",
    ),
    Single(
        plural="windows",
        readers="windows",
        model=windows.WINDOWS,
        about="One batch window: which tasks waited in it, who was given what, and what was left, and why.",
    ),
    Single(
        plural="pick-waves",
        readers="pick-waves",
        model=pick_waves.PICK_WAVES,
        about="One pick wave: when its goods are ready, and which tasks are in it.",
    ),
    Single(
        plural="plans",
        readers="plans",
        model=plans.PLANS,
        about="One plan: each rider's route with its times, why tasks are left out, and what came of each.",
    ),
    Single(
        plural="carrier-bookings",
        readers="carrier-bookings",
        model=carrier_bookings.CARRIER_BOOKINGS,
        about="One booking: its quote, who drives, what the carrier says, and what does not fit.",
    ),
    Single(
        plural="recurrences",
        readers="recurrences",
        model=recurrences.RECURRENCES,
        about="One recurrence: its rule, the task of each occurrence, and what comes next.",
    ),
    Single(
        plural="incidents",
        readers="incident-register",
        model=incident_register.INCIDENT_REGISTER,
        about="One incident: what it is about, evidence, what was done and what is still to be done.",
    ),
    Single(plural="outlets", readers="outlets", model=outlets.OUTLETS, about="One outlet."),
    Single(plural="hubs", readers="hubs", model=hubs.HUBS, about="One hub."),
    Single(plural="sla-policies", readers="sla-policies", model=sla_policies.SLA_POLICIES, about="One SLA policy."),
    Single(
        plural="provider-configs",
        readers="provider-configs",
        model=provider_configs.PROVIDER_CONFIGS,
        about="Whom the tenant asks for ways, within which bounds.",
    ),
    Single(plural="carriers", readers="carriers", model=carriers.CARRIERS, about="One carrier and its terms."),
    Single(plural="geofences", readers="geofences", model=geofences.GEOFENCES, about="One geofence."),
)
OWN_FILTER = {"external_reference": "reference"}
"""A parameter's name as its query knows it, where they differ."""


class Queries:
    def __init__(self, door: Door, entry: Entry, reading: Reading) -> None:
        self._door = door
        self._entry = entry
        self._reading = reading

    async def listing(self, call: Call, listing: Listing) -> Reply:
        caller = self._entry.admitted(call, READERS[listing.word], f"read {listing.word}")
        given = parameters_of(call, listing.parameters)
        limit = given.get("limit", DEFAULT_LIMIT)
        now = self._door.now(tenant_of(call))
        filters = filters_of(listing, given, caller) | {"limit": limit + 1, "now": now}

        async def query(connection: Connection) -> tuple[list[Row], set[str]]:
            rows = await listing.page(connection, tenant_of(call), filters)
            ids = {row[column] for row in rows for column in listing.aggregates if row[column] is not None}
            return rows, await parked_of(connection, listing.model, sorted(ids))

        for other in listing.also:
            await self._reading.fresh(call, other, nothing)
        (rows, parked), at = await self._reading.fresh(call, listing.model, query)
        page = rows[:limit]
        headers = [vector_header(at)]
        if listing.word in PLACES:
            page = await self._readable(listing.word, page, caller)
        body: dict[str, Any] = {"items": self._items(call, listing, page, caller)}
        if listing.word == "geofences":
            body["items"] = await self._fences_now(call, body["items"])
        if parked:
            body["parked"] = sorted(parked)
        if len(rows) > limit:
            body["next"] = cursor_of(After(*(page[-1][name] for name in listing.order)))
            headers.append((b"link", next_link(call, body["next"])))
        return json_reply(body, headers=headers)

    async def single(self, call: Call, single: Single) -> Reply:
        caller = self._entry.admitted(call, READERS[single.readers], f"read {single.plural}")
        aggregate_id = id_of(call)
        min_version = parameters_of(call, {"min_version": MIN_VERSION}).get("min_version", 0)
        row, at = await self._reading.one(call, single.model, tenant_of(call), aggregate_id, min_version)
        if row is None or not may_see(single.plural, row, caller):
            raise not_found(f"there is no {BY_PLURAL[single.plural].kind} {aggregate_id}")
        async with self._reading.connection() as connection:
            parked = await parked_of(connection, single.model, [aggregate_id])
        if single.plural in PLACES:
            [row] = await self._readable(single.plural, [row], caller)
        opens = self._opens(single.plural, row, caller)
        body = self._shown(call, row, aggregate_id, opens, offered_to(single.plural, row, caller))
        body |= permitted(BY_PLURAL[single.plural].kind, aggregate_id, row, caller)
        if single.plural == "tasks":
            body |= await self._flagged(call, aggregate_id)
        if single.plural == "sla-policies":
            body["in_force"] = in_force(row, self._door.policy.tenant(tenant_of(call)))
        if single.plural == "geofences":
            [body] = await self._fences_now(call, [body])
        if single.plural == "recurrences":
            body = with_upcoming(body, row)
        if caller.role == "rider" and single.plural == "tenders":
            body = with_own_offer(body, caller)
        if parked:
            body["parked"] = True
        headers = [vector_header(at), (b"etag", b'"v%d"' % row["version"])]
        return json_reply(body, headers=headers)

    async def _flagged(self, call: Call, task_id: str) -> Row:
        tenant = tenant_of(call)
        is_open, _ = await self._reading.fresh(
            call,
            incident_register.INCIDENT_REGISTER,
            lambda connection: task_incidents.incident_open(connection, tenant, task_id),
        )
        return {"incident_open": is_open}

    async def _fences_now(self, call: Call, items: list[Row]) -> list[Row]:
        tenant, fences = tenant_of(call), [item["geofence_id"] for item in items]
        now = self._door.now(tenant)
        versions, _ = await self._reading.fresh(
            call,
            geofence_versions.GEOFENCE_VERSIONS,
            lambda connection: geofence_versions.now_and_later(connection, tenant, fences, now),
        )
        return [as_it_holds(item, versions.get(item["geofence_id"], []), now) for item in items]

    async def counts(self, call: Call) -> Reply:
        """How many tasks there are, by state, outcome and whether they came late."""
        self._entry.admitted(call, READERS["task-counts"], "count tasks")
        parameters_of(call, {})
        tenant = tenant_of(call)
        rows, at = await self._reading.fresh(call, task_board.TASK_BOARD, lambda c: task_board.counts(c, tenant))
        return json_reply({"items": rows}, headers=[vector_header(at)])

    async def sla_statistics(self, call: Call) -> Reply:
        """How many promises were kept, by policy, promise, outlet, kind and priority."""
        self._entry.admitted(call, READERS["sla-statistics"], "read sla-statistics")
        period = parameters_of(call, SLA_PERIOD)
        tenant = tenant_of(call)
        rows, at = await self._reading.fresh(
            call, sla_board.SLA_BOARD, lambda c: sla_board.statistics(c, tenant, period)
        )
        return json_reply({"items": rows}, headers=[vector_header(at)])

    async def eta_statistics(self, call: Call) -> Reply:
        """How far forecasts were off, and how often their bounds held."""
        self._entry.admitted(call, READERS["eta-statistics"], "read eta-statistics")
        asked = parameters_of(call, ETA_STATISTICS)
        by, tenant = asked.pop("by", "horizon"), tenant_of(call)
        rows, at = await self._reading.fresh(
            call, eta_scores.ETA_SCORES, lambda c: eta_scores.statistics(c, tenant, by, asked)
        )
        return json_reply({"items": rows}, headers=[vector_header(at)])

    async def tenant(self, call: Call) -> Reply:
        """The tenant as decisions see it."""
        self._entry.admitted(call, READERS["tenant"], "read tenant")
        parameters_of(call, {})
        known = self._door.policy.tenant(tenant_of(call))
        assert known is not None, "the caller was admitted to it"
        return json_reply(as_read(known), headers=[(b"etag", b'"v%d"' % known.version)])

    def _items(self, call: Call, listing: Listing, rows: list[Row], caller: Caller) -> list[Row]:
        key = listing.model.key[1]
        items = [self._shown(call, row, row[key], self._opens_listed(listing.word, row, caller)) for row in rows]
        if caller.role == "rider" and listing.word == "tender-board":
            items = [with_own_offer(item, caller) for item in items if has_offer(item, caller)]
        if listing.word == "sla-policies":
            known = self._door.policy.tenant(tenant_of(call))
            items = [item | {"in_force": in_force(row, known)} for item, row in zip(items, rows, strict=True)]
        if listing.word == "exception-desk":
            items = [item | {"mends": [path for path in item["mends"] if may_send(path, caller)]} for item in items]
        return items

    def _opens_listed(self, word: str, row: Row, caller: Caller) -> bool:
        """A rider sees their own tasks and vehicle in a list as they do one by one, whom to ask at places, and
        where they were."""
        own = word in ("tasks", "vehicle-roster", "anomalies", "trips") or word in PLACES
        return self._opens(word, row, caller) if own else caller.role in PERSONAL

    async def _readable(self, word: str, rows: list[Row], caller: Caller) -> list[Row]:
        place, there = PLACES[word], frozenset[str]()
        if caller.role == "rider" and any(row["contacts"] for row in rows):
            since = self._door.now(caller.tenant) - CONTACTS_AFTER_END
            async with self._reading.connection() as connection:
                there = await task_detail.led_to(connection, caller.tenant, PARTIES[word], caller.subject, since)
        return [readable(row, place, caller, there) for row in rows]

    def _opens(self, plural: str, row: Row, caller: Caller) -> bool:
        """Whether the caller sees this row's personal data; a rider their own, and their tasks' for a while."""
        if caller.role in PERSONAL:
            return True
        if caller.role != "rider":
            return False
        return plural != "tasks" or self._contacts_open(row["progress"], row["tenant"], caller)

    def _contacts_open(self, progress: Mapping[str, Any], tenant: str, caller: Caller) -> bool:
        """A rider sees contacts from the acceptance until some hours after the end, whatever is told later."""
        if progress["rider_id"] != caller.subject:
            return False
        if progress["ended"] is None:
            return bool(progress["accepted"])
        ended_at = datetime.fromisoformat(progress["ended_at"])
        return bool(ended_at + CONTACTS_AFTER_END > self._door.now(tenant))

    def _shown(self, call: Call, row: Row, aggregate_id: str, opens: bool, opened: Collection[str] = ()) -> Row:
        """Without being open as a whole, in the columns `opened`."""
        by: Opener | None = None
        if opens or opened:
            by = opener(self._door.keyring, self._door.partitions, row["tenant"], aggregate_id)
        visible = {
            name: shown(value, by if opens or name in opened else None)
            for name, value in row.items()
            if name not in UNSHOWN
        }
        if by is not None and by.subjects:
            log.personal_read(call, aggregate_id, sorted(by.subjects))
        return with_progress(visible, row)


async def nothing(connection: Connection) -> None:
    """Nothing is asked but how far the model is."""


def filters_of(listing: Listing, given: Mapping[str, Any], caller: Caller) -> dict[str, Any]:
    filters = {OWN_FILTER.get(name, name): given[name] for name in listing.filters if name in given}
    filters |= filters.pop("bbox", {})
    if caller.role == "rider" and "rider_id" in listing.filters:
        filters["rider_id"] = caller.subject
    after: After | None = given.get("after")
    return filters if after is None else filters | {"at": after.at, "id": after.id}


def may_see(plural: str, row: Row, caller: Caller) -> bool:
    if caller.role != "rider":
        return True
    match plural:
        case "tasks":
            offered = row["hand_over"]
            return caller.subject in (row["progress"]["rider_id"], offered and offered["to_rider"])
        case "riders" | "vehicles":
            return bool(row["rider_id"] == caller.subject)
        case "tenders":
            return has_offer(row, caller)
        case _:
            return True


def offered_to(plural: str, row: Row, caller: Caller) -> Collection[str]:
    """To whom goods are offered sees where to meet, and the task's contacts once they have it."""
    offered = row["hand_over"] if plural == "tasks" else None
    return ("hand_over",) if offered and offered["to_rider"] == caller.subject else ()


def has_offer(tender: Row, caller: Caller) -> bool:
    return any(offer["rider_id"] == caller.subject for offer in tender["offers"].values())


def with_own_offer(tender: Row, caller: Caller) -> Row:
    """A rider learns nothing of the others who were asked."""
    own = {key: offer for key, offer in tender["offers"].items() if offer["rider_id"] == caller.subject}
    won = tender["winner"] if tender["winner"] == caller.subject else None
    return tender | {"offers": own, "waiting": [], "winner": won}


def with_progress(visible: Row, row: Row) -> Row:
    """A task's detail has its stops' progress beside each stop, and who has it."""
    progress = row.get("progress")
    if progress is None or "stops" not in visible:
        return visible
    stops = [stop | progress["stops"].get(stop["stop_id"], {}) for stop in visible["stops"]]
    for stop in stops:
        stop.pop("pin_hash", None)
        stop.pop("from_directory", None)
    about = ("rider_id", "carrier", "tender_id", "round", "accepted", "outcome", "reason_code")
    return visible | {"stops": stops} | {name: progress[name] for name in about}


def next_link(call: Call, cursor: str) -> bytes:
    """RFC 8288. The other parameters stand there as they were given."""
    others = [(name, value) for name, value in parse_qsl(call.query, keep_blank_values=True) if name != "after"]
    return f'<{call.path}?{urlencode([*others, ("after", cursor)])}>; rel="next"'.encode()


def vector_header(at: Vector) -> tuple[bytes, bytes]:
    return (b"logistics-consistency", token(at).encode())
