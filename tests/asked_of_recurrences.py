"""What may be asked of a recurrence."""

from datetime import timedelta
from random import Random
from typing import Any

from drawn import HOME, Repertoire, always
from story import NOON

from schemas import recurrence as w

HOURS = [NOON + timedelta(hours=count) for count in range(7)]
LOCALS = [f"2026-03-01T{count + 14:02}:00" for count in range(7)]
"""The same at the outlet."""


def recurring(draw: Random, now: Any) -> w.CreateRecurrence:
    return w.CreateRecurrence(
        outlet="kamppi",
        rule=draw.choice(("FREQ=HOURLY", "FREQ=HOURLY;COUNT=3", "FREQ=HOURLY;BYHOUR=15,16,18")),
        starts_at=NOON,
        task=w.RecurringTask(
            kind="delivery",
            stops=[w.RecurringStop(kind="pickup"), w.RecurringStop(kind="dropoff", location=HOME)],
        ),
        create_ahead_seconds=draw.choice((0, 600, 3_600)),
    )


def answered(draw: Random, now: Any) -> w.RefuseOccurrence:
    place = draw.randrange(7)
    return w.RefuseOccurrence(
        occurrence_at=HOURS[place], local=LOCALS[place], task_id="task-1", rule="hub-closed", reason_code="hub_closed"
    )


RECURRENCE: Repertoire = [
    (recurring, "shop", "integrator"),
    (
        lambda draw, now: w.ChangeRecurrence(rule=draw.choice(("FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=2"))),
        "shop",
        "integrator",
    ),
    (lambda draw, now: w.ChangeRecurrence(create_ahead_seconds=draw.choice((0, 600))), "shop", "integrator"),
    (lambda draw, now: w.SkipOccurrence(local=draw.choice(LOCALS)), "shop", "integrator"),
    (always(w.PauseRecurrence(reason_code="holidays")), "shop", "integrator"),
    (always(w.ResumeRecurrence()), "shop", "integrator"),
    (always(w.EndRecurrence(reason_code="enough")), "shop", "integrator"),
    *[(lambda draw, now: w.CreateOccurrence(occurrence_at=draw.choice(HOURS)), "deadlines", "system")] * 4,
    (answered, "recurring", "system"),
    (
        lambda draw, now: w.ReviewOccurrence(occurrence_at=draw.choice(HOURS), decision_code="seen"),
        "dora",
        "dispatcher",
    ),
]
