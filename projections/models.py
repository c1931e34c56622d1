"""All read models, by name."""

from projections.anomalies import ANOMALIES
from projections.carrier_bookings import CARRIER_BOOKINGS
from projections.carriers import CARRIERS
from projections.deadlines import DEADLINES
from projections.dispatch_decisions import DISPATCH_DECISIONS
from projections.eta_scores import ETA_SCORES
from projections.etas import ETAS
from projections.exception_desk import EXCEPTION_DESK
from projections.fence_alerts import FENCE_ALERTS
from projections.fleets import FLEETS
from projections.geofence_versions import GEOFENCE_VERSIONS
from projections.geofences import GEOFENCES
from projections.history import HISTORY
from projections.hubs import HUBS
from projections.incident_register import INCIDENT_REGISTER
from projections.model import ReadModel
from projections.outlets import OUTLETS
from projections.pick_waves import PICK_WAVES
from projections.plans import PLANS
from projections.provider_configs import PROVIDER_CONFIGS
from projections.public_tracking import PUBLIC_TRACKING
from projections.recurrences import RECURRENCES
from projections.rider_roster import RIDER_ROSTER
from projections.sla_board import SLA_BOARD
from projections.sla_policies import SLA_POLICIES
from projections.task_board import TASK_BOARD
from projections.task_detail import TASK_DETAIL
from projections.tender_board import TENDER_BOARD
from projections.trips import TRIPS
from projections.vehicle_roster import VEHICLE_ROSTER
from projections.windows import WINDOWS

MODELS: dict[str, ReadModel] = {
    model.name: model
    for model in (
        HISTORY,
        TASK_BOARD,
        TASK_DETAIL,
        PUBLIC_TRACKING,
        RIDER_ROSTER,
        VEHICLE_ROSTER,
        FLEETS,
        TENDER_BOARD,
        DISPATCH_DECISIONS,
        WINDOWS,
        PICK_WAVES,
        PLANS,
        CARRIER_BOOKINGS,
        RECURRENCES,
        INCIDENT_REGISTER,
        EXCEPTION_DESK,
        SLA_BOARD,
        DEADLINES,
        OUTLETS,
        HUBS,
        SLA_POLICIES,
        PROVIDER_CONFIGS,
        CARRIERS,
        GEOFENCES,
        GEOFENCE_VERSIONS,
        FENCE_ALERTS,
        ETAS,
        ETA_SCORES,
        ANOMALIES,
        TRIPS,
    )
}
