"""What dispatch is told of a task's stops."""

from infra.lookups import load_g


def row(weight_g: int, party: str) -> dict[str, object]:
    parcel = {"weight_g": weight_g, "pickup_stop": "stop-1", "dropoff_stop": "stop-2"}
    return {"parcel": parcel, "party": {"kind": party}, "bound_for": None}


def test_a_pickup_loads_a_dropoff_unloads_and_a_return_takes_off_what_is_aboard():
    parcels = [row(300, "rider"), row(200, "outlet")]
    assert load_g("stop-1", "pickup", parcels) == 500
    assert load_g("stop-2", "dropoff", parcels) == -500
    assert load_g("return-1", "return", parcels) == -300
