"""What dispatch knows of a tenant's carriers for one task: their contracts, whether they serve its stops, and what they
have made of it before."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec
from psycopg import AsyncConnection

from commands.carrier_area import within_postal_codes
from commands.carrier_contract import CarrierView
from projections.sealed import Sealed, opened
from schemas.carrier import ServedArea
from schemas.carrier_offer import CarrierExclusion
from schemas.codec import Unseal
from schemas.message import CarrierId
from streams.dispatch.known import KnownCarrier

DECLINED = """
SELECT DISTINCT offer.value ->> 'carrier_id'
FROM tender_board, jsonb_each(offers) AS offer
WHERE tenant = %s AND task_id = %s AND offer.value ->> 'carrier_id' IS NOT NULL
  AND offer.value ->> 'state' IN ('declined', 'expired', 'rejected', 'counter_declined')
"""
GAVE_BACK = """
SELECT DISTINCT carrier_id FROM carrier_bookings
WHERE tenant = %s AND task_id = %s AND status IN ('cancelled', 'failed')
  AND (ended_by IN ('carrier', 'dispatcher', 'sender', 'recipient') OR reason_code = 'carrier_silent'
       OR refusal ->> 'reason_code' IN ('outlet_not_served', 'postal_code_not_served'))
"""
"""Not those whose booking was cancelled because the task was gone: that was none of theirs."""


async def answers_of(connection: AsyncConnection[Any], tenant: str, task_id: str) -> Mapping[str, CarrierExclusion]:
    """Of each carrier that will not be asked for the task again, why."""
    declined = await (await connection.execute(DECLINED, (tenant, task_id))).fetchall()
    gave_back = await (await connection.execute(GAVE_BACK, (tenant, task_id))).fetchall()
    why: dict[str, CarrierExclusion] = {carrier: "declined_before" for (carrier,) in declined}
    why.update((carrier, "gave_it_back") for (carrier,) in gave_back)
    return why


def known_carriers(
    carriers: Mapping[CarrierId, CarrierView],
    stops: Sequence[Mapping[str, Any]],
    answers: Mapping[str, CarrierExclusion],
    unseal: Unseal,
) -> list[KnownCarrier]:
    """`stops` are rows of the task's that are ahead."""
    outlets = {stop["party"]["id"] for stop in stops if stop["party"]["kind"] == "outlet"}
    codes = [postal_code(stop, unseal) for stop in stops if stop["party"]["kind"] != "outlet"]
    return [
        KnownCarrier(
            carrier_id=carrier_id,
            active=carrier.status == "active",
            told=carrier.channel is not None,
            levels=carrier.service_levels,
            capabilities=frozenset(carrier.capabilities),
            outside=outside(carrier.area, outlets, codes),
            answered=answers.get(carrier_id),
        )
        for carrier_id, carrier in sorted(carriers.items())
    ]


def postal_code(stop: Mapping[str, Any], unseal: Unseal) -> str | None:
    code = stop.get("postal_code")
    return None if code is None else opened(msgspec.convert(code, Sealed), unseal, str)


def outside(area: ServedArea, outlets: Collection[str], codes: Sequence[str | None]) -> CarrierExclusion | None:
    if area.outlets and not set(outlets) <= set(area.outlets):
        return "outlet_not_served"
    return None if all(within_postal_codes(area, code) for code in codes) else "postal_code_not_served"
