"""Whom each tenant asks for ways: those it has set, in their order; else the servers of LOGISTICS_OSRM."""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from datetime import datetime

import httpx

from schemas.geo import Location
from schemas.message import Event, Source, TenantSlug
from schemas.provider_config import CAN, ProvidersCleared, ProvidersSet, Routing, RoutingProvider
from streams.addresses.index import AddressIndex
from streams.routes import NoRoute, Routed
from streams.routing.budgets import Budget, Budgets
from streams.routing.chain import Chain, Entry, NobodyKnows, Placed
from streams.routing.circuit import Circuit
from streams.routing.google import Google
from streams.routing.kept import Kept
from streams.routing.mapbox import Mapbox
from streams.routing.matching import Matched, Matcher, matched
from streams.routing.measured import Measured
from streams.routing.osm import Osm
from streams.routing.osrm import OsrmRouter
from streams.routing.osrm_shaped import Osrm
from streams.routing.provider import Provider
from streams.routing.routers import RouterFailed, RouterSaysNo
from streams.routing.valhalla import Valhalla
from streams.routing.wire import SecretOf, Wire
from streams.telemetry.eta import Way
from streams.telemetry.recorded import Point

MOST_TENANTS = 1_000
"""Whose circuits are remembered; the others begin anew."""

type Configured = Callable[[str], Routing | None]
"""What a tenant has set."""


class Chains:
    """Of the tenants that have set some, each with its circuits. `urls` and `addresses` are those of the settings.
    Whoever asks for more than tenants think of waits `at_least_s`, whatever they have set."""

    def __init__(
        self,
        urls: str,
        configured: Configured,
        secret_of: SecretOf,
        budgets: Budgets,
        addresses: AddressIndex | None = None,
        at_least_s: float = 0.0,
    ) -> None:
        self._urls = [url.strip() for url in urls.split(",") if url.strip()]
        self._configured, self._budgets, self._at_least_s = configured, budgets, at_least_s
        self._wire, self._kept = Wire(secret_of), Kept()
        self._chains: OrderedDict[str, tuple[Routing, Chain]] = OrderedDict()
        self._osm = None if addresses is None else Osm(self._wire, addresses)
        self._of_settings = self._made("", Routing(providers=[RoutingProvider(provider="osm")]))

    async def close(self) -> None:
        await self._wire.aclose()
        if self._osm is not None:
            self._osm.close()

    def for_addresses(self, tenant: str) -> Chain:
        """The index of the settings is asked where nobody whom the tenant asks knows any."""
        chain = self.of(tenant)
        return chain if chain is not None and chain.can("geocode") else self._of_settings

    def of(self, tenant: str) -> Chain | None:
        """None where it has set nothing."""
        routing = self._configured(tenant)
        if routing is None:
            self._chains.pop(tenant, None)
            return None
        known = self._chains.get(tenant)
        if known is None or known[0] != routing:
            known = self._chains[tenant] = routing, self._made(tenant, routing)
        self._chains.move_to_end(tenant)
        while len(self._chains) > MOST_TENANTS:
            self._chains.popitem(last=False)
        return known[1]

    def _made(self, tenant: str, routing: Routing) -> Chain:
        entries = [
            Entry(
                provider=provider,
                circuit=Circuit(routing.opens_after_failures, routing.rests_s),
                can=frozenset(each.only_for) or CAN[each.provider],
                budget=Budget(each.requests_per_day, each.elements_per_day),
                timeout_s=None if each.timeout_ms is None else max(self._at_least_s, each.timeout_ms / 1_000),
                whose=(tenant, provider.at),
            )
            for each in routing.providers
            for provider in self._providers(each)
        ]
        return Chain(
            tenant,
            entries,
            within_s=max(self._at_least_s, routing.answers_within_ms / 1_000),
            keeps_s=routing.keeps_s,
            budgets=self._budgets,
            kept=self._kept,
        )

    def _providers(self, each: RoutingProvider) -> list[Provider]:
        """OSRM without an address is each of those of the settings."""
        suffix = "" if each.profile == "car" else f"/{each.profile}"
        match each.provider:
            case "osrm":
                urls = self._urls if each.url is None else [each.url]
                return [Osrm(self._wire, url, host_of(url) + suffix, each.profile) for url in urls]
            case "valhalla":
                assert each.url is not None, "it was set with one"
                return [Valhalla(self._wire, each.url, host_of(each.url) + suffix, each.profile)]
            case "osm":
                return [] if self._osm is None else [self._osm]
            case "mapbox":
                assert each.credentials is not None, "it was set with some"
                return [Mapbox(self._wire, each.credentials, each.provider + suffix, each.profile)]
            case "google":
                assert each.credentials is not None, "it was set with some"
                return [Google(self._wire, each.credentials, each.provider + suffix, each.profile)]


class TenantRouting:
    """`default` is asked for whoever has set nothing."""

    def __init__(self, chains: Chains, default: OsrmRouter) -> None:
        self._chains, self._default = chains, default

    def of(self, tenant: str) -> "OneTenant":
        return OneTenant(self._default, self._chains.of(tenant))

    async def matrix(
        self,
        tenant: str,
        origins: Sequence[Location],
        goals: Sequence[Location],
        departing: datetime | None = None,
    ) -> Measured:
        """Does not fail: the great circle stands in, and says so."""
        return await self.of(tenant).matrix(origins, goals, departing)


class OneForAll:
    """The same servers, whichever tenant asks."""

    def __init__(self, servers: OsrmRouter) -> None:
        self._servers = servers

    async def matrix(self, tenant: str, origins: Sequence[Location], goals: Sequence[Location]) -> Measured:
        """Does not fail: the great circle stands in, and says so."""
        return await self._servers.matrix(origins, goals)


class TenantMatching:
    """On which streets a trip was. `default` is asked, too, where nobody that a tenant asks can tell that."""

    def __init__(self, chains: Chains, default: Matcher) -> None:
        self._chains, self._default = chains, default

    async def matched(self, tenant: str, points: Sequence[Point]) -> Matched:
        """Does not fail: what nobody tells is not matched, and that is said."""
        chain = self._chains.of(tenant)
        if chain is None or not chain.can("match"):
            return await self._default.matched(points)
        return await matched(points, chain.match)


class TenantAddresses:
    """Where an address is, by those whom a tenant asks."""

    def __init__(self, chains: Chains) -> None:
        self._chains = chains

    async def geocode(self, tenant: str, text: str) -> Placed:
        """Does not fail: without candidates where nobody knows it, or nobody can be asked, and that is said."""
        return await self._chains.for_addresses(tenant).geocode(text)


class TenantRoutes:
    """The way through some places by those whom a tenant asks; `default` for whoever has set nothing."""

    def __init__(self, chains: Chains, default: OsrmRouter) -> None:
        self._chains, self._default = chains, default

    async def route(self, tenant: str, places: Sequence[Location]) -> Routed:
        """Raises NoRoute."""
        chain = self._chains.of(tenant)
        try:
            if chain is None or not chain.can("route"):
                return Routed(await self._default.route(places), "osrm")
            told = await chain.route(places)
        except NobodyKnows as nobody:
            knows_none = any(each.why == "no_way" for each in nobody.passed)
            raise NoRoute("no_way" if knows_none else "nobody_answers") from nobody
        except RouterSaysNo as no:
            raise NoRoute("no_way") from no
        except RouterFailed as failed:
            raise NoRoute("nobody_answers") from failed
        return Routed(told.told, told.source)


class OneTenant:
    """As dispatch and forecasts ask. Nothing of it fails: the great circle stands in, and says so."""

    def __init__(self, default: OsrmRouter, chain: Chain | None) -> None:
        self._default, self._chain = default, chain

    async def matrix(
        self, origins: Sequence[Location], goals: Sequence[Location], departing: datetime | None = None
    ) -> Measured:
        if self._chain is None:
            return await self._default.matrix(origins, goals)
        return await self._chain.matrix(origins, goals, departing)

    async def way(self, places: Sequence[Location]) -> Way:
        return await (self._default.way(places) if self._chain is None else self._chain.way(places))


class Configs:
    """What tenants have set, from the directory's events."""

    def __init__(self) -> None:
        self._set: dict[TenantSlug, Routing] = {}

    def take(self, event: Event, source: Source) -> None:
        match event:
            case ProvidersSet():
                self._set[source.tenant] = event.routing
            case ProvidersCleared():
                self._set.pop(source.tenant, None)
            case _:
                pass

    def of(self, tenant: str) -> Routing | None:
        return self._set.get(TenantSlug(tenant))


def host_of(url: str) -> str:
    """Host and port: what else stands in an address may be a secret."""
    return httpx.URL(url).netloc.decode()
