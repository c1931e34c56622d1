"""How a process's step becomes an order at the shards' desk, and the answer its outcome."""

from collections.abc import Callable, Mapping

import msgspec

from commands.order import Desk, Order, Unavailable
from schemas.load import Overload
from schemas.message import Refused, Source, TenantSlug
from streams.process import CannotBeJudged, Done, NotAllowed, NotNow, Step

type Saw = Callable[[Mapping[tuple[str, int], int]], None]


class Sending:
    """`name` stands as the actor on what it sends; `saw` is told where the log is after each step."""

    def __init__(self, desk: Desk, name: str, saw: Saw) -> None:
        self._desk = desk
        self._name = name
        self._saw = saw

    async def __call__(self, step: Step, source: Source, tenant: TenantSlug) -> Done | NotAllowed:
        command_id = step.command_id(source)
        order = Order(
            tenant=tenant,
            kind=step.kind,
            aggregate_id=step.aggregate_id,
            command=step.command,
            command_id=command_id,
            request_hash=command_id,
            actor=self._name,
            role="system",
            natural=True,
            correlation_id=source.correlation_id,
            causation_id=source.event_id,
        )
        try:
            answer = await self._desk.submit(order)
        except Refused as refused:
            return not_allowed(refused)
        except Unavailable as unavailable:
            why = CannotBeJudged if unavailable.code == "internal-error" else NotNow
            raise why(str(unavailable)) from unavailable
        self._saw(answer.position)
        return Done(answer.position)


def not_allowed(refused: Refused) -> NotAllowed:
    """By the rule's own code where it has one, such as why a rider cannot be reserved."""
    values = refused.values()
    code = values.get("code")
    reason = code if isinstance(code, str) else refused.rule.replace("-", "_")
    too_much = {name: values[name] for name in Overload.__struct_fields__ if name in values}
    overload = msgspec.convert(too_much, Overload) if "measure" in too_much else None
    return NotAllowed(refused.rule, reason, overload)
