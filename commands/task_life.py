"""The life of a task: how its state follows from its tender and its assignment, then from its stops and parcels."""

from commands.life import NEW, Life, to, when, within
from commands.task_state import Task, Uncreated, state_of
from schemas.proof import PinRejected, ProofCaptured, ProofDisputed, ProofRejected
from schemas.task import (
    AcceptAssignment,
    AssignmentAccepted,
    AssignTask,
    CancelTask,
    CaptureProof,
    DeclineAssignment,
    DeliveryAttemptFailed,
    FieldReportConflicted,
    FieldReportReviewed,
    ForceCompleteTask,
    LocateStop,
    ParcelsDelivered,
    ParcelsPickedUp,
    ParcelsRefused,
    ParcelsReturned,
    ParcelsShort,
    ParcelsWrittenOff,
    RejectProof,
    ReportArrived,
    ReportAttemptFailed,
    ReportDelivered,
    ReportEnRoute,
    ReportPickedUp,
    ReportReturned,
    ReturnStarted,
    ReviewFieldReport,
    StopArrived,
    StopCompleted,
    StopEnRoute,
    StopFailed,
    StopLocated,
    StopSkipped,
    TaskAssigned,
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDispatchable,
    TaskFailed,
    TaskForceCompleted,
    TaskReturned,
    TaskTenderClosed,
    TaskTendered,
    TaskUnassigned,
    UnassignTask,
)

WITHOUT_RIDER = ("created", "dispatchable", "offering")
NOT_STARTED = ("assigned", "accepted")
WITH_RIDER = (*NOT_STARTED, "in_progress")
ENDED = ("completed", "failed", "cancelled", "returned")
SINCE_DISPATCHED = ("dispatchable", "offering", *WITH_RIDER, "returning", *ENDED)
"""A device may tell of what was, whatever the task has come to."""


def status_of(task: Task) -> str:
    return NEW if isinstance(task, Uncreated) else state_of(task)


LIFE = Life(
    status_of,
    {
        TaskCreated: to("created", NEW),
        StopLocated: within(*WITHOUT_RIDER),
        TaskDispatchable: to("dispatchable", "created") | within("dispatchable"),
        TaskTendered: to("offering", "dispatchable"),
        TaskTenderClosed: to("dispatchable", "offering") | within("dispatchable"),
        TaskAssigned: to("assigned", "dispatchable", "offering") | to("in_progress", "dispatchable", "offering"),
        AssignmentAccepted: to("accepted", "assigned") | within("in_progress", "returning"),
        TaskUnassigned: to("dispatchable", *WITH_RIDER),
        StopEnRoute: to("in_progress", *NOT_STARTED) | within("in_progress", "returning"),
        StopArrived: to("in_progress", *NOT_STARTED) | within(*WITH_RIDER, "returning"),
        ParcelsPickedUp: within(*WITH_RIDER),
        ParcelsShort: within(*WITH_RIDER),
        ParcelsDelivered: within(*WITH_RIDER),
        ParcelsRefused: within("in_progress"),
        ProofCaptured: within(*WITH_RIDER, "returning"),
        PinRejected: within(*WITH_RIDER, "returning"),
        ProofRejected: within(*SINCE_DISPATCHED),
        ProofDisputed: within("dispatchable", "offering", "in_progress", "returning", *ENDED),
        StopCompleted: to("in_progress", *NOT_STARTED) | within("in_progress", "returning"),
        DeliveryAttemptFailed: to("accepted", "in_progress")
        | to("assigned", "in_progress")
        | within(*WITH_RIDER, "returning"),
        StopFailed: to("in_progress", *NOT_STARTED) | within("in_progress", "returning"),
        StopSkipped: within("in_progress"),
        ReturnStarted: to("returning", "in_progress") | within("returning"),
        ParcelsReturned: within("returning"),
        TaskCompleted: to("completed", "in_progress"),
        TaskFailed: to("failed", "in_progress"),
        TaskReturned: to("returned", "returning"),
        TaskCancelled: to("cancelled", *WITHOUT_RIDER, *WITH_RIDER),
        TaskForceCompleted: to("completed", *WITHOUT_RIDER, *WITH_RIDER, "returning"),
        ParcelsWrittenOff: within(*WITHOUT_RIDER, *WITH_RIDER, "returning"),
        FieldReportConflicted: within(*SINCE_DISPATCHED),
        FieldReportReviewed: within(*SINCE_DISPATCHED),
    },
    {
        LocateStop: when(*WITHOUT_RIDER),
        AssignTask: when("dispatchable", "offering"),
        AcceptAssignment: when("assigned", "in_progress", "returning"),
        DeclineAssignment: when("assigned", "in_progress"),
        UnassignTask: when(*WITH_RIDER),
        CancelTask: when(*WITHOUT_RIDER, *WITH_RIDER),
        ForceCompleteTask: when(*WITHOUT_RIDER, *WITH_RIDER, "returning"),
        RejectProof: when(*SINCE_DISPATCHED),
        ReviewFieldReport: when(*SINCE_DISPATCHED),
        ReportEnRoute: when(*SINCE_DISPATCHED),
        ReportArrived: when(*SINCE_DISPATCHED),
        ReportPickedUp: when(*SINCE_DISPATCHED),
        ReportDelivered: when(*SINCE_DISPATCHED),
        ReportAttemptFailed: when(*SINCE_DISPATCHED),
        ReportReturned: when(*SINCE_DISPATCHED),
        CaptureProof: when(*WITH_RIDER, "dispatchable", "offering", "returning", "cancelled", "completed"),
    },
)
