"""Why this rider, and why nobody?"""

from datetime import datetime

import msgspec

from projections.model import Fact, Key, ReadModel, by_aggregate
from projections.page import Page
from schemas.carrier_offer import CarrierCandidate, ExcludedCarrier
from schemas.dispatch_rules import ScoreWeights
from schemas.itinerary import Bundled
from schemas.tender import Candidate, DispatchDecisionRecorded, Excluded, InWindow, Others

TABLE = """
CREATE TABLE {table} (
    tenant         text        NOT NULL,
    tender_id      text        NOT NULL,
    task_id        text        NOT NULL,
    round          bigint      NOT NULL,
    bundle         jsonb       NOT NULL,
    mode           text        NOT NULL,
    candidates     jsonb       NOT NULL,
    others         jsonb       NOT NULL,
    excluded       jsonb       NOT NULL,
    more_excluded  jsonb       NOT NULL,
    carriers       jsonb       NOT NULL,
    carriers_excluded jsonb    NOT NULL,
    policy_version bigint      NOT NULL,
    weights        jsonb,
    input_hash     text        NOT NULL,
    solver         text        NOT NULL,
    in_window      jsonb,
    decided_at     timestamptz NOT NULL,
    PRIMARY KEY (tenant, tender_id)
);
CREATE INDEX ON {table} (tenant, task_id, round);
CREATE INDEX ON {table} USING gin (bundle jsonb_path_ops) WITH (fastupdate = off) WHERE bundle <> '[]';
CREATE INDEX ON {table} (tenant, decided_at, tender_id)
"""


class DecisionRow(msgspec.Struct, frozen=True, kw_only=True):
    tenant: str
    tender_id: str
    task_id: str
    round: int
    bundle: list[Bundled]
    mode: str
    candidates: list[Candidate]
    others: Others
    excluded: list[Excluded]
    more_excluded: dict[str, int]
    carriers: list[CarrierCandidate]
    carriers_excluded: list[ExcludedCarrier]
    policy_version: int
    weights: ScoreWeights | None
    input_hash: str
    solver: str
    in_window: InWindow | None
    decided_at: datetime


def apply(row: DecisionRow | None, fact: Fact, key: Key) -> DecisionRow:
    event, source = fact.event, fact.source
    assert isinstance(event, DispatchDecisionRecorded), "nothing else is followed"
    return DecisionRow(
        tenant=source.tenant,
        tender_id=source.aggregate_id,
        task_id=event.task_id,
        round=event.round,
        bundle=event.bundle,
        mode=event.mode,
        candidates=event.candidates,
        others=event.others,
        excluded=event.excluded,
        more_excluded=event.more_excluded,
        carriers=event.carriers,
        carriers_excluded=event.carriers_excluded,
        policy_version=event.policy_version,
        weights=event.weights,
        input_hash=event.input_hash,
        solver=event.solver,
        in_window=event.in_window,
        decided_at=source.recorded_at,
    )


DISPATCH_DECISIONS = ReadModel(
    name="dispatch_decisions",
    version=5,
    table=TABLE,
    row=DecisionRow,
    key=("tenant", "tender_id"),
    events=frozenset({DispatchDecisionRecorded}),
    keys=by_aggregate,
    apply=apply,
)

PAGE = """
SELECT * FROM dispatch_decisions
WHERE tenant = %(tenant)s
  AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s
    OR bundle <> '[]' AND bundle @> jsonb_build_array(jsonb_build_object('task_id', %(task_id)s::text)))
  AND (%(at)s::timestamptz IS NULL OR (decided_at, tender_id) > (%(at)s, %(id)s))
ORDER BY decided_at, tender_id
LIMIT %(limit)s
"""


page = Page(PAGE)
"""Decisions, oldest first."""
