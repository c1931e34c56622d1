"""Whether a carrier serves where a task's stops are, as far as they tell it: by the area that its quote was made by.

What is judged once is judged alike whenever the log is read anew: of stops that may be ahead again none is left out,
and those that were added on the way are not judged.
"""

from commands.context import Context
from commands.task_state import AGAIN, HOLD, RETURN, CreatedTask, StopState
from schemas.carrier import ServedArea
from schemas.message import Refused, StopId

ADDED = (HOLD, AGAIN, RETURN)


class OutletNotServed(Refused):
    rule = "outlet-not-served"

    def __init__(self, stop_id: StopId, outlet: str) -> None:
        super().__init__(f"{stop_id} is at {outlet}, which the carrier does not serve")
        self.stop_id = stop_id
        self.outlet = outlet


class PostalCodeNotServed(Refused):
    """It is not told which: it is a person's."""

    rule = "postal-code-not-served"

    def __init__(self, stop_id: StopId) -> None:
        super().__init__(f"the carrier does not serve the postal code of {stop_id}")
        self.stop_id = stop_id


def within_area(task: CreatedTask, area: ServedArea, context: Context) -> None:
    """Raises OutletNotServed, PostalCodeNotServed."""
    for stop in task.stops.values():
        if stop.status not in ("completed", "skipped") and not stop.stop.stop_id.startswith(ADDED):
            served(stop, area, context)


def served(stop: StopState, area: ServedArea, context: Context) -> None:
    """A stop at an outlet is known by that, and any other by its postal code, if it has one."""
    party, stop_id = stop.stop.party, stop.stop.stop_id
    if party.kind == "outlet":
        if area.outlets and party.id not in area.outlets:
            raise OutletNotServed(stop_id, party.id or "")
        return
    if not within_postal_codes(area, context.opened(stop.stop.postal_code, str)):
        raise PostalCodeNotServed(stop_id)


def within_postal_codes(area: ServedArea, code: str | None) -> bool:
    """What is not told is not held against the carrier."""
    if code is None or not area.postal_prefixes:
        return True
    return closed_up(code).startswith(tuple(closed_up(prefix) for prefix in area.postal_prefixes))


def closed_up(code: str) -> str:
    """`SE-114 55` is `SE-11455`, and `PL-00-950` is `PL-00950`."""
    return code[:3] + code[3:].replace(" ", "").replace("-", "")
