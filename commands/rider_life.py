"""The life of a rider: whether they may work. Whether they are at work is another matter, within it."""

from commands.life import NEW, Life, to, within
from commands.rider_state import Rider, Unregistered
from schemas.rider import (
    BreakEnded,
    BreakStarted,
    ComplianceBreachFound,
    DeviceBound,
    DeviceUnbound,
    DocumentRejected,
    DocumentSubmitted,
    DocumentVerified,
    HoursLimitWarned,
    ItineraryResequenced,
    ItineraryStopsInserted,
    ItineraryStopsRemoved,
    ReservationActivated,
    ReservationReleased,
    RiderApproved,
    RiderRegistered,
    RiderReinstated,
    RiderRejected,
    RiderReserved,
    RiderSuspended,
    ShiftEnded,
    ShiftEnding,
    ShiftPlanned,
    ShiftStarted,
    TaskHandOverClosed,
    TaskHandOverRequested,
)

ALWAYS = within("invited", "approved", "rejected", "suspended")
AT_WORK = within("approved", "suspended")
"""Who is suspended finishes what cannot be taken away."""


def status_of(rider: Rider) -> str:
    return NEW if isinstance(rider, Unregistered) else rider.status


LIFE = Life(
    status_of,
    {
        RiderRegistered: to("invited", NEW),
        RiderApproved: to("approved", "invited", "rejected"),
        RiderRejected: to("rejected", "invited"),
        RiderSuspended: to("suspended", "approved"),
        RiderReinstated: to("approved", "suspended"),
        DocumentSubmitted: ALWAYS,
        DocumentVerified: ALWAYS,
        DocumentRejected: ALWAYS,
        ComplianceBreachFound: ALWAYS,
        DeviceBound: ALWAYS,
        DeviceUnbound: ALWAYS,
        ShiftPlanned: ALWAYS,
        ShiftStarted: within("approved"),
        BreakStarted: AT_WORK,
        BreakEnded: AT_WORK,
        HoursLimitWarned: AT_WORK,
        ShiftEnding: AT_WORK,
        ShiftEnded: AT_WORK,
        TaskHandOverRequested: within("suspended"),
        TaskHandOverClosed: AT_WORK,
        RiderReserved: within("approved"),
        ReservationActivated: within("approved"),
        ReservationReleased: AT_WORK,
        ItineraryStopsInserted: AT_WORK,
        ItineraryStopsRemoved: AT_WORK,
        ItineraryResequenced: AT_WORK,
    },
)
