"""Which member of the group gets which shards: pinned ones where they are pinned, the others where they are, evenly.

The group's leader runs it at each rebalance on what every member says of itself (Kafka's consumer protocol, version 0).
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import structlog
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment, ConsumerProtocolMemberMetadata

from schemas.topics import SHARDS

PROTOCOL_VERSION = 0

logger = structlog.get_logger()


class Pin(msgspec.Struct, frozen=True, array_like=True):
    pinned_at: datetime
    owner: str


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """What a member says when it joins."""

    owner: str
    serving: dict[int, int] = {}
    """Shard → epoch of the tenure."""
    pins: dict[int, Pin] = {}


def spread(shards: Iterable[int], members: Mapping[str, Claim]) -> dict[str, list[int]]:
    """Shards by member. Nobody gets two more than another, pinned shards apart; what is served stays if it can."""
    given: dict[str, list[int]] = {member: [] for member in sorted(members)}
    pinned = pins_that_hold(members)
    holders = holders_of(members)
    free = []
    for shard in sorted(shards):
        if shard in pinned:
            given[pinned[shard]].append(shard)
        else:
            free.append(shard)
    most = -(-sum(1 for _ in free) // len(given)) if given else 0
    kept: dict[str, int] = dict.fromkeys(given, 0)
    left = []
    for shard in free:
        holder = holders.get(shard)
        if holder is not None and kept[holder] < most:
            given[holder].append(shard)
            kept[holder] += 1
        else:
            left.append(shard)
    for shard in left:
        member = min(given, key=lambda one: (kept[one], one))
        given[member].append(shard)
        kept[member] += 1
    even_out(given, kept, set(pinned))
    return {member: sorted(mine) for member, mine in given.items()}


def even_out(given: dict[str, list[int]], kept: dict[str, int], pinned: set[int]) -> None:
    while kept:
        fullest = max(kept, key=lambda one: (kept[one], one))
        emptiest = min(kept, key=lambda one: (kept[one], one))
        if kept[fullest] - kept[emptiest] < 2:
            return
        moved = max(shard for shard in given[fullest] if shard not in pinned)
        given[fullest].remove(moved)
        given[emptiest].append(moved)
        kept[fullest] -= 1
        kept[emptiest] += 1


def pins_that_hold(members: Mapping[str, Claim]) -> dict[int, str]:
    """Shard → member: of all pins that anybody knows the latest, where its owner is there."""
    latest: dict[int, Pin] = {}
    for claim in members.values():
        for shard, pin in claim.pins.items():
            if shard not in latest or latest[shard].pinned_at < pin.pinned_at:
                latest[shard] = pin
    by_owner = {claim.owner: member for member, claim in sorted(members.items())}
    return {shard: by_owner[pin.owner] for shard, pin in latest.items() if pin.owner in by_owner}


def holders_of(members: Mapping[str, Claim]) -> dict[int, str]:
    """Shard → the member that serves it; of two that believe so, the one with the higher epoch."""
    best: dict[int, tuple[int, str]] = {}
    for member, claim in sorted(members.items()):
        for shard, epoch in claim.serving.items():
            if shard not in best or best[shard][0] < epoch:
                best[shard] = epoch, member
    return {shard: member for shard, (_, member) in best.items()}


class ShardAssignor:
    """One for each member, since each claims something else; `aiokafka` takes it for one of its assignors' classes."""

    name = "logistics-shards"

    def __init__(self) -> None:
        self.claim = Claim("")
        self.members = 1
        """How many there were at the last assignment."""

    def metadata(self, topics: Iterable[str]) -> Any:
        return ConsumerProtocolMemberMetadata(PROTOCOL_VERSION, list(topics), msgspec.msgpack.encode(self.claim))

    def assign(self, cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        claims = {name: msgspec.msgpack.decode(told.user_data, type=Claim) for name, told in members.items()}
        for owner, count in Counter(claim.owner for claim in claims.values()).items():
            if count > 1:  # one may be gone, and not missed yet
                logger.warning("owners of the same name", owner=owner, members=count)
        shards = cluster.partitions_for_topic(SHARDS.name) or ()
        everyone = msgspec.msgpack.encode(len(claims))
        return {
            member: ConsumerProtocolMemberAssignment(PROTOCOL_VERSION, [(SHARDS.name, mine)], everyone)
            for member, mine in spread(shards, claims).items()
        }

    def on_assignment(self, assignment: Any) -> None:
        self.members = msgspec.msgpack.decode(assignment.user_data, type=int)
