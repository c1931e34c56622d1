"""Files of the literature: told apart, read exactly, and refused by line."""

import math
import os
from pathlib import Path

import pytest

from streams.planning.check import check
from streams.planning.faults import judged
from streams.planning.literature import TICKS, WrongFile, read, tours
from streams.planning.problem import PLACES_MAX, Route, Solution, Visit

ROUTING = Path(os.environ.get("LOGISTICS_SAMPLE_DATA", "no-sample-data")) / "routing"

SOLOMON = """C1

VEHICLE
NUMBER     CAPACITY
  2         10

CUSTOMER
CUST NO.  XCOORD.  YCOORD.  DEMAND  READY TIME  DUE DATE  SERVICE TIME

    0      0         0          0          0       100          0
    1      3         4          7          5        50         10
    2      1         1          4          0        60         10
"""
LI_LIM = """2\t10\t1
0\t0\t0\t0\t0\t100\t0\t0\t0
1\t3\t4\t7\t5\t50\t10\t0\t2
2\t1\t1\t-7\t0\t60\t10\t1\t0
"""


def test_solomon_is_deliveries_from_a_depot():
    instance = read(SOLOMON, "distance")
    first = instance.problem.deliveries[0]
    assert instance.kind == "solomon"
    assert (first.id, first.load.parcels, first.stop.service_s) == ("1", 7, 10 * TICKS)
    assert (first.stop.window.from_s, first.stop.window.until_s) == (5 * TICKS, 50 * TICKS)
    assert [vehicle.capacity.parcels for vehicle in instance.problem.vehicles] == [10, 10]
    assert judged(instance.problem)


def test_li_lim_is_shipments_called_by_both_places():
    instance = read(LI_LIM, "vehicles")
    (shipment,) = instance.problem.shipments
    assert instance.kind == "li_lim"
    assert (shipment.id, shipment.pickup.place, shipment.delivery.place, shipment.load.parcels) == ("1-2", 1, 2, 7)
    assert instance.problem.objective == "vehicles"
    assert judged(instance.problem)


def test_what_fits_in_ticks_fits_in_truth_and_the_true_distances_are_kept():
    instance = read(SOLOMON, "distance")
    assert instance.problem.matrices.seconds[0][2] == math.ceil(math.sqrt(2) * TICKS)
    assert instance.problem.matrices.metres[0][2] == round(math.sqrt(2) * TICKS)
    assert instance.real.metres[0][2] == math.sqrt(2) * TICKS
    assert instance.problem.matrices.seconds[0][1] == 5 * TICKS


def test_a_window_that_is_met_to_the_point_is_met():
    """Place 1 is exactly 5 away, and due at 5."""
    exact = read(SOLOMON.replace("5        50", "0         5"), "distance")
    first = Solution(routes=(Route(vehicle="1", visits=(Visit(job="1", action="deliver"),)),))
    assert check(exact.problem, first).passed
    assert check(exact.problem, first, exact.real).passed


def test_lines_without_anything_are_no_fault():
    assert read("\n\n" + LI_LIM.replace("\n", "\n\n"), "distance") == read(LI_LIM, "distance")


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("", 1, "the file is empty"),
        ("hello\nworld\n", 1, "begins with 'hello': neither three numbers (Li & Lim) nor a name"),
        (SOLOMON.replace("CUSTOMER", "PLACES"), 1, "there is no CUSTOMER"),
        (SOLOMON.replace("  2         10", ""), 3, "VEHICLE must be followed by one line"),
        (SOLOMON.replace("  2         10", "  2  10  3"), 5, "3 columns, the vehicles' line has 2"),
        (SOLOMON.replace("  2         10", "  0         10"), 5, "0 vehicles, must be 1 to 500"),
        (SOLOMON.replace("  2         10", "  2         -1"), 5, "the capacity is -1"),
        (SOLOMON.replace("    2      1 ", "    3      1 "), 12, "place 3 where 2 must follow"),
        (SOLOMON.replace("    60         10", "    60"), 12, "6 columns, must be 7"),
        (SOLOMON.replace("3         4", "3         four"), 11, "column 3 is 'four', must be a number"),
        (SOLOMON.replace("4          7", "4          7.5"), 11, "column 4 (demand) is 7.5, must be whole"),
        (SOLOMON.replace("4          7", "4         -7"), 11, "customer 1: the demand is -7"),
        (SOLOMON.replace("5        50", "51        50"), 11, "place 1: the window ends at 50, it begins at 51"),
        (SOLOMON.replace("60         10", "60         -1"), 12, "place 2: the service takes -1"),
        (LI_LIM.replace("2\t10\t1", "2\t10"), 1, "2 columns, the vehicles' line has 3"),
        (LI_LIM.replace("10\t0\t2", "10\t0\t0"), 3, "place 1: names both a pickup and a delivery, or neither"),
        (LI_LIM.replace("10\t0\t2", "10\t0\t9"), 3, "place 1: its partner 9 is not there"),
        (LI_LIM.replace("10\t1\t0", "10\t2\t0"), 3, "place 1: its partner 2 (line 4) is not its"),
        (LI_LIM.replace("-7", "-6"), 3, "place 1: picks up 7, of which 2 delivers 6"),
        (LI_LIM.replace("\t1\t0\n", "\t1\n"), 4, "8 columns, must be 9"),
        ("2 10 1\n", 1, "no depot follows"),
        ("2 10 1\n" + "".join(f"{at} 0 0 0 0 9 0 0 0\n" for at in range(PLACES_MAX + 1)), PLACES_MAX + 2, "more than"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(text: str, line: int, told: str):
    with pytest.raises(WrongFile) as wrong:
        read(text, "distance")
    assert (wrong.value.line, told in str(wrong.value)) == (line, True), str(wrong.value)


@pytest.mark.skipif(not ROUTING.exists(), reason="LOGISTICS_SAMPLE_DATA names no folder with instances")
@pytest.mark.parametrize(("name", "distance"), [("lilim_lc101", 828.937), ("lilim_lr202", 1197.67)])
def test_a_published_solution_passes_with_its_published_distance(name: str, distance: float):
    instance = read((ROUTING / f"{name}.txt").read_text(), "distance")
    lines = [line for line in (ROUTING / f"{name}.sol").read_text().splitlines() if line.startswith("Route")]
    published = [[int(word) for word in line.partition(":")[2].split()] for line in lines]
    visit_of = {
        place: Visit(job=each.id, action=action)
        for each in instance.problem.shipments
        for place, action in ((each.pickup.place, "pick_up"), (each.delivery.place, "deliver"))
    }
    solution = Solution(
        routes=tuple(
            Route(vehicle=str(at), visits=tuple(visit_of[place] for place in tour))
            for at, tour in enumerate(published, 1)
        )
    )
    verdict = check(instance.problem, solution, instance.real)
    assert verdict.violations == ()
    assert verdict.cost.amount / TICKS == pytest.approx(distance, abs=0.005)
    assert tours(instance, solution) == published
