"""What a shard's owner says of itself: barriers, heartbeats, announcements, keys."""

from datetime import datetime

from schemas.message import Event, SubjectId


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


class DataKeyWrapped(Event, frozen=True, kw_only=True):
    """A subject's data key, wrapped by the key-encryption key. A tombstone forgets the person."""

    subject: SubjectId
    wrapped: bytes


type ControlEvent = ShardOpened | Heartbeat | ShardAnnounced | DataKeyWrapped
