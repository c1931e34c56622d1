"""The topics of the log: what stands where, and how it is kept (design, section 2)."""

from collections.abc import Mapping

import msgspec

GENERATION = 1
"""Of the log. It grows when the log is repartitioned."""

MAX_BATCH_BYTES = 8 << 20
"""The largest record batch that a topic takes."""

FOR_EVER = {
    "cleanup.policy": "delete",
    "retention.ms": "-1",
    "retention.bytes": "-1",
    "message.timestamp.type": "LogAppendTime",
    "max.message.bytes": str(MAX_BATCH_BYTES),
    "unclean.leader.election.enable": "false",
}
COMPACTED = FOR_EVER | {
    "cleanup.policy": "compact",
    "max.compaction.lag.ms": str(24 * 3600 * 1000),
    "delete.retention.ms": str(24 * 3600 * 1000),
}


class Topic(msgspec.Struct, frozen=True):
    """`partitions` of None is the log's own count."""

    name: str
    config: Mapping[str, str] = msgspec.field(default_factory=lambda: FOR_EVER)
    partitions: int | None = None
    fsynced: bool = True


TASK = Topic("logistics.task")
FLEET = Topic("logistics.fleet")
DISPATCH = Topic("logistics.dispatch")
INCIDENT = Topic("logistics.incident")
BILLING = Topic("logistics.billing")
DIRECTORY = Topic("logistics.directory")
SHARDS = Topic("logistics.shards", COMPACTED)
SNAPSHOTS = Topic("logistics.snapshots", COMPACTED)
KEYS = Topic("logistics.keys", COMPACTED)
SIGNALS = Topic("logistics.signals")
FIXES = Topic("logistics.fixes", FOR_EVER | {"retention.ms": str(30 * 24 * 3600 * 1000)})
CURSORS = Topic("logistics.cursors", COMPACTED)
DEAD = Topic("logistics.dead")
ETA_MODELS = Topic("logistics.eta-models", COMPACTED, partitions=1, fsynced=False)
SCHEMAS = Topic("_schemas", COMPACTED, partitions=1)

HISTORY = (TASK, FLEET, DISPATCH, INCIDENT, BILLING, DIRECTORY)
"""Written by shard owners, chained and versioned."""

OWNED = (*HISTORY, SHARDS, SNAPSHOTS, KEYS)
"""All that the owner of shard p writes in partition p: each needs its barrier."""

TOPICS = (*OWNED, SIGNALS, FIXES, CURSORS, DEAD, ETA_MODELS, SCHEMAS)
