"""Of each rule a refusal, with values as they may be."""

from commands.attempts import ContactFirst, WaitFirst
from commands.carried import TaskOnHold, TaskWithCarrier, TaskWithRider
from commands.carrier import NoServiceLevel
from commands.carrier_area import OutletNotServed, PostalCodeNotServed
from commands.carrier_booking import (
    BookingAnswered,
    FeeCurrencyDiffers,
    GoodsWithCarrier,
    QuoteExpired,
    TaskRefusedCarrier,
)
from commands.carrier_contract import CarrierNotActive, CurrencyNotAgreed, UnknownCarrier, UnknownServiceLevel
from commands.carrier_feed import NoSuchConflict
from commands.cloning import CloneAnswered
from commands.context import UnknownHub, UnknownOutlet, UnknownTenant
from commands.fence_calendar import InvalidCalendar
from commands.fence_shape import InvalidShape
from commands.field_reports import TooFarFromStop
from commands.geofence import SoAlready
from commands.goods import ItemNotKnown, NotADropoff, ParcelNotKnown
from commands.hand_over import HandOverIncomplete, HandOverPending, NotOfferedToYou
from commands.incident import (
    ActionAnswered,
    ActionsOutstanding,
    ClaimValueMissing,
    HighestLevel,
    IncidentFull,
    NotInvolved,
    TimelineMissing,
    UnknownLink,
)
from commands.judging import COMMAND_LIMIT_BYTES
from commands.order import AlreadyExists, CommandTooLarge, IdempotencyKeyReused, VersionConflict
from commands.pick_wave import PickWaveOfAnotherOutlet
from commands.place_contacts import NotAName
from commands.plan import PlanOutdated
from commands.proof import ParcelNotHere, PinAttemptsExhausted, ProofNotKnown, TooManyProofs
from commands.provider_config import ProviderMisconfigured, ProviderNamedTwice
from commands.recurrence import NoSuchRefusal, NotAnOccurrence, NothingAhead, OccurrenceAnswered
from commands.recurrence_rule import InvalidRule
from commands.refusals import (
    InTheFuture,
    NotAnInterval,
    NotATestTenant,
    TooMany,
    UnknownDocument,
    UnknownIncident,
    UnknownPickWave,
    UnknownTask,
    UnknownTender,
    UnknownVehicle,
)
from commands.registries import DuplicateCode, UnknownDocumentKind, UnknownFailureReason, UnknownIncidentKind
from commands.rider_refusals import (
    CannotReserve,
    CannotStartShift,
    DeviceTaken,
    GoodsAboard,
    HandOverAnswered,
    ItineraryChanged,
    NextStopIsLocked,
    NotReserved,
    NotThatItinerary,
    OutOfOrder,
    RestTooShort,
    SimulatedRider,
    TooHeavyThatWay,
    UnknownAnomaly,
    UnknownRider,
)
from commands.service_zones import UnknownServiceZone
from commands.simulated import NothingToSimulate, SimulatedApart
from commands.sla_policy import LevelsNotAscending, NothingPromised, SlaScopeTaken, TooManyPolicies
from commands.task import UnknownConflict
from commands.task_creation import HubClosedNow, ParcelMismatch, StopsMismatch
from commands.task_state import GoodsInCustody, NotForThisKind, NotTheAssignee, StopNotKnown
from commands.task_timing import NotAPlaceOfGoods
from commands.tenant import ClockTooFarAhead, ForgettingAnswered, OnePersonToForget, UnknownPerson
from commands.tender import BidInAnotherCurrency, BidNeeded, NoBids, NotYourOffer, OfferHasExpired, OfferNotPending
from commands.vehicle import VehicleTaken, VehicleUnfit
from commands.vehicle_fitness import FitnessStatedAnew
from commands.vehicle_upkeep import DueMissing, NotYourVehicle, OdometerWentBack, UnknownMaintenance
from commands.waiting import CircularDependency, DependencyAnswered, UnknownDependency
from gateway.examples.incidents import VEHICLE
from gateway.examples.lumi import (
    ANOMALY_ID,
    BAG,
    CARRIER_ID,
    CONFLICT_ID,
    FROM_SHOP,
    HUB,
    INCIDENT_ID,
    OFFER_ID,
    OTHER_RIDER_ID,
    OUTLET,
    PHONE,
    PROOF_ID,
    RIDER_ID,
    SECOND_OUTLET,
    SLA_POLICY_ID,
    STATUS_CONFLICT_ID,
    TASK_ID,
    TENDER_ID,
    TO_DOOR,
    TRANSFER_ID,
    WAVE_ID,
    ZONE_ID,
    at,
)
from schemas.directory import MAX_CLOCK_AHEAD_S
from schemas.incident import HIGHEST_LEVEL, MAX_LINKS
from schemas.load import Overload
from schemas.message import NotInThisState, Refused, TaskId, UnknownAggregate
from schemas.money import Money
from schemas.proof import MAX_PROOFS_OF_STOP
from schemas.registries import DOCUMENT_KINDS, FAILURE_REASONS, INCIDENT_KINDS
from schemas.rider import MAX_PLANNED_SHIFTS
from schemas.sla_policy import MAX_POLICIES
from schemas.zones import UnknownZone

TASK = TaskId(TASK_ID)

OF_ANY: tuple[Refused, ...] = (
    IdempotencyKeyReused(TASK_ID),
    AlreadyExists(TASK_ID),
    VersionConflict(expected=6, actual=7),
    CommandTooLarge(1_310_720, COMMAND_LIMIT_BYTES),
    UnknownAggregate("task", TASK_ID),
    NotInThisState(needed="assigned", actual="completed"),
    NotAnInterval(at(12), at(10)),
    InTheFuture("occurred_at", at(14), at(10)),
    TooMany("planned shifts", MAX_PLANNED_SHIFTS),
    DuplicateCode("lift_broken"),
    NotAName("desk", "hidden"),
)

OF_THE_DIRECTORY: tuple[Refused, ...] = (
    UnknownTenant("lumy"),
    UnknownOutlet("kampi"),
    UnknownHub("pasilla"),
    UnknownZone("Europe/Helsingfors"),
    UnknownServiceZone(ZONE_ID),
    UnknownFailureReason("no_one_home", [reason.code for reason in FAILURE_REASONS]),
    UnknownIncidentKind("acident", [kind.code for kind in INCIDENT_KINDS]),
    UnknownDocumentKind("passport", [kind.code for kind in DOCUMENT_KINDS if kind.of == "rider"]),
    InvalidShape(
        "the ring crosses or touches itself: the edges after its vertices 0 and 2 meet",
        "rings",
        0,
        0,
        place=(24.95, 60.17),
    ),
    InvalidCalendar("its hours on monday overlap those of number 0, counted from 0", "weekly", 1),
    SoAlready(at(14), at(12)),
    NotATestTenant(),
    OnePersonToForget(),
    UnknownPerson(f"{TASK_ID}/{TO_DOOR}"),
    ForgettingAnswered(2),
    ClockTooFarAhead(MAX_CLOCK_AHEAD_S + 3_600, MAX_CLOCK_AHEAD_S),
    NothingPromised(),
    LevelsNotAscending([30, 15, 60]),
    TooManyPolicies(MAX_POLICIES),
    SlaScopeTaken(SLA_POLICY_ID),
    ProviderMisconfigured(0, "valhalla", "url_missing"),
    ProviderNamedTwice(1, "osrm"),
)

OF_TASKS: tuple[Refused, ...] = (
    StopsMismatch(f"the window of {TO_DOOR} ends before it starts", TO_DOOR),
    ParcelMismatch(BAG, "is dropped off before it is picked up"),
    HubClosedNow(HUB),
    CircularDependency(TASK_ID),
    UnknownTask("depends_on", TRANSFER_ID),
    UnknownPickWave(WAVE_ID),
    PickWaveOfAnotherOutlet(SECOND_OUTLET, OUTLET),
    PlanOutdated(at(9), at(9, 15)),
    DependencyAnswered(TRANSFER_ID),
    UnknownDependency(TRANSFER_ID),
    CloneAnswered(2),
    InvalidRule("cannot have BYSECOND with DAILY"),
    NothingAhead("FREQ=DAILY;UNTIL=20260301"),
    NotAnOccurrence("2026-03-07T10:00"),
    OccurrenceAnswered(at(7)),
    NoSuchRefusal(at(7)),
    StopNotKnown("dor"),
    NotTheAssignee(OTHER_RIDER_ID),
    NothingToSimulate("lost", "parcels"),
    SimulatedApart(),
    NotForThisKind(needed="return", actual="delivery"),
    NotAPlaceOfGoods(TO_DOOR),
    GoodsInCustody(2),
    UnknownConflict(CONFLICT_ID),
    HandOverIncomplete([BAG]),
    HandOverPending(OTHER_RIDER_ID),
    NotOfferedToYou(RIDER_ID),
    ContactFirst("customer_unavailable", needed=2, made=1),
    WaitFirst("customer_unavailable", needed_s=300, waited_s=120),
    TooFarFromStop(distance_m=420, allowed_m=150),
    ParcelNotHere("bag-3", TO_DOOR),
    ParcelNotKnown("bag-3"),
    ItemNotKnown(BAG, "kettle-white"),
    NotADropoff("shop"),
    ProofNotKnown(PROOF_ID, TO_DOOR),
    TooManyProofs(MAX_PROOFS_OF_STOP),
    PinAttemptsExhausted(5),
)

OF_RIDERS: tuple[Refused, ...] = (
    DeviceTaken(PHONE),
    UnknownAnomaly(ANOMALY_ID),
    UnknownRider(OTHER_RIDER_ID),
    TooHeavyThatWay(Overload(measure="volume_cm3", load=14_500, limit=12_000)),
    NextStopIsLocked(TASK, TO_DOOR),
    UnknownDocument("licence-2"),
    CannotStartShift("document_missing", "licence"),
    CannotReserve(Overload(measure="parcels", load=21, limit=20)),
    NotReserved(TASK_ID),
    ItineraryChanged(given=4, actual=6),
    NotThatItinerary(),
    OutOfOrder(TASK, TO_DOOR, FROM_SHOP),
    SimulatedRider(),
    RestTooShort(at(6, day=3)),
    GoodsAboard([TASK]),
    HandOverAnswered(TASK),
    OfferNotPending(OFFER_ID),
    NotYourOffer(OFFER_ID, OTHER_RIDER_ID),
    OfferHasExpired(OFFER_ID, at(9, 31)),
    BidNeeded(),
    NoBids(Money(amount_minor=950, currency="EUR")),
    BidInAnotherCurrency("SEK", "EUR"),
)

OF_VEHICLES: tuple[Refused, ...] = (
    VehicleUnfit("inspection_failed"),
    VehicleTaken(OTHER_RIDER_ID),
    FitnessStatedAnew(given=3, latest=4),
    NotYourVehicle(RIDER_ID),
    OdometerWentBack(given_km=18_100, known_km=18_212),
    DueMissing(),
    UnknownMaintenance("service-2027"),
)

OF_CARRIERS: tuple[Refused, ...] = (
    NoServiceLevel(),
    UnknownCarrier(CARRIER_ID),
    CarrierNotActive(CARRIER_ID, "suspended"),
    UnknownServiceLevel("overnight", ["express", "same_day"]),
    CurrencyNotAgreed("SEK", ["EUR"]),
    QuoteExpired(at(10, 10)),
    TaskRefusedCarrier("postal_code_not_served"),
    TaskOnHold("waits_for_stock"),
    TaskWithCarrier(CARRIER_ID),
    TaskWithRider(RIDER_ID),
    OutletNotServed(FROM_SHOP, SECOND_OUTLET),
    PostalCodeNotServed(TO_DOOR),
    FeeCurrencyDiffers("SEK", "EUR"),
    GoodsWithCarrier(),
    BookingAnswered("cancelled"),
    NoSuchConflict(STATUS_CONFLICT_ID),
)

OF_INCIDENTS: tuple[Refused, ...] = (
    IncidentFull("links", MAX_LINKS),
    ActionsOutstanding(["ground_vehicle", "hand_over_tasks"]),
    ActionAnswered("suspend_rider"),
    HighestLevel(HIGHEST_LEVEL),
    NotInvolved(OTHER_RIDER_ID),
    TimelineMissing(),
    ClaimValueMissing(),
    UnknownLink(VEHICLE),
    UnknownVehicle(VEHICLE.id),
    UnknownTender(TENDER_ID),
    UnknownIncident(INCIDENT_ID),
)

REFUSALS: dict[type[Refused], Refused] = {
    type(refused): refused
    for group in (OF_ANY, OF_THE_DIRECTORY, OF_TASKS, OF_RIDERS, OF_VEHICLES, OF_CARRIERS, OF_INCIDENTS)
    for refused in group
}
