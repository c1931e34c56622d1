"""What is said to mend a matter can be done as it stands."""

from typing import Any

import pytest

from projections.exception_desk import mends

LOST: dict[str, Any] = {
    "action": "write_off_parcels",
    "link": {"kind": "task", "id": "bread"},
    "rule": "unknown-parcel",
}
HELD: dict[str, Any] = {"action": "hand_over_tasks", "link": {"kind": "task", "id": "milk"}, "rule": "goods-in-custody"}
ELSE: dict[str, Any] = {"action": "hand_over_tasks", "link": {"kind": "task", "id": "eggs"}, "rule": "wrong-state"}


def offered(kind: str, about: dict[str, Any] | None, *items: dict[str, Any]) -> list[str]:
    row = {"kind": kind, "items": list(items), "aggregate_id": "it", "about": about}
    return [path.removeprefix("tasks/it/").removeprefix("incidents/it/") for path in mends(row)]


@pytest.mark.parametrize(
    ("state", "rider", "in_custody", "words"),
    [
        ("dispatchable", None, False, ["assign-task", "cancel-task"]),
        ("created", None, False, ["cancel-task"]),
        ("assigned", "ann", False, ["unassign-task", "cancel-task"]),
        ("in_progress", "ann", False, ["unassign-task", "cancel-task"]),
        ("in_progress", "ann", True, ["cancel-task"]),
        ("in_progress", None, True, ["cancel-task"]),
        ("returning", "ann", True, []),
    ],
)
@pytest.mark.parametrize("kind", ["sla_at_risk", "sla_breached"])
def test_nobody_is_asked_to_take_a_task_from_whom_it_is_not_with_or_who_has_its_goods(
    kind, state, rider, in_custody, words
):
    about = {"state": state, "rider_id": rider, "in_custody": in_custody}
    assert offered(kind, about) == words


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("reported", ["take-incident-action"]),
        ("assigned", ["take-incident-action", "resolve-incident"]),
        ("reopened", ["take-incident-action", "resolve-incident"]),
        ("resolved", ["take-incident-action", "reopen-incident"]),
        ("sealed", []),
    ],
)
def test_an_incident_is_resolved_once_somebody_has_it_and_reopened_once_it_is_resolved(status, words):
    about = {"status": status}
    assert offered("action_refused", about, ELSE) == words


def test_goods_in_custody_are_handed_over_and_parcels_that_are_lost_are_told_to_their_task():
    found = offered("action_refused", {"status": "sealed"}, LOST, HELD, ELSE)
    assert found == ["tasks/milk/offer-hand-over", "tasks/bread/report-parcels-lost"]


def test_what_is_not_known_yet_takes_nothing_away():
    assert len(offered("sla_breached", None)) == 3
