"""I4: each shard's memory as its owner tells it, beside a fold of the log to the same place."""

from collections.abc import Mapping, Sequence
from typing import Any

from commands.memory import Account, LogCorrupt
from commands.opening import Opening
from commands.policy import Policy
from infra.check.finding import Judgement, NotJudged, Verdict
from infra.check.reading import Place, whole_log
from schemas.keyring import Keyring
from schemas.record import Unreadable
from schemas.topics import HISTORY, KEYS


class Folded:
    """What the log tells of every shard. It takes as much memory as the owners themselves."""

    def __init__(self, partitions: int, keyring: Keyring) -> None:
        self.policy = Policy()
        self.keyring = keyring
        self.ends: Mapping[Place, int] = {}
        self.openings = {p: Opening(p, keyring, self.policy) for p in range(partitions)}
        self.corrupt: dict[int, str] = {}
        """The shards whose log does not fold, and why."""


async def fold(client_args: Mapping[str, Any], ends: Mapping[Place, int], folded: Folded) -> Folded:
    """Of each partition what stands before its end. Keys come before what they open."""
    folded.ends = ends
    keys = {place: end for place, end in ends.items() if place[0] == KEYS.name}
    for part in (keys, {place: end for place, end in ends.items() if place not in keys}):
        async for stored in whole_log(client_args, part):
            if stored.partition in folded.corrupt:
                continue
            try:
                folded.openings[stored.partition].take(stored)
            except (LogCorrupt, Unreadable) as corrupt:
                folded.corrupt[stored.partition] = str(corrupt)
    return folded


def ends_told(told: Sequence[Account]) -> dict[Place, int]:
    """The places as of which the owners speak."""
    return {
        (topic.name, account.shard): account.next_offset[topic.name]
        for topic in (*HISTORY, KEYS)
        for account in told
        if topic.name in account.next_offset
    }


def check_memory(told: Sequence[Account], folded: Folded) -> Verdict:
    """`folded` up to where they speak of. Raises NotJudged."""
    closed = folded.openings.keys() - {account.shard for account in told}
    if closed:
        raise NotJudged(f"shards {', '.join(map(str, sorted(closed)))} are not open")
    judgement = Judgement("I4")
    for account in told:
        judgement.looked_at += account.aggregates
        where, memory = f"shard {account.shard}", folded.openings[account.shard].memory
        if account.shard in folded.corrupt:
            judgement.found(where, f"its log does not fold: {folded.corrupt[account.shard]}")
        elif len(memory) != account.aggregates:
            judgement.found(where, f"the log folds to {len(memory)} aggregates, its owner has {account.aggregates}")
        elif memory.digest() != account.digest:
            judgement.found(where, f"its owner has the log's {len(memory)} aggregates, and in another state")
    return judgement.verdict()
