"""I4: each shard's memory as its owner tells it, beside a fold of the log to the same place."""

from collections.abc import Mapping
from typing import Any

from commands.memory import Account
from commands.opening import Opening
from commands.policy import Policy
from infra.check.finding import Finding, Verdict, verdict
from infra.check.reading import whole_log
from schemas.keyring import Keyring
from schemas.topics import HISTORY, KEYS


async def check_memory(told: list[Account], client_args: Mapping[str, Any], keyring: Keyring) -> Verdict:
    ends = {
        (topic.name, shard.shard): shard.next_offset[topic.name]
        for shard in told
        for topic in (*HISTORY, KEYS)
        if topic.name in shard.next_offset
    }
    openings = {shard.shard: Opening(shard.shard, keyring, Policy()) for shard in told}
    keys = {place: end for place, end in ends.items() if place[0] == KEYS.name}
    for part in (keys, {place: end for place, end in ends.items() if place not in keys}):
        async for stored in whole_log(client_args, part):
            openings[stored.partition].take(stored)
    findings = [
        Finding(
            "I4",
            f"shard {shard.shard}",
            f"the log folds to {len(openings[shard.shard].memory)} aggregates, "
            f"its owner has {shard.aggregates}, or their states differ",
        )
        for shard in told
        if openings[shard.shard].memory.digest() != shard.digest
    ]
    return verdict("I4", sum(shard.aggregates for shard in told), findings)
