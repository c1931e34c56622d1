"""What is still to be done about an incident: told alike by who decides and by the read model."""

from collections.abc import Iterable, Sequence
from typing import Literal

from msgspec.structs import replace

from schemas.incident import IncidentLink
from schemas.message import ParcelId, Record
from schemas.registries import IncidentAction

RequestStatus = Literal["pending", "taken", "refused", "withdrawn"]


class ActionRequest(Record, frozen=True, kw_only=True):
    """To our own process, to do this to that."""

    action: IncidentAction
    link: IncidentLink
    parcel_ids: list[ParcelId] = []
    status: RequestStatus = "pending"


CLAIM: IncidentAction = "state_claim_value"
"""It is done by stating the value."""

WRITE_OFF: IncidentAction = "write_off_parcels"
"""It is done by saying which parcels are lost."""

type Requests = tuple[ActionRequest, ...]


def outstanding(
    asked: Iterable[IncidentAction], requests: Sequence[ActionRequest], taken: Iterable[IncidentAction]
) -> list[IncidentAction]:
    """Of what its kind asks for: what nobody has taken, and what was taken of some of its links and not of others."""
    done = set(taken)
    unanswered = {each.action for each in requests if each.status in ("pending", "refused")}
    requested = {each.action for each in requests if each.status != "withdrawn"}
    return [action for action in asked if action in unanswered or (action not in done and action not in requested)]


def answered(requests: Requests, action: IncidentAction, link: IncidentLink | None, status: RequestStatus) -> Requests:
    """Without a link it is an answer for every link of the action that is not taken yet."""
    return tuple(
        replace(each, status=status)
        if each.action == action and (link is None or each.link == link) and each.status in ("pending", "refused")
        else each
        for each in requests
    )


def withdrawn(requests: Requests) -> Requests:
    """What was not done yet is not to be done any more."""
    return tuple(
        replace(each, status="withdrawn") if each.status in ("pending", "refused") else each for each in requests
    )


def without_link(requests: Requests, link: IncidentLink) -> Requests:
    """Should it be linked again, all is asked for again."""
    return tuple(each for each in requests if each.link != link)
