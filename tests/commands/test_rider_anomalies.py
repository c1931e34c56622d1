"""What was odd about a rider's way is dismissed, once for each reason."""

from riding import on_shift

from commands.rider_anomalies import MAX_DISMISSED
from schemas.ids import rider_subject
from schemas.message import Personal, RiderId
from schemas.rider import AnomalyDismissed, DismissAnomaly


def dismiss(anomaly_id: str = "s-1", reason: str = "not_riding", note: str | None = None) -> DismissAnomaly:
    return DismissAnomaly(anomaly_id=anomaly_id, reason_code=reason, note=note)


def test_an_anomaly_is_dismissed_with_a_reason_and_again_only_with_another():
    once = on_shift().by("dora").when(dismiss()).tells("AnomalyDismissed").happened()
    once.when(dismiss()).then()
    once.when(dismiss(reason="mistake")).tells("AnomalyDismissed").happened().when(dismiss(reason="mistake")).then()
    once.when(dismiss("s-2")).tells("AnomalyDismissed")


def test_what_somebody_notes_about_the_rider_is_the_riders_own():
    noted = on_shift().by("dora").when(dismiss(note="on the train"))
    note = Personal(rider_subject(RiderId("a-1")), "on the train")
    noted.then(AnomalyDismissed(anomaly_id="s-1", reason_code="not_riding", note=note))
    noted.happened().when(dismiss(note="on the tram")).tells("AnomalyDismissed")


def test_so_many_are_known_and_an_older_one_is_told_once_more():
    story = on_shift().by("dora")
    for number in range(MAX_DISMISSED + 1):
        story = story.when(dismiss(f"s-{number}")).happened()
    story.when(dismiss(f"s-{MAX_DISMISSED}")).then()
    story.when(dismiss("s-1")).then()
    story.when(dismiss("s-0")).tells("AnomalyDismissed")
