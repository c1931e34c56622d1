"""Carrier: a party under contract that delivers for a tenant, by service levels that both have agreed."""

from typing import Annotated

import msgspec

from schemas.load import Capacity
from schemas.message import (
    Code,
    Command,
    Event,
    ExternalReference,
    Input,
    Metadata,
    Name,
    Personal,
    Record,
    Reference,
    ReferenceSource,
    Slug,
)
from schemas.money import Currency
from schemas.provider_config import SecretReference
from schemas.task_kind import TaskKind

MAX_CARRIERS = 200
"""Under contract with a tenant. Several made in the same moment may pass it by a few."""
MAX_SERVICE_LEVELS = 20
MAX_AREA_OUTLETS = 200
MAX_POSTAL_PREFIXES = 1_000
MAX_CAPABILITIES = 50
MAX_CURRENCIES = 20
LONGEST_S = 7 * 86_400

PostalPrefix = Annotated[str, msgspec.Meta(pattern=r"^[A-Z]{2}(-[A-Z0-9][A-Z0-9 -]{0,9})?$")]
"""The country's code (ISO 3166-1 alpha-2), then how its postal codes begin: `FI-00` is Helsinki, `FI` the country."""


class CarrierPrice(Input, frozen=True, kw_only=True):
    """Of one task, for each started kilometre through its stops as the crow flies."""

    currency: Currency
    base_minor: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)]
    per_km_minor: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0


class ServiceLevel(Input, frozen=True, kw_only=True):
    """It answers an offer within `commitment_seconds`; a booking of which nothing is heard for `silence_seconds` is
    silent. `kinds` of tasks, none named: any; `capacity` is the most of one task. Without a `price` it is asked for
    bids alone."""

    code: Code
    title: Name
    commitment_seconds: Annotated[int, msgspec.Meta(ge=1, le=LONGEST_S)]
    silence_seconds: Annotated[int, msgspec.Meta(ge=60, le=LONGEST_S)]
    kinds: Annotated[list[TaskKind], msgspec.Meta(max_length=5)] = []
    capacity: Capacity | None = None
    price: CarrierPrice | None = None


class ServedArea(Input, frozen=True, kw_only=True):
    """It serves these outlets, and elsewhere these postal codes; of what is empty, any. A stop at an outlet is judged
    by the outlet, another by its `postal_code` if it has one."""

    outlets: Annotated[list[Slug], msgspec.Meta(max_length=MAX_AREA_OUTLETS)] = []
    postal_prefixes: Annotated[list[PostalPrefix], msgspec.Meta(max_length=MAX_POSTAL_PREFIXES)] = []


class CarrierTerms(Input, frozen=True, kw_only=True):
    """`tariff_reference` names the tariff where that is kept; `capabilities` are such as `chilled` or `age_check`. What
    it asks is in one of the `currencies`, or in any where there are none."""

    service_levels: Annotated[list[ServiceLevel], msgspec.Meta(max_length=MAX_SERVICE_LEVELS)] = []
    area: ServedArea = ServedArea()
    currencies: Annotated[list[Currency], msgspec.Meta(max_length=MAX_CURRENCIES)] = []
    tariff_reference: Reference | None = None
    capabilities: Annotated[list[Code], msgspec.Meta(max_length=MAX_CAPABILITIES)] = []


class CarrierChannel(Input, frozen=True, kw_only=True):
    """Where it is told of offers, and where the secret stands that signs both what it is told and what it answers: a
    reference, never the secret (`whsec_` and the Base64 of at least 24 bytes)."""

    url: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    secret: SecretReference


class NewCarrierContact(Input, frozen=True, kw_only=True):
    """Whom to ask there."""

    name: Name
    phone: Annotated[str, msgspec.Meta(min_length=3, max_length=40)] | None = None
    email: Annotated[str, msgspec.Meta(min_length=3, max_length=254, pattern=r"^[^@\s]+@[^@\s]+$")] | None = None


# What can be asked


class RegisterCarrier(Command, frozen=True, kw_only=True):
    """The contract is not in force yet, and its terms may follow."""

    name: Name
    contact: NewCarrierContact | None = None
    terms: CarrierTerms = CarrierTerms()
    external_reference: ExternalReference = None
    source: ReferenceSource = None
    metadata: Metadata = {}


class ChangeCarrierDetails(Command, frozen=True, kw_only=True):
    """All of them anew; without `contact` there is nobody to ask."""

    name: Name
    contact: NewCarrierContact | None = None


class ChangeCarrierTerms(Command, frozen=True, kw_only=True):
    """All of them anew. What is quoted or booked already stays as it was."""

    terms: CarrierTerms


class SetCarrierChannel(Command, frozen=True, kw_only=True):
    """Without one it is told nothing, and not asked."""

    channel: CarrierChannel | None


class ActivateCarrier(Command, frozen=True, kw_only=True):
    """The contract is in force: it can be booked. It needs a service level."""


class SuspendCarrier(Command, frozen=True, kw_only=True):
    """Nothing more is booked with it; what is booked goes on."""

    reason_code: Code


class ReinstateCarrier(Command, frozen=True, kw_only=True):
    pass


class EndCarrierContract(Command, frozen=True, kw_only=True):
    """For ever. What is booked goes on."""

    reason_code: Code


type CarrierCommand = (
    RegisterCarrier
    | ChangeCarrierDetails
    | ChangeCarrierTerms
    | SetCarrierChannel
    | ActivateCarrier
    | SuspendCarrier
    | ReinstateCarrier
    | EndCarrierContract
)


# What can happen


class CarrierContact(Record, frozen=True, kw_only=True):
    name: Personal[str]
    phone: Personal[str] | None = None
    email: Personal[str] | None = None


class CarrierRegistered(Event, frozen=True, kw_only=True):
    name: str
    contact: CarrierContact | None
    terms: CarrierTerms
    external_reference: str | None
    source: str
    metadata: dict[str, str]


class CarrierDetailsChanged(Event, frozen=True, kw_only=True):
    name: str
    contact: CarrierContact | None


class CarrierTermsChanged(Event, frozen=True, kw_only=True):
    terms: CarrierTerms


class CarrierChannelSet(Event, frozen=True, kw_only=True):
    channel: CarrierChannel | None


class CarrierActivated(Event, frozen=True, kw_only=True):
    pass


class CarrierSuspended(Event, frozen=True, kw_only=True):
    reason_code: str


class CarrierReinstated(Event, frozen=True, kw_only=True):
    pass


class CarrierContractEnded(Event, frozen=True, kw_only=True):
    reason_code: str


type CarrierEvent = (
    CarrierRegistered
    | CarrierDetailsChanged
    | CarrierTermsChanged
    | CarrierChannelSet
    | CarrierActivated
    | CarrierSuspended
    | CarrierReinstated
    | CarrierContractEnded
)
