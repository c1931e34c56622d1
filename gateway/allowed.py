"""Who may send what, and who may read what. A command that is not here is for our own processes only."""

from collections.abc import Mapping

from schemas.carrier import (
    ActivateCarrier,
    ChangeCarrierDetails,
    ChangeCarrierTerms,
    EndCarrierContract,
    RegisterCarrier,
    ReinstateCarrier,
    SetCarrierChannel,
    SuspendCarrier,
)
from schemas.carrier_booking import (
    BookCarrier,
    CancelCarrierBooking,
    NameCarrierCourier,
    QuoteCarrierBooking,
    RecordCarrierStatus,
    ReviewCarrierStatus,
    SettleCarrierBooking,
)
from schemas.carrier_offer import AcceptCounter, DeclineCounter
from schemas.directory import (
    AdvanceTenantClock,
    ChangeGeofence,
    ChangeTenantRules,
    CreateGeofence,
    CreateOutlet,
    CreateTenant,
    MoveOutlet,
    RemoveGeofence,
    SetOutletContacts,
)
from schemas.field_report import (
    CaptureProof,
    ReportArrived,
    ReportAttemptFailed,
    ReportCollected,
    ReportContactAttempt,
    ReportCustomerArrived,
    ReportCustomerOnTheWay,
    ReportDelivered,
    ReportEnRoute,
    ReportHeld,
    ReportPickedUp,
    ReportReturned,
)
from schemas.fleet import (
    AddRiderToFleet,
    AddVehicleToFleet,
    ChangeFleet,
    CreateFleet,
    RemoveRiderFromFleet,
    RemoveVehicleFromFleet,
    RetireFleet,
)
from schemas.goods import InspectReturn, ReceiveTransfer, ReportParcelsDamaged, ReportParcelsLost
from schemas.hand_over import AcceptHandOver, DeclineHandOver, OfferHandOver, WithdrawHandOver
from schemas.hub import CloseHub, CreateHub, MoveHub, ReopenHub, SetHubContacts
from schemas.incident import (
    AssignIncident,
    AttachEvidence,
    ChangeIncidentSeverity,
    CommentIncident,
    EscalateIncident,
    FileAddendum,
    LinkIncident,
    ReopenIncident,
    ReportIncident,
    ResolveIncident,
    SealIncident,
    StateClaimValue,
    TakeIncidentAction,
    UnlinkIncident,
)
from schemas.message import Command, Input, Role
from schemas.person import ForgetPerson
from schemas.pick_wave import CancelPickWave, CreatePickWave, ReleasePickWave, RetimePickWave
from schemas.plan import CommitPlan, RejectPlan, RequestPlan
from schemas.proof import PhotoEntry, SignatureEntry
from schemas.provider_config import ClearProviders, CreateProviderConfig, SetProviders
from schemas.recurrence import (
    ChangeRecurrence,
    CreateRecurrence,
    EndRecurrence,
    PauseRecurrence,
    ResumeRecurrence,
    ReviewOccurrence,
    SkipOccurrence,
)
from schemas.registries import SetDocumentKinds, SetFailureReasons, SetIncidentKinds
from schemas.rider import (
    ApproveRider,
    BindDevice,
    DismissAnomaly,
    EndBreak,
    EndShift,
    LockNextStop,
    PlanShift,
    RegisterRider,
    ReinstateRider,
    RejectDocument,
    RejectRider,
    ReportComplianceBreach,
    ResequenceItinerary,
    SetRiderRating,
    SetRiderSkills,
    SetRiderZones,
    StartBreak,
    StartShift,
    SubmitDocument,
    SuspendRider,
    UnbindDevice,
    UnlockNextStop,
    VerifyDocument,
)
from schemas.route import RequestRoute
from schemas.sla_policy import ChangeSlaPolicy, CreateSlaPolicy, RemoveSlaPolicy
from schemas.task import (
    AcceptAssignment,
    AssignTask,
    AuthoriseReturn,
    CancelTask,
    CreateTask,
    DeclineAssignment,
    ForceCompleteTask,
    HoldTask,
    LocateStop,
    ReattemptDelivery,
    RejectProof,
    ReleaseTask,
    RescheduleStop,
    ReviewFieldReport,
    SettleProofDispute,
    UnassignTask,
    UpdateGoodsReady,
)
from schemas.template import CloneTask
from schemas.tender import ClaimOffer, DeclineOffer, ViewOffer
from schemas.vehicle import (
    AssignVehicle,
    CancelVehicleMaintenance,
    ChangeVehicleOutfit,
    CompleteVehicleMaintenance,
    GroundVehicle,
    PlanVehicleMaintenance,
    RegisterVehicle,
    RejectVehicleDocument,
    ReleaseVehicle,
    ReportVehicleInspection,
    ReportVehicleOdometer,
    RetireVehicle,
    ReturnVehicleToService,
    SubmitVehicleDocument,
    VerifyVehicleDocument,
)
from schemas.waiting import WaiveDependency

type Roles = frozenset[Role]

OPERATOR: Roles = frozenset({"operator"})
DISPATCH: Roles = frozenset({"dispatcher", "operator"})
INTEGRATOR: Roles = frozenset({"integrator"})
SETUP: Roles = DISPATCH | INTEGRATOR
RIDER: Roles = frozenset({"rider"})
"""The aggregate judges whether it is the rider who has the task or the vehicle, or was made the offer."""

SENDERS: Mapping[type[Command], Roles] = {
    CreateTask: SETUP,
    LocateStop: SETUP,
    AuthoriseReturn: SETUP,
    ReattemptDelivery: SETUP,
    UpdateGoodsReady: SETUP,
    RescheduleStop: SETUP,
    HoldTask: SETUP,
    ReleaseTask: SETUP,
    WaiveDependency: DISPATCH,
    CancelTask: SETUP,
    CloneTask: SETUP,
    AssignTask: DISPATCH,
    UnassignTask: DISPATCH | RIDER,
    ForceCompleteTask: OPERATOR,
    ReviewFieldReport: DISPATCH,
    AcceptAssignment: RIDER,
    DeclineAssignment: RIDER,
    ReportEnRoute: RIDER,
    ReportArrived: RIDER,
    ReportPickedUp: RIDER,
    ReportDelivered: RIDER,
    ReportAttemptFailed: RIDER,
    ReportContactAttempt: RIDER,
    ReportHeld: RIDER,
    ReportReturned: DISPATCH | RIDER,
    OfferHandOver: DISPATCH | RIDER,
    AcceptHandOver: RIDER,
    DeclineHandOver: RIDER,
    WithdrawHandOver: DISPATCH | RIDER,
    ReportCustomerOnTheWay: SETUP,
    ReportCustomerArrived: SETUP,
    ReportCollected: SETUP,
    ReportParcelsLost: SETUP | RIDER,
    ReportParcelsDamaged: SETUP | RIDER,
    ReceiveTransfer: SETUP,
    InspectReturn: SETUP,
    CaptureProof: DISPATCH | RIDER,
    RejectProof: DISPATCH,
    SettleProofDispute: DISPATCH,
    CreateRecurrence: SETUP,
    ChangeRecurrence: SETUP,
    SkipOccurrence: SETUP,
    PauseRecurrence: SETUP,
    ResumeRecurrence: SETUP,
    EndRecurrence: SETUP,
    ReviewOccurrence: DISPATCH,
    RegisterRider: SETUP,
    SetRiderSkills: SETUP,
    SetRiderZones: SETUP,
    SetRiderRating: SETUP,
    ApproveRider: DISPATCH,
    RejectRider: DISPATCH,
    SuspendRider: DISPATCH,
    ReinstateRider: DISPATCH,
    SubmitDocument: SETUP | RIDER,
    VerifyDocument: DISPATCH,
    RejectDocument: DISPATCH,
    ReportComplianceBreach: DISPATCH,
    PlanShift: DISPATCH | RIDER,
    StartShift: DISPATCH | RIDER,
    StartBreak: DISPATCH | RIDER,
    EndBreak: DISPATCH | RIDER,
    EndShift: DISPATCH | RIDER,
    BindDevice: DISPATCH | RIDER,
    UnbindDevice: DISPATCH | RIDER,
    DismissAnomaly: DISPATCH,
    ResequenceItinerary: DISPATCH | RIDER,
    LockNextStop: DISPATCH | RIDER,
    UnlockNextStop: DISPATCH | RIDER,
    RegisterVehicle: SETUP,
    ChangeVehicleOutfit: SETUP,
    SubmitVehicleDocument: SETUP,
    VerifyVehicleDocument: DISPATCH,
    RejectVehicleDocument: DISPATCH,
    AssignVehicle: DISPATCH,
    ReleaseVehicle: DISPATCH,
    ReportVehicleOdometer: SETUP | RIDER,
    ReportVehicleInspection: SETUP | RIDER,
    GroundVehicle: DISPATCH,
    ReturnVehicleToService: DISPATCH,
    PlanVehicleMaintenance: SETUP,
    CompleteVehicleMaintenance: SETUP,
    CancelVehicleMaintenance: SETUP,
    RetireVehicle: DISPATCH,
    CreateFleet: SETUP,
    ChangeFleet: SETUP,
    AddRiderToFleet: SETUP,
    RemoveRiderFromFleet: SETUP,
    AddVehicleToFleet: SETUP,
    RemoveVehicleFromFleet: SETUP,
    RetireFleet: DISPATCH,
    ViewOffer: RIDER,
    ClaimOffer: RIDER,
    DeclineOffer: RIDER,
    AcceptCounter: DISPATCH,
    DeclineCounter: DISPATCH,
    RequestRoute: SETUP,
    CreatePickWave: SETUP,
    RetimePickWave: SETUP,
    ReleasePickWave: SETUP,
    CancelPickWave: SETUP,
    RequestPlan: SETUP,
    CommitPlan: SETUP,
    RejectPlan: SETUP,
    QuoteCarrierBooking: SETUP,
    BookCarrier: SETUP,
    NameCarrierCourier: SETUP,
    RecordCarrierStatus: INTEGRATOR,
    ReviewCarrierStatus: DISPATCH,
    SettleCarrierBooking: DISPATCH,
    CancelCarrierBooking: SETUP,
    ReportIncident: SETUP | RIDER,
    AssignIncident: DISPATCH,
    CommentIncident: SETUP | RIDER,
    AttachEvidence: SETUP | RIDER,
    LinkIncident: DISPATCH,
    UnlinkIncident: DISPATCH,
    ChangeIncidentSeverity: DISPATCH,
    StateClaimValue: SETUP,
    TakeIncidentAction: DISPATCH,
    EscalateIncident: SETUP | RIDER,
    ResolveIncident: DISPATCH,
    ReopenIncident: SETUP,
    SealIncident: OPERATOR,
    FileAddendum: DISPATCH,
    CreateTenant: OPERATOR,
    ChangeTenantRules: OPERATOR,
    AdvanceTenantClock: SETUP,
    ForgetPerson: OPERATOR | INTEGRATOR,
    SetFailureReasons: OPERATOR,
    SetIncidentKinds: OPERATOR,
    SetDocumentKinds: OPERATOR,
    CreateOutlet: SETUP,
    MoveOutlet: SETUP,
    SetOutletContacts: SETUP,
    CreateHub: SETUP,
    MoveHub: SETUP,
    SetHubContacts: SETUP,
    CloseHub: SETUP,
    ReopenHub: SETUP,
    CreateSlaPolicy: OPERATOR,
    ChangeSlaPolicy: OPERATOR,
    RemoveSlaPolicy: OPERATOR,
    CreateProviderConfig: OPERATOR,
    SetProviders: OPERATOR,
    ClearProviders: OPERATOR,
    RegisterCarrier: SETUP,
    ChangeCarrierDetails: SETUP,
    ChangeCarrierTerms: SETUP,
    SetCarrierChannel: OPERATOR,
    ActivateCarrier: DISPATCH,
    SuspendCarrier: DISPATCH,
    ReinstateCarrier: DISPATCH,
    EndCarrierContract: DISPATCH,
    CreateGeofence: SETUP,
    ChangeGeofence: SETUP,
    RemoveGeofence: SETUP,
}

CLOSED_FIELDS: Mapping[type[Command | Input], tuple[str, ...]] = {
    AssignTask: ("tender_id", "offer_id"),
    QuoteCarrierBooking: ("tender_id", "offer_id"),
    SuspendRider: ("incident_id",),
    SealIncident: ("timeline",),
    ForgetPerson: ("subject", "is_known"),
    PhotoEntry: ("kept_sha256",),
    SignatureEntry: ("kept_sha256",),
}
"""Filled on this side of the door alone: else a claim that nobody is reserved or booked for would be won, an incident
linked to what has nothing to do with it, a timeline be what one likes, another tenant's rider forgotten or nobody, and
a proof name bytes that are not kept."""

FIX_SENDERS: Roles = SETUP | RIDER
"""A rider only for devices that were the rider's own."""

GEOCODERS: Roles = SETUP
"""Whoever may give a task its stops."""

DRY_RUNNERS: Roles = DISPATCH
"""Of rules for dispatch."""

ARTEFACT_SENDERS: Roles = SETUP | RIDER
AUDITOR: Roles = frozenset({"auditor"})
ARTEFACT_READERS: Roles = SETUP | AUDITOR
"""Photos are personal data."""

OVERSIGHT: Roles = frozenset({"analyst", "auditor"})
STAFF: Roles = SETUP | OVERSIGHT
EVERYONE: Roles = STAFF | RIDER

READERS: Mapping[str, Roles] = {
    "task-board": EVERYONE,
    "task-counts": STAFF,
    "sla-board": STAFF,
    "sla-statistics": STAFF,
    "tasks": EVERYONE,
    "tracking": SETUP,
    "task-secrets": SETUP,
    "history": STAFF,
    "rider-roster": STAFF,
    "riders": EVERYONE,
    "vehicle-roster": EVERYONE,
    "vehicles": EVERYONE,
    "fleets": STAFF,
    "tender-board": EVERYONE,
    "offers": DISPATCH | RIDER,
    "dispatch-decisions": STAFF,
    "why": STAFF,
    "windows": STAFF,
    "pick-waves": STAFF,
    "plans": STAFF,
    "routes": STAFF,
    "carrier-bookings": STAFF,
    "recurrences": STAFF,
    "deadlines": DISPATCH | OVERSIGHT,
    "exception-desk": STAFF,
    "incident-register": STAFF,
    "incident-timeline": STAFF,
    "outlets": EVERYONE,
    "hubs": EVERYONE,
    "sla-policies": STAFF,
    "provider-configs": OPERATOR,
    "carriers": STAFF,
    "geofences": EVERYONE,
    "geofence-versions": EVERYONE,
    "tenant": EVERYONE,
    "events": STAFF,
    "live-map": EVERYONE,
    "fence-alerts": EVERYONE,
    "etas": EVERYONE,
    "eta-scores": STAFF,
    "eta-statistics": STAFF,
    "anomalies": EVERYONE,
    "trips": EVERYONE,
    "trip-exports": SETUP | RIDER,
    "mileage": EVERYONE,
    "quarantine": DISPATCH | OVERSIGHT | INTEGRATOR,
}
"""By the path's word. A rider reads what is the rider's own: tasks, offers, vehicle, themself."""

PERSONAL: Roles = SETUP
"""Who reads personal data in the clear; besides them the rider who has the task or vehicle, and riders their own."""
