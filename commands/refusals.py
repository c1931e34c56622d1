"""What is said no to of more than one aggregate: the rules, and their values."""

from datetime import datetime

from schemas.message import Refused


class NotATestTenant(Refused):
    rule = "not-a-test-tenant"
    is_about = ("simulation",)

    def __init__(self) -> None:
        super().__init__("a live tenant goes by real time, and nobody there is simulated")


class UnknownDocument(Refused):
    rule = "unknown-document"
    stands_in = ("document_id",)

    def __init__(self, document_id: str) -> None:
        super().__init__(f"no document {document_id} was submitted")
        self.document_id = document_id


class UnknownTask(Refused):
    """Of one that a command for another aggregate names, in the field."""

    rule = "unknown-task"
    stands_in = ("depends_on", "task_id", "id")

    def __init__(self, field: str, task_id: str) -> None:
        super().__init__(f"{field} names {task_id}, and there is no such task")
        self.field = field
        self.task_id = task_id


class UnknownPickWave(Refused):
    """Of one that a task names."""

    rule = "unknown-pick-wave"
    stands_in = ("pick_wave",)

    def __init__(self, pick_wave: str) -> None:
        super().__init__(f"there is no pick wave {pick_wave}")
        self.pick_wave = pick_wave


class UnknownVehicle(Refused):
    """Of one that an incident is said to be about; so are the next two."""

    rule = "unknown-vehicle"
    stands_in = ("id",)

    def __init__(self, vehicle_id: str) -> None:
        super().__init__(f"there is no vehicle {vehicle_id}")
        self.vehicle_id = vehicle_id


class UnknownTender(Refused):
    rule = "unknown-tender"
    stands_in = ("id",)

    def __init__(self, tender_id: str) -> None:
        super().__init__(f"there is no tender {tender_id}")
        self.tender_id = tender_id


class UnknownIncident(Refused):
    rule = "unknown-incident"
    stands_in = ("id",)

    def __init__(self, incident_id: str) -> None:
        super().__init__(f"there is no incident {incident_id}")
        self.incident_id = incident_id


class TooMany(Refused):
    rule = "too-many"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"there are at most {limit} {what}")
        self.what = what
        self.limit = limit


class NotAnInterval(Refused):
    rule = "not-an-interval"
    stands_in = ("end", "ends_at", "expires_at", "until", "valid_until", "estimated_dropoff_at", "starts_at")

    def __init__(self, start: datetime, end: datetime) -> None:
        super().__init__(f"{end.isoformat()} is not after {start.isoformat()}")
        self.start = start
        self.end = end


class InTheFuture(Refused):
    rule = "in-the-future"
    stands_in = ("occurred_at", "until")

    def __init__(self, what: str, at: datetime, now: datetime) -> None:
        super().__init__(f"{what} {at.isoformat()} lies in the future: it is {now.isoformat()}")
        self.what = what
        self.at = at
