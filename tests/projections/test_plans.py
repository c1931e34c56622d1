"""What the list says of a plan is what decisions say of it, whatever was asked."""

import contextlib
from datetime import timedelta
from random import Random

import pytest
from asked_of_dispatch import PLAN
from garage import Garage
from story import ACME

from commands.plan import Committing, Proposed, status_of
from projections.deadlines import DEADLINES
from projections.plans import PLANS, PlanRow
from schemas import ids
from schemas.message import Refused
from schemas.plan import RequestPlan

MORNING = ids.aggregate_id("plan", ACME, "shop", "morning")


def row(garage: Garage) -> PlanRow:
    found = garage.rows(PLANS)["acme", MORNING]
    assert isinstance(found, PlanRow)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_the_row_is_what_decisions_say_and_until_it_is_settled_it_has_a_deadline(seed: int):
    draw, garage = Random(seed), Garage()
    garage.send("plan", MORNING, RequestPlan(external_reference="morning", metadata={"lane": "7"}))
    for _ in range(30):
        garage.now += timedelta(seconds=draw.choice((1, 5, 30)))
        draws, _actor, role = draw.choice(PLAN)
        with contextlib.suppress(Refused):
            garage.send("plan", MORNING, draws(draw, garage.now), role)
    state, known = garage.state(MORNING), row(garage)
    assert (known.status, known.metadata) == (status_of(state), {"lane": "7"})
    if isinstance(state, Committing):
        assert state.rider_of.keys().isdisjoint(known.tasks), "what is settled waits for nothing"
        assert sum(task.given for task in known.tasks.values()) == state.given
    due = [each for each in garage.rows(DEADLINES).values() if each.kind == "close_plan"]
    assert len(due) == isinstance(state, (Committing, Proposed))
