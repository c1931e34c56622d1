"""What dispatch is told of a task's stops."""

from infra.lookups import aboard, load_of
from schemas.load import Load


def row(weight_g: int, volume_cm3: int, party: str) -> dict[str, object]:
    parcel = {"weight_g": weight_g, "volume_cm3": volume_cm3, "pickup_stop": "stop-1", "dropoff_stop": "stop-2"}
    return {"parcel": parcel, "party": {"kind": party}, "bound_for": None}


def back_to(number: int) -> dict[str, object]:
    return {"bound_for": f"return-{number}"}


def test_a_pickup_loads_a_dropoff_unloads_and_a_return_takes_off_what_is_bound_for_it():
    parcels = [row(300, 7, "rider"), row(200, 9, "outlet")]
    assert load_of("stop-1", "pickup", parcels) == Load(weight_g=500, volume_cm3=16, parcels=2)
    assert load_of("stop-2", "dropoff", parcels) == Load(weight_g=-500, volume_cm3=-16, parcels=-2)
    parcels = [row(300, 7, "rider") | back_to(1), row(50, 5, "rider") | back_to(2), row(200, 9, "nobody") | back_to(1)]
    assert load_of("return-1", "return", parcels) == Load(weight_g=-300, volume_cm3=-7, parcels=-1)
    assert load_of("return-2", "return", parcels) == Load(weight_g=-50, volume_cm3=-5, parcels=-1)


def test_what_is_to_be_handed_over_is_what_its_rider_has():
    parcels = [row(300, 7, "rider"), row(200, 9, "outlet"), row(50, 0, "rider")]
    assert aboard(parcels) == Load(weight_g=350, volume_cm3=7, parcels=2)


def test_a_hold_takes_off_what_is_bound_for_it_and_the_door_no_more():
    parcels = [row(300, 7, "rider"), row(200, 9, "rider") | {"bound_for": "hold-1"}]
    assert load_of("hold-1", "hold", parcels) == Load(weight_g=-200, volume_cm3=-9, parcels=-1)
    assert load_of("stop-2", "dropoff", parcels) == Load(weight_g=-300, volume_cm3=-7, parcels=-1)
