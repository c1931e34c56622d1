"""What becomes of each order, and whether riders take what they are offered."""

from random import Random

import msgspec

from infra.simulate.policy import Policy
from infra.simulate.world import Order, SimulatedRider


class Fate(msgspec.Struct, kw_only=True):
    """Times are Unix seconds, None for what did not happen. `code` is why it was not delivered."""

    order: Order
    rider_id: str | None = None
    assigned_s: float | None = None
    picked_up_s: float | None = None
    delivered_s: float | None = None
    """When the rider came to the door."""
    code: str | None = None
    declined: set[str] = msgspec.field(default_factory=set)
    round: int = 1

    @property
    def late_s(self) -> float:
        closes_s = self.order.closes_s
        return 0.0 if closes_s is None or self.delivered_s is None else max(0.0, self.delivered_s - closes_s)

    @property
    def to_door_s(self) -> float | None:
        return None if self.delivered_s is None else self.delivered_s - self.order.created_s


def answer_of(policy: Policy, rider: SimulatedRider, order_id: str, ask: int, seed: int) -> str:
    """`accept`, `decline` or `ignore`: the same for the same order, rider and time of asking, whatever the policy."""
    draw = Random(f"{seed}:{order_id}:{rider.id}:{ask}")
    accepts = policy.accepts if rider.accepts is None else rider.accepts
    if draw.random() < accepts:
        return "accept"
    return "ignore" if draw.random() < policy.ignores else "decline"


def bid_minor(cost: float, order_id: str, rider_id: str, seed: int) -> int:
    """What a rider wants: what it costs by the rules, and up to half as much again."""
    return round(cost * Random(f"bid:{seed}:{order_id}:{rider_id}").uniform(1.0, 1.5))
