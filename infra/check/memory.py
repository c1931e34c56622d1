"""I4: each shard's memory as its owner tells it, beside a fold of the log to the same place."""

from collections.abc import Mapping, Sequence
from typing import Any

from commands.aggregates import AGGREGATES
from commands.learning import LEARNED_FROM, Learning
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
        self.learning = Learning(keyring, self.policy)
        self.openings = {p: Opening(p) for p in range(partitions)}
        self.corrupt: dict[int, str] = {}
        """The shards whose log does not fold, and why."""


async def fold(client_args: Mapping[str, Any], ends: Mapping[Place, int], folded: Folded) -> Folded:
    """Of each partition what stands before its end."""
    folded.ends = ends
    async for stored in whole_log(client_args, ends):
        if stored.partition in folded.corrupt:
            continue
        try:
            if stored.topic in LEARNED_FROM:
                folded.learning.take(stored)
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
            continue
        let_go = memory.ids() - (memory.ids() if account.held is None else set(account.held))
        for aggregate_id in let_go:
            live = memory.peek(aggregate_id)
            if live is not None and not AGGREGATES[live.kind].over(live.state):
                judgement.found(where, f"its owner has let go {live.kind} {aggregate_id}, which is not over")
        if len(memory) - len(let_go) != account.aggregates:
            held = f"its owner has {account.aggregates} and let go {len(let_go)}"
            judgement.found(where, f"the log folds to {len(memory)} aggregates, {held}")
        elif memory.digest(without=let_go) != account.digest:
            judgement.found(where, f"its owner has the log's {account.aggregates} aggregates, and in another state")
    return judgement.verdict()
