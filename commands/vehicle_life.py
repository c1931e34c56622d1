"""The life of a vehicle: whether it is in use. Whether it may drive is another matter: see `unfit`."""

from commands.life import NEW, Life, to, within
from commands.vehicle_state import status_of
from schemas.vehicle import (
    VehicleAssigned,
    VehicleDocumentRejected,
    VehicleDocumentSubmitted,
    VehicleDocumentVerified,
    VehicleGrounded,
    VehicleInspectionFailed,
    VehicleInspectionPassed,
    VehicleMaintenanceCancelled,
    VehicleMaintenanceCompleted,
    VehicleMaintenanceFellDue,
    VehicleMaintenancePlanned,
    VehicleOdometerReported,
    VehicleOutfitChanged,
    VehicleRegistered,
    VehicleReleased,
    VehicleRetired,
    VehicleReturnedToService,
)

IN_USE = within("available", "assigned", "grounded")

LIFE = Life(
    status_of,
    {
        VehicleRegistered: to("available", NEW),
        VehicleOutfitChanged: IN_USE,
        VehicleDocumentSubmitted: IN_USE,
        VehicleDocumentVerified: IN_USE,
        VehicleDocumentRejected: IN_USE,
        VehicleAssigned: to("assigned", "available"),
        VehicleReleased: to("available", "assigned") | within("grounded"),
        VehicleOdometerReported: IN_USE,
        VehicleInspectionPassed: IN_USE,
        VehicleInspectionFailed: IN_USE,
        VehicleGrounded: to("grounded", "available", "assigned"),
        VehicleReturnedToService: to("available", "grounded") | to("assigned", "grounded"),
        VehicleMaintenancePlanned: IN_USE,
        VehicleMaintenanceFellDue: IN_USE,
        VehicleMaintenanceCompleted: IN_USE,
        VehicleMaintenanceCancelled: IN_USE,
        VehicleRetired: to("retired", "available", "grounded"),
    },
)
