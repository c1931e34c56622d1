"""Whom does the tenant ask for ways, and in which order?"""

from datetime import datetime

import msgspec
from msgspec.structs import replace

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.catalog import members_of
from schemas.provider_config import ProviderConfigEvent, ProvidersCleared, ProvidersSet, Routing

TABLE = """
CREATE TABLE {table} (
    tenant             text        NOT NULL,
    provider_config_id text        NOT NULL,
    routing            jsonb       NOT NULL,
    cleared            boolean     NOT NULL,
    created_at         timestamptz NOT NULL,
    updated_at         timestamptz NOT NULL,
    version            bigint      NOT NULL,
    PRIMARY KEY (tenant, provider_config_id)
)
"""


class ProviderConfigRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    provider_config_id: str
    routing: Routing
    cleared: bool = False
    created_at: datetime
    updated_at: datetime
    version: int


def apply(row: ProviderConfigRow | None, fact: Fact, key: Key) -> ProviderConfigRow:
    event, source = fact.event, fact.source
    if row is None:
        assert isinstance(event, ProvidersSet), "a config's first event sets it"
        row = ProviderConfigRow(
            tenant=source.tenant,
            provider_config_id=source.aggregate_id,
            routing=event.routing,
            created_at=source.recorded_at,
            updated_at=source.recorded_at,
            version=source.version,
        )
    row = replace(row, updated_at=source.recorded_at, version=source.version)
    match event:
        case ProvidersSet():
            return replace(row, routing=event.routing, cleared=False)
        case ProvidersCleared():
            return replace(row, cleared=True)
        case _:
            return row


PROVIDER_CONFIGS = ReadModel(
    name="provider_configs",
    version=1,
    table=TABLE,
    row=ProviderConfigRow,
    key=("tenant", "provider_config_id"),
    events=frozenset(members_of(ProviderConfigEvent)),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM provider_configs
WHERE tenant = %(tenant)s
  AND (%(at)s::timestamptz IS NULL OR (created_at, provider_config_id) > (%(at)s, %(id)s))
ORDER BY created_at, provider_config_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""The tenant's one, if it has set any, a cleared one too."""
