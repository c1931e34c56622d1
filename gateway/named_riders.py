"""Is a rider whom a command names one of ours? The rider's own shard is asked before: no read model is as new.

A command decides on one aggregate, so a task takes any name; that nobody answers to it would show a moment later, when
the promise to dispatch it has been settled already.
"""

import asyncio
from collections.abc import Mapping

from commands.order import Order, Unavailable
from commands.rider_refusals import UnknownRider
from gateway.call import Call
from gateway.door import Door
from gateway.problems import refusal
from gateway.tokens import Caller
from schemas.hand_over import OfferHandOver
from schemas.ids import command_id
from schemas.message import Command, Refused, TenantSlug, UnknownAggregate
from schemas.rider import ConfirmRiderRegistered
from schemas.task import AssignTask
from schemas.vehicle import AssignVehicle

NAMED_IN: Mapping[type[Command], str] = {AssignTask: "rider_id", AssignVehicle: "rider_id", OfferHandOver: "to_rider"}
"""The field that names a rider."""


async def known(door: Door, call: Call, tenant: str, wanted: Command, caller: Caller) -> None:
    """Raises Problem where there is no such rider. Where nobody can say it goes on: what comes of it is then undone."""
    field = NAMED_IN.get(type(wanted))
    if field is None:
        return
    rider = getattr(wanted, field)
    asked = command_id(rider, call.request_id)
    order = Order(
        tenant=TenantSlug(tenant),
        kind="rider",
        aggregate_id=rider,
        command=ConfirmRiderRegistered(),
        command_id=asked,
        request_hash=asked,
        actor=caller.subject,
        role="system",
        correlation_id=call.request_id,
        traceparent=call.traceparent,
    )
    try:
        async with asyncio.timeout(door.limits.wait_s):
            await door.desk.submit(order)
    except Refused as refused:
        nobody = refused.rule == UnknownAggregate.rule
        raise refusal(UnknownRider(rider) if nobody else refused) from refused
    except (Unavailable, TimeoutError):
        pass
