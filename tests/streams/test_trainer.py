"""What the trainer makes of forecasts and arrivals, and that whoever follows it tells the same."""

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from msgspec.structs import replace
from numpy.random import Generator, default_rng

from schemas.directory import TenantCreated, TenantRules
from schemas.eta_model import EtaErrorsMet, EtaForestGrown, EtaModelEvent, key_of
from schemas.goods import Party
from schemas.message import OutletSlug, Personal, RiderId, Source, StopId, SubjectId, TaskId, TenantSlug
from schemas.signals import EtaScored, ForecastMade
from schemas.stop import Stop
from schemas.stop_events import StopArrived, StopCompleted
from schemas.task import TaskCreated
from streams.eta import learner as learning
from streams.eta.journey import COLUMNS, COLUMNS_NAME
from streams.eta.model import BY_FACTORS
from streams.eta.models import Models
from streams.eta.trainer import Trainer
from streams.eta.worlds import Worlds

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
TASK, STOP, ANN = TaskId("task-1"), StopId("stop-1"), "ann"


@pytest.fixture(autouse=True)
def few_trees(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(learning, "TREES", 20)
    monkeypatch.setattr(learning, "SPREAD_TREES", 10)


def source_of(aggregate: str, at_s: float, tenant: str = "acme") -> Source:
    fields = dict.fromkeys(Source.__struct_fields__, "")
    at = NOON + timedelta(seconds=at_s)
    return Source(**fields | {"tenant": tenant, "aggregate_id": aggregate, "version": 1, "event_time": at})  # type: ignore[arg-type]


def row(router_s: float, vehicle: float = 3.0) -> list[float]:
    known = dict.fromkeys(COLUMNS, 0.0)
    known |= {"router_s": router_s, "router_ahead_s": router_s, "router_m": router_s * 10, "vehicle": vehicle}
    return [known[name] for name in COLUMNS]


class Day:
    """Journeys that take `times` as long as the router says, a bit more or less; forecasts each minute."""

    def __init__(self, trainer: Trainer, seed: int = 1) -> None:
        self.trainer = trainer
        self.draw: Generator = default_rng(seed)
        self.count = 0

    def journey(self, began_s: float, times: float = 2.0, tenant: str = "acme", **more: float) -> None:
        self.count += 1
        lasts_s = float(self.draw.uniform(300, 1_500))
        took = times * float(self.draw.lognormal(0, 0.1))
        left = np.arange(lasts_s, 0, -60.0).tolist()
        self.trainer.take(
            scored(began_s + lasts_s, [(left_s, row(left_s / took, **more)) for left_s in left], f"task-{self.count}"),
            source_of(ANN, began_s + lasts_s, tenant),
        )


def scored(at_s: float, seen: list[tuple[float, list[float]]] | None, task: str = TASK) -> EtaScored:
    return EtaScored(
        task_id=TaskId(task),
        stop_id=STOP,
        arrived_at=NOON + timedelta(seconds=at_s),
        forecasts=[made(at_s - 300)],
        seen=None if seen is None else Personal(SubjectId("s"), seen),
        columns=COLUMNS_NAME,
    )


def made(at_s: float) -> ForecastMade:
    at = NOON + timedelta(seconds=float(at_s))
    return ForecastMade(at=at, p10=at, p50=at, p90=at, model="m", source="osrm")


def taught(trainer: Trainer, journeys: int = 150, **more: float) -> list[EtaModelEvent]:
    """One begins each minute, and a look is had at each."""
    day, told = Day(trainer), []
    for minute in range(journeys):
        day.journey(60.0 * minute, **more)
        told += trainer.look(NOON + timedelta(minutes=minute))
    return told


def followed(told: list[EtaModelEvent]) -> Models:
    models = Models(Worlds())
    for event in told:
        models.take(event)
    return models


def test_before_anybody_has_arrived_factors_are_told_once():
    trainer = Trainer()
    told = trainer.look(NOON)
    assert [(each.live, each.version, each.forest) for each in told if isinstance(each, EtaErrorsMet)] == [
        (True, BY_FACTORS, None),
        (False, BY_FACTORS, None),
    ]
    assert trainer.look(NOON + timedelta(hours=1)) == []


def test_from_arrivals_it_learns_what_drives_take_and_who_follows_tells_it():
    trainer = Trainer()
    told = taught(trainer)
    forests = [event for event in told if isinstance(event, EtaForestGrown)]
    assert 2 <= len(forests) <= 5, "one every half hour"
    model = followed(told).of("acme")
    assert model.version.startswith(f"{forests[-1].forest}+")
    [[p10, p50, p90]] = model.forecast(np.array([row(400.0)])).tolist()
    assert p50 == pytest.approx(800, rel=0.1)
    assert p10 < p50 < p90 < 1_200


def test_begun_anew_it_goes_through_the_day_as_if_it_had_been_there():
    """All at once, and then a look: the models are those of the one that was there."""
    there, later = Trainer(), Trainer()
    told = taught(there)
    day = Day(later)
    for minute in range(150):
        day.journey(60.0 * minute)
    begun = later.look(NOON + timedelta(minutes=149))
    assert [(type(event).__name__, event.live) for event in begun] == [
        ("EtaForestGrown", True),
        ("EtaErrorsMet", True),
        ("EtaErrorsMet", False),
    ]
    asked = np.array([row(200.0), row(700.0)])
    assert followed(begun).of("acme").forecast(asked) == pytest.approx(
        followed(told).of("acme").forecast(asked), rel=0.1
    )


def test_what_is_played_on_a_test_tenant_teaches_it_alone():
    trainer = Trainer()
    made_up = TenantCreated(tenant=TenantSlug("play"), name="Play", mode="test", rules=TenantRules())
    trainer.take(made_up, source_of("play", 0, "play"))
    day, told = Day(trainer), []
    for minute in range(150):
        day.journey(60.0 * minute, *((4.0, "play") if minute % 2 else (2.0, "acme")))
        told += trainer.look(NOON + timedelta(minutes=minute))
    worlds = Worlds()
    worlds.take(made_up)
    models = Models(worlds)
    for event in told:
        models.take(event)
    asked = np.array([row(400.0)])
    for tenant, times in (("play", 4.0), ("acme", 2.0)):
        [[_, p50, _]] = models.of(tenant).forecast(asked).tolist()
        assert p50 == pytest.approx(400 * times, rel=0.15)
    assert {key_of(event) for event in told} == {b"live/forest", b"live/errors", b"test/forest", b"test/errors"}


def test_a_tenant_that_takes_longer_is_told_to():
    trainer = Trainer()
    day = Day(trainer)
    told = []
    for minute in range(200):
        day.journey(60.0 * minute, *((3.0, "slow") if minute % 4 == 0 else (2.0, "acme")))
        told += trainer.look(NOON + timedelta(minutes=minute))
    model = followed(told).of("acme")
    assert model.longer("slow", "car") > 0.1
    assert model.longer("acme", "car") < 0.05
    assert model.longer("unheard of", "car") == 0


def test_who_is_forgotten_teaches_nothing_and_rows_of_another_release_neither():
    trainer = Trainer()
    forgotten = replace(scored(600, []), seen=Personal(SubjectId("s"), None, b"sealed"))
    other = replace(scored(600, [(60.0, row(30.0))]), columns="others")
    for event in (forgotten, scored(600, None), other):
        trainer.take(event, source_of(ANN, 600))
    assert trainer.handed_over().lessons == []


def test_who_is_forgotten_later_teaches_nothing_from_then_on():
    trainer = Trainer()
    taught(trainer, 60)
    trainer.forget("s")
    taken = Day(trainer)
    for minute in range(5):
        taken.journey(60.0 * (100 + minute))
    trainer.look(NOON + timedelta(minutes=120))
    assert trainer._pupils[True]._learner.lessons == 5


def test_what_the_log_did_not_take_is_told_again():
    trainer = Trainer()
    day = Day(trainer)
    for minute in range(150):
        day.journey(60.0 * minute)
    now = NOON + timedelta(minutes=150)
    first = trainer.learn(trainer.handed_over(), now)
    again = trainer.learn(trainer.handed_over(), now)
    assert first == again
    for event in again:
        trainer.told(event)
    assert trainer.learn(trainer.handed_over(), now) == []


def test_begun_anew_it_does_not_take_back_what_was_learned_before():
    told = taught(Trainer())
    anew = Trainer()
    for event in told:
        anew.stands(event)
    assert anew.look(NOON + timedelta(days=9)) == []


def test_learning_that_is_to_end_ends():
    trainer = Trainer()
    day = Day(trainer)
    for minute in range(150):
        day.journey(60.0 * minute)
    trainer.end()
    assert trainer.look(NOON + timedelta(minutes=150)) == []


def test_how_long_stops_take_is_learned_and_drawn_to_what_is_planned():
    trainer = Trainer()
    for number in range(200):
        task = f"task-{number}"
        trainer.take(created(), source_of(task, 0))
        trainer.take(arrival(), source_of(task, 100))
        trainer.take(StopCompleted(stop_id=STOP, rider_id=RiderId(ANN), round=1), source_of(task, 100 + 3 * 120))
    told = trainer.look(NOON)[0]
    assert isinstance(told, EtaErrorsMet)
    [service] = told.service_times
    assert (service.tenant, service.kind, service.stops) == ("acme", "dropoff", 200)
    assert 2.5 < service.times < 3.0
    assert followed([told]).of("acme").service_s("acme", "dropoff", 120) == 120 * service.times
    assert followed([told]).of("acme").service_s("acme", "pickup", 120) == 120


def created() -> TaskCreated:
    """With one stop, which is planned to take two minutes."""
    stop = Stop(
        stop_id=STOP,
        kind="dropoff",
        party=Party(kind="recipient"),
        location=None,
        address=None,
        contact=None,
        window=None,
        service_seconds=120,
        goods_ready_at=None,
        required_proof=[],
        minimum_age=None,
        pin_hash=None,
    )
    return TaskCreated(
        kind="delivery",
        outlet=OutletSlug("kamppi"),
        priority="normal",
        stops=[stop],
        parcels=[],
        return_proof=[],
        authorisation=None,
        on_hold=False,
        required_skills=[],
        sla=None,
        external_reference=None,
        source="shop",
        shipment_id=None,
        metadata={},
        tracking_code="CV-20260601-ABCDEF",
        tracking_token_hash="",
        max_attempts=2,
        arrival_radius_m=150,
        pin_attempts=5,
        dispatch_lead_s=900,
    )


def arrival() -> StopArrived:
    return StopArrived(stop_id=STOP, rider_id=RiderId(ANN), fix=None, distance_m=None, override_reason=None, late=False)


# Who follows


def test_what_cannot_be_used_is_passed_over_and_the_model_before_stays():
    told = taught(Trainer(), 100)
    models = followed(told)
    stands = models.of("acme")
    forest = next(event for event in told if isinstance(event, EtaForestGrown))
    errors = next(event for event in reversed(told) if isinstance(event, EtaErrorsMet) and event.live)
    models.take(replace(forest, forest="other", columns=["a"]))
    models.take(replace(errors, forest="other"))
    models.take(replace(errors, quantiles=[[1.0]]))
    models.take(replace(forest, forest="broken", middle=b"no"))
    assert models.of("acme") is stands
