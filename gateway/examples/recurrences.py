"""What the shop brings again and again."""

from gateway.examples.lumi import AT_HOME, OUTLET, RECURRENCE, at
from gateway.examples.tasks import CLEO, HOME
from schemas.message import Command
from schemas.recurrence import (
    ChangeRecurrence,
    CreateRecurrence,
    EndRecurrence,
    MinutesWindow,
    PauseRecurrence,
    RecurringStop,
    RecurringTask,
    ResumeRecurrence,
    ReviewOccurrence,
    SkipOccurrence,
)
from schemas.stop import NewParcel

BREAD = NewParcel(parcel_id="crate", description="Bread for the week", weight_g=4_000)
AT_NINE = MinutesWindow(from_minutes=0, to_minutes=120)

CREATED: dict[str, Command] = {
    "Bread on Mondays and Thursdays at nine, whatever the clocks do": CreateRecurrence(
        outlet=OUTLET,
        rule="FREQ=WEEKLY;BYDAY=MO,TH",
        starts_at=at(7, 0, day=5),
        task=RecurringTask(
            kind="delivery",
            stops=[
                RecurringStop(kind="pickup", stop_id="shop", goods_ready_minutes=-30),
                RecurringStop(
                    kind="dropoff", stop_id="door", location=AT_HOME, address=HOME, contact=CLEO, window=AT_NINE
                ),
            ],
            parcels=[BREAD],
        ),
        create_ahead_seconds=43_200,
        external_reference=RECURRENCE,
    ),
    "The laundry is fetched on the last working day of each month, a year long": CreateRecurrence(
        outlet=OUTLET,
        rule="FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1;COUNT=12",
        starts_at=at(12, 0, day=3),
        task=RecurringTask(
            kind="pickup",
            stops=[
                RecurringStop(kind="pickup", location=AT_HOME, address=HOME, contact=CLEO, window=AT_NINE),
                RecurringStop(kind="dropoff"),
            ],
        ),
        external_reference="laundry-881",
    ),
}
CHANGED: dict[str, Command] = {
    "On Tuesdays and Fridays from now on": ChangeRecurrence(rule="FREQ=WEEKLY;BYDAY=TU,FR"),
    "Not on the ninth: the customer is away": SkipOccurrence(local="2026-03-09T09:00"),
    "The customer is away for long": PauseRecurrence(reason_code="customer_away"),
    "The customer is back": ResumeRecurrence(),
    "The task was created by hand": ReviewOccurrence(occurrence_at=at(7, 0, day=5), decision_code="created_by_hand"),
    "The customer wants no more bread": EndRecurrence(reason_code="customer_cancelled"),
}
EXAMPLES = (CREATED, CHANGED)
