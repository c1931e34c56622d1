"""Who owns which shard and where it is reached, as `logistics.shards` tells it: the highest epoch is right."""

from collections.abc import Mapping

from commands.learning import Barriers
from schemas import catalog
from schemas.control import ShardAnnounced, ShardPinned
from schemas.record import Stored, event_of


class Announced:
    def __init__(self) -> None:
        self._owners: dict[int, ShardAnnounced] = {}
        self._pins: dict[int, ShardPinned] = {}
        self.barriers = Barriers()

    def take(self, stored: Stored) -> ShardAnnounced | None:
        """One record of `logistics.shards`, in its partition's order; what it announces. Raises Unreadable."""
        headers = stored.named()
        self.barriers.take(stored, headers)
        if self.barriers.fenced(stored, headers):
            return None
        said = headers.get("ce_type")
        if said in (ANNOUNCED, PINNED):
            match event_of(stored, None):
                case ShardAnnounced() as owner:
                    self._owners[stored.partition] = owner
                    return owner
                case ShardPinned() as pin:
                    self._pins[stored.partition] = pin
                case _:
                    pass
        return None

    def owner(self, shard: int) -> ShardAnnounced | None:
        """None while nobody has opened it yet."""
        return self._owners.get(shard)

    def pins(self) -> Mapping[int, ShardPinned]:
        return self._pins

    def addresses(self) -> set[str]:
        return {owner.address for owner in self._owners.values() if owner.address}


ANNOUNCED = catalog.BY_CLASS[ShardAnnounced].name.encode()
PINNED = catalog.BY_CLASS[ShardPinned].name.encode()
