"""Where addresses are: as people have told, and as those say whom a tenant asks."""

from infra.lookups import Lookups
from schemas.geo import Location
from schemas.message import Source, TenantSlug
from streams.routing.chain import Placed
from streams.routing.tenants import TenantAddresses


class KnownPlaces:
    def __init__(self, lookups: Lookups, addresses: TenantAddresses) -> None:
        self._lookups, self._addresses = lookups, addresses

    async def geocode(self, tenant: TenantSlug, text: str) -> Placed:
        return await self._addresses.geocode(tenant, text)

    async def remembered(self, place_key: str, source: Source) -> Location | None:
        """Raises NotNow."""
        return await self._lookups.remembered(place_key, source)
