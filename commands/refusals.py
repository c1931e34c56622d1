"""What is said no to of more than one aggregate: the rules, and their values."""

from datetime import datetime

from schemas.message import Refused


class NotATestTenant(Refused):
    rule = "not-a-test-tenant"

    def __init__(self) -> None:
        super().__init__("a live tenant goes by real time, and nobody there is simulated")


class UnknownDocument(Refused):
    rule = "unknown-document"

    def __init__(self, document_id: str) -> None:
        super().__init__(f"no document {document_id} was submitted")
        self.document_id = document_id


class TooMany(Refused):
    rule = "too-many"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"there are at most {limit} {what}")
        self.what = what
        self.limit = limit


class NotAnInterval(Refused):
    rule = "not-an-interval"

    def __init__(self, start: datetime, end: datetime) -> None:
        super().__init__(f"{end.isoformat()} is not after {start.isoformat()}")
        self.start = start
        self.end = end


class InTheFuture(Refused):
    rule = "in-the-future"

    def __init__(self, what: str, at: datetime, now: datetime) -> None:
        super().__init__(f"{what} {at.isoformat()} lies in the future: it is {now.isoformat()}")
        self.what = what
        self.at = at
