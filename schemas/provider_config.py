"""ProviderConfig: whom a tenant asks for ways, travel times and places, in which order, and how much of each a day."""

from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from schemas.message import Command, Event, Input

ProviderName = Literal["osrm", "valhalla", "mapbox", "google", "osm"]
"""`osm` is the index of addresses that this system has made of an OpenStreetMap extract."""
Capability = Literal["matrix", "route", "match", "geocode"]
"""Travel times of many pairs; the way through places; on which streets a trip was; where an address is."""
Profile = Literal["car", "bicycle", "foot"]

CAN: Mapping[ProviderName, frozenset[Capability]] = {
    "osrm": frozenset({"matrix", "route", "match"}),
    "valhalla": frozenset({"matrix", "route", "match"}),
    "mapbox": frozenset({"matrix", "route", "match", "geocode"}),
    "google": frozenset({"matrix", "route", "geocode"}),
    "osm": frozenset({"geocode"}),
}
HAS_ITS_OWN_SERVER: frozenset[ProviderName] = frozenset({"mapbox", "google"})
"""They are where they are, and ask for a secret. The others are wherever somebody runs them."""
IS_PART_OF_US: frozenset[ProviderName] = frozenset({"osm"})

MAX_PROVIDERS = 8
LEAST_MS, LONGEST_MS = 50, 30_000
MAX_A_DAY = 100_000_000

SecretReference = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(env:[A-Z][A-Z0-9_]{0,99}|file:/[^\x00-\x1f]{1,299})$",
        description="Where the secret stands, never the secret: `env:MAPBOX_TOKEN`, a variable of our processes, or "
        "`file:/run/secrets/mapbox`. LOGISTICS_PROVIDER_SECRETS says which may be named.",
    ),
]
Milliseconds = Annotated[int, msgspec.Meta(ge=LEAST_MS, le=LONGEST_MS)]
ADay = Annotated[int, msgspec.Meta(ge=0, le=MAX_A_DAY)]


class RoutingProvider(Input, frozen=True, kw_only=True):
    """One of those that are asked.

    `osm` is the index of LOGISTICS_ADDRESSES. `url` is where an OSRM or Valhalla server is; OSRM without it is the one
    of LOGISTICS_OSRM. `credentials` are for Mapbox and Google alone. `only_for` leaves out the rest of what it can.
    `elements_per_day` counts pairs of a matrix (and 1 for any other request), as the bills of those who want money do;
    days are UTC's.
    """

    provider: ProviderName
    url: Annotated[str, msgspec.Meta(min_length=1, max_length=500)] | None = None
    credentials: SecretReference | None = None
    profile: Profile = "car"
    only_for: Annotated[list[Capability], msgspec.Meta(max_length=4)] = []
    timeout_ms: Milliseconds | None = None
    requests_per_day: ADay | None = None
    elements_per_day: ADay | None = None


class Routing(Input, frozen=True, kw_only=True):
    """Asked in their order: who is silent, wrong, used up or at rest is passed over, and the great circle is last.

    `answers_within_ms` is for all of them together. Who fails `opens_after_failures` times in a row is not asked for
    `rests_s`; then one request tries it. An answer is kept for `keeps_s`.
    """

    providers: Annotated[list[RoutingProvider], msgspec.Meta(min_length=1, max_length=MAX_PROVIDERS)]
    answers_within_ms: Milliseconds = 2_000
    opens_after_failures: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3
    rests_s: Annotated[int, msgspec.Meta(ge=1, le=3_600)] = 30
    keeps_s: Annotated[int, msgspec.Meta(ge=0, le=3_600)] = 300


class CreateProviderConfig(Command, frozen=True, kw_only=True):
    """A tenant has one at most. Until it has, LOGISTICS_OSRM is asked."""

    routing: Routing


class SetProviders(Command, frozen=True, kw_only=True):
    """All of it anew; what is left out is at its default."""

    routing: Routing


class ClearProviders(Command, frozen=True, kw_only=True):
    """LOGISTICS_OSRM is asked again, as of a tenant that has set nothing."""


type ProviderConfigCommand = CreateProviderConfig | SetProviders | ClearProviders


class ProvidersSet(Event, frozen=True, kw_only=True):
    routing: Routing


class ProvidersCleared(Event, frozen=True, kw_only=True):
    pass


type ProviderConfigEvent = ProvidersSet | ProvidersCleared
