"""The schemas as a registry knows them: subjects, and the records of `_schemas` in Confluent's own form.

A subject is `<topic>-<full name>` (TopicRecordNameStrategy). Compatibility and mode are set for each subject and never
for all: on a cluster of several owners others keep their schemas in the same topic.
"""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from schemas import catalog
from schemas.control import (
    AggregateSnapshot,
    Checkpoint,
    DataKeyWrapped,
    EvictedIds,
    Heartbeat,
    ShardAnnounced,
    ShardOpened,
    ShardPinned,
)
from schemas.message import Event
from schemas.topics import KEYS, OWNED, SHARDS, SIGNALS, SNAPSHOTS, Topic

FENCED = (*OWNED, SIGNALS)
"""Each begins every tenure with a barrier."""

CONTROL_TOPICS: dict[type[Event], tuple[Topic, ...]] = {
    ShardOpened: FENCED,
    Heartbeat: FENCED,
    ShardAnnounced: (SHARDS,),
    ShardPinned: (SHARDS,),
    AggregateSnapshot: (SNAPSHOTS,),
    EvictedIds: (SNAPSHOTS,),
    Checkpoint: (SNAPSHOTS,),
    DataKeyWrapped: (KEYS,),
}
COMPATIBILITY = {"public": "FULL_TRANSITIVE", "internal": "BACKWARD_TRANSITIVE"}
READONLY = "READONLY"
"""Schemas come with a release, by nobody else."""

type Record = tuple[bytes, bytes]
"""Key and value."""


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    subject: str
    version: int
    id: int
    schema: str
    """Avro's JSON, without blanks."""
    compatibility: str
    released: bool
    """From then on it never changes."""


@cache
def registered() -> tuple[Registered, ...]:
    """Of each subject all versions, oldest ids first."""
    assigned = json.loads((catalog.AVRO / "ids.json").read_text())
    found = [
        each
        for name, versions in assigned["schemas"].items()
        for version in versions
        for each in of_version(name, version, assigned["released_up_to"])
    ]
    return tuple(sorted(found, key=lambda each: (each.id, each.subject)))


def of_version(name: str, version: dict[str, int], released_up_to: int) -> Iterator[Registered]:
    known = catalog.TYPES[name]
    schema = json.loads(catalog.avsc(name, version["version"]).read_text())
    topics = [known.topic] if known.topic is not None else [topic.name for topic in CONTROL_TOPICS[known.cls]]
    for topic in topics:
        yield Registered(
            subject=f"{topic}-{name}",
            version=version["version"],
            id=version["id"],
            schema=json.dumps(schema, separators=(",", ":")),
            compatibility=COMPATIBILITY[known.visibility],
            released=version["id"] <= released_up_to,
        )


def schema_record(each: Registered) -> Record:
    key = {"keytype": "SCHEMA", "subject": each.subject, "version": each.version, "magic": 1}
    value = {
        "subject": each.subject,
        "version": each.version,
        "id": each.id,
        "schema": each.schema,
        "deleted": False,
    }
    return encoded(key), encoded(value)


def config_record(each: Registered) -> Record:
    key = {"keytype": "CONFIG", "subject": each.subject, "magic": 0}
    return encoded(key), encoded({"compatibilityLevel": each.compatibility})


def mode_record(each: Registered) -> Record:
    return encoded({"keytype": "MODE", "subject": each.subject, "magic": 0}), encoded({"mode": READONLY})


def records() -> list[Record]:
    """All that stands in `_schemas`, each key once."""
    every = registered()
    subjects = {each.subject: each for each in every}
    return [
        *(record for each in subjects.values() for record in (config_record(each), mode_record(each))),
        *(schema_record(each) for each in every),
    ]


def encoded(fields: dict[str, Any]) -> bytes:
    """In Confluent's order and without blanks: compaction knows a key by its bytes."""
    return json.dumps(fields, separators=(",", ":")).encode()
