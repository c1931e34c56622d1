"""What a shard's owner says of itself: barriers, heartbeats, announcements, keys."""

from datetime import datetime

from schemas.message import Event, Record, SubjectId


class ShardOpened(Event, frozen=True, kw_only=True):
    """The barrier: once it stands, the broker refuses every earlier owner of this partition.

    It carries no hash, since its writer cannot yet know what stands before it; the next record's hash covers it.
    """

    shard: int
    producer_id: int
    epoch: int
    owner: str


class Heartbeat(Event, frozen=True, kw_only=True):
    """The tenure holds. Written when the owner has nothing else to write."""

    shard: int
    epoch: int


class ShardAnnounced(Event, frozen=True, kw_only=True):
    """Who owns the shard now and where it is reached."""

    shard: int
    epoch: int
    owner: str
    address: str
    opened_at: datetime


class ShardPinned(Event, frozen=True, kw_only=True):
    """An operator wants this owner to have the shard while it is there; of two pins the later one counts."""

    shard: int
    owner: str
    pinned_at: datetime


class DataKeyWrapped(Event, frozen=True, kw_only=True):
    """A subject's data key, wrapped by the key-encryption key. A tombstone forgets the person."""

    subject: SubjectId
    wrapped: bytes


class AggregateSnapshot(Event, frozen=True, kw_only=True):
    """An aggregate as its owner knew it, keyed by its id. Of one that was let go a tombstone is left.

    Its headers tell the version of its state (`state`: whoever does not know it must fold the log instead) and, where
    nothing more can happen to it, since when (`over_at`).
    """

    live: bytes
    """MessagePack; personal data sealed as on the log."""


class EvictedIds(Event, frozen=True, kw_only=True):
    """A part of the filter that tells which aggregates were let go: a Bloom filter's bits (see commands.evicted)."""

    part: int
    count: int
    bits: bytes


class CheckpointPlace(Record, frozen=True, kw_only=True):
    topic: str
    offset: int
    """The tail begins here."""
    hash: str
    """The chain's, of the record before; in hexadecimal."""
    producer_id: int
    epoch: int
    """Of the latest barrier before."""


class Checkpoint(Event, frozen=True, kw_only=True):
    """The snapshots before it hold all that is before these places; what they hold beyond comes again in the tail."""

    shard: int
    epoch: int
    state_versions: list[str]
    evicted: int
    """How many aggregates were let go."""
    places: list[CheckpointPlace]


type ControlEvent = (
    ShardOpened
    | Heartbeat
    | ShardAnnounced
    | ShardPinned
    | DataKeyWrapped
    | AggregateSnapshot
    | EvictedIds
    | Checkpoint
)
