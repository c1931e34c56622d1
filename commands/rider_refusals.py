"""What may be said no to, of a rider: the rules, and their values."""

from collections.abc import Mapping
from datetime import datetime

from schemas.load import Measure, Overload
from schemas.message import Refused, StopId, TaskId
from schemas.rider import HAND_OVER_ANSWERED
from schemas.tender import Exclusion

COUNTED: Mapping[Measure, str] = {"weight_g": "g", "volume_cm3": "cm³", "parcels": "parcels"}


def told(overload: Overload) -> str:
    return f"{overload.load} {COUNTED[overload.measure]} where there is room for {overload.limit}"


class DeviceTaken(Refused):
    """No rider takes another's; who it is nobody is told."""

    rule = "device-taken"
    stands_in = ("device_id",)

    def __init__(self, device_id: str) -> None:
        super().__init__(f"device {device_id} is another rider's at that time")
        self.device_id = device_id


class UnknownAnomaly(Refused):
    rule = "unknown-anomaly"
    stands_in = ("anomaly_id",)

    def __init__(self, anomaly_id: str) -> None:
        super().__init__(f"nothing is known of an anomaly {anomaly_id} of this rider")
        self.anomaly_id = anomaly_id


class UnknownRider(Refused):
    """Of one whom a command for another aggregate names."""

    rule = "unknown-rider"
    stands_in = ("rider_id", "to_rider", "id")

    def __init__(self, rider_id: str) -> None:
        super().__init__(f"there is no rider {rider_id}")
        self.rider_id = rider_id


class SimulatedRider(Refused):
    rule = "simulated-rider"

    def __init__(self) -> None:
        super().__init__("nobody speaks to a simulated courier, or for them")


class CannotReserve(Refused):
    rule = "cannot-reserve"

    def __init__(self, why: Exclusion | Overload) -> None:
        if isinstance(why, Overload):
            super().__init__(f"the rider cannot be reserved: over_capacity, {told(why)}")
            self.code: Exclusion = "over_capacity"
            self.measure, self.load, self.limit = why.measure, why.load, why.limit
        else:
            super().__init__(f"the rider cannot be reserved: {why}")
            self.code = why


class CannotStartShift(Refused):
    rule = "cannot-start-shift"

    def __init__(self, why: Exclusion, document_kind: str | None = None) -> None:
        """`document_kind` where it is for want of a document."""
        super().__init__(f"the rider cannot start a shift: {why}{f' ({document_kind})' if document_kind else ''}")
        self.code = why
        if document_kind is not None:
            self.document_kind = document_kind


class NotReserved(Refused):
    rule = "not-reserved"

    def __init__(self, task_id: str) -> None:
        super().__init__(f"the rider holds no reservation for task {task_id}")
        self.task_id = task_id


class ItineraryChanged(Refused):
    rule = "itinerary-changed"
    stands_in = ("itinerary_version",)

    def __init__(self, given: int, actual: int) -> None:
        super().__init__(f"the itinerary is at version {actual}, not {given}")
        self.given = given
        self.actual = actual


class NotThatItinerary(Refused):
    rule = "not-that-itinerary"
    is_about = ("order",)

    def __init__(self) -> None:
        super().__init__("the order must name each stop of the itinerary once, a task's pickups before its dropoffs")


class OutOfOrder(Refused):
    rule = "out-of-order"
    stands_in = ("stop_id",)
    is_about = ("order",)

    def __init__(self, task_id: TaskId, stop_id: StopId, after: StopId) -> None:
        super().__init__(f"{stop_id} of task {task_id} comes after {after}")
        self.task_id = task_id
        self.stop_id = stop_id
        self.after = after


class NextStopIsLocked(Refused):
    rule = "next-stop-locked"
    stands_in = ("stop_id",)
    is_about = ("order",)

    def __init__(self, task_id: TaskId, stop_id: StopId) -> None:
        super().__init__(f"{stop_id} of task {task_id} comes next: it is locked")
        self.task_id = task_id
        self.stop_id = stop_id


class TooHeavyThatWay(Refused):
    rule = "too-heavy-that-way"
    is_about = ("order",)

    def __init__(self, overload: Overload) -> None:
        super().__init__(f"too much for the rider in that order: {told(overload)}")
        self.measure, self.load, self.limit = overload.measure, overload.load, overload.limit


class RestTooShort(Refused):
    rule = "rest-too-short"

    def __init__(self, rested_at: datetime) -> None:
        super().__init__(f"the rider rests until {rested_at.isoformat()}")
        self.rested_at = rested_at


class GoodsAboard(Refused):
    rule = "goods-aboard"

    def __init__(self, task_ids: list[TaskId]) -> None:
        super().__init__(f"the rider has the goods of {', '.join(task_ids)}")
        self.task_ids = task_ids


class HandOverAnswered(Refused):
    rule = HAND_OVER_ANSWERED

    def __init__(self, task_id: TaskId) -> None:
        super().__init__(f"what became of task {task_id} is known already")
        self.task_id = task_id
